"""Builds every table and figure of a report from verdicts and writes them beside the page; reads nothing."""

from __future__ import annotations

from pathlib import PurePosixPath

import polars as pl

from austicker.report import canvas, curves, dense_map, discovery, elections, patch_size, rivals, searches, tables
from austicker.report.context import Context
from austicker.report.figures import CAPTIONS, figures_of
from austicker.report.formats import to_csv, to_latex, to_markdown
from austicker.report.headline import headlines
from austicker.report.page import Picture, Sheet, render
from austicker.report.published_layout import table_1
from austicker.report.study_headlines import study_headlines
from austicker.report.study_sheets import study_sheets
from austicker.store import Store, layout

_ASR_SHOWN = (
    *("corpus", "protocol", "model", "attack", "sticker", "placement", "side", "n_clips", "n_subjects"),
    "true_positives",
    *("clean_accuracy", "majority_baseline", "error_asr", "low", "high", "flip_asr", "accuracy_drop", "n_unplaced"),
    *("changed_mean", "ssim_mean", "psnr_mean", "clean_uf1", "attacked_uf1", "clean_uar", "attacked_uar"),
)
_COMPARED = (
    *("corpus", "model", "sticker", "b", "cost", "queries_b", "difference", "low", "high", "p_holm", "p_value"),
    *("n_clips", "n_subjects", "n_unplaced_a", "n_unplaced_b", "note", "attack", "side"),
)
_SPENT = (
    *("corpus", "model", "attack", "placement_family", "queries_mean", "queries_median", "queries_max"),
    *("published_queries", "published", "published_note", "budget"),
    *(f"success_at_{budget}" for budget in searches.BUDGETS),
    *("n_clips", "n_unplaced", "unique_mean", "repeated_mean", "cached_mean", "calls_mean", "settings"),
)
_MAPPED = (
    *("corpus", "model", "value", "lowest", "mean", "highest", "best_region", "best_x", "best_y", "positions"),
    *("n_clips", "n_left_out", "attack"),
)
_WON = (
    *("corpus", "model", "attack", "cost", "rank", "entry", "error_asr", "low", "high", "queries_mean", "over_causal"),
    *("against_causal", "p_holm", "n_clips", "n_unplaced", "n_stickers", "note", "side"),
)

_ASR_SAID = (
    "Intervals are those of error_asr. n unplaced clips had no answer and count as they are without a sticker: where "
    "that is every clip, the row shows the clean recogniser. changed, ssim and psnr are means of the apex picture."
)


