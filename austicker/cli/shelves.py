"""The commands that list what a job can name."""

from __future__ import annotations

import json

import typer

from austicker.cli.options import AsJson, show


def corpora(as_json: AsJson = False) -> None:
    """List the corpora."""
    from austicker.corpora import EMBEDDED, names

    show({name: "embedded" if name in EMBEDDED else "needs its folder" for name in names()}, as_json)


def protocols(as_json: AsJson = False) -> None:
    """List the protocols: which clips of which corpora, in which classes, divided how."""
    from austicker import protocols as known

    show({name: known.protocol(name).summary for name in known.names()}, as_json)


def models(as_json: AsJson = False) -> None:
    """List the recognisers with their published recipes."""
    from austicker.models import MODELS, published

    show({name: dict(published(name)) for name in MODELS.names()}, as_json)


def stickers(as_json: AsJson = False) -> None:
    """List the stickers with their letters in the paper."""
    from austicker.stickers import STICKERS

    show({name: f"({letter})" for name, letter in STICKERS.items()}, as_json)


def placements(as_json: AsJson = False) -> None:
    """List the placements; `random` in a job stands for several draws, `region/*` for all 14 regions."""
    from austicker.placements import all_names

    names = all_names()
    if as_json:
        typer.echo(json.dumps(names))
    else:
        typer.echo("\n".join(names))
