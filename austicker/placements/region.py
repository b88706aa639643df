"""A fixed facial region: "region/<name>", a name of `austicker.regions.NAMES`."""

from __future__ import annotations

import numpy as np

from austicker import regions
from austicker.placements.scene import Scene
from austicker.registry import nearest
from austicker.types import AustickerError, Placement


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement:
    """Returns the region's centre.

    Raises:
        AustickerError: the argument is no region.
    """
    boxes = regions.locate(scene.landmarks, aspect=scene.aspect)
    if argument is None or argument not in boxes:
        hint = nearest(argument or "", boxes) or f"; known: {', '.join(boxes)}"
        raise AustickerError(f"Unknown region '{argument or ''}' in placement 'region/...'{hint}.")
    return Placement(name=f"region/{argument}", region=argument, centre=boxes[argument].centre)
