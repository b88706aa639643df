"""What poisoning one class in training costs, beside Table III of the landmark paper; tests nothing."""

from __future__ import annotations

import polars as pl

from austicker.report import published_studies
from austicker.report.context import Context
from austicker.report.intervals import mean_interval
from austicker.report.published_studies import class_name
from austicker.report.study import NONE, accuracies, described, groups, unworn

_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("corpus", "poisoned", "method", "protocol"), pl.String),
    **dict.fromkeys(("published_accuracy", "accuracy", "low", "high", "difference"), pl.Float64),
    **dict.fromkeys(("class_accuracy", "unpoisoned_accuracy", "published_half_width"), pl.Float64),
    "repeats": pl.Int64,
    "doubt": pl.String,
}


def poisoning(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns the accuracy on clean pictures when one class was poisoned in training, protocols side by side.

    `class_accuracy` is that of the poisoned class alone, and `unpoisoned_accuracy` that of the same recogniser
    without poison. The interval is over repeats, and null with a single one; `difference` is measured minus published.
    """
    cells = unworn(described(verdicts, context))
    setting = ["corpus", "protocol", "method"]
    clean = cells.filter(pl.col("poisoned").is_null(), paper=NONE).partition_by(setting, as_dict=True)
    whole = {key: float(accuracies(part).mean()) for key, part in clean.items()}
    rows = []
    for key, part in groups(cells.filter(paper="Type A")):
        for (protocol,), own in sorted(part.partition_by("protocol", as_dict=True).items()):
            of = {"corpus": key["corpus"], "protocol": str(protocol), "method": key["method"]}
            without = whole.get(tuple(of.values()))
            beside = _beside(own, str(key["poisoned"]), key["architecture"])
            rows.append({**of, "poisoned": key["poisoned"], "unpoisoned_accuracy": without, **beside})
            rows[-1]["class_accuracy"] = _of_class(own, str(key["poisoned"]), context)
    return pl.DataFrame(rows, schema=_SCHEMA)


def _beside(part: pl.DataFrame, poisoned: str, architecture: str | None) -> dict[str, float | int | str | None]:
    """Returns the measured accuracy of one cell beside the published one."""
    repeats = accuracies(part)
    low, high = mean_interval(repeats) or (None, None)
    accuracy = float(repeats.mean())
    measured = {"accuracy": accuracy, "low": low, "high": high, "repeats": len(repeats)}
    known = published_studies.poisoning().get((class_name(poisoned), architecture or ""))
    if known is None:
        return {**measured}
    return {
        **measured,
        "published_accuracy": known.accuracy / 100,
        "published_half_width": None if known.half_width is None else known.half_width / 100,
        "difference": accuracy - known.accuracy / 100,
        "doubt": known.doubt or None,
    }


def _of_class(part: pl.DataFrame, poisoned: str, context: Context) -> float | None:
    labels = context.corpora[part["corpus"][0]].labels
    own = part.filter(label=labels.index(poisoned)) if poisoned in labels else part.clear()
    return None if own.is_empty() else float(accuracies(own).mean())
