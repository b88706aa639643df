"""SMIC, high speed: the 164 cut clips (HS) and the long clips around them (E-HS); lists frames, decodes nothing.

HS has no table: a clip is a folder and its emotion the folder's name. Nowhere does SMIC mark an apex or an action unit.

E-HS comes in several layouts; which of them is the newest release's is not known here, so all that public code uses are
read: `SMIC-HS-E` (or `SMIC_HS_E`), in `HS_long` or not, with `s03/s3_sur_01/image308866.jpg`, and the layout of HS with
`micro` and the emotion as folders. A table `SMIC-HS-E_annotation.xlsx` (or .csv, or with a year in its name) with the
columns Subject, Filename, OnsetF and OffsetF says where the expression lies. A long clip without a row counts whole, by
the rule "whole-clip". Some rows name a second and third expression (Onset2F, Onset3F): the first is used, by the rule
"first-expression", so that a long clip stays one sample as in the papers.

Both sets name people and clips alike, so a folder's own name must tell them apart: HS is never looked for in folders
that are named for the long clips or the other cameras (NIR, VIS), and long clips are taken only from a folder that is
named for them or where their table lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from austicker.corpora import paths, places, sequences, tables, workbook
from austicker.corpora.source import Finding, Reading, SourceClip
from austicker.types import AustickerError

LABELS = ("negative", "positive", "surprise")
CODES = {"ne": "negative", "po": "positive", "su": "surprise", "sur": "surprise"}
"""The emotion in a clip's name, as in s3_sur_01."""
HS_FOLDERS = ("SMIC_all_raw/HS", "HS", "SMIC_all_cropped/HS", ".")
"""In order of preference: raw frames, then cropped ones, then a root that holds the people's folders itself."""
E_HS_FOLDERS = (
    *(
        f"{parent}{name}"
        for parent in ("SMIC-E_raw image/HS_long/", "HS_long/", "")
        for name in ("SMIC-HS-E/HS", "SMIC-HS-E", "SMIC_HS_E")
    ),
    "HS_long",
    ".",
)
E_HS_TABLES = tuple(
    f"{folder}SMIC-HS-E_annotation{suffix}"
    for suffix in ("_2019.xlsx", ".xlsx", "*.xlsx", "*.csv")
    for folder in ("", "HS_long/", "SMIC-HS-E/", "SMIC_HS_E/", "HS_long/SMIC-HS-E/", "HS_long/SMIC_HS_E/")
)
"""In order of preference, below the root or one level down."""
OTHER_CAMERAS = frozenset({"nir", "vis"})
SUBJECT = re.compile(r"s\d\d?")
_CODE = re.compile(r"[^_]+_([a-z]+)_.*")
_OPTIONAL = ("OnsetF", "Onset", "OffsetF", "Offset", "Onset2F", "Onset3F")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A clip's folder on disk; `emotion` is the folder or the code that names it."""

    subject: str
    name: str
    folder: str
    emotion: str

    @property
    def clip(self) -> str:
        """Returns the clip's name in the corpus."""
        return f"{self.subject}/{self.name}"


def read_hs(root: Path) -> Reading:
    """Reads the cut clips below a folder.

    Raises:
        AustickerError: no folder of theirs is there, a clip is there twice, or none can be used.
    """
    folder = places.find_folder(root, HS_FOLDERS, SUBJECT, lambda folder: _is_other(root, folder))
    if folder is None:
        raise AustickerError(
            f"No frames of SMIC-HS in '{root}': unpack {HS_FOLDERS[0]} there, with folders such as 's01' in it; what "
            "is called NIR, VIS, HS_long or like SMIC-HS-E holds other clips and is not entered."
        )
    found = list(_found(root, folder))
    tables.refuse_duplicates((each.clip, each.folder) for each in found)
    clips: list[SourceClip] = []
    findings: list[Finding] = []
    for each in found:
        clip, more = _whole(root, each, f"SMIC-HS clip {paths.shown(each.clip)}", ())
        clips += clip
        findings += more
    sequences.refuse_none(clips, findings, f"SMIC-HS in '{root / folder}'")
    return Reading(labels=LABELS, clips=tuple(clips), findings=tuple(findings))


def read_e_hs(root: Path) -> Reading:
    """Reads the long clips below a folder.

    Raises:
        AustickerError: no folder of theirs is there, a row is hostile, a clip is there twice, or none can be used.
    """
    names = places.find_tables(root, E_HS_TABLES)[:1]
    folder = places.find_folder(root, E_HS_FOLDERS, SUBJECT)
    if folder is None or not (names or _is_long(root, folder)):
        raise AustickerError(
            f"No frames of SMIC-E-HS in '{root}': unpack SMIC-HS-E or HS_long there, under that name and with folders "
            "such as 's01' in it, or put SMIC-HS-E_annotation.xlsx beside them."
        )
    found = list(_found(root, folder))
    tables.refuse_duplicates((each.clip, each.folder) for each in found)
    on_disk = {each.clip: each for each in found}

    def annotate(index: int, row: tables.Row, name: sequences.Name) -> sequences.Annotation:
        clip = "/".join(name)
        absent = _Found(subject=name[0], name=name[1], folder=f"{folder}/{clip}", emotion=_code(name[1]))
        return _annotate(row, on_disk.pop(clip, absent))

    annotations, findings = sequences.annotated(_rows(root, names), _name, annotate)
    clips, more = sequences.clips_of(root, annotations)
    findings += more
    for each in on_disk.values():
        text = "no table says where in the long clip the expression lies, so the whole clip counts"
        note = sequences.repaired(each.clip, f"'{each.folder}'", "whole-clip", text)
        clip, more = _whole(root, each, f"SMIC-E-HS clip {paths.shown(each.clip)}", (note,))
        clips += clip
        findings += more
    sequences.refuse_none(clips, findings, f"SMIC-E-HS in '{root / folder}'")
    return Reading(labels=LABELS, clips=tuple(clips), findings=tuple(findings), annotations=tuple(names))


