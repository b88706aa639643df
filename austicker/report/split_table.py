"""The same recogniser on people it was trained on and on others, side by side; judges no attack."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from austicker.report import published_studies
from austicker.report.context import Context
from austicker.report.methods_test import welch
from austicker.report.study import DISJOINT, FRAME_LEVEL, accuracies, described, groups, unworn

_SCHEMA: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("corpus", "condition", "method"), pl.String),
    **dict.fromkeys(("published_accuracy", "frame_level_accuracy", "disjoint_accuracy"), pl.Float64),
    **dict.fromkeys(("difference", "low", "high"), pl.Float64),
    **dict.fromkeys(("frame_level_repeats", "disjoint_repeats"), pl.Int64),
    "doubt": pl.String,
}


def split(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns accuracy on a frame-level split, on a subject-disjoint one, and the second minus the first.

    Accuracies are means over repeats; the interval of the difference is Welch's over repeats, so it knows of chance in
    training alone. The paper does not state its split; its values stand in the column `published_accuracy`.
    """
    rows = []
    for key, part in groups(unworn(described(verdicts, context))):
        shared, apart = (part.filter(protocol=name) for name in (FRAME_LEVEL, DISJOINT))
        if shared.is_empty() or apart.is_empty():
            continue
        found = welch(accuracies(apart), accuracies(shared))
        known = published_studies.of_condition(key["paper"], key["poisoned"], key["architecture"])
        rows.append(
            {
                **{name: key[name] for name in ("corpus", "condition", "method")},
                "published_accuracy": known.accuracy / 100 if known else None,
                "frame_level_accuracy": found.means[1],
                "disjoint_accuracy": found.means[0],
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "frame_level_repeats": found.counts[1],
                "disjoint_repeats": found.counts[0],
                "doubt": known.doubt or None if known else None,
            }
        )
    return pl.DataFrame(rows, schema=dict(_SCHEMA))
