"""How long tasks take, measured as a run goes, and how shards are cut to it; starts nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from austicker import results
from austicker.grid.outcome import Outcome
from austicker.plan import Task

TARGET_S = 10.0
"""What a shard is cut to: long beside the cost of a task, short beside what a lost worker has to do again."""
SHORT_S = 2.0
"""Tasks are bundled until they take as long: a shard is never so short that handing it out shows."""
PROBE_ROWS = 256
"""Size of a model's first shard, from which its rate is learned."""
_KEPT = 0.7
"""What a measurement still weighs when the next one of its kind comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Where a run stands.

    Attributes:
        queued: tasks that wait or are ready.
        running: tasks handed out.
        slots: tasks that can run at once.
        left_s: seconds until the end at the measured pace, or None before every kind of task was measured.
    """

    queued: int
    running: int
    slots: int
    left_s: float | None


class Pace:
    """Seconds by stage, model and corpus: of a verdict row in an attack, else of the whole task."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str, str], tuple[float, float]] = {}

    def learn(self, outcome: Outcome) -> None:
        """Takes the time of a task that ended well; later ones weigh more, because a machine can change."""
        task = outcome.task
        seconds, units = self._measured.get(_kind(task), (0.0, 0.0))
        self._measured[_kind(task)] = (_KEPT * seconds + outcome.seconds, _KEPT * units + _units(task))

    def expects(self, task: Task) -> float | None:
        """Returns the seconds that a task will take, or None where none of its kind was measured."""
        if _kind(task) not in self._measured:
            return None
        seconds, units = self._measured[_kind(task)]
        return seconds / units * _units(task)

    def expects_all(self, tasks: Iterable[Task]) -> float | None:
        """Returns the seconds that tasks take one after the other, or None where a kind of them was not measured."""
        total = 0.0
        for task in tasks:
            expected = self.expects(task)
            if expected is None:
                return None
            total += expected
        return total

    def cut(self, task: Task) -> tuple[Task, Task | None]:
        """Cuts a shard to the target; returns the part to do now and the rest, which may be None.

        Any cut gives the same verdicts: cells have the identities, and a part is named by the cells in it.
        """
        if task.stage != "attack" or len(task.cells) < 2:
            return task, None
        expected = self.expects(task)
        share = PROBE_ROWS / max(task.rows, 1) if expected is None else TARGET_S / max(expected, 1e-9)
        if share >= 1:
            return task, None
        size = max(1, int(share * len(task.cells)))
        return _with_cells(task, size, 0), _with_cells(task, None, size)


def _kind(task: Task) -> tuple[str, str, str]:
    return (task.stage, task.model, task.corpus)


def _units(task: Task) -> int:
    return max(task.rows, 1) if task.stage == "attack" else 1


def _with_cells(task: Task, end: int | None, start: int) -> Task:
    cells = task.cells[start:end]
    return replace(task, id=f"attack-{results.part_name(cell.id for cell in cells)}", cells=cells)
