"""How much of a picture an attack changed, as shares and similarities; attacks nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PEAK = 255.0
PACKED = 16
"""Pictures that are compared as the channels of one: twelve times as fast on a core as one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visibility:
    """What n attacked pictures look like beside the clean ones, arrays (n,) float64.

    Attributes:
        changed: share of pixels of which any channel differs.
        ssim: structural similarity, the mean over channels.
        psnr: peak signal-to-noise ratio in dB; infinite where nothing differs.
    """

    changed: NDArray[np.float64] = field(repr=False)
    ssim: NDArray[np.float64] = field(repr=False)
    psnr: NDArray[np.float64] = field(repr=False)


@torch.no_grad()
def measured(attacked: Tensor, clean: Tensor) -> Visibility:
    """Compares pictures (n, c, h, w) float32 0..255 with the clean ones, of the same shape."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    changed = (attacked != clean).any(1).double().mean((1, 2))
    psnr = peak_signal_noise_ratio(attacked, clean, data_range=PEAK, reduction="none", dim=(1, 2, 3))
    return Visibility(changed=_numbers(changed), ssim=ssim(attacked, clean), psnr=_numbers(psnr))


@torch.no_grad()
def ssim(attacked: Tensor, clean: Tensor) -> NDArray[np.float64]:
    """Returns the structural similarity (n,) of pictures (n, c, h, w) float32 0..255: Wang and others, 2004.

    Windows are Gaussian with a deviation of 1.5 pixels; the mean is over all pixels and channels.

    Raises:
        ValueError: the shapes differ.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    if attacked.shape != clean.shape:
        raise ValueError(f"pictures of shape {tuple(attacked.shape)} cannot be compared with {tuple(clean.shape)}")
    if not len(attacked):
        return np.zeros(0)
    maps = []
    # (n, c, h, w) -> planes (n c, h, w), which a convolution takes as channels
    pairs = (torch.split(pictures.flatten(0, 1), PACKED) for pictures in (attacked, clean))
    for some, other in zip(*pairs, strict=True):
        _, full = structural_similarity_index_measure(
            some[None], other[None], data_range=PEAK, reduction="none", return_full_image=True
        )
        maps.append(full[0].double().mean((1, 2)))
    return _numbers(torch.cat(maps).view(attacked.shape[:2]).mean(1))


def _numbers(values: Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.double().cpu().numpy()
    return numbers
