"""What hiding costs: how visible each attack is, and how many queries it asked, beside what it hid; ranks nothing."""

from __future__ import annotations

import polars as pl

from austicker.report import placements
from austicker.report.measures import success_rates

FEW = 0.05
"""The quantile that stands for the worst pictures."""


def visibility(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns visibility, queries and rates by recogniser, attack and family of placements.

    Visibility is that of the apex picture on the aligned face, over the `n_measured` clips that were changed or asked
    for. `psnr_mean` is over those of which a pixel changed: it is infinite for the others. Settings without any
    measured clip are left out.
    """
    keys = ["corpus", "protocol", "model", "attack", "placement_family"]
    marked = verdicts.with_columns(placements.family().alias("placement_family"))
    seen = (
        marked.drop_nulls("ssim")
        .group_by(*keys)
        .agg(
            pl.len().cast(pl.Int64).alias("n_measured"),
            pl.col("ssim").quantile(FEW, interpolation="linear").alias("ssim_5_percent"),
        )
    )
    rates = success_rates(marked, *keys)
    measured = ("changed_mean", "ssim_mean", "ssim_5_percent", "psnr_mean", "queries_mean", "error_asr", "flip_asr")
    setting = ("corpus", "protocol", "model")
    # Attacks stand in the order of what they leave of the picture.
    seen_of_attack = pl.col("ssim_mean").mean().over(*setting, "attack")
    joined = seen.join(rates, on=keys, how="left").sort(*setting, -seen_of_attack, "attack", "placement_family")
    return joined.select(*keys, *measured, "n_measured", "n_clips")
