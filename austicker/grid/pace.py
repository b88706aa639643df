"""How long tasks take, measured as a run goes, and how shards are cut to it; starts nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from austicker.grid.outcome import Outcome
from austicker.plan import Stage, Task

TARGET_S = 10.0
"""What a shard is cut to: long beside the cost of a task, short beside what a lost worker has to do again."""
SHORT_S = 2.0
"""Tasks are bundled until they take as long: a shard is never so short that handing it out shows."""
PROBE_ROWS = 256
"""Size of a model's first shard, from which its rate is learned."""
Kind = tuple[Stage, str, str, str]
"""Stage, model, corpus and attack: tasks of one kind take the same time for the same work."""
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
        gpu_share: what one task takes of a GPU, 0 where there is none.
    """

    queued: int
    running: int
    slots: int
    left_s: float | None
    gpu_share: float = 0.0


class Listener:
    """Who is told how a run goes; this one does not care."""

    def flows(self, flow: Flow) -> None:
        """Is told whenever tasks were handed out or came back."""

    def lost(self, stage: Stage) -> None:
        """Is told when a worker died over tasks of a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Seconds that one unit of work takes: a verdict row in stage "attack", else the whole task."""

    stage: Stage
    model: str
    corpus: str
    attack: str = ""
    seconds: float


class Load:
    """How much work of each kind there is, kept as tasks come and go."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.tasks = 0
        self.units: dict[Kind, int] = {}
        for task in tasks:
            self.add(task)

    def add(self, task: Task) -> None:
        """Takes a task in."""
        self._change(task, 1)

    def remove(self, task: Task) -> None:
        """Gives a task away that is in it."""
        self._change(task, -1)

    def _change(self, task: Task, sign: int) -> None:
        self.tasks += sign
        units = self.units.get(_kind(task), 0) + sign * _units(task)
        if units:
            self.units[_kind(task)] = units
        else:
            del self.units[_kind(task)]


class Pace:
    """The rates of a run, by stage, model, corpus and attack.

    Args:
        rates: what was measured before.
    """

    def __init__(self, rates: Iterable[Rate] = ()) -> None:
        self._measured: dict[Kind, tuple[float, float]] = {
            (rate.stage, rate.model, rate.corpus, rate.attack): (rate.seconds, 1.0) for rate in rates
        }

    def rates(self) -> tuple[Rate, ...]:
        """Returns what is known now."""
        return tuple(
            Rate(stage=stage, model=model, corpus=corpus, attack=attack, seconds=seconds / units)
            for (stage, model, corpus, attack), (seconds, units) in self._measured.items()
        )

    def learn(self, outcome: Outcome) -> None:
        """Takes the time of a task that ended well; later ones weigh more, because a machine can change."""
        task = outcome.task
        seconds, units = self._measured.get(_kind(task), (0.0, 0.0))
        self._measured[_kind(task)] = (_KEPT * seconds + outcome.seconds, _KEPT * units + _units(task))

    def expects(self, task: Task) -> float | None:
        """Returns the seconds that a task will take, or None where none of its kind was measured."""
        return self.expects_all(Load([task]))

    def expects_all(self, load: Load) -> float | None:
        """Returns the seconds that tasks take one after the other, or None where a kind of them was not measured."""
        total = 0.0
        for kind, units in load.units.items():
            if kind not in self._measured:
                return None
            seconds, measured = self._measured[kind]
            total += seconds / measured * units
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
        return task.with_cells(task.cells[:size]), task.with_cells(task.cells[size:])


def _kind(task: Task) -> Kind:
    return (task.stage, task.model, task.corpus, task.attack)


def _units(task: Task) -> int:
    return max(task.rows, 1) if task.stage == "attack" else 1
