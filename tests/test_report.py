from __future__ import annotations

import csv
import hashlib
import re
from pathlib import Path

import polars as pl
import pytest
from planted_report import CLIPS, PEOPLE, context, run, without_answer

from austicker.report import canvas, discovery, formats, heatmaps, rivals, tables, write_report
from austicker.report.headline import headlines
from austicker.report.page import Sheet, policy, render
from austicker.report.published_layout import table_1
from austicker.store import Store

CONTRACT = {
    *("corpus", "model", "attack", "sticker", "placement", "n_clips", "true_positives", "n_clean_correct"),
    *("changed_mean", "ssim_mean", "psnr_mean"),
    *("n_flipped", "clean_accuracy", "majority_baseline", "error_asr", "flip_asr", "accuracy_drop", "low", "high"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("store")
    assert write_report(run(), context(), Store(made)) == str(made / "report" / "index.html")
    return made / "report"


def test_everything_is_written_whole(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    sheets = ("asr", "queries", "comparisons", "positions", "discovery", "leaderboard", "table_1", "table_1_flip")
    figures = ("position_heatmap", "region_heatmap", "causal_graph", "regions", "outdegree", "examples", "face_map")
    assert names >= {f"{name}.{kind}" for name in sheets for kind in ("csv", "md", "tex")}
    assert names >= {f"{name}.{kind}" for name in figures for kind in ("png", "svg")} | {"index.html"}
    assert not [name for name in names if name.startswith(".")]


def test_asr_holds_the_contract_and_its_own_arithmetic(folder: Path) -> None:
    with (folder / "asr.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert set(rows[0]) >= CONTRACT
    keys = [(row["corpus"], row["model"], row["attack"], row["sticker"], row["placement"]) for row in rows]
    assert len(set(keys)) == len(keys) == 2 * 2 * 23
    for row in rows:
        assert float(row["error_asr"]) == pytest.approx(1 - int(row["true_positives"]) / int(row["n_clips"]))
        assert float(row["low"]) <= float(row["error_asr"]) <= float(row["high"])


def test_table_1_shows_the_draws_and_bolds_the_highest() -> None:
    grid = table_1(tables.entries(run(("sun",), ("mmnet",))), "error_asr", "half_range")
    assert grid.table.rows() == [
        ("sun", "random mean", "16.67 ± 16.67"),
        ("sun", "causal", "100.00"),
        ("sun", "best region (other subjects)", "100.00"),
    ]
    assert grid.bold == {(1, 2), (2, 2)}


def test_a_rule_without_an_answer_has_no_rate_no_rank_and_no_count() -> None:
    """The clean recogniser errs on every clip of the silent rule: that is no success of the causal place."""
    clean = without_answer(run(("sun",), ("mmnet",)), "causal")
    entries = tables.entries(clean)
    for rate, spread in (("error_asr", "half_range"), ("flip_asr", "flip_half_range")):
        grid = table_1(entries, rate, spread)
        assert ("sun", "causal", "–") in grid.table.rows()
        assert grid.bold == {(2, 2)}
    assert "causal" not in tables.leaderboard(clean)["placement"].to_list()
    assert tables.leaderboard(clean)["n_unplaced"].unique().to_list() == [0]
    assert "causal" not in tables.positions(clean)["placement"].to_list()
    assert "error_asr.causal" not in tables.metrics(clean)["mmnet", "faces"]
    row = tables.asr(clean).row(by_predicate=pl.col("placement") == "causal", named=True)
    assert (row["n_unplaced"], row["n_clips"], row["queries_mean"]) == (PEOPLE * CLIPS, PEOPLE * CLIPS, 0)


def test_a_rule_with_some_answers_stays_and_says_how_many_it_lacks() -> None:
    part = without_answer(run(("sun",), ("mmnet",)), "causal", clips=1)
    rows = {row["placement"]: row for row in tables.leaderboard(part).iter_rows(named=True)}
    assert (rows["causal"]["n_unplaced"], rows["region/lips"]["n_unplaced"]) == (PEOPLE, 0)
    assert rows["causal"]["error_asr"] == 1


def test_a_place_without_an_answer_on_one_corpus_has_no_sum_over_corpora() -> None:
    other = without_answer(run(("sun",), ("mmnet",)), "causal").with_columns(corpus=pl.lit("other"))
    places = tables.positions(pl.concat([run(("sun",), ("mmnet",)), other]))["placement"].to_list()
    assert "causal" not in places
    assert "chin" in places


def test_positions_sum_over_corpora() -> None:
    both = pl.concat([run(), run().with_columns(pl.lit("other").alias("corpus"))])
    found = tables.positions(both).filter(model="mmnet", sticker="sun")
    counts = dict(found.select("placement", "true_positives").iter_rows())
    assert counts["causal"] == 0
    assert counts["chin"] == 2 * PEOPLE * CLIPS
    assert counts["random mean"] == 2 * PEOPLE * (CLIPS - 0.5)


def test_comparisons_find_the_planted_difference() -> None:
    table = rivals.comparisons(run())
    rows = {(row["sticker"], row["model"], row["b"]): row for row in table.iter_rows(named=True)}
    random = rows["sun", "mmnet", "random mean"]
    assert random["difference"] == pytest.approx(5 / 6)
    assert random["p_value"] == 2.0 ** (1 - PEOPLE)
    assert random["p_holm"] == pytest.approx(min(1, table.height * random["p_value"]))
    assert "upper bound" in rows["sun", "mmnet", "best region (same clips)"]["note"]
    assert rows["(all)", "stcnn", "best region (other subjects)"]["difference"] == 0


def test_leaderboard_ranks_with_ties() -> None:
    table = tables.leaderboard(run(("sun",), ("mmnet",)))
    ranks = dict(table.select("placement", "rank").iter_rows())
    assert ranks["causal"] == ranks["region/lips"] == ranks["best region (other subjects)"] == 1
    assert ranks["random mean"] == 4
    assert ranks["region/chin"] == 5
    assert table["ssim_mean"].to_list() == pytest.approx([0.9] * table.height)


def test_discovery_counts_hits_and_folds_without_answer() -> None:
    row = discovery.discovery(context()).row(0, named=True)
    assert row["no_directed_edge"] == 1
    assert row["truth_hit_rate"] == pytest.approx((PEOPLE - 1) / PEOPLE)
    assert row["chance"] == pytest.approx(1 / 14)
    assert row["structural_hamming_distance_mean"] == 1
    assert row["orientation_f1_mean"] is None
    regions = discovery.discovery_regions(context()).filter(region="lips").row(0, named=True)
    assert regions["out_degree_mean"] == pytest.approx(2 * (PEOPLE - 1) / PEOPLE)
    assert regions["planted_out_degree"] == 2


def test_headline_says_rate_rivals_and_clean_error() -> None:
    first, second = headlines(run())
    assert (first.of, second.of) == ("mmnet on faces", "stcnn on faces")
    assert first.text.startswith("The causal sticker leaves 100.0 %")
    assert "unrecognised for one query a clip" in first.text
    assert "random placement 16.7 %" in first.text
    assert "errs on 0.0 %" in first.text


def test_headline_names_the_attack_only_where_causal_placement_has_several() -> None:
    search = run(("sun",), ("mmnet",)).head(18).with_columns(attack=pl.lit("rhde"), placement=pl.lit("rhde"))
    (alone,) = headlines(pl.concat([run(("sun",), ("mmnet",)), search]))
    assert alone.of == "mmnet on faces"
    turned = run(("sun",), ("mmnet",)).with_columns(attack=pl.lit("turned"))
    both = headlines(pl.concat([run(("sun",), ("mmnet",)), turned]))
    assert [one.of for one in both] == ["mmnet on faces, attack sticker", "mmnet on faces, attack turned"]


def test_page_says_what_limits_the_result(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    for words in ("Planted motion.", "width 0.25", "1 of 10 cells are missing", "MemoryError: too little", "f" * 64):
        assert words in page


def test_page_loads_nothing(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    sources = re.findall(r'(?:src|srcset|data)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import|<link|<iframe| style=| on\w+=", page)
    links = [link for link in re.findall(r'href="([^"]*)"', page) if not link.startswith("#")]
    assert links
    assert all((folder / link).is_file() for link in links)


def test_policy_allows_this_style_and_script_alone(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert style
    assert script
    rule = policy(style[1], script[1])
    assert rule.startswith("default-src 'none'; img-src data:;")
    assert rule.replace("'", "&#39;") in page


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    verdicts = run((hostile, '=HYPERLINK("x")'), ("mmnet",))
    told = context(name=hostile, failures=[{"unit": hostile, "error": hostile}])
    page = Path(write_report(verdicts, told, Store(tmp_path))).read_text()
    assert hostile not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert hostile not in (tmp_path / "report" / "asr.md").read_text()
    with (tmp_path / "report" / "asr.csv").open() as lines:
        stickers = {row["sticker"] for row in csv.DictReader(lines)}
    assert stickers == {hostile, '\'=HYPERLINK("x")'}


def test_an_unfinished_run_still_has_a_page(tmp_path: Path) -> None:
    bare = context(graphs={}, truth={}, faces={}, examples=(), cells_done=0)
    page = Path(write_report(run().clear(), bare, Store(tmp_path))).read_text()
    assert "no headline" in page
    assert "10 of 10 cells are missing" in page
    assert not re.search(r"\bnan\b", page, re.IGNORECASE)


def test_figures_are_the_same_bytes_twice(folder: Path, tmp_path: Path) -> None:
    write_report(run(), context(), Store(tmp_path))
    for name in sorted(path.name for path in folder.iterdir()):
        first, second = (
            hashlib.sha256((base / name).read_bytes()).hexdigest() for base in (folder, tmp_path / "report")
        )
        assert first == second, name
    assert "<dc:date>" not in (folder / "causal_graph.svg").read_text()


def test_heatmap_prints_every_count() -> None:
    with canvas.style():
        made = heatmaps.position_heatmap(tables.positions(run(("sun",), ("mmnet",))))
    assert made is not None
    texts = [text.get_text() for text in made.axes[0].texts]
    assert texts == ["18"] * 5 + ["0", "15", "18"]


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"),
     ("-1.5", "-1.5"), ("+2e-3", "+2e-3"), ("-1+2", "'-1+2"), ("plain", "plain"), ("", "")],
)  # fmt: skip
def test_formulas_are_quoted_and_numbers_are_not(value: str, cell: str) -> None:
    assert formats.guarded(value) == cell


def test_null_is_an_empty_cell_and_numbers_keep_their_precision() -> None:
    table = pl.DataFrame({"a": [1 / 3, None], "b": ["x", None]})
    assert formats.to_csv(table) == "a,b\n0.3333333333333333,x\n,\n"


def test_latex_and_markdown_escapes() -> None:
    table = pl.DataFrame({"a_b": [r"\input{x} 5% & $1 #2 ~^"], "c": ["p|q <b> ±"]})
    latex = formats.to_latex(table, frozenset({(0, 1)}))
    assert r"\textbackslash{}input\{x\} 5\% \& \$1 \#2 \textasciitilde{}\textasciicircum{}" in latex
    assert r"a\_b" in latex
    assert r"\textbf{p|q <b> $\pm$}" in latex
    assert r"**p\|q &lt;b&gt; ±**" in formats.to_markdown(table, frozenset({(0, 1)}))


def test_a_table_of_the_page_sorts_by_value_not_by_text() -> None:
    sheet = Sheet(name="asr", table=pl.DataFrame({"error_asr": [0.0625, None]}), caption="c")
    page = render(context(), [], {"asr": sheet}, {})
    assert '<td data-value="0.0625" class="number">6.2 %</td>' in page
    assert '<td data-value="" class="number">–</td>' in page
