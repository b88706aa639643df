"""The commands that run a job, measure a cluster with it, or say where it stands."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from austicker.cli import server
from austicker.cli.options import (
    Amend,
    AsJson,
    Benchmark,
    Insecure,
    JobFile,
    Settings,
    StoreOption,
    StorePlace,
    TaskCpus,
    TaskGpus,
    Workers,
    show,
    site_of,
)
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.grid import Site
    from austicker.job import Job


def submit(
    job: JobFile,
    store: StoreOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster: http://host:8265, 'auto' or host:port. (default: a private one, here)"),
    ] = None,
    workers: Workers = None,
    settings: Settings = None,
    amend: Amend = False,
    measured: Benchmark = None,
    task_cpus: TaskCpus = 1,
    task_gpus: TaskGpus = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With http://: hand the job in and leave; see `attach`.")
    ] = False,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Run what a job still lacks, then write its report; run it again to resume."""
    from austicker import job as jobs
    from austicker.grid import knock

    read = jobs.read(job, settings or ())
    far = knock.is_job_server(address)
    if detach and not far:
        raise AustickerError("--detach needs --address with the URL of a job server, such as http://127.0.0.1:8265.")
    if far and workers is not None:
        raise AustickerError("--workers counts the cores of a private cluster: leave it out with a job server.")
    if far and measured is not None:
        raise AustickerError("--measured is read on this machine: leave it out with a job server, or ask `plan`.")
    site = site_of(address, workers, insecure, task_cpus, task_gpus)
    if not far:
        _carry_out(read, store, site, amend, measured, as_json)
        return
    handed = server.hand_in(read, store, site, _far_options(site, amend))
    (server.leave if detach else server.follow)(*handed, site.trust, as_json)


def run(
    job: JobFile,
    store: StoreOption = None,
    settings: Settings = None,
    amend: Amend = False,
    measured: Benchmark = None,
    task_cpus: TaskCpus = 1,
    task_gpus: TaskGpus = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Do what `submit` does on the Ray cluster that this process is part of."""
    from austicker import job as jobs

    site = site_of("auto", None, insecure, task_cpus, task_gpus)
    _carry_out(jobs.read(job, settings or ()), store, site, amend, measured, as_json)


def _far_options(site: Site, amend: bool) -> list[str]:
    """Returns the words by which the far `run` does what this `submit` was told."""
    words = ["--insecure-cluster"] if site.trust == "network" else []
    words += ["--amend"] if amend else []
    words += ["--task-cpus", str(site.demand.cpus)] if site.demand.cpus != 1 else []
    return words + (["--task-gpus", f"{site.demand.gpus:g}"] if site.demand.gpus is not None else [])


def _carry_out(job: Job, place: str | None, site: Site, amend: bool, measured: Path | None, as_json: bool) -> None:
    from austicker import bench, console, submission
    from austicker.store import Store

    store = Store(place or Path("runs") / job.name)
    with console.watching(bench.read(measured) if measured else None) as watch:
        summary = submission.submit(job, store, watch, site, amend=amend)
    page, warning = submission.conclude(store, summary)
    console.print_summary(summary, store, page, warning, as_json=as_json)
    if summary.cells_done < summary.cells_expected or summary.failures:
        raise typer.Exit(1)


def plan(
    job: JobFile,
    store: StoreOption = None,
    settings: Settings = None,
    measured: Benchmark = None,
    as_json: AsJson = False,
) -> None:
    """Print folds, cells, shards, evaluations and rows of a job, and what they will take; run nothing."""
    from austicker import bench, console
    from austicker import job as jobs
    from austicker import plan as plans
    from austicker.store import Store

    read, known = jobs.read(job, settings or ()), bench.read(measured) if measured else None
    found = Store(store or Path("runs") / read.name)
    found.reach()
    with console.preparing() as progress:
        laid_out = plans.expand(read, progress)
    tasks = laid_out.tasks(found)
    foretold = bench.in_words(bench.forecast(laid_out, tasks, known)) if known else {}
    show(plans.describe(laid_out, tasks) | foretold, as_json)


def status(store: StorePlace, as_json: AsJson = False) -> None:
    """Print how much of a job a store holds, how fast its run goes, when it will end, and what failed."""
    from austicker.status import standing
    from austicker.store import Store

    show(standing(Store(store)), as_json)


def report(
    store: StorePlace,
    faces: Annotated[
        bool, typer.Option("--faces", help="Show people of recorded corpora who are known to have consented to it.")
    ] = False,
) -> None:
    """Write a store's report anew: tables, figures and index.html."""
    from austicker import submission
    from austicker.store import Store

    typer.echo(submission.report(Store(store), faces=faces))


def bench(
    job: JobFile,
    output: Annotated[Path, typer.Option(help="Folder for bench.json, bench.md and bench.png.")] = Path("bench"),
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="STORE", help="An empty place that all workers reach. (default: a temporary folder)"
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster: 'auto' or host:port. (default: a private one, here)")
    ] = None,
    workers: Workers = None,
    settings: Settings = None,
    repeats: Annotated[int, typer.Option(min=1, help="Interleaved rounds that each timing is the median of.")] = 3,
    insecure: Insecure = False,
) -> None:
    """Measure a cluster with a job's own stages: rates, scaling, overhead, commits; see `plan --measured`."""
    from austicker import console
    from austicker import job as jobs
    from austicker.bench import measure, writing
    from austicker.store import Store

    read = jobs.read(job, settings or ())
    if address and store is None:
        raise AustickerError("A benchmark of a cluster needs --store: an empty place that all its workers reach.")
    if workers == 0:
        raise AustickerError("--workers 0 runs without Ray, and a benchmark measures it: give 1 or more.")
    site = site_of(address, workers, insecure, 1, None)
    with ExitStack() as stack:
        place = Store(store or stack.enter_context(tempfile.TemporaryDirectory(prefix="austicker-")))
        progress = stack.enter_context(console.preparing("rounds"))
        found = measure.measure(read, place, site, repeats, progress)
    writing.write(found, output)
    typer.echo((output / "bench.md").read_text(encoding="utf-8"))
