"""Every figure of a report and the sentence below it; computes no measure."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from matplotlib.figure import Figure

from austicker.report import (
    confusion,
    curves,
    dense_map,
    example_grid,
    faces,
    filters,
    graphs,
    heatmaps,
    landmark_shift,
)
from austicker.report.context import Context
from austicker.report.page import Sheet

CAPTIONS = {
    "position_heatmap": "True positives by sticker and position, summed over corpora; fewer means better hidden, the "
    "lowest of each row is bold. A place without an answer on any clip of a corpus is left out.",
    "region_heatmap": "The same for the 14 regions.",
    "face_map": "Share of clips not recognised (error_asr, mean over stickers) by the region under the sticker; the "
    "face is the corpus' own where it may be shown, else that of the first.",
    "regions": "The 14 regions of interest on the mean face of the first corpus.",
    "success_curves": "Share of the clips asked that the first queries hid, clean errors included, with 95 % bands "
    "clustered by subject. The markers at the left asked once; the random mean is over its draws, and control/tuned "
    "was picked by queries on the training subjects. A line ends where its search spent most. A placement without an "
    "answer on any clip has no marker.",
    "dense_map": "How much the sticker hides at every position, mean over clips; the star is the best position, the "
    "outlines are the 14 regions of the mean face.",
    "causal_graph": "Causal graph of the regions over the folds; places are drawn wider apart than on a face.",
    "outdegree": "How often each region won, and its out-degree.",
    "examples": "Apex frames with the sticker at the causal place.",
    "example_grid": "Faces as they are and changed by attacks that put no sticker on them, with the answer to each.",
    "landmark_shift": "Fig. 9 of the landmark paper: the forest's features under FGSM minus those of the clean "
    "picture, over all 68 landmarks; what lies beyond an end is counted there.",
    "ssim_distributions": "Fig. 4 of the filter paper: SSIM of the pictures that counted, a point each, by the number "
    "of filters; the box is the middle half with its median.",
    "confusion": "Figs. 1 to 3 of the filter paper: from which answer (row) to which (column) the filters lead, in "
    "pictures; the shade is the share of the row.",
}


def figures_of(verdicts: pl.DataFrame, sheets: Mapping[str, Sheet], context: Context) -> dict[str, Figure]:
    """Returns every figure for which there is something to draw, by the name of its files."""
    drawn: dict[str, Figure | None] = {}
    if "positions" in sheets:
        drawn["position_heatmap"] = heatmaps.position_heatmap(sheets["positions"].table)
        drawn["region_heatmap"] = heatmaps.region_heatmap(sheets["positions"].table)
    if "success_curves" in sheets:
        drawn["success_curves"] = curves.curves_figure(sheets["success_curves"].table)
    drawn["dense_map"] = dense_map.dense_map_figure(dense_map.maps_of(verdicts), context)
    drawn["causal_graph"] = graphs.causal_graph(context)
    if "discovery_regions" in sheets:
        drawn["outdegree"] = graphs.out_degree_bars(sheets["discovery_regions"].table)
    first = next(iter(context.faces.values()), None)
    if first is not None:
        drawn["regions"] = faces.region_picture(first.picture, first.boxes)
        if "asr" in sheets:
            drawn["face_map"] = faces.face_map(context.faces, faces.region_rates(sheets["asr"].table))
    drawn["landmark_shift"] = landmark_shift.landmark_shift_figure(verdicts, context)
    drawn["ssim_distributions"] = filters.ssim_figure(verdicts, context)
    drawn["confusion"] = confusion.confusion_figure(verdicts, context)
    drawn["example_grid"] = example_grid.example_grid(context.grid)
    drawn["examples"] = faces.example_strip(context.examples)
    return {name: made for name, made in drawn.items() if made is not None}
