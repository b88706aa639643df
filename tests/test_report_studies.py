"""What the report says of the other papers' studies, on planted verdicts whose numbers are known by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from planted_report import context as plain_context
from planted_report import frame, run, searched
from planted_studies import (
    APART,
    CLASSES,
    FACELESS,
    FER_RIGHT,
    FRAME,
    LENGTHS,
    PEOPLE,
    SEEDS,
    SHIFT,
    everything,
    fer,
    fer_context,
    filters,
    filters_context,
    landmarks,
    landmarks_context,
    without_sticker,
)
from scipy.stats import ttest_1samp, ttest_ind

from austicker.report import (
    canvas,
    confusion,
    landmark_shift,
    methods_regression,
    per_class,
    published_studies,
    write_report,
)
from austicker.report import fer as fer_tables
from austicker.report import filters as filter_tables
from austicker.report.intervals import clustered_interval, holm, mean_interval
from austicker.report.methods_test import methods_welch, welch
from austicker.report.page import render
from austicker.report.poisoning_table import poisoning
from austicker.report.split_table import split
from austicker.report.study import described
from austicker.report.study_headlines import study_headlines
from austicker.report.study_sheets import study_sheets
from austicker.report.tables import metrics
from austicker.report.times import times
from austicker.report.visibility_table import visibility
from austicker.report.writing import tables_of
from austicker.report.zero_gradient import zero_gradient
from austicker.store import Store

ACCURACIES = [0.9 + 0.1 - missed / 70 for missed in SEEDS]
"""Of the planted network without attack, by repeat: everything but 0, 1 and 2 of 70 pictures."""


def by(table: pl.DataFrame, *keys: str) -> dict[tuple[object, ...], dict[str, Any]]:
    found = {tuple(row[key] for key in keys): row for row in table.iter_rows(named=True)}
    assert len(found) == table.height
    return found


@pytest.fixture(scope="module")
def study() -> pl.DataFrame:
    return landmarks()


@pytest.fixture(scope="module")
def classes(study: pl.DataFrame) -> dict[tuple[object, ...], dict[str, Any]]:
    return by(per_class.per_class(study, landmarks_context()), "condition", "method", "protocol", "row")


def test_a_class_is_the_mean_over_repeats(classes: dict[tuple[object, ...], dict[str, Any]]) -> None:
    """Type B hides 3 of 10 people of each class from the network, and of neutral 3, 4 and 5."""
    row = classes["Type B", "resnet", FRAME, "measured"]
    assert [row[f"{name} %"] for name in CLASSES] == pytest.approx([70, 70, 70, 70, 60, 70, 70])
    accuracies = [(49 - seed) / 70 for seed in SEEDS]
    assert row["all classes %"] == pytest.approx(100 * np.mean(accuracies))
    interval = mean_interval(accuracies)
    assert interval is not None
    assert (row["repeats low %"], row["repeats high %"]) == pytest.approx([100 * end for end in interval])
    assert (row["repeats"], row["pictures"], row["people"]) == (3, 70, 10)


def test_a_class_stands_beside_its_published_value(classes: dict[tuple[object, ...], dict[str, Any]]) -> None:
    printed = classes["Type B", "resnet", None, "published, Table IV"]
    assert (printed["sadness %"], printed["all classes %"]) == (84, 90.86)
    assert (printed["repeats low %"], printed["repeats high %"]) == pytest.approx((89.36, 92.36))
    assert "one run" in printed["doubt"]
    difference = classes["Type B", "resnet", APART, "difference"]
    assert difference["sadness %"] == pytest.approx(30 - 84)
    assert difference["doubt"] is None
    assert "100 pictures a class" in classes["none", "forest", None, "published, Table I"]["doubt"]


def test_the_interval_over_people_is_clustered(classes: dict[tuple[object, ...], dict[str, Any]]) -> None:
    wrong = [
        3 * (7 * (person < 3)) + sum(person == 3 + extra for extra in (0, 1) for _ in range(2 - extra))
        for person in range(10)
    ]
    expected = clustered_interval([21 - count for count in wrong], [21] * PEOPLE)
    row = classes["Type B", "resnet", FRAME, "measured"]
    assert expected is not None
    assert (row["people low %"], row["people high %"]) == pytest.approx([100 * end for end in expected])


def test_no_face_found_is_an_error_of_its_own(classes: dict[tuple[object, ...], dict[str, Any]]) -> None:
    row = classes["Type B", "forest", FRAME, "measured"]
    assert row["no face found %"] == pytest.approx(10)
    assert row["anger %"] == pytest.approx(80)  # one person is missed and one has no face
    assert classes["none", "forest", FRAME, "measured"]["no face found %"] == 0


def test_a_poisoned_recogniser_belongs_to_its_method(study: pl.DataFrame) -> None:
    rows = by(poisoning(study, landmarks_context()), "poisoned", "method", "protocol")
    assert set(rows) == set(product(["anger"], ["forest", "resnet"], [FRAME, APART]))
    network = rows["anger", "resnet", FRAME]
    accuracy = np.mean([(60 - seed) / 70 for seed in SEEDS])
    assert network["accuracy"] == pytest.approx(accuracy)
    assert network["class_accuracy"] == 0
    assert network["unpoisoned_accuracy"] == pytest.approx(np.mean(ACCURACIES))
    assert (network["published_accuracy"], network["published_half_width"]) == pytest.approx((0.8086, 0.003))
    assert network["difference"] == pytest.approx(accuracy - 0.8086)


def test_published_values_that_350_pictures_cannot_give_are_marked() -> None:
    doubts = {key: printed.doubt for key, printed in published_studies.poisoning().items()}
    impossible = {key for key, doubt in doubts.items() if "no count of 350" in doubt}
    assert impossible == {("disgust", "landmark-forest"), ("fear", "landmark-forest"), ("happy", "landmark-forest")}
    for printed in published_studies.poisoning().values():
        counts = np.round(100 * np.arange(351) / 350, 2)
        assert (np.abs(counts - printed.accuracy).min() > 0.001) == ("no count" in printed.doubt)


def test_the_published_means_are_those_of_their_classes() -> None:
    for printed in published_studies.per_class().values():
        assert np.mean(list(printed.classes.values())) == pytest.approx(printed.accuracy, abs=0.005)
        assert set(printed.classes) == set(CLASSES)
    assert published_studies.largest_loss("resnet20") == pytest.approx(22.57)
    assert published_studies.largest_loss("landmark-forest") == pytest.approx(0.28)


def test_classes_have_one_name_in_all_corpora() -> None:
    assert [published_studies.class_name(name) for name in ("Sad", "angry", "fear")] == ["sadness", "anger", "fear"]


def test_another_step_is_not_compared_with_the_published_one(study: pl.DataFrame) -> None:
    told = landmarks_context()
    attacks = [dict(attack) for attack in told.job["attacks"]]
    attacks[2]["settings"] = {"epsilon": 0.03}
    cells = described(study, replace(told, job={**told.job, "attacks": attacks}))
    papers = dict(cells.filter(attack_name="fgsm").select("attack", "paper").unique().iter_rows())
    assert papers == {"fgsm": None, "fgsm on resnet": "FGSM"}
    conditions = set(cells.filter(attack_name="fgsm")["condition"])
    assert conditions == {"FGSM, epsilon 0.03", "FGSM, epsilon 0.01"}


def test_welch_agrees_with_an_independent_computation() -> None:
    rng = np.random.default_rng(2)
    for sizes in ((2, 2), (30, 30), (3, 17)):
        a, b = rng.normal(0, 1, sizes[0]), rng.normal(0.5, 3, sizes[1])
        found, expected = welch(a, b), ttest_ind(a, b, equal_var=False)
        assert (found.t, found.freedom, found.p_value) == pytest.approx(
            (expected.statistic, expected.df, expected.pvalue)
        )
        interval = expected.confidence_interval()
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_welch_has_no_answer_without_spread_or_repeats() -> None:
    assert welch([1.0, 1.0], [0.5, 0.5]).p_value is None
    assert welch([1.0], [0.5, 0.7]).t is None
    assert welch([1.0], [0.5, 0.7]).difference == pytest.approx(0.4)


def test_methods_are_compared_over_repeats(study: pl.DataFrame) -> None:
    table = methods_welch(study, landmarks_context())
    rows = by(table, "protocol", "condition")
    row = rows[FRAME, "FGSM"]  # the forest met pictures made on the network, under another label
    expected = ttest_ind([(63 - s) / 70 for s in SEEDS], [(56 - s) / 70 for s in SEEDS], equal_var=False)
    assert (row["t"], row["p_value"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert row["published_difference"] == pytest.approx((97.43 - 90.0) / 100)
    measured = table.head(table.height - 1)
    assert measured["p_holm"].to_list() == pytest.approx(holm(measured["p_value"].to_list()))
    assert table.height == 1 + 2 * 4


def test_the_published_test_is_marked_impossible(study: pl.DataFrame) -> None:
    last = methods_welch(study, landmarks_context()).row(-1, named=True)
    assert (last["corpus"], last["t"], last["df"], last["p_value"], last["p_holm"]) == (
        "(as published)",
        0.24,
        59,
        0.21,
        None,
    )
    for words in ("impossible", "p = 0.81", "|t| = 1.27", "58 degrees"):
        assert words in last["doubt"]


def _noisy(seeds: int) -> tuple[pl.DataFrame, dict[tuple[str, str], list[float]]]:
    """Returns verdicts of two methods under two conditions, 50 pictures each, and their accuracies by repeat."""
    rng, rows, accuracies = np.random.default_rng(5), [], {}
    for method, attack in product(("forest", "resnet"), ("clean", "jaw-box")):
        right = rng.integers(20, 50, seeds)
        accuracies[method, attack] = (right / 50).tolist()
        rows += [
            without_sticker(
                f"s{number}", f"c{number}", attack, corpus="expressions", protocol=FRAME, fold="0", seed=seed,
                model=method, attacked_pred=int(number >= right[seed]), cell=f"{method}{attack}{seed}",
            )
            for seed in range(seeds)
            for number in range(50)
        ]  # fmt: skip
    return frame(rows), accuracies


def test_the_regression_is_of_cell_means_with_errors_by_repeat() -> None:
    seeds = 6
    verdicts, accuracies = _noisy(seeds)
    rows = by(methods_regression.methods_ols(verdicts, landmarks_context()), "term")
    forest, attacked = np.array(accuracies["forest", "clean"]), np.array(accuracies["forest", "jaw-box"])
    network, both = np.array(accuracies["resnet", "clean"]), np.array(accuracies["resnet", "jaw-box"])
    per_repeat = {
        "intercept": forest,
        "method resnet": network - forest,
        "condition Type B": attacked - forest,
        "method resnet × condition Type B": both - network - attacked + forest,
    }
    assert [key for (key,) in rows] == list(per_repeat)
    correction = (4 * seeds - 1) / (4 * seeds - 4)
    for term, values in per_repeat.items():
        row = rows[term,]
        assert row["points"] == pytest.approx(100 * values.mean())
        assert row["standard_error"] == pytest.approx(100 * np.sqrt(values.var(ddof=1) / seeds * correction))
        assert row["t"] == pytest.approx(ttest_1samp(values, 0).statistic / np.sqrt(correction))
        assert row["df"] == seeds - 1
        assert 0 <= row["p_value"] <= 1
        assert row["design"] == "accuracy ~ method + condition + method:condition; reference forest, none"


def test_one_repeat_has_coefficients_and_no_errors() -> None:
    verdicts, accuracies = _noisy(1)
    rows = by(methods_regression.methods_ols(verdicts, landmarks_context()), "term")
    (forest,), (network,) = accuracies["forest", "clean"], accuracies["resnet", "clean"]
    assert rows["method resnet",]["points"] == pytest.approx(100 * (network - forest))
    assert {row["p_value"] for row in rows.values()} == {None}
    assert {row["standard_error"] for row in rows.values()} == {None}
    (row, *_) = methods_welch(verdicts, landmarks_context()).iter_rows(named=True)
    assert (row["p_value"], row["low"], row["p_holm"]) == (None, None, None)


def test_a_condition_that_one_method_lacks_is_no_factor(study: pl.DataFrame) -> None:
    lacking = study.filter(~((pl.col("model") == "forest") & (pl.col("attack") == "jaw-box")))
    terms = methods_regression.methods_ols(lacking, landmarks_context())["term"].to_list()
    assert not [term for term in terms if "Type B" in term]
    assert [term for term in terms if "FGSM" in term]
    alone = study.filter(pl.col("model") == "forest")
    assert methods_regression.methods_ols(alone, landmarks_context()).is_empty()


def test_the_split_is_the_finding(study: pl.DataFrame) -> None:
    rows = by(split(study, landmarks_context()), "condition", "method")
    row = rows["none", "resnet"]
    assert row["frame_level_accuracy"] == pytest.approx(np.mean(ACCURACIES))
    assert row["disjoint_accuracy"] == pytest.approx(np.mean(ACCURACIES) - 0.4)
    assert row["difference"] == pytest.approx(-0.4)
    assert row["published_accuracy"] == pytest.approx(0.9743)
    assert split(study.filter(protocol=FRAME), landmarks_context()).is_empty()


def test_pictures_without_a_gradient_are_counted(study: pl.DataFrame) -> None:
    rows = by(zero_gradient(study, landmarks_context()), "method", "protocol")
    assert len(rows) == 4
    assert rows["resnet", FRAME]["unchanged_share"] == pytest.approx(1 / PEOPLE)
    assert rows["resnet", FRAME]["n_clips"] == len(SEEDS) * 70
    assert rows["forest", APART]["made_on"] == "resnet"


def test_landmarks_shift_by_axis(study: pl.DataFrame) -> None:
    rows = by(landmark_shift.landmark_shift(study, landmarks_context()), "protocol", "condition", "axis")
    x, y = (rows[FRAME, "FGSM", axis] for axis in "xy")
    assert (x["mean_px"], y["mean_px"]) == SHIFT
    assert (x["within_1_px_share"], y["within_1_px_share"]) == (1, 0)
    assert (x["sd_px"], x["faceless_share"], x["n_measured"]) == (0, 0, 210)
    boxed = rows[FRAME, "Type B", "x"]
    assert boxed["faceless_share"] == pytest.approx(1 / PEOPLE)
    assert (boxed["n_measured"], boxed["n_clips"], boxed["unmoved_share"]) == (21 * FACELESS, 210, 1)


def test_lengths_stand_behind_the_offsets() -> None:
    told = landmarks_context()
    both = replace(told.models["forest"], settings={**told.models["forest"].settings, "features": "both"})
    told = replace(told, models={**told.models, "forest": both})
    row = without_sticker("s0", "c0", "fgsm", corpus="expressions", model="forest", shift=[1.0, 2.0] * 68 + [5.0] * 68)
    rows = by(landmark_shift.landmark_shift(frame([row]), told), "axis")
    assert {axis: row["mean_px"] for (axis,), row in rows.items()} == {"x": 1, "y": 2, "length": 5}


def test_the_histogram_is_of_both_axes(study: pl.DataFrame) -> None:
    with canvas.style():
        made = landmark_shift.landmark_shift_figure(study, landmarks_context())
    assert made is not None
    assert [axes.get_title(loc="left").split("\n")[0] for axes in made.axes] == ["FGSM, x", "FGSM, y"]
    for axes, expected in zip(made.axes, SHIFT, strict=True):
        heights, edges, _ = axes.patches[0].get_data()
        place = int(np.argmax(heights))
        assert heights[place] == 1
        assert edges[place] <= expected <= edges[place + 1]


def test_times_are_weighted_by_trainings() -> None:
    told = landmarks_context()
    slow = replace(told.models["resnet, anger"], seconds={"training": 90.0, "answering": 0.01, "trainings": 3})
    rows = by(times({**told.models, "resnet, anger": slow}), "method")
    assert rows["resnet",]["training_s"] == pytest.approx((6 * 60 + 3 * 90) / 9)
    assert rows["resnet",]["training_over_forest"] == pytest.approx(35)
    assert (rows["resnet",]["published_low_s"], rows["resnet",]["published_high_s"]) == pytest.approx((1969.8, 19728))
    assert rows["forest",]["published"] == "14.8 ± 0.2 s to 1.4 ± 0.3 min"
    assert times(filters_context().models).is_empty()


def test_filters_stand_beside_above_ninety_percent() -> None:
    rows = by(filter_tables.filters(filters(), filters_context()), "n_filters")
    assert {length: row["paper_asr"] for (length,), row in rows.items()} == pytest.approx(
        {n: k / 20 for n, k in LENGTHS.items()}
    )
    assert [rows[n,]["met"] for n in LENGTHS] == [False, True, True]
    five = rows[5,]
    # All answers changed, and the two that were wrong became right.
    assert (five["flip_asr"], five["error_asr"]) == pytest.approx((1, 0.9))
    assert five["ssim_median"] == pytest.approx(0.9 + 0.005 * 9.5 - 0.05)
    assert five["ssim_5_percent"] == pytest.approx(0.9 + 0.005 * 0.95 - 0.05)
    assert (five["queries_mean"], five["psnr_mean"], five["n_clips"]) == (1610, 20, 20)
    assert "not known" in five["doubt"]


def test_filters_that_won_are_counted() -> None:
    rows = by(filter_tables.filter_use(filters(), filters_context()), "n_filters", "filter")
    assert (rows[4, "lark"]["uses"], rows[4, "juno"]["uses"]) == (60, 20)
    assert rows[4, "lark"]["picture_share"] == 1
    assert (rows[4, "juno"]["strength_mean"], rows[4, "lark"]["intensity_mean"]) == pytest.approx((0.8, 0.9))


def test_confusion_counts_answers(study: pl.DataFrame) -> None:
    rows = by(confusion.confusion(filters(), filters_context()), "attack", "true", "clean", "attacked")
    assert rows["filters-3", "a", "a", "b"]["n_clips"] == 18
    assert rows["filters-4", "a", "b", "a"]["n_clips"] == 1
    table = confusion.confusion(study, landmarks_context())
    faceless = table.filter(attacked="no face found", protocol=FRAME, true="fear")
    assert faceless.select("attack", "model", "n_clips").rows() == [("jaw-box", "forest", len(SEEDS))]


def test_matrices_have_a_panel_for_each_length() -> None:
    with canvas.style():
        made = confusion.confusion_figure(filters(), filters_context())
        boxes = filter_tables.ssim_figure(filters(), filters_context())
    assert made is not None
    assert [axes.get_title(loc="left") for axes in made.axes] == ["filters-3", "filters-4", "filters-5"]
    assert [text.get_text() for text in made.axes[1].texts] == ["18", "1", "1"]
    assert boxes is not None
    assert [text.get_text() for text in boxes.axes[0].get_xticklabels()] == ["3 filters", "4 filters", "5 filters"]
    assert confusion.confusion_figure(run(), plain_context()) is None
    assert filter_tables.ssim_figure(run(), plain_context()) is None


def test_fer_stands_beside_its_published_rates() -> None:
    rows = by(fer_tables.fer(fer(), fer_context()), "condition")
    accuracies = {name: row["accuracy"] for (name,), row in rows.items()}
    assert accuracies == pytest.approx({"clean": 12 / 20, "random": 9 / 20, "causal": 7 / 20})
    assert rows["causal",]["difference"] == pytest.approx(7 / 20 - 0.5)
    assert (rows["random",]["n_clips"], rows["random",]["n_draws"]) == (20, 2)
    expected = clustered_interval([1] * 12 + [0] * 8, [1] * 20)
    assert (rows["clean",]["low"], rows["clean",]["high"]) == pytest.approx(expected)


def test_a_causal_place_without_an_answer_has_no_accuracy() -> None:
    silent = pl.when(placement="causal").then(0).otherwise("queries").cast(pl.Int32).alias("queries")
    rows = by(fer_tables.fer(fer().with_columns(silent), fer_context()), "condition")
    assert (rows["causal",]["accuracy"], rows["causal",]["difference"]) == (None, None)
    pairs = fer_tables.fer_paired(fer().with_columns(silent), fer_context()).filter(test="paired, by subject")
    assert pairs.select("a", "b").rows() == [("clean", "random")]


def test_fer_is_tested_on_the_same_pictures() -> None:
    table = fer_tables.fer_paired(fer(), fer_context())
    row = by(table.filter(corpus="fer"), "a", "b")["random", "causal"]
    first, second, causal = (np.arange(20) < FER_RIGHT[name] for name in ("random/1", "random/2", "causal"))
    expected = ttest_1samp((first.astype(float) + second) / 2 - causal, 0)
    assert (row["difference"], row["t"], row["p_value"]) == pytest.approx((0.1, expected.statistic, expected.pvalue))
    measured = table.filter(corpus="fer")
    assert measured["p_holm"].to_list() == pytest.approx(holm(measured["p_value"].to_list()))


def test_the_published_drop_of_one_percent_is_within_noise() -> None:
    assert fer_tables.standard_error(0.5, 7178) == pytest.approx(0.0059, abs=5e-5)
    rows = by(fer_tables.fer_paired(fer(), fer_context()).filter(corpus="(as published)"), "a", "b")
    assert rows["random", "causal"]["t"] == pytest.approx(0.01 / np.sqrt((0.51 * 0.49 + 0.25) / 7178))
    assert "1.2 standard errors" in rows["random", "causal"]["doubt"]
    assert "within noise" in rows["random", "causal"]["doubt"]
    assert "beyond noise" in rows["clean", "random"]["doubt"]


def test_visibility_is_of_what_was_measured(study: pl.DataFrame) -> None:
    rows = by(visibility(study.filter(protocol=FRAME)), "model", "attack")
    fgsm = rows["resnet", "fgsm"]
    assert fgsm["changed_mean"] == pytest.approx(0.04 * 0.9)
    assert fgsm["ssim_mean"] == pytest.approx(0.9 * 0.9 + 0.1)
    assert fgsm["psnr_mean"] == 20  # that of an unchanged picture is infinite
    assert rows["resnet", "clean"]["psnr_mean"] is None
    assert visibility(run().with_columns(pl.lit(None, pl.Float64).alias("ssim"))).is_empty()


def test_studies_appear_only_with_their_ingredients() -> None:
    names = {"split", "per_class", "poisoning", "methods_welch", "methods_ols", "times", "zero_gradient"}
    names |= {"landmark_shift", "filters", "filter_use", "fer", "fer_paired"}
    for verdicts in (run(), searched(), run().clear()):
        filled = {sheet.name for sheet in study_sheets(verdicts, plain_context()) if not sheet.table.is_empty()}
        assert not filled & names


def test_headlines_say_the_finding() -> None:
    verdicts, told = everything()
    sheets = tables_of(verdicts, told)
    texts = {headline.of: headline.text for headline in study_headlines(sheets)}
    assert "resnet reads 98.6 % of the clean pictures where the test people were seen" in texts["Split, expressions"]
    assert "58.6 % where they were not (−40.0 points, mean of 3 repeats" in texts["Split, expressions"]
    lost = texts[f"Forest against network, expressions, {FRAME}"]
    assert "largest loss is under Type B: forest −10.0 points, network −30.0 points" in lost
    assert "Published, at most: forest −0.3 points, network −22.6 points" in lost
    assert "reached by 2 of 3" in texts["Filters: mobilenet on affect"]
    read = sheets["filters"].table["clean_accuracy"][0]
    assert f"Of the same pictures as they are it reads {100 * read:.1f} %." in texts["Filters: mobilenet on affect"]
    assert "1.2 standard errors apart on 7,178 pictures: within noise" in texts["Clean, random, causal: vgg on fer"]
    page = render(told, [], {name: sheets[name] for name in ("split", "per_class", "methods_welch")}, {})
    for words in ("repeats: 3 instead of 30", "A reduced run", "See (a) impossible", "Landmarks against pixels"):
        assert words in page
    assert "Filters</h2>" not in page


def test_the_page_of_a_study_without_stickers(tmp_path: Path) -> None:
    page = Path(write_report(filters(), filters_context(), Store(tmp_path))).read_text()
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names >= {"filters.csv", "confusion.csv", "visibility.csv", "ssim_distributions.png", "confusion.svg"}
    for words in ("Table 1: success", "Nothing was run", "Causal graph", "no headline", "Landmarks against"):
        assert words not in page
    for words in ("Success of every attack", "Accuracy by class", "What hiding costs"):
        assert words in page


def test_protocols_side_by_side_are_tracked_apart():
    rows = landmarks()
    model, corpus = rows["model"][0], rows["corpus"][0]
    found = metrics(rows)[model, corpus]
    for protocol in (FRAME, APART):
        own = rows.filter((pl.col("protocol") == protocol) & (pl.col("model") == model))
        right = own.select((pl.col("clean_pred") == pl.col("label")).mean()).item()
        assert found[f"clean_accuracy.{protocol}"] == pytest.approx(right)
    assert "clean_accuracy" not in found
    assert "clean_accuracy" in metrics(fer())[fer()["model"][0], fer()["corpus"][0]]
