"""The grid on real tasks: near equals far, killed equals undisturbed, and a failure is a value."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from conftest import NO_SERVER, command

from austicker import causal, course, folds, grid, identity, plan, results, stages, submission
from austicker import job as jobs
from austicker.plan import Tally, Task
from austicker.store import Store, layout
from austicker.types import AustickerError, DiscoverySettings

JOB = """
name = "tiny"
corpora = [{ name = "orl-motion", folds = 2 }]
discovery = { bootstraps = 2 }

[[models]]
name = "mmnet"
label = "m"
width = 0.0625
input_px = 32
epochs = 2

[[models]]
name = "stcnn"
label = "s"
width = 0.125
input_px = 32
epochs = 1

[[attacks]]
name = "sticker"
stickers = ["monkey", "nothing.png"]
placements = ["causal", "random", "chin"]
random_draws = 2
"""


def picture(path: Path, rgba: tuple[int, int, int, int]) -> Path:
    """Writes a PNG of one colour."""
    blue_first = (*rgba[2::-1], rgba[3])
    cv2.imwrite(str(path), np.full((16, 16, 4), blue_first, np.uint8))
    return path


@pytest.fixture(scope="session")
def job_file(tmp_path_factory, orl_motion):
    folder = tmp_path_factory.mktemp("job")
    picture(folder / "nothing.png", (255, 0, 0, 0))
    (folder / "tiny.toml").write_text(JOB)
    return folder / "tiny.toml"


@pytest.fixture(scope="session")
def tiny(job_file):
    return jobs.read(job_file)


class Log:
    """Remembers what a submission tells; `first` is called when the tasks are known."""

    def __init__(self, first=lambda laid_out, tasks: None):
        self.tasks, self.outcomes, self.snapshots = (), [], []
        self._first = first
        self.watch = course.Watch(
            found=lambda *_: None,
            corpus=lambda done, total: None,
            started=self._started,
            ended=self._ended,
            moved=self._moved,
        )

    def _started(self, laid_out, tasks):
        self.laid_out, self.tasks = laid_out, tasks
        self._first(laid_out, tasks)

    def _ended(self, outcome):
        self.outcomes.append(outcome)

    def _moved(self, snapshot):
        self.snapshots.append(snapshot)


def submit(job, folder, *, workers=0, first=lambda laid_out, tasks: None, amend=False):
    log = Log(first)
    summary = submission.submit(job, Store(folder), log.watch, grid.Site(workers=workers), amend=amend)
    return summary, log


@pytest.fixture(scope="session")
def undisturbed(tiny, tmp_path_factory):
    """A whole run without Ray."""
    folder = tmp_path_factory.mktemp("near") / "store"
    summary, log = submit(tiny, folder)
    assert not summary.failures
    assert (summary.cells_done, summary.cells_expected, summary.tasks_run) == (32, 32, 10)
    return folder, log.laid_out


def rows(folder, laid_out):
    return results.read_verdicts(Store(folder), laid_out.cells)


def assert_equal_runs(folder, undisturbed):
    found, expected = rows(folder, undisturbed[1]), rows(*undisturbed)
    assert found.height == expected.height == 32 * 6
    exact = pl.exclude("clean_score", "attacked_score")
    assert found.select(exact).equals(expected.select(exact))
    for score in ("clean_score", "attacked_score"):
        assert found[score].to_numpy() == pytest.approx(expected[score].to_numpy(), abs=1e-5)


def contents(folder, *names):
    """Name, inode, time and bytes of every file of some parts of a store."""
    files = [path for name in names for path in sorted((folder / name).rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


KEPT = ("models", "graphs", "verdicts")


def test_the_verdicts_have_something_to_say(undisturbed):
    """Equality below means little if every row were alike."""
    found = rows(*undisturbed)
    assert found["clean_pred"].n_unique() > 1
    assert found["attacked_score"].n_unique() > 60
    assert found.filter(pl.col("queries") == 1).height > 100
    assert set(found["queries"].unique()) <= {0, 1}
    assert found.filter(pl.col("queries") == 0)["x"].null_count() == found.filter(pl.col("queries") == 0).height


def test_a_transparent_sticker_changes_nothing(undisturbed):
    found = rows(*undisturbed)
    nothing = found.filter((pl.col("sticker") == "nothing.png") & (pl.col("queries") == 1))
    assert set(nothing["model"]) == {"m", "s"}
    assert nothing["clean_pred"].to_list() == nothing["attacked_pred"].to_list()
    # Scores to the last bits: a batch of another size may sum in another order.
    assert nothing["attacked_score"].to_numpy() == pytest.approx(nothing["clean_score"].to_numpy(), abs=1e-6)
    monkey = found.filter((pl.col("sticker") == "monkey") & (pl.col("queries") == 1))
    changed = (monkey["attacked_score"] - monkey["clean_score"]).abs()
    assert (changed > 1e-4).mean() > 0.3


def test_nothing_is_left_to_do_after_a_whole_run(undisturbed, tiny, monkeypatch):
    folder, _ = undisturbed
    before = contents(folder, *KEPT), (folder / "job.json").read_bytes()
    monkeypatch.setattr(stages, "execute", lambda *_, **__: pytest.fail("a task was run again"))
    monkeypatch.setattr(grid, "cluster", lambda *_: pytest.fail("a cluster was started for nothing"))
    for workers in (0, 2):
        summary, log = submit(tiny, folder, workers=workers)
        assert (summary.tasks_run, summary.cells_done, summary.failures) == (0, 32, ())
        assert log.outcomes == []
    assert (contents(folder, *KEPT), (folder / "job.json").read_bytes()) == before


def test_a_worker_with_another_corpus_writes_nothing(undisturbed, tiny, tmp_path):
    for task in undisturbed[1].tasks(Store(tmp_path))[:2]:
        strange = dataclasses.replace(task, weights="0" * 20, graph="0" * 20)
        with pytest.raises(AustickerError, match="not the one that the job was planned with"):
            stages.execute(strange, str(tmp_path), tiny.record())
    assert not list(tmp_path.iterdir())


def test_failures_of_an_earlier_run_are_forgotten(undisturbed, tiny, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    store = Store(folder)
    store.write_json(layout.failure("attack-old"), {"stage": "attack", "unit": "old", "error": "gone", "cells": []})
    submit(tiny, folder)
    assert not list((folder / "failures").iterdir())


def test_the_order_of_the_tasks_changes_nothing(undisturbed, tiny, tmp_path):
    def backwards(work, tasks, listener):
        return grid_map(work, tuple(reversed(tasks)), listener)

    grid_map = grid.map_local
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "map_local", backwards)
        _, log = submit(tiny, tmp_path / "store")
    order = [outcome.task.id for outcome in log.outcomes]
    for outcome in log.outcomes:
        assert all(order.index(need) < order.index(outcome.task.id) for need in outcome.task.needs)
    assert order != [task.id for task in log.tasks]
    assert_equal_runs(tmp_path / "store", undisturbed)


def test_an_amended_job_runs_only_what_is_new(undisturbed, tiny, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    before = contents(folder, *KEPT)
    more = dataclasses.replace(tiny.attacks[0], placements=(*tiny.attacks[0].placements, "centre"))
    summary, log = submit(dataclasses.replace(tiny, attacks=(more,)), folder)
    assert {task.stage for task in log.tasks} == {"attack"}
    assert {cell.placement for task in log.tasks for cell in task.cells} == {"centre"}
    assert (summary.cells_done, summary.cells_expected) == (40, 40)
    after = contents(folder, *KEPT)
    assert {path: after[path] for path in before} == before
    assert_equal_runs(folder, undisturbed)


def changed(job, **settings):
    """The job with other settings of its first model."""
    return dataclasses.replace(job, models=(dataclasses.replace(job.models[0], **settings), *job.models[1:]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda job: changed(job, epochs=1), "models.m.epochs is 2 there and 1 here"),
        (
            lambda job: dataclasses.replace(job, discovery=dataclasses.replace(job.discovery, alpha=0.01)),
            "discovery.alpha is 0.05 there and 0.01 here",
        ),
        (
            lambda job: dataclasses.replace(job, attacks=(dataclasses.replace(job.attacks[0], side=0.1),)),
            "attacks.sticker.side is 0.2 there and 0.1 here",
        ),
        (lambda job: dataclasses.replace(job, name="other"), "is that of job 'tiny', not of 'other'"),
    ],
)
def test_a_setting_that_would_change_old_cells_is_refused(undisturbed, tiny, tmp_path, change, words):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    before = contents(folder, ".")
    with pytest.raises(AustickerError, match=words):
        submit(change(tiny), folder)
    assert contents(folder, ".") == before


def test_a_sticker_that_was_drawn_anew_is_a_changed_setting(tiny, undisturbed, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    other = picture(tmp_path / "nothing.png", (255, 0, 0, 9))
    attack = dataclasses.replace(tiny.attacks[0], stickers=("monkey", str(other)))
    with pytest.raises(AustickerError, match=r"stickers\.nothing\.png is"):
        submit(dataclasses.replace(tiny, attacks=(attack,)), folder)


def test_amend_goes_on_under_the_new_identity(undisturbed, tiny, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    before = contents(folder, *KEPT)
    summary, log = submit(changed(tiny, epochs=1), folder, amend=True)
    assert {(task.stage, task.model) for task in log.tasks} == {("train", "m"), ("attack", "m")}
    assert (summary.cells_done, summary.cells_expected, summary.job_changed) == (32, 32, True)
    after = contents(folder, *KEPT)
    assert {path: after[path] for path in before} == before
    assert_equal_runs(folder, undisturbed)  # the cells of the first settings are all there still
    summary, log = submit(tiny, folder, amend=True)  # and so is the way back
    assert (summary.tasks_run, summary.job_changed) == (0, True)


def test_a_dropped_model_is_no_change_and_is_no_longer_expected(undisturbed, tiny, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed[0], folder)
    summary, _ = submit(dataclasses.replace(tiny, models=tiny.models[:1]), folder)
    assert (summary.tasks_run, summary.cells_done, summary.cells_expected) == (0, 16, 16)


def test_a_run_keeps_in_the_store_where_it_stands(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(course, "PROGRESS_S", 0.0)
    kept = []

    def remember(laid_out, tasks):
        write = Store.write_json

        def noted(store, key, record):
            kept.extend([record] if key == layout.PROGRESS else [])
            write(store, key, record)

        monkeypatch.setattr(Store, "write_json", noted)

    _, log = submit(tiny, tmp_path / "store", first=remember)
    states = [record["state"] for record in kept]
    assert states == ["running"] * (len(states) - 1) + ["finished"]
    assert len(states) > len(log.tasks)
    (last,) = [Store(tmp_path / "store").read_json(layout.PROGRESS)]
    assert (last["cells_done"], last["cells_expected"], last["trained"], last["verdicts"]) == (32, 32, 4, 32 * 6)
    assert last["queries"] == sum(outcome.tally.queries for outcome in log.outcomes) > 100
    assert log.snapshots[0].cells_done == 0


def damage(path: Path) -> None:
    """Loses the last bytes of a file."""
    path.write_bytes(path.read_bytes()[:-9])


class TestHealing:
    """What is lost or damaged after the plan was made is made again by the task that needs it."""

    @pytest.mark.parametrize("fault", [damage, Path.unlink], ids=["torn", "gone"])
    @pytest.mark.parametrize("name", ["models/{weights}.safetensors", "graphs/{graph}.json"])
    def test_it_is_made_again_as_it_was(self, undisturbed, tiny, tmp_path, name, fault):
        folder = tmp_path / "store"
        for part in ("models", "graphs"):
            shutil.copytree(undisturbed[0] / part, folder / part)
        lost = undisturbed[1].shards[0]
        path = folder / name.format(weights=lost.weights, graph=lost.graph)
        summary, log = submit(tiny, folder, first=lambda laid_out, tasks: fault(path))
        assert {task.stage for task in log.tasks} == {"attack"}
        assert (summary.failures, summary.cells_done) == ((), 32)
        assert path.read_bytes() == (undisturbed[0] / path.relative_to(folder)).read_bytes()
        assert_equal_runs(folder, undisturbed)

    def test_damage_that_the_plan_could_not_see_heals_too(self, undisturbed, tiny, tmp_path):
        folder = tmp_path / "store"
        for part in ("models", "graphs", "verdicts"):
            shutil.copytree(undisturbed[0] / part, folder / part)
        for path in (*(folder / "models").iterdir(), *(folder / "graphs").iterdir()):
            path.write_bytes(b"{")
        lost = sorted((folder / "verdicts").rglob("*.parquet"))[0]
        damage(lost)
        summary, log = submit(tiny, folder)
        assert [task.stage for task in log.tasks] == ["attack"]
        assert (summary.failures, summary.cells_done) == ((), 32)
        assert_equal_runs(folder, undisturbed)

    def test_a_second_attempt_finds_the_part_and_does_nothing(self, undisturbed, tiny, tmp_path, monkeypatch):
        folder = tmp_path / "store"
        shutil.copytree(undisturbed[0], folder)
        tasks = undisturbed[1].tasks(Store(tmp_path / "empty"))
        (task, *_) = [task for task in tasks if task.stage == "attack"]
        before = contents(folder, *KEPT)
        monkeypatch.setattr(stages, "ShardData", lambda *_: pytest.fail("it was attacked again"))
        tally = stages.execute(task, str(folder), tiny.record())
        found = rows(*undisturbed).filter(pl.col("cell").is_in([cell.id for cell in task.cells]))
        asked = int(found["queries"].sum())
        assert tally == Tally(rows=found.height, evaluations=asked + 6, queries=asked)
        assert contents(folder, *KEPT) == before


class TestFailures:
    """Something is broken after the plan was made, and everything else goes on."""

    def test_what_a_failed_task_feeds_is_reported_and_not_run(self, undisturbed, tiny, tmp_path):
        folder = tmp_path / "store"
        target = undisturbed[1].shards[0]

        def poison(laid_out, tasks):
            (folder / "graphs" / f"{target.graph}.json").mkdir(parents=True)

        summary, log = submit(tiny, folder, first=poison)
        failed = {(outcome.task.stage, outcome.task.model, outcome.task.fold) for outcome in summary.failures}
        fold = target.fold.name
        assert failed == {("discover", "", fold), ("attack", "m", fold), ("attack", "s", fold)}
        dependents = [outcome for outcome in summary.failures if outcome.task.stage == "attack"]
        assert all(outcome.error == f"not run, because discover orl-motion {fold} failed" for outcome in dependents)
        assert summary.cells_done == 16
        assert len(list((folder / "failures").iterdir())) == 3
        assert len(log.outcomes) == len(log.tasks) == 10

    def test_a_sticker_that_went_away_loses_its_shards_only(self, tiny, tmp_path):
        away = picture(tmp_path / "away.png", (0, 0, 255, 255))
        attack = dataclasses.replace(tiny.attacks[0], stickers=("sun", str(away)), placements=("centre",))
        job = dataclasses.replace(tiny, models=tiny.models[1:], attacks=(attack,))
        summary, _ = submit(job, tmp_path / "store", first=lambda laid_out, tasks: away.unlink())
        assert {outcome.task.stage for outcome in summary.failures} == {"attack"}
        assert all("away.png" in outcome.error for outcome in summary.failures)
        assert len(list((tmp_path / "store" / "models").glob("*.safetensors"))) == 2


def task(name, *needs):
    return Task(id=name, stage="train", corpus="c", fold=name, needs=needs)


def test_a_chain_and_a_diamond_of_failures_are_told_once_each():
    ran = []

    def work(given):
        ran.append(given.id)
        if given.id == "a":
            raise RuntimeError("broken")
        return Tally(rows=2)

    tasks = (task("b", "a"), task("e", "b", "a"), task("a"), task("c", "b"), task("d"), task("f", "d"))
    outcomes = {outcome.task.id: outcome for outcome in grid.map_local(work, tasks)}
    assert sorted(outcomes) == ["a", "b", "c", "d", "e", "f"]
    assert sorted(ran) == ["a", "a", "a", "d", "f"]  # what failed by chance may end well
    assert outcomes["a"].error == "RuntimeError: broken"
    assert all(outcomes[name].error.startswith("not run, because train") for name in "bce")
    assert [outcomes[name].tally.rows for name in "df"] == [2, 2]


def test_an_interrupt_is_no_failure_of_a_task():
    def work(given):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(grid.map_local(work, [task("a")]))


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere", "ray://127.0.0.1:9", "127.0.0.1:99999", ":5"])
def test_an_address_without_a_cluster_is_refused_at_once(address):
    start = time.monotonic()
    with pytest.raises(AustickerError, match="--address|No Ray cluster"):
        grid.check(grid.Site(address=address))
    assert time.monotonic() - start < 8


@pytest.fixture
def ray_folder(monkeypatch):
    """A short folder for Ray's sessions, by which its processes are known; none may outlive the test."""
    folder = Path(tempfile.mkdtemp(prefix="aur", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    left = settled(folder, 20)
    for number in left:
        os.kill(number, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"Ray processes outlived their driver: {left}"


def processes(folder):
    """Processes whose command line names a folder."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in words:
            found[int(path.parent.name)] = words[:80]
    return found


def settled(folder, seconds):
    end = time.monotonic() + seconds
    while (left := processes(folder)) and time.monotonic() < end:
        time.sleep(0.2)
    return left


@pytest.fixture
def start(job_file, ray_folder):
    """Starts `austicker-grid submit` with Ray in a process group of its own."""
    running = []

    def begin(folder, *options):
        process = subprocess.Popen(
            [command(), "submit", job_file, "--store", folder, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"MLFLOW_TRACKING_URI": NO_SERVER},
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for(process, ready, seconds=90):
    end = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
class TestCluster:
    """With a real Ray."""

    @pytest.mark.parametrize("workers", [1, 2])
    def test_far_equals_near(self, undisturbed, tiny, tmp_path, workers, ray_folder):
        far = grid.map_ray
        with pytest.MonkeyPatch.context() as patch:
            if workers == 2:
                patch.setattr(
                    grid, "map_ray", lambda work, tasks, *on, **more: far(work, tuple(reversed(tasks)), *on, **more)
                )
            summary, log = submit(tiny, tmp_path / "store", workers=workers)
        assert not summary.failures
        assert (summary.cells_done, summary.tasks_run) == (32, 10)
        assert {outcome.task.id for outcome in log.outcomes} == {given.id for given in log.tasks}
        assert_equal_runs(tmp_path / "store", undisturbed)
        for name in ("models", "graphs"):
            near, far = (
                {path.name: path.read_bytes() for path in (root / name).iterdir()}
                for root in (undisturbed[0], tmp_path / "store")
            )
            assert near == far

    def test_a_failure_far_away_is_a_value_too(self, undisturbed, tiny, tmp_path, ray_folder):
        folder = tmp_path / "store"
        for name in ("models", "graphs"):
            shutil.copytree(undisturbed[0] / name, folder / name)
        target = undisturbed[1].shards[1]
        damage(folder / "models" / f"{target.weights}.safetensors")
        (folder / "graphs" / f"{undisturbed[1].shards[-1].graph}.json").unlink()

        def poison(laid_out, tasks):
            (folder / "graphs" / f"{undisturbed[1].shards[-1].graph}.json").mkdir()

        summary, _ = submit(tiny, folder, workers=2, first=poison)
        told = {(outcome.task.stage, outcome.task.fold, outcome.task.model) for outcome in summary.failures}
        last = undisturbed[1].shards[-1].fold.name
        assert told == {("discover", last, ""), ("attack", last, "m"), ("attack", last, "s")}
        assert summary.cells_done == 16
        healed = Path("models", f"{target.weights}.safetensors")
        assert (folder / healed).read_bytes() == (undisturbed[0] / healed).read_bytes()

    def test_a_killed_run_is_taken_up_where_it_was(self, undisturbed, tiny, tmp_path, start, ray_folder):
        folder = tmp_path / "store"
        process = start(folder, "--workers", "1")
        wait_for(process, lambda: any((folder / "verdicts").glob("**/[!.]*.parquet")))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not settled(ray_folder, 30)
        kept = contents(folder, *KEPT)
        whole = {path: what for path, what in kept.items() if not Path(path).name.startswith(".")}
        done = plan.done(undisturbed[1], Store(folder))
        assert 0 < len(done) < 32
        summary, log = submit(tiny, folder, workers=2)
        assert not summary.failures
        assert not done & {cell.id for given in log.tasks for cell in given.cells}
        there = {given.weights for given in log.tasks if given.stage == "train"}
        assert not any(f"{weights}.safetensors" in path for weights in there for path in whole)
        assert 0 < summary.tasks_run < 10
        after = contents(folder, *KEPT)
        assert {path: after[path] for path in whole} == whole
        assert_equal_runs(folder, undisturbed)

    def test_an_interrupt_ends_with_one_sentence_and_130(self, undisturbed, tmp_path, start, ray_folder):
        folder = tmp_path / "store"
        process = start(folder, "--workers", "1")
        wait_for(process, lambda: any((folder / "models").glob("[!.]*.json")))
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err.endswith("Interrupted: what was finished is kept; run the same command again to go on.\n")
        assert "Traceback" not in err
        assert any((folder / "models").glob("*.json"))
        assert not list(folder.rglob(".*.parquet")) + list(folder.rglob(".*.safetensors"))

    def test_a_sticker_over_the_planted_cause_hurts_and_elsewhere_it_does_not(self, tmp_path, ray_folder):
        gray = str(picture(tmp_path / "gray.png", (128, 128, 128, 255)))
        nothing = str(picture(tmp_path / "nothing.png", (0, 0, 0, 0)))
        demo = jobs.read(Path(__file__).parents[1] / "jobs" / "demo.toml")
        (small,) = [settings for settings in demo.models if settings.label == "mmnet-small"]
        small = dataclasses.replace(small, epochs=12)
        attack = dataclasses.replace(
            demo.attacks[0],
            stickers=(gray, nothing),
            placements=("region/glabella", "region/mouth-corner-right"),
        )
        job = dataclasses.replace(
            demo,
            models=(small,),
            attacks=(attack,),
            corpora=(dataclasses.replace(demo.corpora[0], folds=6),),
            discovery=dataclasses.replace(demo.discovery, bootstraps=0),
        )
        summary, log = submit(job, tmp_path / "store", workers=2)
        assert not summary.failures
        found = rows(tmp_path / "store", log.laid_out).with_columns(
            true_positive=pl.col("attacked_pred") == pl.col("label"), clean=pl.col("clean_pred") == pl.col("label")
        )
        one = found.filter((pl.col("sticker") == "gray.png") & (pl.col("placement") == "region/glabella"))
        other = found.filter((pl.col("sticker") == "gray.png") & (pl.col("placement") == "region/mouth-corner-right"))
        assert one.height == other.height == 36
        assert one["clean"].mean() >= 0.8
        assert one["label"].value_counts()["count"].max() <= 0.5 * one.height
        # The margin: 5 % of the clips. Measured here: 0.81 against 0.94; another processor trains a little differently.
        assert one["true_positive"].mean() <= other["true_positive"].mean() - 0.05
        still = found.filter(pl.col("sticker") == "nothing.png")
        assert still["clean_pred"].to_list() == still["attacked_pred"].to_list()
        assert still["attacked_score"].to_numpy() == pytest.approx(still["clean_score"].to_numpy(), abs=1e-5)


def test_discovery_finds_the_planted_cause_more_often_than_chance(orl_motion):
    settings = DiscoverySettings(bootstraps=20)
    graphs = [
        causal.discover_fold(
            orl_motion, fold.train, settings, seed=identity.seed_of(identity.of_graph(orl_motion, fold, settings))
        )
        for fold in folds.loso(orl_motion.clips)
    ]
    rate = np.mean([graph.winner == "glabella" for graph in graphs])
    assert len(graphs) == 30
    assert rate >= 0.3  # chance is 1/14
