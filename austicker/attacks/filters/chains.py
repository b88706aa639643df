"""Sequences of photo filters as ways to change a clip, and the ranges of their parameters; imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Reals
from austicker.stickers import in_colour

if TYPE_CHECKING:
    from torch import Tensor

Range = tuple[float, float]
STRENGTH: Range = (0.7, 1.0)
INTENSITY: Mapping[str, Range] = {
    "clarendon": (0.9, 1.1),
    "gingham": (0.9, 1.1),
    "juno": (0.9, 1.1),
    "reyes": (0.9, 1.1),
    "lark": (0.9, 1.1),
    "hudson": (1.0, 1.15),
    "slumber": (1.0, 1.15),
    "stinson": (1.0, 1.15),
    "rise": (1.0, 1.15),
    "perpetua": (1.1, 1.45),
}
NAMES = tuple(INTENSITY)
LOW: Reals = np.array([(STRENGTH[0], low) for low, _ in INTENSITY.values()])
HIGH: Reals = np.array([(STRENGTH[1], high) for _, high in INTENSITY.values()])
"""Bounds (10, 2) of each filter's strength and intensity."""
START: Reals = np.clip(1.0, LOW, HIGH)
"""What a search starts from: 1, or for Perpetua's intensity its lowest value 1.1."""
DECIMALS = 4
"""Of the parameters in a recipe."""
CACHED = 2**19
"""Colour values that are filtered at once on a core: what stays in its cache is filtered three times as fast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterChains:
    """m sequences of l filters, each of which filters what the one before it left.

    Attributes:
        filters: (m, l) positions in `NAMES`.
        strength: (m, l) share of a filter's result beside what it was given.
        intensity: (m, l) scale of the filter's factors.
    """

    filters: NDArray[np.int64]
    strength: Reals
    intensity: Reals

    @classmethod
    def of(cls, filters: NDArray[np.int64], parameters: Reals) -> FilterChains:
        """Returns the sequences of filters (m, l) with (m, l, 2) strengths and intensities."""
        return cls(filters=filters, strength=parameters[..., 0], intensity=parameters[..., 1])

    @classmethod
    def of_recipe(cls, recipe: str) -> FilterChains:
        """Returns the one sequence of what `columns` wrote."""
        names, *parameters = zip(*json.loads(recipe), strict=True)
        return cls.of(np.array([[NAMES.index(name) for name in names]]), np.array(parameters, np.float64).T[None])

    @property
    def parameters(self) -> Reals:
        """Returns strengths and intensities (m, l, 2)."""
        return np.stack([self.strength, self.intensity], axis=-1)

    def __len__(self) -> int:
        return len(self.filters)

    def __getitem__(self, rows: Any) -> FilterChains:
        """Returns some of the sequences: a slice, a mask or positions."""
        return FilterChains(filters=self.filters[rows], strength=self.strength[rows], intensity=self.intensity[rows])

    @staticmethod
    def joined(chains: list[FilterChains]) -> FilterChains:
        """Returns several records of sequences of one length, one after the other."""
        return FilterChains(
            filters=np.concatenate([chain.filters for chain in chains]),
            strength=np.concatenate([chain.strength for chain in chains]),
            intensity=np.concatenate([chain.intensity for chain in chains]),
        )

    def applied(self, clips: Tensor) -> Tensor:
        """Returns filtered clips (m, t, c, h, w) of floats 0..255; what is given stays as it is.

        All frames of a clip get the same filters, each frame with its own mean and extremes. One channel is taken for
        three alike, and what becomes of them returns as their BT.601 luma.
        """
        import torch

        from austicker.attacks.filters.photo import applied

        frames = clips.shape[1]
        pictures = in_colour(clips.flatten(0, 1), "rgb") / 255  # (m t, 3, h, w), a copy
        for filters, strength, intensity in zip(self.filters.T, self.strength.T, self.intensity.T, strict=True):
            numbers = (torch.from_numpy(values.repeat(frames)).to(pictures) for values in (strength, intensity))
            strengths, intensities = numbers
            for filter_ in np.unique(filters):
                alike = torch.from_numpy(np.flatnonzero((filters == filter_).repeat(frames))).to(pictures.device)
                for rows in torch.split(alike, _at_once(pictures)):
                    pictures[rows] = applied(NAMES[filter_], pictures[rows], strengths[rows], intensities[rows])
        coloured = pictures if clips.shape[2] == 3 else in_colour(pictures, "gray")
        return (255 * coloured).clamp_(0, 255).view(clips.shape)

    def columns(self, row: int) -> dict[str, str]:
        """Returns the recipe of one sequence: a JSON list of name, strength and intensity of each filter in turn."""
        steps = zip(self.filters[row], self.strength[row], self.intensity[row], strict=True)
        recipe = [[NAMES[name], round(float(share), DECIMALS), round(float(by), DECIMALS)] for name, share, by in steps]
        return {"recipe": json.dumps(recipe, separators=(",", ":"))}


def _at_once(pictures: Tensor) -> int:
    """Returns how many pictures are filtered at once: all, but on a core only what its cache holds."""
    return max(1, CACHED // pictures[0].numel()) if pictures.device.type == "cpu" else len(pictures)
