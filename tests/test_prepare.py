"""Corpora of a user's own folders from files to verdicts: packed once, resumed, refreshed, and used by a job."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import corpus_trees
import numpy as np
import picture_trees
import pyarrow as pa
import pytest
from conftest import NO_SERVER, one_sentence

from austicker import corpora, grid, prepare
from austicker.corpora import packed, preparation, prepared
from austicker.corpora.preparation import Preparation
from austicker.regions import NAMES, locate
from austicker.types import AustickerError, Corpus

HERE = grid.Site(workers=0)
TREES: dict[str, Callable[[Path], object]] = {
    "casme2": corpus_trees.write_casme2,
    "samm": corpus_trees.write_samm,
    "smic-hs": corpus_trees.write_smic_hs,
    "smic-e-hs": corpus_trees.write_smic_e_hs,
    "fer2013": picture_trees.write_fer2013_csv,
    "ckplus": picture_trees.write_ckplus,
    "affectnet": picture_trees.write_affectnet_8label,
    "manifest": picture_trees.write_manifest,
}
FORMS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "fer2013, the other CSV": ("fer2013", picture_trees.write_icml_csv),
    "fer2013, folders": ("fer2013", picture_trees.write_fer2013_folders),
    "affectnet, lists": ("affectnet", picture_trees.write_affectnet_manual),
}
"""Other forms in which a corpus comes."""
JOB = """
name = "real"
protocol = "{protocol}"
corpora = [{corpora}]
models = [{{ name = "stcnn", label = "small", width = 0.125, input_px = 16, frames = 17, epochs = 1 }}]
discovery = {{ bootstraps = 0 }}
attacks = [{{ stickers = ["sun"], placements = ["causal", "centre"] }}]
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of prepared corpora of the test's own."""
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NO_SERVER)
    return tmp_path / "cache"


@pytest.fixture
def casme2(tmp_path) -> Preparation:
    corpus_trees.write_casme2(tmp_path / "casme2")
    return Preparation(name="casme2", root=tmp_path / "casme2")


@pytest.fixture
def small_shards(monkeypatch) -> None:
    """One clip a shard."""
    monkeypatch.setattr(preparation, "SHARD_BYTES", 1)


def opened(preparation: Preparation, site: grid.Site = HERE) -> Corpus:
    prepare.prepare(preparation, site, corpora.silent)
    return prepared.open_prepared(preparation)


def shards(preparation: Preparation) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in preparation.folder.glob("*.arrow")}


def write_job(folder: Path, protocol: str, *names: str) -> Path:
    rows = ", ".join(f'{{ name = "{name}", root = "{name}" }}' for name in names)
    path = folder / "job.toml"
    path.write_text(JOB.format(protocol=protocol, corpora=rows))
    return path


@pytest.mark.parametrize("name", TREES)
def test_every_corpus_becomes_faces_with_landmarks_and_regions(tmp_path, name):
    TREES[name](tmp_path / name)
    preparation = Preparation(name=name, root=tmp_path / name)
    reading = preparation.read()
    corpus = opened(preparation)
    left_out = {
        finding.clip for finding in packed.read_record(preparation.folder).findings if finding.kind != "repaired"
    }
    assert [clip.clip for clip in corpus.clips] == [one.clip for one in reading.clips if one.clip not in left_out]
    assert len(corpus.clips) >= 0.75 * len(reading.clips)
    assert corpus.labels == reading.labels
    assert corpus.fingerprint == packed.fingerprint_of(corpus)
    assert corpus.size == reading.face_px
    for clip, frames, landmarks in zip(corpus.clips, corpus.frames, corpus.landmarks, strict=True):
        assert (clip.onset, clip.offset) == (0, len(frames) - 1)
        assert 0 <= clip.apex <= clip.offset
        assert (frames.dtype, frames.shape[3]) == (np.uint8, reading.channels)
        assert landmarks.shape == (len(frames), 68, 2)
        assert frames.std() > 5  # a picture, not a blank
        inner = landmarks[:, 17:]
        assert inner.min() > -0.1
        assert inner.max() < 1.1
    if reading.framing == "align":
        eyes = [points[0, 36:48].mean(axis=0) for points in corpus.landmarks]
        assert np.allclose(eyes, [0.5, 0.31], atol=0.03)
        assert (np.stack(corpus.motion) > 0).any()


