"""Killed, starved and cut off: whatever happens to a run on a cluster of several nodes, its tables are the same."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import NO_SERVER, command
from faults.crash_points import RUNS, WANTED, drawn, kind
from faults.injection import HARMLESS, STEPS, Plan

from austicker import grid, plan, results, submission, training
from austicker import job as jobs
from austicker.grid import flights, pace
from austicker.grid.queue import ATTEMPTS
from austicker.report.formats import to_csv
from austicker.report.gather import gather
from austicker.report.writing import tables_of
from austicker.store import Store, layout
from austicker.types import Verdict

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray's own nodes leave their pipes to the collector
]

JOB = """
name = "faults"
corpora = [{ name = "orl-motion", folds = 4 }]
discovery = { bootstraps = 2 }

[[models]]
name = "mmnet"
label = "longer"
width = 0.0625
input_px = 32
epochs = 2

[[models]]
name = "mmnet"
label = "shorter"
width = 0.0625
input_px = 32
epochs = 1

[[attacks]]
stickers = ["monkey"]
placements = ["causal", "random/1", "chin"]

[[attacks]]
name = "random"
stickers = ["star"]
settings = { draws = 3, population = 2 }

[[attacks]]
name = "rhde"
stickers = ["star"]
budget = 6
settings = { population = 5, iterations = 1 }

[[attacks]]
name = "dense"
stickers = ["star"]
settings = { stride = 0.5 }
"""
ATTACKS = ("sticker", "random", "rhde", "dense")
CELLS, ROWS = 4 * 2 * 6, 4 * 2 * 6 * 6
TASKS = 4 + 4 * 2 + 4 * 2 * len(ATTACKS)
"""Graphs, trainings, and the attacks on what was trained."""
TABLES = ("asr", "queries")
LONG_S = 300.0
"""A command that takes longer hangs."""
LEAVING_S = 10.0
"""What a command may take to end after a signal."""
INTERRUPTED = "Interrupted: what was finished is kept; run the same command again to go on.\n"


def digest(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()


def written_tables(folder: Path) -> str:
    """The digest of the tables that a report wrote."""
    return digest(*((folder / "report" / f"{name}.csv").read_bytes() for name in TABLES))


def tables(store: Store) -> str:
    """The digest of the tables that a report of the store would write now."""
    sheets = tables_of(*gather(store))
    return digest(*(to_csv(sheets[name].table).encode() for name in TABLES))


def worked(store: Store) -> list[str]:
    """What workers wrote."""
    return [key for part in (layout.TIMES, layout.MODELS, layout.GRAPHS, layout.VERDICTS) for key in store.keys(part)]


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.is_file()]


def wait_until(ready: Callable[[], object], process: subprocess.Popen | None = None, seconds: float = LONG_S) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """A job, and what a run of it gave to which nothing happened."""

    file: Path
    job: jobs.Job
    folder: Path
    laid_out: plan.Plan
    tables: str
    shown: int
    """Clips that the recognisers were shown, counted at their networks."""

    def submit(self, store: Store | Path, site: grid.Site, told: list[grid.Outcome] | None = None):
        ended = (lambda outcome: None) if told is None else told.append
        watch = submission.Watch(
            found=lambda *_: None,
            corpus=lambda *_: None,
            started=lambda *_: None,
            ended=ended,
            moved=lambda snapshot: None,
        )
        return submission.submit(self.job, store if isinstance(store, Store) else Store(store), watch, site)

    def files(self) -> list[str]:
        return worked(Store(self.folder))

    def repeatable(self) -> list[str]:
        """The files of which every run writes the same bytes: no clock is in them."""
        return [key for key in self.files() if not key.startswith(layout.TIMES)]

    def assert_equals(self, place: Store | Path) -> None:
        """No verdict is lost, none is there twice, the query ledger is right, and the tables are the same."""
        store = place if isinstance(place, Store) else Store(place)
        found, expected = self.verdicts(store), self.verdicts(Store(self.folder))
        assert found.height == ROWS
        assert not found.select("cell", "clip").is_duplicated().any()
        exact = pl.exclude("clean_score", "attacked_score", "answers")
        assert found.select(exact).equals(expected.select(exact))
        assert found["answers"].list.len().equals(expected["answers"].list.len())
        mapped = (rows["answers"].drop_nulls().explode().to_numpy() for rows in (found, expected))
        np.testing.assert_allclose(*mapped, atol=1e-5)
        for score in ("clean_score", "attacked_score"):
            assert found[score].to_numpy() == pytest.approx(expected[score].to_numpy(), abs=1e-5)
        assert tables(store) == self.tables

    def verdicts(self, store: Store) -> pl.DataFrame:
        return results.read_verdicts(store, self.laid_out.cells)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, orl_motion) -> Undisturbed:
    """The run that every other one is compared with: without Ray, each shard whole."""
    import torch

    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "faults.toml"
    file.write_text(JOB)
    job = jobs.read(file)
    shown = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal shown
        if type(module).__module__ == "austicker.models.mmnet" and not module.training and inputs[0].ndim == 5:
            shown += len(inputs[0])

    laid_out = plan.expand(job)
    whole = Undisturbed(file=file, job=job, folder=folder / "store", laid_out=laid_out, tables="", shown=0)
    hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        summary = whole.submit(whole.folder, grid.Site(workers=0))
    finally:
        hook.remove()
    assert (summary.cells_done, summary.tasks_run, summary.failures) == (CELLS, TASKS, ())
    return dataclasses.replace(whole, tables=tables(Store(whole.folder)), shown=shown)


@pytest.fixture(scope="module")
def faults(tmp_path_factory) -> Plan:
    return Plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="module")
def cluster(faults, object_server) -> Iterator[grid.Site]:
    """A head without task slots and two workers of one core each, all of whose processes can be made to fail."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (injected(faults) | object_server.environment).items():
            patch.setenv(name, value)
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            nodes.add_node(num_cpus=1)
    yield grid.Site(address=nodes.address, trust="network")  # Ray gives the nodes this machine's outer address
    nodes.shutdown()


