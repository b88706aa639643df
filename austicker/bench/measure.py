"""Measures what a cluster does with a job's own stages; predicts nothing and writes no report."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from austicker import claim, grid, placements, plan, protocols, results
from austicker.bench.record import Measured, Point, models_of
from austicker.corpora import Progress
from austicker.course import work_of
from austicker.grid import Demand, Flow, Outcome, Pace
from austicker.job import Job
from austicker.plan import Plan, Task
from austicker.report import tables
from austicker.store import Store, layout
from austicker.types import AustickerError, Verdict

SHARD_S = 1.0
"""Length of the shards that are scaled."""
SHARDS_PER_WORKER = 4
COMMITS = 20
COMMIT_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rounds:
    """Median seconds of the same amount of work: in a plain loop, and by number of workers."""

    plain_s: float
    scaled_s: dict[int, float]
    cells: int
    rows: int
    evaluations: int


def measure(job: Job, store: Store, site: grid.Site, repeats: int, progress: Progress) -> Measured:
    """Runs three folds of a job, then shards of it on one to all workers, and times everything.

    Args:
        job: whose stages are measured, on its first study and seed.
        store: an empty place for what is written meanwhile.
        site: the cluster.
        repeats: of how many interleaved rounds each timing is the median.
        progress: called with timed rounds done and in all.

    Raises:
        AustickerError: a task failed, or the corpus has a single fold.
    """
    study, parts = next(iter(protocols.study_names(job.protocol, [choice.name for choice in job.corpora]).items()))
    chosen = tuple(replace(choice, folds=3) for choice in job.corpora if choice.name in parts)
    job = replace(job, corpora=chosen, seeds=job.seeds[:1])
    laid_out = plan.expand(job)
    first, *others = (fold.name for fold in laid_out.folds[study])
    if not others:
        raise AustickerError(f"'{study}' has one fold: a benchmark needs two or more.")
    tasks, pace = laid_out.tasks(store), Pace()
    with grid.cluster(site):
        runner = _Runner(laid_out, store, site)
        runner.run([task for task in tasks if task.fold == first], Pace())  # imports, opens the corpus, warms up
        runner.run([task for task in tasks if task.fold != first], pace)
        rounds = _rounds(runner, laid_out, pace, repeats, progress)
    bytes_per_row, commits_per_s = _commits(store, laid_out)
    return Measured(
        job=job.name,
        slots=runner.size.flow.slots,
        gpu_share=runner.size.flow.gpu_share,
        hardware=dict(claim.provenance()["hardware"]),
        models=models_of(job),
        rates=pace.rates(),
        scaled_model=job.models[0].label,
        shard_s=rounds.plain_s / (SHARDS_PER_WORKER * max(rounds.scaled_s)),
        scaling=_scaling(rounds),
        plain_s=rounds.plain_s,
        grid_s=rounds.scaled_s[1],
        commits_per_s=commits_per_s,
        bytes_per_row=bytes_per_row,
        aggregated_rows_per_s=_aggregation(store),
        weights_bytes={
            shard.settings.label: len(store.read(layout.weights(shard.weights))) for shard in laid_out.shards
        },
    )


class _Size(grid.Listener):
    """Remembers how large the cluster was last."""

    flow = Flow(queued=0, running=0, slots=1, left_s=None)

    def flows(self, flow: Flow) -> None:
        self.flow = flow


class _Runner:
    """A job's stages on the connected cluster, or here."""

    def __init__(self, laid_out: Plan, store: Store, site: grid.Site) -> None:
        self.job, self.store, self.site, self.size = laid_out.job, store, site, _Size()
        self.work = work_of(laid_out.job, laid_out.corpora.values(), store, site)

    def run(self, tasks: Sequence[Task], pace: Pace, at_once: int | None = None) -> list[Outcome]:
        """Does tasks on the grid, on all workers or so many."""
        listener = self.size if at_once is None else None
        return _whole(grid.map_ray(self.work, tasks, Demand(at_once=at_once), listener, pace))

    def loop(self, tasks: Iterable[Task]) -> list[Outcome]:
        """Does tasks in a plain loop in this process."""
        return _whole(grid.attempt(self.work, task, 1) for task in tasks)


def worker_counts(slots: int) -> list[int]:
    """Returns 1, 2, 4... and the number of slots itself."""
    return sorted({2**power for power in range(slots.bit_length())} | {slots})


