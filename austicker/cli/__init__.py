"""The command line `austicker-grid`; every heavy library is imported by the command that needs it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from austicker import __version__
from austicker.cli import data, pictures, runs, server, shelves
from austicker.cli.server import INTERRUPTED
from austicker.terminal import printable
from austicker.types import AustickerError

TERMINATED = 143

app = typer.Typer(
    name="austicker-grid",
    help="Evaluate how well stickers hide an emotion from recognisers, where to stick them, and what that costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "submit": runs.submit,
    "run": runs.run,
    "plan": runs.plan,
    "status": runs.status,
    "report": runs.report,
    "bench": runs.bench,
    "attach": server.attach,
    "stop": server.stop,
    "list": server.list_jobs,
    "generate": pictures.generate,
    "corpora": shelves.corpora,
    "protocols": shelves.protocols,
    "models": shelves.models,
    "attacks": shelves.attacks,
    "stickers": shelves.stickers,
    "placements": shelves.placements,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(data.app, name="data")


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


_came: list[int] = []
"""Signals that asked this process to end. Ray turns what a handler raises into a plain KeyboardInterrupt."""


def _terminated(number: int, frame: FrameType | None) -> None:
    """Treats SIGTERM as Ctrl-C but for the exit status."""
    _came.append(number)
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command line; a user's mistake becomes one sentence and exit status 2."""
    _came.clear()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except AustickerError as error:
        sys.stderr.write(printable(f"Error: {error}\n"))
        sys.exit(2)
    except SystemExit as ended:
        if ended.code != INTERRUPTED or isinstance(ended, server.Left):
            raise
        # Typer makes this of Ctrl-C, and says nothing.
        sys.stderr.write("Interrupted: what was finished is kept; run the same command again to go on.\n")
        sys.exit(TERMINATED if _came else INTERRUPTED)
