"""Fig. 2 and its summary: which regions drive which over the folds, on a drawn face; runs no discovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, FancyArrowPatch, Rectangle

from austicker.regions import NAMES
from austicker.report.canvas import BLUE, GREEN, INK, MUTED, PALE, VERMILION, bare, figure
from austicker.report.context import Context
from austicker.report.discovery import Edge, corpora_with_graphs, edge_shares, graphs_of
from austicker.report.placements import title

# Places of the regions on a drawn face, wider apart than on a real one so that arrows can be followed.
_PLACES = {
    "outer-brow-left": (0.13, 0.16),
    "inner-brow-left": (0.37, 0.10),
    "inner-brow-right": (0.63, 0.10),
    "outer-brow-right": (0.87, 0.16),
    "eye-left": (0.25, 0.31),
    "glabella": (0.50, 0.27),
    "eye-right": (0.75, 0.31),
    "cheek-left": (0.19, 0.53),
    "cheek-right": (0.81, 0.53),
    "philtrum": (0.50, 0.58),
    "mouth-corner-left": (0.27, 0.74),
    "mouth-corner-right": (0.73, 0.74),
    "lips": (0.50, 0.77),
    "chin": (0.50, 0.94),
}
RARE = 0.1
"""Edges in fewer than this share of the folds are not drawn."""
_RED = "#c1121f"


def causal_graph(context: Context) -> Figure | None:
    """Draws a graph per corpus with an edge: its width by its share of folds, the most frequent winner in a red box."""
    corpora = [
        name
        for name in corpora_with_graphs(context)
        if any(graph.directed or graph.undirected or graph.bidirected for graph in graphs_of(context, name))
    ]
    if not corpora:
        return None
    made = figure(6.2 * len(corpora), 6.9)
    known = False
    for axes, corpus in zip(made.subplots(1, len(corpora), squeeze=False)[0], corpora, strict=True):
        info = context.corpora.get(corpus)
        planted = frozenset(info.planted) if info else frozenset()
        known = known or bool(planted)
        graphs = graphs_of(context, corpus)
        directed, other = edge_shares(graphs)
        _face(axes)
        _edges(axes, directed, other, planted)
        won = [graph.winner for graph in graphs if graph.winner is not None]
        winner = max(sorted(set(won)), key=won.count) if won else None
        _nodes(axes, winner)
        axes.set_title(f"{corpus}: {len(graphs)} fold{'s' * (len(graphs) != 1)}")
    made.legend(handles=_keys(known), loc="outside lower center", ncols=3, fontsize=9)
    return made


def _face(axes: Axes) -> None:
    bare(axes).set(xlim=(-0.04, 1.04), ylim=(1.09, -0.09), aspect=1.0)
    axes.add_patch(Ellipse((0.5, 0.5), 1.0, 1.12, facecolor="#f6f7f9", edgecolor=PALE, linewidth=2, zorder=0))


def _arrow(axes: Axes, edge: Edge, share: float, bend: float = 0.13, **look: object) -> None:
    # Opposite arrows between one pair bend to opposite sides, and so does a pair's undirected edge.
    axes.add_patch(
        FancyArrowPatch(
            _PLACES[edge[0]],
            _PLACES[edge[1]],
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=13,
            shrinkB=13,
            linewidth=0.8 + 3.2 * share,
            **look,  # type: ignore[arg-type]
        )
    )


def _edges(axes: Axes, directed: Mapping[Edge, float], other: Mapping[Edge, float], planted: frozenset[Edge]) -> None:
    for edge, share in sorted(other.items(), key=lambda item: item[1]):
        if share >= RARE:
            _arrow(
                axes, edge, share, -0.13, arrowstyle="-", linestyle=(0, (2.5, 1.5)), color=MUTED, alpha=0.8, zorder=1
            )
    for edge, share in sorted(directed.items(), key=lambda item: item[1]):
        if share >= RARE:
            colour = INK if not planted else BLUE if edge in planted else VERMILION
            size = 10 + 8 * share
            _arrow(axes, edge, share, arrowstyle="-|>", mutation_scale=size, color=colour, alpha=0.9, zorder=2)
    for edge in sorted(planted):
        if directed.get(edge, 0.0) < RARE:
            _arrow(axes, edge, 0.1, arrowstyle="-|>", mutation_scale=9, linestyle=":", color=BLUE, alpha=0.55, zorder=1)


def _nodes(axes: Axes, winner: str | None) -> None:
    for number, name in enumerate(NAMES, 1):
        x, y = _PLACES[name]
        axes.plot(x, y, "o", markersize=19, color="white", markeredgecolor=INK, markeredgewidth=1.3, zorder=3)
        axes.text(x, y, str(number), ha="center", va="center", weight="bold", zorder=4)
        label = {"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"}
        # Below the nose the middle column's edges run up and down, so its names stand beside the nodes.
        beside = {"x": x + 0.056, "y": y, "ha": "left", "va": "center"}
        below = {"x": x, "y": y + 0.056, "ha": "center", "va": "top"}
        axes.text(s=title(name), fontsize=8, zorder=5, bbox=label, **(beside if x == 0.5 and y > 0.5 else below))  # type: ignore[arg-type]
        if name == winner:
            axes.add_patch(
                Rectangle((x - 0.048, y - 0.048), 0.096, 0.096, fill=False, edgecolor=_RED, linewidth=2.6, zorder=6)
            )


def _keys(planted: bool) -> list[Line2D]:
    found = (
        [
            Line2D([], [], color=BLUE, linewidth=2.5, label="found and planted"),
            Line2D([], [], color=VERMILION, linewidth=2.5, label="found, not planted"),
            Line2D([], [], color=BLUE, linestyle=":", label=f"planted, in < {RARE:.0%} of folds"),
        ]
        if planted
        else [Line2D([], [], color=INK, linewidth=2.5, label="directed edge")]
    )
    box = {"marker": "s", "markerfacecolor": "none", "markeredgecolor": _RED, "markersize": 11, "markeredgewidth": 2}
    return [
        *found,
        Line2D([], [], color=MUTED, linestyle="--", label="direction not told"),
        Line2D([], [], color=MUTED, linewidth=4, label="width: share of folds"),
        Line2D([], [], linestyle="none", label="most frequent winner", **box),  # type: ignore[arg-type]
    ]


def out_degree_bars(regions: pl.DataFrame) -> Figure | None:
    """Draws the share of folds that each region won, and its mean out-degree, of every corpus where one has any."""
    if regions.is_empty():
        return None
    regions = regions.filter((pl.col("out_degree_mean").sum().over("corpus")) > 0)
    if regions.is_empty():
        return None
    corpora: Sequence[pl.DataFrame] = regions.partition_by("corpus", maintain_order=True)
    made = figure(8.4, 4.6 * len(corpora))
    grid = made.subplots(len(corpora), 2, squeeze=False, sharey="row")
    for (left, right), part in zip(grid, corpora, strict=True):
        places = range(part.height)
        left.barh(places, part["winner_share"] * 100, color=GREEN, height=0.68)
        right.barh(places, part["out_degree_mean"], color=BLUE, height=0.68, label="mean over folds")
        if part["planted_out_degree"].null_count() == 0:
            right.plot(
                part["planted_out_degree"],
                places,
                "D",
                color=VERMILION,
                markersize=6,
                clip_on=False,
                zorder=3,
                label="planted",
            )
            right.legend(loc="best")
        left.set_yticks(places, [title(name) for name in part["region"]])
        left.invert_yaxis()
        left.set(title=f"{part['corpus'][0]}: folds won", xlabel="% of folds", xlim=(0, 102))
        right.set(title="Out-degree", xlabel="directed edges that leave the region")
        for axes in (left, right):
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color=PALE, linewidth=0.8)
            axes.set_axisbelow(True)
    return made
