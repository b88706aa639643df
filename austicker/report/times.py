"""What training and answering took, beside the execution times that the landmark paper prints; measures no clock."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from austicker.report.context import ModelInfo
from austicker.report.study import FOREST, NETWORK, unpoisoned

PRINTED_S = {FOREST: (14.8, 1.4 * 60), NETWORK: (32.83 * 60, 5.48 * 3600)}
"""The shortest and the longest "execution" of a case in the paper, in seconds, on a GeForce GTX 1080 Ti."""
PRINTED = {FOREST: "14.8 ± 0.2 s to 1.4 ± 0.3 min", NETWORK: "32.83 ± 0.3 min to 5.48 ± 0.5 h"}
_SCHEMA: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("method", "architecture"), pl.String),
    "trainings": pl.Int64,
    **dict.fromkeys(("training_s", "answering_s_per_picture", "training_over_forest"), pl.Float64),
    "published": pl.String,
    **dict.fromkeys(("published_low_s", "published_high_s"), pl.Float64),
}


def times(models: Mapping[str, ModelInfo]) -> pl.DataFrame:
    """Returns mean wall clocks of one training and of one answer by method, poisoned recognisers with the others.

    `training_over_forest` is the training time as a multiple of the first forest's.

    Args:
        models: by label; those without measured seconds are left out.
    """
    timed: dict[str, list[ModelInfo]] = {}
    for label, model in models.items():
        if model.seconds:
            timed.setdefault(unpoisoned(label, models), []).append(model)
    rows = [_row(label, timed[label]) for label in sorted(timed)]
    table = pl.DataFrame(rows, schema=dict(_SCHEMA)).sort("training_s", "method")
    forest = pl.col("training_s").filter(architecture=FOREST).first()
    return table.with_columns((pl.col("training_s") / forest).alias("training_over_forest"))


def _row(label: str, models: list[ModelInfo]) -> dict[str, object]:
    architecture = str(models[0].settings.get("architecture") or models[0].settings.get("name"))
    trainings = [int(model.seconds.get("trainings", 1)) for model in models]
    low, high = PRINTED_S.get(architecture, (None, None))
    return {
        "method": label,
        "architecture": architecture,
        "trainings": sum(trainings),
        "training_s": _mean(models, "training", trainings),
        "answering_s_per_picture": _mean(models, "answering", trainings),
        "published": PRINTED.get(architecture),
        "published_low_s": low,
        "published_high_s": high,
    }


def _mean(models: list[ModelInfo], what: str, weights: list[int]) -> float | None:
    known = [(model.seconds[what], n) for model, n in zip(models, weights, strict=True) if what in model.seconds]
    return float(np.average([value for value, _ in known], weights=[n for _, n in known])) if known else None
