"""What sequences of filters reach, how they look, and which filters won; mixes no filter itself."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from austicker.report.canvas import BLUE, INK, PALE, figure
from austicker.report.context import Context
from austicker.report.measures import success_rates
from austicker.report.study import FILTERS, described
from austicker.report.visibility_table import FEW

PUBLISHED_ABOVE = 0.9
"""Baia and others, 2022: the attack success rate is "above 90 % for every test", of 3, 4 and 5 filters."""
DOUBT = "the exact rates and SSIM values of the paper are not known to us"
_KEYS = ("corpus", "protocol", "model", "attack")
_STEPS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(_KEYS, pl.String),
    **dict.fromkeys(("n_filters", "picture"), pl.Int64),
    "filter": pl.String,
    **dict.fromkeys(("strength", "intensity"), pl.Float64),
}
_PANEL_IN = (4.3, 3.2)


def _lengths(context: Context) -> pl.DataFrame:
    """Returns how many filters a sequence has, by the label of the attack in the job."""
    rows = [
        (str(attack.get("label") or attack["name"]), attack.get("settings", {}).get("filters"))
        for attack in context.job.get("attacks", ())
        if attack["name"] == FILTERS
    ]
    return pl.DataFrame(rows, schema={"attack": pl.String, "n_filters": pl.Int64}, orient="row").unique("attack")


def filtered(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns the verdicts of filter attacks with `n_filters`, the length of their sequences."""
    own = described(verdicts, context).filter(attack_name=FILTERS).select(verdicts.columns)
    return own.join(_lengths(context), on="attack", how="left", maintain_order="left")


def filters(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns success, similarity and cost by length of the sequence, beside what was published.

    `paper_asr` is the paper's rate: the share of pictures to which the answer changed, whether the clean one was right
    or wrong. `met` says whether it is above the published 90 %. Intervals are clustered by subject.
    """
    own = filtered(verdicts, context)
    keys = [*_KEYS, "n_filters"]
    changed = success_rates(own.with_columns(pl.col("clean_pred").alias("label")), *keys)
    paper = changed.select(
        *keys,
        pl.col("error_asr").alias("paper_asr"),
        pl.col("low").alias("paper_asr_low"),
        pl.col("high").alias("paper_asr_high"),
    )
    ssim = own.group_by(*keys).agg(
        pl.col("ssim").median().alias("ssim_median"),
        pl.col("ssim").quantile(FEW, interpolation="linear").alias("ssim_5_percent"),
    )
    joined = success_rates(own, *keys)
    for more in (paper, ssim):
        joined = joined.join(more, on=keys, how="left", nulls_equal=True)
    said = joined.with_columns(
        pl.lit("> 90 %").alias("published_asr"),
        (pl.col("paper_asr") > PUBLISHED_ABOVE).alias("met"),
        (pl.col("paper_asr") - PUBLISHED_ABOVE).alias("difference"),
        pl.lit(DOUBT).alias("doubt"),
    )
    rates = ("paper_asr", "paper_asr_low", "paper_asr_high", "published_asr", "met", "difference")
    known = ("clean_accuracy", "flip_asr", "error_asr", "low", "high")
    looks = ("ssim_mean", "ssim_median", "ssim_5_percent", "psnr_mean")
    order = said.sort("corpus", "protocol", "model", "n_filters", "attack")
    return order.select(*keys, *rates, *known, *looks, "queries_mean", "n_clips", "n_subjects", "doubt")


def filter_use(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns how often each filter is in the sequence that counted, with its mean parameters.

    `picture_share` is of the pictures whose sequence holds it at least once; a filter may be there several times.
    """
    own = filtered(verdicts, context).drop_nulls("recipe")
    keys = [*_KEYS, "n_filters"]
    steps = [
        {**dict(zip(keys, row[:-1], strict=True)), "picture": number, "filter": name, "strength": s, "intensity": i}
        for number, row in enumerate(own.select(*keys, "recipe").iter_rows())
        for name, s, i in json.loads(row[-1])
    ]
    pictures = own.group_by(*keys).agg(pl.len().cast(pl.Int64).alias("n_clips"))
    used = (
        pl.DataFrame(steps, schema=dict(_STEPS))
        .group_by(*keys, "filter")
        .agg(
            pl.len().cast(pl.Int64).alias("uses"),
            pl.col("picture").n_unique().alias("with_it"),
            pl.col("strength").mean().alias("strength_mean"),
            pl.col("intensity").mean().alias("intensity_mean"),
        )
        .join(pictures, on=keys, how="left", nulls_equal=True)
    )
    share = (pl.col("with_it") / pl.col("n_clips")).alias("picture_share")
    order = ["corpus", "protocol", "model", "n_filters", "attack"]
    return (
        used.with_columns(share)
        .sort(*order, "uses", "filter", descending=[*[False] * 5, True, False])
        .select(*keys, "filter", "picture_share", "uses", "strength_mean", "intensity_mean", "n_clips")
    )


def ssim_figure(verdicts: pl.DataFrame, context: Context) -> Figure | None:
    """Draws Fig. 4 of the filter paper: SSIM by length of the sequence, boxes over points; None without filters."""
    own = filtered(verdicts, context).drop_nulls("ssim")
    panels = sorted(own.partition_by(_KEYS[:3], as_dict=True).items())
    if not panels:
        return None
    width, height = _PANEL_IN
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    made = figure(width * max(across, 1.5), height * down)  # one panel alone would be shown enlarged
    grid = made.subplots(down, across, squeeze=False, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    protocols = {key[1] for key, _ in panels}
    for axes, ((corpus, protocol, model), part) in zip(grid.flat, panels, strict=False):
        _panel(axes, part)
        axes.set_title(f"{model}, {corpus}" + (f", {protocol}" if len(protocols) > 1 else ""))
    return made


def _panel(axes: Axes, part: pl.DataFrame) -> None:
    groups: Mapping[tuple[object, ...], pl.DataFrame] = part.sort("n_filters", "attack").partition_by(
        "n_filters", "attack", as_dict=True, maintain_order=True
    )
    lengths = [length for length, _ in groups]
    for place, rows in enumerate(groups.values(), 1):
        values = rows["ssim"].sort().to_numpy()
        # Golden-ratio steps spread neighbours in value apart without a draw.
        beside = place + 0.5 * ((np.arange(len(values)) * 0.618) % 1 - 0.5)
        axes.plot(beside, values, ".", color=BLUE, alpha=0.35, markersize=4, zorder=1)
        axes.boxplot(values, positions=[place], widths=0.55, showfliers=False, medianprops={"color": INK}, zorder=2)
    told = len(set(lengths)) == len(lengths) and None not in lengths
    names = [f"{length} filters" if told else str(attack) for length, attack in groups]
    axes.set_xticks(range(1, len(names) + 1), names)
    axes.set(ylabel="SSIM to the clean picture")
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
