"""Every position at a stride: the vulnerability map of a face, and the best place that a sticker of this size has."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Face, Walk, looks_at
from austicker.attacks.search import Search
from austicker.types import AustickerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the map.

    Attributes:
        stride: distance of neighbouring positions as a fraction of the aligned face's width, and of its height.
    """

    stride: float = 0.05

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if not 0.002 <= self.stride <= 1:
            raise AustickerError(f"The stride {self.stride:g} of a map is not between 0.002 and 1.")

    @property
    def side(self) -> int:
        """Returns how many positions there are across, and down."""
        return max(1, round(1 / self.stride))

    @property
    def queries(self) -> int:
        """Returns one query for each position."""
        return self.side**2

    def within(self, budget: int) -> Settings:
        """Returns a coarser map."""
        if budget >= self.queries:
            return self
        return replace(self, stride=1 / max(1, math.isqrt(budget)))


def positions(settings: Settings) -> NDArray[np.float64]:
    """Returns the centres (n, 2) as (x, y) fractions of the aligned face, row by row from the top left."""
    steps = (np.arange(settings.side) + 0.5) / settings.side
    down, across = np.meshgrid(steps, steps, indexing="ij")
    return np.stack([across.ravel(), down.ravel()], axis=1)


def walk(face: Face, settings: Settings) -> Walk:
    """Tries every position of the aligned face, the same on every face, so that the maps of many can be averaged."""
    yield looks_at(positions(settings))


attack = Search(access="label", settings=Settings, walk=walk, stops=False, maps=True)
