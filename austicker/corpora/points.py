"""Landmarks that come with a corpus, as files or numbers, to the 68 points of each frame; finds none itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from austicker.corpora import paths
from austicker.corpora.source import Points
from austicker.types import AustickerError, Floats

LARGEST_FILE = 2**16
"""68 points take 4 kB at most."""
LARGEST_PX = 1e6


def read(root: Path, entries: Sequence[str | Points]) -> list[Floats]:
    """Returns each frame's (68, 2) points in pixels of its picture.

    Raises:
        AustickerError: a file is not there, holds something else, or lies outside of the root.
    """
    return [
        _file(root, entry) if isinstance(entry, str) else _checked(np.frombuffer(entry, "<f4"), "the annotation")
        for entry in entries
    ]


def _file(root: Path, name: str) -> Floats:
    path = paths.inside(root, name)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise AustickerError(f"The landmarks '{name}' are too large a file for 68 points.")
        content = path.read_bytes()
        if path.suffix == ".npy":
            values = np.load(io.BytesIO(content), allow_pickle=False)
        else:
            values = np.array([float(word) for word in content.decode("ascii").replace(",", " ").split()])
    except (OSError, ValueError, EOFError) as error:
        raise AustickerError(f"The landmarks '{name}' cannot be read ({error}).") from error
    return _checked(values, f"'{name}'")


def _checked(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], where: str) -> Floats:
    try:
        points: Floats = values.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise AustickerError(f"The landmarks in {where} are no numbers.") from error
    if points.size != 136 or not np.isfinite(points).all() or np.abs(points).max() > LARGEST_PX:
        raise AustickerError(f"The landmarks in {where} are not 68 points in pixels.")
    return points.reshape(68, 2)
