"""Random locations: the part of Brown et al. 2017 (arXiv 1712.09665) that the AU-Sticker paper borrows as a baseline.

The patch itself is not optimised. How many places are drawn, from what area and how a draw at the rim is cut is not
published; here the places are uniform over the face and the sticker is cut at the picture's rim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Face, Walk, looks_at
from austicker.attacks.search import Search
from austicker.placements.random import outline
from austicker.types import AustickerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a random search.

    Attributes:
        draws: places that are tried at most (k); not published.
        population: draws that are shown at once.
    """

    draws: int = 1000
    population: int = 20

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if self.draws < 1 or self.population < 1:
            raise AustickerError("A random search needs at least one draw, and a population of one.")

    @property
    def queries(self) -> int:
        """Returns one query for each draw."""
        return self.draws

    def within(self, budget: int) -> Settings:
        """Returns a search of fewer draws."""
        return replace(self, draws=min(self.draws, budget))


def walk(face: Face, settings: Settings) -> Walk:
    """Tries places that are uniform over the face, a population at a time."""
    hull = outline(face.landmarks, aspect=face.aspect)
    for start in range(0, settings.draws, settings.population):
        yield looks_at(places(hull, min(settings.population, settings.draws - start), face.rng))


def places(hull: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns points (count, 2) that are uniform within a convex outline (corners, 2)."""
    spokes = hull[1:] - hull[0]
    one, other = spokes[:-1], spokes[1:]  # a fan of triangles
    areas = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
    triangle = rng.choice(len(areas), size=count, p=areas / areas.sum())
    along, out = rng.random((2, count, 1))
    rim = (1 - along) * one[triangle] + along * other[triangle]
    found: NDArray[np.float64] = hull[0] + np.sqrt(out) * rim
    return found


attack = Search(access="label", settings=Settings, walk=walk)
