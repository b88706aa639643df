"""Which placement wins: every entry beside the causal place over the same clips; picks no region of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from austicker.attacks import made
from austicker.report import placements
from austicker.report.intervals import LEVEL, Difference
from austicker.report.measures import holm, paired_difference, success_rates
from austicker.report.placements import BEST_ELSEWHERE, BEST_HERE, CAUSAL, RANDOM_MEAN, TUNED, UPPER_BOUND

EVERY_STICKER = "(all)"
ONE_QUERY, SEARCH = "1 query", "search"
SETTING = ("corpus", "protocol", "model", "side")
"""What a fixed placement and a search have in common besides the sticker."""
_NOTES = {
    RANDOM_MEAN: "mean over draws",
    BEST_ELSEWHERE: "picked by one query per region on each clip of the other subjects, not counted here",
    BEST_HERE: UPPER_BOUND,
    TUNED: "picked by queries on the training subjects, not counted here",
    "control/random-region": "mean over its regions where several were drawn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """All that competes at one setting: a fixed attack's placements, and every search.

    Attributes:
        setting: `SETTING` and the fixed attack, by name.
        entries: verdicts by the name of the entry; each asked at least once.
        searches: those entries that found their own place.
        silent: placements that had no answer on any clip, and so are no entries.
    """

    setting: Mapping[str, object]
    entries: Mapping[str, pl.DataFrame] = field(compare=False, repr=False)
    searches: frozenset[str]
    silent: frozenset[str] = frozenset()

    @property
    def causal(self) -> pl.DataFrame | None:
        """Returns the verdicts of the causal place, or None where it was not tried or had no answer."""
        return self.entries.get(CAUSAL)

    def cost(self, name: str) -> str:
        """Returns whether an entry asks once or searches."""
        return SEARCH if name in self.searches else ONE_QUERY


def fields_of(verdicts: pl.DataFrame) -> list[Field]:
    """Returns one field per setting and fixed attack, in order; searches alone have a field without an attack.

    A placement that had no answer on any clip of its setting wore no sticker and does not compete.
    """
    picked = [verdicts, placements.best_elsewhere(verdicts), placements.best_here(verdicts)]
    marks = (placements.entry(), placements.is_search().alias("is_search"), placements.answered())
    pool = pl.concat(picked).filter(pl.col("placement") != placements.CLEAN).with_columns(*marks)
    fields = []
    for key, part in sorted(pool.partition_by(SETTING, as_dict=True).items(), key=str):
        found, fixed = part.filter("is_search"), part.filter(~pl.col("is_search"))
        searches = _by_entry(found)
        for attack in fixed["attack"].unique().sort().to_list() or [None]:
            own = fixed if attack is None else fixed.filter(attack=attack)
            entries = _by_entry(own.filter("answered"))
            setting = {**dict(zip(SETTING, key, strict=True)), "attack": attack}
            silent = frozenset(own["entry"]) - frozenset(entries)
            entered = {**entries, **searches}
            fields.append(Field(setting=setting, entries=entered, searches=frozenset(searches), silent=silent))
    return fields


def _by_entry(part: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {str(name): rows for (name,), rows in sorted(part.partition_by("entry", as_dict=True).items())}


def alike(a: pl.DataFrame, b: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Returns those rows of two entries whose clip both tried with the same sticker and seed.

    What an attack makes instead of wearing a sticker is set against every sticker.
    """
    keys = ["corpus", "subject", "clip", "seed"]
    if not set(b["sticker"]) <= made():
        keys.append("sticker")
    return a.join(b, on=keys, how="semi", maintain_order="left"), b.join(a, on=keys, how="semi", maintain_order="left")


def _pairs(entered: Field, *, single: bool) -> Iterator[tuple[str, str, pl.DataFrame, pl.DataFrame]]:
    """Yields sticker, rival, and the rows of both: of every sticker if `single`, then of all stickers together."""
    causal = entered.causal
    if causal is None:
        return
    stickers = causal["sticker"].unique().sort().to_list()
    for sticker in (*(stickers if single else ()), EVERY_STICKER):
        if sticker == EVERY_STICKER and single and len(stickers) == 1:
            return  # the same test once more would cost the others power
        for name, rows in entered.entries.items():
            if name != CAUSAL:
                one = pl.lit(True) if sticker == EVERY_STICKER else pl.col("sticker").is_in([sticker, *made()])
                yield sticker, name, *alike(causal.filter(one), rows.filter(one))


def _is_rival(entered: Field, name: str) -> bool:
    return name in entered.searches or name in _NOTES or name.startswith((placements.CONTROL, f"{CAUSAL}/"))


