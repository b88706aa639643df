"""The only way in which an attack sees a recogniser: answers to clips, every one of them counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class BudgetExceeded(Exception):
    """An attack asked for more answers than it may; nothing of the refused question was shown."""


class Oracle:
    """Answers batches of clips within a budget.

    Args:
        scores: (n, t, c, h, w) floats 0..255 to scores (n, classes).
        trials: how many trials are under attack; each is one clip with one sticker at one place.
        budget: the most clips that may be shown for one trial.
    """

    def __init__(self, scores: Callable[[Tensor], Tensor], *, trials: int, budget: int) -> None:
        self.budget = budget
        self._scores = scores
        self._queries = np.zeros(trials, np.int64)

    @property
    def queries(self) -> NDArray[np.int64]:
        """Returns how many clips were shown for each trial, (trials,)."""
        return self._queries.copy()

    def ask(self, frames: Tensor, owners: Tensor) -> Tensor:
        """Returns the recogniser's scores (n, classes), and counts one query for every clip shown.

        Args:
            frames: (n, t, c, h, w) floats 0..255.
            owners: (n,) the trial that each clip is asked for; a trial may own several.

        Raises:
            BudgetExceeded: one trial would go over its budget; then no clip is shown and none is counted.
            ValueError: clips without owner, or owners that are no trials.
        """
        if owners.shape != frames.shape[:1]:
            raise ValueError(f"{frames.shape[0]} clips need as many owners, not {tuple(owners.shape)}")
        positions = owners.cpu().numpy()
        if positions.size and not 0 <= positions.min() <= positions.max() < self._queries.size:
            raise ValueError(f"owners must be trials 0 to {self._queries.size - 1}")
        after = self._queries + np.bincount(positions, minlength=self._queries.size)
        if (after > self.budget).any():
            raise BudgetExceeded(f"trial {int(after.argmax())} would need {int(after.max())} of {self.budget} queries")
        with torch.no_grad():
            answers = self._scores(frames)
        # Last, so that clips that the recogniser ran out of memory for are not counted: they are asked for again.
        self._queries = after
        return answers