def test_the_shards_are_plain_arrow_for_everybody(casme2):
    corpus = opened(casme2)
    (path,) = casme2.folder.glob("*.arrow")
    with pa.memory_map(str(path)) as source:
        rows = pa.ipc.open_file(source).read_all().to_pylist()
    assert [row["clip"] for row in rows] == [clip.clip for clip in corpus.clips]
    for row, frames, landmarks in zip(rows, corpus.frames, corpus.landmarks, strict=True):
        assert row["frames"] == frames.tobytes()
        assert np.allclose(np.reshape(row["landmarks"], (-1, 68, 2)), landmarks)
        boxes = locate(landmarks[-1], aspect=frames.shape[2] / frames.shape[1])
        last = np.reshape(row["regions"], (-1, len(NAMES), 4))[-1]
        assert np.allclose(last[:, 0], [box.centre.x for box in boxes.values()])
        assert np.allclose(last[:, 3], [box.half_height for box in boxes.values()])


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
def test_on_ray_it_is_the_same_corpus(casme2, small_shards, tmp_path, monkeypatch):
    near = opened(casme2)
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path / "far"))
    seen: list[tuple[int, int]] = []
    record = prepare.prepare(casme2, grid.Site(workers=2), lambda *counts: seen.append(counts))
    assert record.fingerprint == near.fingerprint
    assert len(record.shards) == len(near.clips)
    assert seen == [(number, len(near.clips)) for number in range(len(near.clips) + 1)]


