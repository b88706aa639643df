"""Rates of hiding an emotion with their denominators, from verdicts; a rate with an empty denominator is null."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from austicker.report.intervals import Difference, clustered_interval, holm, mean_interval, paired_t
from austicker.report.placements import RANDOM_MEAN, is_draw

__all__ = ["clustered_interval", "draw_rates", "holm", "paired_difference", "success_rates"]

PAIR = ("corpus", "subject", "clip")
VISIBILITY = ("changed", "ssim", "psnr")


def _ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    return pl.when(denominator > 0).then(numerator / denominator)


def _total(condition: pl.Expr) -> pl.Expr:
    return condition.cast(pl.Int64).sum()


def success_rates(verdicts: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Returns one row per group with counts, rates and the 95 % interval of `error_asr`.

    N = `n_clips` counts a clip once for every seed (and draw) in its group. `error_asr` = 1 - TP / N;
    `flip_asr` = flipped / correct when clean; `accuracy_drop` = clean accuracy - attacked accuracy. UF1 and UAR
    are means over the classes that occur among the group's labels. `n_unplaced` of the clips got no sticker because
    the placement had no answer; they count as unattacked. `changed_mean`, `ssim_mean` and `psnr_mean` say how visible
    the attack is, over the clips where that was measured, and PSNR over those of which a pixel changed.

    Args:
        verdicts: rows with the columns of `Verdict`.
        by: columns that make a group; none for one row over all.
    """
    marked = verdicts.with_columns(
        (pl.col("clean_pred") == pl.col("label")).alias("clean_right"),
        (pl.col("attacked_pred") == pl.col("label")).alias("attacked_right"),
        pl.struct("corpus", "subject").alias("person"),
        pl.lit(0).alias("everything"),
    )
    keys = list(by) or ["everything"]
    counts = marked.group_by(*keys, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_clips"),
        pl.col("person").n_unique().cast(pl.Int64).alias("n_subjects"),
        pl.col("seed").n_unique().cast(pl.Int64).alias("n_seeds"),
        _total(pl.col("x").is_null() & (pl.col("queries") == 0)).alias("n_unplaced"),
        pl.col("queries").mean().alias("queries_mean"),
        *(pl.col(name).mean().alias(f"{name}_mean") for name in VISIBILITY),
        _total(pl.col("attacked_right")).alias("true_positives"),
        _total(pl.col("clean_right")).alias("n_clean_correct"),
        _total(pl.col("clean_right") & ~pl.col("attacked_right")).alias("n_flipped"),
        pl.col("label").value_counts().struct.field("count").max().cast(pl.Int64).alias("n_majority"),
    )
    n, correct = pl.col("n_clips"), pl.col("n_clean_correct")
    rates = counts.with_columns(
        _ratio(correct, n).alias("clean_accuracy"),
        _ratio(pl.col("n_majority"), n).alias("majority_baseline"),
        (1 - _ratio(pl.col("true_positives"), n)).alias("error_asr"),
        _ratio(pl.col("n_flipped"), correct).alias("flip_asr"),
        _ratio(correct - pl.col("true_positives"), n).alias("accuracy_drop"),
    ).drop("n_majority")
    joined = rates.join(_intervals(marked, keys), on=keys, how="left", nulls_equal=True, maintain_order="left")
    for predicted in ("clean", "attacked"):
        scores = _class_means(marked, keys, predicted)
        joined = joined.join(scores, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return joined if by else joined.drop("everything")


def _intervals(marked: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    people = marked.group_by(*keys, "person").agg(
        _total(~pl.col("attacked_right")).alias("wrong"), pl.len().cast(pl.Int64).alias("n")
    )
    groups = people.group_by(*keys, maintain_order=True).agg("wrong", "n")
    pairs = [
        clustered_interval(wrong, n) or (None, None)
        for wrong, n in zip(groups["wrong"].to_list(), groups["n"].to_list(), strict=True)
    ]
    return groups.select(keys).with_columns(
        pl.Series("low", [low for low, _ in pairs], pl.Float64),
        pl.Series("high", [high for _, high in pairs], pl.Float64),
    )


def _class_means(marked: pl.DataFrame, keys: list[str], predicted: str) -> pl.DataFrame:
    """Returns UF1 and UAR per group: F1 = 2 TP / (2 TP + FP + FN) and recall, averaged over classes."""
    guess = f"{predicted}_pred"
    true = marked.group_by(*keys, pl.col("label").alias("class")).agg(
        pl.len().cast(pl.Int64).alias("actual"), _total(pl.col(guess) == pl.col("label")).alias("hits")
    )
    guessed = marked.group_by(*keys, pl.col(guess).alias("class")).agg(pl.len().cast(pl.Int64).alias("guessed"))
    classes = true.join(guessed, on=[*keys, "class"], how="left", nulls_equal=True).with_columns(
        pl.col("guessed").fill_null(0)
    )
    return classes.group_by(*keys).agg(
        (2 * pl.col("hits") / (pl.col("actual") + pl.col("guessed"))).mean().alias(f"{predicted}_uf1"),
        (pl.col("hits") / pl.col("actual")).mean().alias(f"{predicted}_uar"),
    )


def draw_rates(verdicts: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Returns the random placement per group: mean of its draws' `error_asr`, half-range and interval over draws.

    `low` and `high` are a t interval over draws: they say how far the mean is known given these clips. The exact
    expectation needs every position and is not estimated here.
    """
    draws = verdicts.filter(is_draw())
    rates = success_rates(draws, *by, "placement") if by else success_rates(draws, "placement")
    keys: list[str | pl.Expr] = [*by] or [pl.lit(RANDOM_MEAN).alias("placement")]
    groups = rates.group_by(keys, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_draws"),
        pl.col("n_clips").max(),
        pl.col("n_unplaced").max(),
        pl.col("queries_mean").mean(),
        pl.col("ssim_mean").mean(),
        pl.col("true_positives").mean().alias("true_positives_mean"),
        pl.col("error_asr").mean().alias("error_asr"),
        pl.col("flip_asr").mean().alias("flip_asr"),
        ((pl.col("error_asr").max() - pl.col("error_asr").min()) / 2).alias("half_range"),
        ((pl.col("flip_asr").max() - pl.col("flip_asr").min()) / 2).alias("flip_half_range"),
        pl.col("error_asr").alias("draws"),
    )
    pairs = [mean_interval(values) or (None, None) for values in groups["draws"].to_list()]
    return groups.drop("draws").with_columns(
        pl.Series("low", [low for low, _ in pairs], pl.Float64),
        pl.Series("high", [high for _, high in pairs], pl.Float64),
    )


def _clip_errors(verdicts: pl.DataFrame, pair: Sequence[str]) -> pl.DataFrame:
    wrong = (pl.col("attacked_pred") != pl.col("label")).cast(pl.Float64).mean().alias("error")
    return verdicts.group_by(*pair).agg(wrong)


def paired_difference(a: pl.DataFrame, b: pl.DataFrame) -> Difference:
    """Returns the mean difference of error rates, a minus b, over the clips that both hold, clustered by subject.

    Several rows of one clip (draws of a random placement, stickers, seeds) count as their mean.
    """
    both = _clip_errors(a, PAIR).join(_clip_errors(b, PAIR), on=PAIR, suffix="_b").sort(*PAIR)
    people = both.select(pl.concat_str("corpus", "subject", separator="\x1f")).to_series()
    return paired_t((both["error"] - both["error_b"]).to_numpy(), people.to_numpy())
