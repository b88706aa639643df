"""Share of clips hidden against the queries spent: one step line a search, one point a placement that asks once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from austicker.report.canvas import INK, PALE, SERIES, figure
from austicker.report.intervals import clustered_interval
from austicker.report.placements import CAUSAL, CLEAN, RANDOM_MEAN, TUNED, entry, is_search, title

PANEL = ("corpus", "protocol", "model", "side")
FIXED = (CAUSAL, RANDOM_MEAN, TUNED)
"""What is drawn of the placements that ask once."""
SUPPORT = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Queries at which a line has an interval; its end has one too."""
_PANEL_IN = (4.3, 3.5)
_MARKERS = dict(zip(FIXED, "osD", strict=True))
_SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys((*PANEL[:3], "entry", "kind"), pl.String),
    **dict.fromkeys(("side", "hidden", "low", "high"), pl.Float64),
    **dict.fromkeys(("queries", "n_clips", "n_subjects", "n_unplaced"), pl.Int64),
}
_ORDER = (*PANEL, "entry", "kind", "queries", "hidden", "low", "high", "n_clips", "n_subjects", "n_unplaced")


def success_curves(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Returns per search the share of clips that the first `queries` queries hid, wherever that share grows.

    Stickers, seeds and draws are pooled, each counting as a clip. `low` and `high` are the 95 % interval, clustered by
    subject, at the queries of `SUPPORT` and at the end; null elsewhere. The share is of the clips that were asked:
    `n_unplaced` others got no sticker. A placement that had no answer on any clip is left out.
    """
    attacks = verdicts.filter(pl.col("placement") != CLEAN)
    marked = attacks.with_columns(entry(), is_search().alias("is_search")).filter(
        pl.col("is_search") | pl.col("entry").is_in(FIXED)
    )
    several = pl.col("attack").n_unique().over(*PANEL, "entry") > 1
    named = marked.with_columns(
        pl.when(several & ~pl.col("is_search"))
        .then(pl.concat_str("entry", "attack", separator=", "))
        .otherwise("entry")
        .alias("entry")
    )
    rows = []
    for key, part in sorted(named.partition_by(*PANEL, "entry", as_dict=True).items(), key=str):
        setting = dict(zip((*PANEL, "entry"), key, strict=True))
        asked = part.filter(pl.col("queries") > 0)
        unplaced = part.height - asked.height
        rows += [{**setting, **step, "n_unplaced": unplaced} for step in (_steps(asked) if asked.height else ())]
    return pl.DataFrame(rows, schema={name: _SCHEMA[name] for name in _ORDER})


def _steps(part: pl.DataFrame) -> list[dict[str, object]]:
    searches = bool(part["is_search"][0])
    at = part["success_at"].to_numpy()
    _, member = np.unique(
        part.select(pl.concat_str("corpus", "subject", separator="\x1f")).to_series(), return_inverse=True
    )
    sizes = np.bincount(member)
    end = max(1, int(part.select(pl.col("queries").max()).item())) if searches else 1
    support = {*takewhile(lambda queries: queries <= end, SUPPORT), end}
    made: list[dict[str, object]] = []
    for queries in sorted(support | set(at[(at > 0) & (at <= end)].tolist())):
        hidden = (at > 0) & (at <= queries)
        low, high = _interval(hidden, member, sizes) if queries in support else (None, None)
        counts = {"n_clips": len(at), "n_subjects": len(sizes)}
        kind = "search" if searches else "1 query"
        made.append(
            {"kind": kind, "queries": queries, "hidden": float(hidden.mean()), "low": low, "high": high, **counts}
        )
    return made


def _interval(
    hidden: NDArray[np.bool_], member: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[float | None, float | None]:
    return clustered_interval(np.bincount(member, weights=hidden), sizes) or (None, None)


def curves_figure(curves: pl.DataFrame) -> Figure | None:
    """Draws one panel per recogniser and corpus; None where nothing searched."""
    searched = curves.filter(kind="search")
    if searched.is_empty():
        return None
    shown = curves.join(searched.select(PANEL).unique(), on=PANEL, how="semi")
    panels = shown.partition_by(PANEL, as_dict=True)
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    made = figure(_PANEL_IN[0] * across + 0.4, _PANEL_IN[1] * down + 1.0)
    grid = made.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    lines = sorted(searched["entry"].unique())
    points = sorted(set(shown["entry"]) - set(lines))
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (key, part) in zip(grid.flat, sorted(panels.items(), key=str), strict=False):
        _panel(axes, part, lines, points)
        axes.set_title(_panel_title(dict(zip(PANEL, key, strict=True)), shown))
    handles = {text: line for axes in grid.flat for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    named = [name for name in (title(entry) for entry in (*lines, *points)) if name in handles]
    made.legend([handles[name] for name in named], named, loc="outside lower center", ncols=min(5, len(named)))
    return made


def _panel_title(setting: dict[str, object], shown: pl.DataFrame) -> str:
    more = "".join(f", {name} {setting[name]}" for name in ("protocol", "side") if shown[name].n_unique() > 1)
    return f"{setting['model']}, {setting['corpus']}{more}"


def _panel(axes: Axes, part: pl.DataFrame, lines: Sequence[str], points: Sequence[str]) -> None:
    for number, name in enumerate(lines):
        colour, rows = SERIES[number % len(SERIES)], part.filter(entry=name).sort("queries")
        if rows.is_empty():
            continue
        dashes = ("-", "--", ":")[number // len(SERIES) % 3]
        axes.step(rows["queries"], rows["hidden"], dashes, where="post", color=colour, linewidth=1.9, label=title(name))
        banded = rows.drop_nulls("low")
        axes.fill_between(banded["queries"], banded["low"], banded["high"], color=colour, alpha=0.1, linewidth=0)
        axes.plot(rows["queries"][-1], rows["hidden"][-1], "|", color=colour, markersize=9, markeredgewidth=1.9)
    for number, name in enumerate(points):
        rows = part.filter(entry=name)
        if rows.is_empty():
            continue
        spread = rows.drop_nulls("low")
        x = 0.9 ** (number + 1)  # beside each other: all of them asked once
        axes.vlines([x] * spread.height, spread["low"], spread["high"], color=INK, linewidth=1.1)
        marker = _MARKERS.get(name.split(", ")[0], "o")
        axes.plot([x], rows["hidden"], marker, color=INK, markersize=6, markerfacecolor="white", label=title(name))
    axes.set(xscale="log", ylim=(-0.02, 1.02), xlabel="queries per clip", ylabel="share of clips hidden")
    axes.axvline(1, color=PALE, linewidth=0.8, zorder=0)
    axes.minorticks_off()
    axes.tick_params(labelbottom=True)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
