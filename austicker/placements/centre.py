"""The centre of the picture: what the paper's published script does, whatever the face."""

from __future__ import annotations

import numpy as np

from austicker.placements.scene import Scene
from austicker.types import AustickerError, Placement, Point


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement:
    """Returns the middle of the aligned face.

    Raises:
        AustickerError: an argument was given.
    """
    if argument is not None:
        raise AustickerError(f"Placement 'centre/{argument}' takes no argument; write 'centre'.")
    return Placement(name="centre", region=None, centre=Point(x=0.5, y=0.5))
