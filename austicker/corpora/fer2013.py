"""FER2013 as it is handed out: 48x48 gray faces in one CSV file or in folders; parses no pixel and opens no picture.

Three forms are read: `fer2013.csv` (emotion,pixels,Usage), `icml_face_data.csv` (the same columns in another order and
with leading blanks in their names), and the folders `train/<emotion>/` and `test/<emotion>/`. A CSV file is preferred,
for it keeps the validation pictures (PublicTest) apart from the test pictures (PrivateTest), which the folders mix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from austicker.corpora import listing, paths, tables
from austicker.corpora.paths import shown
from austicker.corpora.source import Cell, Files, Finding, Reading, SourceClip
from austicker.types import AustickerError

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In order of the codes 0 to 6."""
TABLES = ("fer2013.csv", "icml_face_data.csv")
"""In order of preference."""
SPLITS = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
FOLDERS = ("train", "test")
SIDE_PX = 48
NUMBERS = SIDE_PX * SIDE_PX
LINE_LIMIT = 4 * NUMBERS + 1024
"""Bytes: every number has three digits and a blank at most; the rest leaves room for the other columns."""
_EMOTIONS = {str(code).encode(): code for code in range(len(LABELS))}
_USAGES = {name.encode(): name for name in SPLITS}
_PADDING = b' \t"'

Found = SourceClip | Finding


def read(root: Path) -> Reading:
    """Reads the table of a FER2013 folder, or lists its pictures where it has none.

    Raises:
        AustickerError: nothing usable is there.
    """
    present = [name for name in (*TABLES, *FOLDERS) if paths.what(root / name)]
    if not present:
        raise AustickerError(
            f"'{root}' has neither {' nor '.join(TABLES)} nor the folders {'/ and '.join(FOLDERS)}/: "
            "name the folder that holds one of them."
        )
    table = present[0] if present[0] in TABLES else ""
    found = list(_rows(root, table) if table else _pictures(root))
    clips = tuple(item for item in found if isinstance(item, SourceClip))
    findings = [item for item in found if isinstance(item, Finding)]
    if not clips:
        first = f"; the first fault: {findings[0].text}" if findings else "."
        raise AustickerError(f"No picture of '{root / table}' can be used: get FER2013 again{first}")
    ignored = present[1:] if table else []
    return Reading(
        labels=LABELS,
        clips=clips,
        findings=(*_left_out(table, ignored), *findings),
        channels=1,
        framing="whole",
        face_px=(SIDE_PX, SIDE_PX),
        annotations=(table,) if table else tuple(sorted({str(Path(path).parent) for path in _paths(clips)})),
        lacks_subjects=True,
    )


def _paths(clips: Iterable[SourceClip]) -> Iterator[str]:
    """Yields the picture files; the dates of their folders tell of files that come or go."""
    for clip in clips:
        if isinstance(clip.frames, Files):
            yield from clip.frames.paths


