"""The tables of the three studies of other papers, with their captions; computes no measure."""

from __future__ import annotations

import polars as pl

from austicker.report.confusion import confusion
from austicker.report.context import Context
from austicker.report.fer import fer, fer_paired
from austicker.report.filters import filter_use, filters
from austicker.report.landmark_shift import landmark_shift
from austicker.report.methods_regression import methods_ols
from austicker.report.methods_test import methods_welch
from austicker.report.page import Sheet
from austicker.report.per_class import per_class
from austicker.report.poisoning_table import poisoning
from austicker.report.split_table import split
from austicker.report.times import times
from austicker.report.visibility_table import visibility
from austicker.report.zero_gradient import zero_gradient

TRAINING_ALONE = (
    "Repeats train again and share one set of test pictures: the test speaks of chance in training alone, not of other "
    "people."
)

_SETTING = ("corpus", "protocol", "attack", "sticker", "side", "architecture", "design")
"""Not shown where they are one and the same in the whole table; the files hold them all."""
_DOUBTED = ("row", "published_accuracy", "published_asr", "condition", "b")
"""Behind the last of these that a table has stands the mark of a doubt."""


def study_sheets(verdicts: pl.DataFrame, context: Context) -> list[Sheet]:
    """Returns the tables of all studies; those without ingredients are empty."""
    return [
        *_landmarks(verdicts, context),
        *_tests(verdicts, context),
        *_filters(verdicts, context),
        *_fer(verdicts, context),
    ]


def _sheet(name: str, table: pl.DataFrame, caption: str) -> Sheet:
    """Returns a sheet that shows the columns in which something stands, and doubts below the table."""
    marked, said = _marked(table)
    empty = {column.name for column in marked if column.null_count() == len(column)}
    same = {column for column in _SETTING if column in marked.columns and marked[column].drop_nulls().n_unique() < 2}
    columns = tuple(column for column in marked.columns if column not in empty | same | {"doubt"})
    return Sheet(name=name, table=marked, columns=columns, caption=f"{caption}{said}")


