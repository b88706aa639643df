"""What the report says of searches, controls, sizes and choices, on planted verdicts whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from planted_report import CLIPS, FOUND_AT, MAP, PEOPLE, SPENT, context, frame, run, searched, verdict, without_answer

from austicker.choices import RegionChoice
from austicker.report import (
    CorpusInfo,
    ModelInfo,
    canvas,
    curves,
    dense_map,
    elections,
    patch_size,
    rivals,
    searches,
    write_report,
)
from austicker.report.headline import headlines
from austicker.report.intervals import clustered_interval
from austicker.store import Store
from austicker.types import RegionGraph

JOB = {
    "attacks": [
        {"name": "sticker", "label": "sticker", "budget": 1, "settings": {}},
        {"name": "rhde", "label": "rhde", "budget": 120, "settings": {"population": 12, "iterations": 9, "beta": 20.0}},
    ]
}


def by(table: pl.DataFrame, *keys: str) -> dict[tuple[object, ...], dict[str, object]]:
    found = {tuple(row[key] for key in keys): row for row in table.iter_rows(named=True)}
    assert len(found) == table.height
    return found


def test_table_2_counts_queries_and_successes() -> None:
    row = by(searches.queries(searched(), JOB), "attack", "placement_family")["rhde", "rhde"]
    assert row["queries_mean"] == np.mean(SPENT)
    assert (row["queries_median"], row["queries_max"]) == (np.median(SPENT), max(SPENT))
    assert (row["unique_mean"], row["repeated_mean"]) == (np.mean(SPENT) - 3, 1)
    assert (row["cached_mean"], row["calls_mean"]) == (2, 5)
    assert row["n_clips"] == PEOPLE * CLIPS


def test_table_2_takes_the_first_success_not_the_spending() -> None:
    """The search went on after its success at query 3: by its 10 queries it would not have succeeded within 9."""
    row = by(searches.queries(searched(), JOB), "attack", "placement_family")["rhde", "rhde"]
    expected = {budget: sum(0 < at <= budget for at in FOUND_AT) / CLIPS for budget in (1, 10, 100, 1000)}
    assert expected == {1: 0, 10: 1 / 3, 100: 2 / 3, 1000: 2 / 3}
    assert {budget: row[f"success_at_{budget}"] for budget in expected} == pytest.approx(expected)


def test_table_2_stands_beside_the_published_formula_and_the_budget() -> None:
    rows = by(searches.queries(searched(), JOB), "attack", "placement_family")
    rhde, unrun = rows["rhde", "rhde"], rows["dopatch", "not run"]
    assert (rhde["published_queries"], rhde["budget"]) == (30 * 120, 120)
    assert rhde["settings"] == "iterations 9, population 12"  # beta is as published
    assert (unrun["published_queries"], unrun["queries_mean"], unrun["budget"]) == (2100, None, None)
    assert rows["unified", "not run"]["published_queries"] == 6000
    assert (rows["random", "not run"]["published"], rows["random", "not run"]["published_queries"]) == (
        "iterations × population",
        None,
    )
    assert (rows["sticker", "causal"]["published"], rows["sticker", "causal"]["published_queries"]) == (
        "number of images",
        1,
    )
    assert rows["sticker", "random"]["published"] == "not published"
    assert rows["sticker", "control/tuned"]["settings"] is None


def test_table_2_pools_no_recognisers() -> None:
    """facex did not meet the search that reads scores, so a mean over both would be of different recognisers."""
    dear = searched(model="facex").with_columns(pl.col("queries") * 3)
    table = searches.queries(pl.concat([searched(), dear]), {})
    rows = by(table.filter(attack="rhde"), "corpus", "model")
    mean = np.mean(SPENT)
    assert {key: row["queries_mean"] for key, row in rows.items()} == {
        ("faces", "mmnet"): mean,
        ("faces", "facex"): 3 * mean,
    }
    assert table.filter(attack="dopatch").height == 1
    assert table["placement_family"].to_list()[:3] == ["causal", "dense", "rhde"]


def test_a_clip_without_a_sticker_is_hidden_by_no_query() -> None:
    bare = verdict("s0", "c0", attacked_pred=1, clean_pred=1, queries=0, x=None, y=None, region=None)
    asked = [verdict("s1", "c1", attacked_pred=1), verdict("s1", "c2", attacked_pred=1), verdict("s1", "c3")]
    (row,) = searches.queries(frame([bare, *asked]), {}).filter(attack="sticker").iter_rows(named=True)
    assert row["success_at_1"] == pytest.approx(2 / 3)  # of those asked, not 2 of 4
    assert (row["n_clips"], row["n_unplaced"], row["queries_mean"], row["calls_mean"]) == (3, 1, 1, 1)


def test_table_2_has_no_numbers_where_nothing_was_asked() -> None:
    table = searches.queries(without_answer(searched(), "causal"), {}).filter(placement_family="causal")
    (row,) = table.iter_rows(named=True)
    assert (row["n_clips"], row["n_unplaced"], row["published_queries"]) == (0, PEOPLE * CLIPS, 1)
    measured = [name for name in row if name.startswith(("queries_", "success_at_")) or name.endswith("_mean")]
    assert len(measured) == 11
    assert {row[name] for name in measured} == {None}


def test_curves_rise_where_clips_were_hidden() -> None:
    table = curves.success_curves(searched())
    rhde = table.filter(entry="rhde")
    assert rhde["queries"].to_list() == [1, 3, 10, 30, 40, 100, 120]
    assert rhde["hidden"].to_list() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert rhde.filter(pl.col("low").is_null())["queries"].to_list() == [40]
    expected = clustered_interval([2] * PEOPLE, [CLIPS] * PEOPLE)
    assert tuple(rhde.row(-1, named=True)[name] for name in ("low", "high")) == pytest.approx(expected)
    points = by(table.filter(kind="1 query"), "entry")
    assert {key: row["hidden"] for (key,), row in points.items()} == pytest.approx(
        {"causal": 1 / 3, "random mean": 1 / 6, "control/tuned": 2 / 3}
    )
    assert {row["queries"] for row in points.values()} == {1}


def test_curves_are_of_the_clips_that_were_asked() -> None:
    """Causal hides each person's clip 0: without an answer there it hides none of the two that were asked."""
    part = curves.success_curves(without_answer(searched(), "causal", clips=1)).filter(entry="causal")
    assert part.select("hidden", "n_clips", "n_unplaced").rows() == [(0, 2 * PEOPLE, PEOPLE)]
    last = searched().filter(~((pl.col("placement") == "causal") & pl.col("clip").str.ends_with("c2")))
    bare = pl.concat([last, without_answer(searched(), "causal").filter(placement="causal", label=2)])
    (hidden,) = curves.success_curves(bare).filter(entry="causal")["hidden"]
    assert hidden == pytest.approx(1 / 2)  # one of the two asked, not one of three
    assert "causal" not in set(curves.success_curves(without_answer(searched(), "causal"))["entry"])


