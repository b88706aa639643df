"""Tasks in an order that starts attacks as soon as what they need has ended, failed ones again; runs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from austicker.grid.outcome import Outcome
from austicker.grid.pace import SHORT_S, Flow, Load, Pace
from austicker.plan import Task

ATTEMPTS = 3
"""Times that a task is begun before it is set aside: after an error, or alone on a worker that died of it."""
NODE_LOSSES = 20
"""Times that a task's node may disappear, which says nothing about the task."""

Bundle = tuple[Task, ...]
"""Tasks that one worker does one after the other."""


class TaskQueue:
    """What is still to be handed out."""

    def __init__(self, tasks: Sequence[Task], pace: Pace) -> None:
        self.pace = pace
        self._waiting = {task.id: set(task.needs) for task in tasks if task.needs}
        self._tasks = {task.id: task for task in tasks}
        self._ready = [task for task in reversed(tasks) if not task.needs]
        self._followers: dict[str, list[str]] = {}
        for task in tasks:
            for need in task.needs:
                self._followers.setdefault(need, []).append(task.id)
        self._begun: Counter[str] = Counter()
        self._crashes: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        self._suspects: set[str] = set()
        self._left = Load(tasks)

    def __len__(self) -> int:
        """Returns how many tasks wait or are ready."""
        return len(self._waiting) + len(self._ready)

    def flow(self, slots: int, gpu_share: float = 0.0) -> Flow:
        """Returns where the run stands; whatever was handed out and did not come back is running."""
        work = self.pace.expects_all(self._left)
        left_s = None if work is None else work / max(slots, 1)
        running = self._left.tasks - len(self)
        return Flow(queued=len(self), running=running, slots=slots, left_s=left_s, gpu_share=gpu_share)

    def take(self, slots: int) -> Bundle:
        """Returns the next tasks for one worker of so many: one, or several short ones; () where all wait."""
        if not self._ready:
            return ()
        share = -(-len(self._ready) // max(slots, 1))
        bundle = [self._next()]
        seconds = self.pace.expects(bundle[0])
        while seconds is not None and seconds < SHORT_S and len(bundle) < share and self._follows(bundle[-1]):
            task = self._next()
            bundle.append(task)
            seconds += self.pace.expects(task) or SHORT_S
        self._begun.update(task.id for task in bundle)
        return tuple(bundle)

    def _follows(self, task: Task) -> bool:
        """Tells whether the next task can share a worker's call with this one: of the same stage, and no suspect."""
        if not self._ready or self._ready[-1].stage != task.stage:
            return False
        return not self._suspects & {task.id, self._ready[-1].id}

    def _next(self) -> Task:
        whole = self._ready.pop()
        task, rest = self.pace.cut(whole)
        if rest is not None:
            self._left.remove(whole)
            self._left.add(task)
            self._left.add(rest)
            self._ready.append(rest)
        return task

    def settle(self, outcome: Outcome) -> Iterator[Outcome]:
        """Takes how a task ended; yields it, and those lost with it, unless it is to be tried again."""
        task = outcome.task
        outcome = replace(outcome, attempts=max(1, self._begun[task.id]))
        if outcome.error and outcome.by_chance and outcome.attempts < ATTEMPTS:
            self._ready.append(task)
            return
        if not outcome.error:
            self.pace.learn(outcome)
        yield from self._ended(outcome)

    def lost(self, bundle: Bundle, reason: str, *, with_node: bool) -> Iterator[Outcome]:
        """Takes back tasks whose worker died; yields those that are set aside for it.

        A worker that died over several tasks names none of them: each is tried alone then. Tasks of the bundle that
        were committed before are found done when they are tried again.
        """
        losses, limit = (self._losses, NODE_LOSSES) if with_node else (self._crashes, ATTEMPTS)
        if not with_node:
            self._suspects |= {task.id for task in bundle}
        for task in reversed(bundle):
            losses[task.id] += with_node or len(bundle) == 1
            if losses[task.id] < limit:
                self._ready.append(task)
                continue
            yield from self._ended(Outcome(task=task, error=reason, attempts=self._begun[task.id]))

    def _ended(self, outcome: Outcome) -> Iterator[Outcome]:
        """Yields a task's end, and frees the tasks that waited for it, or yields them as failed when it failed."""
        self._left.remove(outcome.task)
        yield outcome
        for name in self._followers.get(outcome.task.id, ()):
            if name not in self._waiting:
                continue  # lost already, through another of the tasks that it needs
            if outcome.error:
                del self._waiting[name]
                reason = f"not run, because {outcome.task.title} failed"
                yield from self._ended(Outcome(task=self._tasks[name], error=reason))
            else:
                self._waiting[name].discard(outcome.task.id)
                if not self._waiting[name]:
                    del self._waiting[name]
                    self._ready.append(self._tasks[name])
