"""The commands that list what a job can name."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from austicker.cli.options import AsJson, show

PATCH = "plain patch"
"""What an attack makes that wears no sticker and searches a place all the same."""

if TYPE_CHECKING:
    from austicker.attacks.search import Attack
    from austicker.foreign.kinds import Kind


def corpora(as_json: AsJson = False) -> None:
    """List the corpora."""
    from austicker.corpora import EMBEDDED, names

    show({name: "embedded" if name in EMBEDDED else "needs its folder" for name in names()}, as_json)


def protocols(as_json: AsJson = False) -> None:
    """List the protocols: which clips of which corpora, in which classes, divided how."""
    from austicker import protocols as known

    show({name: known.protocol(name).summary for name in known.names()}, as_json)


def models(as_json: AsJson = False) -> None:
    """List the recognisers: those trained here with their published recipes, and the kinds trained elsewhere."""
    from austicker.foreign import FOREIGN
    from austicker.models import MODELS, access, own_settings

    own = {name: {"access": access(name)} | own_settings(name) for name in MODELS.names()}
    show(own | {name: _kind(FOREIGN[name]) for name in FOREIGN.names()}, as_json)


def _kind(kind: Kind) -> dict[str, Any]:
    """Returns what a job may say of a recogniser that was trained elsewhere, and what it gets for it."""
    required = ["file" if key == "source" and kind.source == "file" else key for key in kind.required]
    optional = [key for key in ("label", "version", "access", "classes", *kind.keys) if key not in kind.required]
    return {
        "trained": "elsewhere",
        "source": kind.source,
        "access": kind.access,
        "required": ", ".join(required) or "nothing",
        "optional": ", ".join(optional),
    } | ({"labels": ", ".join(kind.fixed["labels"])} if "labels" in kind.fixed else {})


def attacks(as_json: AsJson = False) -> None:
    """List the attacks: what they need of a recogniser, how often they ask it for one clip, and their settings."""
    from austicker.attacks import ATTACKS

    show({name: _attack(ATTACKS[name], as_json) for name in ATTACKS.names()}, as_json)


def _attack(attack: Attack, as_json: bool) -> dict[str, Any]:
    settings = attack.settings()
    values = asdict(settings)
    return {
        "access": attack.access,
        "most queries": settings.queries,
        "place": _place(attack),
        "wears": "the job's stickers" if attack.wears else f"no sticker (it makes {attack.makes})",
        "settings": values if as_json else ", ".join(f"{key} = {value}" for key, value in values.items()) or "none",
    }


def _place(attack: Attack) -> str:
    if not attack.searches:
        return "the job's placements"
    return "searched" if attack.wears or attack.makes == PATCH else "none"


def stickers(as_json: AsJson = False) -> None:
    """List the stickers with their letters in the paper."""
    from austicker.stickers import STICKERS

    show({name: f"({letter})" for name, letter in STICKERS.items()}, as_json)


def placements(as_json: AsJson = False) -> None:
    """List the placements; in a job `random` stands for several draws, and `region/*` and `control/*` for all such."""
    from austicker.placements import all_names

    names = all_names()
    if as_json:
        typer.echo(json.dumps(names))
    else:
        typer.echo("\n".join(names))
