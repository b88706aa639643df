"""A benchmark's record as JSON, Markdown and one figure; measures nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from austicker.bench.record import Measured
from austicker.report import canvas
from austicker.report.formats import to_markdown
from austicker.store import write_whole

RECORD = "bench.json"


def write(measured: Measured, folder: Path) -> Path:
    """Writes `bench.json`, `bench.md` and `bench.png`, and returns the folder.

    Raises:
        AustickerError: the disk refuses.
    """
    with canvas.style():
        picture = canvas.to_bytes(scaling_figure(measured), "png")
    write_whole(folder / RECORD, measured.to_json().encode())
    write_whole(folder / "bench.png", picture)
    write_whole(folder / "bench.md", to_text(measured).encode())
    return folder


def to_text(measured: Measured) -> str:
    """Returns the benchmark as Markdown."""
    machine = ", ".join(f"{key} {value}" for key, value in measured.hardware.items())
    return "\n".join(
        [
            f"# Benchmark of job {measured.job}",
            "",
            f"{measured.slots} tasks at once, {measured.gpu_share:g} of a GPU each; driver: {machine}. Timings are "
            "medians of interleaved rounds.",
            "",
            "## Workers",
            "",
            f"Shards of {measured.scaled_model}, {measured.shard_s:.1f} s each. The grid on one worker takes "
            f"{measured.overhead:+.1%} of the time of a plain loop over the same shards.",
            "",
            to_markdown(scaling_table(measured)),
            "## Stages",
            "",
            to_markdown(rates_table(measured)),
            "## Store",
            "",
            to_markdown(store_table(measured)),
            "![Verdicts per second by workers](bench.png)",
            "",
        ]
    )


def scaling_table(measured: Measured) -> pl.DataFrame:
    """Returns throughput and efficiency by number of workers."""
    names = ("workers", "cells_per_s", "verdicts_per_s", "evaluations_per_s", "efficiency")
    return pl.DataFrame([{name: getattr(point, name) for name in names} for point in measured.scaling])


def rates_table(measured: Measured) -> pl.DataFrame:
    """Returns what one worker takes for a unit of each stage."""
    rows = [
        {
            "stage": rate.stage,
            "model": rate.model or None,
            "attack": rate.attack or None,
            "corpus": rate.corpus,
            "unit": "verdict" if rate.stage == "attack" else "fold",
            "seconds": rate.seconds,
            "per_s": 1 / rate.seconds,
        }
        for rate in sorted(measured.rates, key=lambda rate: (rate.stage, rate.model, rate.attack))
    ]
    return pl.DataFrame(rows)


def store_table(measured: Measured) -> pl.DataFrame:
    """Returns what the store and the report do in one process."""
    rows = {
        "parts of 1,000 rows committed per second": measured.commits_per_s,
        "bytes of a row": measured.bytes_per_row,
        "rows read, checked and aggregated per second": measured.aggregated_rows_per_s,
    }
    return pl.DataFrame({"measure": list(rows), "value": list(rows.values())})


def scaling_figure(measured: Measured) -> Figure:
    """Returns throughput by number of workers beside that of ideal scaling."""
    made = canvas.figure(6, 4)
    axes: Axes = made.subplots()
    workers = [point.workers for point in measured.scaling]
    alone = measured.scaling[0].verdicts_per_s
    axes.plot(workers, [alone * number for number in workers], color=canvas.MUTED, linestyle="--", label="ideal")
    axes.plot(
        workers, [point.verdicts_per_s for point in measured.scaling], color=canvas.BLUE, marker="o", label="grid"
    )
    for point in measured.scaling:
        axes.annotate(
            f"{point.efficiency:.0%}",
            (point.workers, point.verdicts_per_s),
            textcoords="offset points",
            xytext=(6, -14),
            color=canvas.BLUE,
        )
    axes.set(xlabel="workers", ylabel="verdicts per second", ylim=(0, None), title=f"Scaling, {measured.scaled_model}")
    axes.set_xticks(workers)
    axes.legend()
    return made