def injected(faults: Plan) -> dict[str, str]:
    """The settings by which a process takes part in a plan of faults."""
    places = [str(Path(__file__).with_name("faults")), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, places)), "AUSTICKER_FAULTS": str(faults.folder)}


@pytest.fixture
def start(undisturbed, faults) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts `austicker-grid submit` in a process group of its own, which does not outlive the test."""
    running: list[subprocess.Popen] = []

    def begin(store: object, *options: object, **settings: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [command(), "submit", undisturbed.file, "--store", str(store), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"MLFLOW_TRACKING_URI": NO_SERVER} | injected(faults) | settings,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def on(site: grid.Site) -> tuple[object, ...]:
    return "--address", site.address, "--insecure-cluster"


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "verdicts").glob("*/[!.]*.parquet"))


def shard_key(shard: plan.Shard, attack: str = "sticker") -> str:
    """Where the part of an attack lies that was not cut."""
    return layout.part(shard.corpus, results.part_name(cell.id for cell in shard.attacks[attack]))


# Killed at every step of every commit.


@pytest.fixture
def one_cell_a_part(monkeypatch):
    """Cuts every shard into its cells, so that there are many parts, whose names are known before."""
    monkeypatch.setattr(pace, "PROBE_ROWS", 1)
    monkeypatch.setattr(pace, "TARGET_S", 1e-9)


@pytest.fixture(scope="module")
def commits(undisturbed) -> dict[str, str]:
    """Every file that workers commit in a run in which each cell is a part, and its kind: of verdicts, the attack."""
    cells = [cell for shard in undisturbed.laid_out.shards for cell in shard.cells]
    there = {key: kind(key) for key in undisturbed.files() if not key.startswith(layout.VERDICTS)}
    return there | {layout.part(cell.corpus, results.part_name([cell.id])): cell.attack for cell in cells}


def test_the_recognisers_were_shown_what_the_verdicts_say(undisturbed):
    found = undisturbed.verdicts(Store(undisturbed.folder))
    clean = sum(len(shard.fold.test) * len(shard.attacks) for shard in undisturbed.laid_out.shards)
    trained = {shard.weights: shard.fold.train for shard in undisturbed.laid_out.shards}
    timed = sum(1 + min(training.CHUNK, len(train)) for train in trained.values())  # a warm look, then some clips
    assert (found["unique"] + found["repeated"]).sum() == undisturbed.shown - clean - timed > 200
    assert (found["queries"] == found["unique"] + found["repeated"] + found["cached"]).all()
    assert found["clean_pred"].n_unique() > 1
    assert found["attacked_score"].n_unique() > ROWS / 2
    for attack in ATTACKS[1:]:  # else these searches would be no more than stickers
        assert found.filter(found["attack"] == attack)["queries"].max() > 1
        assert (found.filter(found["attack"] == attack)["success_at"] > 0).any()


def test_the_points_cover_every_step_of_every_kind_of_file(commits):
    points = [point for run in drawn(commits) for point in run]
    assert len(points) >= WANTED
    assert {(commits[key], step) for key, step in points} == {
        (name, step) for name in commits.values() for step in STEPS
    }
    assert set(ATTACKS) < set(commits.values())
    assert drawn(commits) == drawn(dict(reversed(commits.items())))


@pytest.mark.usefixtures("one_cell_a_part")
def test_every_step_of_every_commit_is_seen(undisturbed, cluster, faults, commits, tmp_path):
    """Else the points below would be points of nothing."""
    faults.arm(tmp_path)
    undisturbed.submit(tmp_path, cluster)
    undisturbed.assert_equals(tmp_path)
    steps: dict[str, list[str]] = {}
    for _, key, step in faults.log():
        steps.setdefault(key, []).append(step)
    assert steps == {key: list(STEPS) for key in commits}


@pytest.mark.usefixtures("one_cell_a_part")
@pytest.mark.parametrize("run", range(RUNS))
def test_workers_killed_while_they_commit_lose_and_double_nothing(undisturbed, cluster, faults, commits, tmp_path, run):
    points, told = drawn(commits)[run], []
    faults.arm(tmp_path, points)
    summary = undisturbed.submit(tmp_path, cluster, told)
    assert faults.fired() == sorted(f"{key}@{step}" for key, step in points)
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    undisturbed.assert_equals(tmp_path)
    for key in set(commits) & set(undisturbed.repeatable()):
        assert Store(tmp_path).read(key) == Store(undisturbed.folder).read(key), key
    # The driver's own ledger: what was done counts once, however often it was begun.
    assert sum(outcome.tally.rows for outcome in told) == ROWS
    assert sum(outcome.tally.queries for outcome in told) == undisturbed.verdicts(Store(tmp_path))["queries"].sum()
    begun = Counter(key for _, key, step in faults.log() if step == STEPS[0])
    assert set(begun) == set(commits)
    # Nothing is begun again that its own point did not undo, but for the times that go before each try of a training.
    again = sum(count - 1 for key, count in begun.items() if not key.startswith(layout.TIMES))
    assert again <= sum(step not in HARMLESS for _, step in points)
    # What the dead left behind is no result, and no more than one file each.
    assert len(drafts(tmp_path)) <= len(points)
    assert set(worked(Store(tmp_path))) == set(commits)


# The driver dies, or is told to end.


@pytest.mark.parametrize("seed", [1])
def test_a_driver_killed_again_and_again_gets_to_the_same_end(undisturbed, cluster, faults, start, tmp_path, seed):
    """At its own commits, at the n-th part that appears, and while it resumes; a worker dies under the last of them."""
    generator = random.Random(seed)
    (corpus,) = undisturbed.laid_out.corpora.values()
    at_first = [(key, generator.choice(STEPS)) for key in (layout.JOB, layout.PROGRESS)]
    at_first.append(
        (layout.corpus(corpus.fingerprint, "00000.arrow"), generator.choice(["unbegun", "empty", "forced"]))
    )
    at_last = [(key, generator.choice(STEPS)) for key in (layout.report("asr.csv"), layout.PAGE)]
    worker = (shard_key(undisturbed.laid_out.shards[-1]), "torn")
    faults.arm(tmp_path, [*at_first, worker, *at_last])
    for _ in at_first:
        assert ended(start(tmp_path, *on(cluster))) == -signal.SIGKILL
    for number in sorted(generator.sample(range(1, 7), 2)):
        running = start(tmp_path, *on(cluster))
        wait_until(lambda number=number: len(parts(tmp_path)) >= number, running)
        running.kill()
        assert ended(running) == -signal.SIGKILL
    for _ in at_last:
        assert ended(start(tmp_path, *on(cluster))) == -signal.SIGKILL
    last = start(tmp_path, *on(cluster))
    out, err = last.communicate(timeout=LONG_S)
    assert (last.returncode, out.splitlines()[0]) == (0, f"{CELLS} of {CELLS} cells done, 0 tasks run, 0 failed"), err
    assert len(faults.fired()) == len(at_first) + 1 + len(at_last)
    assert written_tables(tmp_path) == undisturbed.tables
    undisturbed.assert_equals(tmp_path)


def ended(process: subprocess.Popen) -> int:
    process.communicate(timeout=LONG_S)
    return process.returncode


@pytest.mark.parametrize("where", ["given", "private"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_time_with_one_sentence(
    undisturbed, cluster, faults, start, tmp_path, number, status, where
):
    """One task in flight never ends by itself, the others may."""
    held = (shard_key(undisturbed.laid_out.shards[0]), "written")
    faults.arm(tmp_path, holds=[held])
    running = start(tmp_path, *(on(cluster) if where == "given" else ("--workers", 2)))
    wait_until(lambda: faults.fired() and parts(tmp_path), running)
    sent = time.monotonic()
    os.kill(running.pid, number)
    out, err = running.communicate(timeout=LONG_S)
    assert time.monotonic() - sent < LEAVING_S
    said = [line for line in err.splitlines(keepends=True) if not re.match(r"\d+ of \d+ cells, ", line)]
    assert (running.returncode, out, said) == (status, "", [INTERRUPTED])
    wait_until(lambda: not drafts(tmp_path), seconds=10)
    kept = {path: path.stat().st_mtime_ns for path in parts(tmp_path)}
    assert 0 < len(kept) < len(parts(undisturbed.folder))
    summary = undisturbed.submit(tmp_path, grid.Site(workers=0))
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    undisturbed.assert_equals(tmp_path)


# A store that is full, or away.


def test_a_full_store_is_one_sentence_and_the_same_command_goes_on_later(undisturbed, cluster, faults, start, tmp_path):
    faults.arm(tmp_path, holds=[(shard_key(undisturbed.laid_out.shards[3]), "unbegun")])
    running = start(tmp_path, *on(cluster))
    wait_until(lambda: faults.fired() and parts(tmp_path), running)
    faults.refuse(errno.ENOSPC, ["write"])
    faults.let_go()
    out, err = running.communicate(timeout=LONG_S)
    assert running.returncode != 0
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert out == ""
    assert err.splitlines()[-1].startswith("Error: ")
    wait_until(lambda: not drafts(tmp_path), seconds=10)
    faults.allow()
    again = start(tmp_path, *on(cluster))
    out, err = again.communicate(timeout=LONG_S)
    assert (again.returncode, out.splitlines()[0].partition(",")[0]) == (0, f"{CELLS} of {CELLS} cells done"), err
    undisturbed.assert_equals(tmp_path)
    assert written_tables(tmp_path) == undisturbed.tables


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT], ids=errno.errorcode.get)
def test_a_store_that_is_away_for_a_while_is_waited_for(undisturbed, cluster, faults, tmp_path, number):
    """Every call on it fails, in the workers as in the driver, until several processes have met that."""
    faults.arm(tmp_path, holds=[(shard_key(undisturbed.laid_out.shards[3]), "unbegun")])

    def away() -> None:
        wait_until(faults.fired)
        faults.refuse(number)
        faults.let_go()
        wait_until(lambda: len([step for *_, step in faults.log() if step == "refused"]) > 4)
        faults.allow()

    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(away)
        summary = undisturbed.submit(tmp_path, cluster)
        server.result()
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    undisturbed.assert_equals(tmp_path)
    assert not drafts(tmp_path)


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_an_object_store_that_stops_and_comes_back_is_waited_for(undisturbed, cluster, bucket, how):
    store = Store(bucket.address(f"faults/{secrets.token_hex(4)}"))

    def away() -> None:
        wait_until(lambda: store.keys(layout.MODELS))
        if how == signal.SIGSTOP:
            os.killpg(bucket._process.pid, signal.SIGSTOP)
            time.sleep(3)  # nothing tells how many wait
        bucket.stop()
        bucket.start()

    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(away)
        summary = undisturbed.submit(store, cluster)
        server.result()
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    undisturbed.assert_equals(store)


# What lies in the store is not what was written.


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def silently_flipped(content: bytes) -> bytes:
    """A part with a bit the other way that only a page's checksum tells: it can be read, and says other things."""
    whole = pq.read_table(pa.BufferReader(content))
    for place in range(4, len(content)):
        damaged = flipped(content, place)
        with suppress(OSError, ValueError, pa.ArrowException):
            if not pq.read_table(pa.BufferReader(damaged)).equals(whole):
                return damaged
    raise AssertionError("no such bit")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-9],
    "a bit of a page": silently_flipped,
    "a bit of the footer": lambda content: flipped(content, content.index(b"austicker.cells") + 30),
    "empty": lambda content: b"",
    "of zeros": lambda content: bytes(len(content)),
    "foreign": lambda content: b"PAR1 said somebody else",
}


