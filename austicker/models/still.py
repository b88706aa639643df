"""What recognisers of one picture share: the apex frame, brought to a square; holds no architecture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from austicker.models.recogniser import Recogniser, Statistics, to_square
from austicker.types import Clip

SHIFT = 1 / 16
"""Largest shift of a picture in training, as a share of its side."""


class StillRecogniser(Recogniser):
    """Looks at the apex alone; its network takes (clip, c, px, px)."""

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns the apex."""
        return (clip.apex,)

    def resize(self, pixels: Tensor) -> Tensor:
        """Resizes to the square input: bilinear, antialiased."""
        return to_square(pixels, self.settings.input_px)

    def augment(self, resized: Tensor, generator: torch.Generator) -> Tensor:
        """Mirrors half of the pictures and shifts each by up to a sixteenth; what comes in repeats the edge."""
        count, side = len(resized), resized.shape[-1]
        most = round(SHIFT * side)
        shifts = torch.randint(-most, most + 1, (2, count, 1), generator=generator)
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        rows, columns = (torch.arange(side) + shifts).clamp(0, side - 1)  # each (clip, px)
        columns = torch.where(mirrored, columns.flip(1), columns)
        rows, columns = rows[:, None, None, :, None], columns[:, None, None, None, :]
        return resized.take_along_dim(rows.to(resized.device), 3).take_along_dim(columns.to(resized.device), 4)

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Brings 0..255 to -1..1; (clip, c, px, px)."""
        return resized.squeeze(1) / 127.5 - 1

    def undecayed(self, network: nn.Module) -> Iterable[nn.Parameter]:
        """Returns what is no kernel: biases, and scale and shift of batch normalisation."""
        return [parameter for parameter in network.parameters() if parameter.ndim < 2]