def test_curves_have_no_picture_without_a_search() -> None:
    assert curves.curves_figure(curves.success_curves(run())) is None
    assert curves.curves_figure(curves.success_curves(run().clear())) is None


def test_the_curves_draw_a_panel_for_each_recogniser() -> None:
    both = pl.concat([searched(), searched(model="facex")])
    with canvas.style():
        made = curves.curves_figure(curves.success_curves(both))
    assert made is not None
    assert [axes.get_title(loc="left") for axes in made.axes] == ["facex, faces", "mmnet, faces"]
    (line,) = [line for line in made.axes[0].get_lines() if line.get_label() == "rhde"]
    assert line.get_ydata()[-1] == pytest.approx(2 / 3)


def test_the_map_finds_the_planted_place() -> None:
    (found,) = dense_map.maps_of(searched())
    assert found.values == pytest.approx(1 - np.array(MAP).reshape(3, 3))
    assert found.best == pytest.approx((1 / 6, 0.5))
    row = dense_map.dense_map([found], context()).row(0, named=True)
    assert (row["lowest"], row["highest"]) == pytest.approx((1 - max(MAP), 1 - min(MAP)))
    assert (row["value"], row["n_clips"], row["n_left_out"]) == (dense_map.SCORES, PEOPLE * CLIPS, 0)
    assert row["best_region"] is None  # the planted boxes begin right of it


