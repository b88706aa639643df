"""The shelf of placement policies and the names that a job may give; how stickers are drawn is not known here.

A name is a policy and its argument, "region/chin", "random/2" or "control/motion"; the five positions of Fig. 4 go by
their bare names.
Another package adds a policy by an entry point in the group `austicker.placements`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

import numpy as np

from austicker import regions
from austicker.placements import causal, control
from austicker.placements.scene import Scene
from austicker.registry import Registry, nearest
from austicker.types import AustickerError, Placement


class Policy(Protocol):
    """Chooses where a sticker goes on one face."""

    def __call__(self, argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement | None:
        """Returns the place, or None where the policy has no answer for this face.

        Args:
            argument: what follows the "/" in the placement's name, or None.
            scene: the face.
            rng: the only source of chance.
        """
        ...


_OURS = {
    name: f"austicker.placements.{name}:place"
    for name in ("causal", "control", "region", "position", "centre", "random")
}
PLACEMENTS: Registry[Policy] = Registry("placement", "austicker.placements", _OURS)


def all_names(random_draws: int = 1) -> tuple[str, ...]:
    """Returns every placement by its full name; a policy from another package by its bare name."""
    return (
        "causal",
        *(f"causal/{kind}" for kind in causal.KINDS),
        *(f"region/{name}" for name in regions.NAMES),
        *regions.POSITIONS,
        "centre",
        *(f"random/{draw}" for draw in range(1, random_draws + 1)),
        *(f"control/{kind}" for kind in control.KINDS),
        *(name for name in PLACEMENTS.names() if name not in _OURS),
    )


def expand(patterns: Sequence[str], random_draws: int) -> tuple[str, ...]:
    """Returns the placements that a job names, each once and in the job's order.

    "region" and "region/*" are the 14 regions, "positions" the five of Fig. 4, "random" `random_draws` draws and "*"
    everything; any other pattern with "*" is matched against all names.

    Raises:
        AustickerError: a pattern names no placement; the sentence offers the nearest one.
    """
    known = all_names(random_draws)
    groups = {
        "region": tuple(f"region/{name}" for name in regions.NAMES),
        "positions": regions.POSITIONS,
        "random": tuple(f"random/{draw}" for draw in range(1, random_draws + 1)),
    }
    names: list[str] = []
    for pattern in patterns:
        if pattern in groups:
            names += groups[pattern]
        elif "*" in pattern:
            names += [name for name in known if fnmatchcase(name, pattern)] or [_check(pattern, known)]
        else:
            names.append(_check(pattern, known))
    return tuple(dict.fromkeys(names))


def _check(name: str, known: Sequence[str]) -> str:
    policy, _, argument = name.partition("/")
    elsewhere = policy not in _OURS and policy in PLACEMENTS.names()
    if name in known or elsewhere or (policy == "random" and re.fullmatch("[1-9][0-9]*", argument)):
        return name
    words = [*known, "region/*", "positions", "random"]
    hint = nearest(name, words) or f"; known: {', '.join([*PLACEMENTS.names(), 'positions'])}"
    raise AustickerError(f"Unknown placement '{name}'{hint}.")


def needs(name: str) -> tuple[str, ...]:
    """Returns what of a fold's training clips a placement must be given, and may depend on.

    "graph" is the causal graph, any other word a kind of `austicker.choices`; () where the face is all that counts.
    Another package's policy is given the graph, and what is no policy, such as a search, nothing.
    """
    policy, slash, argument = name.partition("/")
    if policy in ("region", "position", "centre", "random") or policy not in PLACEMENTS.names():
        return ()
    if policy == "control":
        return (argument,) if argument in control.CHOSEN else ()
    return (argument,) if policy == "causal" and slash else ("graph",)


def place(name: str, scene: Scene, rng: np.random.Generator) -> Placement | None:
    """Returns where the placement `name` puts a sticker's centre on one face, under that name.

    None is an answer: the policy knows no place (a causal graph without a directed edge). The clip then counts as
    unattacked; no other place is put in silently.

    Raises:
        AustickerError: the name is unknown, or the place is not a number because the landmarks are not.
    """
    policy, slash, argument = name.partition("/")
    if name in regions.POSITIONS:
        policy, slash, argument = "position", "/", name
    placement = PLACEMENTS[policy](argument if slash else None, scene, rng)
    if placement is None:
        return None
    if not (math.isfinite(placement.centre.x) and math.isfinite(placement.centre.y)):
        raise AustickerError(f"Placement '{name}' gave no finite centre; check the face's landmarks.")
    return dataclasses.replace(placement, name=name)
