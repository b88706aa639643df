"""Whole jobs on an object store through the command line: the same ids, verdicts and tables as in a folder."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import polars as pl
import pytest
from conftest import NO_SERVER
from test_grid import JOB, picture

from austicker import results
from austicker.store import Store, layout

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def job(tmp_path_factory, orl_motion) -> Path:
    folder = tmp_path_factory.mktemp("job")
    picture(folder / "nothing.png", (255, 0, 0, 0))
    (folder / "tiny.toml").write_text(JOB)
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def in_folder(job, cli_apart, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("near") / "store"
    assert cli_apart("submit", job, "--store", folder, "--workers", 0, MLFLOW_TRACKING_URI=NO_SERVER).status == 0
    return folder


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def in_bucket(job, cli_apart, object_server, mlflow):
    """The address of a finished store and what the command said."""
    address = object_server.address("runs/tiny")
    settings = object_server.environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{mlflow}/mlflow.db"}
    return address, cli_apart("submit", job, "--store", address, "--workers", 0, **settings)


def said(answer) -> list[str]:
    """Returns what a command wrote to standard error beside the lines that tell its progress."""
    return [line for line in answer.err.splitlines() if not re.match(r"\d+ of 32 cells, ", line)]


def verdicts(store: Store) -> pl.DataFrame:
    return results.read_verdicts(store, frozenset(store.read_json(layout.JOB)["cells"]))


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read(key) for key in store.keys("")}


def assert_equal_stores(one: Store, other: Store) -> None:
    a, b = verdicts(one), verdicts(other)
    exact = pl.exclude("clean_score", "attacked_score")
    assert a.height == 32 * 6
    assert a.select(exact).equals(b.select(exact))
    for score in ("clean_score", "attacked_score"):
        assert (a[score] - b[score]).abs().max() < 1e-5
    for prefix in (layout.MODELS, layout.GRAPHS):
        assert [(key, one.read(key)) for key in one.keys(prefix)] == [
            (key, other.read(key)) for key in other.keys(prefix)
        ]
    assert one.keys(layout.REPORT) == other.keys(layout.REPORT)
    for name in ("asr.csv", "table_1.csv", "queries.csv", "comparisons.csv", "discovery.csv"):
        assert one.read(layout.report(name)) == other.read(layout.report(name))


def test_a_run_is_quiet_and_names_its_page(in_bucket):
    _, answer = in_bucket
    assert (answer.status, said(answer)) == (0, [])
    assert answer.out == (
        "32 of 32 cells done, 10 tasks run, 0 failed\nreport: s3://evaluation/runs/tiny/report/index.html\n"
    )


def test_it_equals_the_run_in_a_folder(in_bucket, in_folder, bucket):
    there, here = Store(in_bucket[0]), Store(in_folder)
    assert_equal_stores(there, here)
    records = [store.read_json(layout.JOB) for store in (there, here)]
    for key in ("job", "cells", "corpora", "graphs", "weights"):
        assert records[0][key] == records[1][key]


def test_nothing_is_left_to_do(in_bucket, job, bucket, cli_apart):
    address, _ = in_bucket
    before = contents(Store(address))
    answer = cli_apart("submit", job, "--store", address, "--workers", 0, "--json", MLFLOW_TRACKING_URI=NO_SERVER)
    record = json.loads(answer.out)
    assert (answer.status, answer.err) == (0, "")
    assert (record["tasks_run"], record["cells_done"], record["store"]) == (0, 32, "s3://evaluation/runs/tiny")
    assert contents(Store(address)) == before
    plan = json.loads(cli_apart("plan", job, "--store", address, "--json").out)
    assert (plan["cells"], plan["cells to do"], plan["trainings to do"]) == (32, 0, 0)


def test_status_and_report_read_it(in_bucket, bucket, cli_apart):
    address, _ = in_bucket
    answer = cli_apart("status", address, "--json")
    assert (answer.status, answer.err) == (0, "")
    record = json.loads(answer.out)
    assert (record["job"], record["models"], record["graphs"], record["failures"]) == ("tiny", 4, 2, [])
    store = Store(address)
    page, table = store.read(layout.PAGE), store.read(layout.report("asr.csv"))
    store.remove(layout.PAGE)
    answer = cli_apart("report", address)
    assert (answer.status, answer.out, answer.err) == (0, f"{store.shown(layout.PAGE)}\n", "")
    assert len(store.read(layout.PAGE)) == len(page)
    assert store.read(layout.report("asr.csv")) == table


def test_a_secret_is_nowhere(in_bucket, object_server, bucket, mlflow):
    address, answer = in_bucket
    secret = object_server.secret.encode()
    assert len(contents(Store(address))) > 50
    tracked = [path for path in mlflow.rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in tracked)
    assert any(path.name == "index.html" for path in tracked)
    for content in (*contents(Store(address)).values(), *(path.read_bytes() for path in tracked)):
        assert secret not in content
    assert object_server.secret not in answer.out + answer.err


def test_without_a_server_for_mlflow_one_sentence_says_so(in_bucket, job, bucket, cli_apart):
    address, _ = in_bucket
    lost = next(key for key in Store(address).keys(layout.VERDICTS))
    Store(address).remove(lost)
    answer = cli_apart("submit", job, "--store", address, "--workers", 0, MLFLOW_TRACKING_URI=None)
    assert answer.status == 0
    assert said(answer) == [
        "MLflow keeps no file in an object store: name a server by MLFLOW_TRACKING_URI to mirror results there."
    ]


def test_damaged_and_lost_objects_are_made_again(in_bucket, in_folder, job, bucket, cli_apart):
    store = Store(in_bucket[0])
    torn, flipped, *_ = store.keys(layout.VERDICTS)
    content = store.read(flipped)
    place = content.index(b"austicker.cells") + 30
    store.write(torn, store.read(torn)[:-100])
    store.write(flipped, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    for key in store.keys(layout.MODELS):
        store.write(key, store.read(key)[:-1])
    for key in store.keys(layout.GRAPHS):
        store.remove(key)
    settings = {"MLFLOW_TRACKING_URI": NO_SERVER}
    answer = cli_apart("submit", job, "--store", in_bucket[0], "--workers", 0, "--json", **settings)
    record = json.loads(answer.out)
    assert (answer.status, record["cells_done"], record["failures"]) == (0, 32, [])
    assert store.keys(layout.VERDICTS) == Store(in_folder).keys(layout.VERDICTS)
    assert_equal_verdicts(store, Store(in_folder))


def assert_equal_verdicts(one: Store, other: Store) -> None:
    columns = pl.exclude("clean_score", "attacked_score")
    assert verdicts(one).select(columns).equals(verdicts(other).select(columns))


@pytest.mark.parametrize("verb", ["submit", "plan", "status", "report"])
@pytest.mark.parametrize("fault", ["no such bucket", "wrong secret", "no server", "credentials in the address"])
def test_a_store_that_cannot_be_had_is_one_sentence(object_server, job, cli_apart, verb, fault):
    settings = object_server.environment
    address = object_server.address("x", bucket="nowhere" if fault == "no such bucket" else "evaluation")
    if fault == "wrong secret":
        settings["AWS_SECRET_ACCESS_KEY"] = "hunter2"
    elif fault == "no server":
        address = "s3://evaluation/x?endpoint_override=127.0.0.1:9&scheme=http"
    elif fault == "credentials in the address":
        address = address.replace("s3://", "s3://tests:hunter2@")
    start = time.monotonic()
    words = [verb, address] if verb in ("status", "report") else [verb, job, "--store", address]
    answer = cli_apart(*words, **settings)
    assert time.monotonic() - start < 20
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert "hunter2" not in answer.err


def test_an_address_that_holds_something_else_is_refused_and_stays(bucket, job, cli_apart):
    store = Store(bucket.address("letters"))
    store.write("letter.txt", b"Dear reader,")
    answer = cli_apart("submit", job, "--store", store.address)
    assert (answer.status, answer.out) == (2, "")
    assert "is not empty and holds no job" in answer.err
    assert contents(store) == {"letter.txt": b"Dear reader,"}


@pytest.mark.cluster
def test_workers_of_a_private_cluster_use_it_and_end_quietly(in_folder, job, bucket, cli_apart):
    address = bucket.address("runs/far")
    settings = {"MLFLOW_TRACKING_URI": NO_SERVER}
    answer = cli_apart("submit", job, "--store", address, "--workers", 2, timeout=240, **settings)
    assert answer.status == 0
    assert answer.out.startswith("32 of 32 cells done, 10 tasks run, 0 failed\n")
    assert [line for line in said(answer) if not line.startswith("MLflow at")] == []
    assert_equal_stores(Store(address), Store(in_folder))
    assert Store(address).keys(layout.CORPORA) == []


@pytest.fixture
def cluster(bucket, tmp_path, monkeypatch):
    """A node of two cores with a cache of its own for prepared corpora, as another machine has."""
    from ray.cluster_utils import Cluster

    with monkeypatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(tmp_path / "node"))
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield nodes
    nodes.shutdown()


@pytest.mark.cluster
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray's own nodes leave their pipes to the collector
def test_nodes_of_a_cluster_take_the_corpus_from_the_store(
    in_folder, job, bucket, cluster, cli_apart, tmp_path, orl_motion
):
    address = bucket.address("runs/cluster")
    settings = {"MLFLOW_TRACKING_URI": NO_SERVER}
    where = ("--address", cluster.address, "--insecure-cluster")
    answer = cli_apart("submit", job, "--store", address, *where, timeout=240, **settings)
    assert (answer.status, [line for line in said(answer) if not line.startswith("MLflow at")]) == (0, [])
    assert answer.out.startswith("32 of 32 cells done, 10 tasks run, 0 failed\n")
    store = Store(address)
    assert {key.split("/")[1] for key in store.keys(layout.CORPORA)} == {orl_motion.fingerprint}
    # The node made no corpus of its own: it copied the published one, once.
    copies = {path.name for path in (tmp_path / "node" / "corpora").iterdir() if path.is_dir()}
    assert copies == {f"published-{orl_motion.fingerprint}"}
    assert_equal_stores(store, Store(in_folder))
