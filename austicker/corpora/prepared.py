"""A corpus of the user's own folder, decoded, aligned and packed once: what is to be done, one shard, and the end.

Every shard is named by its clips, by the size and date of their files, and by how it was made; so preparing again does
only what is missing or has changed. Who does the shards, and where, is not known here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from austicker.corpora import READERS, Landmarks, check_folder, consent, packed, pictures, points
from austicker.corpora.shards import SHARD_BYTES, Packed, Shard, serialised
from austicker.corpora.source import Files, Finding, Reading, SourceClip, Video
from austicker.faces import Landmarker, landmarker
from austicker.faces.alignment import RULES, NoFace, aligned_clip, cut, given, whole_clip
from austicker.store import Store
from austicker.types import AustickerError, Clip, Corpus

VERSION = 1
"""Raised when packed faces would come out otherwise, so that every prepared copy is made anew."""


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
        return [VERSION, self.name, str(self.root.resolve()), self.landmarks]

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
        # Who finds all landmarks anew does not care which ones the corpus lacks.
        findings = tuple(
            finding for finding in reading.findings if self.landmarks == "corpus" or finding.rule != FOUND_ANEW
        )
        rules: dict[str, list[str]] = {}
        for finding in findings:
            if finding.kind == "repaired":
                rules.setdefault(finding.clip, []).append(finding.rule)
        return replace(
            reading,
            clips=tuple(replace(clip, repairs=tuple(rules.get(clip.clip, ()))) for clip in reading.clips),
            findings=findings,
            annotations=(*reading.annotations, consent.FILE),
            consented=tuple(sorted({*reading.consented, *consent.consented(self.root)})),
        )


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
    width, height = reading.face_px
    frame_bytes = width * height * reading.channels
    dates = _Dates(preparation.root)
    made, run, size = [], list[SourceClip](), 0
    for clip in reading.clips:
        run.append(clip)
        size += frame_bytes * (clip.offset - clip.onset + 1)
        if size >= SHARD_BYTES:
            made.append(_portion(preparation, reading, run, dates))
            run, size = [], 0
    if run:
        made.append(_portion(preparation, reading, run, dates))
    return tuple(made)


def _portion(preparation: Preparation, reading: Reading, clips: Sequence[SourceClip], dates: _Dates) -> Portion:
    content: list[Any] = [VERSION, preparation.landmarks, asdict(framing_of(reading))]
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


def missing(preparation: Preparation, wanted: Iterable[Portion]) -> tuple[Portion, ...]:
    """Returns the shards that are not there yet; a shard is written whole or not at all."""
    return tuple(portion for portion in wanted if not (preparation.folder / portion.name).is_file())


def pack(preparation: Preparation, framing: Framing, portion: Portion) -> None:
    """Makes one shard and puts it into the prepared folder.

    A clip that cannot be decoded or shows no face becomes a finding in the shard, and the others go on.

    Raises:
        AustickerError: the root is not there, the landmarker is missing, or the folder cannot be written.
    """
    if not preparation.root.is_dir():
        raise AustickerError(
            f"The folder '{preparation.root}' of corpus '{preparation.name}' is not on this machine: give every node "
            "the same path, or prepare on one machine without --address."
        )
    clips: list[Packed] = []
    findings: list[Finding] = []
    with landmarker("mediapipe" if preparation.landmarks == "corpus" else preparation.landmarks) as find:
        for source in portion.clips:
            try:
                packed_clip = _packed(preparation, framing, trimmed(source), find)
            except NoFace as error:
                findings.append(Finding(clip=source.clip, kind="missing", text=str(error)))
                continue
            except AustickerError as error:
                findings.append(Finding(clip=source.clip, kind="unreadable", text=str(error)))
                continue
            clips.append(packed_clip)
            for rule in packed_clip.clip.repairs[len(source.repairs) :]:
                findings.append(Finding(clip=source.clip, kind="repaired", rule=rule, text=RULES[rule]))
    Store(preparation.folder).write(portion.name, serialised(clips, findings).to_pybytes())


def _packed(preparation: Preparation, framing: Framing, source: SourceClip, find: Landmarker) -> Packed:
    """Returns one clip as faces."""
    pictures_of = pictures.read(source.frames, preparation.root, framing.channels)
    if source.crop is not None:
        crop = source.crop
        pictures_of = (cut(picture, (crop.x, crop.y), (crop.width, crop.height)) for picture in pictures_of)
    make = aligned_clip if framing.framing == "align" else whole_clip
    if preparation.landmarks == "corpus" and source.landmarks:
        find = _own_points(preparation.root, source)
    made = make(pictures_of, find, framing.face_px)
    clip = Clip(
        corpus=preparation.name,
        clip=source.clip,
        subject=source.subject,
        label=source.label,
        onset=source.onset,
        apex=source.apex,
        offset=source.offset,
        action_units=source.action_units,
        split=source.split,
        repairs=(*source.repairs, *made.repairs),
    )
    return Packed(clip=clip, frames=made.frames, landmarks=made.landmarks)


def _own_points(root: Path, source: SourceClip) -> Landmarker:
    corner = (source.crop.x, source.crop.y) if source.crop else (0, 0)
    return given([found - np.array(corner, np.float32) for found in points.read(root, source.landmarks)])


def trimmed(source: SourceClip) -> SourceClip:
    """Returns a clip whose first frame is its onset and whose last its offset: nothing else is decoded."""
    kept = slice(source.onset, source.offset + 1)
    frames = source.frames
    if isinstance(frames, Files):
        frames = Files(paths=frames.paths[kept])
    elif isinstance(frames, Video):
        frames = replace(frames, first=frames.first + source.onset, last=frames.first + source.offset)
    return replace(
        source,
        frames=frames,
        landmarks=source.landmarks[kept],
        onset=0,
        apex=source.apex - source.onset,
        offset=source.offset - source.onset,
    )


def conclude(preparation: Preparation, reading: Reading, made: Sequence[Portion]) -> packed.Record:
    """Writes the record of a corpus whose shards are all there, which makes it ready, and drops shards of before.

    Raises:
        AustickerError: a shard is damaged, or no clip at all could be packed.
    """
    rows: list[str] = []
    findings = list(reading.findings)
    for portion in made:
        try:
            shard = Shard(preparation.folder / portion.name)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise packed.damaged(preparation.folder, error) from error
        rows += shard.words("row_digest")
        findings += shard.findings
    if not rows:
        first = next((finding.text for finding in findings if finding.kind != "repaired"), "no clip is named there")
        raise AustickerError(f"No clip of corpus '{preparation.name}' in '{preparation.root}' can be used: {first}")
    record = packed.Record(
        name=preparation.name,
        labels=reading.labels,
        fingerprint=packed.fingerprint(reading.labels, rows),
        shards=tuple(portion.name for portion in made),
        consented=reading.consented,
        lacks_subjects=reading.lacks_subjects,
        findings=tuple(findings),
        source=_state_of(preparation.root, reading.annotations),
    )
    store = Store(preparation.folder)
    store.write(packed.RECORD, packed.in_bytes(record))
    for key in store.keys(""):
        if key not in record.files:
            store.remove(key)
    store.sweep()
    return record


State = Literal["missing", "stale", "ready"]


def state(preparation: Preparation) -> State:
    """Tells whether a corpus is prepared, and whether its annotations are still those it was prepared from.

    Raises:
        AustickerError: the record is damaged.
    """
    record = packed.read_record(preparation.folder)
    if record is None:
        return "missing"
    known = [name for name, *_ in json.loads(record.source)]
    return "ready" if _state_of(preparation.root, known) == record.source else "stale"


def _state_of(root: Path, annotations: Iterable[str]) -> str:
    dates = _Dates(root)
    return json.dumps([[name, *dates.look(name)] for name in annotations])


def open_prepared(preparation: Preparation) -> Corpus:
    """Opens a prepared corpus.

    Raises:
        AustickerError: it is not prepared, its annotations have changed since, or it is damaged.
    """
    found = state(preparation)
    corpus = packed.load(preparation.folder) if found == "ready" else None
    if corpus is None:
        reason = "is not prepared" if found == "missing" else "has other annotations than when it was prepared"
        landmarks = "" if preparation.landmarks == "mediapipe" else f" --landmarks {preparation.landmarks}"
        raise AustickerError(
            f"Corpus '{preparation.name}' in '{preparation.root}' {reason}: run `austicker-grid data prepare "
            f"{preparation.name} --root {preparation.root}{landmarks}`."
        )
    return corpus


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=bytes.hex).encode()).hexdigest()