def _is_other(root: Path, folder: str) -> bool:
    """Tells whether a folder holds long clips or those of another camera."""
    return _is_long(root, folder) or any(words & OTHER_CAMERAS for words in _words(root, folder))


def _is_long(root: Path, folder: str) -> bool:
    """Tells whether a folder, or one around it, is named like SMIC-HS-E, E_HS or HS_long."""
    return any("hs" in words and words & {"e", "long"} for words in _words(root, folder))


def _words(root: Path, folder: str) -> list[set[str]]:
    """Returns the words in the name of each folder on the way, the root's among them, in small letters."""
    place = root.resolve()
    # A root that is called HS has its meaning from the folder around it, as in SMIC-HS-E/HS.
    names = [place.parent.name, place.name] if place.name.lower() == "hs" else [place.name]
    return [set(re.split(r"[-_ ]", name.lower())) for name in (*names, *folder.split("/"))]


def _found(root: Path, folder: str) -> Iterator[_Found]:
    """Yields every clip's folder in order of subject and name."""
    subjects = [each for each in places.folders_in(root, folder) if SUBJECT.fullmatch(each)]
    for number, place in sorted((int(each[1:]), f"{folder}/{each}") for each in subjects):
        subject = f"s{number:02d}"
        inner = places.folders_in(root, place)
        if "micro" not in inner:
            for name in inner:
                yield _Found(subject=subject, name=name, folder=f"{place}/{name}", emotion=_code(name))
            continue
        for emotion in places.folders_in(root, f"{place}/micro"):
            for name in places.folders_in(root, f"{place}/micro/{emotion}"):
                yield _Found(subject=subject, name=name, folder=f"{place}/micro/{emotion}/{name}", emotion=emotion)


def _code(name: str) -> str:
    found = _CODE.fullmatch(name)
    return CODES.get(found[1], "") if found else ""


def _label(found: _Found) -> int:
    if found.emotion.lower() not in LABELS:
        raise AustickerError(
            f"'{paths.shown(found.folder, 200)}' lies in no folder of an emotion and its name holds none of "
            f"{', '.join(CODES)}: name it as the corpus does."
        )
    return LABELS.index(found.emotion.lower())


def _whole(
    root: Path, found: _Found, where: str, repairs: tuple[Finding, ...]
) -> tuple[list[SourceClip], list[Finding]]:
    """Makes a clip of all pictures of a folder."""
    try:
        label = _label(found)
    except AustickerError as fault:
        return [], [Finding(clip=found.clip, kind="inconsistent", text=str(fault))]
    try:
        numbers = paths.pictures_in(root, paths.inside(root, found.folder))
    except paths.Unusable as fault:
        return [], [Finding(clip=found.clip, kind=fault.kind, text=str(fault))]
    annotation = sequences.Annotation(
        name=found.name,
        subject=found.subject,
        label=label,
        folder=found.folder,
        where=where,
        onset=min(numbers, default=0),
        apex=None,
        offset=max(numbers, default=0),
        repairs=repairs,
    )
    return sequences.clips_of(root, [annotation])


def _rows(root: Path, names: list[str]) -> Iterator[tables.Row]:
    for name in names:
        read = tables.csv_rows if name.endswith(".csv") else workbook.xlsx_rows
        yield from read(paths.inside(root, name), ("Subject", "Filename"), _OPTIONAL)


def _name(row: tables.Row) -> sequences.Name:
    text = row.text("Subject").lower()
    number = int(text[1:]) if SUBJECT.fullmatch(text) else row.whole("Subject")
    return f"s{number:02d}", row.text("Filename")


def _annotate(row: tables.Row, found: _Found) -> sequences.Annotation:
    repairs: tuple[Finding, ...] = ()
    if row.optional("Onset2F") or row.optional("Onset3F"):
        text = "the row names several expressions, of which the first is used"
        repairs = (sequences.repaired(found.clip, row.where, "first-expression", text),)
    onset, offset = (
        next((column for column in columns if row.optional(column)), columns[0])
        for columns in (("OnsetF", "Onset"), ("OffsetF", "Offset"))
    )
    return sequences.Annotation(
        name=found.name,
        subject=found.subject,
        label=_label(found),
        folder=found.folder,
        where=row.where,
        onset=row.whole(onset),
        apex=None,
        offset=row.whole(offset),
        repairs=repairs,
    )