def _rounds(runner: _Runner, laid_out: Plan, pace: Pace, repeats: int, progress: Progress) -> _Rounds:
    """Times equal rounds of fresh cells: in a plain loop (0 workers) and on 1, 2, 4... workers, in turns."""
    counts = worker_counts(runner.size.flow.slots)
    size = SHARDS_PER_WORKER * counts[-1]
    ways = [0, *counts]
    many, shards = _shards(runner, laid_out, pace, 1 + repeats * len(ways) * size)
    runner.loop(islice(shards, 1))  # warms this process up
    times: dict[int, list[float]] = {way: [] for way in ways}
    evaluations = 0
    for repeat in range(repeats):
        for way in ways if repeat % 2 == 0 else ways[::-1]:
            tasks = list(islice(shards, size))
            start = time.perf_counter()
            done = many.run(tasks, Pace(pace.rates()), at_once=way) if way else many.loop(tasks)
            times[way].append(time.perf_counter() - start)
            evaluations = sum(outcome.tally.evaluations for outcome in done)
            progress(sum(map(len, times.values())), repeats * len(ways))
    medians = {way: statistics.median(found) for way, found in times.items()}
    return _Rounds(
        plain_s=medians.pop(0),
        scaled_s=medians,
        cells=sum(len(task.cells) for task in tasks),
        rows=sum(task.rows for task in tasks),
        evaluations=evaluations,
    )


def _shards(runner: _Runner, laid_out: Plan, pace: Pace, number: int) -> tuple[_Runner, Iterator[Task]]:
    """Returns so many shards of `SHARD_S` for one trained model, each cell a new random place, and their runner."""
    job, shard = runner.job, laid_out.shards[0]
    attack = job.attacks[0]
    rate = next(
        one.seconds
        for one in pace.rates()
        if (one.stage, one.model, one.attack) == ("attack", shard.settings.label, attack.label)
    )
    size = max(1, round(SHARD_S / (rate * len(shard.fold.test))))
    draws = math.ceil(size * number / len(attack.stickers))
    attack = replace(attack, random_draws=draws, placements=placements.expand(["random"], draws))
    drawn = replace(job, models=job.models[:1], attacks=(attack,))
    drawn_out = plan.expand(drawn)
    wide = next(one for one in drawn_out.shards if one.fold == shard.fold)
    tasks = (wide.attack(wide.cells[start : start + size]) for start in range(0, size * number, size))
    return _Runner(drawn_out, runner.store, runner.site), tasks


def _whole(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Returns the outcomes.

    Raises:
        AustickerError: one of them is a failure.
    """
    found = list(outcomes)
    for outcome in found:
        if outcome.error:
            raise AustickerError(f"The benchmark's {outcome.task.title} failed: {outcome.error}")
    return found


def _scaling(rounds: _Rounds) -> tuple[Point, ...]:
    return tuple(
        Point(
            workers=workers,
            seconds=seconds,
            cells_per_s=rounds.cells / seconds,
            verdicts_per_s=rounds.rows / seconds,
            evaluations_per_s=rounds.evaluations / seconds,
            efficiency=rounds.scaled_s[1] / (workers * seconds),
        )
        for workers, seconds in rounds.scaled_s.items()
    )


def _commits(store: Store, laid_out: Plan) -> tuple[float, float]:
    """Returns the bytes of a row in a part of `COMMIT_ROWS` rows, and how many such parts are committed in a second."""
    rows = results.read_verdicts(store, laid_out.cells).head(COMMIT_ROWS)
    verdicts = [Verdict(**row) for row in rows.iter_rows(named=True)]
    start = time.perf_counter()
    keys = [results.write_part(store, "bench", [f"bench-{number}"], verdicts) for number in range(COMMITS)]
    seconds = time.perf_counter() - start
    size = len(store.read(keys[0]))
    for key in keys:
        store.remove(key)
    return size / len(verdicts), COMMITS / seconds


def _aggregation(store: Store) -> float:
    """Returns the rows that are read, checked and turned into success rates in a second."""
    start = time.perf_counter()
    verdicts = results.read_verdicts(store, results.done_cells(store))
    tables.asr(verdicts)
    return verdicts.height / (time.perf_counter() - start)
