"""Options that several commands share, and how a record is printed; runs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from austicker.terminal import printable

if TYPE_CHECKING:
    from austicker.grid import Site

JobFile = Annotated[Path, typer.Argument(metavar="JOB.toml", help="Job file, as in jobs/.", show_default=False)]
_STORE = "folder, or s3:// or gs:// address"
StorePlace = Annotated[str, typer.Argument(metavar="STORE", help=f"Results of a job: {_STORE}.", show_default=False)]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help=f"Where the results are: {_STORE}. (default: runs/<job name>)",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the job, e.g. attacks.0.side=0.3; repeatable."),
]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Cores of the private cluster; 0 runs without Ray. (default: all)")
]
TaskCpus = Annotated[int, typer.Option(min=1, help="Cores, and threads, of one task; they change last bits.")]
TaskGpus = Annotated[
    float | None,
    typer.Option(min=0, help="Share of a GPU of one task; 0 stays on CPUs. (default: 0.25 where there is a GPU)"),
]
Amend = Annotated[bool, typer.Option("--amend", help="Go on with settings that changed since the store was written.")]
Benchmark = Annotated[
    Path | None, typer.Option("--measured", metavar="FILE", help="bench.json of `bench`, to foretell time and size.")
]
Insecure = Annotated[
    bool, typer.Option("--insecure-cluster", help="Use a cluster beyond this machine that demands no token.")
]
ServerAddress = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="URL", help="Job server. (default: RAY_API_SERVER_ADDRESS or http://127.0.0.1:8265)"
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="As `submit` and `list` print it.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def site_of(address: str | None, workers: int | None, insecure: bool, cpus: int, gpus: float | None) -> Site:
    """Returns where the work is to be done, from what the options say."""
    from austicker import grid

    demand = grid.Demand(cpus=cpus, gpus=gpus)
    return grid.Site(address=address, workers=workers, trust="network" if insecure else "token", demand=demand)


def show(record: dict[str, Any], as_json: bool) -> None:
    """Prints a record for people or programs."""
    if as_json:
        typer.echo(json.dumps(record, indent=1))
        return
    width = max(map(len, record), default=0)
    for key, value in record.items():
        for number, line in enumerate(_lines(value)):
            typer.echo(printable(f"{key if number == 0 else '':<{width}}  {line}"))


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {item}" for key, item in value.items()] or ["none"]
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value] or ["none"]
    return [str(value)]
