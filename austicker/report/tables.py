"""The report's tidy tables, each a function of verdicts (and of the context where it shows graphs); draws nothing."""

from __future__ import annotations

from typing import Any

import polars as pl

from austicker.report import placements
from austicker.report.measures import draw_rates, success_rates
from austicker.report.placements import GROUP, RANDOM_MEAN


def asr(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns `success_rates` of every setting and placement: the contract's `asr.csv`."""
    keys = ["corpus", "model", "attack", "sticker", "placement", "protocol", "side"]
    return success_rates(verdicts, *keys).sort(keys)


def entries(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns one row per setting and entry: random as the mean of its draws, and the region picked elsewhere.

    An entry that had no answer on any clip wore no sticker: its rates and true positives are null.
    """
    fixed = pl.concat([verdicts.filter(~placements.is_draw()), placements.best_elsewhere(verdicts)])
    counts = [*GROUP, "placement", "n_clips", "n_unplaced", "queries_mean", "ssim_mean"]
    measured = ("true_positives", "error_asr", "flip_asr", "low", "high")
    asked = pl.when(pl.col("queries_mean") > 0)
    rates = success_rates(fixed, *GROUP, "placement").select(
        *counts,
        *(asked.then(pl.col(name).cast(pl.Float64)).alias(name) for name in measured),
        *(pl.lit(None, pl.Float64).alias(name) for name in ("half_range", "flip_half_range")),
    )
    draws = draw_rates(verdicts, *GROUP).with_columns(
        pl.lit(RANDOM_MEAN).alias("placement"), pl.col("true_positives_mean").alias("true_positives")
    )
    return pl.concat([rates, draws.select(rates.columns)]).sort(*GROUP, "placement")


def random_draws(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns the mean, half-range and interval over draws of the random placement."""
    return draw_rates(verdicts, *GROUP).sort(*GROUP)


def positions(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns Fig. 4's true positives: per model, attack, sticker and position, summed over corpora.

    A search has no position, and a place that had no answer on one of the corpora no sum.
    """
    keys = ["model", "attack", "sticker", "side", "placement"]
    return (
        entries(verdicts)
        .filter(~pl.col("placement").str.starts_with("best region") & ~placements.is_search())
        .group_by(keys)
        .agg(
            pl.when(pl.col("true_positives").null_count() == 0).then(pl.col("true_positives").sum()),
            pl.col("n_clips").sum(),
        )
        .drop_nulls("true_positives")
        .sort(keys)
    )


def leaderboard(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns every entry ranked by `error_asr` within its corpus, protocol and model; equal rates share a rank.

    An entry that had no answer on any clip has no rank and no row.
    """
    answered = entries(verdicts).drop_nulls("error_asr")
    ranked = answered.with_columns(
        pl.col("error_asr")
        .rank("min", descending=True)
        .over("corpus", "protocol", "model")
        .cast(pl.Int64)
        .alias("rank")
    )
    columns = ["corpus", "protocol", "model", "rank", "attack", "sticker", "placement", "side"]
    measured = ("error_asr", "low", "high", "flip_asr", "n_clips", "n_unplaced", "queries_mean", "ssim_mean")
    return ranked.select(*columns, *measured).sort(columns)


def metrics(verdicts: pl.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Returns what tracking mirrors, by (model, corpus): accuracy, baseline, and rates per placement family.

    A missing rate has no entry, and neither has a placement that had no answer on any clip. Where one corpus was run by
    several protocols, the names end with the protocol: their clips are not pooled.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    keys = ("model", "corpus", "protocol")
    several = verdicts.group_by("corpus").agg(pl.col("protocol").n_unique())
    divided = {corpus for corpus, count in several.iter_rows() if count > 1}

    def put(row: dict[str, Any], values: dict[str, float | None]) -> None:
        end = f".{row['protocol']}" if row["corpus"] in divided else ""
        group = found.setdefault((row["model"], row["corpus"]), {})
        group |= {f"{name}{end}": float(value) for name, value in values.items() if value is not None}

    per_family = verdicts.filter(placements.answered()).with_columns(placements.family())
    names = ("error_asr", "flip_asr", "accuracy_drop", "queries_mean")
    for row in success_rates(per_family, *keys, "family").iter_rows(named=True):
        put(row, {f"{name}.{row['family']}": row[name] for name in names})
    for row in success_rates(verdicts, *keys).iter_rows(named=True):
        put(row, {name: row[name] for name in ("clean_accuracy", "majority_baseline", "clean_uf1", "clean_uar")})
    return found
