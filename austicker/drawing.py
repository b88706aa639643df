"""Draws the eight stickers that the package ships; nothing here runs during an evaluation.

`python -m austicker.drawing` remakes `austicker/data/sticker-*.png`. The art is ours: the paper's pictures belong to
third parties, so the motifs are kept and the drawings are new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.types import Bytes

SIDE_PX = 256
SUPERSAMPLING = 4

Colour = tuple[int, int, int]
Points = NDArray[np.float64] | Sequence[tuple[float, float]]

INK: Colour = (38, 28, 24)
WHITE: Colour = (255, 255, 255)
YELLOW: Colour = (255, 207, 44)


class Canvas:
    """A transparent square of `SIDE_PX` on which later shapes cover earlier ones; coordinates are (x, y) pixels."""

    def __init__(self) -> None:
        side = SIDE_PX * SUPERSAMPLING
        self._pixels: Bytes = np.zeros((side, side, 4), np.uint8)

    def ellipse(self, centre: tuple[float, float], radii: tuple[float, float], colour: Colour) -> None:
        """Fills an ellipse with horizontal and vertical `radii`."""
        turn = np.linspace(0, 2 * np.pi, 721)[:-1]
        self.polygon(np.stack([centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)], 1), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fills a circle."""
        self.ellipse((x, y), (radius, radius), colour)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fills a polygon."""
        cv2.fillPoly(self._pixels, [_grid(points)], (*colour, 255))

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """Draws an open line with round ends and joints."""
        cv2.polylines(self._pixels, [_grid(points)], False, (*colour, 255), round(width * SUPERSAMPLING))

    def picture(self) -> Bytes:
        """Returns the anti-aliased drawing, (h, w, 4) straight-alpha RGBA."""
        blocks = self._pixels.reshape(SIDE_PX, SUPERSAMPLING, SIDE_PX, SUPERSAMPLING, 4).astype(np.float64)
        alpha = blocks[..., 3:].sum(axis=(1, 3))
        colour = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.maximum(alpha, 1)
        return np.concatenate([colour, alpha / SUPERSAMPLING**2], axis=2).round().astype(np.uint8)


def _grid(points: Points) -> NDArray[np.int32]:
    return np.round(np.asarray(points) * SUPERSAMPLING).astype(np.int32)


def _arc(centre: tuple[float, float], radii: tuple[float, float], degrees: tuple[float, float]) -> Points:
    """Returns points on an ellipse; 0 degrees points right and 90 degrees down, as on the screen."""
    turn = np.radians(np.linspace(*degrees, 91))
    return np.stack([centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)], 1)


def _wheel(spokes: int, outer: float, inner: float, centre_y: float) -> Points:
    """Returns a closed star whose first point is at the top."""
    turn = np.linspace(0, 2 * np.pi, 2 * spokes + 1) - np.pi / 2
    radius = np.where(np.arange(2 * spokes + 1) % 2 == 0, outer, inner)
    return np.stack([128 + radius * np.cos(turn), centre_y + radius * np.sin(turn)], 1)


def monkey() -> Canvas:
    """Draws sticker (a): a monkey's head."""
    canvas, fur, skin = Canvas(), (132, 82, 44), (240, 200, 156)
    for side in (-1, 1):
        canvas.disc(128 + side * 93, 122, 34, INK)
        canvas.disc(128 + side * 93, 122, 26, fur)
        canvas.disc(128 + side * 93, 122, 15, skin)
    canvas.line([(128, 34), (116, 14)], 22, INK)
    canvas.line([(130, 34), (146, 16)], 22, INK)
    canvas.ellipse((128, 130), (97, 108), INK)
    canvas.ellipse((128, 130), (88, 99), fur)
    canvas.line([(128, 40), (117, 17)], 8, fur)
    canvas.line([(130, 40), (144, 19)], 8, fur)
    for side in (-1, 1):
        canvas.ellipse((128 + side * 33, 108), (39, 44), skin)
    canvas.ellipse((128, 172), (71, 52), skin)
    for side in (-1, 1):
        canvas.ellipse((128 + side * 31, 108), (14, 19), INK)
        canvas.disc(128 + side * 31 + 4, 100, 5.5, WHITE)
        canvas.ellipse((128 + side * 9, 148), (5, 7), INK)
    canvas.line(_arc((128, 168), (40, 26), (12, 168)), 9, INK)
    return canvas


def sun() -> Canvas:
    """Draws sticker (b): a sun with pointed rays."""
    canvas, rim, ray = Canvas(), (132, 50, 6), (255, 156, 26)
    rays = _wheel(12, 116, 78, 128)
    canvas.polygon(rays, rim)
    canvas.line(rays, 18, rim)
    canvas.polygon(rays, ray)
    canvas.disc(128, 128, 76, rim)
    canvas.disc(128, 128, 68, (255, 200, 30))
    canvas.disc(122, 122, 56, (255, 222, 74))
    return canvas


