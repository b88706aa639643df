"""The command line `austicker-grid`; every heavy library is imported by the command that needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from austicker import __version__
from austicker.terminal import printable
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.grid import Site, Trust
    from austicker.grid.server import JobServer
    from austicker.job import Job
    from austicker.plan import Plan
    from austicker.store import Store

app = typer.Typer(
    name="austicker-grid",
    help="Evaluate how well stickers hide an emotion from recognisers, where to stick them, and what that costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
JobFile = Annotated[Path, typer.Argument(metavar="JOB.toml", help="Job file, as in jobs/.", show_default=False)]
_STORE = "folder, or s3:// or gs:// address"
StorePlace = Annotated[str, typer.Argument(metavar="STORE", help=f"Results of a job: {_STORE}.", show_default=False)]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help=f"Where the results are: {_STORE}.  [default: runs/<job name>]",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the job, e.g. attacks.0.side=0.3; repeatable."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure-cluster", help="Use a cluster beyond this machine that demands no token.")
]
JobServerAddress = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", help="Job server.  [default: RAY_API_SERVER_ADDRESS or http://127.0.0.1:8265]"
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="As `submit` and `list` print it.", show_default=False)]
INTERRUPTED = 130
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"austicker-grid {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evaluate adversarial stickers against emotion recognisers, on a laptop or a Ray cluster."""


@app.command()
def submit(
    job: JobFile,
    store: StoreOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster: http://host:8265, 'auto' or host:port.  [default: a private one, here]"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Cores of the private cluster; 0 runs without Ray.  [default: all]")
    ] = None,
    settings: Settings = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With http://: hand the job in and leave; see `attach`.")
    ] = False,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Run what a job still lacks, then write its report; run it again to resume."""
    from austicker import grid
    from austicker import job as jobs

    read = jobs.read(job, settings or ())
    far = bool(address) and str(address).lower().startswith(("http://", "https://"))
    if detach and not far:
        raise AustickerError("--detach needs --address with the URL of a job server, such as http://127.0.0.1:8265.")
    if far and workers is not None:
        raise AustickerError("--workers counts the cores of a private cluster: leave it out with a job server.")
    site = grid.Site(address=address, workers=workers, trust="network" if insecure else "token")
    if far:
        _hand_in(read, store, site, detach, as_json)
    else:
        _carry_out(read, store, site, as_json)


@app.command()
def run(
    job: JobFile,
    store: StoreOption = None,
    settings: Settings = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Do what `submit` does on the Ray cluster that this process is part of."""
    from austicker import grid
    from austicker import job as jobs

    site = grid.Site(address="auto", trust="network" if insecure else "token")
    _carry_out(jobs.read(job, settings or ()), store, site, as_json)


def _carry_out(job: Job, place: str | None, site: Site, as_json: bool) -> None:
    from austicker import console, submission
    from austicker.store import Store

    store = Store(place or Path("runs") / job.name)
    with console.watching() as watch:
        summary = submission.submit(job, store, watch, site)
    page, warning = submission.conclude(store, summary)
    console.print_summary(summary, store, page, warning, as_json=as_json)
    if summary.cells_done < summary.cells_expected or summary.failures:
        raise typer.Exit(1)


def _hand_in(job: Job, place: str | None, site: Site, detach: bool, as_json: bool) -> None:
    from austicker import parcel, remote

    store = parcel.shared_store(place)
    server = remote.connect(site.address, site.trust)
    name = remote.hand_in(job, store, server, [remote.INSECURE] if site.trust == "network" else [])
    if detach:
        words = {"job": name} | remote.commands(server, name, site.trust)
        typer.echo(json.dumps(words, indent=1) if as_json else "\n".join(words.values()))
        return
    _follow(server, name, site.trust, as_json)


def _follow(server: JobServer, name: str, trust: Trust, as_json: bool) -> None:
    from austicker import remote

    try:
        status = remote.follow(server, name, as_json=as_json)
    except KeyboardInterrupt:
        come_back = remote.commands(server, name, trust)
        sys.stderr.write(f"\nThe job goes on: `{come_back['attach']}` follows it, `{come_back['stop']}` ends it.\n")
        raise _Left(INTERRUPTED) from None
    raise typer.Exit(status)


