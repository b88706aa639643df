"""The patch-size ablation of the camera-ready paper: the monkey sticker at sides kW/10, measured beside published."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import polars as pl

from austicker.report.context import ModelInfo
from austicker.report.measures import success_rates
from austicker.report.placements import CAUSAL

STICKER = "monkey"
"""The paper's sticker (a), in our drawing."""
SIZES = (1.0, 2.0, 3.0)
TENTH = 0.1
PUBLISHED_ON = ("casme2", "samm", "smic-e-hs")
"""The paper's corpora, by the names that they have here."""


@cache
def published() -> Mapping[tuple[int, str, str], tuple[float, str]]:
    """Returns the published rate, and what speaks against it or "", by (k, architecture, corpus).

    Source: the patch-size table of the camera-ready AU-Sticker paper; `data/published-patch-size.csv`.
    """
    text = (files("austicker") / "data" / "published-patch-size.csv").read_text(encoding="utf-8")
    return {
        (int(row["k"]), row["model"], row["corpus"]): (float(row["error_asr"]), row["doubt"])
        for row in csv.DictReader(text.splitlines())
    }


def patch_size(verdicts: pl.DataFrame, models: Mapping[str, ModelInfo]) -> pl.DataFrame:
    """Returns the causal place's `error_asr` by sticker size, beside what was published for that architecture.

    The published rates stand in one column for each corpus of the paper, whichever was measured, and `difference` is
    measured minus published on the same corpus. One size is no ablation: a recogniser that was tried with a single
    side has no rows, and neither has one for which causal placement had no answer.

    Args:
        verdicts: rows with the columns of `Verdict`.
        models: by label, for the architectures' names.
    """
    tenths = (pl.col("side") / TENTH).round(6)
    wanted = (pl.col("placement") == CAUSAL) & (pl.col("sticker") == STICKER) & tenths.is_in(SIZES)
    tried = verdicts.filter(wanted).with_columns(tenths.cast(pl.Int64, strict=False).alias("k"))
    keys = ["corpus", "protocol", "model", "k", "attack"]
    asked = tried.filter((pl.col("queries") > 0).any().over(keys))
    sized = asked.filter(pl.col("k").n_unique().over("corpus", "protocol", "model") > 1)
    measured = ("error_asr", "low", "high", "n_clips", "n_unplaced")
    rates = success_rates(sized, *keys).sort(keys).select(*keys, *measured)
    names = {
        label: str(model.settings.get("architecture") or model.settings.get("name")) for label, model in models.items()
    }  # a weight file names the architecture that it is of
    rows = [_known(k, names.get(model, "")) for model, k in rates.select("model", "k").iter_rows()]
    known = pl.DataFrame(rows, schema=_SCHEMA)
    of_own = pl.coalesce(
        pl.when(corpus=name).then(pl.col("error_asr") - pl.col(_column(name))) for name in PUBLISHED_ON
    )
    order = (*keys[:4], "architecture", *measured[:3], *map(_column, PUBLISHED_ON), "difference")
    table = pl.concat([rates, known], how="horizontal").with_columns(of_own.alias("difference"))
    return table.select(*order, *measured[3:], "attack", "doubt")


def _column(corpus: str) -> str:
    return f"published_asr_{corpus}"


_SCHEMA: dict[str, type[pl.DataType]] = {
    "architecture": pl.String,
    **dict.fromkeys(map(_column, PUBLISHED_ON), pl.Float64),
    "doubt": pl.String,
}


def _known(k: int, architecture: str) -> dict[str, object]:
    """Returns the published rates of a size and an architecture; null where nothing was published."""
    rates = {corpus: found for corpus in PUBLISHED_ON if (found := published().get((k, architecture, corpus)))}
    doubts = "; ".join(f"{corpus}: {doubt}" for corpus, (_, doubt) in rates.items() if doubt)
    return {
        "architecture": architecture if rates else None,
        **{_column(corpus): rate for corpus, (rate, _) in rates.items()},
        "doubt": doubts or None,
    }
