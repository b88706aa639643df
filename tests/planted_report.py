"""Verdicts and a context of a made-up run, for the tests of measures, report and tracking."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from austicker.regions import NAMES, POSITIONS
from austicker.report import Context, CorpusInfo, ModelInfo
from austicker.types import Box, Point, RegionGraph

PEOPLE, CLIPS = 6, 3
PLANTED = (("lips", "chin"), ("lips", "philtrum"), ("glabella", "eye-left"))
SCHEMA: dict[str, Any] = {
    "cell": pl.String,
    "corpus": pl.String,
    "protocol": pl.String,
    "fold": pl.String,
    "subject": pl.String,
    "clip": pl.String,
    "model": pl.String,
    "attack": pl.String,
    "sticker": pl.String,
    "placement": pl.String,
    "region": pl.String,
    "x": pl.Float64,
    "y": pl.Float64,
    "side": pl.Float64,
    "seed": pl.Int32,
    "label": pl.Int32,
    "clean_pred": pl.Int32,
    "attacked_pred": pl.Int32,
    "clean_score": pl.Float64,
    "attacked_score": pl.Float64,
    "queries": pl.Int32,
}
_DEFAULT: dict[str, Any] = {
    "cell": "0", "corpus": "faces", "protocol": "loso", "model": "mmnet", "attack": "sticker", "sticker": "sun",
    "placement": "causal", "region": "lips", "x": 0.5, "y": 0.5, "side": 0.2, "seed": 0, "label": 0, "clean_pred": 0,
    "attacked_pred": 0, "clean_score": 0.9, "attacked_score": 0.4, "queries": 1,
}  # fmt: skip


def verdict(subject: str, clip: str, **changes: Any) -> dict[str, Any]:
    """Returns one row; a clip that is recognised with and without a sticker unless changed."""
    return {**_DEFAULT, "fold": subject, "subject": subject, "clip": clip, **changes}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA)


def run(stickers: tuple[str, ...] = ("sun", "heart"), models: tuple[str, ...] = ("mmnet", "stcnn")) -> pl.DataFrame:
    """Returns a whole grid in which causal and lips hide all, random/1 a third and everything else nothing."""
    regions = tuple(f"region/{name}" for name in NAMES)
    places = ("causal", *regions, *POSITIONS, "centre", "random/1", "random/2")
    hidden = {"causal": CLIPS, "region/lips": CLIPS, "random/1": 1}
    rows = [
        verdict(
            f"s{person}",
            f"s{person}c{clip}",
            model=model,
            sticker=sticker,
            placement=place,
            label=clip,
            clean_pred=clip,
            attacked_pred=clip if clip >= hidden.get(place, 0) else (clip + 1) % CLIPS,
        )
        for model in models
        for sticker in stickers
        for place in places
        for person in range(PEOPLE)
        for clip in range(CLIPS)
    ]
    return frame(rows)


def context(**changes: Any) -> Context:
    graph = RegionGraph(regions=NAMES, directed=PLANTED[:2], undirected=PLANTED[2:], winner="lips", tied=("lips",))
    empty = RegionGraph(regions=NAMES)
    graphs = {("faces", f"s{person}"): graph if person else empty for person in range(PEOPLE)}
    boxes = {
        name: Box(centre=Point(x=0.2 + 0.04 * index, y=0.5), half_width=0.03, half_height=0.05)
        for index, name in enumerate(NAMES)
    }
    values: dict[str, Any] = {
        "name": "planted",
        "job": {"name": "planted", "seed": 0},
        "provenance": {"versions": {"polars": "2.1.0"}, "git": {"commit": "abc"}},
        "corpora": {
            "faces": CorpusInfo(
                labels=("a", "b", "c"),
                synthetic="Planted motion.",
                fingerprint="f" * 64,
                n_clips=PEOPLE * CLIPS,
                n_subjects=PEOPLE,
                planted=PLANTED,
                folds_run=PEOPLE,
                folds_total=PEOPLE,
            )
        },
        "models": {
            "mmnet": ModelInfo(settings={"name": "mmnet", "width": 0.25}, parameters=10, reduced="width 0.25"),
            "stcnn": ModelInfo(settings={"name": "stcnn", "width": 1.0}, parameters=20),
        },
        "cells_expected": 10,
        "cells_done": 9,
        "graphs": graphs,
        "truth": {key: {"structural_hamming_distance": 1, "orientation_f1": None} for key in graphs},
        "failures": [{"unit": "attack faces s1", "error": "MemoryError: too little"}],
        "face": np.full((40, 32, 3), 128, np.uint8),
        "boxes": boxes,
        "examples": [("sun, s0c0", np.full((40, 32, 3), 90, np.uint8))],
    }
    return Context(**{**values, **changes})
