"""Steps of photo filters that lay a colour over a picture, and the gradients they use; knows no filter.

The formulas are those of the W3C's "Compositing and Blending", with the picture as the backdrop. Pictures are
(m, 3, h, w) RGB in 0..1, colours (3, 1, 1) or (3, h, w).
"""

from __future__ import annotations

from collections.abc import Callable
from math import hypot

import torch
from torch import Tensor

Mode = Callable[[Tensor, Tensor], Tensor]
Colour = tuple[int, int, int]


def colour(values: Colour, like: Tensor) -> Tensor:
    """Returns a colour (3, 1, 1) of 8-bit values, in 0..1."""
    return like.new_tensor(values).view(3, 1, 1) / 255


def multiply(pictures: Tensor, over: Tensor) -> Tensor:
    """Returns the product."""
    return pictures * over


def lighten(pictures: Tensor, over: Tensor) -> Tensor:
    """Returns the larger of both."""
    return torch.maximum(pictures, over)


def overlay(pictures: Tensor, over: Tensor) -> Tensor:
    """Returns twice the product in dark places, and one minus twice the product of the complements in light ones."""
    return torch.where(pictures <= 0.5, 2 * pictures * over, 1 - 2 * (1 - pictures) * (1 - over))


def soft_light(pictures: Tensor, over: Tensor) -> Tensor:
    """Returns pictures that dark colours darken and light ones lighten."""
    root = torch.where(pictures <= 0.25, ((16 * pictures - 12) * pictures + 4) * pictures, pictures.sqrt())
    way = torch.where(over <= 0.5, pictures * (1 - pictures), root - pictures)
    return pictures + (2 * over - 1) * way


def blended(pictures: Tensor, over: Tensor, mode: Mode, opacity: float = 1.0) -> Tensor:
    """Returns pictures under a colour of some opacity."""
    return mixed(pictures, mode(pictures, over), opacity)


def mixed(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    """Returns a share of the second and the rest of the first, as Pillow's `Image.blend`."""
    return (first + share * (second - first)).clamp(0, 1)


def radial(pictures: Tensor) -> Tensor:
    """Returns the distance (h, w) from the middle, 1 in the corners.

    As in the public code the outermost pixels' middles lie on the picture's edge.
    """
    height, width = pictures.shape[-2:]
    across = torch.linspace(-width / 2, width / 2, width, device=pictures.device, dtype=pictures.dtype)
    down = torch.linspace(-height / 2, height / 2, height, device=pictures.device, dtype=pictures.dtype)
    return torch.hypot(across, down[:, None]) / (0.5 * hypot(width, height))


def vertical(pictures: Tensor) -> Tensor:
    """Returns the share (h, 1) of the way down, 0 in the first row and 1 in the last."""
    return torch.linspace(0, 1, pictures.shape[-2], device=pictures.device, dtype=pictures.dtype)[:, None]