def comparisons(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns causal minus each rival in `error_asr`: paired tests, clustered by subject, Holm over the table.

    Rivals are the random placement, the best regions, the causal variants, the controls and every search of the same
    setting that had an answer. A sticker "(all)" pools the stickers that both tried, each clip counting once.
    `n_unplaced` are rows without a sticker, which count as they are without one.
    """
    rows = [
        {
            **entered.setting,
            "sticker": sticker,
            "a": CAUSAL,
            "b": name,
            "cost": entered.cost(name),
            **_difference(paired_difference(one, other)),
            "queries_a": _mean_queries(one),
            "queries_b": _mean_queries(other),
            "n_unplaced_a": _unplaced(one),
            "n_unplaced_b": _unplaced(other),
            "note": _NOTES.get(name),
        }
        for entered in fields_of(verdicts)
        for sticker, name, one, other in _pairs(entered, single=True)
        if _is_rival(entered, name) and not one.is_empty()
    ]
    order = [*placements.GROUP, "a", "b", "cost", *_TESTED, *_SPENT, "note"]
    kinds = {name: _KINDS.get(name, pl.String) for name in order}
    table = pl.DataFrame(rows, schema={**kinds, "side": pl.Float64})
    adjusted = pl.Series("p_holm", holm(table["p_value"].to_list()), pl.Float64)
    return table.insert_column(table.columns.index("p_value") + 1, adjusted)


_TESTED = ("n_clips", "n_subjects", "difference", "low", "high", "t", "p_value")
_SPENT = ("queries_a", "queries_b", "n_unplaced_a", "n_unplaced_b")
_KINDS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys((*_TESTED[2:], *_SPENT[:2]), pl.Float64),
    **dict.fromkeys((*_TESTED[:2], *_SPENT[2:]), pl.Int64),
}


def _difference(found: Difference) -> dict[str, float | None]:
    return {name: getattr(found, name) for name in _TESTED}


def _mean_queries(rows: pl.DataFrame) -> float | None:
    return rows.select(pl.col("queries").mean()).item()  # type: ignore[no-any-return]


def _unplaced(rows: pl.DataFrame) -> int:
    return rows.filter(pl.col("queries") == 0).height


def winners(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns every entry ranked by `error_asr` for each recogniser, those that ask once apart from the searches.

    Stickers are pooled; `attack` is that of the fixed places. `over_causal` is the entry minus the causal place over
    the clips and stickers that both tried; its test is clustered by subject, with Holm's correction over this table.
    """
    rows = [row for entered in fields_of(verdicts) for row in _ranking(entered)]
    schema = {
        **dict.fromkeys((*SETTING[:3], "attack", "cost", "entry", "note"), pl.String),
        **dict.fromkeys(("n_clips", "n_unplaced", "n_stickers"), pl.Int64),
        **dict.fromkeys(("side", "error_asr", "low", "high", "queries_mean", "over_causal", "p_value"), pl.Float64),
    }
    table = pl.DataFrame(rows, schema=schema)
    group = [*SETTING, "attack", "cost"]
    rank = pl.col("error_asr").rank("min", descending=True).over(group).cast(pl.Int64).alias("rank")
    adjusted = pl.Series("p_holm", holm(table["p_value"].to_list()), pl.Float64)
    clear = pl.col("p_holm") < 1 - LEVEL
    verdict = (
        pl.when(pl.col("p_holm").is_null())
        .then(None)
        .when(clear & (pl.col("over_causal") > 0))
        .then(pl.lit("better"))
        .when(clear & (pl.col("over_causal") < 0))
        .then(pl.lit("worse"))
        .otherwise(pl.lit("not told apart"))
        .alias("against_causal")
    )
    order = [*SETTING, "attack", "cost", "rank", "entry", "error_asr", "low", "high", "queries_mean", "over_causal"]
    ranked = table.with_columns(rank, adjusted).with_columns(verdict)
    return ranked.select(*order, "p_holm", "against_causal", "n_clips", "n_unplaced", "n_stickers", "note").sort(
        *group, "rank", "entry"
    )


_RATES = ("n_clips", "n_unplaced", "error_asr", "low", "high", "queries_mean")


def _ranking(entered: Field) -> list[dict[str, object]]:
    pairs = {name: paired_difference(other, one) for _, name, one, other in _pairs(entered, single=False)}
    made = []
    for name, rows in entered.entries.items():
        if name == BEST_HERE:
            continue  # nobody could have chosen it beforehand
        rates = success_rates(rows).row(0, named=True)
        found = pairs.get(name)
        made.append(
            {
                **entered.setting,
                "cost": entered.cost(name),
                "entry": name,
                **{key: rates[key] for key in _RATES},
                "n_stickers": rows["sticker"].n_unique(),
                "over_causal": found.difference if found else None,
                "p_value": found.p_value if found else None,
                "note": _NOTES.get(name),
            }
        )
    return made
