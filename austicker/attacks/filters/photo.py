"""The ten photo filters of Baia and others (Sensors 2022) on batches of pictures; chooses none and attacks nothing.

Constants and the order of steps are those of the public code; an intensity scales a filter's factors. Where a filter
lays colours over a picture, it copies what CSSgram's sheets of the same name do.

Not as the public code has it:
- Nothing is rounded to 8 bits between the steps.
- Red is red. Its gains and its mask of blue take the first colour for blue, as OpenCV's pictures have it; whether its
  pictures came so is open, and the gains are written for red, green and blue.
- A picture of one value has no gamma (there it divides by 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from austicker.attacks.filters import blending
from austicker.attacks.filters.blending import blended, colour, mixed, radial
from austicker.attacks.filters.toning import blue, brightness, contrast, gains, gamma, saturation, sepia

Filter = Callable[[Tensor, Tensor], Tensor]
"""Takes pictures (m, 3, h, w) RGB in 0..1 and intensities (m,), and returns other pictures."""

MASK_GAMMA = 1.3
"""Lark judges what is blue, and lays its gains, on a picture brightened by this, whatever the intensity."""


def clarendon(pictures: Tensor, by: Tensor) -> Tensor:
    """More contrast and colour, then less red and more blue."""
    pictures = saturation(contrast(pictures, 1.2 * by), 2.0 * by)
    return gains(pictures, (0.6, 1.0, 1.2), by)


def gingham(pictures: Tensor, by: Tensor) -> Tensor:
    """Brighter, and faded."""
    pictures = saturation(brightness(pictures, 1.1 * by), 1.1 * by)
    return contrast(pictures, 0.7 * by)


def juno(pictures: Tensor, by: Tensor) -> Tensor:
    """More contrast and colour, and lighter shades."""
    pictures = saturation(contrast(pictures, 1.15 * by), 1.1 * by)
    return gamma(pictures, 1.3 * by)


def reyes(pictures: Tensor, by: Tensor) -> Tensor:
    """Dusty: little contrast and colour, bright, less blue."""
    pictures = saturation(contrast(pictures, 0.8 * by), 0.7 * by)
    pictures = gamma(brightness(pictures, 1.2 * by), 1.2 * by)
    return gains(pictures, (1.1, 1.1, 1.0), by)


def lark(pictures: Tensor, by: Tensor) -> Tensor:
    """Darker shades, and what is blue bluer."""
    pictures = gamma(pictures, 0.8 * by)
    brighter = gamma(pictures, torch.full_like(by, MASK_GAMMA))
    return torch.where(blue(brighter), gains(brighter, (0.8, 0.8, 1.2), by), pictures)


def hudson(pictures: Tensor, by: Tensor) -> Tensor:
    """A cold light in the middle and dark corners."""
    light = mixed(colour((166, 177, 255), pictures), colour((52, 33, 52), pictures), radial(pictures))
    pictures = mixed(pictures, blended(pictures, light, blending.multiply), 0.5)
    pictures = contrast(brightness(pictures, 1.2 * by), 0.9 * by)
    return saturation(pictures, 1.1 * by)


def slumber(pictures: Tensor, by: Tensor) -> Tensor:
    """Brown shadows, and less colour."""
    pictures = blended(pictures, colour((69, 41, 12), pictures), blending.lighten, 0.4)
    pictures = blended(pictures, colour((125, 105, 24), pictures), blending.soft_light, 0.5)
    return brightness(saturation(pictures, 0.66 * by), 1.05 * by)


def stinson(pictures: Tensor, by: Tensor) -> Tensor:
    """A pink light, and faded."""
    pictures = blended(pictures, colour((240, 149, 128), pictures), blending.soft_light, 0.2)
    pictures = saturation(contrast(pictures, 0.75 * by), 0.85 * by)
    return brightness(pictures, 1.15 * by)


def rise(pictures: Tensor, by: Tensor) -> Tensor:
    """A warm light in the middle and brown corners."""
    outwards = radial(pictures)
    inner = blended(pictures, colour((236, 205, 169), pictures), blending.multiply, 0.15)
    outer = blended(pictures, colour((50, 30, 7), pictures), blending.multiply, 0.4)
    pictures = mixed(inner, outer, outwards)
    glowing = blended(pictures, colour((232, 197, 152), pictures), blending.overlay, 0.8)
    pictures = mixed(pictures, mixed(glowing, pictures, outwards), 0.6)
    pictures = sepia(brightness(pictures, 1.05 * by), 0.2 * by)
    return saturation(contrast(pictures, 0.9 * by), 0.9 * by)


def perpetua(pictures: Tensor, by: Tensor) -> Tensor:
    """Blue from above and yellow from below, as the public code lays them, although it names yellow first."""
    down = blending.vertical(pictures)
    light = mixed(colour((0, 91, 154), pictures), colour((230, 193, 61), pictures), down)
    return mixed(pictures, blended(pictures, light, blending.soft_light), 0.5 * by)


FILTERS: Mapping[str, Filter] = {
    step.__name__: step for step in (clarendon, gingham, juno, reyes, lark, hudson, slumber, stinson, rise, perpetua)
}


def named(name: str) -> Filter:
    """Returns a filter that takes intensities (m,)."""
    steps = FILTERS[name]

    def filtered(pictures: Tensor, intensity: Tensor) -> Tensor:
        return steps(pictures, intensity.to(pictures).view(-1, 1, 1, 1))

    return filtered


def applied(name: str, pictures: Tensor, strength: Tensor, intensity: Tensor) -> Tensor:
    """Returns (1 - s) x + s filter(x).

    Args:
        name: of the filter.
        pictures: x, (m, 3, h, w) RGB in 0..1.
        strength: s, (m,) in 0..1.
        intensity: (m,).
    """
    share = strength.to(pictures).view(-1, 1, 1, 1)
    return mixed(pictures, named(name)(pictures, intensity), share)
