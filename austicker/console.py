"""What a person sees while a job runs: progress with rate and time left on a terminal, silence elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from austicker import grid, plan, protocols
from austicker.bench import Measured, forecast, in_words
from austicker.corpora import Progress as Report
from austicker.corpora.source import Finding
from austicker.course import Watch
from austicker.progress import Snapshot, duration
from austicker.store import Store
from austicker.submission import Summary
from austicker.terminal import printable

FINDINGS = 10
"""So many findings are said one by one when a job is submitted; `data check` says all."""
LINE_S = 10.0
"""How often a run says where it stands where there is no terminal."""


@contextmanager
def _bars() -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


def _preparation(bars: Progress, what: str) -> Report:
    """Returns a callback that shows a bar while something is made."""
    shown: list[TaskID] = []

    def progress(done: int, total: int) -> None:
        if not shown:
            shown.append(bars.add_task(what, total=total, note=""))
        bars.update(shown[0], completed=done, total=total)

    return progress


@contextmanager
def preparing(what: str = "pictures") -> Iterator[Report]:
    """Shows how the preparation of a corpus goes, or of something else."""
    with _bars() as bars:
        yield _preparation(bars, what)


@contextmanager
def watching(measured: Measured | None = None) -> Iterator[Watch]:
    """Shows a whole submission: a bar on a terminal, elsewhere a line every `LINE_S` seconds.

    With a measurement, what is foretold of the run is said first, and beside what came of it in the end.
    """
    foretold = _Foretold(measured)
    with _bars() as bars:
        shown: list[TaskID] = []
        written = time.monotonic()

        def started(laid_out: plan.Plan, tasks: tuple[plan.Task, ...]) -> None:
            _say_counts(laid_out)
            foretold.start(laid_out, tasks)
            shown.append(bars.add_task("cells", total=len(laid_out.cells), note=f"{len(tasks)} tasks to do"))

        def moved(snapshot: Snapshot) -> None:
            nonlocal written
            bars.update(shown[0], completed=snapshot.cells_done, note=_note(snapshot))
            if bars.disable and time.monotonic() - written >= LINE_S:
                written = time.monotonic()
                sys.stderr.write(f"{snapshot.cells_done} of {snapshot.cells_expected} cells, {_note(snapshot)}\n")
                sys.stderr.flush()

        def ended(outcome: grid.Outcome) -> None:
            if outcome.error:
                sys.stderr.write(printable(f"failed: {outcome.task.title}: {outcome.error}\n"))

        def found(corpus: str, findings: Sequence[Finding]) -> None:
            wrong = [finding for finding in findings if finding.kind != "repaired"]
            if wrong:
                sys.stderr.write(f"{corpus}: {len(wrong)} findings leave clips or files out, the first of them:\n")
                say_findings(wrong[:FINDINGS], to_stderr=True)

        yield Watch(found=found, corpus=_preparation(bars, "clips"), started=started, ended=ended, moved=moved)
    foretold.end()


def say_findings(findings: Iterable[Finding], *, to_stderr: bool = False) -> None:
    """Says what was found wrong with a corpus, one line each."""
    for finding in findings:
        rule = f" ({finding.rule})" if finding.rule else ""
        whose = f"{finding.clip}: " if finding.clip else ""
        line = printable(f"{finding.kind}{rule}: {whose}{finding.text}\n")
        (sys.stderr if to_stderr else sys.stdout).write(line)


def _say_counts(laid_out: plan.Plan) -> None:
    """Says how many clips the protocol finds, where others published how many there are."""
    for study in laid_out.studies.values():
        if any(count.published is not None for count in study.counts):
            for line in protocols.in_words(study.counts):
                sys.stderr.write(printable(f"{laid_out.job.protocol}, {line}\n"))


class _Foretold:
    """What a measurement foretells of a run, said at its start and beside the truth at its end."""

    def __init__(self, measured: Measured | None) -> None:
        self._measured, self._started, self._time = measured, 0.0, ""

    def start(self, laid_out: plan.Plan, tasks: tuple[plan.Task, ...]) -> None:
        """Says what is foretold of the tasks."""
        if self._measured is None or not tasks:
            return
        words = in_words(forecast(laid_out, tasks, self._measured))
        self._started, self._time = time.monotonic(), words["foretold time"]
        sys.stderr.write("; ".join(f"{key}: {value}" for key, value in words.items()) + "\n")

    def end(self) -> None:
        """Says what the run took beside what was foretold."""
        if self._time:
            sys.stderr.write(f"took {duration(time.monotonic() - self._started)}; foretold: {self._time}\n")


def _note(snapshot: Snapshot) -> str:
    """Returns what is said beside the number of cells."""
    words = [f"{snapshot.running} running, {snapshot.queued} queued"]
    words += [f"{snapshot.trained} trained"] if snapshot.trained else []
    words += [f"{snapshot.verdicts_per_s:.0f} verdicts/s"] if snapshot.verdicts_per_s else []
    words += [f"{snapshot.retries} begun again"] if snapshot.retries else []
    words += [f"{snapshot.failures} failed"] if snapshot.failures else []
    words += [f"about {duration(snapshot.left_s)} left"] if snapshot.left_s else []
    return ", ".join(words)


def print_summary(summary: Summary, store: Store, page: str, warning: str | None, *, as_json: bool) -> None:
    """Prints how a submission ended."""
    if warning:
        sys.stderr.write(f"{warning}\n")
    if as_json:
        record = {
            "store": str(store),
            "cells_done": summary.cells_done,
            "cells_expected": summary.cells_expected,
            "tasks_run": summary.tasks_run,
            "failures": [{"unit": outcome.task.title, "error": outcome.error} for outcome in summary.failures],
            "report": page,
        }
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        return
    sys.stdout.write(
        f"{summary.cells_done} of {summary.cells_expected} cells done, {summary.tasks_run} tasks run, "
        f"{len(summary.failures)} failed\nreport: {page}\n"
    )
