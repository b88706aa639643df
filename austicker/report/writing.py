"""Builds every table and figure of a report from verdicts and writes them beside the page; reads nothing."""

from __future__ import annotations

from pathlib import PurePosixPath

import polars as pl
from matplotlib.figure import Figure

from austicker.report import canvas, discovery, faces, graphs, heatmaps, tables
from austicker.report.context import Context
from austicker.report.formats import to_csv, to_latex, to_markdown
from austicker.report.headline import headlines
from austicker.report.page import Picture, Sheet, render
from austicker.report.published_layout import table_1
from austicker.store import Store, layout

_ASR_SHOWN = (
    *("corpus", "model", "attack", "sticker", "placement", "side", "n_clips", "n_subjects", "true_positives"),
    *("clean_accuracy", "majority_baseline", "error_asr", "low", "high", "flip_asr", "accuracy_drop", "n_unplaced"),
    *("clean_uf1", "attacked_uf1", "clean_uar", "attacked_uar"),
)
_COMPARED = (
    *("corpus", "model", "sticker", "b", "difference", "low", "high", "p_holm", "p_value", "n_clips", "n_subjects"),
    *("note", "attack", "side"),
)
_CAPTIONS = {
    "position_heatmap": "True positives by sticker and position, summed over corpora; fewer means better hidden, the "
    "lowest of each row is bold.",
    "region_heatmap": "The same for the 14 regions.",
    "face_map": "Share of clips not recognised (error_asr, mean over stickers) by the region under the sticker.",
    "regions": "The 14 regions of interest on the mean face.",
    "causal_graph": "Causal graph of the regions over the folds; places are drawn wider apart than on a face.",
    "outdegree": "How often each region won, and its out-degree.",
    "examples": "Apex frames with the sticker at the causal place.",
}


def tables_of(verdicts: pl.DataFrame, context: Context) -> dict[str, Sheet]:
    """Returns every table that has columns, by the name of its files."""
    entries = tables.entries(verdicts)
    error = table_1(entries, "error_asr", "half_range")
    flip = table_1(entries, "flip_asr", "flip_half_range")
    percent = "in percent; the highest of each sticker is bold; random is mean ± half-range over its draws."
    sheets = (
        Sheet(name="table_1", table=error.table, bold=error.bold, caption=f"error_asr {percent}"),
        Sheet(name="table_1_flip", table=flip.table, bold=flip.bold, caption=f"flip_asr {percent}"),
        Sheet(name="asr", table=tables.asr(verdicts), columns=_ASR_SHOWN, caption="Intervals are those of error_asr."),
        Sheet(name="random", table=tables.random_draws(verdicts), caption="Interval over draws, given these clips."),
        Sheet(
            name="queries",
            table=tables.queries(verdicts),
            caption="Queries of the recogniser per clip, counted by the oracle, beside the published formula; "
            "'hidden within b' is the share of clips hidden at a cost of at most b queries.",
        ),
        Sheet(
            name="comparisons",
            table=tables.comparisons(verdicts),
            columns=_COMPARED,
            caption="error_asr of the causal place minus that of b over the same clips, t clustered by subject, Holm's "
            "correction over the whole table. The best region picked on the same clips is an upper bound: its "
            "choice saw the answers.",
        ),
        Sheet(name="positions", table=tables.positions(verdicts), caption="True positives summed over corpora."),
        Sheet(
            name="discovery",
            table=discovery.discovery(context),
            caption="A hit is a winner among the planted regions of highest out-degree; chance is one draw of 14.",
        ),
        Sheet(name="discovery_regions", table=discovery.discovery_regions(context), caption="Folds won by region."),
        Sheet(
            name="leaderboard",
            table=tables.leaderboard(verdicts),
            caption="Ranked by error_asr within a corpus and recogniser; the top of many entries flatters itself. "
            "The interval of the random mean is over its draws, all others over people.",
        ),
    )
    return {sheet.name: sheet for sheet in sheets if sheet.table.width and not sheet.table.is_empty()}


def figures_of(sheets: dict[str, Sheet], context: Context) -> dict[str, Figure]:
    """Returns every figure for which there is something to draw, by the name of its files."""
    drawn: dict[str, Figure | None] = {}
    if "positions" in sheets:
        drawn["position_heatmap"] = heatmaps.position_heatmap(sheets["positions"].table)
        drawn["region_heatmap"] = heatmaps.region_heatmap(sheets["positions"].table)
    drawn["causal_graph"] = graphs.causal_graph(context)
    if "discovery_regions" in sheets:
        drawn["outdegree"] = graphs.out_degree_bars(sheets["discovery_regions"].table)
    if context.face is not None and context.boxes:
        drawn["regions"] = faces.region_picture(context.face, context.boxes)
        if "asr" in sheets:
            rates = faces.region_rates(sheets["asr"].table)
            drawn["face_map"] = faces.face_map(context.face, context.boxes, rates)
    drawn["examples"] = faces.example_strip(context.examples)
    return {name: made for name, made in drawn.items() if made is not None}


def write(verdicts: pl.DataFrame, context: Context, store: Store) -> str:
    """Writes tables, figures and, last, the page, each whole or not at all, and returns where the page is.

    Raises:
        AustickerError: the store does not take it.
    """
    sheets = tables_of(verdicts, context)
    written = set()

    def put(name: str, content: bytes) -> None:
        written.add(layout.report(name))
        store.write(layout.report(name), content)

    for name, sheet in sheets.items():
        put(f"{name}.csv", to_csv(sheet.table).encode())
        put(f"{name}.md", to_markdown(sheet.table, sheet.bold).encode())
        put(f"{name}.tex", to_latex(sheet.table, sheet.bold).encode())
    pictures = {}
    with canvas.style():
        for name, made in figures_of(sheets, context).items():
            png = canvas.to_bytes(made, "png")
            pictures[name] = Picture(png=png, caption=_CAPTIONS[name])
            put(f"{name}.png", png)
            put(f"{name}.svg", canvas.to_bytes(made, "svg"))
    put(PurePosixPath(layout.PAGE).name, render(context, headlines(verdicts), sheets, pictures).encode())
    # What an earlier report showed and this one does not, such as a face, is not to lie beside it.
    for key in store.keys(layout.REPORT):
        if key not in written:
            store.remove(key)
    return store.shown(layout.PAGE)
