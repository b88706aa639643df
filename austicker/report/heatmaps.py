"""Fig. 4: true positives by sticker and position as annotated heatmaps; computes no rate."""

from __future__ import annotations

import polars as pl
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from austicker.regions import NAMES, POSITIONS
from austicker.report.canvas import INK, SEQUENTIAL, figure
from austicker.report.placements import CAUSAL, RANDOM_MEAN, order, sticker_rank, title

NAMED = (*POSITIONS, CAUSAL, RANDOM_MEAN)
REGIONS = tuple(f"region/{name}" for name in NAMES)
_CELL_IN = (0.86, 0.46)


def position_heatmap(positions: pl.DataFrame) -> Figure | None:
    """Draws the paper's five named positions, the causal and the mean random placement; None without any."""
    known = {*NAMED, *REGIONS}
    more = [name for name in order(positions["placement"].to_list()) if name not in known]
    return _panels(positions, (*NAMED, *more))


def region_heatmap(positions: pl.DataFrame) -> Figure | None:
    """Draws the 14 regions; None where none was tried."""
    return _panels(positions, REGIONS)


def _panels(positions: pl.DataFrame, columns: tuple[str, ...]) -> Figure | None:
    present = set(positions["placement"])
    shown = [name for name in columns if name in present]
    rows = positions.filter(pl.col("placement").is_in(shown))
    if rows.is_empty():
        return None
    several = [name for name in ("attack", "side") if rows[name].n_unique() > 1]
    label = pl.concat_str(["sticker", *several], separator=" · ").alias("label")
    labelled = rows.sort("model").with_columns(label)
    models = [(part["model"].to_list()[0], part) for part in labelled.partition_by("model", maintain_order=True)]
    height = sum(part["label"].n_unique() * _CELL_IN[1] + 0.45 for _, part in models) + 1.35
    made = figure(max(6.4, 2.3 + _CELL_IN[0] * len(shown)), height)
    ratios = [part["label"].n_unique() for _, part in models]
    grid = made.subplots(len(models), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": ratios})[:, 0]
    for axes, (model, part) in zip(grid, models, strict=True):
        _heatmap(axes, part, shown)
        axes.set_title(f"{model}: clips still recognised, of {max(part['n_clips'].to_list())}", pad=8)
    grid[-1].set_xticks(
        range(len(shown)), [title(name) for name in shown], rotation=35, ha="right", rotation_mode="anchor"
    )
    return made


def _heatmap(axes: Axes, part: pl.DataFrame, columns: list[str]) -> None:
    stickers = sorted(part["label"].unique().to_list(), key=sticker_rank)
    counts = {(row["label"], row["placement"]): row["true_positives"] for row in part.iter_rows(named=True)}
    values = [[counts.get((sticker, name), float("nan")) for name in columns] for sticker in stickers]
    scale = Normalize(min(counts.values()), max(max(counts.values()), min(counts.values()) + 1))
    axes.imshow(values, cmap=SEQUENTIAL, norm=scale, aspect="auto", interpolation="nearest")
    for y, row in enumerate(values):
        lowest = min((value for value in row if value == value), default=None)
        for x, value in enumerate(row):
            if value == value:
                text = f"{value:.1f}" if value % 1 else f"{value:.0f}"
                weight = "bold" if value == lowest else "normal"
                colour = "white" if scale(value) < 0.55 else INK
                axes.text(x, y, text, ha="center", va="center", color=colour, weight=weight)
    axes.set_yticks(range(len(stickers)), stickers)
    axes.set_xticks([x - 0.5 for x in range(1, len(columns))], minor=True)
    axes.set_yticks([y - 0.5 for y in range(1, len(stickers))], minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