def _left_out(table: str, ignored: Sequence[str]) -> Iterator[Finding]:
    if ignored:
        text = (
            f"Besides '{table}', which is read, there is also {', '.join(ignored)}, which is not: remove what is old."
        )
        yield Finding(clip="", kind="inconsistent", text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Which cell of a line is what."""

    count: int
    emotion: int
    pixels: int
    usage: int


def _columns(path: Path, header: bytes) -> _Columns:
    names = [name.strip().strip('"').strip() for name in header.decode("utf-8-sig", "replace").split(",")]
    for wanted in ("emotion", "pixels", "Usage"):
        if names.count(wanted) != 1:
            raise AustickerError(
                f"The first line of '{path}' must name the column '{wanted}' once: get the file again."
            )
    emotion, pixels, usage = (names.index(name) for name in ("emotion", "pixels", "Usage"))
    return _Columns(count=len(names), emotion=emotion, pixels=pixels, usage=usage)


def _rows(root: Path, table: str) -> Iterator[Found]:
    """Yields a clip or a finding of every row; rows are counted from 0, as in the file's own order."""
    path = paths.inside(root, table)
    lines = tables.raw_lines(path, LINE_LIMIT)
    header = next(lines, None)
    if header is None:
        raise AustickerError(f"'{path}' is empty: get the file again.")
    columns = _columns(path, header[1])
    number = 0
    for line_number, (start, line) in enumerate(lines, start=2):
        if line.strip():
            where = f"line {line_number} of '{table}'"
            yield _row(columns, line.split(b","), _Place(table=table, start=start, row=number, where=where))
            number += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a row lies: its table, the byte at which it starts, its number and the same in words."""

    table: str
    start: int
    row: int
    where: str


def _row(columns: _Columns, cells: list[bytes], place: _Place) -> Found:
    name = f"{place.row:05d}"
    if len(cells) != columns.count:
        return _faulty(name, place, f"has {len(cells)} cells instead of {columns.count}")
    usage = _USAGES.get(cells[columns.usage].strip(_PADDING))
    if usage is None:
        return _faulty(name, place, f"has a Usage that is none of {', '.join(SPLITS)}")
    name = f"{usage}/{name}"
    label = _EMOTIONS.get(cells[columns.emotion].strip(_PADDING))
    if label is None:
        return _faulty(name, place, f"has an emotion that is no number from 0 to {len(LABELS) - 1}")
    cell = cells[columns.pixels]
    text = cell.strip(_PADDING)
    # Counting is a hundred times faster than parsing; whoever decodes the picture refuses numbers beyond 255.
    if text.translate(None, b"0123456789 ") or b"  " in text:
        return _faulty(name, place, "has pixels that are not numbers with one blank between them")
    if text.count(b" ") != NUMBERS - 1:
        count = text.count(b" ") + 1 if text else 0
        return _faulty(name, place, f"has {count} pixels instead of {NUMBERS}")
    before = sum(len(other) + 1 for other in cells[: columns.pixels]) + len(cell) - len(cell.lstrip(_PADDING))
    return SourceClip(
        clip=name,
        subject=name,
        label=label,
        frames=Cell(path=place.table, offset=place.start + before, length=len(text), side_px=SIDE_PX),
        onset=0,
        apex=0,
        offset=0,
        split=SPLITS[usage],
    )


def _faulty(name: str, place: _Place, fault: str) -> Finding:
    text = f"Picture {name} ({place.where}) {fault} and is left out: get the file again."
    return Finding(clip=name, kind="inconsistent", text=text)


def _pictures(root: Path) -> Iterator[Found]:
    for split in FOLDERS:
        for folder in listing.listed(root, split).folders:
            path = f"{split}/{folder}"
            if folder.lower() not in LABELS:
                known = ", ".join(LABELS)
                text = f"The folder '{shown(path)}' is no emotion and is left out: rename it to one of {known}."
                yield Finding(clip="", kind="inconsistent", text=text)
                continue
            yield from _pictures_of(root, path)


def _pictures_of(root: Path, folder: str) -> Iterator[Found]:
    """Yields the pictures of one emotion; other files are passed over."""
    split, emotion = folder.split("/")
    files = [Path(file) for file in listing.files_in(root, folder)]
    pictures = [file for file in files if file.suffix.lower() in listing.PICTURES]
    names = [f"{folder}/{file.stem}" for file in pictures]
    tables.refuse_duplicates((name, f"'{folder}/{file}'") for name, file in zip(names, pictures, strict=True))
    for name, file in zip(names, pictures, strict=True):
        path = f"{folder}/{file}"
        if not listing.CLIP_NAME.fullmatch(name):
            text = f"Picture '{shown(path)}' is left out: rename it with letters, digits, '_', '-' and '.' only."
            yield Finding(clip="", kind="inconsistent", text=text)
            continue
        frames = Files(paths=(path,))
        label = LABELS.index(emotion.lower())
        yield SourceClip(clip=name, subject=name, label=label, frames=frames, onset=0, apex=0, offset=0, split=split)
