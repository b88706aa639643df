"""Table 1 as the paper lays it out: stickers by placement down, recognisers by corpus across; computes no rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from austicker.report.placements import BEST_ELSEWHERE, CAUSAL, RANDOM_MEAN, is_search, sticker_rank, title

ROWS = (RANDOM_MEAN, CAUSAL, BEST_ELSEWHERE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text; `bold` holds the (row, column) of the highest value of each sticker in each column."""

    table: pl.DataFrame = field(compare=False, repr=False)
    bold: frozenset[tuple[int, int]]


def _varying(entries: pl.DataFrame, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if entries[name].n_unique() > 1]


def _joined(entries: pl.DataFrame, first: list[str], more: tuple[str, ...]) -> pl.Expr:
    """Returns a label of `first` and of those columns of `more` that vary."""
    return pl.concat_str([*first, *_varying(entries, more)], separator=" · ")


def _wanted(entries: pl.DataFrame) -> pl.Expr:
    """Returns the paper's rows, and every placement of an attack that has not the causal one and does not search."""
    causal = entries.filter(placement=CAUSAL)["attack"].unique().to_list()
    return pl.col("placement").is_in(ROWS) | (~pl.col("attack").is_in(causal) & ~is_search())


def _text(rate: float | None, spread: float | None) -> str:
    if rate is None:
        return "–"
    return f"{100 * rate:.2f}" if spread is None else f"{100 * rate:.2f} ± {100 * spread:.2f}"


def table_1(entries: pl.DataFrame, rate: str, spread: str) -> Grid:
    """Returns rates in percent, random as mean ± half-range over its draws.

    Args:
        entries: rows of `tables.entries`.
        rate: "error_asr" or "flip_asr".
        spread: the column with its half-range over draws.
    """
    labelled = entries.filter(_wanted(entries)).with_columns(
        _joined(entries, ["sticker"], ("attack", "side")).alias("Sticker"),
        _joined(entries, ["model", "corpus"], ("protocol",)).alias("column"),
    )
    columns = labelled["column"].unique().sort().to_list()
    rank = {name: index for index, name in enumerate(ROWS)}
    values = {
        (sticker, placement, column): (value, half)
        for sticker, placement, column, value, half in labelled.select(
            "Sticker", "placement", "column", rate, spread
        ).iter_rows()
    }
    names = sorted({key[:2] for key in values}, key=lambda row: (sticker_rank(row[0]), rank.get(row[1], len(rank))))
    highest = {
        (sticker, column): max(
            (
                round(value, 9)
                for key, (value, _) in values.items()
                if key[::2] == (sticker, column) and value is not None
            ),
            default=None,
        )
        for sticker, _ in names
        for column in columns
    }
    missing = (None, None)
    bold = {
        (row, index + 2)
        for row, (sticker, placement) in enumerate(names)
        for index, column in enumerate(columns)
        if (value := values.get((sticker, placement, column), missing)[0]) is not None
        and round(value, 9) == highest[sticker, column]
    }
    cells = {
        "Sticker": [sticker for sticker, _ in names],
        "Placement": [title(placement) for _, placement in names],
        **{column: [_text(*values.get((*name, column), missing)) for name in names] for column in columns},
    }
    return Grid(table=pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String)), bold=frozenset(bold))