def test_the_map_names_the_region_under_its_best_place_on_its_own_face_alone() -> None:
    (found,) = dense_map.maps_of(searched())
    face = context().faces["faces"]
    near = replace(face, boxes={"chin": replace(face.boxes["lips"], half_width=1, half_height=1)})
    assert dense_map.dense_map([found], context(faces={"faces": near}))["best_region"].to_list() == ["chin"]
    assert dense_map.dense_map([found], context(faces={"else": near}))["best_region"].to_list() == [None]


def test_a_map_of_labels_is_a_share_and_a_cut_one_is_left_out() -> None:
    told = {"attack": "dense", "placement": "dense", "clean_score": None, "attacked_score": None}
    answers = ([1, 0, 1, 1], [1, 0, 0, 1], [0, 0])
    rows = [verdict(f"s{i}", f"c{i}", answers=list(map(float, own)), **told) for i, own in enumerate(answers)]
    (found,) = dense_map.maps_of(frame(rows))
    assert (found.shown, found.n_clips, found.n_left_out) == (dense_map.LABELS, 2, 1)
    assert found.values.tolist() == [[0, 1], [0.5, 0]]
    assert dense_map.maps_of(frame(rows[2:])) == []
    assert dense_map.dense_map_figure([], context()) is None


def _sized(**sides: float) -> pl.DataFrame:
    """Returns the monkey at the causal place: each side hides so many of 4 clips of two people."""
    return frame(
        [
            verdict(f"s{i % 2}", f"c{i}", sticker="monkey", side=float(side[1:]) / 10, attack=f"sticker {side}",
                    corpus="samm", attacked_pred=int(i < hidden))
            for side, hidden in sides.items()
            for i in range(4)
        ]
    )  # fmt: skip


def test_patch_size_stands_beside_the_published_one() -> None:
    rows = by(patch_size.patch_size(_sized(k1=2, k2=3, k3=1), context().models), "k")
    assert [rows[k,]["error_asr"] for k in (1, 2, 3)] == [0.5, 0.75, 0.25]
    assert [rows[k,]["published_asr_samm"] for k in (1, 2, 3)] == [0.3302, 0.3233, 0.3233]
    assert rows[2,]["difference"] == pytest.approx(0.75 - 0.3233)
    assert str(rows[1,]["doubt"]).startswith("samm: no count of 133 clips gives 33.02")
    assert rows[2,]["doubt"] is None


def test_patch_size_shows_the_published_rates_beside_a_corpus_of_another_name() -> None:
    table = patch_size.patch_size(_sized(k1=1, k2=2).with_columns(corpus=pl.lit("orl-motion")), context().models)
    columns = ("architecture", "k", "published_asr_casme2", "published_asr_samm", "published_asr_smic-e-hs")
    assert table.select(columns).rows() == [
        ("mmnet", 1, 0.0256, 0.3302, 0.6242),
        ("mmnet", 2, 0.0385, 0.3233, 0.6624),
    ]
    assert table["error_asr"].to_list() == [0.25, 0.5]
    assert table["difference"].to_list() == [None, None]
    assert str(table["doubt"][0]).startswith("samm: ")


def test_patch_size_knows_the_architecture_of_a_weight_file() -> None:
    theirs = {"mmnet": ModelInfo(settings={"name": "weights", "architecture": "stcnn"}, parameters=0)}
    table = patch_size.patch_size(_sized(k1=1, k2=1), theirs)
    assert table["published_asr_casme2"].to_list() == [0.3782, 0.4231]


def test_patch_size_compares_with_no_other_recogniser_and_only_placed_stickers() -> None:
    for models in ({"mmnet": ModelInfo(settings={"name": "facex"}, parameters=0)}, {}):
        table = patch_size.patch_size(_sized(k1=1, k2=1), models)
        shown = table.select(pl.col("^published_.*$"), "difference", "architecture", "doubt")
        assert shown.null_count().row(0) == (2,) * shown.width
    assert patch_size.patch_size(without_answer(_sized(k1=1, k2=1), "causal", clips=4), context().models).is_empty()
    assert patch_size.patch_size(_sized(k2=1), context().models).is_empty()
    assert patch_size.patch_size(_sized(k1=1, k2=1).with_columns(sticker=pl.lit("sun")), {}).is_empty()