def heart() -> Canvas:
    """Draws sticker (c): a heart."""
    canvas, turn = Canvas(), np.linspace(0, 2 * np.pi, 721)
    height = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    outline = np.stack([128 + 6.9 * 16 * np.sin(turn) ** 3, 118 - 7.2 * height], 1)
    canvas.polygon(outline, (222, 28, 52))
    canvas.line(outline, 14, (98, 6, 24))
    canvas.line(_arc((80, 92), (32, 32), (190, 262)), 15, (255, 168, 178))
    return canvas


def star() -> Canvas:
    """Draws sticker (d): a yellow cartoon star with rounded points."""
    canvas, shape = Canvas(), _wheel(5, 104, 55, 138)
    canvas.line(shape, 44, INK)
    canvas.polygon(shape, (255, 214, 40))
    canvas.line(shape, 26, (255, 214, 40))
    for side in (-1, 1):
        canvas.ellipse((128 + side * 23, 128), (9, 15), INK)
        canvas.disc(128 + side * 23 + 3, 122, 4, WHITE)
    canvas.line(_arc((128, 152), (20, 14), (15, 165)), 8, INK)
    return canvas


def _face(skin: Colour, shade: Colour) -> Canvas:
    canvas = Canvas()
    canvas.disc(128, 128, 122, INK)
    canvas.disc(128, 128, 112, shade)
    canvas.disc(128, 123, 106, skin)
    return canvas


def angry() -> Canvas:
    """Draws sticker (e): a red face with lowered brows."""
    canvas = _face((240, 84, 52), (206, 54, 36))
    for side in (-1, 1):
        canvas.ellipse((128 + side * 42, 124), (15, 19), INK)
        canvas.line([(128 + side * 78, 76), (128 + side * 20, 108)], 17, INK)
    canvas.line(_arc((128, 200), (42, 32), (200, 340)), 15, INK)
    return canvas


def happy() -> Canvas:
    """Draws sticker (f): a yellow face that laughs."""
    canvas = _face(YELLOW, (240, 168, 24))
    for side in (-1, 1):
        canvas.ellipse((128 + side * 42, 92), (15, 23), INK)
        canvas.disc(128 + side * 42 + 5, 83, 6, WHITE)
    canvas.polygon(_arc((128, 138), (74, 74), (0, 180)), INK)
    canvas.polygon(_arc((128, 144), (64, 62), (0, 180)), (150, 28, 36))
    canvas.polygon([(64, 144), (192, 144), (186, 166), (70, 166)], WHITE)
    canvas.ellipse((128, 196), (36, 13), (244, 104, 116))
    return canvas


def sad() -> Canvas:
    """Draws sticker (g): a yellow face with a frown and a tear."""
    canvas, tear = _face(YELLOW, (240, 168, 24)), (70, 160, 246)
    for side in (-1, 1):
        canvas.ellipse((128 + side * 42, 114), (15, 20), INK)
        canvas.line([(128 + side * 72, 86), (128 + side * 24, 66)], 12, INK)
    canvas.line(_arc((116, 212), (40, 36), (205, 335)), 14, INK)
    for grow, colour in ((7, INK), (0, tear)):
        canvas.polygon([(196, 138 - 2 * grow), (196 + 17 + grow, 180), (196 - 17 - grow, 180)], colour)
        canvas.disc(196, 184, 18 + grow, colour)
    canvas.disc(190, 187, 5.5, WHITE)
    return canvas


def shocked() -> Canvas:
    """Draws sticker (h): a pale yellow face with wide eyes and an open mouth."""
    canvas = _face((255, 226, 120), (240, 190, 70))
    for side in (-1, 1):
        canvas.disc(128 + side * 44, 106, 34, INK)
        canvas.disc(128 + side * 44, 106, 27, WHITE)
        canvas.disc(128 + side * 44, 106, 10, INK)
        canvas.line(_arc((128 + side * 46, 66), (30, 20), (205, 335)), 10, INK)
    canvas.ellipse((128, 188), (29, 39), INK)
    canvas.ellipse((128, 196), (18, 24), (150, 28, 36))
    return canvas


DRAWINGS: Mapping[str, Callable[[], Canvas]] = {
    "monkey": monkey,
    "sun": sun,
    "heart": heart,
    "star": star,
    "angry": angry,
    "happy": happy,
    "sad": sad,
    "shocked": shocked,
}


def main() -> None:
    """Writes every drawing into the package data."""
    for name, draw in DRAWINGS.items():
        path = Path(__file__).parent / "data" / f"sticker-{name}.png"
        cv2.imwrite(str(path), cv2.cvtColor(draw().picture(), cv2.COLOR_RGBA2BGRA))


if __name__ == "__main__":
    main()
