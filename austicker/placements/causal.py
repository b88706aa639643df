"""The paper's policy, Eq. 1: the region of the highest out-degree in the fold's causal graph."""

from __future__ import annotations

import numpy as np

from austicker import regions
from austicker.placements.scene import Scene
from austicker.types import AustickerError, Placement


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement | None:
    """Returns the winner's centre, or None where the graph has no directed edge and so no winner.

    Raises:
        AustickerError: an argument was given, or the scene has no graph.
    """
    if argument is not None:
        raise AustickerError(f"Placement 'causal/{argument}' takes no argument; write 'causal'.")
    if scene.graph is None:
        raise AustickerError("Placement 'causal' needs a causal graph; run the discover stage for this fold first.")
    if scene.graph.winner is None:
        return None
    centre = regions.locate(scene.landmarks, aspect=scene.aspect)[scene.graph.winner].centre
    return Placement(name="causal", region=scene.graph.winner, centre=centre)
