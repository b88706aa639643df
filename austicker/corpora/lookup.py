"""Sequences of arrays that are looked up when they are asked for, so that nothing is copied; they know no corpus."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

A = TypeVar("A", bound=np.ndarray[Any, Any])


class View(Sequence[A]):
    """Arrays that are looked up one by one."""

    def __getitem__(self, position: Any) -> Any:
        """Returns one array, or a list of them for a slice."""
        if isinstance(position, slice):
            return [self[number] for number in range(*position.indices(len(self)))]
        number = int(position) + (len(self) if position < 0 else 0)
        if not 0 <= number < len(self):
            raise IndexError(position)
        return self._at(number)

    @abstractmethod
    def _at(self, number: int) -> A: ...


class Chosen(View[A]):
    """Some arrays of a sequence."""

    def __init__(self, base: Sequence[A], positions: Sequence[int]) -> None:
        self._base, self._positions = base, positions

    def __len__(self) -> int:
        return len(self._positions)

    def _at(self, number: int) -> A:
        return self._base[self._positions[number]]


class Chained(View[A]):
    """Several sequences, one after the other."""

    def __init__(self, parts: Sequence[Sequence[A]]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(len(part) for part in parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def _at(self, number: int) -> A:
        part = bisect_right(self._starts, number) - 1
        return self._parts[part][number - self._starts[part]]
