"""The tasks in flight on a Ray cluster: handed out, waited for, doubled where they straggle, taken back when lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from austicker.grid.outcome import Outcome, Work, attempt
from austicker.grid.pace import Listener, Load
from austicker.grid.queue import Bundle, TaskQueue

AHEAD = 2
"""Tasks in flight for each that can run: the next one is at a worker before the last one ends, and no more."""
GRACE_S = 5.0
"""What tasks in flight are given to finish when a run is interrupted."""
CLEARING_S = 1.0
"""What cancelled tasks are given to clear away what they began to write."""
LOOK_S = 1.0
"""How often the cluster's size and the stragglers are looked at."""
STRAGGLES = 3.0
"""A task is given to a second worker, where one is free, when it takes so many times what is expected..."""
STRAGGLES_S = 15.0
"""... and at least so long."""
GPU_SHARE = 0.25
"""Share of a GPU that a task takes where nothing else is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one task takes of a node.

    Attributes:
        cpus: cores, and threads that it may start.
        gpus: share of a GPU for training and attacks; None takes `GPU_SHARE` where the cluster has any.
        at_once: tasks that may run at the same time; None takes the whole cluster.
    """

    cpus: int = 1
    gpus: float | None = None
    at_once: int | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """A bundle that was handed out, to one worker or, where the first straggles, to two."""

    bundle: Bundle
    since: float
    references: list[Any]


class Flights:
    """What was handed out to the connected cluster and did not come back yet.

    Attributes:
        slots: tasks that can run at once, as the cluster is now.
        gpu_share: what one of them takes of a GPU.
    """

    def __init__(self, work: Work, demand: Demand, queue: TaskQueue, listener: Listener) -> None:
        import ray

        self.slots, self.gpu_share = 1, 0.0
        self._flying: dict[Any, _Flight] = {}
        self._demand, self._queue, self._listener = demand, queue, listener
        self._looked = float("-inf")
        # Once per node, not once per task.
        self._work = ray.put(work)
        self._remote = ray.remote(max_retries=0, num_cpus=demand.cpus)(_attempt_all)
        self._look()

    def __len__(self) -> int:
        """Returns how many calls are in flight."""
        return len(self._flying)

    def has_room(self) -> bool:
        """Tells whether another bundle may be handed out."""
        # Two ahead of a limit of our own would run at once on a larger cluster.
        return len(self) < (AHEAD * self.slots if self._demand.at_once is None else self.slots)

    def start(self, bundle: Bundle) -> None:
        """Hands a bundle out."""
        reference = self._send(bundle)
        self._flying[reference] = _Flight(bundle=bundle, since=time.monotonic(), references=[reference])

    def _send(self, bundle: Bundle) -> Any:
        share = 0 if bundle[0].stage == "discover" else self.gpu_share
        title = bundle[0].title if len(bundle) == 1 else f"{bundle[0].title} and {len(bundle) - 1} more"
        return self._remote.options(num_gpus=share, name=title).remote(self._work, bundle, self._demand.cpus)

    def ended(self) -> list[Outcome]:
        """Waits for the next bundles to end, at most until it is time to look around, and returns their outcomes."""
        import ray

        ready, others = ray.wait(list(self._flying), num_returns=1, timeout=LOOK_S)
        if ready and others:  # whatever else has ended meanwhile: one by one, a large cluster would outrun this process
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        outcomes = [outcome for reference in ready if reference in self._flying for outcome in self._settled(reference)]
        self._look()
        return outcomes

    def _settled(self, reference: Any) -> Iterator[Outcome]:
        import ray

        flight = self._flying.pop(reference)
        flight.references.remove(reference)
        try:
            outcomes = ray.get(reference)
        except ray.exceptions.RayError as error:
            self._listener.lost(flight.bundle[0].stage)
            if not flight.references:  # else a second worker is at it still
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
                with_node = isinstance(error, (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError))
                yield from self._queue.lost(flight.bundle, reason, with_node=with_node)
            return
        for twin in flight.references:
            del self._flying[twin]
            ray.cancel(twin)
        for task, outcome in zip(flight.bundle, outcomes, strict=True):
            yield from self._queue.settle(replace(outcome, task=task))

    def _look(self) -> None:
        """Sees how large the cluster is now, and gives stragglers to idle workers."""
        import ray

        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cards, demand = resources.get("GPU", 0.0), self._demand
        self.gpu_share = (GPU_SHARE if cards else 0.0) if demand.gpus is None else demand.gpus
        slots = int(resources.get("CPU", 0) / demand.cpus)
        slots = min(slots, int(cards / self.gpu_share)) if self.gpu_share else slots
        self.slots = max(1, min(slots, demand.at_once or slots))
        if not len(self._queue):
            self._help_stragglers()

    def _help_stragglers(self) -> None:
        for flight in [flight for flight in self._flying.values() if len(flight.references) == 1]:
            if len(self) >= self.slots:
                return
            expected = self._queue.pace.expects_all(Load(flight.bundle))
            late = max(STRAGGLES_S, STRAGGLES * (expected or 0.0))
            if time.monotonic() - flight.since > late:
                reference = self._send(flight.bundle)
                flight.references.append(reference)
                self._flying[reference] = flight

    def drain(self) -> None:
        """Gives tasks in flight a moment to finish, then cancels them; what they committed is kept."""
        import ray

        flying = list(self._flying)
        left = ray.wait(flying, num_returns=len(flying), timeout=GRACE_S)[1] if flying else []
        for reference in left:
            ray.cancel(reference)
        if left:  # to take their drafts away, before Ray kills them with the job
            ray.wait(left, num_returns=len(left), timeout=CLEARING_S)
        self._flying.clear()


def _attempt_all(work: Work, bundle: Bundle, threads: int) -> list[Outcome]:
    # Without the cells, which the driver has: to unpack them again would be most of its work.
    outcomes = (attempt(work, task, threads) for task in bundle)
    return [replace(outcome, task=replace(outcome.task, cells=())) for outcome in outcomes]
