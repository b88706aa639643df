"""Batches that do not fit are halved, and nothing is shown or counted twice for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from austicker.attacks.looks import looks_at
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.sticker import Settings, attack
from austicker.attacks.trials import Trials
from austicker.memory import halving

FULL: list[Exception] = [
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
]


def fits(most: int, error: Exception = FULL[0]) -> tuple[Callable[[slice], list[int]], list[int]]:
    """Returns work that has memory for so many rows, and the sizes that it was asked for."""
    asked: list[int] = []

    def work(rows: slice) -> list[int]:
        asked.append(rows.stop - rows.start)
        if asked[-1] > most:
            raise error
        return list(range(rows.start, rows.stop))

    return work, asked


@given(count=st.integers(0, 200), size=st.integers(1, 300), most=st.integers(1, 300))
def test_every_row_is_done_once_and_in_order(count, size, most):
    work, asked = fits(most)
    assert [row for rows in halving(work, count, size) for row in rows] == list(range(count))
    assert max(asked, default=0) <= size


@pytest.mark.parametrize("error", FULL, ids=lambda error: type(error).__name__)
def test_the_smaller_size_is_kept(error):
    work, asked = fits(10, error)
    list(halving(work, 64, 32))
    assert asked[:4] == [32, 16, 8, 8]
    assert set(asked[3:]) == {8}


def test_a_row_that_does_not_fit_alone_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(halving(fits(0)[0], 4, 4))


def test_another_error_is_not_taken_for_one_of_memory():
    work, asked = fits(0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(halving(work, 4, 4))
    assert asked == [4]


def test_a_halved_attack_gives_the_same_answers_and_counts_each_clip_once():
    count, size = 12, 8
    trials = Trials(
        frames=torch.arange(count).float().reshape(count, 1, 1, 1, 1).expand(-1, 2, 1, size, size).contiguous(),
        clip=np.arange(count),
        stickers=torch.zeros(1, 4, 2, 2),
        sticker=np.zeros(count, np.int64),
        shown=np.ones((count, 2), bool),
        apex=np.ones(count, np.int64),
        faces=[],
        looks=looks_at(np.full((count, 2), 0.5)),
        batch=count,
    )
    shown: list[int] = []

    def scores(frames: torch.Tensor) -> torch.Tensor:
        if len(frames) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        shown.append(len(frames))
        return frames.mean((1, 2, 3, 4))[:, None]

    oracle = Oracle(Asked(name="small", scores=scores), [0] * count, access="scores", budget=1)
    attack(oracle, trials, Settings())
    assert [float(oracle.record(trial)[1][0]) for trial in range(count)] == list(range(count))
    assert oracle.ledger.queries.tolist() == oracle.ledger.unique.tolist() == [1] * count
    assert sum(shown) == count
