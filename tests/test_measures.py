from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from planted_report import CLIPS, PEOPLE, frame, run, verdict
from scipy.stats import t as student
from sklearn.metrics import f1_score, recall_score

from austicker.report import placements
from austicker.report.intervals import clustered_interval, holm, mean_interval, paired_t
from austicker.report.measures import draw_rates, paired_difference, success_rates


def one(verdicts: pl.DataFrame) -> dict[str, float]:
    return success_rates(verdicts).row(0, named=True)


def test_rates_by_hand() -> None:
    # Ten clips: 8 right when clean, of which 3 are flipped; of the 2 wrong ones one becomes right by the sticker.
    rows = [verdict(f"s{i % 2}", f"c{i}", label=i % 3, clean_pred=i % 3, attacked_pred=i % 3) for i in range(10)]
    for i in (0, 1, 2):
        rows[i]["attacked_pred"] = (i + 1) % 3
    rows[8].update(clean_pred=0, attacked_pred=0)
    rows[9].update(clean_pred=1, attacked_pred=0)
    found = one(frame(rows))
    assert (found["n_clips"], found["n_subjects"], found["true_positives"]) == (10, 2, 6)
    assert (found["n_clean_correct"], found["n_flipped"]) == (8, 3)
    assert found["error_asr"] == pytest.approx(0.4)
    assert found["flip_asr"] == pytest.approx(3 / 8)
    assert found["accuracy_drop"] == pytest.approx(0.2)
    assert found["majority_baseline"] == pytest.approx(0.4)


