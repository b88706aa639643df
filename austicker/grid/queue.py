"""Tasks in an order that starts attacks as soon as what they need has ended; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from austicker.grid.outcome import Outcome
from austicker.plan import Task


class TaskQueue:
    """Tasks in an order that starts attacks as soon as what they need has ended."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._waiting = {task.id: set(task.needs) for task in tasks}
        self._tasks = {task.id: task for task in tasks}
        self._ready = [task.id for task in reversed(tasks) if not task.needs]
        self._followers: dict[str, list[str]] = {}
        for task in tasks:
            for need in task.needs:
                self._followers.setdefault(need, []).append(task.id)

    def take(self) -> Task | None:
        """Returns the next task whose needs have ended, or None where all wait."""
        return self._tasks[self._ready.pop()] if self._ready else None

    def settle(self, outcome: Outcome) -> Iterator[Outcome]:
        """Frees the tasks that waited for this one, or yields them as failed when it failed."""
        for name in self._followers.get(outcome.task.id, ()):
            if name not in self._waiting:
                continue  # lost already, through another of the tasks that it needs
            if outcome.error:
                del self._waiting[name]
                lost = Outcome(task=self._tasks[name], error=f"not run, because {outcome.task.title} failed")
                yield lost
                yield from self.settle(lost)
            else:
                self._waiting[name].discard(outcome.task.id)
                if not self._waiting[name]:
                    self._ready.append(name)
