"""Work in batches that fit: a batch that a device has no memory for is halved. Allocates nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")


def halving(work: Callable[[slice], T], count: int, size: int) -> Iterator[T]:
    """Yields `work(rows)` for consecutive rows of `count`, in batches of `size` until memory runs out, then of half.

    A batch that ran out of memory is asked for again in halves, so `work` must leave nothing behind when it fails.

    Raises:
        torch.OutOfMemoryError, MemoryError, RuntimeError: one row alone does not fit.
    """
    start = 0
    while start < count:
        stop = min(start + size, count)
        done = _unless_full(work, slice(start, stop))
        if done is None:
            size = (stop - start) // 2
            # Only here, after the error with its frames is gone, is there something to give back.
            torch.cuda.empty_cache()
            continue
        yield done[0]
        start = stop


def _unless_full(work: Callable[[slice], T], rows: slice) -> tuple[T] | None:
    """Returns what work gives, or None where memory ran out and there is more than one row to halve."""
    try:
        return (work(rows),)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if rows.stop - rows.start > 1 and _out_of_memory(error):
            return None
        raise


def _out_of_memory(error: BaseException) -> bool:
    # PyTorch's CPU allocator raises a bare RuntimeError: "DefaultCPUAllocator: can't allocate memory".
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)
