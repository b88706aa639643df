"""One run of tasks: handed to the grid, told to whoever watches, metered, and kept in the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from austicker import corpora, grid, plan, stages
from austicker.corpora.published import publish
from austicker.corpora.source import Finding
from austicker.job import Job
from austicker.progress import Progress, Snapshot, State
from austicker.store import Store, layout
from austicker.types import Corpus

PROGRESS_S = 10.0
"""How often a run writes to the store where it stands."""
MOVED_S = 0.2
"""How often, at most, the watch is told that it moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told of a run.

    Attributes:
        found: what was found wrong with a corpus of the user's.
        corpus: while corpora are prepared.
        started: when the tasks are known.
        ended: after each task.
        moved: whenever it moves.
    """

    found: Callable[[str, Sequence[Finding]], None]
    corpus: corpora.Progress
    started: Callable[[plan.Plan, tuple[plan.Task, ...]], None]
    ended: Callable[[grid.Outcome], None]
    moved: Callable[[Snapshot], None]


class Course(grid.Listener):
    """The run of one job's tasks.

    Args:
        store: where results, failures and the run's progress go.
        watch: who is told.
        laid_out: the whole grid.
        tasks: what is to be done of it.
    """

    def __init__(self, store: Store, watch: Watch, laid_out: plan.Plan, tasks: tuple[plan.Task, ...]) -> None:
        self._store, self._watch, self._job, self._tasks = store, watch, laid_out.job, tasks
        needed = {part for task in tasks for part in laid_out.parts[task.corpus]}
        self._corpora = [laid_out.corpora[name] for name in sorted(needed)]
        expected, missing = len(laid_out.cells), sum(len(task.cells) for task in tasks)
        self._progress = Progress(expected - missing, expected)
        self._meters: grid.Meters | None = None
        self._kept = self._told = float("-inf")

    def run(self, site: grid.Site) -> tuple[grid.Outcome, ...]:
        """Does the tasks and returns those that failed; the store knows afterwards how it ended."""
        failures = []
        with self._recorded():
            for outcome in self._outcomes(site):
                self._progress.ended(outcome)
                self._watch.ended(outcome)
                if self._meters:
                    self._meters.settled(outcome)
                if outcome.error:
                    failures.append(outcome)
                    self._store.write_json(layout.failure(outcome.task.id), failure_record(outcome))
        return tuple(failures)

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._keep("interrupted")
            raise
        self._watch.moved(self._progress.snapshot("finished"))
        self._keep("finished")

    def _outcomes(self, site: grid.Site) -> Iterator[grid.Outcome]:
        work = work_of(self._job, self._corpora, self._store, site)
        if site.address is None and site.workers == 0:
            yield from grid.map_local(work, self._tasks, self)
            return
        with grid.cluster(site):
            self._meters = grid.Meters(self._job.name)
            yield from grid.map_ray(work, self._tasks, site.demand, listener=self)

    def flows(self, flow: grid.Flow) -> None:
        """Is told whenever tasks were handed out or came back."""
        self._progress.flows(flow)
        if self._meters:
            self._meters.flow(queued=flow.queued, running=flow.running, slots=flow.slots)
        now = time.monotonic()
        if now - self._told >= MOVED_S:
            self._told = now
            self._watch.moved(self._progress.snapshot())
        if now - self._kept >= PROGRESS_S:
            self._keep("running")

    def lost(self, stage: plan.Stage) -> None:
        """Is told when a worker died over tasks of a stage."""
        if self._meters:
            self._meters.retried(stage)

    def _keep(self, state: State) -> None:
        self._kept = time.monotonic()
        self._store.write_json(layout.PROGRESS, asdict(self._progress.snapshot(state)))


def work_of(job: Job, opened: Iterable[Corpus], store: Store, site: grid.Site) -> grid.Work:
    """Returns what a worker does with a task of a job, whose corpora are published where the worker may be far."""
    # Workers on other machines take a corpus from the store, once for each node, and need no folder of it.
    published = publish(opened, store) if site.address is not None else None
    device = "cpu" if site.demand.gpus == 0 else None
    return partial(
        stages.execute, store_root=store.address, job_record=job.record(), published=published, device=device
    )


def failure_record(outcome: grid.Outcome) -> dict[str, Any]:
    """Returns what is kept of a failed task."""
    return {
        "stage": outcome.task.stage,
        "unit": outcome.task.title,
        "error": outcome.error,
        "cells": [cell.id for cell in outcome.task.cells],
    }
