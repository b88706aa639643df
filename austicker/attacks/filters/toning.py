"""Steps of photo filters that change each colour by itself: contrast, saturation, curves; blends nothing.

Pictures are (m, 3, h, w) RGB in 0..1 and factors (m, 1, 1, 1), one for each picture; every step ends in 0..1. The
public code rounds to 8 bits after each step; nothing is rounded here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from austicker.attacks.filters.blending import mixed
from austicker.stickers import in_colour

KNOTS = (64 / 255, 128 / 255)
"""Between black and white, which stay, a gain's curve passes through gain times these."""
BLUE_HUE = (90, 130)
"""In OpenCV's half degrees, 0..179."""
BLUE_SATURATION, BLUE_VALUE = (50 / 255, 1.0), (30 / 255, 230 / 255)
SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""Rows are what red, green and blue become: the W3C's filter effects."""


def luma(pictures: Tensor) -> Tensor:
    """Returns the BT.601 luma (m, 1, h, w), which Pillow calls mode L."""
    return in_colour(pictures, "gray")


def contrast(pictures: Tensor, factor: Tensor) -> Tensor:
    """Returns pictures stretched about their mean luma, as Pillow's `ImageEnhance.Contrast`."""
    # A mean in double precision does not depend on how many pictures are beside it.
    mean = luma(pictures).double().mean((1, 2, 3), keepdim=True).to(pictures)
    return (mean + factor * (pictures - mean)).clamp_(0, 1)


def brightness(pictures: Tensor, factor: Tensor) -> Tensor:
    """Returns pictures times a factor, as Pillow's `ImageEnhance.Brightness`."""
    return (pictures * factor).clamp_(0, 1)


def saturation(pictures: Tensor, factor: Tensor) -> Tensor:
    """Returns pictures stretched about their luma, as Pillow's `ImageEnhance.Color`."""
    gray = luma(pictures)
    return (gray + factor * (pictures - gray)).clamp_(0, 1)


def gains(pictures: Tensor, factors: tuple[float, float, float], intensity: Tensor) -> Tensor:
    """Returns pictures whose colours went through curves.

    The public code looks values up on a spline through 0, 64, 128 and 255, where 64 and 128 are times the gain and the
    ends stay. Through four points that is one cubic: g x + (1 - g) x (x - a) (x - b) / ((1 - a) (1 - b)).

    Args:
        pictures: as everywhere here.
        factors: the gains g of red, green and blue.
        intensity: (m, 1, 1, 1), times which they are taken.
    """
    low, high = KNOTS
    gain = pictures.new_tensor(factors).view(3, 1, 1) * intensity  # (m, 3, 1, 1)
    bend = (1 - gain) / ((1 - low) * (1 - high))
    return (pictures * (gain + bend * (pictures - low) * (pictures - high))).clamp_(0, 1)


def gamma(pictures: Tensor, factor: Tensor) -> Tensor:
    """Returns pictures to the power 1 / factor between their lowest and highest value, which stay.

    The extremes are those of a picture's three colours together. A picture of one value stays as it is, where the
    public code divides by 0.
    """
    low, high = pictures.amin((1, 2, 3), keepdim=True), pictures.amax((1, 2, 3), keepdim=True)
    span = high - low
    share = (pictures - low) / span.clamp(min=torch.finfo(pictures.dtype).tiny)
    return (share ** (1 / factor) * span + low).clamp_(0, 1)


def blue(pictures: Tensor) -> Tensor:
    """Returns which pixels are blue (m, 1, h, w), by hue, saturation and value; bounds count, nothing is rounded."""
    value, least = pictures.amax(1, keepdim=True), pictures.amin(1, keepdim=True)
    span = value - least
    # Hues of 90 to 150 half degrees are those where blue is the largest; the bounds lie among them.
    hue = 120 + 30 * (pictures[:, :1] - pictures[:, 1:2]) / span.clamp(min=torch.finfo(pictures.dtype).tiny)
    by_hue = (pictures[:, 2:] == value) & (hue >= BLUE_HUE[0]) & (hue <= BLUE_HUE[1])
    by_saturation = (span >= BLUE_SATURATION[0] * value) & (span <= BLUE_SATURATION[1] * value)
    return by_hue & by_saturation & (value >= BLUE_VALUE[0]) & (value <= BLUE_VALUE[1])


def sepia(pictures: Tensor, amount: Tensor) -> Tensor:
    """Returns pictures of which an amount is turned to sepia."""
    rows = [pictures * pictures.new_tensor(row).view(3, 1, 1) for row in SEPIA]
    return mixed(pictures, torch.cat([row.sum(1, keepdim=True) for row in rows], 1), amount)
