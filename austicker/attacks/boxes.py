"""Filled rectangles over the eyes or the jaw, after Shehu, Browne and Eisenbarth: Type A and Type B.

The paper shows rectangles on both eyes ("instead of having glasses on the face") and one on the jaw, and says neither
how large they are nor in what colour. Here their sizes are multiples of what the landmarks span, and they are black.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from austicker.attacks.looks import Reals
from austicker.attacks.search import Once
from austicker.types import AustickerError, Floats

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.oracle import Oracle
    from austicker.attacks.trials import Trials

EYES = (range(36, 42), range(42, 48))
"""iBUG points of the eyes, on the image's left and right."""
LOWER_LIP, JAW = 57, range(4, 13)
"""The lower lip's lowest point, and the jaw from one side of the chin to the other."""
LARGEST = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Boxes:
    """What both kinds of boxes have in common; the paper says none of it.

    Attributes:
        width: of a box, as a multiple of its part's width.
        height: of a box, as a multiple of its part's height.
        value: gray level of its pixels, 0 for black to 255 for white.
    """

    part: ClassVar[str]
    width: float
    height: float
    value: float = 0.0

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        for name in ("width", "height"):
            size = getattr(self, name)
            if not (math.isfinite(size) and 0 < size <= LARGEST):
                raise AustickerError(f"The {name} {size:g} of a box is not above 0 and at most {LARGEST:g}.")
        if not 0 <= self.value <= 255:
            raise AustickerError(f"The value {self.value:g} of a box is no gray level from 0 (black) to 255 (white).")

    @property
    def queries(self) -> int:
        """Returns one query."""
        return 1

    def within(self, budget: int) -> Any:
        """Returns the settings as they are: less than one query is no attack."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class EyeBoxes(_Boxes):
    """One box on each eye; an eye is high as its lids are open, so the default box has the height of glasses."""

    part: ClassVar[str] = "eyes"
    width: float = 1.6
    height: float = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class JawBox(_Boxes):
    """One box from below the lower lip to the chin, as wide as the jaw is there."""

    part: ClassVar[str] = "jaw"
    width: float = 1.0
    height: float = 1.0


def rectangles(landmarks: Floats, settings: EyeBoxes | JawBox) -> Reals:
    """Returns the boxes (k, 4) of a face as left, top, right and bottom, in fractions of the aligned face.

    Args:
        landmarks: (68, 2) iBUG points as (x, y) fractions.
        settings: which boxes, and how large.
    """
    points = np.asarray(landmarks, np.float64)
    if settings.part == "eyes":
        parts = [points[list(eye)] for eye in EYES]
    else:
        jaw = points[list(JAW)]
        parts = [np.array([[jaw[:, 0].min(), points[LOWER_LIP, 1]], jaw.max(axis=0)])]
    corners = np.array([[part.min(axis=0), part.max(axis=0)] for part in parts])  # (k, 2, 2)
    middle, half = corners.mean(axis=1), np.diff(corners, axis=1)[:, 0] / 2 * (settings.width, settings.height)
    return np.concatenate([middle - half, middle + half], axis=1)


def painted(clips: Tensor, boxes: Reals, value: float) -> Tensor:
    """Returns clips (m, t, c, h, w) with boxes (m, k, 4) filled; a pixel belongs to a box where its middle does."""
    import torch

    height, width = clips.shape[-2:]
    x = (torch.arange(width, device=clips.device).double() + 0.5) / width
    y = (torch.arange(height, device=clips.device).double() + 0.5) / height
    left, top, right, bottom = torch.from_numpy(boxes).to(clips.device)[..., None].unbind(2)  # (m, k, 1) each
    across, down = (left <= x) & (x < right), (top <= y) & (y < bottom)  # (m, k, w), (m, k, h)
    covered = (down[..., None] & across[:, :, None]).any(1)[:, None, None]  # (m, 1, 1, h, w)
    return torch.where(covered, torch.full((), value, dtype=clips.dtype, device=clips.device), clips)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Painted:
    """Boxes on m clips, as an `Edit`: boxes (m, k, 4) as `rectangles` returns them."""

    boxes: Reals
    value: float

    @classmethod
    def of_recipe(cls, recipe: str) -> Painted:
        """Returns the boxes on one clip of what `columns` wrote."""
        read = json.loads(recipe)
        return cls(boxes=np.array([read["boxes"]]), value=read["value"])

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Painted:
        """Returns some of them."""
        return Painted(boxes=self.boxes[rows], value=self.value)

    @staticmethod
    def joined(edits: list[Painted]) -> Painted:
        """Returns several batches of one value as one."""
        return Painted(boxes=np.concatenate([edit.boxes for edit in edits]), value=edits[0].value)

    def applied(self, clips: Tensor) -> Tensor:
        """Returns the clips with their boxes."""
        return painted(clips, self.boxes, self.value)

    def columns(self, row: int) -> dict[str, Any]:
        """Returns the boxes and their value as JSON."""
        recipe = {"boxes": np.round(self.boxes[row], 4).tolist(), "value": self.value}
        return {"recipe": json.dumps(recipe, separators=(",", ":"))}


def boxed(oracle: Oracle, trials: Trials, settings: EyeBoxes | JawBox) -> Painted:
    """Returns boxes where they lie on the onset frame of each clip; asks nothing."""
    boxes = [rectangles(face.landmarks, settings) for face in trials.faces]
    return Painted(boxes=np.array(boxes), value=settings.value)


BOXES: dict[str, type[EyeBoxes] | type[JawBox]] = {"eye-boxes": EyeBoxes, "jaw-box": JawBox}
"""The attacks that may be made on training pictures too, by name."""
eye_boxes = Once(settings=EyeBoxes, makes="boxes", propose=boxed)
jaw_box = Once(settings=JawBox, makes="boxes", propose=boxed)


def settings_of(name: str, values: Sequence[tuple[str, float]]) -> EyeBoxes | JawBox:
    """Returns the settings of boxes from sorted pairs, as `Poison` keeps them."""
    return BOXES[name](**dict(values))


def pairs(settings: EyeBoxes | JawBox) -> tuple[tuple[str, float], ...]:
    """Returns settings as sorted pairs."""
    return tuple(sorted((name, float(value)) for name, value in asdict(settings).items()))
