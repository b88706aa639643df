"""How one placement becomes a sticker on every frame of a clip: the three frame variants."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from austicker.placements import place
from austicker.placements.scene import ClipScene, Track
from austicker.registry import nearest
from austicker.types import AustickerError, Placement, Variant

VARIANTS: tuple[Variant, ...] = get_args(Variant)


def track(name: str, variant: Variant, clip: ClipScene, rng: np.random.Generator) -> Track | None:
    """Returns where the sticker is on every frame, or None where the placement has no answer.

    - "same-place": placed on the onset frame and left there, as a sticker on a still picture.
    - "per-frame": placed anew on each frame's landmarks, as a sticker on skin; every frame sees the same random
      numbers, so a random place moves with the face.
    - "apex-only": the place of "same-place", shown on the frame nearest the apex alone, so that the two variants
      differ in one thing.

    Raises:
        AustickerError: the variant or the placement is unknown.
    """
    if variant not in VARIANTS:
        hint = nearest(variant, VARIANTS) or f"; known: {', '.join(VARIANTS)}"
        raise AustickerError(f"Unknown frame variant '{variant}'{hint}.")
    frames = len(clip.landmarks)
    state = rng.bit_generator.state
    first = place(name, clip.frame(0), rng)
    if first is None:
        return None
    placements: list[Placement] = [first]
    for position in range(1, frames if variant == "per-frame" else 1):
        rng.bit_generator.state = state
        following = place(name, clip.frame(position), rng)
        if following is None:
            return None
        placements.append(following)
    centres = np.array([(placement.centre.x, placement.centre.y) for placement in placements], np.float32)
    shown = shown_frames(variant, clip)
    return Track(placement=first, centres=np.broadcast_to(centres, (frames, 2)).copy(), shown=shown)


def shown_frames(variant: Variant, clip: ClipScene) -> NDArray[np.bool_]:
    """Returns which frames of a clip get the sticker, (frame,)."""
    frames = np.arange(len(clip.landmarks))
    shown: NDArray[np.bool_] = frames == clip.apex if variant == "apex-only" else frames >= 0
    return shown
