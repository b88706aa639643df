"""What an attack on the pixels left of a landmark recogniser's features: table and histogram; judges no answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from austicker.report.canvas import INK, PALE, SERIES, figure
from austicker.report.context import Context, ModelInfo
from austicker.report.study import CLEAN, FGSM, described

POINTS = 68
AXES = ("x", "y", "length")
BINS = 61
_PANEL_IN = (4.2, 2.9)
_KEYS = ("corpus", "protocol", "method", "condition", "attack_name")
_SCHEMA: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("corpus", "protocol", "method", "condition", "axis"), pl.String),
    **dict.fromkeys(("mean_px", "sd_px", "median_size_px", "largest_px"), pl.Float64),
    **dict.fromkeys(("within_1_px_share", "unmoved_share", "faceless_share"), pl.Float64),
    **dict.fromkeys(("n_clips", "n_measured"), pl.Int64),
}


def shifts(verdicts: pl.DataFrame, context: Context) -> dict[tuple[str, ...], dict[str, NDArray[np.float64]]]:
    """Returns differences of features, attacked minus clean, by (corpus, protocol, method, condition) and axis.

    The features of `landmark-forest` are pixels of the aligned face: offsets x, y of one point after the other, lengths
    after them. Recognisers that read pixels have none.
    """
    cells = described(verdicts, context).filter(pl.col("attack_name") != CLEAN).drop_nulls("shift")
    parts = sorted(cells.partition_by(_KEYS, as_dict=True).items())
    return {tuple(map(str, key[:4])): _by_axis(part, context.models) for key, part in parts}


def _by_axis(part: pl.DataFrame, models: Mapping[str, ModelInfo]) -> dict[str, NDArray[np.float64]]:
    kind = models[part["model"][0]].settings.get("features") if part["model"][0] in models else None
    values = part["shift"].explode().to_numpy().astype(np.float64).reshape(part.height, -1)  # (clip, feature)
    if kind == "euclid":
        return {"length": values}
    found = {"x": values[:, 0 : 2 * POINTS : 2], "y": values[:, 1 : 2 * POINTS : 2]}
    return {**found, "length": values[:, 2 * POINTS :]} if kind == "both" else found


def landmark_shift(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns how far features moved under each attack, over all landmarks of the clips that were measured.

    `faceless_share` is of all clips of the row, and of none of them where no face was found is a shift known.
    """
    measured = shifts(verdicts, context)
    cells = described(verdicts, context)
    rows = []
    for key, axes in measured.items():
        own = cells.filter(**dict(zip(_KEYS, key, strict=False)))
        for axis, values in axes.items():
            size = np.abs(values)
            rows.append(
                {
                    **dict(zip(_KEYS, key, strict=False)),
                    "axis": axis,
                    "mean_px": float(values.mean()),
                    "sd_px": float(values.std()),
                    "median_size_px": float(np.median(size)),
                    "largest_px": float(size.max()),
                    "within_1_px_share": float((size <= 1).mean()),
                    "unmoved_share": float((size == 0).mean()),
                    "faceless_share": own["faceless"].mean(),
                    "n_clips": own.height,
                    "n_measured": len(values),
                }
            )
    return pl.DataFrame(rows, schema=dict(_SCHEMA))


def landmark_shift_figure(verdicts: pl.DataFrame, context: Context) -> Figure | None:
    """Draws Fig. 9 of the landmark paper, one line a protocol: the shift in x and in y under FGSM; None without any."""
    cells = described(verdicts, context).filter(attack_name=FGSM)
    drawn = list(_panels(shifts(cells.select(verdicts.columns), context)))
    if not drawn:
        return None
    protocols = sorted({protocol for _, lines in drawn for protocol in lines})
    width, height = _PANEL_IN
    made = figure(2 * width, height * (len(drawn) // 2) + 0.5)
    grid = made.subplots(len(drawn) // 2, 2, squeeze=False, sharex=True, sharey="row")
    limit = max(1.0, *(float(np.quantile(np.abs(line), 0.995)) for _, lines in drawn for line in lines.values()))
    for axes, (title, lines) in zip(grid.flat, drawn, strict=True):
        axes.set_title(title)
        _panel(axes, {name: lines[name] for name in protocols if name in lines}, protocols, limit)
    if len(protocols) > 1:
        made.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(protocols))
    return made


def _panels(
    measured: Mapping[tuple[str, ...], Mapping[str, NDArray[np.float64]]],
) -> Iterator[tuple[str, dict[str, NDArray[np.float64]]]]:
    """Yields the title and the shifts by protocol of each panel: x, then y of one recogniser and condition."""
    for setting in sorted({(key[0], *key[2:]) for key in measured}):
        for axis in AXES[:2]:
            lines = {
                key[1]: axes[axis].ravel()
                for key, axes in measured.items()
                if (key[0], *key[2:]) == setting and axis in axes
            }
            if lines:
                corpus, method, condition = setting
                yield f"{condition}, {axis}\n{method}, {corpus}", lines


def _panel(axes: Axes, lines: Mapping[str, NDArray[np.float64]], protocols: list[str], limit: float) -> None:
    edges = np.linspace(-limit, limit, BINS + 1)
    for name, values in lines.items():
        shares = np.histogram(values.clip(-limit, limit), edges)[0] / len(values)
        colour = SERIES[protocols.index(name) % len(SERIES)]
        axes.stairs(shares, edges, color=colour, linewidth=1.7, label=name or "all")
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="shift of a landmark in pixels", ylabel="share of landmarks")
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
