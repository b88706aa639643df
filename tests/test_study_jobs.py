"""The shipped jobs of the other papers' studies, whole, on small trees in the formats of CK+, AffectNet and FER2013."""

from __future__ import annotations

import io
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from conftest import NO_SERVER
from picture_trees import (
    affectnet_row,
    ck_names,
    colour_face,
    pixel_text,
    points_of,
    write_affectnet_list,
    write_ck_codes,
    write_fer2013_csv,
    write_landmarks,
    write_picture,
)
from planted_corpus import laid_out
from test_protocols import made

from austicker import cli, job, models
from austicker.corpora import affectnet, ckplus, fer2013, orl
from austicker.faces import detector
from austicker.models.landmark_memory import landmark_memory
from austicker.types import Corpus

pytestmark = pytest.mark.xdist_group("study jobs")
SHIPPED = Path(__file__).parent.parent / "jobs"
EMOTIONS = ("anger", "disgust", "fear", "happy", "sadness", "surprise")
"""Of Shehu and others, in the order in which the people of the small CK+ show them, three each."""
SHEHU = ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprise")
FRAME_LEVEL, DISJOINT = "shehu-frame-level", "shehu-subject-disjoint"
FRAMES = 22
"""Of each CK+ sequence: 5 of every emotion give 55 frames at the peak, more than the 50 that are tested on."""
POISONED = ("anger", "surprise")
"""Of the seven classes that the job poisons one by one."""
SMALL_NETWORK = {"width": 0.25, "epochs": 1, "drops": []}
SHORT_SEARCH = {"population": 2, "generations": 1, "inner_population": 2, "inner_generations": 1}
QUERIES = 2 + 2 * (2 * 1 + 1)
"""Two first members, and two offspring with two noisy copies each."""


def settings(place: str, values: dict[str, object]) -> list[str]:
    return [f"{place}.{key}={json.dumps(value)}" for key, value in values.items()]


def write_small_ckplus(root: Path) -> None:
    """Writes 10 people's three sequences, in which the mouth sinks from frame to frame, and one of contempt."""
    y, x = np.mgrid[0:112, 0:92].astype(np.float32)
    mouth = np.exp(-((x - 46) ** 2 / 20**2 + (y - 90) ** 2 / 10**2)).astype(np.float32)
    codes = {label: code for code, label in enumerate(ckplus.LABELS)}
    with detector() as detect:
        for number in range(31):
            person, session = number // 3 + 1, number % 3 + 1
            face = orl.photo(person, session)
            points = points_of(detect, np.repeat(face[:, :, None], 3, axis=2))
            names = ck_names(f"S{person:03d}_{session:03d}", range(1, FRAMES + 1))
            for frame, name in enumerate(names):
                sunk = cv2.remap(face, x, y - np.float32(0.2 * frame) * mouth, cv2.INTER_LINEAR)
                write_picture(root / "cohn-kanade-images" / f"{name}.png", sunk)
                write_landmarks(root, name, points)
            emotion = EMOTIONS[number % 6] if number < 30 else "contempt"
            write_ck_codes(root, names[-1], codes[emotion], {12: 3})


def write_small_affectnet(root: Path) -> None:
    """Writes two pictures of each of the eight labels to train on and one to test on, in the manual set's lists."""
    rows = []
    with detector() as detect:
        for number in range(24):
            picture, path = colour_face(number + 1), f"{number % 8}/{number:02d}.jpg"
            write_picture(root / "Manually_Annotated_Images" / path, picture)
            rows.append(affectnet_row(path, str(number % 8), points_of(detect, picture)))
    write_affectnet_list(root, "training.csv", rows[:16])
    write_affectnet_list(root, "validation.csv", rows[16:])


