"""Table 2: what the queries of each attack cost and bought, beside the published formulas; asks no recogniser."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from austicker.attacks import ATTACKS
from austicker.report import placements
from austicker.report.context import Json
from austicker.report.placements import RANDOM, RANDOM_SEARCH

BUDGETS = (1, 10, 100, 1000)
NOT_RUN = "not run"
_COUNTS = ("unique", "repeated", "cached", "calls")


@cache
def published() -> Mapping[str, Json]:
    """Returns what `data/published-queries.toml` says, by the name of a search and of "causal"."""
    text = (files("austicker") / "data" / "published-queries.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def succeeded(budget: int) -> pl.Expr:
    """Tells which clips were hidden by one of the first `budget` queries."""
    return pl.col("success_at").is_between(1, budget)


def _measured(marked: pl.DataFrame) -> pl.DataFrame:
    """Returns counts and successes over the clips that were asked, and how many were not."""
    asked = pl.col("queries") > 0
    spent = pl.col("queries").filter(asked)
    return marked.group_by("corpus", "model", "attack", "placement_family").agg(
        pl.col("turn").first(),
        asked.sum().cast(pl.Int64).alias("n_clips"),
        (~asked).sum().cast(pl.Int64).alias("n_unplaced"),
        spent.mean().alias("queries_mean"),
        spent.median().alias("queries_median"),
        spent.max().cast(pl.Int64).alias("queries_max"),
        *(succeeded(budget).filter(asked).mean().alias(f"success_at_{budget}") for budget in BUDGETS),
        *(pl.col(name).filter(asked).mean().alias(f"{name}_mean") for name in _COUNTS),
    )


def _words(attack: str, settings: Mapping[str, Any]) -> str | None:
    """Returns the settings that differ from the attack's defaults, or None where none does."""
    usual = asdict(ATTACKS[attack].settings())
    differs = {name: value for name, value in settings.items() if value != usual[name]}
    return ", ".join(f"{name} {value}" for name, value in sorted(differs.items())) or None


def _set_by(job: Json) -> pl.DataFrame:
    """Returns the most queries and the unusual settings of each attack of a job, by the attack's label."""
    rows = [
        {
            "attack": str(attack.get("label") or attack["name"]),
            "budget": attack.get("budget"),
            "settings": _words(attack["name"], attack.get("settings", {})),
        }
        for attack in job.get("attacks", ())
    ]
    schema = {"attack": pl.String, "budget": pl.Int64, "settings": pl.String}
    return pl.DataFrame(rows, schema=schema).unique("attack", maintain_order=True)


def _published_columns(families: list[str]) -> list[pl.Series]:
    known = [
        published().get(RANDOM if name == RANDOM_SEARCH else name if name != RANDOM else "", {}) for name in families
    ]
    return [
        pl.Series("published", [entry.get("formula", "not published") for entry in known], pl.String),
        pl.Series("published_queries", [entry.get("queries") for entry in known], pl.Int64),
        pl.Series("published_note", [entry.get("note") for entry in known], pl.String),
    ]


def queries(verdicts: pl.DataFrame, job: Json) -> pl.DataFrame:
    """Returns Table 2: queries per clip by attack and placement family, the published formula beside the measured.

    Nothing is pooled over corpora or recognisers, which not every search met. The causal place comes first, then the
    searches. `success_at_<b>` is the share of clips that one of the first b queries hid, whatever the attack went on to
    ask. All is measured over the `n_clips` that were asked; `n_unplaced` got no sticker, and so no query.

    Args:
        verdicts: rows with the columns of `Verdict`.
        job: the canonical job, for the budgets and settings of its attacks.
    """
    turn = pl.when(placement=placements.CAUSAL).then(0).when(placements.is_search()).then(1).otherwise(2)
    marked = verdicts.with_columns(placements.family().alias("placement_family"), turn.alias("turn"))
    keys = ["corpus", "model", "attack", "placement_family"]
    order = ["corpus", "model", "turn", "attack", "placement_family"]
    measured = _measured(marked).sort(order).join(_set_by(job), on="attack", how="left", maintain_order="left")
    missing = [name for name in _searches() if name not in set(measured["placement_family"])]
    unmeasured = pl.DataFrame(
        {"attack": [name.removesuffix(" search") for name in missing], "placement_family": missing},
        schema={"attack": pl.String, "placement_family": pl.String},
    )
    table = pl.concat([measured, unmeasured], how="diagonal")
    table = table.with_columns(_published_columns(table["placement_family"].to_list()))
    ran = pl.col("n_clips").is_not_null()
    said = pl.when(ran).then("placement_family").otherwise(pl.lit(NOT_RUN)).alias("placement_family")
    first = [*keys, "published", "published_queries", "budget", "settings"]
    return table.with_columns(said).select(*first, pl.exclude(*first, "turn", "published_note"), "published_note")


def _searches() -> list[str]:
    """Returns the searches with a published formula, by placement family."""
    return [RANDOM_SEARCH if name == RANDOM else name for name in published() if name != placements.CAUSAL]