def test_torn_and_damaged_files_are_made_again(undisturbed, faults, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed.folder, folder)
    ours = sorted(folder / shard_key(shard) for shard in undisturbed.laid_out.shards)
    damaged = dict(zip(ours, DAMAGE.items(), strict=False))
    assert len(damaged) == len(DAMAGE) < len(parts(folder))
    for path, (_, damage) in damaged.items():
        path.write_bytes(damage(path.read_bytes()))
    lost = [shard for shard in undisturbed.laid_out.shards if folder / shard_key(shard) in damaged]
    for shard, name in zip(lost, DAMAGE, strict=True):
        for key in (layout.weights(shard.weights), layout.graph(shard.graph)):
            content = (undisturbed.folder / key).read_bytes()
            (folder / key).write_bytes(flipped(content, -9) if "a bit" in name else DAMAGE[name](content))
    (parts(folder)[0].parent / "notes.parquet").write_text("no part")
    told: list[grid.Outcome] = []
    summary = undisturbed.submit(folder, grid.Site(workers=0), told)
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    assert sorted(outcome.task.fold + outcome.task.model for outcome in told) == sorted(
        shard.fold.name + shard.settings.label for shard in lost
    )
    undisturbed.assert_equals(folder)
    for key in undisturbed.repeatable():
        assert (folder / key).read_bytes() == (undisturbed.folder / key).read_bytes(), key


