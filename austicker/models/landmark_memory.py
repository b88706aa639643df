"""What a landmarker found on this process' pictures, so that it searches none of them twice; judges no expression."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import xxhash

from austicker.faces.landmarkers import Landmarker, LandmarkerName, landmarker
from austicker.types import Bytes, Floats

LIMIT = 16_384
"""Pictures whose landmarks are remembered, at about a kilobyte each; the longest unasked goes first."""
NO_FACE = np.full((68, 2), np.nan, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a landmarker says of some pictures.

    Attributes:
        points: (n, 68, 2) float32 iBUG points as (x, y) in pixels; NaN where no face was found.
        spared_s: seconds that the search would have taken longer without a memory, less those that opening the
            landmarker took.
    """

    points: Floats = field(compare=False, repr=False)
    spared_s: float


class LandmarkMemory:
    """A landmarker that is opened at the first picture and remembers its answers.

    Args:
        opened: opens the landmarker, which must answer the same for the same picture.
        limit: how many pictures are remembered.
    """

    def __init__(self, opened: Callable[[], AbstractContextManager[Landmarker]], limit: int = LIMIT) -> None:
        self._opened, self._limit = opened, limit
        self._open = ExitStack()
        self._find: Landmarker | None = None
        # Digest of a picture to its points, None where it has no face, and the seconds that the search took.
        self._known: OrderedDict[bytes, tuple[Floats | None, float]] = OrderedDict()

    def search(self, pictures: Iterable[Bytes]) -> Search:
        """Returns the landmarks of (h, w, 3) uint8 RGB pictures.

        Raises:
            AustickerError: the landmarker is not installed.
        """
        points, spared_s = [], 0.0
        for picture in pictures:
            key = xxhash.xxh3_128_digest(f"{picture.shape}".encode() + picture.tobytes())
            if key in self._known:
                self._known.move_to_end(key)
                spared_s += self._known[key][1]
            else:
                find, opening_s = self._landmarker()
                spared_s -= opening_s
                self._known[key] = _timed(find, picture)
                if len(self._known) > self._limit:
                    self._known.popitem(last=False)
            found, _ = self._known[key]
            points.append(NO_FACE if found is None else found)
        return Search(points=np.stack(points) if points else NO_FACE[None][:0], spared_s=spared_s)

    def close(self) -> None:
        """Closes the landmarker; the next new picture opens it again."""
        self._find = None
        self._open.close()

    def _landmarker(self) -> tuple[Landmarker, float]:
        """Returns the landmarker, opened if it was closed, and the seconds that this took."""
        start = time.perf_counter()
        if self._find is None:
            self._find = self._open.enter_context(self._opened())
            # MediaPipe closes itself in a thread of an executor, which `atexit` would find shut down already.
            threading._register_atexit(self.close)  # type: ignore[attr-defined]
        return self._find, time.perf_counter() - start


def _timed(find: Landmarker, picture: Bytes) -> tuple[Floats | None, float]:
    """Returns what a landmarker says of a picture, and the seconds that this took."""
    start = time.perf_counter()
    return find(picture), time.perf_counter() - start


@cache
def landmark_memory(name: LandmarkerName) -> LandmarkMemory:
    """Returns this process' memory of a landmarker, which closes itself when the process ends."""
    return LandmarkMemory(partial(landmarker, name))
