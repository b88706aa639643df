"""The same map near and far; see the package's contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from austicker.grid.outcome import Outcome, Work, attempt
from austicker.grid.queue import TaskQueue
from austicker.plan import Task

RETRIES = 3
"""Times that a task is done again when its worker or node dies."""


def map_local(work: Work, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Does the tasks one after the other in this process, each after those that it needs."""
    queue = TaskQueue(tasks)
    while task := queue.take():
        outcome = attempt(work, task)
        yield outcome
        yield from queue.settle(outcome)


def map_ray(work: Work, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Does the tasks on the Ray cluster that this process is connected to, at most two for each core in flight."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    limit = max(2, int(2 * resources.get("CPU", 1)))
    share = 0.25 if resources.get("GPU") else 0
    queue = TaskQueue(tasks)
    flying: dict[Any, Task] = {}
    while True:
        while len(flying) < limit and (task := queue.take()):
            remote = _remote().options(num_gpus=0 if task.stage == "discover" else share, name=task.title)
            flying[remote.remote(work, task)] = task
        if not flying:
            return
        ready, _ = ray.wait(list(flying), num_returns=1)
        for reference in ready:
            task = flying.pop(reference)
            try:
                outcome = ray.get(reference)
            except ray.exceptions.RayError as error:
                outcome = Outcome(task=task, error=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            yield outcome
            yield from queue.settle(outcome)


def _remote() -> Any:
    import ray

    return ray.remote(max_retries=RETRIES, num_cpus=1)(attempt)
