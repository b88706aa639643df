"""The command line `austicker-grid`; every heavy library is imported by the command that needs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from austicker import __version__
from austicker.types import AustickerError

if TYPE_CHECKING:
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
StoreFolder = Annotated[Path, typer.Argument(metavar="STORE", help="Result folder of a job.", show_default=False)]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="Result folder.  [default: runs/<job name>]", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the job, e.g. attacks.0.side=0.3; repeatable."),
]
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
        str | None, typer.Option(help="Ray cluster: 'auto' or host:port.  [default: a private one on this machine]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Cores of the private cluster; 0 runs without Ray.  [default: all]")
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Run what a job still lacks, then write its report; run it again to resume."""
    from austicker import job as jobs

    if address and address.startswith(("http://", "https://")):
        raise AustickerError(
            f"'--address {address}' is a job server; this version connects to 'auto' or host:port, and runs inside a "
            "cluster with `austicker-grid run`."
        )
    _carry_out(jobs.read(job, settings or ()), store, address, workers, as_json)


@app.command()
def run(job: JobFile, store: StoreOption = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Do what `submit` does on the Ray cluster that this process is part of."""
    from austicker import job as jobs

    _carry_out(jobs.read(job, settings or ()), store, "auto", None, as_json)


def _carry_out(job: Job, folder: Path | None, address: str | None, workers: int | None, as_json: bool) -> None:
    from austicker import console, submission
    from austicker.store import Store

    store = Store(folder or Path("runs") / job.name)
    with console.watching() as watch:
        summary = submission.submit(job, store, watch, address=address, workers=workers)
    page, warning = submission.conclude(store, summary)
    console.print_summary(summary, store, page, warning, as_json=as_json)
    if summary.cells_done < summary.cells_expected or summary.failures:
        raise typer.Exit(1)


@app.command()
def plan(job: JobFile, store: StoreOption = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Print folds, cells, shards, evaluations and rows of a job; run nothing."""
    from austicker import console
    from austicker import job as jobs
    from austicker import plan as plans
    from austicker.store import Store

    read = jobs.read(job, settings or ())
    with console.preparing() as progress:
        laid_out = plans.expand(read, progress)
    _print(_plan_record(laid_out, Store(store or Path("runs") / read.name)), as_json)


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
def status(store: StoreFolder, as_json: AsJson = False) -> None:
    """Print how much of a job a store holds, and what failed."""
    from austicker import results, stages
    from austicker.store import Store

    found = Store(store)
    record = stages.read_job(found)
    expected = set(record["cells"])
    done = results.done_cells(found.verdicts) & expected
    _print(
        {
            "job": record["job"]["name"],
            "cells": f"{len(done)} of {len(expected)}",
            "models": sum(1 for _ in found.models.glob("*.safetensors")),
            "graphs": sum(1 for _ in (found.root / "graphs").glob("*.json")),
            "failures": [f"{failure['unit']}: {failure['error']}" for failure in found.failures()],
            "report": str(found.report / "index.html") if (found.report / "index.html").is_file() else "not written",
        },
        as_json,
    )


@app.command()
def report(store: StoreFolder) -> None:
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
    store: Annotated[Path | None, typer.Option(help="Result folder whose graphs place 'causal' stickers.")] = None,
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


def main() -> None:
    """Runs the command line; a user's mistake becomes one sentence and exit status 2."""
    try:
        app()
    except AustickerError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Typer makes this of Ctrl-C, and says nothing
            sys.stderr.write("Interrupted: what was finished is kept; run the same command again to go on.\n")
        raise
