"""The command line on a real Ray cluster of several nodes, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest
from conftest import NO_SERVER, command

from austicker import results
from austicker.corpora import packed
from austicker.store import Store, layout

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray's own nodes leave their pipes to the collector
]

JOB = """
name = "nodes"
corpora = [{ name = "orl-motion", folds = 4 }]
discovery = { bootstraps = 2 }

[[models]]
name = "mmnet"
width = 0.0625
input_px = 32
epochs = 8

[[attacks]]
stickers = ["star"]
placements = ["causal", "random/1", "chin"]
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory, orl_motion) -> Path:
    path = tmp_path_factory.mktemp("job") / "nodes.toml"
    path.write_text(JOB)
    return path


@pytest.fixture
def cluster():
    """A head without task slots and two workers of one core each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes.workers = [nodes.add_node(num_cpus=1) for _ in range(2)]
    yield nodes
    nodes.shutdown()


def start(*arguments: object, **settings: str) -> subprocess.Popen:
    return subprocess.Popen(
        [command(), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": NO_SERVER} | settings,
    )


def verdicts(folder: Path) -> pl.DataFrame:
    store = Store(folder)
    return results.read_verdicts(store, frozenset(store.read_json(layout.JOB)["cells"]))


def wait_for(folder: Path, pattern: str, process: subprocess.Popen) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def same(a: pl.DataFrame, b: pl.DataFrame) -> bool:
    scores = ["clean_score", "attacked_score"]
    near = all((a[name] - b[name]).abs().max() < 1e-5 for name in scores)
    return near and a.drop(scores).equals(b.drop(scores))


def test_a_killed_node_loses_nothing(cluster, job, tmp_path):
    alone = start("submit", job, "--store", tmp_path / "alone", "--workers", 0)
    assert alone.communicate(timeout=120)[0].startswith("12 of 12 cells done")
    running = start("submit", job, "--store", tmp_path / "nodes", "--address", cluster.address, "--insecure-cluster")
    wait_for(tmp_path / "nodes", "models/*.json", running)
    cluster.remove_node(cluster.workers[0], allow_graceful=False)
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, err
    assert "12 of 12 cells done" in out
    assert same(verdicts(tmp_path / "nodes"), verdicts(tmp_path / "alone"))


def test_run_uses_the_cluster_that_it_is_part_of(cluster, job, tmp_path):
    """Also where a token for other clusters lies ready, which this open one does not know."""
    (tmp_path / "home" / ".ray").mkdir(parents=True)
    (tmp_path / "home" / ".ray" / "auth_token").write_text("0" * 64)
    settings = {
        "RAY_ADDRESS": cluster.address,
        "HOME": str(tmp_path / "home"),
        "AUSTICKER_CACHE": str(packed.cache_folder().parent),
    }
    inside = start("run", job, "--store", tmp_path / "inside", "--insecure-cluster", **settings)
    out, err = inside.communicate(timeout=240)
    assert inside.returncode == 0, err
    assert "12 of 12 cells done, 12 tasks run, 0 failed" in out
    assert len(verdicts(tmp_path / "inside")) == 4 * 6 * 3
