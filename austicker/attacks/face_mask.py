"""The free skin of a face, where a sticker hides neither brow, eye, nose nor mouth; it searches nothing.

The published mask (Wei, Guo and Yu) is drawn from 81 points, of which 13 run along the hair. Ours has the 68 of iBUG
and the forehead that `placements.random.outline` adds; the features' polygons join the same points as theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Face, Reals
from austicker.placements.random import outline
from austicker.types import Floats
from austicker.wearing import canvas_px

FEATURES: tuple[tuple[int, ...], ...] = (
    tuple(range(17, 22)),  # brows
    tuple(range(22, 27)),
    tuple(range(36, 42)),  # eyes
    tuple(range(42, 48)),
    (27, *range(31, 36)),  # nose: its root and nostrils
    tuple(range(48, 60)),  # mouth
)
SUBPIXEL_BITS = 4
"""Corners of a polygon are placed to a sixteenth of a pixel."""
Places = NDArray[np.int64]
"""(m, 2) pixels as (column, row)."""


def free_skin(landmarks: Floats, size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns which pixels (h, w) are in the outline of the face and in none of its features.

    Args:
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
        size_px: (width, height) of the aligned face.

    Raises:
        AustickerError: the landmarks span no face.
    """
    width, height = size_px
    mask = np.zeros((height, width), np.uint8)
    features = [landmarks[list(points)].astype(np.float64) for points in FEATURES]
    for value, polygons in ((1, [outline(landmarks, aspect=width / height)]), (0, features)):
        for polygon in polygons:
            corners = polygon * (width, height) - 0.5  # OpenCV's (0, 0) is the middle of the first pixel
            cv2.fillPoly(mask, [np.rint(corners * 2**SUBPIXEL_BITS).astype(np.int32)], value, shift=SUBPIXEL_BITS)
    return mask.astype(np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skin:
    """The free skin of one face, and a sticker for it.

    Attributes:
        free: (h, w) as `free_skin` returns it.
        sticker_px: (width, height) of the sticker, of which every pixel counts: a search is not told which of them are
            transparent. Nor is it told how it will be bent; it lies flat here.
    """

    free: NDArray[np.bool_] = field(repr=False)
    sticker_px: tuple[int, int]

    @classmethod
    def of(cls, face: Face) -> Skin:
        """Returns the skin of a face, for its sticker."""
        return cls(free=free_skin(face.landmarks, face.size_px), sticker_px=face.sticker_px)

    def places(self) -> Places:
        """Returns all pixels of free skin, row by row."""
        rows, columns = np.nonzero(self.free)
        return np.stack([columns, rows], axis=1)

    def centres(self, places: Places) -> Reals:
        """Returns the centres (m, 2), fractions of the face, of stickers whose middle pixel is at the places.

        The middle of an even number of pixels is taken to be the earlier one; `stickers.composite` agrees.
        """
        even = np.array([side % 2 == 0 for side in self.sticker_px])
        height, width = self.free.shape
        centres: Reals = (places + 0.5 + 0.5 * even) / (width, height)
        return centres

    def outside(self, places: Places, rotation: Reals) -> NDArray[np.int64]:
        """Returns how many pixels (m,) of the turned sticker are not on free skin; beyond the picture is no skin.

        Args:
            places: (m, 2) the sticker's middle pixel as (column, row).
            rotation: (m,) degrees clockwise.
        """
        width, height = canvas_px(*self.sticker_px)
        padded = np.pad(self.free, ((height, height), (width, width)))
        columns, rows = np.arange(width) - (width - 1) // 2, np.arange(height) - (height - 1) // 2
        taken = ~padded[
            (places[:, 1, None] + height + rows)[:, :, None], (places[:, 0, None] + width + columns)[:, None]
        ]  # (m, canvas height, canvas width)
        angle = np.deg2rad(rotation)[:, None, None]
        across, down = np.arange(width) - (width - 1) / 2, (np.arange(height) - (height - 1) / 2)[:, None]
        x, y = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
        covered = (np.abs(x) <= self.sticker_px[0] / 2) & (np.abs(y) <= self.sticker_px[1] / 2)
        counts: NDArray[np.int64] = (covered & taken).sum(axis=(1, 2), dtype=np.int64)
        return counts

    def roomiest(self) -> Places:
        """Returns the one pixel (1, 2) of free skin from which an upright sticker reaches over the fewest others."""
        width, height = self.sticker_px
        found = cv2.boxFilter(
            self.free.astype(np.float32),
            -1,
            (width, height),
            anchor=((width - 1) // 2, (height - 1) // 2),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
        row, column = np.unravel_index(np.where(self.free, np.asarray(found), -1.0).argmax(), self.free.shape)
        return np.array([[column, row]], np.int64)
