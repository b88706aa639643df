"""What a placement policy sees: the landmarks of a face and the fold's causal graph, never pixels or labels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from austicker.types import Floats, Placement, RegionGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One face.

    Attributes:
        aspect: width / height of the aligned face in pixels.
        graph: the fold's causal graph, or None where none was asked for.
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
    """

    aspect: float
    graph: RegionGraph | None = None
    landmarks: Floats = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScene:
    """The frames of one clip that a recogniser looks at; the first is the onset and `apex` is nearest the apex.

    Attributes:
        apex: position among these frames.
        landmarks: (frame, 68, 2) iBUG points as (x, y) fractions of the aligned face.
    """

    apex: int
    aspect: float
    graph: RegionGraph | None = None
    landmarks: Floats = field(compare=False, repr=False)

    def frame(self, position: int) -> Scene:
        """Returns one frame as a face of its own."""
        return Scene(aspect=self.aspect, graph=self.graph, landmarks=self.landmarks[position])


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Where a sticker is on every frame of one clip.

    Attributes:
        placement: where it is on the onset frame.
        centres: (frame, 2) float32 centres as (x, y) fractions of the aligned face.
        shown: (frame,) bool, False where the frame gets no sticker.
    """

    placement: Placement
    centres: Floats = field(compare=False, repr=False)
    shown: NDArray[np.bool_] = field(compare=False, repr=False)
