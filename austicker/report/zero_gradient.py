"""How many pictures the fast gradient sign method left as they were, its gradient being 0; judges no answer."""

from __future__ import annotations

import polars as pl

from austicker.report.context import Context
from austicker.report.study import FGSM, described


def zero_gradient(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns the share of pictures of which FGSM changed no pixel, by recogniser, protocol and condition.

    `made_on` is the recogniser whose gradient it was. The paper says that a picture recognised with a confidence of
    100 % does not change, and prints no share; `certain_share` is that of a score of exactly 1 for the true class by
    the recogniser that was attacked, which is another one where the pictures were made on a surrogate.
    """
    keys = ["corpus", "condition", "method", "protocol"]
    asked = described(verdicts, context).filter(attack_name=FGSM).drop_nulls("changed")
    made_on = pl.coalesce("surrogate", "model").unique().sort().str.join(", ").alias("made_on")
    return (
        asked.group_by(*keys)
        .agg(
            made_on,
            (pl.col("changed") == 0).mean().alias("unchanged_share"),
            pl.when(pl.coalesce("surrogate", "model").eq(pl.col("model")).all())
            .then((pl.col("clean_score") >= 1).mean())
            .alias("certain_share"),
            pl.len().cast(pl.Int64).alias("n_clips"),
            pl.col("seed").n_unique().cast(pl.Int64).alias("repeats"),
        )
        .sort(*keys)
    )
