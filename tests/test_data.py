"""The commands on a user's own folders, as a user meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import corpus_trees
import hostile
import numpy as np
import picture_trees
import pytest
from conftest import one_sentence
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def casme2(tmp_path) -> Path:
    corpus_trees.write_casme2(tmp_path / "casme2")
    return tmp_path / "casme2"


def frames_of(root: Path, clip: str) -> list[Path]:
    return sorted((root / "CASME2_RAW_selected" / clip).glob("*.jpg"))


def test_check_says_clip_by_clip_what_is_wrong(cli_here, casme2, cache):
    first, *_ = frames_of(casme2, "sub01/EP02_01f")
    first.write_bytes(first.read_bytes()[:-2000])
    for path in frames_of(casme2, "sub04/EP19_01f"):
        path.unlink()
    gap = frames_of(casme2, "sub26/EP07_28")[1]
    gap.unlink()
    answer = cli_here("data", "check", "casme2", "--root", casme2)
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    for start, word in (
        ("unreadable: sub01/EP02_01f: ", first.name),
        ("missing: sub04/EP19_01f: ", "holds 0 pictures"),
        ("repaired (gap-skipped): sub26/EP07_28: ", "not on disk"),
        ("repaired (apex-midpoint): sub04/EP12_01f: ", "no apex"),
    ):
        assert any(line.startswith(start) and word in line for line in lines), (start, answer.out)
    assert "usable clips  4" in lines
    as_json = json.loads(cli_here("data", "check", "casme2", "--root", casme2, "--json").out)
    assert as_json["findings"] == {"missing": 1, "unreadable": 1, "inconsistent": 0, "repaired": 2}
    assert as_json["repairs"] == {"apex-midpoint": 1, "gap-skipped": 1}
    assert not cache.exists()


@pytest.mark.parametrize(
    ("corpus", "write", "protocol", "words"),
    [
        (
            "casme2",
            lambda root: corpus_trees.write_casme2(root, rows=corpus_trees.published_casme2_rows(), tiny=True),
            "au-sticker",
            r"casme2: 156 clips as published \(negative 96, positive 32, surprise 28\)",
        ),
        (
            "casme2",
            lambda root: corpus_trees.write_casme2(root, rows=corpus_trees.published_casme2_rows(), tiny=True),
            "mmnet-5class",
            "casme2: 249 clips as published",
        ),
        (
            "samm",
            lambda root: corpus_trees.write_samm(root, rows=corpus_trees.published_samm_rows(), tiny=True),
            "au-sticker",
            r"samm: 133 clips as published \(negative 92, positive 26, surprise 15\)",
        ),
        (
            "smic-e-hs",
            lambda root: corpus_trees.write_smic_e_hs(
                root, rows=corpus_trees.published_smic_rows(corpus_trees.SMIC_E_HS_COUNTS), tiny=True
            ),
            "au-sticker",
            "smic-e-hs: 157 clips as published",
        ),
        (
            "smic-hs",
            lambda root: corpus_trees.write_smic_hs(root, rows=corpus_trees.published_smic_rows(), tiny=True),
            "megc2019",
            r"smic-hs: 164 clips as published \(negative 70, positive 51, surprise 43\)",
        ),
        (
            "casme2",
            lambda root: corpus_trees.write_casme2(root, rows=corpus_trees.published_casme2_rows()[:-1], tiny=True),
            "loso",
            "casme2: 254 clips of 255 published|casme2: 254 clips, 255 published",
        ),
    ],
)
def test_check_counts_each_protocol_beside_the_published_number(cli_here, tmp_path, corpus, write, protocol, words):
    write(tmp_path / corpus)
    answer = cli_here("data", "check", corpus, "--root", tmp_path / corpus, "--json")
    assert answer.status == 0
    assert re.search(words, json.loads(answer.out)["protocols"][protocol])


def test_a_corpus_of_which_no_clip_can_be_read_is_unusable(cli_here, casme2):
    for path in casme2.rglob("*.jpg"):
        path.write_bytes(b"nothing")
    answer = cli_here("data", "check", "casme2", "--root", casme2)
    assert answer.status == 2
    assert answer.out.count("unreadable: ") >= 6
    assert answer.err == f"Error: Corpus 'casme2' in '{casme2}' cannot be used: not one of its clips can be read.\n"
    answer = cli_here("data", "prepare", "casme2", "--root", casme2, "--workers", 0)
    one_sentence(answer, "No clip of corpus 'casme2'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "casme2", "--root", "{root}/nowhere"), ("is not there",)),
        (("check", "casme3", "--root", "{root}"), ("Unknown corpus 'casme3'", "did you mean")),
        (("check", "casme2", "--root", "{root}/empty"), ("No table of CASME II",)),
        (("check", "orl-motion", "--root", "{root}"), ("comes with the package",)),
        (("prepare", "samm", "--root", "{root}"), ("SAMM",)),
        (("prepare", "casme2", "--root", "{root}/casme2", "--landmarks", "eye"), ("landmarks", "mediapipe")),
        (("prepare", "casme2", "--root", "{root}/casme2", "--address", "127.0.0.1:9"), ("No Ray cluster",)),
        (("show", "casme2", "--root", "{root}/casme2"), ("is not prepared", "data prepare")),
    ],
)
def test_bad_wishes_are_refused_in_one_sentence(cli_here, casme2, tmp_path, cache, arguments, words):
    (tmp_path / "empty").mkdir()
    answer = cli_here("data", *(argument.format(root=tmp_path) for argument in arguments))
    one_sentence(answer, *words)
    assert not list(cache.rglob("*.arrow"))


WORKBOOKS = [name for name, (file, *_) in hostile.CASES.items() if file.endswith(".xlsx")]
TABLES = [name for name, (file, *_) in hostile.CASES.items() if file.endswith(".parquet")]


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_hostile_workbook_is_one_sentence_and_leaves_nothing(cli_here, casme2, cache, name):
    _, make, _ = hostile.CASES[name]
    make(casme2 / "CASME2-coding-20190701.xlsx")
    for verb in (("check",), ("prepare", "--workers", 0)):
        one_sentence(cli_here("data", verb[0], "casme2", "--root", casme2, *verb[1:]), "CASME2-coding-20190701.xlsx")
    assert not list(cache.rglob("*.*"))


@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_parquet_file_is_one_sentence(cli_here, tmp_path, cache, name):
    _, make, _ = hostile.CASES[name]
    (tmp_path / "own").mkdir()
    make(tmp_path / "own" / "manifest.parquet")
    one_sentence(cli_here("data", "check", "manifest", "--root", tmp_path / "own"), "manifest.parquet")
    assert not cache.exists()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"clip,subject,label\na,ann,")
        file.truncate(2 * 2**30)


OWN = "clip,subject,label,path\na,ann,sad,a.png\nb,bob,glad,b.png\n"


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (huge, ("manifest.csv", "row 2")),
        (lambda path: path.write_text(OWN.replace("b.png", "../b.png")), ("..", "row 3")),
        (lambda path: path.write_text(OWN.replace("b.png", "/etc/hosts")), ("/etc/hosts", "row 3")),
        (lambda path: path.write_text(OWN.replace("b.png", "out/hosts")), ("out/hosts",)),
        (lambda path: path.write_text(OWN + OWN.splitlines()[1] + "\n"), ("row 2", "row 4")),
        (lambda path: path.write_text("clip,subject,label,onset\na,ann,sad,NaN\n"), ("onset", "NaN", "row 2")),
    ],
    ids=["2 GB cell", "two dots", "absolute", "symlink", "twice", "NaN"],
)
def test_a_hostile_manifest_is_one_sentence_and_leaves_nothing(cli_here, tmp_path, cache, write, words):
    root = tmp_path / "own"
    root.mkdir()
    (root / "out").symlink_to("/etc")
    for name in ("a.png", "b.png"):
        Image.fromarray(picture_trees.colour_face(1)).save(root / name)
    write(root / "manifest.csv")
    for verb in (("check",), ("prepare", "--workers", 0)):
        one_sentence(cli_here("data", verb[0], "manifest", "--root", root, *verb[1:]), *words)
    assert not list(cache.rglob("*.*"))


PICTURES = [name for name, (file, *_) in hostile.CASES.items() if file.endswith((".png", ".jpg"))]
PICTURES.remove("a symlink out of the root")  # which is refused with the whole corpus, above


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_costs_its_clip_and_no_more(cli_here, tmp_path, name):
    root = tmp_path / "own"
    root.mkdir()
    (root / "manifest.csv").write_text(OWN)
    Image.fromarray(picture_trees.colour_face(1)).save(root / "a.png")
    hostile.CASES[name][1](root / "b.png")
    answer = cli_here("data", "check", "manifest", "--root", root)
    assert answer.out.startswith(("unreadable: b: ", "missing: b: ", "inconsistent: b: ")), answer
    assert answer.out.count("b.png") == 1
    assert (answer.status, answer.err) == (0, "")


def test_show_draws_the_faces_that_were_packed(cli_here, casme2, tmp_path):
    assert cli_here("data", "prepare", "casme2", "--root", casme2, "--workers", 0).status == 0
    sheet = tmp_path / "sheet.png"
    answer = cli_here("data", "show", "casme2", "--root", casme2, "--output", sheet, "--count", 4)
    assert (answer.status, answer.err) == (0, "")
    whole = np.asarray(Image.open(sheet).convert("RGB"))
    assert whole.std() > 20
    one = cli_here("data", "show", "casme2", "--root", casme2, "--output", sheet, "--subject", "sub04")
    assert one.status == 0
    assert np.asarray(Image.open(sheet).convert("RGB")).shape != whole.shape
    one_sentence(cli_here("data", "show", "casme2", "--root", casme2, "--subject", "sub99"), "sub99")


def test_prepare_reports_what_it_did_and_where(cli_here, tmp_path):
    picture_trees.write_manifest(tmp_path / "own")
    answer = cli_here("data", "prepare", "manifest", "--root", tmp_path / "own", "--workers", 0, "--json")
    assert answer.status == 0
    record = json.loads(answer.out)
    assert record["usable clips"] >= 3
    assert re.fullmatch("[0-9a-f]{64}", record["fingerprint"])
    assert (Path(record["folder"]) / "corpus.json").is_file()


def test_generate_takes_a_prepared_corpus(cli_here, casme2, tmp_path):
    assert cli_here("data", "prepare", "casme2", "--root", casme2, "--workers", 0).status == 0
    options = ("--corpus", "casme2", "--root", casme2, "--subject", "sub01", "--placement", "region/chin")
    answer = cli_here("generate", tmp_path / "out", *options)
    assert answer.status == 0
    assert len(list((tmp_path / "out").rglob("*.png"))) == int(answer.out.split()[0]) > 0
