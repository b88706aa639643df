"""The same map near and far; see the package's contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from austicker.grid.flights import Demand, Flights
from austicker.grid.outcome import Outcome, Work, attempt
from austicker.grid.pace import Listener, Pace
from austicker.grid.queue import TaskQueue
from austicker.plan import Task


def map_local(work: Work, tasks: Sequence[Task], listener: Listener | None = None) -> Iterator[Outcome]:
    """Does the tasks one after the other in this process, each after those that it needs."""
    queue, listener = TaskQueue(tasks, Pace()), listener or Listener()
    while bundle := queue.take(slots=len(tasks)):
        for task in bundle:
            listener.flows(queue.flow(1))
            yield from queue.settle(attempt(work, task, threads=1))


def map_ray(
    work: Work,
    tasks: Sequence[Task],
    demand: Demand | None = None,
    listener: Listener | None = None,
    pace: Pace | None = None,
) -> Iterator[Outcome]:
    """Does the tasks on the Ray cluster that this process is connected to; what `pace` knows is used and added to.

    A few tasks are in flight for each that can run. What dies with its worker or node is begun again; a task that
    kills its workers is set aside. On an interrupt, tasks in flight have `flights.GRACE_S` to finish.
    """
    queue, listener = TaskQueue(tasks, pace or Pace()), listener or Listener()
    flights = Flights(work, demand or Demand(), queue, listener)
    while True:
        try:
            while flights.has_room() and (bundle := queue.take(flights.slots)):
                flights.start(bundle)
            listener.flows(queue.flow(flights.slots, flights.gpu_share))
            if not flights:
                return
            ended = flights.ended()
        except KeyboardInterrupt:
            flights.drain()
            raise
        try:
            yield from ended
        except GeneratorExit:
            flights.drain()
            raise