def test_what_was_packed_is_not_packed_again(casme2, small_shards, monkeypatch):
    whole = prepared.pack
    packs = []

    def interrupted(*arguments):
        if len(packs) == 2:
            raise KeyboardInterrupt
        packs.append(arguments)
        whole(*arguments)

    monkeypatch.setattr(prepared, "pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(casme2, HERE, corpora.silent)
    assert prepared.state(casme2) == "missing"
    early = shards(casme2)
    assert len(early) == 2
    monkeypatch.setattr(prepared, "pack", whole)
    seen: list[int] = []
    prepare.prepare(casme2, HERE, lambda done, total: seen.append(done))
    assert seen[0] == 2
    assert early.items() <= shards(casme2).items()
    assert prepared.state(casme2) == "ready"
    later = shards(casme2)
    prepare.prepare(casme2, HERE, corpora.silent)
    assert shards(casme2) == later


def test_a_killed_preparation_leaves_whole_shards_and_goes_on(casme2):
    script = (
        "import sys; from pathlib import Path; from austicker import corpora, grid, prepare;"
        "from austicker.corpora import preparation; preparation.SHARD_BYTES = 1;"
        "casme2 = preparation.Preparation(name='casme2', root=Path(sys.argv[1]));"
        "prepare.prepare(casme2, grid.Site(workers=0), corpora.silent)"
    )
    running = subprocess.Popen([sys.executable, "-c", script, str(casme2.root)])
    deadline = time.monotonic() + 120
    while not shards(casme2) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    early = shards(casme2)
    assert early
    assert prepared.state(casme2) == "missing"
    subprocess.run([sys.executable, "-c", script, str(casme2.root)], check=True)
    assert early.items() <= shards(casme2).items()
    corpus = prepared.open_prepared(casme2)
    assert corpus.fingerprint == packed.fingerprint_of(corpus)


def test_a_changed_picture_is_packed_anew_and_nothing_else(casme2, small_shards):
    before = opened(casme2)
    early = shards(casme2)
    picture = sorted((casme2.root / "CASME2_RAW_selected" / "sub01" / "EP02_01f").glob("*.jpg"))[0]
    picture.write_bytes(picture.with_name(picture.name.replace("46", "47")).read_bytes())
    after = opened(casme2)
    assert after.fingerprint != before.fingerprint
    assert len(shards(casme2).items() - early.items()) == 1
    assert len(shards(casme2)) == len(early)
    assert sum(one != two for one, two in zip(before.digests, after.digests, strict=True)) == 1


def test_a_clip_that_is_broken_or_shows_no_face_is_reported_and_the_others_go_on(casme2):
    folder = casme2.root / "CASME2_RAW_selected"
    names = [clip.clip for clip in casme2.read().clips]
    torn, blank, *others = names
    first = sorted((folder / torn).glob("*.jpg"))[2]
    first.write_bytes(first.read_bytes()[:-900])
    for picture in (folder / blank).glob("*.jpg"):
        picture_trees.write_picture(picture, np.full((480, 640, 3), 128, np.uint8))
    corpus = opened(casme2)
    assert [clip.clip for clip in corpus.clips] == others
    kinds = {
        finding.clip: finding for finding in packed.read_record(casme2.folder).findings if finding.kind != "repaired"
    }
    assert {clip: finding.kind for clip, finding in kinds.items()} == {torn: "unreadable", blank: "missing"}
    assert first.name in kinds[torn].text
    assert "No face" in kinds[blank].text


def test_a_clip_that_failed_by_chance_is_tried_again(casme2, monkeypatch):
    whole = prepared.pictures.read

    def failing(frames, root, channels):
        if "EP19_05f" in frames.paths[0]:
            raise AustickerError("The file server is away.")
        return whole(frames, root, channels)

    with monkeypatch.context() as patch:
        patch.setattr(prepared.pictures, "read", failing)
        assert "sub01/EP19_05f" not in {clip.clip for clip in opened(casme2).clips}
    assert "sub01/EP19_05f" not in {clip.clip for clip in opened(casme2).clips}
    prepared.forget_failed(casme2)
    assert "sub01/EP19_05f" in {clip.clip for clip in opened(casme2).clips}
    kept = shards(casme2)
    prepared.forget_failed(casme2)
    assert shards(casme2) == kept


def test_a_submission_says_which_clips_are_left_out(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus_trees.write_casme2(tmp_path / "casme2")
    for picture in (tmp_path / "casme2" / "CASME2_RAW_selected" / "sub26" / "EP03_10").glob("*.jpg"):
        picture_trees.write_picture(picture, np.full((480, 640, 3), 128, np.uint8))
    job = write_job(tmp_path, "au-sticker", "casme2")
    answer = cli_here("submit", job, "--workers", 0)
    assert answer.status == 0
    assert "missing: sub26/EP03_10: No face was found" in answer.err
    record = json.loads((tmp_path / "runs" / "real" / "job.json").read_text())
    assert record["corpora"]["casme2"]["unusable"] == {"missing": 1}
    page = (tmp_path / "runs" / "real" / "report" / "index.html").read_text()
    assert "casme2: left out when it was prepared: 1 missing" in page


def test_what_is_added_to_a_prepared_corpus_is_seen_by_the_next_submission(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = corpus_trees.casme2_rows()
    corpus_trees.write_casme2(tmp_path / "casme2", rows=rows)
    folder = tmp_path / "casme2" / "CASME2_RAW_selected" / "sub26" / "EP07_28"
    away = folder.rename(tmp_path / "EP07_28")
    job = write_job(tmp_path, "au-sticker", "casme2")
    assert "missing: sub26/EP07_28" in cli_here("submit", job, "--workers", 0).err
    away.rename(folder)
    answer = cli_here("submit", job, "--workers", 0, "--amend")
    assert (answer.status, "missing" in answer.err) == (0, False), answer.err
    record = json.loads((tmp_path / "runs" / "real" / "job.json").read_text())
    assert record["corpora"]["casme2"]["n_clips"] == 5


def test_the_same_footage_under_two_names_is_found_though_it_is_cut_differently(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture_trees.write_video(tmp_path / "manifest" / "v.avi", 12)
    picture_trees.write_video(tmp_path / "manifest" / "w.mp4", 12)
    rows = "clip,subject,label,path,onset,offset\na,ann,sad,v.avi,0,6\nb,bob,glad,v.avi,4,11\nc,cy,sad,w.mp4,0,6\n"
    (tmp_path / "manifest" / "manifest.csv").write_text(rows)
    answer = cli_here("submit", write_job(tmp_path, "loso", "manifest"), "--workers", 0)
    one_sentence(answer, "the same pictures", "'a'", "'b'")


def test_a_clip_that_would_fill_the_memory_is_left_out(casme2, monkeypatch):
    monkeypatch.setattr(preparation, "LONGEST_BYTES", 224 * 256 * 3 * 7)
    reading = casme2.read()
    too_long = [finding for finding in reading.findings if finding.kind == "inconsistent"]
    assert {finding.clip for finding in too_long} == {"sub01/EP19_05f", "sub26/EP03_10"}
    assert all(finding.text.startswith("8 frames from onset to offset are more than 7") for finding in too_long)
    assert len(reading.clips) == 4


def test_a_list_of_consent_that_fits_nobody_says_so(casme2):
    (casme2.root / "consented.txt").write_text("sub26\nsub6\n")
    reading = casme2.read()
    assert reading.consented == ("sub26",)
    (finding,) = (finding for finding in reading.findings if finding.kind == "inconsistent")
    assert "'sub6'" in finding.text
    assert "did you mean 'sub26'" in finding.text


def test_the_rules_that_mended_a_clip_stay_with_it(casme2):
    mended = {clip.clip: clip.repairs for clip in opened(casme2).clips if clip.repairs}
    assert mended == {"sub04/EP12_01f": ("apex-midpoint",)}


def test_a_corpus_is_opened_only_as_it_was_prepared(casme2):
    with pytest.raises(AustickerError, match=r"is not prepared: run `austicker-grid data prepare casme2 --root "):
        prepared.open_prepared(casme2)
    opened(casme2)
    with pytest.raises(AustickerError, match="is not prepared.*--landmarks dlib`"):
        prepared.open_prepared(replace(casme2, landmarks="dlib"))
    (table,) = casme2.root.glob("*.xlsx")
    os.utime(table, (1, 1))
    with pytest.raises(AustickerError, match="has other annotations than when it was prepared"):
        prepared.open_prepared(casme2)
    opened(casme2)


def test_the_landmarks_of_the_corpus_itself(tmp_path):
    picture_trees.write_ckplus(tmp_path)
    plain = Preparation(name="ckplus", root=tmp_path)
    found = opened(plain)
    moved, gone, *_ = (clip.clip for clip in found.clips)
    for path in (tmp_path / "Landmarks").rglob(f"{moved}_*.txt"):
        path.write_text("\n".join(f"{float(x) + 32} {y}" for x, y in map(str.split, path.read_text().splitlines())))
    next((tmp_path / "Landmarks").rglob(f"{gone}_*.txt")).unlink()
    own = opened(replace(plain, landmarks="corpus"))
    assert opened(plain).fingerprint == found.fingerprint
    assert {clip.clip: clip.repairs for clip in own.clips if clip.repairs} == {gone: ("landmarks-detected",)}
    for number, clip in enumerate(own.clips):
        # The tree's files hold MediaPipe's points; a face 32 pixels further is aligned elsewhere.
        same = np.abs(own.landmarks[number] - found.landmarks[number]).max() < 1e-3
        pixels = np.abs(own.frames[number].astype(int) - found.frames[number]).mean()
        assert same
        assert bool(pixels > 5) is (clip.clip == moved)


def test_the_points_and_the_crops_of_a_list_are_taken(tmp_path):
    picture_trees.write_affectnet_manual(tmp_path)
    plain = Preparation(name="affectnet", root=tmp_path)
    found, own = opened(plain), opened(replace(plain, landmarks="corpus"))
    assert found.digests == own.digests
    known = [number for number, clip in enumerate(own.clips) if "landmarks-detected" not in clip.repairs]
    assert known
    for number in known:
        distance = np.abs(found.landmarks[number] - own.landmarks[number])
        assert 0 < distance.max() < 0.1


def test_dlib_finds_the_same_faces(casme2):
    one, two = opened(casme2), opened(replace(casme2, landmarks="dlib"))
    for mine, theirs in zip(one.landmarks, two.landmarks, strict=True):
        assert np.abs(mine[0, 36:60] - theirs[0, 36:60]).mean() < 0.03  # eyes, nose and mouth


def test_a_corpus_without_landmarks_of_its_own_says_so(casme2):
    with pytest.raises(AustickerError, match="No landmarks come with corpus 'casme2'"):
        prepare.prepare(replace(casme2, landmarks="corpus"), HERE, corpora.silent)


def test_a_folder_that_is_elsewhere_is_one_sentence_here(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = write_job(tmp_path, "au-sticker", "casme2")
    for verb in ("submit", "plan"):
        one_sentence(cli_here(verb, job), f"The folder '{tmp_path / 'casme2'}' of corpus 'casme2' is not there")
    assert not (tmp_path / "runs").exists()


def test_a_worker_that_does_not_see_the_folder_says_so(casme2):
    reading = casme2.read()
    (portion,) = preparation.portions(casme2, reading)
    casme2.root.rename(casme2.root.with_name("elsewhere"))
    with pytest.raises(AustickerError, match="is not on this machine: give every node the same path"):
        prepared.pack(casme2, preparation.framing_of(reading), portion)
    assert not shards(casme2)


@pytest.mark.parametrize(
    ("protocol", "names"),
    [
        ("au-sticker", ["casme2"]),
        ("megc2019", ["casme2", "samm", "smic-hs"]),
        ("official", ["fer2013"]),
        ("official", ["affectnet"]),
        ("au-sticker", ["smic-e-hs"]),
        ("au-sticker", ["samm", "smic-hs"]),
        ("loso", ["ckplus"]),
        ("loso", ["manifest"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_job_runs_on_it_from_files_to_report(cli_here, tmp_path, monkeypatch, protocol, names):
    monkeypatch.chdir(tmp_path)
    for name in names:
        TREES[name](tmp_path / name)
    job = write_job(tmp_path, protocol, *names)
    answer = cli_here("submit", job, "--workers", 0, "--json")
    assert answer.status == 0, answer.err
    summary = json.loads(answer.out)
    assert summary["cells_done"] == summary["cells_expected"] > 0
    assert "published" in answer.err or protocol == "loso"
    record = json.loads((tmp_path / "runs" / "real" / "job.json").read_text())
    assert list(record["corpora"]) == ([protocol] if protocol == "megc2019" else names)
    again = json.loads(cli_here("submit", job, "--workers", 0, "--json").out)
    assert again["tasks_run"] == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_job_runs_on_every_form_of_a_corpus(cli_here, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    name, write = FORMS[form]
    write(tmp_path / name)
    answer = cli_here("submit", write_job(tmp_path, "official", name), "--workers", 0)
    assert answer.status == 0, answer.err


def texts(report: Path) -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8", errors="replace")
        for path in report.rglob("*")
        if path.suffix in (".html", ".csv", ".md", ".tex", ".svg")
    }


def test_a_report_tells_nobody_who_the_people_of_a_recorded_corpus_are(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus_trees.write_casme2(tmp_path / "casme2")
    job = write_job(tmp_path, "au-sticker", "casme2")
    assert cli_here("submit", job, "--workers", 0).status == 0
    report = tmp_path / "runs" / "real" / "report"
    failure = {"unit": "train small casme2 sub01", "error": "ValueError: sub26/EP02_07 is odd", "stage": "train"}
    (tmp_path / "runs" / "real" / "failures").mkdir()
    (tmp_path / "runs" / "real" / "failures" / "x.json").write_text(json.dumps(failure))
    assert cli_here("report", report.parent).status == 0
    shown = texts(report)
    assert len(shown) > 10
    for name, text in shown.items():
        assert not re.search(r"sub\d\d|EP\d\d|" + re.escape(str(tmp_path)), text), name
    assert re.search(r"train small casme2 P\d{3}", shown["index.html"])
    assert not {"regions.png", "examples.png", "face_map.png"} & {path.name for path in report.iterdir()}
    names = json.loads((report.parent / "pseudonyms.json").read_text())["casme2"]
    assert sorted(names) == ["sub01", "sub04", "sub26"]
    before = dict(names)
    assert cli_here("report", report.parent).status == 0
    assert json.loads((report.parent / "pseudonyms.json").read_text())["casme2"] == before


def test_a_face_that_is_no_longer_to_be_shown_does_not_lie_beside_the_page(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus_trees.write_casme2(tmp_path / "casme2")
    (tmp_path / "casme2" / "consented.txt").write_text("sub26\n")
    job = write_job(tmp_path, "au-sticker", "casme2")
    assert cli_here("submit", job, "--workers", 0).status == 0
    report = tmp_path / "runs" / "real" / "report"
    assert cli_here("report", report.parent, "--faces").status == 0
    shown = {path.name for path in report.iterdir()}
    assert {"regions.png", "regions.svg"} <= shown
    assert cli_here("report", report.parent).status == 0
    left = {path.name for path in report.iterdir()}
    assert shown - left >= {"regions.png", "regions.svg"}
    assert left <= shown


def test_faces_are_shown_only_of_those_who_consented_and_only_when_asked(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus_trees.write_casme2(tmp_path / "casme2")
    job = write_job(tmp_path, "au-sticker", "casme2")
    assert cli_here("submit", job, "--workers", 0).status == 0
    report = tmp_path / "runs" / "real" / "report"
    one_sentence(cli_here("report", report.parent, "--faces"), "consented.txt")
    (tmp_path / "casme2" / "consented.txt").write_text("sub26\n")
    assert cli_here("data", "prepare", "casme2", "--root", tmp_path / "casme2", "--workers", 0).status == 0
    assert cli_here("submit", job, "--workers", 0).status == 0
    assert not (report / "regions.png").exists()
    assert cli_here("report", report.parent, "--faces").status == 0
    assert (report / "regions.png").exists()
    corpus = corpora.open_corpus("casme2", tmp_path / "casme2")
    from austicker.report.gather import gather
    from austicker.store import Store

    _, context = gather(Store(report.parent), faces=True)
    mine = [number for number, clip in enumerate(corpus.clips) if clip.subject == "sub26"]
    mean = np.mean([corpus.frames[number][0] for number in mine], axis=0)
    assert np.abs(context.faces["casme2"].picture.astype(float) - mean).max() <= 0.5


def test_content_on_both_sides_of_a_fold_is_refused_with_the_clips(cli_here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus_trees.write_casme2(tmp_path / "casme2")
    folder = tmp_path / "casme2" / "CASME2_RAW_selected"
    one, other = folder / "sub01" / "EP02_01f", folder / "sub26" / "EP07_28"
    assert one.is_dir()
    clips = {clip.clip: clip for clip in Preparation(name="casme2", root=tmp_path / "casme2").read().clips}
    copied, over = (clips[path.relative_to(folder).as_posix()] for path in (one, other))
    assert len(copied.frames.paths) == len(over.frames.paths)
    for source, target in zip(copied.frames.paths, over.frames.paths, strict=True):
        (tmp_path / "casme2" / target).write_bytes((tmp_path / "casme2" / source).read_bytes())
    answer = cli_here("submit", write_job(tmp_path, "au-sticker", "casme2"), "--workers", 0)
    one_sentence(answer, "sub01/EP02_01f", "sub26/EP07_28")
    assert not (tmp_path / "runs" / "real" / "job.json").exists()
