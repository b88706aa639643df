"""AffectNet's faces, from the lists of the manually annotated set or the release of eight labels; opens no picture.

The manual set is `training.csv` and `validation.csv`, in the root or in `Manually_Annotated_file_lists/`, and pictures
below the first of `IMAGES` that is there, else below the root. The other release is `train_set/` and `val_set/`, each
with `images/<id>.jpg` and `annotations/<id>_exp.npy` and `<id>_lnd.npy`. Lists are preferred where both are there.

AffectNet publishes no test set; like most work on it, this takes its validation set for the test. Rules that mend:
"landmarks-detected" leaves landmarks that a list lacks or that make no sense there, and `<id>_lnd.npy` that are not
there, to be found anew, and "headless-list" reads a list without a first line of names, as one `validation.csv` has
been handed out. A `<id>_lnd.npy` is opened only by who prepares with `--landmarks corpus`: a damaged one is found there
and costs its picture the place.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from austicker.corpora import listing, paths, pictures, tables
from austicker.corpora.paths import shown
from austicker.corpora.points import LARGEST_PX
from austicker.corpora.source import Crop, Files, Finding, Points, Reading, SourceClip
from austicker.types import AustickerError

LABELS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""In order of the codes 0 to 7."""
NO_EMOTION = {8: "None", 9: "Uncertain", 10: "Non-face"}
LISTS = {"training.csv": "train", "validation.csv": "test"}
LIST_FOLDERS = ("", "Manually_Annotated_file_lists/")
IMAGES = ("Manually_Annotated/Manually_Annotated_Images", "Manually_Annotated_Images", "Manually_Annotated")
"""Where archives of the pictures have been unpacked to, in the order in which they are looked for."""
SETS = {"train_set": "train", "val_set": "test"}
COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression")
HEADLESS = (*COLUMNS, "valence", "arousal")
"""The order of the columns in a list that does not name them."""
FACE_PX = (224, 224)
NPY_LIMIT = 64 * 1024
"""Bytes of the largest annotation; 68 points take 1 kB."""
POINTS = 68
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<U[1-9]|[<|][iuf][1248])', 'fortran_order': False, 'shape': \((1,)?\), \} *\n.*",
    re.DOTALL,
)
"""An array of one text or number: nothing else is handed to numpy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is gathered while reading."""

    root: Path
    clips: list[SourceClip] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read(root: Path) -> Reading:
    """Reads the lists or the annotations of an AffectNet folder.

    Raises:
        AustickerError: nothing usable is there, a picture is listed twice, or a path leads out of the folder.
    """
    found = _Found(root=root)
    listed = [f"{folder}{name}" for name in LISTS for folder in LIST_FOLDERS]
    present = [name for name in listed if paths.what(root / name) == "file"]
    sets = [name for name in SETS if paths.what(root / name) == "folder"]
    if present:
        _read_lists(found, present)
        _report_left_out(found, present[0], sets)
    elif sets:
        for name in sets:
            _read_set(found, name)
    else:
        raise AustickerError(
            f"'{root}' has no {' or '.join(LISTS)} and no {' or '.join(SETS)}: name the folder of one."
        )
    if not found.clips:
        first = f"; the first fault: {found.findings[0].text}" if found.findings else "."
        raise AustickerError(f"No picture of '{root}' can be used: unpack lists and pictures there{first}")
    splits = {clip.split for clip in found.clips}
    for split in ("train", "test"):
        if split not in splits:
            text = f"There is nothing of AffectNet's split '{split}' in '{root}': unpack it there, or do without."
            found.findings.append(Finding(clip="", kind="missing", text=text))
    return Reading(
        labels=LABELS,
        clips=tuple(found.clips),
        findings=tuple(found.findings),
        framing="whole",
        face_px=FACE_PX,
        # A look at 290,000 annotations would cost minutes; the dates of their folders tell of files that come or go.
        annotations=tuple(present) or tuple(f"{name}/{part}" for name in sets for part in ("annotations", "images")),
        lacks_subjects=True,
    )


def _report_left_out(found: _Found, table: str, sets: list[str]) -> None:
    if sets:
        text = f"Besides '{table}', which is read, there is also {', '.join(sets)}, which is not: keep one of them."
        found.findings.append(Finding(clip="", kind="inconsistent", text=text))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pictures:
    """The pictures of the manual set; each folder is listed once."""

    root: Path
    base: str
    known: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, path: str) -> bool:
        """Tells whether a listed picture is there.

        Raises:
            Unusable: its folder may not be listed.
            AustickerError: its path leads out of the root.
        """
        cut = path.rfind("/") + 1
        folder, name = path[:cut], path[cut:]
        if folder not in self.known:
            paths.inside(self.root, path)
            self.known[folder] = frozenset(listing.files_in(self.root, f"{self.base}{folder}" or "."))
        return name in self.known[folder]


