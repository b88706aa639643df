"""The five fixed positions of the paper's Fig. 4, by the names of `austicker.regions.POSITIONS`."""

from __future__ import annotations

import numpy as np

from austicker import regions
from austicker.placements.scene import Scene
from austicker.registry import nearest
from austicker.types import AustickerError, Placement


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement:
    """Returns the position's centre.

    Raises:
        AustickerError: the argument is no position.
    """
    if argument not in regions.POSITIONS:
        hint = nearest(argument or "", regions.POSITIONS) or f"; known: {', '.join(regions.POSITIONS)}"
        raise AustickerError(f"Unknown position '{argument or ''}'{hint}.")
    return Placement(name=argument, region=None, centre=regions.named_position(argument, scene.landmarks))
