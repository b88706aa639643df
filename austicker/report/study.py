"""What a verdict of a study belongs to: its method, its condition, its table in the paper; computes no rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from austicker.report.context import Context, Json, ModelInfo

CLEAN, EYES, JAW, FGSM, FILTERS, STICKER = "clean", "eye-boxes", "jaw-box", "fgsm", "filters", "sticker"
"""Attacks, by their names on the shelf."""
NONE = "none"
FOREST, NETWORK = "landmark-forest", "resnet20"
"""The two methods of the landmark paper, by the names of their architectures."""
FRAME_LEVEL, DISJOINT = "shehu-frame-level", "shehu-subject-disjoint"
EPSILON = 0.01
"""The paper's step of FGSM. It says neither how large its boxes are nor of which colour: boxes of any kind compare."""
CELL = ("corpus", "protocol", "method", "architecture", "condition", "turn")
"""What one accuracy is of; repeats differ by seed. `turn` is the condition's place in the tables."""

_TITLES = {CLEAN: NONE, JAW: "Type B", FGSM: "FGSM"}
_TURNS = {CLEAN: 0, JAW: 2, FGSM: 3}
_ADDED: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("attack_name", "title", "as_published", "surrogate"), pl.String),
    "order": pl.Int64,
}


def described(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns the verdicts with what their study calls them.

    `attack_name` is the attack's on the shelf and `surrogate` the recogniser on which it made its pictures; `method`
    the label of the recogniser without poison and `architecture` its name on the shelf; `poisoned` the class whose
    training pictures were changed, or null; `condition` what was done, in training and in the test, and `paper` what
    the paper calls that, or null where it did something else; `faceless` says that no face was found, and `right`
    that the class was.
    """
    classes = pl.DataFrame(
        [(name, len(info.labels)) for name, info in context.corpora.items()],
        schema={"corpus": pl.String, "n_classes": pl.Int64},
        orient="row",
    )
    joined = verdicts
    for key, table in (
        ("attack", _attacks(context.job, verdicts["attack"].unique().sort().to_list())),
        ("model", _models(context.models, verdicts["model"].unique().sort().to_list())),
        ("corpus", classes),
    ):
        joined = joined.join(table, on=key, how="left", maintain_order="left")
    poisoned, clean = pl.col("poisoned").is_not_null(), pl.col("attack_name") == CLEAN
    done = (
        pl.when(~poisoned)
        .then("title")
        .when(clean)
        .then("poison_title")
        .otherwise(pl.concat_str("poison_title", "title", separator=", then "))
    )
    type_a = pl.when(clean & (pl.col("poison_attack") == EYES)).then(pl.lit("Type A"))
    named = joined.with_columns(
        done.alias("condition"),
        pl.when(poisoned).then(type_a).otherwise("as_published").alias("paper"),
        pl.when(poisoned).then(pl.when(clean).then(1).otherwise(5)).otherwise("order").cast(pl.Int64).alias("turn"),
        (pl.col("attacked_pred") == pl.col("n_classes")).fill_null(False).alias("faceless"),
        (pl.col("attacked_pred") == pl.col("label")).alias("right"),
    )
    return named.with_columns(_told_apart().alias("condition"))


def unworn(cells: pl.DataFrame) -> pl.DataFrame:
    """Returns the rows of attacks that put no sticker on a face, the clean pictures included."""
    return cells.filter((pl.col("attack_name") == CLEAN) | (pl.col("x").is_null() & (pl.col("queries") > 0)))


def by_repeat(cells: pl.DataFrame) -> pl.DataFrame:
    """Returns the accuracy of each repeat of each cell, over the test pictures of all its folds."""
    return cells.group_by(*CELL, "seed").agg(pl.col("right").mean().alias("accuracy")).sort(*CELL, "seed")


def groups(cells: pl.DataFrame) -> Iterator[tuple[dict[str, Any], pl.DataFrame]]:
    """Yields each condition of each method of a corpus with its cells, one for every protocol, in the tables' order."""
    keys = ("corpus", "turn", "condition", "method", "architecture", "paper", "poisoned")
    parts = cells.partition_by(keys, as_dict=True)
    for key in sorted(parts, key=lambda key: tuple("" if value is None else value for value in key)):
        yield dict(zip(keys, key, strict=True)), parts[key]


def accuracies(cell: pl.DataFrame) -> NDArray[np.float64]:
    """Returns the accuracy of each repeat of one cell, in order of the seeds."""
    repeats = cell.group_by("seed").agg(pl.col("right").mean()).sort("seed")
    return repeats["right"].to_numpy().astype(np.float64)


def _told_apart() -> pl.Expr:
    """Returns the condition, with the labels of the job where it would be that of several."""
    group = ("corpus", "protocol", "method", "condition")
    more = [
        pl.when(pl.col(name).n_unique().over(group) > 1).then(pl.format(" ({})", name)).otherwise(pl.lit(""))
        for name in ("attack", "model")
    ]
    return pl.concat_str("condition", *more)


def _attacks(job: Json, labels: Sequence[str]) -> pl.DataFrame:
    known = {str(attack.get("label") or attack["name"]): attack for attack in job.get("attacks", ())}
    rows = []
    for label in labels:
        name = str(known[label]["name"]) if label in known else label
        alike = [attack.get("settings", {}) for attack in known.values() if attack["name"] == name]
        settings: Mapping[str, Any] = known.get(label, {}).get("settings", {})
        varied = [key for key in sorted(settings) if any(other.get(key) != settings[key] for other in alike)]
        title = ", ".join([_TITLES.get(name, label), *(f"{key} {settings[key]}" for key in varied)])
        usual = name in _TITLES and (name != FGSM or settings.get("epsilon", EPSILON) == EPSILON)
        rows.append(
            {
                "attack": label,
                "attack_name": name,
                "title": title if name in _TITLES else label,
                "as_published": _TITLES[name] if usual else None,
                "surrogate": known.get(label, {}).get("surrogate") or None,
                "order": _TURNS.get(name, 4),
            }
        )
    return pl.DataFrame(rows, schema={"attack": pl.String, **_ADDED})


def _models(models: Mapping[str, ModelInfo], labels: Sequence[str]) -> pl.DataFrame:
    rows = []
    for label in labels:
        settings = models[label].settings if label in models else {}
        poison = settings.get("poison") or {}
        kind = "Type A" if poison.get("attack") == EYES else f"{poison.get('attack')} in training"
        rows.append(
            {
                "model": label,
                "method": unpoisoned(label, models) if poison else label,
                "architecture": settings.get("architecture") or settings.get("name"),
                "poison_attack": poison.get("attack"),
                "poisoned": poison.get("emotion"),
                "poison_title": f"{kind} on {poison['emotion']}" if poison else None,
            }
        )
    columns = ("model", "method", "architecture", "poison_attack", "poisoned", "poison_title")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))


def unpoisoned(label: str, models: Mapping[str, ModelInfo]) -> str:
    """Returns the label of the recogniser that differs in nothing but the poison, or its own where there is none."""

    def rest(info: ModelInfo) -> dict[str, Any]:
        return {key: value for key, value in info.settings.items() if key not in ("poison", "label")}

    own = rest(models[label])
    alike = (name for name, info in models.items() if not info.settings.get("poison") and rest(info) == own)
    return next(alike, label)