def test_published_sizes_are_counts_of_the_papers_clips_but_for_those_marked() -> None:
    clips = {"casme2": 156, "samm": 133, "smic-e-hs": 157}
    assert len(patch_size.published()) == 18
    for (_, _, corpus), (rate, doubt) in patch_size.published().items():
        n = clips[corpus]
        assert any(round(k / n, 4) == rate for k in range(n + 1)) != bool(doubt)


def test_comparisons_hold_searches_controls_and_variants() -> None:
    rows = by(rivals.comparisons(searched()), "b")
    expected = {"rhde": 1 / 3, "dense": -1 / 3, "control/permuted": 0, "control/tuned": 1 / 3, "causal/stable": -1 / 3,
                "random mean": -1 / 6}  # fmt: skip
    assert {name: -rows[name,]["difference"] for name in expected} == pytest.approx(expected)
    assert len(rows) == len(expected)
    assert {name: rows[name,]["cost"] for name in ("rhde", "control/tuned")} == {
        "rhde": "search",
        "control/tuned": "1 query",
    }
    assert (rows["rhde",]["queries_a"], rows["rhde",]["queries_b"]) == (1, np.mean(SPENT))
    assert "training subjects" in str(rows["control/tuned",]["note"])
    assert rows["rhde",]["p_holm"] == pytest.approx(6 * 2.0 ** (1 - PEOPLE))


def test_a_rule_without_an_answer_is_no_rival_and_costs_the_others_no_power() -> None:
    """A control that wore nothing was not compared, so Holm corrects for five tests instead of six."""
    silent = without_answer(searched(), "control/permuted")
    table = rivals.comparisons(silent)
    assert "control/permuted" not in set(table["b"])
    assert by(table, "b")["rhde",]["p_holm"] == pytest.approx(5 * 2.0 ** (1 - PEOPLE))
    assert "control/permuted" not in set(rivals.winners(silent)["entry"])
    (entered,) = rivals.fields_of(silent)
    assert entered.silent == {"control/permuted"}


def test_nothing_is_compared_with_a_causal_place_without_an_answer() -> None:
    silent = without_answer(searched(), "causal")
    assert rivals.comparisons(silent).is_empty()
    ranked = rivals.winners(silent)
    assert "causal" not in set(ranked["entry"])
    assert ranked["over_causal"].null_count() == ranked.height > 0


def test_a_rule_with_some_answers_competes_and_says_how_many_it_lacks() -> None:
    part = without_answer(searched(), "causal", clips=1)
    assert set(rivals.comparisons(part).select("n_unplaced_a", "n_unplaced_b").iter_rows()) == {(PEOPLE, 0)}
    rows = by(rivals.winners(part), "entry")
    assert (rows["causal",]["n_unplaced"], rows["rhde",]["n_unplaced"]) == (PEOPLE, 0)


def test_pooled_stickers_are_those_that_both_tried() -> None:
    """Causal with the heart hides everything; the search was run with the sun alone, where it hides more."""
    heart = searched(sticker="heart").filter(placement="causal").with_columns(attacked_pred=pl.lit(9))
    table = rivals.comparisons(pl.concat([searched(), heart]))
    rows = by(table.filter(b="rhde"), "sticker")
    assert set(rows) == {("sun",), ("(all)",)}
    assert rows["(all)",]["difference"] == rows["sun",]["difference"] == pytest.approx(-1 / 3)


def test_a_search_meets_no_causal_place_of_another_size() -> None:
    other = searched().with_columns(pl.when(attack="rhde").then(0.3).otherwise("side").alias("side"))
    assert rivals.comparisons(other).filter(b="rhde").is_empty()


def test_winners_rank_at_equal_cost() -> None:
    table = rivals.winners(searched())
    rows = by(table, "cost", "entry")
    once = {entry: row["rank"] for (cost, entry), row in rows.items() if cost == "1 query"}
    assert once == {"control/tuned": 1, "causal": 2, "control/permuted": 2, "random mean": 4, "causal/stable": 5}
    assert {entry: row["rank"] for (cost, entry), row in rows.items() if cost == "search"} == {"rhde": 1, "dense": 2}
    tuned, same = rows["1 query", "control/tuned"], rows["1 query", "control/permuted"]
    assert (tuned["over_causal"], same["over_causal"]) == (pytest.approx(1 / 3), 0)
    # Six people who all agree: 2^-5, six tests, so nothing is told apart.
    assert tuned["p_holm"] == pytest.approx(6 / 32)
    assert tuned["against_causal"] == same["against_causal"] == "not told apart"
    assert rows["1 query", "causal"]["against_causal"] is None


