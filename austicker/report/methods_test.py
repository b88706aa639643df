"""Whether the landmark forest and a network differ over repeats: Welch's t test and a regression; ranks nothing.

Repeats train again and are tested on the same pictures. So both speak of chance in training alone: that other people
would be read as well or as badly follows from neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from austicker.report import published_studies
from austicker.report.context import Context
from austicker.report.intervals import LEVEL, holm
from austicker.report.study import FOREST, NETWORK, NONE, accuracies, described, groups, unworn

PRINTED_T, PRINTED_FREEDOM, PRINTED_P, PRINTED_REPEATS = 0.24, 59, 0.21, 30
"""The paper's t(59) = 0.24, p = .21 for ResNet against its own method without attack, each with 30 repeats."""
PRINTED_AS = "(as published)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Welch:
    """Two means of independent samples; the last four are None with fewer than two of either, or without spread."""

    means: tuple[float, float]
    counts: tuple[int, int]
    low: float | None = None
    high: float | None = None
    t: float | None = None
    freedom: float | None = None
    p_value: float | None = None

    @property
    def difference(self) -> float:
        """Returns the first mean minus the second."""
        return self.means[0] - self.means[1]


def welch(a: ArrayLike, b: ArrayLike) -> Welch:
    """Tests whether two samples have one mean, without taking their variances for equal (Welch, 1947)."""
    samples = [np.asarray(values, np.float64) for values in (a, b)]
    means, counts = (samples[0].mean(), samples[1].mean()), (len(samples[0]), len(samples[1]))
    plain = Welch(means=(float(means[0]), float(means[1])), counts=counts)
    if min(counts) < 2:
        return plain
    squares = np.array([values.var(ddof=1) / len(values) for values in samples])
    error = float(np.sqrt(squares.sum()))
    if error < 1e-12:
        return plain
    freedom = float(squares.sum() ** 2 / (squares**2 / (np.array(counts) - 1)).sum())
    t, half = plain.difference / error, float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
    return Welch(
        means=plain.means,
        counts=counts,
        low=plain.difference - half,
        high=plain.difference + half,
        t=t,
        freedom=freedom,
        p_value=2 * float(stdtr(freedom, -abs(t))),
    )


_WELCH: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("corpus", "protocol", "condition"), pl.String),
    **dict.fromkeys(("forest_accuracy", "network_accuracy", "difference", "published_difference"), pl.Float64),
    **dict.fromkeys(("t", "df", "p_value", "p_holm", "low", "high"), pl.Float64),
    **dict.fromkeys(("forest", "network"), pl.String),
    **dict.fromkeys(("forest_repeats", "network_repeats"), pl.Int64),
    "doubt": pl.String,
}


def methods_welch(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns forest minus network in accuracy for each protocol and condition, with Welch's t over repeats.

    Holm's correction is over the measured rows. The last row is the paper's own test, which contradicts itself.
    """
    cells = unworn(described(verdicts, context))
    rows = [
        row
        for (corpus, protocol), part in sorted(cells.partition_by("corpus", "protocol", as_dict=True).items())
        for row in _compared({"corpus": corpus, "protocol": protocol}, part)
    ]
    table = pl.DataFrame(rows, schema=dict(_WELCH))
    if table.is_empty():
        return table
    adjusted = pl.Series("p_holm", holm(table["p_value"].to_list()), pl.Float64)
    return pl.concat([table.with_columns(adjusted), pl.DataFrame([_printed()], schema=dict(_WELCH))])


def _compared(setting: Mapping[str, object], part: pl.DataFrame) -> Iterator[dict[str, object]]:
    found = [(key, accuracies(rows)) for key, rows in groups(part)]
    for (forest, ours), (network, theirs) in product(found, found):
        pair = forest["architecture"] == FOREST and network["architecture"] not in (FOREST, None)
        if not pair or forest["condition"] != network["condition"]:
            continue
        test = welch(ours, theirs)
        known = [
            published_studies.of_condition(key["paper"], key["poisoned"], key["architecture"])
            for key in (forest, network)
        ]
        yield {
            **setting,
            "condition": forest["condition"],
            "forest": forest["method"],
            "network": network["method"],
            **_numbers(test),
            "published_difference": (known[0].accuracy - known[1].accuracy) / 100 if known[0] and known[1] else None,
        }


def _numbers(test: Welch) -> dict[str, object]:
    return {
        "forest_accuracy": test.means[0],
        "network_accuracy": test.means[1],
        "difference": test.difference,
        "low": test.low,
        "high": test.high,
        "t": test.t,
        "df": test.freedom,
        "p_value": test.p_value,
        "forest_repeats": test.counts[0],
        "network_repeats": test.counts[1],
    }


def _printed() -> dict[str, object]:
    """Returns the paper's row, with what its own numbers say against it."""
    forest, network = (published_studies.per_class()[NONE, "", name].accuracy / 100 for name in (FOREST, NETWORK))
    p_of_t = 2 * float(stdtr(PRINTED_FREEDOM, -PRINTED_T))
    t_of_p = float(stdtrit(PRINTED_FREEDOM, 1 - PRINTED_P / 2))
    return {
        "corpus": PRINTED_AS,
        "condition": NONE,
        "forest": FOREST,
        "network": NETWORK,
        "forest_accuracy": forest,
        "network_accuracy": network,
        "difference": forest - network,
        "t": PRINTED_T,
        "df": float(PRINTED_FREEDOM),
        "p_value": PRINTED_P,
        **dict.fromkeys(("forest_repeats", "network_repeats"), PRINTED_REPEATS),
        "doubt": f"impossible: t = {PRINTED_T} gives p = {p_of_t:.2f}, p = {PRINTED_P} needs |t| = {t_of_p:.2f}, and "
        f"{PRINTED_REPEATS} + {PRINTED_REPEATS} repeats have {2 * PRINTED_REPEATS - 2} degrees of freedom, not "
        f"{PRINTED_FREEDOM}",
    }