def test_drafts_of_the_dead_go_a_day_later_and_younger_ones_stay(undisturbed, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed.folder, folder)
    names = [".0123456789abcdef.parquet.abc123_x.parquet", ".0123.json.x_y_z_12.json", ".nfs000000001", ".hidden"]
    for name in names:
        for age in ("old", "new"):
            path = folder / "models" / age / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("half of i")
            if age == "old":
                os.utime(path, (time.time() - 90_000,) * 2)
    undisturbed.submit(folder, grid.Site(workers=0))
    left = {path.relative_to(folder / "models").as_posix() for path in drafts(folder)}
    assert left == {f"new/{name}" for name in names} | {f"old/{name}" for name in names[2:]}


# Twice.


def test_a_task_done_by_two_workers_at_once_counts_once(undisturbed, cluster, faults, tmp_path, monkeypatch):
    """The first one is held before it commits, and a second one that was sent after it overtakes it."""
    monkeypatch.setattr(flights, "STRAGGLES_S", 0.5)
    monkeypatch.setattr(flights, "STRAGGLES", 0.0)
    key = shard_key(undisturbed.laid_out.shards[2])
    faults.arm(tmp_path, holds=[(key, "forced")])

    def overtake() -> None:
        wait_until(lambda: len(begun_by(faults, key)) == 2)
        wait_until((tmp_path / key).exists)
        faults.let_go()

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(overtake)
        summary = undisturbed.submit(tmp_path, cluster)
        second.result()
    assert (summary.cells_done, summary.failures) == (CELLS, ())
    undisturbed.assert_equals(tmp_path)


