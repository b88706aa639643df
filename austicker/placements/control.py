"""The controls: regions chosen without causality, which tell whether causality is what helps; one query, as `causal`.

All but "control/random-region" go where a rule of `austicker.choices` sends every clip of the fold.
"""

from __future__ import annotations

import numpy as np

from austicker import regions
from austicker.placements.scene import Scene
from austicker.registry import nearest
from austicker.types import AustickerError, Placement

CHOSEN = ("permuted", "blank", "correlation", "motion", "tuned")
KINDS = (*CHOSEN, "random-region")


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement | None:
    """Returns the centre of the control's region, or None where its rule has no answer.

    "random-region" draws one of the 14 regions for every clip, each as likely as the other.

    Raises:
        AustickerError: the control is unknown, or the scene lacks its choice.
    """
    if argument not in KINDS:
        hint = nearest(argument or "", KINDS) or f"; known: {', '.join(KINDS)}"
        raise AustickerError(f"Unknown control '{argument or ''}' in placement 'control/...'{hint}.")
    name = f"control/{argument}"
    if argument == "random-region":
        return scene.at(regions.NAMES[int(rng.integers(len(regions.NAMES)))], name)
    return scene.place(argument, name)