def test_winners_tell_a_clear_difference() -> None:
    rows = [
        verdict(f"s{i}", f"c{i}", placement=place, attacked_pred=int(place == better))
        for better in ("control/tuned",)
        for place in ("causal", better)
        for i in range(20)
    ]
    found = by(rivals.winners(frame(rows)), "entry")
    assert found["control/tuned",]["against_causal"] == "better"
    flipped = by(rivals.winners(frame(rows).with_columns(attacked_pred=1 - pl.col("attacked_pred"))), "entry")
    assert flipped["control/tuned",]["against_causal"] == "worse"


def test_winners_hold_single_regions_but_none_picked_with_hindsight() -> None:
    entries = set(rivals.winners(run(("sun",), ("mmnet",)))["entry"])
    assert {"region/lips", "chin", "centre", "best region (other subjects)"} <= entries
    assert "best region (same clips)" not in entries


def test_searches_alone_are_ranked_without_a_causal_place() -> None:
    alone = searched().filter(attack="rhde")
    assert rivals.winners(alone)["over_causal"].to_list() == [None]
    assert rivals.comparisons(alone).is_empty()
    assert headlines(alone) == []


def test_headline_sets_the_best_search_and_the_controls_beside_causal() -> None:
    (headline,) = headlines(searched())
    assert "The causal sticker leaves 33.3 %" in headline.text
    assert "The best of 2 searches (rhde) reaches 66.7 % for 60.0 queries a clip." in headline.text
    assert "Of 2 controls 2 hide at least as much: permuted 33.3 %, tuned 66.7 %." in headline.text
    (weak,) = headlines(searched().filter(~pl.col("placement").is_in(["control/tuned"])).with_columns(
        pl.when(placement="control/permuted").then("label").otherwise("attacked_pred").alias("attacked_pred")
    ))  # fmt: skip
    assert "Of 1 control none hides as much." in weak.text


def test_headline_says_that_causal_placement_had_no_answer_and_no_more_of_it() -> None:
    (headline,) = headlines(without_answer(searched(), "causal"))
    assert headline.text.startswith(f"Causal placement had no answer on any of {PEOPLE * CLIPS} clips.")
    assert "The best of 2 searches (rhde) reaches 66.7 % for 60.0 queries a clip." in headline.text
    assert "control: tuned reaches most: 66.7 %." in headline.text
    for untrue in ("causal sticker", "hide at least as much", "random placement"):
        assert untrue not in headline.text


def test_headline_speaks_even_where_no_rule_had_an_answer() -> None:
    (headline,) = headlines(without_answer(searched().filter(placement="causal"), "causal"))
    assert headline.text.endswith("naming the commonest class errs on 66.7 %.")


def test_headline_counts_only_what_was_asked() -> None:
    (headline,) = headlines(without_answer(searched(), "causal", clips=1))
    assert "for 0.7 queries a clip" in headline.text
    assert "for one" not in headline.text
    assert "On 33.3 % of the clips it had no answer and placed no sticker." in headline.text
    (silent,) = headlines(without_answer(searched(), "control/permuted"))
    assert "Of 2 controls permuted had no answer and 1 hides at least as much: tuned 66.7 %." in silent.text


def test_headline_sets_a_search_of_one_sticker_beside_causal_on_the_same_clips() -> None:
    """Causal with the heart hides everything; the search met the sun alone."""
    heart = searched(sticker="heart").filter(placement="causal").with_columns(attacked_pred=pl.lit(9))
    (headline,) = headlines(pl.concat([searched(), heart]))
    assert "on the same clips the causal sticker reaches 33.3 % for one query." in headline.text


def _chosen(kind: str, winner: str | None, **changes: object) -> RegionChoice:
    return RegionChoice(**{"kind": kind, "winner": winner, "scores": (), "decided_by": "", **changes})


