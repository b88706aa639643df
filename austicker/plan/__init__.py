"""A job and its corpora to cells and tasks: what is to be done and what is done already; runs nothing."""

from __future__ import annotations

from austicker.plan.expansion import expand, open_choice, study_of, weights_identity
from austicker.plan.record import Plan, Shard, describe, done
from austicker.plan.tasks import Stage, Tally, Task

__all__ = [
    "Plan",
    "Shard",
    "Stage",
    "Tally",
    "Task",
    "describe",
    "done",
    "expand",
    "open_choice",
    "study_of",
    "weights_identity",
]
