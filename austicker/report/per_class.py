"""Accuracy by class under each attack and after each poisoning, beside the landmark paper's tables; tests nothing."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from austicker.report import published_studies
from austicker.report.context import Context
from austicker.report.intervals import mean_interval
from austicker.report.measures import success_rates
from austicker.report.published_studies import Printed, class_name
from austicker.report.study import accuracies, described, groups, unworn

MEASURED, DIFFERENCE = "measured", "difference"
ALL = "all classes %"
FIRST = ("corpus", "condition", "method", "protocol", "row")
LAST = ("repeats low %", "repeats high %", "people low %", "people high %")
COUNTS = ("repeats", "pictures", "people")


def per_class(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns percentages: for each condition and method what is published, then what each protocol measures.

    A measured class is the mean over repeats, and "all classes %" the accuracy over all test pictures. "repeats" is
    its 95 % t interval over repeats, which share their test pictures: null with a single one. "people" is that of the
    pooled answers, clustered by subject. A difference is measured minus published, in points, and its interval is
    null. Only attacks that put no sticker on a face are listed.
    """
    cells = unworn(described(verdicts, context))
    names = _class_columns(cells, context)
    rows = [row for key, part in groups(cells) for row in _condition(key, part, context)]
    numbers = (ALL, *names, *LAST)
    schema = {
        **dict.fromkeys(FIRST, pl.String),
        **dict.fromkeys(numbers, pl.Float64),
        **dict.fromkeys(COUNTS, pl.Int64),
        "no face found %": pl.Float64,
        "architecture": pl.String,
        "doubt": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)


def _column(label: str) -> str:
    return f"{label} %"


def _class_columns(cells: pl.DataFrame, context: Context) -> list[str]:
    """Returns the columns of the classes of all corpora, in their order."""
    corpora = cells["corpus"].unique().sort().to_list()
    labels = (label for name in corpora if name in context.corpora for label in context.corpora[name].labels)
    return list(dict.fromkeys(map(_column, labels)))


def _condition(
    key: dict[str, str | None], part: pl.DataFrame, context: Context
) -> Iterator[dict[str, float | int | str | None]]:
    corpus = str(key["corpus"])
    labels = context.corpora[corpus].labels if corpus in context.corpora else ()
    same = {name: key[name] for name in ("corpus", "condition", "method", "architecture")}
    known = published_studies.of_condition(key["paper"], key["poisoned"], key["architecture"])
    printed = _printed(known, labels) if known else {}
    if known:
        bounds = (known.accuracy - (known.half_width or 0), known.accuracy + (known.half_width or 0))
        low, high = bounds if known.half_width is not None else (None, None)
        said = {"row": f"published, Table {known.table}", "doubt": known.doubt or None}
        yield {**same, **said, **printed, "repeats low %": low, "repeats high %": high}
    for (protocol,), own in sorted(part.partition_by("protocol", as_dict=True).items()):
        found = _measured(own, labels)
        yield {**same, "protocol": str(protocol), "row": MEASURED, **found}
        if known:
            points = {name: _minus(found[name], value) for name, value in printed.items()}
            yield {**same, "protocol": str(protocol), "row": DIFFERENCE, **points}


def _printed(known: Printed, labels: tuple[str, ...]) -> dict[str, float]:
    classes = {label: known.classes[class_name(label)] for label in labels if class_name(label) in known.classes}
    return {**{_column(label): value for label, value in classes.items()}, ALL: known.accuracy}


def _minus(measured: float | int | None, printed: float) -> float | None:
    return None if measured is None else measured - printed


def _measured(part: pl.DataFrame, labels: tuple[str, ...]) -> dict[str, float | int | None]:
    """Returns the columns of one cell."""
    repeats = accuracies(part)
    each = part.group_by("label", "seed").agg(pl.col("right").mean()).group_by("label").agg(pl.col("right").mean())
    of_class = dict(each.iter_rows())
    low, high = mean_interval(repeats) or (None, None)
    pooled = success_rates(part).row(0, named=True)
    found = {_column(label): of_class.get(number) for number, label in enumerate(labels)}
    found |= {ALL: float(repeats.mean()), LAST[0]: low, LAST[1]: high}
    found |= {LAST[2]: _complement(pooled["high"]), LAST[3]: _complement(pooled["low"])}
    found |= {"no face found %": part["faceless"].mean()}
    percents = {name: None if value is None else 100 * value for name, value in found.items()}
    pictures = part.select("subject", "clip").n_unique()
    return {**percents, "repeats": len(repeats), "pictures": pictures, "people": pooled["n_subjects"]}


def _complement(rate: float | None) -> float | None:
    return None if rate is None else 1 - rate