def write_small_fer2013(root: Path) -> None:
    """Writes three pictures of each emotion to train on, one to validate and one to test."""
    usages = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
    rows = [(str(number % 7), pixel_text(number + 1), usages[number // 7]) for number in range(35)]
    write_fer2013_csv(root, rows)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A shipped job on a corpus.

    Attributes:
        changes: what `--set` makes smaller.
        cells: expected.
    """

    corpus: str
    labels: tuple[str, ...]
    write: Callable[[Path], None]
    changes: list[str]
    cells: int


STUDIES = {
    "shehu": Study(
        corpus="ckplus",
        labels=SHEHU,
        write=write_small_ckplus,
        changes=[
            "repeats=1",
            *settings("corpora.0", {"landmarks": "corpus", "folds": 1, "train_per_class": 3, "test_per_class": 2}),
            *settings("models.0", {"trees": 5}),
            *settings("models.1", SMALL_NETWORK),
            *settings("models.2", {"trees": 5, "poisoned": POISONED}),
            *settings("models.3", {**SMALL_NETWORK, "poisoned": POISONED}),
        ],
        cells=2 * (2 * 3 + 2 * 2),  # under each protocol: both methods before three attacks, and poisoned twice
    ),
    "baia": Study(
        corpus="affectnet",
        labels=affectnet.LABELS,
        write=write_small_affectnet,
        changes=[
            *settings("models.0", {"epochs": 1, "width": 0.25}),
            *(text for number in (1, 2, 3) for text in settings(f"attacks.{number}.settings", SHORT_SEARCH)),
        ],
        cells=4,
    ),
    "fer": Study(
        corpus="fer2013",
        labels=fer2013.LABELS,
        write=write_small_fer2013,
        changes=[
            "repeats=1",
            *settings("models.0", {"epochs": 1, "width": 0.125}),
            "discovery.clips=2",
            "attacks.1.random_draws=2",
        ],
        cells=1 + 1 + 2 + 14,  # clean; causal, random and every region
    ),
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a job left behind; `page` lacks its pictures."""

    root: Path
    store: Path
    status: int
    summary: dict[str, object]
    said: str
    page: str = field(repr=False)

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_csv(self.store / "report" / f"{name}.csv", infer_schema_length=None)

    def verdicts(self) -> pl.DataFrame:
        parts = sorted((self.store / "verdicts").rglob("*.parquet"))
        return pl.concat([pl.read_parquet(part) for part in parts])


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Iterator[Callable[[str], Ran]]:
    """Runs a shipped job once, in this process and a cache of its own."""
    folder = tmp_path_factory.mktemp("studies")

    @cache
    def run(name: str) -> Ran:
        study, root, store = STUDIES[name], folder / "data" / name, folder / "runs" / name
        study.write(root)
        changes = [f"corpora.0.name={study.corpus}", f"corpora.0.root={root}", *study.changes]
        options = [word for change in changes for word in ("--set", change)]
        status, out, err = submitted(SHIPPED / f"{name}.toml", "--store", store, "--workers", 0, "--json", *options)
        page = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", (store / "report" / "index.html").read_text())
        return Ran(root=root, store=store, status=status, summary=json.loads(out), said=err, page=page)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(folder / "cache"))
        patch.setenv("MLFLOW_TRACKING_URI", NO_SERVER)
        yield run
    landmark_memory("mediapipe").close()


def submitted(*words: object) -> tuple[int, str, str]:
    """Returns the status of the command `submit` and what it wrote to standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["austicker-grid", "submit", *map(str, words)])
        try:
            cli.main()
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_job_runs_whole_on_a_recorded_corpus(ran, name):
    found, study = ran(name), STUDIES[name]
    assert (found.status, found.summary["failures"]) == (0, [])
    assert (found.summary["cells_done"], found.summary["cells_expected"]) == (study.cells, study.cells)
    assert f"{study.cells} of {study.cells} cells done" in found.page
    assert set(found.verdicts()["corpus"]) == {study.corpus}
    shown = [column.removesuffix(" %") for column in found.table("per_class").columns if column.endswith(" %")]
    assert tuple(label for label in shown if label in study.labels) == study.labels
    assert f"<dt>labels</dt><dd>{', '.join(study.labels)}</dd>" in found.page


@pytest.mark.parametrize("name", STUDIES)
def test_a_recorded_corpus_is_no_stand_in_and_shows_nobody(ran, name):
    found = ran(name)
    assert "stand-in" not in found.page.lower()
    assert "synthetic" not in found.page.lower()
    assert "orl-" not in found.page
    assert "no face is shown but of those who consented" in found.page
    drawn = {path.stem for path in (found.store / "report").glob("*.png")}
    assert drawn.isdisjoint({"regions", "face_map", "examples", "example_grid", "dense_map"})
    people = {*found.verdicts()["subject"], *found.verdicts()["clip"]}
    texts = [found.page, *(path.read_text() for path in (found.store / "report").glob("*.csv"))]
    assert not [person for person in people for text in texts if person in text]
    assert str(found.root) not in found.page


def test_shehus_pictures_are_divided_both_ways(ran):
    found = ran("shehu")
    assert f"{FRAME_LEVEL}: 390 clips, 3,368 published (" in found.page
    assert "350 test clips as published" in found.page
    held_out = {*EMOTIONS[:3], "neutral"}  # what the first person shows
    tested = {FRAME_LEVEL: dict.fromkeys(SHEHU, 2), DISJOINT: dict.fromkeys(held_out, 2)}
    verdicts = found.verdicts()
    assert set(verdicts["protocol"]) == set(tested)
    for (protocol, _, _), part in verdicts.partition_by("protocol", "model", "attack", as_dict=True).items():
        assert Counter(SHEHU[label] for label in part["label"]) == tested[protocol]
    assert set(verdicts.filter(protocol=DISJOINT)["subject"]) == {"S001"}
    split = found.table("split")
    assert split.select("condition", "method").n_unique() == split.height == 2 * (3 + 2)
    assert split["difference"].to_list() == pytest.approx(
        (split["disjoint_accuracy"] - split["frame_level_accuracy"]).to_list()
    )


def test_shehus_tables_print_published_measured_and_difference(ran):
    table = ran("shehu").table("per_class")
    for part in table.partition_by("condition"):
        assert set(part["architecture"]) == {"landmark-forest", "resnet20"}
        for own in part.partition_by("method"):
            printed, *measured = own["row"].to_list()
            assert printed.startswith("published, Table ")
            assert measured == ["measured", "difference"] * 2
            numbers = own["all classes %"].to_list()
            assert [numbers[2], numbers[4]] == pytest.approx([number - numbers[0] for number in numbers[1::2]])
    conditions = {"none", "Type B", "FGSM", *(f"Type A on {label}" for label in POISONED)}
    assert set(table["condition"]) == conditions
    clean = table.filter(condition="none")
    published = clean.filter(pl.col("row").str.starts_with("published"))
    assert dict(published.select("architecture", "all classes %").iter_rows()) == {
        "landmark-forest": 97.14,
        "resnet20": 97.43,
    }
    faces = clean.filter(row="measured", architecture="landmark-forest")["no face found %"]
    assert faces.to_list() == [0.0, 0.0]


def test_shehus_poisoned_recognisers_stand_beside_table_three(ran):
    table = ran("shehu").table("poisoning")
    keys = table.select("poisoned", "method", "protocol").rows()
    assert len(set(keys)) == len(keys) == 2 * 2 * 2
    assert table["published_accuracy"].null_count() == 0
    assert table["difference"].to_list() == pytest.approx((table["accuracy"] - table["published_accuracy"]).to_list())
    (printed,) = table.filter(poisoned="anger", method="resnet20-small")["published_accuracy"].unique()
    assert printed == pytest.approx(0.8086)


def test_shehus_methods_are_compared_and_the_published_test_is_doubted(ran):
    found = ran("shehu")
    *measured, printed = found.table("methods_welch").iter_rows(named=True)
    assert Counter(row["protocol"] for row in measured) == {FRAME_LEVEL: 3 + 2, DISJOINT: 3 + 2}
    for row in measured:
        assert row["difference"] == pytest.approx(row["forest_accuracy"] - row["network_accuracy"])
    assert printed["corpus"] == "(as published)"
    assert "impossible" in printed["doubt"]
    assert "impossible: t = 0.24" in found.page
    made_on = found.table("zero_gradient")["made_on"]
    assert set(made_on) == {"resnet20-small"}
    assert set(found.table("landmark_shift")["condition"]) == {"FGSM", "Type B"}


def test_baias_filters_stand_beside_the_published_rate(ran):
    found = ran("baia")
    assert set(found.verdicts()["protocol"]) == {"official"}
    table = found.table("filters")
    assert table["n_filters"].to_list() == [3, 4, 5]
    assert set(table["published_asr"]) == {"> 90 %"}
    assert table["difference"].to_list() == pytest.approx((table["paper_asr"] - 0.9).to_list())
    assert table["met"].to_list() == [rate > 0.9 for rate in table["paper_asr"]]
    assert set(table["n_clips"]) == {8}
    assert set(table["queries_mean"]) == {QUERIES}
    assert "the exact rates and SSIM values of the paper are not known to us" in found.page
    for length in (3, 4, 5):
        recipes = found.verdicts().filter(attack=f"{length} filters")["recipe"]
        assert {len(json.loads(recipe)) for recipe in recipes} == {length}
    drawn = {path.stem for path in (found.store / "report").glob("*.png")}
    assert {"confusion", "ssim_distributions"} <= drawn


def test_fers_stickers_stand_beside_table_three(ran):
    found = ran("fer")
    assert set(found.verdicts()["protocol"]) == {"official"}
    table = found.table("fer")
    assert table["condition"].to_list() == ["clean", "random", "causal"]
    assert table["published_accuracy"].to_list() == [0.58, 0.51, 0.5]
    assert table["difference"].to_list() == pytest.approx((table["accuracy"] - table["published_accuracy"]).to_list())
    assert table["n_clips"].to_list() == [14] * 3
    clean = found.verdicts().filter(attack="clean")
    assert table["accuracy"][0] == pytest.approx((clean["clean_pred"] == clean["label"]).mean())
    *_, printed = found.table("fer_paired").iter_rows(named=True)
    assert (printed["corpus"], printed["a"], printed["b"]) == ("(as published)", "random", "causal")
    assert "within noise" in printed["doubt"]
    assert "14 test clips, 7,178 published" in found.page


@cache
def stand_in() -> Corpus:
    """Returns as many clips as the stand-in has, of the same people, without a face."""
    whole = made("orl-expressions", dict.fromkeys(ckplus.LABELS, 60), people=30, frames=8)
    clips = tuple(replace(clip, split="test" if int(clip.subject) % 3 == 2 else "train") for clip in whole.clips)
    return replace(whole, clips=clips, synthetic="made up")


PUBLISHED = {"shehu": (11 * (2 * 3 + 2 * 7), 30), "baia": (4, 1), "fer": (1 + 1 + 5 + 14, 5)}
"""Of each job at its published size: cells of one repeat, and repeats."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_job_is_planned_at_its_published_size(name):
    path, (cells, repeats) = SHIPPED / f"{name}.toml", PUBLISHED[name]
    assert len(job.read(path, ["scale=published"]).seeds) == repeats
    found = job.read(path, ["scale=published", "repeats=1"])
    assert len(laid_out(found, stand_in()).cells) == cells
    for settings in found.models:
        assert replace(settings, label=settings.name, poison=None) == models.settings(settings.name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_job_is_smaller_by_default_and_leaves_no_condition_out(name):
    path, (cells, repeats) = SHIPPED / f"{name}.toml", PUBLISHED[name]
    whole, found = job.read(path, ["scale=published"]), job.read(path)
    assert found == job.read(path, ["scale=reduced"])
    small = laid_out(found, stand_in())
    assert len(small.cells) <= cells * repeats
    assert [(one.name, one.poison) for one in found.models] == [(one.name, one.poison) for one in whole.models]
    assert {label for shard in small.shards for label in shard.attacks} == {one.label for one in whole.attacks}
    assert {shard.fold.protocol for shard in small.shards} == ({FRAME_LEVEL, DISJOINT} if name == "shehu" else {""})


@pytest.mark.parametrize("name", STUDIES)
def test_a_reduced_job_says_every_reduction_and_a_published_one_none(name):
    path = SHIPPED / f"{name}.toml"
    content = tomllib.loads(path.read_text())
    tables = [content, content.get("discovery", {}), *content["corpora"], *content["models"], *content["attacks"]]
    smaller = [f"{key} = {value}" for table in tables for key, value in table.get("reduced", {}).items()]
    said = [sentence.partition(": ")[2].partition(" instead of ")[0] for sentence in job.read(path).reductions]
    assert sorted(said) == sorted(smaller) != []
    assert job.read(path, ["scale=published"]).reductions == ()


@pytest.mark.parametrize("scale", ["published", "reduced"])
def test_baias_search_asks_as_often_as_published_at_both_sizes(scale):
    found = job.read(SHIPPED / "baia.toml", [f"scale={scale}"])
    planned, pictures = laid_out(found, stand_in()), len(ckplus.LABELS) * found.corpora[0].test_per_class
    assert (pictures == 80) == (scale == "published")
    assert planned.rows == 4 * pictures
    assert planned.evaluations == pictures * (1 + 1 + 3 * 1610)
