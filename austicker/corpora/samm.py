"""SAMM: gray clips of 29 people at 200 frames a second; reads its table and lists its frames, decodes nothing.

The table has rows of prose above its header, and faults of its own. Its action units are written in many ways; five
name alternatives. Public code decides those by optical flow, and four of its decisions are taken over where the text is
known, by the rule "published-alternative"; any other text is read as `austicker.action_units` says.
"""

from __future__ import annotations

import re
from pathlib import Path

from austicker.corpora import places, sequences, workbook
from austicker.corpora.source import Reading
from austicker.corpora.tables import Row

LABELS = ("anger", "contempt", "disgust", "fear", "happiness", "other", "sadness", "surprise")
TABLES = ("SAMM_Micro_FACS_Codes_v2.xlsx", "SAMM_*Micro_FACS_Codes_v2.xlsx")
"""The second holds the day of its release in its name."""
FOLDERS = ("SAMM", "SAMM_CROP", ".")
"""In order of preference: raw frames, then cropped ones, then a root that holds the people's folders itself."""
SUBJECT = re.compile(r"\d\d\d")
COLUMNS = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Action Units", "Estimated Emotion")
PUBLISHED_UNITS = {"(R6orR12)+R15": "R12+R15", "L12orL14": "L14", "R14Aor17Aor24A": "R14A"}
"""Text without blanks -> what public code reads; of a fifth text, read as R14, the wording is not known."""


def read(root: Path) -> Reading:
    """Reads the corpus below a folder.

    Raises:
        AustickerError: its table or frames are not there, a row is hostile or doubled, or no clip can be used.
    """
    wanted = places.Wanted(corpus="SAMM", tables=TABLES, folders=FOLDERS, person=SUBJECT, example="006")
    table, folder = places.table_and_folder(root, wanted)

    def annotate(index: int, row: Row, name: sequences.Name) -> sequences.Annotation:
        return _annotate(row, name, f"{folder}/{name[0]}/{name[1]}")

    annotations, faults = sequences.annotated(workbook.xlsx_rows(root / table, COLUMNS), _name, annotate)
    clips, findings = sequences.clips_of(root, annotations)
    findings = faults + findings
    sequences.refuse_none(clips, findings, f"SAMM in '{root / folder}'")
    return Reading(labels=LABELS, clips=tuple(clips), findings=tuple(findings), channels=1, annotations=(table,))


def _name(row: Row) -> sequences.Name:
    # Excel takes "006" for the number 6.
    return f"{row.whole('Subject'):03d}", row.text("Filename")


def _annotate(row: Row, name: sequences.Name, folder: str) -> sequences.Annotation:
    units, repairs = sequences.units_of(row, "Action Units", "/".join(name), PUBLISHED_UNITS)
    return sequences.Annotation(
        subject=name[0],
        name=name[1],
        label=sequences.label_of(row, "Estimated Emotion", LABELS),
        folder=folder,
        where=row.where,
        onset=row.whole("Onset Frame"),
        apex=sequences.apex_of(row, "Apex Frame"),
        offset=row.whole("Offset Frame"),
        action_units=units,
        repairs=repairs,
    )
