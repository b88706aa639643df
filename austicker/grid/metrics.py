"""What a run tells the monitoring of its Ray cluster; decides nothing, and can be read without Ray.

Only the driver reports, from outcomes: workers need to know of no meter. Ray's agent on the driver's node exports what
it is told under the names of `Metric.series`. Facts of Ray 2.60 that shape this module: the driver sends every
`RAY_metrics_report_interval_ms` (10 s) and once more when it leaves the cluster; counters stay with the agent, one
series per driver; a gauge that is not set again within two intervals disappears; the sum of a histogram is made of the
middles of its buckets, only its counts are exact.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from austicker.grid.outcome import Outcome
from austicker.plan import Stage
from austicker.terminal import printable

JOB, STAGE, MODEL, CORPUS = "job_name", "stage", "model", "corpus"
"""Tags. Fold, cell and clip are none: each of their values would be another series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a run."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    tags: tuple[str, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """Returns the names under which Prometheus finds it."""
        ends = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
        return tuple(f"ray_{self.name}{end}" for end in ends[self.kind])


def _counter(name: str, text: str, *tags: str) -> Metric:
    return Metric(name=f"austicker_{name}", kind="counter", help=text, tags=(JOB, *tags))


def _gauge(name: str, text: str, *tags: str) -> Metric:
    return Metric(name=f"austicker_{name}", kind="gauge", help=text, tags=(JOB, *tags))


CELLS = _counter("cells", "Cells whose verdicts were written.", MODEL, CORPUS)
VERDICTS = _counter("verdicts", "Verdict rows written.", MODEL, CORPUS)
EVALUATIONS = _counter("evaluations", "Clips shown to a recogniser.", MODEL, CORPUS)
QUERIES = _counter("queries", "Clips shown to a recogniser because an attack asked.", MODEL, CORPUS)
TASKS = _counter("tasks", "Tasks that ended well.", STAGE, MODEL, CORPUS)
FAILURES = _counter("failures", "Tasks that failed for good, or whose needs did.", STAGE, MODEL, CORPUS)
RETRIES = _counter("retries", "Attempts after the first, of tasks that have ended.", STAGE, MODEL, CORPUS)
LOST_WORKERS = _counter("lost_workers", "Times that a worker or its node was lost with tasks in hand.", STAGE)
TASK_SECONDS = Metric(
    name="austicker_task_seconds",
    kind="histogram",
    help="Seconds that the last attempt took, of tasks that ended well; an attack task is a shard or a part of one.",
    tags=(JOB, STAGE, MODEL),
)
GPU_PEAK = _gauge("gpu_peak_bytes", "The most GPU memory, in bytes, that any one task held so far.", STAGE, MODEL)
QUEUED = _gauge("tasks_queued", "Tasks that wait or are ready.")
RUNNING = _gauge("tasks_running", "Tasks handed out to workers.")
SLOTS = _gauge("slots", "Tasks that the cluster can run at once.")

METRICS = (
    CELLS,
    VERDICTS,
    EVALUATIONS,
    QUERIES,
    TASKS,
    FAILURES,
    RETRIES,
    LOST_WORKERS,
    TASK_SECONDS,
    GPU_PEAK,
    QUEUED,
    RUNNING,
    SLOTS,
)
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds of the buckets of task time."""


class Meters:
    """The meters of one run. The first meter that fails says so; none ends the run.

    Args:
        job: the job's name.
    """

    def __init__(self, job: str) -> None:
        self._job = job
        self._meters: dict[str, Any] = {}
        self._peaks: dict[tuple[Stage, str], int] = {}
        self._failed = False
        with self._harmless():
            self._meters = {metric.name: _meter(metric) for metric in METRICS}

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of whatever kind: the run matters more than its monitoring
            if not self._failed:
                self._failed = True
                sys.stderr.write(printable(f"The run goes on without some of its metrics ({error!r}).\n"))

    def settled(self, outcome: Outcome) -> None:
        """Counts how a task ended."""
        task, tally = outcome.task, outcome.tally
        where = {STAGE: task.stage, MODEL: task.model, CORPUS: task.corpus}
        with self._harmless():
            self._add(RETRIES, outcome.attempts - 1, where)
            if outcome.error:
                self._add(FAILURES, 1, where)
                return
            self._add(TASKS, 1, where)
            self._meter(TASK_SECONDS).observe(outcome.seconds, self._tags(TASK_SECONDS, where))
            self._add(CELLS, len(task.cells), where)
            self._add(VERDICTS, tally.rows, where)
            self._add(EVALUATIONS, tally.evaluations, where)
            self._add(QUERIES, tally.queries, where)
            kind = (task.stage, task.model)
            self._peaks[kind] = max(outcome.gpu_bytes, self._peaks.get(kind, 0))

    def retried(self, stage: Stage) -> None:
        """Counts a lost worker, at once; `settled` counts the attempts that this cost when their task has ended."""
        with self._harmless():
            self._add(LOST_WORKERS, 1, {STAGE: stage})

    def flow(self, *, queued: int, running: int, slots: int) -> None:
        """Tells where the run stands; to be called every few seconds, or Ray drops the gauges of a long task."""
        with self._harmless():
            for metric, value in ((QUEUED, queued), (RUNNING, running), (SLOTS, slots)):
                self._meter(metric).set(value, self._tags(metric, {}))
            for (stage, model), peak in self._peaks.items():
                self._meter(GPU_PEAK).set(peak, self._tags(GPU_PEAK, {STAGE: stage, MODEL: model}))

    def _add(self, metric: Metric, amount: int, where: Mapping[str, str]) -> None:
        if amount > 0:  # Ray's counters refuse 0
            self._meter(metric).inc(amount, self._tags(metric, where))

    def _meter(self, metric: Metric) -> Any:
        return self._meters[metric.name]

    def _tags(self, metric: Metric, where: Mapping[str, str]) -> dict[str, str]:
        return {tag: self._job if tag == JOB else where[tag] for tag in metric.tags}


def _meter(metric: Metric) -> Any:
    from ray.util import metrics

    if metric.kind == "histogram":
        return metrics.Histogram(metric.name, metric.help, list(SECONDS), metric.tags)
    made = metrics.Counter if metric.kind == "counter" else metrics.Gauge
    return made(metric.name, metric.help, metric.tags)
