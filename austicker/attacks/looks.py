"""What a search is told of a face and the ways to change it that it proposes; knows no recogniser."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from austicker.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.oracle import Answers

Reals = NDArray[np.float64]
E = TypeVar("E", bound="Edit")


class Edit(Protocol):
    """m ways to change a clip other than by a sticker."""

    def __len__(self) -> int: ...

    def __getitem__(self: E, rows: Any) -> E:
        """Returns some of them: a slice, a mask or positions."""
        ...

    @staticmethod
    def joined(edits: list[Any]) -> Any:
        """Returns several batches one after the other."""
        ...

    def applied(self, clips: Tensor) -> Tensor:
        """Returns the changed clips (m, t, c, h, w) float32 0..255 of clean ones, which stay as they are."""
        ...

    def columns(self, row: int) -> dict[str, Any]:
        """Returns the columns of a verdict that say what was done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Face:
    """One trial as a search sees it: the onset frame's points and sizes, never its pixels.

    Attributes:
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
        size_px: (width, height) of the aligned face.
        sticker_px: (width, height) of the sticker.
        label: the class to hide.
        rng: the trial's own source of chance, whatever else is searched beside it.
    """

    landmarks: Floats = field(repr=False)
    size_px: tuple[int, int]
    sticker_px: tuple[int, int]
    label: int
    rng: np.random.Generator = field(repr=False)

    @property
    def aspect(self) -> float:
        """Returns width / height of the aligned face."""
        return self.size_px[0] / self.size_px[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """m ways to wear a sticker, or a plain patch in its stead.

    Attributes:
        centres: (m, 1 or t, 2) float64 centres as (x, y) fractions of the aligned face, for all frames or each.
        rotation: (m,) degrees clockwise.
        opacity: (m,) 0 to 1.
        outlines: (m, corners, 2) polygons as (x, y) fractions that are filled instead, or None.
    """

    centres: Reals
    rotation: Reals
    opacity: Reals
    outlines: Reals | None = None

    def __len__(self) -> int:
        return len(self.centres)

    def columns(self, row: int) -> dict[str, Any]:
        """Returns the columns of a verdict that say what the face wears."""
        return {
            "x": float(self.centres[row, 0, 0]),
            "y": float(self.centres[row, 0, 1]),
            "rotation": float(self.rotation[row]),
            "opacity": float(self.opacity[row]),
            "outline": None if self.outlines is None else tuple(self.outlines[row].ravel().tolist()),
        }

    def __getitem__(self, rows: Any) -> Looks:
        """Returns some of the looks: a slice, a mask or positions."""
        columns = {item.name: getattr(self, item.name) for item in fields(self)}
        some: dict[str, Any] = {name: None if values is None else values[rows] for name, values in columns.items()}
        return Looks(**some)

    @staticmethod
    def joined(looks: list[Looks]) -> Looks:
        """Returns several looks one after the other; all or none have outlines."""
        columns = {item.name: [getattr(look, item.name) for look in looks] for item in fields(Looks)}
        joined: dict[str, Any] = {
            name: None if parts[0] is None else np.concatenate(parts) for name, parts in columns.items()
        }
        return Looks(**joined)


def looks_at(places: ArrayLike, *, rotation: ArrayLike = 0.0, opacity: ArrayLike = 1.0) -> Looks:
    """Returns a sticker at each place.

    Args:
        places: (m, 2) centres as (x, y) fractions of the aligned face.
        rotation: (m,) or one for all, degrees clockwise.
        opacity: (m,) or one for all, 0 to 1.
    """
    centres = np.asarray(places, np.float64).reshape(-1, 1, 2)
    both = (np.broadcast_to(np.asarray(values, np.float64), len(centres)).copy() for values in (rotation, opacity))
    turned, faded = both
    return Looks(centres=centres, rotation=turned, opacity=faded)


Proposal = Looks | Edit
Walk = Generator[Any, "Answers", None]
"""A search on one face: it yields a population of looks or edits, is sent the answers to all, and ends when it likes.

It never meets a budget or a success: whoever walks it closes it then, and keeps the best by the search's `Judge`."""
