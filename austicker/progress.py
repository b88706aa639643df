"""Where a run stands: counted from its outcomes, kept in the store for whoever asks; prints nothing."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from austicker.grid import Flow, Outcome
from austicker.types import AustickerError

State = Literal["running", "finished", "interrupted"]
WINDOW_S = 60.0
"""Rates are those of the last minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at one moment; times are seconds since 1970, rates are per second over the last minute of work.

    Attributes:
        trained: models that this run trained, `discovered` likewise graphs.
        queries: clips that attacks asked of recognisers; `evaluations` counts the clean looks too.
        retries: tasks begun again after an error or a lost worker.
        left_s: seconds until the end at the measured pace, or None before that is known.
        task_s: seconds that this run's tasks took, added up over all workers.
        gpu_bytes: the most memory that a task held on a GPU.
    """

    state: State
    started: float
    updated: float
    cells_done: int
    cells_expected: int
    verdicts: int
    queries: int
    evaluations: int
    trained: int
    discovered: int
    shards: int
    failures: int
    retries: int
    verdicts_per_s: float
    evaluations_per_s: float
    queued: int
    running: int
    slots: int
    left_s: float | None
    task_s: float
    gpu_bytes: int


class Progress:
    """Adds up what a run tells of itself.

    Args:
        done: cells that the store held before.
        expected: cells of the whole job.
        clock: seconds since 1970.
    """

    def __init__(self, done: int, expected: int, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._started = clock, clock()
        self._done, self._expected = done, expected
        self._stages: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._recent: deque[tuple[float, int, int]] = deque()
        self._flow = Flow(queued=0, running=0, slots=0, left_s=None)
        self._task_s, self._gpu_bytes = 0.0, 0

    def ended(self, outcome: Outcome) -> None:
        """Counts a task that came to its end."""
        tally = outcome.tally
        self._counts["retries"] += outcome.attempts - 1
        self._task_s += outcome.seconds
        self._gpu_bytes = max(self._gpu_bytes, outcome.gpu_bytes)
        if outcome.error:
            self._counts["failures"] += 1
            return
        self._stages[outcome.task.stage] += 1
        self._counts.update(verdicts=tally.rows, queries=tally.queries, evaluations=tally.evaluations)
        self._done += len(outcome.task.cells)
        self._recent.append((self._clock(), tally.rows, tally.evaluations))

    def flows(self, flow: Flow) -> None:
        """Takes what waits and what runs."""
        self._flow = flow

    def snapshot(self, state: State = "running") -> Snapshot:
        """Returns the run as it stands."""
        now, flow = self._clock(), self._flow
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        span = max(min(now - self._started, WINDOW_S), 1e-3)
        return Snapshot(
            state=state,
            started=self._started,
            updated=now,
            cells_done=self._done,
            cells_expected=self._expected,
            verdicts=self._counts["verdicts"],
            queries=self._counts["queries"],
            evaluations=self._counts["evaluations"],
            trained=self._stages["train"],
            discovered=self._stages["discover"],
            shards=self._stages["attack"],
            failures=self._counts["failures"],
            retries=self._counts["retries"],
            verdicts_per_s=sum(rows for _, rows, _ in self._recent) / span,
            evaluations_per_s=sum(shown for _, _, shown in self._recent) / span,
            queued=flow.queued,
            running=flow.running,
            slots=flow.slots,
            left_s=flow.left_s if state == "running" else None,
            task_s=self._task_s,
            gpu_bytes=self._gpu_bytes,
        )


def from_record(record: Mapping[str, Any], where: str) -> Snapshot:
    """Returns the snapshot of the record that `asdict` made of it.

    Raises:
        AustickerError: the record is none.
    """
    if record.keys() != {item.name for item in fields(Snapshot)}:
        raise AustickerError(f"'{where}' is damaged: delete it; the next run writes it anew.")
    return Snapshot(**record)


def duration(seconds: float) -> str:
    """Returns a time in words for a person: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
