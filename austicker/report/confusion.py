"""From which answer to which an attack leads: counts as a table, and as matrices of the filters; computes no rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from austicker.report.canvas import INK, SEQUENTIAL, figure
from austicker.report.context import Context
from austicker.report.study import FILTERS, described

FACELESS = "no face found"
_PANEL_IN = 3.7
_KEYS = ("corpus", "protocol", "model", "attack")


def confusion(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns counts by true class, answer to the clean picture and answer to the attacked one, placements pooled."""
    labels = [
        {"corpus": corpus, "number": number, "name": name}
        for corpus, info in context.corpora.items()
        for number, name in enumerate((*info.labels, FACELESS))
    ]
    names = pl.DataFrame(labels, schema={"corpus": pl.String, "number": pl.Int32, "name": pl.String})
    predicted = {"true": "label", "clean": "clean_pred", "attacked": "attacked_pred"}
    counts = verdicts.group_by(*_KEYS, *predicted.values()).agg(pl.len().cast(pl.Int64).alias("n_clips"))
    for title, column in predicted.items():
        of = names.rename({"number": column, "name": title})
        counts = counts.with_columns(pl.col(column).cast(pl.Int32)).join(of, on=["corpus", column], how="left")
    ordered = counts.sort(*_KEYS, *predicted.values())
    return ordered.select(*_KEYS, *predicted, "n_clips")


def confusion_figure(verdicts: pl.DataFrame, context: Context) -> Figure | None:
    """Draws a matrix for each recogniser and filter attack, clean answer by attacked answer; None without filters."""
    cells = described(verdicts, context).filter(attack_name=FILTERS).select(verdicts.columns)
    parts = confusion(cells, context).partition_by(_KEYS, as_dict=True)
    if not parts:
        return None
    across = min(3, len(parts))
    down = -(-len(parts) // across)
    made = figure(_PANEL_IN * across + 0.6, _PANEL_IN * down + 0.8)
    grid = made.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    several = [number for number in range(3) if len({key[number] for key in parts}) > 1]
    for axes, (key, part) in zip(grid.flat, sorted(parts.items()), strict=False):
        labels = context.corpora[str(key[0])].labels if key[0] in context.corpora else ()
        _panel(axes, *_matrix(part, labels))
        axes.set_title("\n".join([str(key[3]), *(str(key[number]) for number in several)]))
    return made


def _matrix(part: pl.DataFrame, labels: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Returns counts (clean answer, attacked answer) and the names of the answers, "no face found" where it occurs."""
    pooled = part.group_by("clean", "attacked").agg(pl.col("n_clips").sum())
    counts = {(clean, attacked): n for clean, attacked, n in pooled.iter_rows()}
    extra = [FACELESS] if any(FACELESS in key for key in counts) else []
    names = [*labels, *extra]
    return np.array([[counts.get((row, column), 0) for column in names] for row in names], np.int64), names


def _panel(axes: Axes, counts: NDArray[np.int64], names: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1)
    for (y, x), count in np.ndenumerate(counts):
        if count:
            colour = INK if shares[y, x] > 0.55 else "white"
            axes.text(x, y, str(count), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="answer to the attacked picture", ylabel="answer to the clean picture")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