def test_uf1_and_uar_by_hand() -> None:
    # Labels 0 0 1 1, attacked guesses 0 1 1 1: F1 is 2/3 and 4/5, recall 1/2 and 1.
    guesses = ((0, 0), (0, 1), (1, 1), (1, 1))
    found = one(
        frame([verdict("s", f"c{i}", label=a, clean_pred=a, attacked_pred=b) for i, (a, b) in enumerate(guesses)])
    )
    assert found["attacked_uf1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["attacked_uar"] == pytest.approx(0.75)
    assert found["clean_uf1"] == found["clean_uar"] == pytest.approx(1.0)


def test_uf1_and_uar_agree_with_an_independent_computation() -> None:
    # A class that no clip has is no class of the group, even where the recogniser names it: `labels` says so.
    rng = np.random.default_rng(11)
    for case in range(100):
        classes, n = int(rng.integers(2, 9)), int(rng.integers(1, 40))
        labels, clean, attacked = rng.integers(classes, size=(3, n))
        rows = zip(labels.tolist(), clean.tolist(), attacked.tolist(), strict=True)
        found = one(
            frame([verdict("s", f"c{i}", label=a, clean_pred=b, attacked_pred=c) for i, (a, b, c) in enumerate(rows)])
        )
        for name, guesses in (("clean", clean), ("attacked", attacked)):
            settings = {"labels": np.unique(labels), "average": "macro", "zero_division": 0.0}
            assert found[f"{name}_uf1"] == pytest.approx(f1_score(labels, guesses, **settings), abs=1e-12, rel=0), case
            assert found[f"{name}_uar"] == pytest.approx(recall_score(labels, guesses, **settings), abs=1e-12, rel=0)


def test_empty_denominators_are_null() -> None:
    found = one(
        frame([verdict("s0", "c0", clean_pred=1, attacked_pred=1), verdict("s0", "c1", clean_pred=1, attacked_pred=1)])
    )
    assert found["flip_asr"] is None
    assert found["low"] is None
    assert found["high"] is None
    assert found["error_asr"] == 1.0
    assert success_rates(frame([]), "model").is_empty()


def test_visibility_is_a_mean_over_what_was_measured() -> None:
    """The third clip got no sticker, and the second was asked for as it is: it has no PSNR."""
    rows = [
        verdict("s0", "c0", changed=0.2, ssim=0.8, psnr=10.0),
        verdict("s1", "c1", changed=0.0, ssim=1.0, psnr=None),
        verdict("s2", "c2", region=None, x=None, y=None, queries=0),
    ]
    found = one(frame(rows))
    assert (found["changed_mean"], found["ssim_mean"], found["psnr_mean"]) == pytest.approx((0.1, 0.9, 10))


def test_a_group_key_may_be_null() -> None:
    rows = [verdict("s0", "c0", region=None), verdict("s1", "c1", region=None), verdict("s1", "c1")]
    found = success_rates(frame(rows), "region").sort("region", nulls_last=False)
    assert found["n_clips"].to_list() == [2, 1]
    assert found["low"].null_count() == 1
    assert found["clean_uf1"].null_count() == 0


def test_a_missing_placement_is_counted() -> None:
    found = one(frame([verdict("s0", "c0", region=None, x=None, y=None, queries=0), verdict("s1", "c1")]))
    assert found["n_unplaced"] == 1


def test_interval_is_textbook_wilson_when_every_subject_has_one_clip() -> None:
    n, hits = 40, 12
    z, p = student.ppf(0.975, n - 1), hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert clustered_interval([1] * hits + [0] * (n - hits), [1] * n) == pytest.approx((centre - half, centre + half))


def test_identical_clips_of_a_person_count_once() -> None:
    singles = clustered_interval([1, 0, 1, 1, 0, 0, 1, 0], [1] * 8)
    repeated = clustered_interval(np.array([1, 0, 1, 1, 0, 0, 1, 0]) * 5, [5] * 8)
    assert singles is not None
    assert repeated is not None
    assert repeated[1] - repeated[0] >= singles[1] - singles[0]


@pytest.mark.parametrize("hits", [0, 4])
def test_interval_at_the_ends_counts_subjects(hits: int) -> None:
    found = clustered_interval([hits] * 10, [4] * 10)
    assert found is not None
    low, high = found
    assert 0 <= low < high <= 1
    # All or none on ten people: t(9)^2 = 5.117 and n = 10 leave 5.117 / 15.117 open.
    assert high - low == pytest.approx(5.1174 / 15.1174, abs=1e-4)


def test_one_subject_has_no_interval() -> None:
    assert clustered_interval([3], [9]) is None
    assert clustered_interval([3, 0], [9, 0]) is None


def test_coverage_with_clustered_clips() -> None:
    """STACK.md: 0.93 to 0.956 for this interval, 0.62 to 0.93 for Wilson on clips taken as independent."""
    rng, runs, people = np.random.default_rng(3), 600, 26
    sizes = rng.integers(2, 11, people)
    chances = rng.beta(0.42 * 4, 0.58 * 4, (runs, people))  # strong clustering: intra-class correlation 0.2
    hits = rng.binomial(sizes, chances)
    found = [clustered_interval(row, sizes) for row in hits]
    covered = np.mean([low < 0.42 < high for low, high in found if (low, high) is not None])
    naive = [
        clustered_interval(np.repeat([1, 0], [row.sum(), sizes.sum() - row.sum()]), np.ones(sizes.sum()))
        for row in hits
    ]
    assert 0.92 <= covered <= 0.98
    assert np.mean([low < 0.42 < high for low, high in naive]) < covered - 0.05


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, None, 0.03]) == pytest.approx([0.06, 0.03, None, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([None]) == [None]


def test_paired_t_reduces_to_the_plain_t_test() -> None:
    values = np.array([1.0, 0, 0, 1, -1, 1, 0, 1])
    found = paired_t(values, np.arange(8))
    error = values.std(ddof=1) / np.sqrt(8)
    assert found.t == pytest.approx(values.mean() / error)
    assert found.p_value == pytest.approx(2 * student.sf(values.mean() / error, 7))


def test_paired_t_counts_people_not_clips() -> None:
    values = np.array([1.0, 0, 0, 1, -1, 1, 0, 1])
    once, often = paired_t(values, np.arange(8)), paired_t(np.repeat(values, 10), np.repeat(np.arange(8), 10))
    assert often.p_value == pytest.approx(once.p_value)
    assert often.n_clips == 80


def test_paired_t_without_spread() -> None:
    assert paired_t([0.0, 0.0], ["a", "b"]).p_value == 1.0
    assert paired_t([1.0] * 5, list("abcde")).p_value == 2**-4
    assert paired_t([1.0, 1.0], ["a", "a"]).p_value is None
    assert paired_t([], []).difference is None


def test_paired_difference_uses_the_common_clips_and_averages_draws() -> None:
    a = frame([verdict("s0", "c0", attacked_pred=1), verdict("s1", "c1", attacked_pred=1), verdict("s9", "c9")])
    b = frame([verdict("s0", "c0"), verdict("s0", "c0", attacked_pred=1, placement="random/2"), verdict("s1", "c1")])
    found = paired_difference(a, b)
    assert (found.n_clips, found.n_subjects) == (2, 2)
    assert found.difference == pytest.approx(0.75)


def test_random_draws_by_hand() -> None:
    found = draw_rates(run(), *placements.GROUP).row(0, named=True)
    assert found["n_draws"] == 2
    assert found["error_asr"] == pytest.approx(1 / 6)
    assert found["half_range"] == pytest.approx(1 / 6)
    interval = mean_interval([0.0, 1 / 3])
    assert interval is not None
    assert (found["low"], found["high"]) == pytest.approx(interval)
    assert mean_interval([0.3]) is None


def test_best_region_elsewhere_never_sees_the_subject() -> None:
    # Lips hide subject 0 alone (four clips), chin hides subjects 1 and 2 (one clip each of four).
    hidden = {("s0", "region/lips"): 4, ("s1", "region/chin"): 1, ("s2", "region/chin"): 1}
    rows = [
        verdict(person, f"{person}{i}", placement=place, attacked_pred=int(i < hidden.get((person, place), 0)))
        for person in ("s0", "s1", "s2")
        for place in ("region/lips", "region/chin")
        for i in range(4)
    ]
    here, elsewhere = placements.best_here(frame(rows)), placements.best_elsewhere(frame(rows))
    assert one(here)["error_asr"] == pytest.approx(4 / 12)
    assert elsewhere.height == 12
    # s0 gets chin (best on s1, s2) and is not hidden; s1 and s2 get lips (best on s0) and are not hidden.
    assert one(elsewhere)["error_asr"] == 0.0


def test_families_of_placements() -> None:
    names = {
        "causal": "causal",
        "causal/per-class": "causal/per-class",
        "control/blank": "control/blank",
        "control/random-region/4": "control/random-region",
        "region/chin": "region",
        "chin": "named position",
        "random/3": "random",
        "random": "random search",
        "rhde": "rhde",
        "centre": "centre",
        "plugin/7": "plugin",
    }
    found = pl.DataFrame({"placement": list(names)}).select(placements.family())["family"].to_list()
    assert found == list(names.values())


def test_entries_pool_draws_and_keep_searches_apart_by_their_label() -> None:
    rows = [
        ("sticker", "random/3", "random mean"),
        ("random", "random", "random search"),
        ("rhde", "rhde", "rhde"),
        ("rhde small", "rhde", "rhde small"),
        ("sticker", "control/random-region/2", "control/random-region"),
        ("sticker", "causal/stable", "causal/stable"),
        ("sticker", "region/chin", "region/chin"),
    ]
    table = pl.DataFrame(rows, schema=["attack", "placement", "expected"], orient="row")
    assert table.select(placements.entry())["entry"].to_list() == table["expected"].to_list()


def test_the_search_random_is_no_draw_of_the_random_placement() -> None:
    draw, search = verdict("s0", "c0", placement="random/1"), verdict("s0", "c0", placement="random", attacked_pred=1)
    assert draw_rates(frame([draw, search]))["error_asr"].to_list() == [0.0]


def test_the_planted_grid_has_its_clips() -> None:
    found = success_rates(run(), "placement", "model", "sticker")
    assert found["n_clips"].unique().to_list() == [PEOPLE * CLIPS]
