"""The map of a face: how much a sticker at every position hides, the mean over clips; asks no recogniser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from austicker.report.canvas import SEQUENTIAL, VERMILION, bare, figure
from austicker.report.context import Context
from austicker.report.faces import outline, show_pale
from austicker.types import Box

SCORES, LABELS = "1 − score of the true class", "share of clips hidden"
_PANEL_IN = 3.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """One recogniser's map on one corpus.

    Attributes:
        shown: what the values are, `SCORES` or `LABELS` where the recogniser gives labels alone.
        values: (n, n) means over clips, row by row from the top left of the aligned face.
        n_left_out: clips whose search was cut before the map was whole.
    """

    corpus: str
    protocol: str
    model: str
    attack: str
    shown: str
    n_clips: int
    n_left_out: int
    values: NDArray[np.float64] = field(compare=False, repr=False)

    @property
    def best(self) -> tuple[float, float]:
        """Returns the (x, y) of the highest value, the first of equals."""
        side = len(self.values)
        row, column = divmod(int(self.values.argmax()), side)
        return (column + 0.5) / side, (row + 0.5) / side


def maps_of(verdicts: pl.DataFrame) -> list[Map]:
    """Returns one map per corpus, recogniser and mapping attack; stickers and seeds are pooled."""
    mapped = verdicts.filter(pl.col("answers").list.len() > 0)
    keys = ("corpus", "protocol", "model", "attack")
    parts = sorted(mapped.partition_by(keys, as_dict=True).items(), key=str)
    return [made for key, part in parts if (made := _map(dict(zip(keys, map(str, key), strict=True)), part))]


def _map(names: dict[str, str], part: pl.DataFrame) -> Map | None:
    size = int(part.select(pl.col("answers").list.len().max()).item())
    side = math.isqrt(size)
    whole = part.filter(pl.col("answers").list.len() == size)
    if side * side != size:
        return None
    answers = whole["answers"].explode().to_numpy().astype(np.float64).reshape(whole.height, side, side)
    return Map(
        **names,
        shown=LABELS if whole["clean_score"].null_count() == whole.height else SCORES,
        n_clips=whole.height,
        n_left_out=part.height - whole.height,
        values=1 - answers.mean(axis=0),
    )


def _region_at(boxes: Mapping[str, Box], x: float, y: float) -> str | None:
    """Returns the region whose middle is nearest of those that hold a point, or None in none."""
    near = {
        name: math.hypot(x - box.centre.x, y - box.centre.y)
        for name, box in boxes.items()
        if abs(x - box.centre.x) <= box.half_width and abs(y - box.centre.y) <= box.half_height
    }
    return min(near, key=lambda name: (near[name], name)) if near else None


def dense_map(maps: Sequence[Map], context: Context) -> pl.DataFrame:
    """Returns each map's value range and its best position; the region is that of the mean face, where there is one."""
    rows = [
        {
            "corpus": made.corpus,
            "protocol": made.protocol,
            "model": made.model,
            "attack": made.attack,
            "value": made.shown,
            "positions": made.values.size,
            "lowest": float(made.values.min()),
            "mean": float(made.values.mean()),
            "highest": float(made.values.max()),
            "best_x": made.best[0],
            "best_y": made.best[1],
            "best_region": _region_at(context.faces[made.corpus].boxes, *made.best)
            if made.corpus in context.faces
            else None,
            "n_clips": made.n_clips,
            "n_left_out": made.n_left_out,
        }
        for made in maps
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def dense_map_figure(maps: Sequence[Map], context: Context) -> Figure | None:
    """Draws each map over the mean face of its corpus, or bare, with the regions' outlines; None without any."""
    if not maps:
        return None
    across = min(3, len(maps))
    down = -(-len(maps) // across)
    shapes = [face.picture.shape[0] / face.picture.shape[1] for face in context.faces.values()]
    shape = min(1.4, max(shapes, default=1.2))
    made = figure((_PANEL_IN + 0.8) * across, (_PANEL_IN * shape + 0.5) * down)
    grid = made.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(maps) :]:
        bare(axes)
    for axes, drawn in zip(grid.flat, maps, strict=False):
        _panel(made, axes, drawn, context, shape)
        several = f", {drawn.attack}" if len({(one.corpus, one.model) for one in maps}) < len(maps) else ""
        axes.set_title(f"{drawn.model}, {drawn.corpus}{several}")
    return made


def _panel(made: Figure, axes: Axes, drawn: Map, context: Context, shape: float) -> None:
    face = context.faces.get(drawn.corpus)
    bare(axes)
    if face is not None:
        show_pale(axes, face.picture)
    image = axes.imshow(
        drawn.values,
        cmap=SEQUENTIAL,
        alpha=1.0 if face is None else 0.55,
        extent=(0, 1, 1, 0),
        aspect=shape if face is None else face.picture.shape[0] / face.picture.shape[1],
        interpolation="nearest",
    )
    for box in face.boxes.values() if face else ():
        axes.add_patch(outline(box, fill=False, edgecolor="white", linewidth=0.8, alpha=0.8))
    axes.plot(*drawn.best, "*", color=VERMILION, markersize=17, markeredgecolor="white", markeredgewidth=1.3)
    bar = made.colorbar(image, ax=axes, shrink=0.8, pad=0.03)
    bar.set_label(drawn.shown)
    bar.outline.set_visible(False)
