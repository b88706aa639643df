"""The same map near and far; see the package's contract."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from austicker.grid.outcome import Outcome, Work, attempt
from austicker.grid.pace import Flow, Pace
from austicker.grid.queue import Bundle, TaskQueue
from austicker.plan import Task

Told = Callable[[Flow], None]
"""Called whenever tasks were handed out or came back."""

AHEAD = 2
"""Tasks in flight for each that can run: the next one is at a worker before the last one ends, and no more."""
GRACE_S = 5.0
"""What tasks in flight are given to finish when a run is interrupted."""
LOOK_S = 1.0
"""How often the cluster's size and the stragglers are looked at."""
STRAGGLES = 3.0
"""A task is given to a second worker, where one is free, when it takes so many times what is expected..."""
STRAGGLES_S = 15.0
"""... and at least so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one task takes of a node.

    Attributes:
        cpus: cores, and threads that it may start.
        gpus: share of a GPU for training and attacks; None takes a quarter where the cluster has any.
    """

    cpus: int = 1
    gpus: float | None = None


def ignore(flow: Flow) -> None:
    """Tells nobody."""


def map_local(work: Work, tasks: Sequence[Task], told: Told = ignore) -> Iterator[Outcome]:
    """Does the tasks one after the other in this process, each after those that it needs."""
    queue = TaskQueue(tasks, Pace())
    while bundle := queue.take(slots=len(tasks)):
        for task in bundle:
            told(queue.flow([task], 1))
            yield from queue.settle(attempt(work, task, threads=1))


def map_ray(work: Work, tasks: Sequence[Task], demand: Demand = Demand(), told: Told = ignore) -> Iterator[Outcome]:
    """Does the tasks on the Ray cluster that this process is connected to.

    At most `AHEAD` tasks for each that can run are in flight. Who dies with its worker or node is begun again; a task
    that kills its workers is set aside. On an interrupt, tasks in flight have `GRACE_S` to finish.
    """
    queue = TaskQueue(tasks, Pace())
    cluster = _Cluster(work, demand, queue)
    while True:
        try:
            while cluster.has_room() and (bundle := queue.take(cluster.slots)):
                cluster.start(bundle)
            told(queue.flow(cluster.running, cluster.slots))
            if not cluster.flying:
                return
            ended = cluster.ended()
        except KeyboardInterrupt:
            cluster.drain()
            raise
        try:
            yield from ended
        except GeneratorExit:
            cluster.drain()
            raise


@dataclass(slots=True, kw_only=True, eq=False)
class _Flight:
    """A bundle that was handed out, to one worker or, where the first straggles, to two."""

    bundle: Bundle
    since: float
    references: list[Any]


class _Cluster:
    """The tasks in flight on the connected cluster."""

    def __init__(self, work: Work, demand: Demand, queue: TaskQueue) -> None:
        import ray

        self.flying: dict[Any, _Flight] = {}
        self.slots = 1
        self._gpus = 0.0
        self._demand, self._queue = demand, queue
        self._looked = float("-inf")
        # Once per node, not once per task.
        self._work = ray.put(work)
        self._remote = ray.remote(max_retries=0, num_cpus=demand.cpus)(_attempt_all)
        self._look()

    @property
    def running(self) -> list[Task]:
        """Returns the tasks in flight."""
        flights = {id(flight): flight for flight in self.flying.values()}
        return [task for flight in flights.values() for task in flight.bundle]

    def has_room(self) -> bool:
        """Tells whether another bundle may be handed out."""
        return len(self.flying) < AHEAD * self.slots

    def start(self, bundle: Bundle) -> None:
        """Hands a bundle out."""
        reference = self._send(bundle)
        self.flying[reference] = _Flight(bundle=bundle, since=time.monotonic(), references=[reference])

    def _send(self, bundle: Bundle) -> Any:
        share = 0 if bundle[0].stage == "discover" else self._gpus
        title = bundle[0].title if len(bundle) == 1 else f"{bundle[0].title} and {len(bundle) - 1} more"
        return self._remote.options(num_gpus=share, name=title).remote(self._work, bundle, self._demand.cpus)

    def ended(self) -> list[Outcome]:
        """Waits for the next bundles to end, at most until it is time to look around, and returns their outcomes."""
        import ray

        ready, _ = ray.wait(list(self.flying), num_returns=1, timeout=LOOK_S)
        outcomes = [outcome for reference in ready if reference in self.flying for outcome in self._settled(reference)]
        self._look()
        return outcomes

    def _settled(self, reference: Any) -> Iterator[Outcome]:
        import ray

        flight = self.flying.pop(reference)
        flight.references.remove(reference)
        try:
            outcomes = ray.get(reference)
        except ray.exceptions.RayError as error:
            if not flight.references:  # else a second worker is at it still
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
                with_node = isinstance(error, (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError))
                yield from self._queue.lost(flight.bundle, reason, with_node=with_node)
            return
        for twin in flight.references:
            del self.flying[twin]
            ray.cancel(twin)
        for outcome in outcomes:
            yield from self._queue.settle(outcome)

    def _look(self) -> None:
        """Sees how large the cluster is now, and gives stragglers to idle workers."""
        import ray

        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cards = resources.get("GPU", 0.0)
        self._gpus = (0.25 if cards else 0.0) if self._demand.gpus is None else self._demand.gpus
        slots = int(resources.get("CPU", 0) / self._demand.cpus)
        self.slots = max(1, min(slots, int(cards / self._gpus)) if self._gpus else slots)
        if not len(self._queue):
            self._help_stragglers()

    def _help_stragglers(self) -> None:
        for flight in list({id(flight): flight for flight in self.flying.values()}.values()):
            if len(self.flying) >= self.slots:
                return
            expected = self._queue.pace.expects_all(flight.bundle)
            late = max(STRAGGLES_S, STRAGGLES * (expected or 0.0))
            if len(flight.references) == 1 and time.monotonic() - flight.since > late:
                reference = self._send(flight.bundle)
                flight.references.append(reference)
                self.flying[reference] = flight

    def drain(self) -> None:
        """Gives tasks in flight a moment to finish, then cancels them; what they committed is kept."""
        import ray

        flying = list(self.flying)
        left = ray.wait(flying, num_returns=len(flying), timeout=GRACE_S)[1] if flying else []
        for reference in left:
            ray.cancel(reference)
        self.flying.clear()


def _attempt_all(work: Work, bundle: Bundle, threads: int) -> list[Outcome]:
    return [attempt(work, task, threads) for task in bundle]