@app.command()
def attach(job: JobId, address: JobServerAddress = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """Follow a job that was handed in to a job server; its exit status becomes this command's."""
    from austicker import remote

    trust: Trust = "network" if insecure else "token"
    _follow(remote.connect(address, trust), job, trust, as_json)


@app.command()
def stop(job: JobId, address: JobServerAddress = None, insecure: Insecure = False) -> None:
    """Stop a job that was handed in, and wait for its end; what was finished is kept."""
    from austicker import remote

    typer.echo(remote.stop(remote.connect(address, "network" if insecure else "token"), job))


@app.command("list")
def list_jobs(address: JobServerAddress = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """List the jobs that a job server knows."""
    from austicker import remote

    server = remote.connect(address, "network" if insecure else "token")
    typer.echo(remote.table(server.jobs(), as_json=as_json))


@app.command()
def plan(job: JobFile, store: StoreOption = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Print folds, cells, shards, evaluations and rows of a job; run nothing."""
    from austicker import console
    from austicker import job as jobs
    from austicker import plan as plans
    from austicker.store import Store

    read = jobs.read(job, settings or ())
    found = Store(store or Path("runs") / read.name)
    found.reach()
    with console.preparing() as progress:
        laid_out = plans.expand(read, progress)
    _print(_plan_record(laid_out, found), as_json)


def _plan_record(laid_out: Plan, store: Store) -> dict[str, Any]:
    tasks = laid_out.tasks(store)
    missing = sum(len(task.cells) for task in tasks)
    return {
        "job": laid_out.job.name,
        "corpora": {
            name: f"{len(corpus.clips)} clips, {len(laid_out.folds[name])} of "
            f"{len({clip.subject for clip in corpus.clips})} folds, fingerprint {corpus.fingerprint[:12]}"
            for name, corpus in laid_out.corpora.items()
        },
        "models": [settings.label for settings in laid_out.job.models],
        "folds": sum(len(found) for found in laid_out.folds.values()),
        "shards": len(laid_out.shards),
        "cells": len(laid_out.cells),
        "rows": laid_out.rows,
        "model evaluations": laid_out.evaluations,
        "trainings to do": sum(task.stage == "train" for task in tasks),
        "graphs to discover": sum(task.stage == "discover" for task in tasks),
        "shards to do": sum(task.stage == "attack" for task in tasks),
        "cells to do": missing,
    }


@app.command()
def status(store: StorePlace, as_json: AsJson = False) -> None:
    """Print how much of a job a store holds, how fast its run goes, when it will end, and what failed."""
    from austicker.status import standing
    from austicker.store import Store

    _print(standing(Store(store)), as_json)


@app.command()
def report(store: StorePlace) -> None:
    """Write a store's report anew: tables, figures and index.html."""
    from austicker import submission
    from austicker.store import Store

    typer.echo(submission.report(Store(store)))


@app.command()
def generate(
    output: Annotated[Path, typer.Argument(help="Folder for the pictures.", show_default=False)],
    corpus: Annotated[str | None, typer.Option(help="Corpus whose frames are attacked.  [default: orl-motion]")] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of your own photos instead of a corpus.")] = None,
    sticker: Annotated[list[str] | None, typer.Option(help="Name or PNG file; repeatable.  [default: monkey]")] = None,
    placement: Annotated[str, typer.Option(help="See `austicker-grid placements`.")] = "centre",
    side: Annotated[float, typer.Option(help="Side of the sticker as a fraction of the face's.")] = 0.2,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT of the pictures.  [default: as they are]")] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Results whose graphs place 'causal' stickers.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random places.")] = 0,
    subject: Annotated[
        list[str] | None, typer.Option(help="Only this person of the corpus; repeatable.  [default: all]")
    ] = None,
) -> None:
    """Write adversarial pictures: a corpus' frames, or your own photos, with stickers on them."""
    from austicker import console, corpora, placements, stickers, submission
    from austicker import generate as pictures
    from austicker.store import Store

    if corpus and photos:
        raise AustickerError("Give either --corpus or --photos, not both.")
    if subject and photos:
        raise AustickerError("--subject names people of a corpus: leave it out with --photos.")
    names = tuple(sticker or ["monkey"])
    for name in names:
        stickers.load(name)
    folders = [Path(name).stem for name in names]
    if len(set(folders)) < len(folders):
        raise AustickerError(f"Two stickers would share a folder ({', '.join(folders)}): rename one, or give it once.")
    stickers.check_fits(side)
    if placement not in placements.expand([placement], 1):
        raise AustickerError(f"'{placement}' names several placements; give one of them.")
    look = pictures.Look(
        stickers=names,
        placement=placement,
        side=side,
        size_px=pictures.parse_size(size) if size else None,
        graphs=submission.graphs(Store(store), corpus or "orl-motion") if store else {},
        seed=seed,
        subjects=tuple(subject or ()),
    )
    skipped: tuple[str, ...] = ()
    with console.preparing() as progress:
        if photos:
            written, skipped = pictures.from_folder(photos, look, output, progress)
        else:
            opened = corpora.open_corpus(corpus or "orl-motion", progress=progress)
            written = pictures.from_corpus(opened, look, output, progress)
    for sentence in skipped:
        typer.echo(sentence, err=True)
    typer.echo(f"{written} pictures in {output}")
    if not written:
        raise typer.Exit(1)


@app.command()
def corpora(as_json: AsJson = False) -> None:
    """List the corpora."""
    from austicker.corpora import CORPORA, EMBEDDED, WITHOUT_ADAPTER

    known = {name: "embedded" if name in EMBEDDED else "needs its folder" for name in CORPORA.names()}
    _print(known | dict.fromkeys(WITHOUT_ADAPTER, "no adapter in this version") | known, as_json)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the recognisers with their published recipes."""
    from austicker.models import MODELS, published

    _print({name: dict(published(name)) for name in MODELS.names()}, as_json)


@app.command()
def stickers(as_json: AsJson = False) -> None:
    """List the stickers with their letters in the paper."""
    from austicker.stickers import STICKERS

    _print({name: f"({letter})" for name, letter in STICKERS.items()}, as_json)


@app.command()
def placements(as_json: AsJson = False) -> None:
    """List the placements; `random` in a job stands for several draws, `region/*` for all 14 regions."""
    from austicker.placements import all_names

    names = all_names()
    if as_json:
        typer.echo(json.dumps(names))
    else:
        typer.echo("\n".join(names))


def _print(record: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(record, indent=1))
        return
    width = max(map(len, record), default=0)
    for key, value in record.items():
        for number, line in enumerate(_lines(value)):
            typer.echo(f"{key if number == 0 else '':<{width}}  {line}")


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {item}" for key, item in value.items()] or ["none"]
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value] or ["none"]
    return [str(value)]


class _Left(SystemExit):
    """Ctrl-C while another machine's job was followed: what becomes of it was said."""


def main() -> None:
    """Runs the command line; a user's mistake becomes one sentence and exit status 2."""
    try:
        app()
    except AustickerError as error:
        sys.stderr.write(printable(f"Error: {error}\n"))
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED and not isinstance(ended, _Left):  # Typer makes this of Ctrl-C, and says nothing
            sys.stderr.write("Interrupted: what was finished is kept; run the same command again to go on.\n")
        raise
