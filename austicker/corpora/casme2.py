"""CASME II: colour clips of 26 people at 200 frames a second; reads its table and lists its frames, decodes nothing.

The release of 2019 is preferred to the older ones, whose labels differ in a few clips, and raw frames to cropped ones,
for faces are aligned here. Public code sets one offset of the older tables to 91; the same is done here where the table
itself shows that the offset is wrong, as the rule "offset-91". Missing apexes, which that code estimates from optical
flow, are placed by the rules of `sequences`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from austicker.corpora import places, sequences, workbook
from austicker.corpora.source import Reading
from austicker.corpora.tables import Row

LABELS = ("happiness", "disgust", "repression", "surprise", "others", "sadness", "fear")
TABLES = ("CASME2-coding-20190701.xlsx", "CASME2-coding-updated.xlsx", "CASME2-coding-20140508.xlsx")
"""In order of preference."""
FOLDERS = ("CASME2_RAW_selected", "CASME2-RAW", "Cropped", "Cropped_original", "Cropped-updated/Cropped")
"""In order of preference: raw frames, then cropped ones."""
SUBJECT = re.compile(r"(sub)?\d\d")
COLUMNS = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion")
OFFSET_91_TABLES = TABLES[1:]
OFFSET_91_ROW = 60
"""The row that public code mends, counted from 0 below the header."""


def read(root: Path) -> Reading:
    """Reads the corpus below a folder.

    Raises:
        AustickerError: its table or frames are not there, a row is hostile or doubled, or no clip can be used.
    """
    wanted = places.Wanted(corpus="CASME II", tables=TABLES, folders=FOLDERS, person=SUBJECT, example="sub01")
    table, folder = places.table_and_folder(root, wanted)
    prefix = "sub" if any(name.startswith("sub") for name in places.folders_in(root, folder)) else ""

    def annotate(index: int, row: Row, name: sequences.Name) -> sequences.Annotation:
        annotation = _annotate(row, name, f"{folder}/{prefix}{name[0][3:]}/{name[1]}")
        # The row's number alone proves nothing: a release may have been sorted or mended.
        return _offset_91(annotation) if Path(table).name in OFFSET_91_TABLES and index == OFFSET_91_ROW else annotation

    annotations, faults = sequences.annotated(workbook.xlsx_rows(root / table, COLUMNS), _name, annotate)
    clips, findings = sequences.clips_of(root, annotations)
    findings = faults + findings
    sequences.refuse_none(clips, findings, f"CASME II in '{root / folder}'")
    return Reading(labels=LABELS, clips=tuple(clips), findings=tuple(findings), annotations=(table,))


def _name(row: Row) -> sequences.Name:
    return f"sub{row.whole('Subject'):02d}", row.text("Filename")


def _annotate(row: Row, name: sequences.Name, folder: str) -> sequences.Annotation:
    units, repairs = sequences.units_of(row, "Action Units", "/".join(name), {})
    return sequences.Annotation(
        subject=name[0],
        name=name[1],
        label=sequences.label_of(row, "Estimated Emotion", LABELS),
        folder=folder,
        where=row.where,
        onset=row.whole("OnsetFrame"),
        apex=sequences.apex_of(row, "ApexFrame"),
        offset=row.whole("OffsetFrame"),
        action_units=units,
        repairs=repairs,
    )


def _offset_91(row: sequences.Annotation) -> sequences.Annotation:
    """Sets the offset to 91 where it lies before onset or apex and 91 does not."""
    latest = row.onset if row.apex is None else max(row.onset, row.apex)
    if not row.offset <= latest < 91:
        return row
    text = f"offset {row.offset} cannot be, so 91 is used as in public code"
    repairs = (*row.repairs, sequences.repaired(row.clip, row.where, "offset-91", text))
    return replace(row, offset=91, repairs=repairs)
