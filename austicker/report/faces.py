"""Figures on a face: the 14 numbered regions, a map of rates, and the strip of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from austicker.regions import NAMES
from austicker.report.canvas import BLUE, INK, SEQUENTIAL, bare, figure
from austicker.report.context import MeanFace
from austicker.report.placements import title
from austicker.types import Box, Bytes

_HALO = [withStroke(linewidth=2.6, foreground="white")]
_DARK_HALO = [withStroke(linewidth=2.4, foreground=INK)]
_PANEL_IN = 3.5
_MOST_EXAMPLES = 8
Panel = tuple[tuple[str, str], Mapping[str, float]]


def _show(axes: Axes, face: Bytes) -> None:
    bare(axes).imshow(face, extent=(0, 1, 1, 0), aspect=face.shape[0] / face.shape[1], interpolation="lanczos")


def show_pale(axes: Axes, face: Bytes) -> None:
    """Shows a face so pale that its own dark parts are not read as values of the dark end of the scale."""
    _show(axes, np.rint(255 - 0.55 * (255 - face.astype(np.float32))).astype(np.uint8))


def outline(box: Box, **look: object) -> Rectangle:
    """Returns a region's rectangle."""
    corner = (box.centre.x - box.half_width, box.centre.y - box.half_height)
    return Rectangle(corner, 2 * box.half_width, 2 * box.half_height, **look)  # type: ignore[arg-type]


def _large_first(boxes: Mapping[str, Box]) -> list[str]:
    return sorted(boxes, key=lambda name: -boxes[name].half_width * boxes[name].half_height)


def region_picture(face: Bytes, boxes: Mapping[str, Box]) -> Figure:
    """Draws the numbered regions on a face, with their names beside it.

    Args:
        face: (h, w, 3) uint8 RGB.
        boxes: regions by name.
    """
    made = figure(6.6, 4.4 * min(1.3, face.shape[0] / face.shape[1]))
    left, right = made.subplots(1, 2, width_ratios=(3, 1.6))
    _show(left, face)
    for name in _large_first(boxes):
        left.add_patch(outline(boxes[name], fill=False, edgecolor="white", linewidth=3))
        left.add_patch(outline(boxes[name], fill=False, edgecolor=BLUE, linewidth=1.4))
    for number, name in enumerate(NAMES, 1):
        if name in boxes:
            centre = boxes[name].centre
            left.text(centre.x, centre.y, str(number), ha="center", va="center", weight="bold", path_effects=_HALO)
    bare(right).set(xlim=(0, 1), ylim=(len(NAMES) + 0.5, 0.5))
    for number, name in enumerate(NAMES, 1):
        right.text(0.12, number, str(number), ha="right", va="center", weight="bold", color=BLUE)
        right.text(0.2, number, title(name), va="center")
    left.set_title("The 14 regions (left and right of the image)")
    return made


def region_rates(asr: pl.DataFrame) -> list[Panel]:
    """Returns per model and corpus the mean `error_asr` over stickers of every region that was tried."""
    tried = asr.filter(pl.col("placement").str.starts_with("region/"))
    means = tried.group_by("model", "corpus", "placement").agg(pl.col("error_asr").mean()).sort("model", "corpus")
    panels: dict[tuple[str, str], dict[str, float]] = {}
    for model, corpus, placement, rate in means.iter_rows():
        panels.setdefault((model, corpus), {})[placement.removeprefix("region/")] = rate
    return list(panels.items())


def face_map(known: Mapping[str, MeanFace], panels: Sequence[Panel]) -> Figure | None:
    """Draws the share of clips hidden by a sticker at each region, one face per model and corpus; None without any.

    Args:
        known: faces by corpus; the first stands in for a corpus without one.
        panels: what `region_rates` returns.
    """
    if not panels or not known:
        return None
    first = next(iter(known.values()))
    face = first.picture
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    shape = min(1.4, face.shape[0] / face.shape[1])
    made = figure(_PANEL_IN * across + 0.9, (_PANEL_IN * shape + 0.4) * down)
    every = [rate for _, rates in panels for rate in rates.values()]
    scale = Normalize(min(every), max(max(every), min(every) + 0.01))
    grid = made.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        bare(axes)
    for axes, ((model, corpus), rates) in zip(grid.flat, panels, strict=False):
        _map_panel(axes, known.get(corpus, first), rates, scale)
        axes.set_title(f"{model}, {corpus}")
    bar = made.colorbar(ScalarMappable(scale, SEQUENTIAL), ax=grid, shrink=0.8, pad=0.02)
    bar.set_label("share of clips hidden (error_asr)")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bar.outline.set_visible(False)
    return made


def _map_panel(axes: Axes, face: MeanFace, rates: Mapping[str, float], scale: Normalize) -> None:
    show_pale(axes, face.picture)
    palette = colormaps[SEQUENTIAL]
    shown = {name: box for name, box in face.boxes.items() if name in rates}
    for name in _large_first(shown):
        colour = palette(scale(rates[name]))
        axes.add_patch(outline(shown[name], facecolor=(*colour[:3], 0.82), edgecolor="white", linewidth=1.2))
    for name, box in shown.items():
        text = f"{100 * rates[name]:.0f}"
        axes.text(
            box.centre.x, box.centre.y, text, ha="center", va="center", color="white", weight="bold", fontsize=9,
            path_effects=_DARK_HALO,
        )  # fmt: skip


def example_strip(examples: Sequence[tuple[str, Bytes]]) -> Figure | None:
    """Draws the first attacked faces side by side with their captions; None without any.

    Args:
        examples: caption and (h, w, 3) uint8 RGB picture.
    """
    if not examples:
        return None
    shown = list(islice(examples, _MOST_EXAMPLES))
    across = min(4, len(shown))
    down = -(-len(shown) // across)
    shape = max(picture.shape[0] / picture.shape[1] for _, picture in shown)
    made = figure(2.2 * across, (2.2 * shape + 0.5) * down)
    grid = made.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    for axes, (caption, picture) in zip(grid.flat, shown, strict=False):
        axes.imshow(picture, interpolation="lanczos")
        axes.set_title(caption, fontsize=9, weight="normal", loc="center", wrap=True)
    return made