def begun_by(faults: Plan, key: str) -> set[int]:
    return {process for process, other, step in faults.log() if (other, step) == (key, STEPS[0])}


def test_two_drivers_on_one_store_count_once(undisturbed, cluster, faults, start, tmp_path):
    """Weights of the one are held before they get their name until the other's are there."""
    key = layout.weights(undisturbed.laid_out.shards[0].weights)
    faults.arm(tmp_path, holds=[(key, "forced")])
    both = [start(tmp_path, *on(cluster)) for _ in range(2)]
    wait_until(lambda: faults.fired() and (tmp_path / key).exists())
    faults.let_go()
    for process in both:
        out, err = process.communicate(timeout=LONG_S)
        assert (process.returncode, out.splitlines()[0].partition(",")[0]) == (0, f"{CELLS} of {CELLS} cells done"), err
    undisturbed.assert_equals(tmp_path)
    assert written_tables(tmp_path) == undisturbed.tables
    assert not drafts(tmp_path)


def test_cells_in_two_parts_that_were_cut_differently_count_once(undisturbed, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(undisturbed.folder, folder)
    first, second = (shard.cells for shard in undisturbed.laid_out.shards[:2])
    rows = undisturbed.verdicts(Store(folder))
    for cells in (first[:2], first[1:4], (*first[4:], *second[:3])):
        names = [cell.id for cell in cells]
        verdicts = [Verdict(**row) for row in rows.filter(pl.col("cell").is_in(names)).iter_rows(named=True)]
        results.write_part(Store(folder), cells[0].corpus, names, verdicts)
    copy = parts(undisturbed.folder)[0]
    shutil.copy(copy, folder / "verdicts" / "orl-motion" / f"{'0' * 16}.parquet")
    undisturbed.assert_equals(folder)
    assert undisturbed.submit(folder, grid.Site(workers=0)).tasks_run == 0


# Lost on the way, or never to be done.


def test_an_answer_that_is_lost_before_it_is_fetched_is_asked_for_again(
    undisturbed, cluster, faults, tmp_path, monkeypatch
):
    """As Ray tells of it: answers of a few cells travel with the message and cannot be lost for real."""
    import ray

    real, lost = ray.get, []

    def get(reference: ray.ObjectRef) -> object:
        if len(lost) < 3:
            lost.append(reference)
            raise ray.exceptions.ObjectLostError(reference.hex(), None, "")
        return real(reference)

    faults.arm(tmp_path)
    monkeypatch.setattr(ray, "get", get)
    told: list[grid.Outcome] = []
    summary = undisturbed.submit(tmp_path, cluster, told)
    assert (len(lost), summary.cells_done, summary.failures) == (3, CELLS, ())
    assert sum(outcome.attempts - 1 for outcome in told) == 3
    begun = Counter(key for _, key, step in faults.log() if step == STEPS[0])
    assert begun.total() == len(begun)  # what was lost had been committed
    undisturbed.assert_equals(tmp_path)


def test_poison_is_set_aside_by_name_and_the_rest_is_finished(undisturbed, cluster, faults, start, tmp_path):
    shards = undisturbed.laid_out.shards
    poison, trained = shards[2], shards[5]
    faults.arm(tmp_path, always=[(shard_key(poison), "torn"), (layout.weights(trained.weights), "forced")])
    running = start(tmp_path, *on(cluster))
    out, err = running.communicate(timeout=LONG_S)
    lost = [cell.id for cell in (*poison.attacks["sticker"], *trained.cells)]
    failed = 1 + 1 + len(ATTACKS)  # the poison, the training, and what waited for it
    assert running.returncode == 1, err
    assert out.splitlines()[0] == f"{CELLS - len(lost)} of {CELLS} cells done, {TASKS} tasks run, {failed} failed", err
    failures = Store(tmp_path).failures()
    assert sorted(cell for failure in failures for cell in failure["cells"]) == sorted(lost)
    assert sum("WorkerCrashedError" in failure["error"] for failure in failures) == 2
    assert f"{CELLS - len(lost)} of {CELLS}" in (tmp_path / layout.PAGE).read_text()
    deaths = Counter(key for _, key, step in faults.log() if (key, step) == (shard_key(poison), "torn"))
    assert deaths.total() <= ATTEMPTS + 1
    assert set(undisturbed.verdicts(Store(tmp_path))["cell"]) == undisturbed.laid_out.cells - set(lost)
    faults.arm(tmp_path)
    summary = undisturbed.submit(tmp_path, cluster)
    assert (summary.cells_done, summary.tasks_run, summary.failures) == (CELLS, failed, ())
    assert Store(tmp_path).failures() == []
    undisturbed.assert_equals(tmp_path)