def tables_of(verdicts: pl.DataFrame, context: Context) -> dict[str, Sheet]:
    """Returns every table that has columns, by the name of its files."""
    entries = tables.entries(verdicts)
    error = table_1(entries, "error_asr", "half_range")
    flip = table_1(entries, "flip_asr", "flip_half_range")
    percent = (
        "in percent; the highest of each sticker is bold; random is mean ± half-range over its draws; the best region "
        "(other subjects) was picked by one query per region on each of their clips; – is no answer on any clip."
    )
    sheets = (
        Sheet(name="table_1", table=error.table, bold=error.bold, caption=f"error_asr {percent}"),
        Sheet(name="table_1_flip", table=flip.table, bold=flip.bold, caption=f"flip_asr {percent}"),
        Sheet(name="asr", table=tables.asr(verdicts), columns=_ASR_SHOWN, caption=_ASR_SAID),
        Sheet(name="random", table=tables.random_draws(verdicts), caption="Interval over draws, given these clips."),
        Sheet(
            name="queries",
            table=searches.queries(verdicts, context.job),
            columns=_SPENT,
            caption="Queries of the recogniser per clip, counted by the oracle, beside the published formula; 'budget' "
            "is the most queries that the job allows for one clip. Everything is over the n clips that were asked; n "
            "unplaced got no sticker. 'success at b' is the share that one of the first b queries hid, clean errors "
            "included. queries = unique + repeated + cached; calls are populations asked at once. 'settings' are those "
            "that differ from the published search or our defaults. Nothing is pooled over recognisers: not every "
            "search met each of them.",
        ),
        Sheet(
            name="success_curves",
            table=curves.success_curves(verdicts),
            caption="Share of the clips asked that so many queries hid; intervals at a few of them. An attack with "
            "hides = 'answer' hid the recogniser's own answer to the clean clip, others the true class.",
        ),
        Sheet(
            name="comparisons",
            table=rivals.comparisons(verdicts),
            columns=_COMPARED,
            caption="error_asr of the causal place minus that of b over the same clips and stickers, t clustered by "
            "subject, Holm's correction over the whole table; only entries that had an answer on some clip. 'cost' "
            "says whether b asks once, as the causal place does, or searches; queries b is its mean on these clips. "
            "control/tuned asks once here, but it was picked by queries on the training subjects, and the best region "
            "(other subjects) by one query per region on each clip of theirs. The best region picked on the same clips "
            "is an upper bound: its choice saw the answers.",
        ),
        Sheet(
            name="winners",
            table=rivals.winners(verdicts),
            columns=_WON,
            caption="Ranked by error_asr, stickers pooled, among the places that ask once and among the searches, "
            "whose queries differ; only entries that had an answer on some clip. 'attack' is that of the fixed places, "
            "beside which the searches of the same sticker size stand. 'over causal' is the entry minus the causal "
            "place over the clips and stickers that both tried; 'against causal' tells them apart by Holm's correction "
            "over this table at 5 %. Where n stickers differ, ranks are of different stickers.",
        ),
        Sheet(
            name="patch_size",
            table=patch_size.patch_size(verdicts, context.models),
            caption="error_asr of the monkey sticker at the causal place, side k tenths of the face: measured on the "
            "row's own corpus, and as the camera-ready paper publishes it for the same architecture at full size on "
            "its three corpora (protocol au-sticker). 'difference' is measured minus published where the corpus is the "
            "same. 'doubt' marks published values that no count of clips gives.",
        ),
        Sheet(
            name="dense_map",
            table=dense_map.dense_map(dense_map.maps_of(verdicts), context),
            columns=_MAPPED,
            caption="Values of the map, means over clips; the best position in fractions of the aligned face.",
        ),
        Sheet(
            name="positions",
            table=tables.positions(verdicts),
            caption="True positives summed over corpora, without places that had no answer on one of them.",
        ),
        Sheet(
            name="discovery",
            table=discovery.discovery(context),
            caption="A hit is a winner among the planted regions of highest out-degree; chance is one draw of 14.",
        ),
        Sheet(
            name="choices",
            table=elections.choices(context),
            caption="What other rules chose per fold. Agreement is with the fold's causal winner; the vote share is "
            "the winner's part of the resamples or subjects that voted. 'per-class' answers once per class.",
        ),
        Sheet(name="discovery_regions", table=discovery.discovery_regions(context), caption="Folds won by region."),
        Sheet(
            name="leaderboard",
            table=tables.leaderboard(verdicts),
            caption="Ranked by error_asr within a corpus and recogniser, whatever it cost (queries mean) and however "
            "visible it is (ssim mean, 1 for an unchanged picture); the top of many entries flatters itself. An entry "
            "without an answer on any clip has no rank. "
            "The interval of the random mean is over its draws, all others over people.",
        ),
        *study_sheets(verdicts, context),
    )
    return {sheet.name: sheet for sheet in sheets if sheet.table.width and not sheet.table.is_empty()}


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
        for name, made in figures_of(verdicts, sheets, context).items():
            png = canvas.to_bytes(made, "png")
            pictures[name] = Picture(png=png, caption=CAPTIONS[name])
            put(f"{name}.png", png)
            put(f"{name}.svg", canvas.to_bytes(made, "svg"))
    told = [*headlines(verdicts), *study_headlines(sheets)]
    put(PurePosixPath(layout.PAGE).name, render(context, told, sheets, pictures).encode())
    # What an earlier report showed and this one does not, such as a face, is not to lie beside it.
    for key in store.keys(layout.REPORT):
        if key not in written:
            store.remove(key)
    return store.shown(layout.PAGE)
