"""One submission from a checked job to a finished report; what `submit` and `run` of the command line do."""

from __future__ import annotations

from dataclasses import dataclass

from austicker import claim, findings, grid, plan, prepare, ready, stages
from austicker.course import Course, Watch
from austicker.job import Job
from austicker.store import Store, layout
from austicker.types import RegionGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a submission ended."""

    cells_expected: int
    cells_done: int
    tasks_run: int
    job_changed: bool
    failures: tuple[grid.Outcome, ...]


def submit(job: Job, store: Store, watch: Watch, site: grid.Site, *, amend: bool = False) -> Summary:
    """Runs whatever the store lacks of a job.

    Args:
        job: the checked job.
        store: where the results go.
        watch: who is told of progress.
        site: where the work is done; 0 workers do it without Ray, in this process.
        amend: go on where a setting changed that gives old cells a new identity.

    Raises:
        AustickerError: there is no cluster at the address, or the store is another job's or cannot be written.
    """
    grid.check(site)
    there = claim.own_record(store, job)
    for name, record in prepare.prepare_all(job, site, watch.corpus).items():
        watch.found(name, record.findings)
    stages.forget_corpora()
    laid_out = plan.expand(job, watch.corpus)
    tasks = laid_out.tasks(store)
    changed = claim.claim(store, laid_out, there, busy=bool(tasks), amend=amend)
    ready.publish(store, job)
    store.clear_failures()
    store.sweep()
    watch.started(laid_out, tasks)
    failures = Course(store, watch, laid_out, tasks).run(site) if tasks else ()
    expected = laid_out.cells
    return Summary(
        cells_expected=len(expected),
        # Without tasks the parts were read a moment ago, and nothing was missing.
        cells_done=len(plan.done(laid_out, store)) if tasks else len(expected),
        tasks_run=len(tasks),
        job_changed=changed,
        failures=failures,
    )


def report(store: Store, *, faces: bool = False) -> str:
    """Writes a store's report, with the faces of consenting people where they are asked for; returns where it is."""
    from austicker.report import write_report
    from austicker.report.gather import gather

    return write_report(*gather(store, faces=faces), store)


def conclude(store: Store, summary: Summary) -> tuple[str, str | None]:
    """Writes a store's report and, where anything was run, mirrors it to MLflow; a report of the same is kept.

    Returns:
        Where the page is, and a sentence where MLflow could not be reached.
    """
    if not summary.tasks_run and not summary.job_changed and store.has(layout.PAGE):
        return store.shown(layout.PAGE), None
    from austicker import tracking
    from austicker.report import tables, write_report
    from austicker.report.gather import gather

    verdicts, context = gather(store)
    page = write_report(verdicts, context, store)
    if not summary.tasks_run:
        return page, None
    return page, tracking.track(context, tables.metrics(verdicts), store, uri=None)


def graphs(store: Store, corpus: str) -> dict[str, RegionGraph]:
    """Returns a store's causal graphs of one corpus by the subject that their fold leaves out."""
    found = findings.read_graphs(store, findings.read_job(store))
    return {fold: graph for (name, fold), graph in found.items() if name == corpus}
