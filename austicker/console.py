"""What a person sees while a job runs: progress with rate and time left on a terminal, silence elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from austicker import grid, plan
from austicker.corpora import Progress as Report
from austicker.store import Store
from austicker.submission import Summary, Watch


@contextmanager
def _bars() -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield bars


def _preparation(bars: Progress) -> Report:
    """Returns a callback that shows a bar while pictures are made."""
    shown: list[TaskID] = []

    def progress(done: int, total: int) -> None:
        if not shown:
            shown.append(bars.add_task("pictures", total=total, note=""))
        bars.update(shown[0], completed=done, total=total)

    return progress


@contextmanager
def preparing() -> Iterator[Report]:
    """Shows the preparation of a corpus."""
    with _bars() as bars:
        yield _preparation(bars)


@contextmanager
def watching() -> Iterator[Watch]:
    """Shows a whole submission."""
    with _bars() as bars:
        rows = 0

        def started(laid_out: plan.Plan, tasks: tuple[plan.Task, ...]) -> None:
            bars.add_task("tasks", total=len(tasks), note=f"{laid_out.rows} verdicts in all")

        def ended(outcome: grid.Outcome) -> None:
            nonlocal rows
            rows += outcome.tally.rows
            speed = bars.tasks[-1].elapsed or 0.0
            note = f"{rows} verdicts, {rows / speed:.0f}/s" if speed else ""
            bars.update(bars.task_ids[-1], advance=1, note=note)
            if outcome.error:
                sys.stderr.write(f"failed: {outcome.task.title}: {outcome.error}\n")

        yield Watch(corpus=_preparation(bars), started=started, ended=ended)


def print_summary(summary: Summary, store: Store, page: Path, warning: str | None, *, as_json: bool) -> None:
    """Prints how a submission ended."""
    if warning:
        sys.stderr.write(f"{warning}\n")
    if as_json:
        record = {
            "store": str(store.root),
            "cells_done": summary.cells_done,
            "cells_expected": summary.cells_expected,
            "tasks_run": summary.tasks_run,
            "failures": [{"unit": outcome.task.title, "error": outcome.error} for outcome in summary.failures],
            "report": str(page),
        }
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        return
    sys.stdout.write(
        f"{summary.cells_done} of {summary.cells_expected} cells done, {summary.tasks_run} tasks run, "
        f"{len(summary.failures)} failed\nreport: {page}\n"
    )
