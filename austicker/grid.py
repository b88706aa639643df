"""The door to Ray: the same map near and far, over tasks that wait for each other; knows nothing of what tasks do.

The contract is `map_ray(f, tasks)` equals `map_local(f, tasks)` up to order. A task starts as soon as those that it
needs have ended; a task that fails becomes an outcome with its error, and those that need it are not run.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from austicker.plan import Task
from austicker.types import AustickerError

Work = Callable[[Task], int]
"""Does one task and returns how many verdict rows it wrote."""

RETRIES = 3
"""Times that a task is done again when its worker or node dies."""
CONNECT_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended: `error` is "" where it ended well."""

    task: Task
    rows: int = 0
    seconds: float = 0.0
    error: str = ""


def map_local(work: Work, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Does the tasks one after the other in this process, each after those that it needs."""
    queue = _Queue(tasks)
    while task := queue.take():
        outcome = _attempt(work, task)
        yield outcome
        yield from queue.settle(outcome)


def map_ray(work: Work, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Does the tasks on the Ray cluster that this process is connected to, at most two for each core in flight."""
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    limit = max(2, int(2 * resources.get("CPU", 1)))
    share = 0.25 if resources.get("GPU") else 0
    queue = _Queue(tasks)
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


class _Queue:
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


def _attempt(work: Work, task: Task) -> Outcome:
    """Does one task on one thread; an exception becomes the outcome's error."""
    import cv2
    import torch

    start = time.monotonic()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        rows = work(task)
    except Exception as error:  # a failure of any kind is a value here: it is recorded and the run goes on
        text = str(error) if isinstance(error, AustickerError) else f"{type(error).__name__}: {error}"
        return Outcome(task=task, seconds=time.monotonic() - start, error=text)
    finally:
        torch.set_num_threads(threads)
    return Outcome(task=task, rows=rows, seconds=time.monotonic() - start)


def _remote() -> Any:
    import ray

    return ray.remote(max_retries=RETRIES, num_cpus=1)(_attempt)


def check_address(address: str | None) -> None:
    """Refuses the address of a cluster where nothing listens: Ray itself would try for minutes, and chatter.

    Args:
        address: "auto", host:port, or None for a private cluster.

    Raises:
        AustickerError: no connection within `CONNECT_TIMEOUT_S`, or no host:port.
    """
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise AustickerError(f"'--address {address}' is neither 'auto' nor host:port, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, text: str) -> AustickerError:
    reason = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return AustickerError(
        f"No Ray cluster answers at '{address or 'local'}' ({reason}): start one or leave --address out."
    )


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Connects to a Ray cluster, or starts a private one on this machine and stops it afterwards.

    Args:
        address: "auto", an address of a running cluster, or None for a private one.
        workers: cores of the private cluster; all by default.

    Raises:
        AustickerError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": 256 * 1024**2}
        options |= {"num_cpus": workers} if workers else {}
    else:
        options["address"] = address
    try:
        ray.init(runtime_env={"env_vars": _ENVIRONMENT}, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error)) from error
    try:
        yield
    finally:
        ray.shutdown()
