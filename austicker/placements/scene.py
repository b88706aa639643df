"""What a placement policy sees: a face's landmarks, what the fold's training clips chose, and the class; never pixels.

The class is there for "causal/per-class" alone: the wearer knows which emotion they hide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from austicker import regions
from austicker.choices import RegionChoice
from austicker.types import AustickerError, Floats, Placement, RegionGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One face.

    Attributes:
        aspect: width / height of the aligned face in pixels.
        graph: the fold's causal graph, or None where none was asked for.
        choices: what other rules chose on the fold's training clips, by kind; those that were asked for.
        label: class of the clip, or None where nobody knows it.
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
    """

    aspect: float
    graph: RegionGraph | None = None
    choices: Mapping[str, RegionChoice] = field(default_factory=dict, hash=False)
    label: int | None = None
    landmarks: Floats = field(compare=False, repr=False)

    def place(self, kind: str, name: str) -> Placement | None:
        """Returns the centre of the region that one kind of choice made, or None where that had no answer.

        Args:
            kind: a kind of `austicker.choices`.
            name: the placement's full name.

        Raises:
            AustickerError: the choice is not here.
        """
        if kind not in self.choices:
            raise AustickerError(
                f"Placement '{name}' needs the region choice '{kind}'; make it on this fold's training clips first."
            )
        region = self.choices[kind].region(self.label)
        return None if region is None else self.at(region, name)

    def at(self, region: str, name: str) -> Placement:
        """Returns the centre of one region under a placement's name."""
        centre = regions.locate(self.landmarks, aspect=self.aspect)[region].centre
        return Placement(name=name, region=region, centre=centre)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipScene:
    """The frames of one clip that a recogniser looks at; the first is the onset and `apex` is nearest the apex.

    Attributes:
        apex: position among these frames.
        choices: as in `Scene`.
        label: as in `Scene`.
        landmarks: (frame, 68, 2) iBUG points as (x, y) fractions of the aligned face.
    """

    apex: int
    aspect: float
    graph: RegionGraph | None = None
    choices: Mapping[str, RegionChoice] = field(default_factory=dict, hash=False)
    label: int | None = None
    landmarks: Floats = field(compare=False, repr=False)

    def frame(self, position: int) -> Scene:
        """Returns one frame as a face of its own."""
        return Scene(
            aspect=self.aspect,
            graph=self.graph,
            choices=self.choices,
            label=self.label,
            landmarks=self.landmarks[position],
        )


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