def _read_lists(found: _Found, present: list[str]) -> None:
    base = next((f"{folder}/" for folder in IMAGES if paths.what(found.root / folder) == "folder"), "")
    shelf = _Pictures(root=found.root, base=base)
    rows = without = 0
    seen: list[tuple[str, str]] = []
    for table in present:
        split = LISTS[Path(table).name]
        for row in _rows(found, table):
            rows += 1
            path = row.optional("subDirectory_filePath").replace("\\", "/")
            if not path:
                text = f"{row.where} names no picture and is left out: get the list again."
                found.findings.append(Finding(clip="", kind="inconsistent", text=text))
                continue
            clip = f"{split}/{path.rpartition('.')[0] or path}"
            seen.append((clip, row.where))
            try:
                there = shelf.has(path)
            except paths.Unusable as fault:
                found.findings.append(Finding(clip=clip, kind=fault.kind, text=str(fault)))
                continue
            try:
                if row.whole("expression") in NO_EMOTION:
                    without += 1
                    continue
                made = _listed(row, clip, f"{base}{path}", there)
            except AustickerError as fault:
                made = [Finding(clip=clip, kind="inconsistent", text=str(fault))]
            _keep(found, made)
    tables.refuse_duplicates(seen)
    if without:
        names = ", ".join(f"{code} ({name})" for code, name in NO_EMOTION.items())
        text = f"{without} of {rows} pictures are coded {names}, which are no emotions, and are left out."
        found.findings.append(Finding(clip="", kind="missing", text=text))


def _keep(found: _Found, made: list[SourceClip | Finding]) -> None:
    found.clips.extend(item for item in made if isinstance(item, SourceClip))
    found.findings.extend(item for item in made if isinstance(item, Finding))


def _rows(found: _Found, table: str) -> Iterator[tables.Row]:
    path = paths.inside(found.root, table)
    first = next((line for _, line in tables.raw_lines(path, tables.LINE_LIMIT)), b"")
    if COLUMNS[0].lower().encode() in first.lower() or first.count(b",") != len(HEADLESS) - 1:
        yield from tables.csv_rows(path, COLUMNS)
        return
    text = f"'{table}' does not name its columns, so they are taken to be {', '.join(HEADLESS)}."
    found.findings.append(Finding(clip="", kind="repaired", text=text, rule="headless-list"))
    yield from tables.headless_rows(path, HEADLESS)


def _listed(row: tables.Row, clip: str, path: str, there: bool) -> list[SourceClip | Finding]:
    """Returns the clip of a row with what was repaired, or why it is left out.

    Raises:
        AustickerError: a number of the row makes no sense.
    """
    label = row.whole("expression")
    if label not in range(len(LABELS)):
        raise AustickerError(f"Column 'expression' of {row.where} holds {label}: write a number from 0 to 10.")
    crop = Crop(
        x=row.whole("face_x"), y=row.whole("face_y"), width=row.whole("face_width"), height=row.whole("face_height")
    )
    if not _can_be(crop):
        raise AustickerError(f"The face of {row.where} is no rectangle of its picture: get the list again.")
    if not listing.CLIP_NAME.fullmatch(clip):
        raise AustickerError(
            f"The picture of {row.where} needs a name of letters, digits, '_', '-' and '.': rename it."
        )
    if not there:
        text = f"'{shown(path, 200)}' of {row.where} is not there and is left out: unpack it again."
        return [Finding(clip=clip, kind="missing", text=text)]
    points = _points(row.optional("facial_landmarks"))
    repairs = () if points else (_without_landmarks(clip, f"{row.where} has no 68 points"),)
    made = SourceClip(
        clip=clip,
        subject=clip,
        label=label,
        frames=Files(paths=(path,)),
        onset=0,
        apex=0,
        offset=0,
        split=clip.partition("/")[0],
        crop=crop,
        landmarks=(points,) if points else (),
        repairs=tuple(finding.rule for finding in repairs),
    )
    return [made, *repairs]


