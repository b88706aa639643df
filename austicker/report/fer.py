"""Stickers on static expressions, beside Table 3 of the early AU-Sticker paper, with paired tests; draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import polars as pl
from scipy.special import ndtr

from austicker.report import placements, published_studies
from austicker.report.context import Context
from austicker.report.intervals import holm
from austicker.report.measures import paired_difference, success_rates
from austicker.report.placements import CAUSAL
from austicker.report.study import STICKER, described

ARCHITECTURE = "vgg16"
CLEAN, RANDOM = "clean", "random"
PUBLISHED_STICKER = "monkey"
PICTURES = 7178
"""Test pictures of FER2013, public and private: the paper does not say how many it used."""
NOISE = 1.96
"""Standard errors within which a difference counts as noise."""
PRINTED_AS = "(as published)"
_SETTING = ("corpus", "protocol", "model", "attack", "sticker", "side")
_FER: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys((*_SETTING[:5], "condition"), pl.String),
    "side": pl.Float64,
    **dict.fromkeys(("published_accuracy", "accuracy", "low", "high", "difference"), pl.Float64),
    **dict.fromkeys(("n_clips", "n_subjects", "n_draws", "n_unplaced"), pl.Int64),
    "doubt": pl.String,
}
_PAIRED: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys((*_SETTING[:5], "a", "b"), pl.String),
    "side": pl.Float64,
    **dict.fromkeys(("difference", "low", "high", "t", "p_value", "p_holm"), pl.Float64),
    **dict.fromkeys(("n_clips", "n_subjects"), pl.Int64),
    **dict.fromkeys(("test", "doubt"), pl.String),
}


def _conditions(verdicts: pl.DataFrame, context: Context) -> dict[tuple[object, ...], dict[str, pl.DataFrame]]:
    """Returns by setting the verdicts of each condition; those of "clean" answer to the pictures as they are."""
    cells = described(verdicts, context).filter(attack_name=STICKER, architecture=ARCHITECTURE)
    found = {}
    for key, part in sorted(cells.partition_by(_SETTING, as_dict=True).items()):
        clean = part.unique(["seed", "subject", "clip"], maintain_order=True).with_columns(
            pl.col("clean_pred").alias("attacked_pred"), pl.lit(1, pl.Int32).alias("queries")
        )
        tried = {RANDOM: part.filter(placements.is_draw())}
        for name in part["placement"].unique().sort():
            if name.split("/")[0] == CAUSAL:
                tried[name] = part.filter(placement=name)
        asked = {name: rows for name, rows in tried.items() if not rows.is_empty()}
        if asked:
            found[key] = {CLEAN: clean, **asked}
    return found


def fer(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns accuracy on clean pictures, with the sticker at random and at the causal place, published beside.

    The interval is clustered by subject; without subjects every picture is its own. Random pools its draws, so that
    the accuracy is their mean. A causal placement without an answer on any picture has no accuracy.
    """
    rows = []
    for key, conditions in _conditions(verdicts, context).items():
        setting = dict(zip(_SETTING, key, strict=True))
        for name, part in conditions.items():
            rates = success_rates(part).row(0, named=True)
            asked = rates["queries_mean"] > 0
            known = published_studies.fer().get(name.split("/")[0]) if key[4] == PUBLISHED_STICKER else None
            printed = known.accuracy / 100 if known else None
            accuracy = 1 - rates["error_asr"] if asked else None
            rows.append(
                {
                    **setting,
                    "condition": name,
                    "published_accuracy": printed,
                    "accuracy": accuracy,
                    "low": 1 - rates["high"] if asked and rates["high"] is not None else None,
                    "high": 1 - rates["low"] if asked and rates["low"] is not None else None,
                    "difference": accuracy - printed if accuracy is not None and printed is not None else None,
                    "n_clips": part.select("subject", "clip").n_unique(),
                    "n_subjects": rates["n_subjects"],
                    "n_draws": part["placement"].n_unique() if name == RANDOM else None,
                    "n_unplaced": rates["n_unplaced"] if name != CLEAN else None,
                    "doubt": known.doubt or None if known else None,
                }
            )
    return pl.DataFrame(rows, schema=dict(_FER))


def fer_paired(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns accuracy of a minus that of b on the same pictures, and what the published rates alone can tell.

    Several draws, repeats or seeds of one picture count as their mean; the t is clustered by subject. Holm's
    correction is over the measured rows.
    """
    rows = []
    for key, conditions in _conditions(verdicts, context).items():
        asked = {name: part for name, part in conditions.items() if part["queries"].sum() > 0}
        for a, b in combinations(asked, 2):
            found = paired_difference(asked[b], asked[a])  # errors of b minus a: accuracies of a minus b
            rows.append(
                {
                    **dict(zip(_SETTING, key, strict=True)),
                    "a": a,
                    "b": b,
                    "test": "paired, by subject",
                    "note": None,
                    **{name: getattr(found, name) for name in ("difference", "low", "high", "t", "p_value")},
                    "n_clips": found.n_clips,
                    "n_subjects": found.n_subjects,
                }
            )
    table = pl.DataFrame(rows, schema=dict(_PAIRED))
    if table.is_empty():
        return table
    adjusted = table.with_columns(pl.Series("p_holm", holm(table["p_value"].to_list()), pl.Float64))
    printed = [_printed(a, b) for a, b in combinations((CLEAN, RANDOM, CAUSAL), 2)]
    return pl.concat([adjusted, pl.DataFrame(printed, schema=dict(_PAIRED))])


def standard_error(rate: float, n: int) -> float:
    """Returns the binomial standard error of a rate."""
    return float((rate * (1 - rate) / n) ** 0.5)


def published_gap(a: str, b: str) -> tuple[float, float]:
    """Returns the published accuracy of a minus that of b, and the standard error of two unpaired rates."""
    rates = [published_studies.fer()[name].accuracy / 100 for name in (a, b)]
    error = sum(standard_error(rate, PICTURES) ** 2 for rate in rates) ** 0.5
    return rates[0] - rates[1], error


def _printed(a: str, b: str) -> dict[str, object]:
    gap, error = published_gap(a, b)
    z = gap / error
    p_value = 2 * float(ndtr(-abs(z)))
    verdict = "within noise" if abs(z) < NOISE else "beyond noise"
    return {
        "corpus": PRINTED_AS,
        "attack": STICKER,
        "sticker": PUBLISHED_STICKER,
        "a": a,
        "b": b,
        "difference": gap,
        "t": z,
        "p_value": p_value,
        "n_clips": PICTURES,
        "test": "unpaired, binomial",
        "doubt": f"{gap:.2f} is {abs(z):.1f} standard errors of {error:.4f}: {verdict}, if all {PICTURES:,} test "
        "pictures were used; rates printed with two decimals are uncertain by 0.005 each",
    }
