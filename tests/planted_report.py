"""Verdicts and a context of a made-up run, for the tests of measures, report and tracking."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from austicker.regions import NAMES, POSITIONS
from austicker.report import Context, CorpusInfo, ModelInfo
from austicker.report.context import MeanFace
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
    "rotation": pl.Float64,
    "opacity": pl.Float64,
    "outline": pl.List(pl.Float64),
    "seed": pl.Int32,
    "label": pl.Int32,
    "clean_pred": pl.Int32,
    "attacked_pred": pl.Int32,
    "clean_score": pl.Float64,
    "attacked_score": pl.Float64,
    "queries": pl.Int32,
    "unique": pl.Int32,
    "repeated": pl.Int32,
    "cached": pl.Int32,
    "calls": pl.Int32,
    "success_at": pl.Int32,
    "answers": pl.List(pl.Float64),
    "changed": pl.Float64,
    "ssim": pl.Float64,
    "psnr": pl.Float64,
    "recipe": pl.String,
    "shift": pl.List(pl.Float64),
}
_DEFAULT: dict[str, Any] = {
    "cell": "0", "corpus": "faces", "protocol": "loso", "model": "mmnet", "attack": "sticker", "sticker": "sun",
    "placement": "causal", "region": "lips", "x": 0.5, "y": 0.5, "side": 0.2, "seed": 0, "label": 0, "clean_pred": 0,
    "attacked_pred": 0, "clean_score": 0.9, "attacked_score": 0.4, "queries": 1,
}  # fmt: skip


def verdict(subject: str, clip: str, **changes: Any) -> dict[str, Any]:
    """Returns one row; a clip that is recognised with and without a sticker unless changed.

    Its queries are all new ones, asked in one batch, and the first one hid the emotion if any did. Of a
    picture that was asked for 4 % are changed.
    """
    row = {**_DEFAULT, "fold": subject, "subject": subject, "clip": clip, **changes}
    hidden = row["queries"] > 0 and row["attacked_pred"] != row["label"]
    counted = {"unique": row["queries"], "repeated": 0, "cached": 0, "calls": 1, "success_at": int(hidden)}
    seen = {"changed": 0.04, "ssim": 0.9, "psnr": 20.0} if row["queries"] else {}
    empty = dict.fromkeys(("outline", "answers", "changed", "ssim", "psnr", "recipe", "shift"))
    return {"rotation": 0.0, "opacity": 1.0, **empty, **seen, **counted, **row}


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


FOUND_AT = (3, 40, 0)
"""Of each person's clips, the query by which the planted search `rhde` hides it; the last it never hides."""
SPENT = (10, 50, 120)
MAP = (0.9, 0.8, 0.7, 0.2, 0.6, 0.5, 0.9, 0.8, 0.7)
"""Answers of the planted map, 3 × 3: the best position is the leftmost of the middle row."""


def searched(**changes: Any) -> pl.DataFrame:
    """Returns verdicts of a search, of a map, and of fixed places and controls: causal hides one clip of three.

    control/permuted hides as many as causal and control/tuned two of three.
    """
    hidden = {"causal": 1, "causal/stable": 0, "control/permuted": 1, "control/tuned": 2, "random/1": 0, "random/2": 1}
    rows = []
    for person, clip in ((f"s{number}", clip) for number in range(PEOPLE) for clip in range(CLIPS)):
        own = {"subject": person, "clip": f"{person}c{clip}", "label": clip, "clean_pred": clip, **changes}
        other = (clip + 1) % CLIPS
        for place, count in hidden.items():
            rows.append(verdict(**own, placement=place, attacked_pred=other if clip < count else clip))
        at, spent = FOUND_AT[clip], SPENT[clip]
        asked = {"queries": spent, "unique": spent - 3, "repeated": 1, "cached": 2, "calls": 5, "success_at": at}
        search = {"attack": "rhde", "placement": "rhde", "region": None, "attacked_pred": other if at else clip}
        rows.append(verdict(**own, **search, **asked))
        mapped = {"attack": "dense", "placement": "dense", "region": None, "answers": list(MAP), "queries": len(MAP)}
        rows.append(verdict(**own, **mapped, attacked_pred=clip))
    return frame(rows)


def without_answer(verdicts: pl.DataFrame, placement: str, clips: int = CLIPS) -> pl.DataFrame:
    """Returns the verdicts where a placement had no answer on the first clips of each person.

    These clips wore no sticker and were misread without one: whoever takes that for a success is wrong.
    """
    bare = (pl.col("placement") == placement) & pl.col("clip").str.slice(-1).cast(pl.Int32).lt(clips)
    wrong = pl.col("label") + 1
    nothing = pl.lit(0, pl.Int32)
    counts = ("queries", "unique", "repeated", "cached", "calls", "success_at")
    return verdicts.with_columns(
        *(pl.when(bare).then(nothing).otherwise(name).alias(name) for name in counts),
        *(pl.when(bare).then(wrong).otherwise(name).alias(name) for name in ("clean_pred", "attacked_pred")),
        *(
            pl.when(bare).then(None).otherwise(name).alias(name)
            for name in ("x", "y", "region", "changed", "ssim", "psnr")
        ),
    )


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
        "faces": {"faces": MeanFace(picture=np.full((40, 32, 3), 128, np.uint8), boxes=boxes)},
        "examples": [("sun, s0c0", np.full((40, 32, 3), 90, np.uint8))],
    }
    return Context(**{**values, **changes})
