"""Landmarks that come with a corpus, as files or numbers, to the 68 points of each frame; finds none itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker.corpora import paths
from austicker.corpora.paths import shown
from austicker.corpora.source import Points
from austicker.types import AustickerError, Floats

LARGEST_FILE = 2**16
"""68 points take 4 kB at most."""
LARGEST_PX = 1e6
NUMBERS = 136
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<kind><U[1-9][0-9]?|\|S[1-9][0-9]?|[<>|][iuf][1248])', "
    rb"'fortran_order': (?P<fortran>False|True), 'shape': \((?P<shape>[0-9, ]{0,40})\), \} *\n",
    re.DOTALL,
)
"""The head of a .npy file of plain numbers, or of texts that may name some; numpy itself would also unpickle."""


def read(root: Path, entries: Sequence[str | Points]) -> list[Floats]:
    """Returns each frame's (68, 2) points in pixels of its picture.

    Raises:
        AustickerError: a file is not there, holds something else, or lies outside of the root.
    """
    return [_file(root, entry) if isinstance(entry, str) else _given(entry) for entry in entries]


def _given(content: Points) -> Floats:
    if len(content) != 4 * NUMBERS:
        raise _other("the annotation")
    return _checked(np.frombuffer(content, "<f4"), "the annotation")


def _file(root: Path, name: str) -> Floats:
    where = f"'{shown(name, 200)}'"
    path = paths.inside(root, name)
    with paths.opened(path) as source:
        content = source.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise AustickerError(f"The landmarks {where} are too large a file for 68 points.")
    if path.suffix == ".npy":
        return _checked(_array(content, where), where)
    try:
        values = np.array([float(word) for word in content.decode("ascii").replace(",", " ").split()])
    except ValueError as error:
        raise AustickerError(f"The landmarks {where} cannot be read: they are no text of numbers.") from error
    return _checked(values, where)


def _array(content: bytes, where: str) -> NDArray[Any]:
    """Returns the array of a .npy file, without a word to numpy of what the file claims before that is checked."""
    head = _NPY.match(content)
    if head is None or head.end() != 10 + int.from_bytes(head["length"], "little"):
        raise AustickerError(f"The landmarks {where} cannot be read: they are no .npy file of plain numbers.")
    shape = [int(number) for number in re.findall("[0-9]+", head["shape"].decode())]
    if [number for number in shape if number != 1] not in ([NUMBERS], [NUMBERS // 2, 2]):
        raise _other(where)
    kind = np.dtype(head["kind"].decode())
    if len(content) != head.end() + NUMBERS * kind.itemsize:
        raise AustickerError(f"The landmarks {where} cannot be read: the file is cut short or goes on after them.")
    values = np.frombuffer(content, kind, offset=head.end())
    return values.reshape(shape, order="F" if head["fortran"] == b"True" else "C")


def _checked(values: NDArray[Any], where: str) -> Floats:
    try:
        numbers = values.astype(np.float64)
    except ValueError as error:  # texts that name none
        raise AustickerError(f"The landmarks in {where} are no numbers.") from error
    if numbers.size != NUMBERS or not (np.abs(numbers) <= LARGEST_PX).all():  # nan is not
        raise _other(where)
    return numbers.astype(np.float32).reshape(NUMBERS // 2, 2)


def _other(where: str) -> AustickerError:
    return AustickerError(f"The landmarks in {where} are not 68 points in pixels.")
