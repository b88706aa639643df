"""The planted structural causal model of `orl-motion`: its data, one draw from it, and what a coder would note."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from austicker.corpora import facs
from austicker.regions import NAMES
from austicker.types import Floats

VISIBLE = 0.45
"""Activation from which a coder notes an action unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A structural causal model over the 14 regions, all of whose latent strengths have variance 1.

    Attributes:
        cause: the region of the highest out-degree.
        edges: (cause, effect) pairs.
        weights: weight of each edge.
        leading: activation range of the cause.
        moving: activation range of every other region that has an edge.
        idle: activation range of a region without one.
    """

    cause: str
    edges: tuple[tuple[str, str], ...]
    weights: tuple[float, ...]
    leading: tuple[float, float]
    moving: tuple[float, float]
    idle: tuple[float, float]


@cache
def load() -> Planted:
    """Reads the model from the package data."""
    record = json.loads((files("austicker") / "data" / "orl-motion-scm.json").read_text(encoding="utf-8"))
    return Planted(
        cause=record["cause"],
        edges=tuple((cause, effect) for cause, effect, _ in record["edges"]),
        weights=tuple(float(weight) for _, _, weight in record["edges"]),
        **{name: (float(record[name][0]), float(record[name][1])) for name in ("leading", "moving", "idle")},
    )


def draw(model: Planted, count: int, rng: np.random.Generator) -> Floats:
    """Draws unit activations (count, 14), regions in table order.

    A latent strength is the weighted sum of its causes' plus normal noise of the remaining variance; the activation is
    its normal quantile, stretched to the region's range.
    """
    noise = rng.standard_normal((count, len(NAMES)))
    latent: dict[str, NDArray[np.float64]] = {}
    while len(latent) < len(NAMES):
        for column, name in enumerate(NAMES):
            causes = [(cause, weight) for (cause, effect), weight in _weighted(model) if effect == name]
            if name not in latent and all(cause in latent for cause, _ in causes):
                rest = np.sqrt(1 - sum(weight**2 for _, weight in causes))
                pulled = sum((weight * latent[cause] for cause, weight in causes), np.zeros(count))
                latent[name] = pulled + rest * noise[:, column]
    taking_part = {name for edge in model.edges for name in edge}
    columns = []
    for name in NAMES:
        low, high = model.leading if name == model.cause else model.moving if name in taking_part else model.idle
        columns.append(low + (high - low) * ndtr(latent[name]))
    activations: Floats = np.stack(columns, axis=1).astype(np.float32)
    return activations


def _weighted(model: Planted) -> list[tuple[tuple[str, str], float]]:
    return list(zip(model.edges, model.weights, strict=True))


def coded_units(emotion: tuple[int, ...], activation: Floats) -> tuple[str, ...]:
    """Returns the action units that a FACS coder would note, "R12" where only the person's right side is strong.

    A region on the image's left is on the person's right.
    """
    coded: list[str] = []
    for unit in emotion:
        shown = {
            facs.side(region)
            for region, strength in zip(NAMES, activation, strict=True)
            if strength >= VISIBLE and unit in facs.units_of(region, emotion)
        }
        if 0 in shown or shown == {-1, 1}:
            coded.append(str(unit))
        elif shown:
            coded.append(("R" if -1 in shown else "L") + str(unit))
    return tuple(coded)
