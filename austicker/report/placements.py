"""Names of placements as the report groups and orders them, and the best fixed region; draws no number itself."""

from __future__ import annotations

import polars as pl

from austicker.attacks import ATTACKS
from austicker.regions import NAMES, POSITIONS
from austicker.stickers import STICKERS

CAUSAL = "causal"
CONTROL = "control/"
TUNED = "control/tuned"
RANDOM = "random"
RANDOM_SEARCH = "random search"
RANDOM_MEAN = "random mean"
BEST_ELSEWHERE = "best region (other subjects)"
BEST_HERE = "best region (same clips)"
CLEAN = "clean"
"""The attack that is none."""
UPPER_BOUND = "picked on the same clips: an upper bound"
GROUP = ("corpus", "protocol", "model", "attack", "sticker", "side")
"""One setting of everything but the placement; seeds are pooled."""


def sticker_rank(label: str) -> tuple[int, str]:
    """Returns a sort key that puts the shipped stickers in the paper's order, (a) to (h), and others after them.

    Args:
        label: a sticker's name, alone or followed by " · " and more.
    """
    names = list(STICKERS)
    name = label.split(" · ")[0]
    return (names.index(name) if name in names else len(names), label)


def is_search() -> pl.Expr:
    """Tells which rows are of an attack that found its own place: its name stands there for the placement."""
    return pl.col("placement").is_in(list(ATTACKS.names()))


def is_control() -> pl.Expr:
    """Tells which rows ask whether causality is what helps."""
    return pl.col("placement").str.starts_with(CONTROL)


def is_draw() -> pl.Expr:
    """Tells which rows are draws of the random placement; "random" alone is the search of that name."""
    return pl.col("placement").str.starts_with("random/")


def answered() -> pl.Expr:
    """Tells which rows are of an entry that asked at least once in its setting; a rule without answers wore nothing."""
    asked = (pl.col("queries") > 0).any().over("corpus", "protocol", "model", "attack", "side", entry())
    return asked.alias("answered")


def family() -> pl.Expr:
    """Returns the family of a placement: "random/3" is "random", Fig. 4's five places are "named position".

    Causal variants and controls stay apart, and the search "random" is not the placement "random/3".
    """
    name, parts = pl.col("placement"), pl.col("placement").str.split("/").list
    several = parts.first().is_in([CAUSAL, CONTROL.removesuffix("/")])
    return (
        pl.when(name.is_in(list(POSITIONS)))
        .then(pl.lit("named position"))
        .when(is_search() & (name == RANDOM))
        .then(pl.lit(RANDOM_SEARCH))
        .when(several)
        .then(parts.head(2).list.join("/"))
        .otherwise(parts.first())
        .alias("family")
    )


def entry() -> pl.Expr:
    """Returns what competes in a comparison: a search by its label in the job, several draws as one, else a place."""
    label = pl.col("attack").replace({RANDOM: RANDOM_SEARCH})
    return (
        pl.when(is_search())
        .then(label)
        .when(is_draw())
        .then(pl.lit(RANDOM_MEAN))
        .when(is_control())
        .then(family())
        .otherwise(pl.col("placement"))
        .alias("entry")
    )


def title(placement: str) -> str:
    """Returns a placement as it is printed."""
    return placement.removeprefix("region/").replace(CONTROL, "control: ").replace("-", " ")


def order(placements: list[str]) -> list[str]:
    """Returns Fig. 4's places, causal, random, the 14 regions in table order, then plug-ins by name."""
    known = [*POSITIONS, CAUSAL, RANDOM_MEAN, "centre", *(f"region/{name}" for name in NAMES)]
    rank = {name: index for index, name in enumerate(known)}
    return sorted(set(placements), key=lambda name: (rank.get(name, len(rank)), name))


def _regions(verdicts: pl.DataFrame) -> pl.DataFrame:
    wrong = (pl.col("attacked_pred") != pl.col("label")).cast(pl.Int64).alias("wrong")
    return verdicts.filter(pl.col("placement").str.starts_with("region/")).with_columns(wrong)


def _order_of(placement: pl.Expr) -> pl.Expr:
    """Returns the rank that breaks ties between equally good regions: table order."""
    ranks = {f"region/{name}": index for index, name in enumerate(NAMES)}
    return placement.replace_strict(ranks, default=len(ranks), return_dtype=pl.Int64).alias("rank")


def best_here(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns the verdicts of the region with most errors in each group, chosen on these same clips: optimistic."""
    wanted = _pick(_regions(verdicts).group_by(*GROUP, "placement").agg(pl.col("wrong").mean().alias("rate")), GROUP)
    return _taken(verdicts, wanted, GROUP, BEST_HERE)


def best_elsewhere(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns each subject's verdicts at the region with most errors on all other subjects of its group.

    Under leave-one-subject-out the other subjects are the other folds. A group of one subject has no others and
    gives no rows.
    """
    keys = (*GROUP, "subject")
    own = _regions(verdicts).group_by(*keys, "placement").agg(pl.col("wrong").sum(), pl.len().cast(pl.Int64).alias("n"))
    everyone = own.group_by(*GROUP, "placement").agg(pl.col("wrong").sum().alias("all"), pl.col("n").sum().alias("of"))
    # Every subject meets every region, also one that was never tried on that subject.
    others = (
        own.select(keys)
        .unique()
        .join(everyone, on=list(GROUP))
        .join(own, on=[*keys, "placement"], how="left")
        .with_columns(pl.col("wrong", "n").fill_null(0))
        .filter(pl.col("of") > pl.col("n"))
        .with_columns(((pl.col("all") - pl.col("wrong")) / (pl.col("of") - pl.col("n"))).alias("rate"))
    )
    return _taken(verdicts, _pick(others, keys), keys, BEST_ELSEWHERE)


def _pick(rates: pl.DataFrame, keys: tuple[str, ...]) -> pl.DataFrame:
    ranked = rates.with_columns(_order_of(pl.col("placement"))).sort(
        "rate", "rank", "placement", descending=[True, False, False]
    )
    return ranked.group_by(*keys, maintain_order=True).agg(pl.col("placement").first())


def _taken(verdicts: pl.DataFrame, wanted: pl.DataFrame, keys: tuple[str, ...], name: str) -> pl.DataFrame:
    columns = verdicts.columns
    return (
        verdicts.join(wanted, on=[*keys, "placement"], how="semi", maintain_order="left")
        .with_columns(pl.lit(name).alias("placement"))
        .select(columns)
    )
