"""The paper's policy, Eq. 1: the region of the highest out-degree in the fold's causal graph; and its variants.

"causal" is one graph of all training clips. "causal/stable", "causal/per-class" and "causal/per-subject" ask more
graphs (`austicker.choices`). For "per-class" the clip's own class decides: the wearer knows which emotion they hide.
"""

from __future__ import annotations

import numpy as np

from austicker.placements.scene import Scene
from austicker.registry import nearest
from austicker.types import AustickerError, Placement

KINDS = ("stable", "per-class", "per-subject")


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement | None:
    """Returns the winner's centre, or None where no graph has a directed edge and so none has a winner.

    Raises:
        AustickerError: the variant is unknown, or the scene lacks its graph or choice.
    """
    if argument is not None:
        if argument not in KINDS:
            hint = nearest(argument, KINDS) or f"; known: {', '.join(KINDS)}"
            raise AustickerError(f"Unknown variant '{argument}' in placement 'causal/...'{hint}.")
        return scene.place(argument, f"causal/{argument}")
    if scene.graph is None:
        raise AustickerError("Placement 'causal' needs a causal graph; run the discover stage for this fold first.")
    return None if scene.graph.winner is None else scene.at(scene.graph.winner, "causal")