def test_choices_agree_and_hit_by_hand() -> None:
    graphs = {("faces", fold): RegionGraph(regions=("lips", "chin"), winner=winner)
              for fold, winner in (("a", "lips"), ("b", "chin"), ("c", None))}  # fmt: skip
    choices = {
        ("faces", "a", "stable"): _chosen("stable", "lips", scores=(("lips", 0.6), ("nobody", 0.4)), resamples=50),
        ("faces", "b", "stable"): _chosen("stable", "lips", scores=(("lips", 0.4), ("nobody", 0.6)), resamples=50),
        ("faces", "c", "stable"): _chosen("stable", None, scores=(("nobody", 1.0),), resamples=50),
        ("faces", "a", "per-class"): _chosen("per-class", None, by_class=("chin", None, "lips", "chin")),
        ("faces", "a", "motion"): _chosen("motion", "chin", scores=(("chin", 2.0),)),
    }
    rows = by(elections.choices(context(graphs=graphs, choices=choices)), "kind")
    stable, per_class, motion = rows["stable",], rows["per-class",], rows["motion",]
    assert (stable["folds"], stable["folds_with_answer"], stable["most_frequent_winner"]) == (3, 2, "lips")
    assert (stable["winner_share"], stable["vote_share_mean"]) == pytest.approx((2 / 3, 0.5))
    assert (stable["agreement_rate"], stable["truth_hit_rate"]) == pytest.approx((1 / 3, 2 / 3))
    assert stable["resamples"] == 50
    assert (per_class["most_frequent_winner"], per_class["winner_share"]) == ("chin", 0.5)
    assert (per_class["agreement_rate"], per_class["truth_hit_rate"]) == (0.25, 0.25)
    assert (motion["vote_share_mean"], motion["resamples"], motion["agreement_rate"]) == (None, None, 0)


def test_choices_without_graph_or_truth_are_null() -> None:
    blank = CorpusInfo(labels=(), synthetic="", fingerprint="", n_clips=1, n_subjects=1, folds_run=1, folds_total=1)
    told = context(graphs={}, corpora={"faces": blank}, choices={("faces", "a", "motion"): _chosen("motion", None)})
    row = elections.choices(told).row(0, named=True)
    assert row["most_frequent_winner"] is row["agreement_rate"] is row["truth_hit_rate"] is row["winner_share"] is None
    assert elections.choices(context(choices={})).is_empty()


def test_choices_agree_with_no_graph_that_has_no_winner() -> None:
    graphs = {("faces", "a"): RegionGraph(regions=("lips", "chin"), winner=None)}
    choices = {("faces", "a", "blank"): _chosen("blank", "lips")}
    assert elections.choices(context(graphs=graphs, choices=choices))["agreement_rate"].to_list() == [None]


def test_page_shows_searches_and_what_was_not_run(tmp_path: Path) -> None:
    foreign = ModelInfo(settings={"file": "fer.onnx"}, parameters=0)
    told = context(
        job=JOB,
        graphs={},
        examples=(),
        models={**context().models, "facex": foreign},
        choices={("faces", "s1", "motion"): _chosen("motion", "lips")},
        skipped=("rhde needs scores; facex gives labels alone.",),
    )
    verdicts = pl.concat([searched(), searched(sticker="monkey", side=0.1), searched(sticker="monkey", side=0.2)])
    page = Path(write_report(verdicts, told, Store(tmp_path))).read_text()
    assert "Not run: rhde needs scores; facex gives labels alone." in page
    assert "<strong>A stand-in, faces:</strong> Planted motion." in page
    assert "The causal sticker leaves 33.3\u00a0%" in page
    assert "<dt>parameters</dt><dd>0</dd>" not in page
    assert "<dt>parameters</dt><dd>10</dd>" in page
    names = {path.name for path in (tmp_path / "report").iterdir()}
    sheets = ("queries", "success_curves", "dense_map", "patch_size", "comparisons", "winners", "choices")
    assert names >= {f"{name}.csv" for name in sheets}
    assert names >= {f"{name}.{kind}" for name in ("success_curves", "dense_map") for kind in ("png", "svg")}


def test_recognisers_that_give_labels_alone_have_a_report(tmp_path: Path) -> None:
    labels = searched().with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("clean_score", "attacked_score"))
    page = Path(write_report(labels, context(faces={}, graphs={}, examples=()), Store(tmp_path))).read_text()
    assert dense_map.LABELS in page
