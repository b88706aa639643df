"""How deep a face is at each place, and so how a sticker there must bend; it touches no sticker.

The depth is that of an ellipsoid, our stand-in for the licensed 3-D face model of Wei, Guo and Yu (RHDE): it knows no
nose and no turned head. How a bend follows from the depth is theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from austicker.placements.random import BROWS, FOREHEAD, JAW
from austicker.types import AustickerError, Floats, Point

ROUNDNESS = 1.0
"""Depth of half a head over half its width: seen from above it is a circle (open in the papers; our choice)."""
REACH_PX = 20
"""Pixels over which the drop of depth tells the pitch, as published."""
STEEPEST_DEGREES = 40.0
"""Steepest slope that a pitch follows, as published; the sticker is pitched by half of the slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """The front of a head.

    Attributes:
        centre: as fractions of the picture.
        aspect: width / height of the picture in pixels.
        tilt: degrees by which the head leans, clockwise on the screen.
        half_width: as a fraction of the picture's width, like the two below.
        half_height: of the head from the chin to the hair.
        half_depth: how far its middle stands out from its rim.
    """

    centre: Point
    aspect: float
    tilt: float = 0.0
    half_width: float
    half_height: float
    half_depth: float

    @classmethod
    def of(cls, landmarks: Floats, aspect: float) -> Ellipsoid:
        """Returns the ellipsoid that touches the jaw's sides, the chin, and the hair as `placements.random` has it.

        Args:
            landmarks: (68, 2) iBUG points as (x, y) fractions of the picture.
            aspect: width / height of the picture in pixels.

        Raises:
            AustickerError: the landmarks are not finite or span no face.
        """
        points = landmarks.astype(np.float64) / (1.0, aspect)  # in widths of the picture
        left, right = (points[brow].mean(axis=0) for brow in BROWS)
        along = (right - left) / (np.hypot(*(right - left)) or 1.0)
        axes = np.array([along, [-along[1], along[0]]])  # rows: to the right and down, as the head sees it
        jaw, brows = points[JAW] @ axes.T, (left + right) / 2 @ axes.T
        chin = jaw[:, 1].max()
        low = np.array([jaw[:, 0].min(), brows[1] - FOREHEAD * (chin - brows[1])])
        high = np.array([jaw[:, 0].max(), chin])
        half = (high - low) / 2
        if not np.isfinite(half).all() or half.min() <= 0:
            raise AustickerError("A sticker cannot bend over landmarks that span no face; check the landmarks.")
        x, y = (low + high) / 2 @ axes * (1.0, aspect)
        return cls(
            centre=Point(x=float(x), y=float(y)),
            aspect=aspect,
            tilt=math.degrees(math.atan2(along[1], along[0])),
            half_width=float(half[0]),
            half_height=float(half[1]),
            half_depth=ROUNDNESS * float(half[0]),
        )

    def depth(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns how far places (..., 2) stand out, as fractions of the picture's width; 0 beyond the head's rim.

        Args:
            points: (x, y) as fractions of the picture.
        """
        x = points[..., 0] - self.centre.x
        y = (points[..., 1] - self.centre.y) / self.aspect
        cosine, sine = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        right, down = (x * cosine + y * sine) / self.half_width, (y * cosine - x * sine) / self.half_height
        found: NDArray[np.float64] = self.half_depth * np.sqrt(np.maximum(1 - right**2 - down**2, 0))
        return found


def bends(
    ellipsoid: Ellipsoid,
    centres: NDArray[np.floating],
    sticker_px: tuple[int, int],
    picture_px: tuple[int, int],
) -> NDArray[np.float64]:
    """Returns how a sticker bends at each of m places, (m, 3), read by `wearing.worn`.

    The columns are the coefficient a <= 0 per pixel of the parabola a (u - c)^2 that the paper follows, u pixels right
    of its middle; c, the column of the parabola's top in the same pixels; and the pitch in degrees, positive where the
    lower edge leans back.

    The top is the highest point of the face under the sticker. The parabola meets the face at the farther side of the
    sticker but is no steeper than a = -1 / distance (RHDE's code). The pitch is half the slope below the top where it
    is in the upper half, else half the slope above it.

    Args:
        ellipsoid: the face.
        centres: (m, 2) as (x, y) fractions of the picture.
        sticker_px: (width, height) of the sticker.
        picture_px: (width, height) of the picture.
    """
    width, height = sticker_px
    columns, rows = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    window = np.stack(np.meshgrid(columns, rows), axis=-1) / picture_px  # (h, w, 2)
    depth = ellipsoid.depth(centres[:, None, None, :] + window) * picture_px[0]  # (m, h, w)
    count = np.arange(len(depth))
    row, column = np.divmod(depth.reshape(len(depth), width * height).argmax(axis=1), width)
    highest = depth[count, row, column]

    right_half = column > (width - 1) / 2
    side = np.where(right_half, 0, width - 1)
    stride = np.maximum(np.abs(side - column), 1)
    drop = highest - depth[count, row, side]
    coefficient = np.maximum(-drop / stride**2, -1 / stride)

    down = row < height / 2
    step = np.minimum(REACH_PX, np.where(down, height - 1 - row, row))
    fall = highest - depth[count, np.where(down, row + step, row - step), column]
    slope = np.minimum(np.degrees(np.arctan2(fall, np.maximum(step, 1))), STEEPEST_DEGREES)
    return np.stack([coefficient, columns[column], np.where(down, slope, -slope) / 2], axis=1)
