"""The paper's attack: a fixed sticker at a place chosen beforehand, one query per clip (Table 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from austicker.attacks.oracle import Oracle
from austicker.attacks.trials import Trials
from austicker.memory import halving


def attack(oracle: Oracle, trials: Trials, *, batch: int) -> Tensor:
    """Returns the recogniser's scores (n, classes) of every trial in order; only one batch is in memory at a time.

    Raises:
        BudgetExceeded: the budget is less than one query.
        ValueError: there is no trial.
    """
    if not len(trials):
        raise ValueError("an attack needs at least one trial")

    def asked(rows: slice) -> Tensor:
        return oracle.ask(trials.composited(rows), torch.arange(rows.start, rows.stop))

    return torch.cat(list(halving(asked, len(trials), batch)))
