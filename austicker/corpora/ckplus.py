"""CK+ as it is handed out: posed sequences from neutral to the peak, with codes of the last frame; opens no picture.

    cohn-kanade-images/S005/001/S005_001_00000011.png
    Landmarks/S005/001/S005_001_00000011_landmarks.txt     68 lines "x y"
    FACS/S005/001/S005_001_00000011_facs.txt               a line "unit intensity" for each action unit
    Emotion/S005/001/S005_001_00000011_emotion.txt         one code, and not for every sequence

A clip is a sequence: its first frame is the onset, its last the apex and the offset. Capital and small letters in names
are the same. Rules that mend: "gap-skipped" passes over frames that are missing between the first and the last, and
"landmarks-detected" leaves the landmarks of a clip to be found anew where the corpus lacks those of one of its frames.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from austicker import action_units
from austicker.corpora import listing, paths, tables
from austicker.corpora.paths import shown
from austicker.corpora.source import Files, Finding, Kind, Reading, SourceClip
from austicker.types import AustickerError

LABELS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
"""In order of the codes 0 to 7."""
IMAGES, LANDMARKS, FACS, EMOTION = "cohn-kanade-images", "Landmarks", "FACS", "Emotion"
SUFFIXES = {LANDMARKS: "_landmarks.txt", FACS: "_facs.txt", EMOTION: "_emotion.txt"}
"""The trees of notes, and how their files end after the name of the frame."""
INTENSITIES = ("", "A", "B", "C", "D", "E")
"""FACS's letters by the number in the file: 0 says that no intensity was coded."""
SIZE_LIMIT = 1 << 16
"""Bytes of a note; the longest have some dozen lines."""
_SEQUENCE = re.compile(r"S[0-9]{1,6}_[0-9]{1,6}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """The notes of the whole corpus, and what is gathered while they are read.

    Attributes:
        notes: for each tree, a frame's name in small letters to the path of its file.
        opened: the notes that were read.
    """

    root: Path
    notes: Mapping[str, Mapping[str, str]]
    findings: list[Finding] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def report(self, kind: Kind, clip: str, text: str) -> None:
        self.findings.append(Finding(clip=clip, kind=kind, text=text))


def read(root: Path) -> Reading:
    """Reads the notes of a CK+ folder and lists its frames.

    Raises:
        AustickerError: nothing usable is there, two files describe one frame, or a link leads out of the folder.
    """
    folders = _folders(root)
    if IMAGES not in folders:
        raise AustickerError(f"'{root}' has no folder '{IMAGES}': name the folder that holds it.")
    tree = _tree(root, folders)
    codes = _codes(tree)
    sequences = _sequences(tree, folders[IMAGES])
    clips = [
        clip
        for name, folder in sequences.items()
        if name.lower() in codes and (clip := _clip(tree, name, folder, codes[name.lower()])) is not None
    ]
    _report_rest(tree, sequences, codes)
    if not clips:
        first = f"; the first fault: {tree.findings[0].text}" if tree.findings else "."
        raise AustickerError(f"No sequence in '{root}' can be used: unpack '{IMAGES}' and '{EMOTION}' there{first}")
    return Reading(
        labels=LABELS,
        clips=tuple(clips),
        findings=tuple(tree.findings),
        channels=1,
        annotations=tuple(sorted(tree.opened)),
    )


def _folders(root: Path) -> dict[str, str]:
    """Returns the four folders as they are spelled on disk."""
    there = {name.lower(): name for name in listing.listed(root, ".").folders}
    return {name: there[name.lower()] for name in (IMAGES, *SUFFIXES) if name.lower() in there}


def _sessions(root: Path, folder: str) -> Iterator[tuple[str, str]]:
    """Yields the name of each sequence, such as "S005_001", and its folder."""
    for subject in listing.listed(root, folder).folders:
        for session in listing.listed(root, f"{folder}/{subject}").folders:
            yield f"{subject.upper()}_{session}", f"{folder}/{subject}/{session}"


def _tree(root: Path, folders: Mapping[str, str]) -> _Tree:
    notes: dict[str, dict[str, str]] = {}
    for kind, suffix in SUFFIXES.items():
        found = [
            (file.lower().removesuffix(suffix), f"{folder}/{file}")
            for _, folder in _sessions(root, folders.get(kind, kind))
            for file in listing.files_in(root, folder)
            if file.lower().endswith(suffix)
        ]
        tables.refuse_duplicates((frame, f"'{shown(path)}'") for frame, path in found)
        notes[kind] = dict(found)
    tree = _Tree(root=root, notes=notes)
    for kind in (FACS, LANDMARKS):
        if not notes[kind]:
            tree.report("missing", "", f"There is nothing in '{kind}' of '{root}': unpack it there, or do without.")
    return tree


def _sequences(tree: _Tree, folder: str) -> dict[str, str]:
    """Returns the folder of each sequence's frames."""
    found = sorted(_sessions(tree.root, folder))
    tables.refuse_duplicates((name, f"'{shown(path)}'") for name, path in found)
    for name, path in found:
        if not _SEQUENCE.fullmatch(name):
            text = f"The folder '{shown(path)}' is no sequence and is left out: name it like '{folder}/S005/001'."
            tree.report("inconsistent", "", text)
    return {name: path for name, path in found if _SEQUENCE.fullmatch(name)}


def _codes(tree: _Tree) -> dict[str, dict[str, int | None]]:
    """Returns the code of each coded frame, by sequence; None where it makes no sense, which is reported."""
    codes: dict[str, dict[str, int | None]] = defaultdict(dict)
    for frame, path in tree.notes[EMOTION].items():
        sequence = frame.rpartition("_")[0]
        try:
            numbers = [number for line in _lines(tree, path) for number in line]
            if numbers:  # a file of blank lines codes nothing, like none at all
                codes[sequence][frame] = _emotion(path, numbers)
        except AustickerError as fault:
            codes[sequence][frame] = None
            tree.report("inconsistent", sequence.upper(), str(fault))
    return codes


def _emotion(path: str, numbers: Sequence[float]) -> int:
    if len(numbers) != 1 or numbers[0] not in range(len(LABELS)):
        raise AustickerError(f"'{shown(path)}' must hold one code from 0 to {len(LABELS) - 1}: unpack it again.")
    return int(numbers[0])


def _lines(tree: _Tree, path: str) -> list[list[float]]:
    """Returns the numbers of each line of a note that is not blank.

    Raises:
        AustickerError: it is too large, or holds anything but finite numbers.
    """
    tree.opened.append(path)
    with paths.opened(tree.root / path) as source:
        content = source.read(SIZE_LIMIT + 1)
    try:
        lines = [[float(word) for word in line.split()] for line in content.decode("ascii").splitlines()]
    except ValueError as error:  # also what is no ASCII
        raise AustickerError(f"'{shown(path)}' holds something else than numbers: unpack it again.") from error
    if len(content) > SIZE_LIMIT or not all(math.isfinite(number) for line in lines for number in line):
        raise AustickerError(f"'{shown(path)}' is too long or holds a number that is not finite: unpack it again.")
    return [line for line in lines if line]


def _clip(tree: _Tree, name: str, folder: str, codes: Mapping[str, int | None]) -> SourceClip | None:
    """Returns a sequence that has a code, or None where it cannot be used, which is reported."""
    try:
        pictures = paths.pictures_in(tree.root, tree.root / folder)
    except paths.Unusable as fault:
        tree.report(fault.kind, name, str(fault))
        return None
    frames = {PurePosixPath(path).stem.lower(): path for path in pictures.values()}
    if not pictures:
        tree.report(
            "missing", name, f"'{shown(folder)}' holds no frames though '{EMOTION}' codes it: unpack them there."
        )
        return None
    strange = [path for frame, path in frames.items() if not frame.startswith(f"{name.lower()}_")]
    if strange:
        text = f"'{shown(strange[0])}' is no frame of {name}, which is left out: unpack the folder again."
        tree.report("inconsistent", name, text)
        return None
    last = list(frames)[-1]
    if list(codes) != [last]:
        text = (
            f"'{EMOTION}' codes {', '.join(sorted(codes))} but the last frame of {name} is {last}: unpack both again."
        )
        tree.report("inconsistent", name, text)
        return None
    label = codes[last]
    if label is None:
        return None
    before = len(tree.findings)
    _report_gaps(tree, name, list(pictures))
    landmarks = _landmarks(tree, name, list(frames))
    repairs = tuple(finding.rule for finding in tree.findings[before:])
    end = len(frames) - 1
    return SourceClip(
        clip=name,
        subject=name.partition("_")[0],
        label=label,
        frames=Files(paths=tuple(frames.values())),
        onset=0,
        apex=end,
        offset=end,
        action_units=_units(tree, name, last),
        landmarks=landmarks,
        repairs=repairs,
    )


def _report_gaps(tree: _Tree, name: str, numbers: Sequence[int]) -> None:
    lacking = numbers[-1] - numbers[0] + 1 - len(numbers)
    if lacking:
        text = f"{paths.passed_over(lacking, f'{numbers[0]} and {numbers[-1]} of {name}')}."
        tree.findings.append(Finding(clip=name, kind="repaired", text=text, rule="gap-skipped"))


def _units(tree: _Tree, name: str, frame: str) -> tuple[str, ...]:
    """Returns the action units of a frame; none where the note is missing or makes no sense, which is reported."""
    path = tree.notes[FACS].get(frame)
    if path is None:
        if tree.notes[FACS]:
            tree.report("missing", name, f"{name} has no action units: unpack '{frame}{SUFFIXES[FACS]}' in '{FACS}'.")
        return ()
    try:
        return tuple(_unit(path, line) for line in _lines(tree, path))
    except AustickerError as fault:
        tree.report("inconsistent", name, str(fault))
        return ()


def _unit(path: str, line: Sequence[float]) -> str:
    if len(line) != 2 or line[0] not in range(1, 100) or line[1] not in range(len(INTENSITIES)):
        raise AustickerError(
            f"'{shown(path)}' must hold an action unit and an intensity 0 to 5 a line: unpack it again."
        )
    return action_units.canonical(action_units.parse_unit(f"{int(line[0])}{INTENSITIES[int(line[1])]}"))


def _landmarks(tree: _Tree, name: str, frames: Sequence[str]) -> tuple[str, ...]:
    """Returns the file of each frame's landmarks, or () where one is missing."""
    notes = tree.notes[LANDMARKS]
    lacking = [frame for frame in frames if frame not in notes]
    if not lacking:
        return tuple(notes[frame] for frame in frames)
    if notes:
        text = f"{len(lacking)} of {len(frames)} frames of {name} have no landmarks, so those of all are found anew."
        tree.findings.append(Finding(clip=name, kind="repaired", text=text, rule="landmarks-detected"))
    return ()


def _report_rest(tree: _Tree, sequences: Mapping[str, str], codes: Mapping[str, Mapping[str, int | None]]) -> None:
    """Reports the sequences without a code, all in one sentence, and each code without frames."""
    there = {name.lower() for name in sequences}
    for sequence in sorted(codes.keys() - there):
        path = tree.notes[EMOTION][next(iter(codes[sequence]))]
        text = f"'{shown(path)}' codes a sequence that has no frames: unpack them in '{IMAGES}'."
        tree.report("missing", sequence.upper(), text)
    uncoded = len(there - codes.keys())
    if uncoded:
        text = f"{uncoded} of {len(there)} sequences have no emotion code and are left out; CK+ codes 327 of its 593."
        tree.report("missing", "", text)
