"""Which way a face moves in an emotion: action units as data, and their blendshapes; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping

from austicker.regions import TABLE

EMOTIONS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "positive": ((6, 12),),  # happiness
    "negative": ((4, 7, 9, 10, 15, 17),),  # disgust with the lip corners of sadness
    "surprise": ((1, 2, 5, 26),),
}
"""Action units of each class' emotions (FACS / EMFACS), only those that a closed mouth can show."""

EXPRESSIONS: Mapping[str, Mapping[int, float]] = {
    "neutral": {},
    "anger": {4: 2.0, 7: 0.6, 17: 0.8, 24: 0.5},
    "contempt": {12: 0.5, 14: 1.1},
    "disgust": {4: 1.0, 7: 0.9, 9: 1.7, 10: 1.3, 17: 0.4},
    "fear": {1: 1.6, 2: 0.6, 4: 0.6, 5: 1.5, 20: 1.2, 26: 0.2},
    "happy": {6: 0.7, 12: 1.0},
    "sadness": {1: 1.8, 4: 0.7, 15: 1.5, 17: 0.4},
    "surprise": {1: 1.2, 2: 1.1, 5: 1.3, 26: 0.45},
}
"""Action units of a full expression (FACS / EMFACS) -> weight of their blendshapes, chosen by eye."""
ONE_SIDED = ("contempt",)
"""Expressions that only one side of the face shows."""

_SHAPES: Mapping[int, str] = {
    1: "browInnerUp",
    2: "browOuterUp*",
    4: "browDown*",
    5: "eyeWide*",
    6: "cheekSquint*",
    7: "eyeSquint*",
    9: "noseSneer*",
    10: "mouthUpperUp*",
    12: "mouthSmile*",
    14: "mouthDimple*",
    15: "mouthFrown*",
    17: "mouthShrugLower",
    20: "mouthStretch*",
    24: "mouthPress*",
    26: "jawOpen",
}
_BACKGROUND: Mapping[str, str] = {
    "outer-brow": "browOuterUp*",
    "inner-brow": "browDown*",
    "eye": "eyeLookUp*",
    "cheek": "cheekSquint*",
    "mouth-corner": "mouthStretch*",
    "glabella": "sideways",
    "philtrum": "sideways",
    "lips": "sideways",
    "chin": "sideways",
}
"""Movement of a region to which the emotion gives no unit; its sign is drawn, opposite on the two sides."""


def shapes(unit: int) -> tuple[str, ...]:
    """Returns the ARKit blendshapes of an action unit."""
    return sides(_SHAPES[unit])


def sides(shape: str) -> tuple[str, ...]:
    """Returns both sides' names of a blendshape pattern ("...*"), or the one name."""
    return (shape[:-1] + "Left", shape[:-1] + "Right") if shape.endswith("*") else (shape,)


def units_of(region: str, emotion: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the action units of an emotion that move a region.

    They are those of the region table, and AU 1 at the glabella, whose skin the inner brows pull up.
    """
    row = next(row for row in TABLE if row.name == region)
    units = (*row.action_units, 1) if region == "glabella" else row.action_units
    return tuple(unit for unit in emotion if unit in units)


def background(region: str) -> str:
    """Returns the background movement of a region: a blendshape pattern or "sideways"."""
    return _BACKGROUND[region.removesuffix("-left").removesuffix("-right")]


def side(region: str) -> int:
    """Returns -1 for a region on the image's left, 1 on its right and 0 on the midline."""
    return -1 if region.endswith("-left") else int(region.endswith("-right"))
