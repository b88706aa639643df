"""The patch-size ablation of the camera-ready paper: the monkey sticker at sides kW/10, measured beside published."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import polars as pl

from austicker.report.context import ModelInfo
from austicker.report.measures import success_rates
from austicker.report.placements import CAUSAL

STICKER = "monkey"
"""The paper's sticker (a), in our drawing."""
SIZES = (1.0, 2.0, 3.0)
TENTH = 0.1


@cache
def published() -> Mapping[tuple[int, str, str], tuple[float, str]]:
    """Returns the published rate, and what speaks against it or "", by (k, architecture, corpus).

    Source: the patch-size table of the camera-ready AU-Sticker paper; `data/published-patch-size.csv`.
    """
    text = (files("austicker") / "data" / "published-patch-size.csv").read_text(encoding="utf-8")
    return {
        (int(row["k"]), row["model"], row["corpus"]): (float(row["error_asr"]), row["doubt"])
        for row in csv.DictReader(text.splitlines())
    }


def patch_size(verdicts: pl.DataFrame, models: Mapping[str, ModelInfo]) -> pl.DataFrame:
    """Returns the causal place's `error_asr` by sticker size, with the published one of that architecture and corpus.

    One size is no ablation: a recogniser that was tried with a single side has no rows.

    Args:
        verdicts: rows with the columns of `Verdict`.
        models: by label, for the architectures' names.
    """
    tenths = (pl.col("side") / TENTH).round(6)
    tried = verdicts.filter((pl.col("placement") == CAUSAL) & (pl.col("sticker") == STICKER) & tenths.is_in(SIZES))
    sized = tried.with_columns(tenths.cast(pl.Int64).alias("k")).filter(
        pl.col("k").n_unique().over("corpus", "protocol", "model") > 1
    )
    keys = ["corpus", "protocol", "model", "k", "attack"]
    rates = success_rates(sized, *keys).sort(keys).select(*keys, "error_asr", "low", "high", "n_clips")
    known = [
        published().get((row["k"], str(models[row["model"]].settings.get("name")), row["corpus"]), (None, ""))
        if row["model"] in models
        else (None, "")
        for row in rates.iter_rows(named=True)
    ]
    return rates.with_columns(
        pl.Series("published_asr", [rate for rate, _ in known], pl.Float64),
        pl.Series("doubt", [doubt or None for _, doubt in known], pl.String),
    ).select(
        *keys[:4],
        "error_asr",
        "low",
        "high",
        "published_asr",
        (pl.col("error_asr") - pl.col("published_asr")).alias("difference"),
        "n_clips",
        "attack",
        "doubt",
    )
