"""The motion of a corpus' clips, measured when it is first asked for and then kept beside the corpus for its machine.

Only discovery asks, and the flow of one clip costs as much as the landmarks of several frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from austicker.motion import clip_motion
from austicker.regions import NAMES
from austicker.store import draft_of
from austicker.types import Bytes, Clip, Floats

VERSION = 1
"""Raised when `austicker.motion` measures otherwise."""


class Motion(Sequence[Floats]):
    """`motion.region_motion` (14,) of each clip; a single picture has none, so 0.

    Args:
        folder: where the packed corpus lies.
        fingerprint: of the corpus.
        clips: with their frames and landmarks.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        clips: Sequence[Clip],
        frames: Sequence[Bytes],
        landmarks: Sequence[Floats],
    ) -> None:
        self._path = folder / f"motion-{VERSION}-{fingerprint[:16]}.npy"
        self._clips, self._frames, self._landmarks = clips, frames, landmarks
        self._rows: Floats | None = None

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, position: Any) -> Any:
        if self._rows is None:
            self._rows = self._kept()
        return self._rows[position]

    def _kept(self) -> Floats:
        """Returns what is kept, or measures and keeps it; the first process of a machine measures for all."""
        rows: Floats | None = None
        try:
            with FileLock(self._path.with_suffix(".lock")):
                rows = self._read()
                if rows is None:
                    rows = self._measure()
                    self._write(rows)
        except OSError:  # a folder that this process may not write, such as a cache shared read-only
            return self._measure() if rows is None else rows
        return rows

    def _read(self) -> Floats | None:
        try:
            rows: Floats = np.load(self._path)
        except (OSError, ValueError, EOFError):
            return None
        return rows if rows.shape == (len(self), len(NAMES)) and rows.dtype == np.float32 else None

    def _measure(self) -> Floats:
        rows = np.zeros((len(self), len(NAMES)), np.float32)
        for number, clip in enumerate(self._clips):
            if clip.apex != clip.onset:
                rows[number] = clip_motion(clip, self._frames[number], self._landmarks[number])
        return rows

    def _write(self, rows: Floats) -> None:
        with draft_of(self._path) as draft:
            with draft.open("wb") as file:
                np.save(file, rows)
            draft.replace(self._path)