def _can_be(crop: Crop) -> bool:
    """Tells whether some picture that can be read has such a part."""
    fits = max(crop.x, crop.y, crop.width, crop.height) <= pictures.MAX_SIDE_PX
    return fits and min(crop.x, crop.y) >= 0 < crop.width * crop.height <= pictures.MAX_PIXELS


def _points(text: str) -> Points | None:
    """Returns the 68 points of "x1;y1;x2;y2;...", or None where the text holds no such thing."""
    try:
        numbers = [float(word) for word in text.split(";")]
    except ValueError:
        return None
    if len(numbers) != 2 * POINTS or not all(abs(number) <= LARGEST_PX for number in numbers):  # nan is not
        return None
    return struct.pack(f"<{2 * POINTS}f", *numbers)


def _without_landmarks(clip: str, what: str) -> Finding:
    text = f"{what}, so the landmarks of {clip} are found anew."
    return Finding(clip=clip, kind="repaired", text=text, rule="landmarks-detected")


def _read_set(found: _Found, name: str) -> None:
    """Reads `train_set` or `val_set`, in order of the numbers that its pictures are called."""
    root, split = found.root, SETS[name]
    notes = frozenset(listing.files_in(root, f"{name}/annotations"))
    files = [file for file in listing.files_in(root, f"{name}/images") if file.lower().endswith(listing.PICTURES)]
    pictures = sorted((len(file), file) for file in files)
    stems = [file.rpartition(".")[0] for _, file in pictures]
    if len(set(stems)) < len(stems):
        tables.refuse_duplicates(
            (f"{split}/{stem}", f"'{name}/images/{shown(file)}'")
            for stem, (_, file) in zip(stems, pictures, strict=True)
        )
    for stem, (_, file) in zip(stems, pictures, strict=True):
        clip = f"{split}/{stem}"
        try:
            _keep(found, _annotated(root, clip, f"{name}/images/{file}", notes))
        except AustickerError as fault:
            found.findings.append(Finding(clip=clip, kind="inconsistent", text=str(fault)))
    lonely = {note.removesuffix("_exp.npy") for note in notes if note.endswith("_exp.npy")} - set(stems)
    for stem in sorted(lonely):
        text = f"'{name}/annotations/{shown(stem)}_exp.npy' has no picture in '{name}/images': unpack it there."
        found.findings.append(Finding(clip=f"{split}/{shown(stem)}", kind="missing", text=text))


def _annotated(root: Path, clip: str, path: str, notes: Collection[str]) -> list[SourceClip | Finding]:
    """Returns the clip of a picture with what was repaired, or why it is left out.

    Raises:
        AustickerError: its name or its label makes no sense.
    """
    split, _, stem = clip.partition("/")
    folder = f"{path.partition('/')[0]}/annotations"
    if not listing.CLIP_NAME.fullmatch(clip):
        raise AustickerError(f"'{shown(path)}' needs a name of letters, digits, '_', '-' and '.': rename it.")
    if f"{stem}_exp.npy" not in notes:
        text = f"'{path}' has no '{folder}/{stem}_exp.npy' and is left out: unpack it there."
        return [Finding(clip=clip, kind="missing", text=text)]
    label = _label_of(root / f"{folder}/{stem}_exp.npy")
    points = f"{stem}_lnd.npy"
    repairs = () if points in notes else (_without_landmarks(clip, f"There is no '{folder}/{points}'"),)
    made = SourceClip(
        clip=clip,
        subject=clip,
        label=label,
        frames=Files(paths=(path,)),
        onset=0,
        apex=0,
        offset=0,
        split=split,
        landmarks=() if repairs else (f"{folder}/{points}",),
        repairs=tuple(finding.rule for finding in repairs),
    )
    return [made, *repairs]


def _label_of(path: Path) -> int:
    with paths.opened(path) as source:
        content = source.read(NPY_LIMIT + 1)
    label = None if len(content) > NPY_LIMIT else _label(content)
    if label is None:
        raise AustickerError(f"'{shown(path.name)}' holds no number from 0 to {len(LABELS) - 1}: unpack it again.")
    return label


@lru_cache(maxsize=64)
def _label(content: bytes) -> int | None:
    """Returns the label in a .npy file, or None; the files of one label are all the same, so few are ever parsed."""
    if not _NPY.fullmatch(content):
        return None
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError):
        return None
    text = str(array.reshape(-1)[0]).strip()
    return next((code for code in range(len(LABELS)) if text in {str(code), f"{code}.0"}), None)
