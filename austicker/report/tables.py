"""The report's tidy tables, each a function of verdicts (and of the context where it shows graphs); draws nothing."""

from __future__ import annotations

import polars as pl

from austicker.report import placements
from austicker.report.measures import draw_rates, groups_of, holm, paired_difference, success_rates
from austicker.report.placements import BEST_ELSEWHERE, BEST_HERE, CAUSAL, GROUP, RANDOM_MEAN, UPPER_BOUND

EVERY_STICKER = "(all)"
BUDGETS = (1, 10, 100, 1000, 10_000)
_SEARCH = "number of iterations × population size"
_PUBLISHED = {"rhde": _SEARCH, "dopatch": _SEARCH, "unified": _SEARCH}


def asr(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns `success_rates` of every setting and placement: the contract's `asr.csv`."""
    keys = ["corpus", "model", "attack", "sticker", "placement", "protocol", "side"]
    return success_rates(verdicts, *keys).sort(keys)


def entries(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns one row per setting and entry: random as the mean of its draws, and the region picked elsewhere."""
    fixed = pl.concat([verdicts.filter(placements.family() != "random"), placements.best_elsewhere(verdicts)])
    columns = [*GROUP, "placement", "n_clips", "queries_mean", "true_positives", "error_asr", "flip_asr"]
    numbers = [pl.lit(None, pl.Float64).alias("half_range"), pl.lit(None, pl.Float64).alias("flip_half_range")]
    rates = success_rates(fixed, *GROUP, "placement").select(
        *columns[:-3], pl.col("true_positives").cast(pl.Float64), *columns[-2:], "low", "high", *numbers
    )
    draws = draw_rates(verdicts, *GROUP).with_columns(
        pl.lit(RANDOM_MEAN).alias("placement"), pl.col("true_positives_mean").alias("true_positives")
    )
    return pl.concat([rates, draws.select(rates.columns)]).sort(*GROUP, "placement")


def random_draws(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns the mean, half-range and interval over draws of the random placement."""
    return draw_rates(verdicts, *GROUP).sort(*GROUP)


def _published(attack: str, kind: str) -> str:
    search = next((text for name, text in _PUBLISHED.items() if name in attack.lower()), None)
    return search or ("number of images" if kind == CAUSAL else "not published")


def queries(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns Table 2: queries per clip by attack and placement family, the published formula beside the measured.

    `hidden_within_<b>` is the share of clips that the attack left misrecognised at a cost of at most b queries.
    """
    wrong = pl.col("attacked_pred") != pl.col("label")
    measured = (
        verdicts.with_columns(placements.family())
        .group_by("attack", pl.col("family").alias("placement_family"))
        .agg(
            pl.len().cast(pl.Int64).alias("n_clips"),
            pl.col("queries").mean().alias("queries_mean"),
            pl.col("queries").median().alias("queries_median"),
            pl.col("queries").max().cast(pl.Int64).alias("queries_max"),
            *((wrong & (pl.col("queries") <= b)).mean().alias(f"hidden_within_{b}") for b in BUDGETS),
        )
        .sort("attack", "placement_family")
    )
    words = [_published(*row) for row in measured.select("attack", "placement_family").iter_rows()]
    table = measured.insert_column(2, pl.Series("published", words, pl.String))
    seen = " ".join(verdicts["attack"].unique().to_list()).lower()
    missing = [name for name in _PUBLISHED if name not in seen]
    unmeasured = pl.DataFrame(
        {"attack": missing, "placement_family": ["not run"] * len(missing), "published": [_SEARCH] * len(missing)},
        schema={name: pl.String for name in ("attack", "placement_family", "published")},
    )
    return pl.concat([table, unmeasured], how="diagonal")


def _comparison(pool: pl.DataFrame, group: dict[str, object], rival: str, note: str) -> dict[str, object]:
    one = pool.filter(placements.family() == "random") if rival == RANDOM_MEAN else pool.filter(placement=rival)
    found = paired_difference(pool.filter(placement=CAUSAL), one)
    return {
        **group,
        "a": CAUSAL,
        "b": rival,
        "n_clips": found.n_clips,
        "n_subjects": found.n_subjects,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "t": found.t,
        "p_value": found.p_value,
        "note": note,
    }


def comparisons(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns causal minus each rival in `error_asr`: paired tests, clustered by subject, Holm over the table.

    A sticker "(all)" pools the stickers of a setting, each clip counting once.
    """
    picked = [placements.best_elsewhere(verdicts), placements.best_here(verdicts)]
    pool = pl.concat([verdicts, *picked])
    rivals = {RANDOM_MEAN: "mean over draws", BEST_ELSEWHERE: "picked on the other subjects", BEST_HERE: UPPER_BOUND}
    rows = []
    for parts, part in ((GROUP, pool), (GROUP, pool.with_columns(pl.lit(EVERY_STICKER).alias("sticker")))):
        groups = part.partition_by(parts, as_dict=True)
        for key in groups_of(part.filter(placement=CAUSAL)).iter_rows():
            setting = dict(zip(parts, key, strict=True))
            rows += [_comparison(groups[key], setting, rival, note) for rival, note in rivals.items()]
    kinds: dict[str, pl.DataType | type[pl.DataType]] = {
        **{name: verdicts.schema[name] for name in GROUP},
        **dict.fromkeys(("a", "b"), pl.String),
        **dict.fromkeys(("n_clips", "n_subjects"), pl.Int64),
        **dict.fromkeys(("difference", "low", "high", "t", "p_value"), pl.Float64),
        "note": pl.String,
    }
    table = pl.DataFrame(rows, schema=kinds).filter(pl.col("n_clips") > 0).unique(maintain_order=True)
    adjusted = pl.Series("p_holm", holm(table["p_value"].to_list()), pl.Float64)
    return table.insert_column(table.columns.index("note"), adjusted)


def positions(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns Fig. 4's true positives: per model, attack, sticker and position, summed over corpora."""
    keys = ["model", "attack", "sticker", "side", "placement"]
    return (
        entries(verdicts)
        .filter(~pl.col("placement").str.starts_with("best region"))
        .group_by(keys)
        .agg(pl.col("true_positives").sum(), pl.col("n_clips").sum())
        .sort(keys)
    )


def leaderboard(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns every entry ranked by `error_asr` within its corpus, protocol and model; equal rates share a rank."""
    ranked = entries(verdicts).with_columns(
        pl.col("error_asr")
        .rank("min", descending=True)
        .over("corpus", "protocol", "model")
        .cast(pl.Int64)
        .alias("rank")
    )
    columns = ["corpus", "protocol", "model", "rank", "attack", "sticker", "placement", "side", "error_asr"]
    return ranked.select(*columns, "low", "high", "flip_asr", "n_clips", "queries_mean").sort(
        "corpus", "protocol", "model", "rank", "attack", "sticker", "placement", "side"
    )


def metrics(verdicts: pl.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Returns what tracking mirrors, by (model, corpus): accuracy, baseline, and rates per placement family.

    A missing rate has no entry.
    """
    found: dict[tuple[str, str], dict[str, float]] = {}
    per_family = verdicts.with_columns(placements.family())
    names = ("error_asr", "flip_asr", "accuracy_drop", "queries_mean")
    for row in success_rates(per_family, "model", "corpus", "family").iter_rows(named=True):
        group = found.setdefault((row["model"], row["corpus"]), {})
        group |= {f"{name}.{row['family']}": row[name] for name in names if row[name] is not None}
    for row in success_rates(verdicts, "model", "corpus").iter_rows(named=True):
        whole = {name: row[name] for name in ("clean_accuracy", "majority_baseline", "clean_uf1", "clean_uar")}
        found[row["model"], row["corpus"]] |= {name: value for name, value in whole.items() if value is not None}
    return found