def _marked(table: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Returns the table with a letter for each doubt behind what it is about, and what the letters say."""
    if "doubt" not in table.columns:
        return table, ""
    doubts = table["doubt"].drop_nulls().unique(maintain_order=True).to_list()
    letters = {doubt: f"({chr(ord('a') + number)})" for number, doubt in enumerate(doubts)}
    see = pl.Series("see", [letters.get(doubt) for doubt in table["doubt"]], pl.String)
    behind = max((table.columns.index(name) for name in _DOUBTED if name in table.columns), default=table.width - 1)
    said = "; ".join(f"{letter} {doubt}" for doubt, letter in letters.items())
    return table.clone().insert_column(behind + 1, see), f" See {said}." if said else ""


def _landmarks(verdicts: pl.DataFrame, context: Context) -> list[Sheet]:
    return [
        _sheet(
            "split",
            split(verdicts, context),
            "Accuracy where the test people are among those of the training (frame level) and where they are not "
            "(disjoint), means over repeats; 'difference' is disjoint minus frame level, its interval Welch's over "
            "repeats. The paper (Shehu and others) does not state its split, but its 97 % imply one at frame level.",
        ),
        _sheet(
            "per_class",
            per_class(verdicts, context),
            "Percent of the pictures of each class that are recognised (mean over repeats), and of all: as Tables I, "
            "II, IV and V of Shehu and others print it, then measured under each protocol, then measured minus "
            "published in points. For a published row 'repeats' is what stands after ± there; measured, it is a 95 % t "
            "interval over repeats, and 'people' one clustered by subject. 'no face found' is an answer of its own and "
            "always an error. Type A: boxes on the eyes of one class in training; type B: a box on the jaw of every "
            "test picture; FGSM: a step of 0.01 along the sign of the gradient, for the forest on a surrogate. Size "
            "and colour of the boxes are not published.",
        ),
        _sheet(
            "poisoning",
            poisoning(verdicts, context),
            "Table III: accuracy on clean test pictures when the pictures of one class had boxes on the eyes in "
            "training; interval over repeats; 'class accuracy' is that of the poisoned class alone. 'difference' is "
            "measured minus published.",
        ),
        _sheet(
            "zero_gradient",
            zero_gradient(verdicts, context),
            "Share of the pictures that FGSM left as they were, because the gradient was 0 in floating point. The "
            "paper says that this happens at a confidence of 100 %, and prints no share.",
        ),
        _sheet(
            "landmark_shift",
            landmark_shift(verdicts, context),
            "How far the forest's features moved, in pixels of the aligned face, over all landmarks of the clips in "
            "which a face was found before and after; offsets from the centroid have a mean of 0 whatever moved. "
            "'faceless share' is of all clips.",
        ),
        _times(context),
    ]


def _times(context: Context) -> Sheet:
    table = times(context.models)
    beside = (
        " The paper prints one 'execution' per case on a GeForce GTX 1080 Ti and does not say what it contains: no "
        "difference is drawn."
    )
    published = table["published"].null_count() < table.height
    caption = "Mean wall clock of one training and of one answer, on the hardware named at the end."
    return _sheet("times", table, caption + beside * published)


def _tests(verdicts: pl.DataFrame, context: Context) -> list[Sheet]:
    return [
        _sheet(
            "methods_welch",
            methods_welch(verdicts, context),
            "Forest minus network in accuracy: Welch's t test (unequal variances) over repeats, Holm's correction over "
            f"the measured rows. {TRAINING_ALONE} The last row is the paper's own test, t(59) = 0.24, p = .21.",
        ),
        _sheet(
            "methods_ols",
            methods_ols(verdicts, context),
            "Ordinary least squares in percentage points, accuracy ~ method + condition + method:condition, treatment "
            "coding; one row is one repeat of one fold of one method under one condition. Standard errors are robust "
            "to clusters (repeats of a fold: all that was trained with one seed on the same people), t on clusters − "
            "1. A coefficient with × says how much more a condition costs that method than the reference. The paper "
            "prints p < .001 without saying its design, so there is nothing to subtract. " + TRAINING_ALONE,
        ),
    ]


def _filters(verdicts: pl.DataFrame, context: Context) -> list[Sheet]:
    return [
        _sheet(
            "filters",
            filters(verdicts, context),
            "'paper asr' is the rate of Baia and others: the answer changed, whether the clean one was right or wrong. "
            "They print 'above 90 %' for 3, 4 and 5 filters; 'difference' is measured minus 90 %. Intervals are "
            "clustered by subject; low and high are those of error_asr.",
        ),
        _sheet(
            "filter_use",
            filter_use(verdicts, context),
            "How often a filter is in the sequence that counted; the paper prints nothing to set beside it.",
        ),
        _sheet(
            "confusion",
            confusion(verdicts, context),
            "Clips by true class, answer to the clean picture and answer to the attacked one, placements pooled.",
        ),
        _sheet(
            "visibility",
            visibility(verdicts),
            "What hiding costs. Share of pixels changed, structural similarity (mean, and the 5 % quantile for the "
            "worst pictures) and PSNR in dB of the apex picture on the aligned face. PSNR is over the pictures of "
            "which a pixel changed. An attack that changes the frames otherwise than at the apex is judged there.",
        ),
    ]


def _fer(verdicts: pl.DataFrame, context: Context) -> list[Sheet]:
    return [
        _sheet(
            "fer",
            fer(verdicts, context),
            "Accuracy of VGG-16 as in Table 3 of the early AU-Sticker paper, which used FER2013 and sticker (a), our "
            "monkey. Random is the mean over its draws; intervals are clustered by subject, or by picture where the "
            "corpus does not say who is who.",
        ),
        _sheet(
            "fer_paired",
            fer_paired(verdicts, context),
            "Accuracy of a minus that of b on the same pictures, clustered by subject, Holm's correction over the "
            "measured rows. The last rows test the published rates by their binomial standard errors: pairing them "
            "needs their pictures, which are not published.",
        ),
    ]
