"""The 14 facial regions of interest: the one table of where they are, and the five named places of Fig. 4.

Source: the landmark definition in the deleted `main_au.py` of the public AU-Sticker repository (a centre from iBUG
landmarks plus an offset and a half-size in pixels of a 256-pixel face). Offsets and sizes scale with the face here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from austicker.types import Box, Floats, Point

REFERENCE_PX = 256
"""Width in pixels of the face for which the table's offsets and half-sizes were written."""
EYE_DISTANCE = 0.42
"""Distance of the eyes' centres on the aligned face, as a fraction of its width; tells the face's size elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One row of the table: iBUG points (0-based) whose mean is the anchor, and pixels at `REFERENCE_PX`."""

    number: int
    name: str
    landmarks: tuple[int, ...]
    dx_px: float
    dy_px: float
    half_width_px: float
    half_height_px: float
    action_units: tuple[int, ...]


def _region(
    number: int,
    name: str,
    landmarks: tuple[int, ...],
    offset: tuple[float, float],
    half: tuple[float, float],
    units: tuple[int, ...],
) -> Region:
    return Region(
        number=number,
        name=name,
        landmarks=landmarks,
        dx_px=offset[0],
        dy_px=offset[1],
        half_width_px=half[0],
        half_height_px=half[1],
        action_units=units,
    )


_EYE = (5, 6, 7, 43, 45)
_CHEEK = (6, 9, 11, 13)
_CORNER = (12, 14, 15, 20)

TABLE: tuple[Region, ...] = (
    _region(1, "outer-brow-left", (17, 18), (0, 0), (12, 10), (2, 4)),
    _region(2, "inner-brow-left", (20,), (0, 10), (15, 10), (1, 4)),
    _region(3, "inner-brow-right", (23,), (0, 10), (15, 10), (1, 4)),
    _region(4, "outer-brow-right", (25, 26), (0, 0), (12, 10), (2, 4)),
    _region(5, "eye-left", (37, 38), (-4, 0), (47, 21), _EYE),
    _region(6, "glabella", (21, 22), (2, 19), (30, 19), (4, 9)),
    _region(7, "eye-right", (43, 44), (10, 0), (47, 21), _EYE),
    _region(8, "cheek-left", (1, 29), (-25, 10), (35, 30), _CHEEK),
    _region(9, "cheek-right", (15, 29), (25, 10), (35, 30), _CHEEK),
    _region(10, "mouth-corner-left", (60,), (0, -2), (10, 12), _CORNER),
    _region(11, "philtrum", (33, 51), (0, -2), (30, 17), (9, 10)),
    _region(12, "mouth-corner-right", (64,), (0, -2), (10, 12), _CORNER),
    _region(13, "lips", (62, 66), (1, 2), (47, 20), (16, 18, 22, 23, 24, 25, 26, 27)),
    _region(14, "chin", (57, 8), (0, 0), (35, 21), (17, 26)),
)
NAMES: tuple[str, ...] = tuple(region.name for region in TABLE)

# The paper names five fixed positions in Fig. 4 but gives no coordinates; these are ours, in regions' own terms.
POSITIONS: tuple[str, ...] = ("forehead", "between-eyes", "left-cheek", "right-cheek", "chin")


def _point(xy: Floats) -> Point:
    return Point(x=float(xy[0]), y=float(xy[1]))


def face_width(landmarks: Floats, *, aspect: float) -> float:
    """Returns the width of the face as a fraction of the picture's, from the distance of its eyes; 1 when aligned.

    Args:
        landmarks: (68, 2) iBUG points as (x, y) fractions of the picture.
        aspect: width / height of the picture in pixels.
    """
    return float(_face_widths(landmarks[None], aspect)[0])


def _face_widths(landmarks: Floats, aspect: float) -> Floats:
    step = landmarks[:, 42:48].mean(axis=1) - landmarks[:, 36:42].mean(axis=1)
    widths: Floats = np.hypot(step[:, 0], step[:, 1] / aspect) / EYE_DISTANCE
    return widths


def boxes(landmarks: Floats, *, aspect: float) -> Floats:
    """Returns every region's box on several faces, (n, 14, 4): centre x and y, half the width and half the height.

    Args:
        landmarks: (n, 68, 2) iBUG points as (x, y) fractions of the picture.
        aspect: width / height of the picture in pixels.
    """
    unit = np.array([1.0, aspect], np.float32) * _face_widths(landmarks, aspect)[:, None] / REFERENCE_PX
    found = np.empty((len(landmarks), len(TABLE), 4), np.float32)
    for column, region in enumerate(TABLE):
        offset = np.array([region.dx_px, region.dy_px], np.float32)
        half = np.array([region.half_width_px, region.half_height_px], np.float32)
        found[:, column, :2] = landmarks[:, list(region.landmarks)].mean(axis=1) + offset * unit
        found[:, column, 2:] = half * unit
    return found


def locate(landmarks: Floats, *, aspect: float) -> Mapping[str, Box]:
    """Returns the box of every region on one face.

    Args:
        landmarks: (68, 2) iBUG points as (x, y) fractions of the picture.
        aspect: width / height of the picture in pixels.
    """
    (found,) = boxes(landmarks[None], aspect=aspect).tolist()
    return {
        name: Box(centre=Point(x=x, y=y), half_width=half_width, half_height=half_height)
        for name, (x, y, half_width, half_height) in zip(NAMES, found, strict=True)
    }


def named_position(name: str, landmarks: Floats) -> Point:
    """Returns one of the five fixed positions of Fig. 4 (`POSITIONS`) on one face.

    Args:
        name: a name of `POSITIONS`.
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.

    Raises:
        KeyError: the name is not one of `POSITIONS`.
    """
    brows, eyes, chin = landmarks[17:27].mean(axis=0), landmarks[36:48].mean(axis=0), landmarks[8]
    places = {
        "forehead": brows - 0.6 * (eyes - brows) - np.array([0.0, 0.04], np.float32),
        "between-eyes": (landmarks[39] + landmarks[42]) / 2,
        "left-cheek": (landmarks[2] + landmarks[31]) / 2,
        "right-cheek": (landmarks[14] + landmarks[35]) / 2,
        "chin": (landmarks[57] + chin) / 2,
    }
    return _point(places[name])
