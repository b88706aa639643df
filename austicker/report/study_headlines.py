"""One paragraph for each study at the top of the page, from its tables; each says what it is beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from austicker.report import published_studies
from austicker.report.fer import CLEAN, NOISE, PICTURES, RANDOM, published_gap
from austicker.report.headline import Headline, interval, percent
from austicker.report.page import Sheet
from austicker.report.placements import CAUSAL
from austicker.report.study import FOREST, NETWORK, NONE


def study_headlines(sheets: Mapping[str, Sheet]) -> list[Headline]:
    """Returns what the tables of the studies say, those that are there."""
    found = [
        *(_split(sheets["split"].table) if "split" in sheets else ()),
        *(_methods(sheets["methods_welch"].table) if "methods_welch" in sheets else ()),
        *(_filters(sheets["filters"].table) if "filters" in sheets else ()),
        *(_fer(sheets["fer"].table, sheets["fer_paired"].table) if "fer_paired" in sheets else ()),
    ]
    return found


def _points(difference: float) -> str:
    return f"{round(100 * difference, 1) + 0.0:+.1f} points".replace("-", "−")


def _repeats(count: int) -> str:
    return "1 repeat" if count == 1 else f"mean of {count} repeats"


def _split(table: pl.DataFrame) -> list[Headline]:
    found = []
    for (corpus,), part in (
        table.filter(condition=NONE).partition_by("corpus", as_dict=True, maintain_order=True).items()
    ):
        said = []
        for row in part.iter_rows(named=True):
            beside = row["published_accuracy"]
            printed = f"; published {100 * beside:.2f} %, split not stated" if beside is not None else ""
            said.append(
                f"{row['method']} reads {percent(row['frame_level_accuracy'])} of the clean pictures where the test "
                f"people were seen in training and {percent(row['disjoint_accuracy'])} where they were not "
                f"({_points(row['difference'])}, {_repeats(row['disjoint_repeats'])}{printed})"
            )
        found.append(Headline(of=f"Split, {corpus}", text=f"{'. '.join(said)}."))
    return found


def _methods(table: pl.DataFrame) -> list[Headline]:
    measured = table.filter(pl.col("forest_repeats").is_not_null(), pl.col("doubt").is_null())
    found = []
    for (corpus, protocol), part in measured.partition_by(
        "corpus", "protocol", as_dict=True, maintain_order=True
    ).items():
        rows = {row["condition"]: row for row in part.iter_rows(named=True)}
        clean = rows.get(NONE)
        losses = [] if clean is None else [_loss(row, clean) for name, row in rows.items() if name != NONE]
        if losses:
            found.append(Headline(of=f"Forest against network, {corpus}, {protocol}", text=_lost(losses, rows, NONE)))
    return found


Loss = tuple[str, float, float]


def _loss(row: Mapping[str, float], clean: Mapping[str, float]) -> Loss:
    """Returns a condition, and what it costs the forest and the network."""
    forest, network = (clean[name] - row[name] for name in ("forest_accuracy", "network_accuracy"))
    return str(row["condition"]), forest, network


def _lost(losses: list[Loss], rows: Mapping[str, Mapping[str, float]], clean: str) -> str:
    worst = max(losses, key=lambda loss: max(loss[1:]))
    fewer = sum(forest < network for _, forest, network in losses)
    first = rows[clean]
    return (
        f"Without attack {first['forest']} reads {percent(first['forest_accuracy'])} and {first['network']} "
        f"{percent(first['network_accuracy'])}. The forest loses less in {fewer} of {len(losses)} conditions. The "
        f"largest loss is under {worst[0]}: forest {_points(-worst[1])}, network {_points(-worst[2])}. "
        f"Published, at most: forest {_points(-published_studies.largest_loss(FOREST) / 100)}, network "
        f"{_points(-published_studies.largest_loss(NETWORK) / 100)}."
    )


def _filters(table: pl.DataFrame) -> list[Headline]:
    found = []
    keys = ("corpus", "protocol", "model")
    for (corpus, _, model), part in table.partition_by(keys, as_dict=True, maintain_order=True).items():
        said = [_sequence(row) for row in part.iter_rows(named=True)]
        met = part["met"].sum()
        right = f"Of the same pictures as they are it reads {percent(part['clean_accuracy'][0])}."
        beside = f"Published: above 90 % for each; reached by {met} of {part.height}."
        text = f"Of the answers, {'; '.join(said)}. {right} {beside}"
        found.append(Headline(of=f"Filters: {model} on {corpus}", text=text))
    return found


def _sequence(row: Mapping[str, Any]) -> str:
    name = row["attack"] if row["n_filters"] is None else f"{row['n_filters']} filters"
    share = f"{percent(row['paper_asr'])}{interval(row['paper_asr_low'], row['paper_asr_high'])}"
    return f"{name} change {share} (SSIM {row['ssim_mean']:.3f}, {row['queries_mean']:,.0f} queries)"


def _fer(table: pl.DataFrame, paired: pl.DataFrame) -> list[Headline]:
    gap, error = published_gap(RANDOM, CAUSAL)
    random, causal = (published_studies.fer()[name].accuracy for name in (RANDOM, CAUSAL))
    noise = (
        f"The published {random:.0f} % against {causal:.0f} % are {gap / error:.1f} standard errors apart on "
        f"{PICTURES:,} pictures: {'within' if abs(gap) < NOISE * error else 'beyond'} noise."
    )
    found = []
    setting = ["corpus", "protocol", "model", "attack", "sticker", "side"]
    for key, part in table.partition_by(setting, as_dict=True, maintain_order=True).items():
        rates = ", ".join(f"{name} {percent(rate)}" for name, rate in part.select("condition", "accuracy").iter_rows())
        tests = paired.filter(a=RANDOM, b=CAUSAL, **dict(zip(setting, key, strict=True)))
        told = ""
        for row in tests.iter_rows(named=True):
            p = "" if row["p_holm"] is None else f", p = {row['p_holm']:.2g} after Holm"
            told = f" Random minus causal: {_points(row['difference'])}{interval(row['low'], row['high'])}{p}."
        clips = part.filter(condition=CLEAN)["n_clips"][0]
        found.append(
            Headline(
                of=f"Clean, random, causal: {key[2]} on {key[0]}",
                text=f"Accuracy on {clips} pictures: {rates}.{told} {noise}",
            )
        )
    return found
