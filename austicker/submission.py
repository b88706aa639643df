"""One submission from a checked job to a finished report; what `submit` and `run` of the command line do."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from austicker import grid, plan, stages
from austicker.corpora import Progress
from austicker.job import Job
from austicker.store import Store
from austicker.types import AustickerError, RegionGraph

GRID_KEYS = ("models", "attacks", "seeds", "corpora", "description")
"""Parts of a job that may grow in a store: what they add is run, what they drop is no longer reported."""
PARTS = ("models", "graphs", "verdicts", "failures", "report", "mlflow")
"""Folders of a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who is told of progress: while corpora are prepared, when the tasks are known, and after each task."""

    corpus: Progress
    started: Callable[[plan.Plan, tuple[plan.Task, ...]], None]
    ended: Callable[[grid.Outcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a submission ended."""

    cells_expected: int
    cells_done: int
    tasks_run: int
    job_changed: bool
    failures: tuple[grid.Outcome, ...]


def submit(job: Job, store: Store, watch: Watch, *, address: str | None, workers: int | None) -> Summary:
    """Runs whatever the store lacks of a job.

    Args:
        job: the checked job.
        store: where the results go.
        watch: who is told of progress.
        address: a Ray cluster, or None for this machine.
        workers: cores to use on this machine; 0 runs without Ray, in this process.

    Raises:
        AustickerError: there is no cluster at the address, or the store is another job's or cannot be written.
    """
    grid.check_address(address)
    _refuse_foreign(store, job)
    laid_out = plan.expand(job, watch.corpus)
    tasks = laid_out.tasks(store)
    changed = _claim(store, laid_out, bool(tasks))
    store.clear_failures()
    watch.started(laid_out, tasks)
    failures = []
    for outcome in _outcomes(job, store, tasks, address, workers):
        watch.ended(outcome)
        if outcome.error:
            failures.append(outcome)
            store.write_json(store.failure(outcome.task.id), failure_record(outcome))
    done = plan.done(laid_out, store)
    return Summary(
        cells_expected=len(laid_out.cells),
        cells_done=len(done),
        tasks_run=len(tasks),
        job_changed=changed,
        failures=tuple(failures),
    )


def _outcomes(
    job: Job, store: Store, tasks: tuple[plan.Task, ...], address: str | None, workers: int | None
) -> Iterator[grid.Outcome]:
    if not tasks:
        return
    work = partial(stages.execute, store_root=str(store.root.resolve()), job_record=job.record())
    if address is None and workers == 0:
        yield from grid.map_local(work, tasks)
        return
    with grid.cluster(address, workers):
        yield from grid.map_ray(work, tasks)


def _refuse_foreign(store: Store, job: Job) -> None:
    """Refuses a store that holds another job, or this job with settings that would change what is there."""
    if not store.job.is_file():
        if store.root.is_file():
            raise AustickerError(f"The store '{store.root}' is a file: name a folder.")
        # What a store holds is named by its inputs, so one that lost its job.json can be taken up again.
        if store.root.is_dir() and any(path.name not in PARTS for path in store.root.iterdir()):
            raise AustickerError(
                f"The folder '{store.root}' is not empty and holds no job: name a new folder with --store."
            )
        return
    there = stages.read_job(store)["job"]
    wanted = job.record()
    changed = [key for key in wanted if key not in GRID_KEYS and _plain(wanted[key]) != there.get(key)]
    if changed:
        words = ", ".join(_difference(key, there.get(key), _plain(wanted[key])) for key in changed)
        raise AustickerError(f"The store '{store.root}' was written by another job ({words}): use another --store.")


def _claim(store: Store, laid_out: plan.Plan, has_tasks: bool) -> bool:
    """Writes the job's record where it is new or something is to be run, and tells whether the job is another now."""
    record = json.loads(json.dumps(job_record(laid_out)))
    there = store.read_json(store.job) if store.job.is_file() else {}
    changed = any(there.get(key) != value for key, value in record.items() if key != "provenance")
    if changed or has_tasks:
        store.write_json(store.job, record)
    return changed


def _difference(key: str, there: Any, here: Any) -> str:
    """Returns in words how one setting differs, a table's settings one by one."""
    if isinstance(there, dict) and isinstance(here, dict):
        names = [name for name in here if here[name] != there.get(name)]
        return ", ".join(_difference(f"{key}.{name}", there.get(name), here[name]) for name in names)
    return f"{key} is {there!r} there and {here!r} here"


def _plain(value: Any) -> Any:
    """Returns a value as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def failure_record(outcome: grid.Outcome) -> dict[str, Any]:
    """Returns what is kept of a failed task."""
    return {
        "stage": outcome.task.stage,
        "unit": outcome.task.title,
        "error": outcome.error,
        "cells": [cell.id for cell in outcome.task.cells],
    }


def job_record(laid_out: plan.Plan) -> dict[str, Any]:
    """Returns what the store keeps of a job: enough to report without the corpora."""
    return {
        "job": laid_out.job.record(),
        "cells": sorted(laid_out.cells),
        "corpora": {
            name: {
                "labels": corpus.labels,
                "synthetic": corpus.synthetic,
                "fingerprint": corpus.fingerprint,
                "n_clips": len(corpus.clips),
                "n_subjects": len({clip.subject for clip in corpus.clips}),
                "planted": corpus.planted,
                "folds_run": len(laid_out.folds[name]),
                "folds_total": len({clip.subject for clip in corpus.clips}),
            }
            for name, corpus in laid_out.corpora.items()
        },
        "graphs": [[corpus, fold, graph] for (corpus, fold), graph in laid_out.graphs.items()],
        "weights": sorted({(shard.settings.label, shard.weights) for shard in laid_out.shards}),
        "rows": laid_out.rows,
        "provenance": provenance(),
    }


def provenance() -> Mapping[str, Mapping[str, str]]:
    """Returns versions, hardware and the state of the source, without a path or a host's name."""
    names = ("austicker", "torch", "ray", "causal-learn", "numpy", "polars", "opencv-python", "mediapipe")
    return {
        "versions": {"python": platform.python_version()} | {name: version(name) for name in names},
        "hardware": {"machine": platform.machine(), "system": platform.system(), "cores": str(os.cpu_count())},
        "git": {"commit": _git_commit()},
    }


def _git_commit() -> str:
    """Returns the commit of the source tree, "-dirty" where it was changed, or "installed" outside of one."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "installed"
    return found.stdout.strip()


def report(store: Store) -> Path:
    """Writes a store's report and returns its page."""
    from austicker.report import write_report
    from austicker.report.gather import gather

    return write_report(*gather(store), store.report)


def conclude(store: Store, summary: Summary) -> tuple[Path, str | None]:
    """Writes a store's report and, where anything was run, mirrors it to MLflow; a report of the same is kept.

    Returns:
        The page, and a sentence where MLflow could not be reached.
    """
    written = store.report / "index.html"
    if written.is_file() and not summary.tasks_run and not summary.job_changed:
        return written, None
    from austicker import tracking
    from austicker.report import tables, write_report
    from austicker.report.gather import gather

    verdicts, context = gather(store)
    page = write_report(verdicts, context, store.report)
    if not summary.tasks_run:
        return page, None
    return page, tracking.track(context, tables.metrics(verdicts), store.report, uri=None)


def graphs(store: Store, corpus: str) -> dict[str, RegionGraph]:
    """Returns a store's causal graphs of one corpus by the subject that their fold leaves out."""
    found = stages.read_graphs(store, stages.read_job(store))
    return {fold: graph for (name, fold), graph in found.items() if name == corpus}
