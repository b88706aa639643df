from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from planted_report import context, run

from austicker import tracking
from austicker.report.tables import metrics
from austicker.store import Store

# SQLAlchemy, pydantic and MLflow warn of their own deprecations.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(mlflow|pydantic|sqlalchemy|alembic|google).*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow.*"),
]


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run" / "report"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>page</p>")
    return folder


def test_a_submission_is_one_run_with_a_nested_run_for_each_recogniser(report: Path) -> None:
    from mlflow import MlflowClient

    assert tracking.track(context(), metrics(run()), Store(report.parent), uri=None) is None
    client = MlflowClient(f"sqlite:///{report.parent / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id])
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    nested = {one.data.tags["model"]: one for one in runs if "mlflow.parentRunId" in one.data.tags}
    assert len(parents) == 1
    assert set(nested) == {"mmnet", "stcnn"}
    assert {one.data.tags["mlflow.parentRunId"] for one in nested.values()} == {parents[0].info.run_id}
    found = nested["mmnet"].data
    assert found.metrics["clean_accuracy"] == 1
    assert found.metrics["error_asr.causal"] == 1
    assert found.metrics["flip_asr.random"] == pytest.approx(1 / 6)
    assert found.metrics["queries_mean.causal"] == 1
    assert found.tags["synthetic"] == "true"
    assert found.params["corpus.fingerprint"] == "f" * 64
    assert {one.info.status for one in runs} == {"FINISHED"}
    pages = list((report.parent / "mlflow" / "artifacts").glob("**/report/index.html"))
    assert [page.read_text() for page in pages] == ["<p>page</p>"]
    # Nothing beside the store: no mlruns in the working folder.
    assert [path.name for path in Path.cwd().iterdir()] == ["run"]


def test_an_unreachable_server_is_one_sentence_in_a_few_seconds(report: Path) -> None:
    start = time.monotonic()
    warning = tracking.track(context(), metrics(run()), Store(report.parent), uri="http://me:secret@127.0.0.1:9")
    assert time.monotonic() - start < 15
    assert warning is not None
    assert warning.startswith("MLflow at 'http://127.0.0.1:9' did not take the results")
    assert "secret" not in warning
    assert "\n" not in warning


def test_the_environment_names_the_server_and_is_left_as_it_was(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = dict(os.environ)
    warning = tracking.track(context(), metrics(run()), Store(report.parent), uri=None)
    assert warning is not None
    assert "127.0.0.1:9" in warning
    assert dict(os.environ) == before
    assert not (report.parent / "mlflow").exists()


def test_an_unwritable_database_is_a_sentence_too(report: Path) -> None:
    (report.parent / "mlflow").write_text("a file is in the way")
    warning = tracking.track(context(), metrics(run()), Store(report.parent), uri=None)
    assert warning is not None
    assert "did not take the results" in warning


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real tracking server on loopback."""
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/db", "--artifacts-destination", str(folder / "artifacts")]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | settings, cwd=folder, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(uri, process)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_healthy(uri: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise AssertionError("the server did not start")


def test_a_real_server_takes_runs_and_artifacts(report: Path, server: str) -> None:
    from mlflow import MlflowClient

    assert tracking.track(context(), metrics(run()), Store(report.parent), uri=server) is None
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id])
    parent = next(one for one in runs if "mlflow.parentRunId" not in one.data.tags)
    assert len(runs) == 3
    assert [item.path for item in client.list_artifacts(parent.info.run_id, "report")] == ["report/index.html"]
    assert not (report.parent / "mlflow").exists()
