"""The command line as a user meets it: listings, a whole run, and one sentence for whatever is wrong."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import NO_SERVER, command

from austicker import grid, regions
from austicker.types import AustickerError

pytestmark = pytest.mark.xdist_group("cli")
JOB = """
name = "mini"
corpora = [{ name = "orl-motion", folds = 1 }]
models = [{ name = "stcnn", label = "s", width = 0.125, input_px = 32, epochs = 1 }]
discovery = { bootstraps = 0 }
attacks = [{ stickers = ["sun"], placements = ["centre", "causal"] }]
"""
CELLS = 2
HEAVY = ("ray", "torch", "mlflow", "polars", "matplotlib", "causallearn", "scipy", "mediapipe", "pyarrow", "cv2")


@pytest.fixture(scope="session")
def mini(tmp_path_factory, orl_motion):
    path = tmp_path_factory.mktemp("mini") / "mini.toml"
    path.write_text(JOB)
    return path


@pytest.fixture(scope="session")
def finished(mini, cli_apart, tmp_path_factory):
    """A finished run with MLflow's own default store, and what the command said."""
    folder = tmp_path_factory.mktemp("runs")
    answer = cli_apart("submit", mini, "--workers", "0", cwd=folder, MLFLOW_TRACKING_URI=None)
    return folder / "runs" / "mini", answer


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished store to spoil."""
    return Path(shutil.copytree(finished[0], tmp_path / "store"))


def one_sentence(answer, *words):
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


def everything(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# What is listed.


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_are_fast_and_light(option):
    code = f"""
import sys
from austicker import cli
sys.argv = ["austicker-grid", {option!r}]
try:
    cli.main()
finally:
    print("HEAVY", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    start = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert time.monotonic() - start < 4
    assert (ended.returncode, ended.stderr) == (0, "")
    shown, heavy = ended.stdout.split("HEAVY ")
    assert heavy.strip() == "[]"
    if option == "--version":
        assert re.fullmatch(r"austicker-grid \d+\.\d+\.\d+\n", shown)
    else:
        for name in (
            "submit",
            "run",
            "attach",
            "stop",
            "list",
            "plan",
            "status",
            "report",
            "generate",
            "placements",
            "attacks",
        ):
            assert name in shown


def test_without_a_command_the_help_is_shown(cli_here):
    answer = cli_here()
    assert answer.status in (0, 2)
    assert "submit" in answer.out + answer.err


@pytest.mark.parametrize(
    ("listing", "entry", "line"),
    [
        ("corpora", ("orl-motion", "embedded"), "orl-motion  embedded"),
        ("corpora", ("casme2", "needs its folder"), "casme2"),
        ("protocols", ("megc2019", None), "au-sticker"),
        ("stickers", ("monkey", "(a)"), "monkey"),
        ("stickers", ("shocked", "(h)"), "shocked"),
        ("models", ("mmnet", None), "mmnet"),
        ("models", ("stcnn", None), "stcnn"),
        ("models", ("onnx", None), "onnx trained: elsewhere"),
        ("models", ("face-api", None), "face-api trained: elsewhere"),
        ("attacks", ("sticker", None), "sticker access: label"),
        ("attacks", ("unified", None), "unified access: scores"),
    ],
)
def test_shelves_are_listed(cli_here, listing, entry, line):
    text, as_json = cli_here(listing), cli_here(listing, "--json")
    assert (text.status, text.err, as_json.status, as_json.err) == (0, "", 0, "")
    record = json.loads(as_json.out)
    assert entry[0] in record
    assert entry[1] in (None, record[entry[0]])
    assert any(" ".join(shown.split()).startswith(" ".join(line.split())) for shown in text.out.splitlines())
    assert {name for name in record if name not in text.out} == set()


def test_models_are_listed_with_their_published_size(cli_here):
    record = json.loads(cli_here("models", "--json").out)
    assert record["mmnet"]["input_px"] == 224
    assert record["mmnet"]["width"] == 1.0
    assert record["stcnn"]["frames"] == 18
    assert "input_px: 224" in cli_here("models").out


def test_recognisers_trained_elsewhere_are_listed_with_what_a_job_says_of_them(cli_here):
    record = json.loads(cli_here("models", "--json").out)
    assert {"torchscript", "onnx", "factory", "callable", "weights", "fer", "facex", "face-api"} <= record.keys()
    assert record["onnx"]["required"] == "file, labels, input_px"
    assert (record["onnx"]["access"], record["callable"]["access"], record["fer"]["access"]) == (
        "scores", "label", "gradients",
    )  # fmt: skip
    assert "allow_pickle" in record["weights"]["optional"]
    assert "happy" in record["fer"]["labels"]
    assert "required: source, labels\n" in cli_here("models").out


def test_attacks_are_listed_with_what_they_need_and_cost(cli_here):
    record = json.loads(cli_here("attacks", "--json").out)
    needs = {name: (attack["access"], attack["most queries"]) for name, attack in record.items()}
    assert needs["sticker"] == ("label", 1)
    assert needs["exhaustive"] == ("label", len(regions.NAMES))
    assert needs["dopatch"] == ("scores", 21 * 100)
    assert record["unified"]["settings"]["generations"] == 200
    assert {record["sticker"]["place"], record["random"]["place"]} == {"the job's placements", "searched"}
    text = cli_here("attacks").out
    assert "most queries: 6000" in text
    assert "population = 30, generations = 200" in text


def test_placements_are_listed(cli_here):
    names = json.loads(cli_here("placements", "--json").out)
    assert cli_here("placements").out.split() == names
    assert {"causal", "centre", "random/1", *regions.POSITIONS, *(f"region/{name}" for name in regions.NAMES)} <= set(
        names
    )
    assert {f"causal/{kind}" for kind in ("stable", "per-class", "per-subject")} <= set(names)
    controls = {"permuted", "blank", "correlation", "motion", "tuned", "random-region"}
    assert {f"control/{kind}" for kind in controls} <= set(names)


# A whole run.


def test_a_run_is_quiet_off_a_terminal(finished):
    store, answer = finished
    assert answer.err == ""
    assert answer.status == 0
    assert answer.out == (
        f"{CELLS} of {CELLS} cells done, 3 tasks run, 0 failed\nreport: {Path('runs/mini/report/index.html')}\n"
    )
    for name in ("job.json", "report/index.html", "report/asr.csv", "mlflow/mlflow.db"):
        assert (store / name).stat().st_size > 0
    assert not list(store.rglob(".*"))


def test_the_plan_before_and_after(cli_here, mini, finished, tmp_path):
    before, after = (
        json.loads(cli_here("plan", mini, "--store", store, "--json").out) for store in (tmp_path / "new", finished[0])
    )
    assert (before["folds"], before["shards"], before["cells"], before["rows"]) == (1, 1, CELLS, CELLS * 6)
    assert before["model evaluations"] == (CELLS + 1) * 6
    todo = ("trainings to do", "graphs to discover", "shards to do", "cells to do")
    assert [before[key] for key in todo] == [1, 1, 1, CELLS]
    assert [after[key] for key in todo] == [0, 0, 0, 0]
    assert {key: before[key] for key in before if key not in todo} == {
        key: after[key] for key in after if key not in todo
    }
    assert not (tmp_path / "new").exists()
    text = cli_here("plan", mini, "--store", finished[0])
    assert (text.status, text.err) == (0, "")
    assert re.search(r"cells\s+2\n", text.out)


def test_status_tells_what_is_there(cli_here, finished):
    record = json.loads(cli_here("status", finished[0], "--json").out)
    assert (record["job"], record["cells"], record["failures"]) == ("mini", "2 of 2", [])
    assert (record["models"], record["graphs"]) == (1, 1)
    assert Path(record["report"]).is_file()
    assert re.search(r"cells\s+2 of 2\n", cli_here("status", finished[0]).out)


def test_status_sees_what_was_lost(cli_here, copy):
    (part,) = (copy / "verdicts").rglob("*.parquet")
    part.write_bytes(part.read_bytes()[:-100])
    (copy / "report" / "index.html").unlink()
    record = json.loads(cli_here("status", copy, "--json").out)
    assert record["cells"] == "0 of 2"
    assert record["report"] == "not written"


def test_a_report_is_written_anew_with_the_same_numbers(cli_apart, copy):
    table = (copy / "report" / "asr.csv").read_bytes()
    shutil.rmtree(copy / "report")
    answer = cli_apart("report", copy)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out == f"{copy / 'report' / 'index.html'}\n"
    assert (copy / "report" / "asr.csv").read_bytes() == table


def test_a_failure_is_told_and_is_the_status(cli_apart, mini, copy):
    (weights,) = (copy / "models").glob("*.safetensors")
    weights.unlink()
    weights.mkdir()
    (part,) = (copy / "verdicts").rglob("*.parquet")
    part.unlink()
    answer = cli_apart("submit", mini, "--store", copy, "--workers", "0", "--json", MLFLOW_TRACKING_URI=NO_SERVER)
    assert answer.status == 1
    summary = json.loads(answer.out)
    assert (summary["cells_done"], summary["cells_expected"], summary["tasks_run"]) == (0, 2, 2)
    trained, attacked = summary["failures"]
    assert trained["unit"] == "train s orl-motion s01"
    assert str(weights) in trained["error"]
    assert attacked == {
        "unit": "attack sticker s orl-motion s01",
        "error": "not run, because train s orl-motion s01 failed",
    }
    told = answer.err.splitlines()
    assert told[0] == f"failed: {trained['unit']}: {trained['error']}"
    assert told[1] == f"failed: {attacked['unit']}: {attacked['error']}"
    assert all(line.startswith("MLflow at") for line in told[2:])
    assert "Traceback" not in answer.err
    assert "attack sticker s orl-motion s01" in (copy / "report" / "index.html").read_text()


def test_a_run_ends_well_without_mlflow_and_shows_progress_on_a_terminal(mini, tmp_path):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [command(), "submit", mini, "--store", tmp_path / "store", "--workers", "0"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": NO_SERVER, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # Linux says EIO when the other side is closed
                break
            seen += chunk
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert out.startswith("2 of 2 cells done, 3 tasks run, 0 failed\n")
    shown = seen.decode()
    assert "2/2" in shown
    assert "verdicts" in shown
    assert f"MLflow at '{NO_SERVER}' did not take the results" in shown
    assert "the report is whole" in shown
    assert "Traceback" not in shown
    assert (tmp_path / "store" / "report" / "index.html").is_file()


# What is wrong.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", 'attacks.0.stickers=["monky"]'), ("did you mean 'monkey'",)),
        (("--set", 'attacks.0.placements=["nose"]'), ("Unknown placement 'nose'",)),
        (("--set", "attacks.0.side=2"), ("side",)),
        (("--set", "attacks.0.sides=0.2"), ("did you mean 'side'",)),
        (("--set", "models.0.epochs=0"), ("epochs",)),
        (("--set", 'models.0.name="stcn"'), ("did you mean 'stcnn'",)),
        (("--set", 'corpora.0.name="samm"'), ("samm", "needs the folder")),
        (("--set", 'protocol="megc"'), ("did you mean 'megc2019'",)),
        (("--set", "corpora.0.folds=31"), ("30 folds",)),
        (("--set", "nonsense"), ("--set nonsense",)),
        (("--set", "models.7.epochs=1"), ("models.7.epochs",)),
        (("--address", "127.0.0.1:9"), ("No Ray cluster answers at '127.0.0.1:9'",)),
        (("--address", "nowhere"), ("host:port",)),
        (("--address", "http://127.0.0.1:9"), ("No Ray job server answers at 'http://127.0.0.1:9'",)),
        (("--address", "ray://127.0.0.1:9"), ("Ray Client", "not supported")),
        (("--address", "http://127.0.0.1:9", "--workers", "1"), ("--workers",)),
        (("--detach",), ("--detach needs --address",)),
    ],
)
def test_a_bad_wish_is_refused_in_one_sentence(cli_here, mini, tmp_path, options, words):
    start = time.monotonic()
    answer = cli_here("submit", mini, "--store", tmp_path / "store", *options)
    assert time.monotonic() - start < 15
    one_sentence(answer, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", [None, b"", b"name = ", b"\xff\xfe", b"[[models]]\nname = 'stcnn'\n", b"name = 3\n"]
)
@pytest.mark.parametrize("verb", ["submit", "plan", "run"])
def test_a_bad_job_file_is_refused_in_one_sentence(cli_here, tmp_path, verb, content):
    path = tmp_path / "job.toml"
    if content is not None:
        path.write_bytes(content)
    answer = cli_here(verb, path, "--store", tmp_path / "store")
    one_sentence(answer, str(path))
    assert not (tmp_path / "store").exists()


def test_usage_errors_are_status_2_without_a_traceback(cli_here, mini):
    for arguments in (("submit",), ("submit", mini, "--workers", "-1"), ("sumbit", mini), ("status", "--jsn", ".")):
        answer = cli_here(*arguments)
        assert answer.status == 2
        assert answer.out == ""
        assert "Traceback" not in answer.err


def test_a_store_of_another_job_is_refused_and_stays(cli_here, mini, copy):
    before = everything(copy)
    for change, words in (("discovery.alpha=0.01", ("discovery.alpha", "--amend")), ('name="maxi"', ("'maxi'",))):
        one_sentence(cli_here("submit", mini, "--store", copy, "--set", change), *words)
    assert everything(copy) == before


def test_a_folder_that_is_no_store_is_refused_and_stays(cli_here, mini, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader,")
    one_sentence(cli_here("submit", mini, "--store", tmp_path), "is not empty and holds no job")
    one_sentence(cli_here("submit", mini, "--store", tmp_path / "letter.txt"), "is a file")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    one_sentence(cli_here("submit", mini, "--store", "/proc/store", "--workers", "0"), "cannot be written")


@pytest.mark.parametrize("verb", ["status", "report"])
def test_a_folder_without_a_job_is_named(cli_here, tmp_path, verb):
    one_sentence(cli_here(verb, tmp_path), f"There is no job in '{tmp_path}'")
    one_sentence(cli_here(verb, tmp_path / "nowhere"), "There is no job in")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"job": {}}', b'{"job": 1, "cells": []}', b"\xff", b"{"])
@pytest.mark.parametrize("verb", ["status", "report", "submit"])
def test_a_damaged_job_record_is_named(cli_here, mini, tmp_path, verb, content):
    path = tmp_path / "job.json"
    path.write_bytes(content)
    arguments = (mini, "--store", tmp_path) if verb == "submit" else (tmp_path,)
    one_sentence(cli_here(verb, *arguments), str(path), "delete it and submit the job again")
    assert everything(tmp_path) == {str(path): content}


def test_a_store_that_lost_its_job_record_is_taken_up_again(cli_apart, mini, copy):
    """What the sentence about a damaged record advises, works: nothing that was done is done again."""
    kept = {name: everything(copy / name) for name in ("models", "graphs", "verdicts")}
    (copy / "job.json").unlink()
    answer = cli_apart("submit", mini, "--store", copy, "--workers", "0", "--json", MLFLOW_TRACKING_URI=NO_SERVER)
    assert answer.status == 0
    assert json.loads(answer.out)["tasks_run"] == 0
    assert (copy / "job.json").is_file()
    assert {name: everything(copy / name) for name in kept} == kept


def test_a_damaged_graph_is_named(cli_here, copy):
    (graph,) = (copy / "graphs").glob("*.json")
    graph.write_text('{"directed": 3}')
    one_sentence(cli_here("report", copy), str(graph), "delete it")


def test_auto_without_a_cluster_is_one_sentence(monkeypatch):
    from ray._private import services

    def find(_):
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify the one to connect to.")

    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", find)
    site = grid.Site(address="auto")
    with pytest.raises(AustickerError, match="No Ray cluster answers at 'auto'") as caught, grid.cluster(site):
        pytest.fail("it connected")
    assert "\n" not in str(caught.value)


# A full disk.


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of a given size; needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size, *again):
        options = ["-o", ",".join([*again, f"size={size}"])]
        ended = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], capture_output=True, check=False)
        if ended.returncode:
            pytest.skip("mounting a small disk needs root")
        return folder

    yield mount
    subprocess.run(["umount", folder], capture_output=True, check=False)


@pytest.mark.parametrize("size", ["24k", "1m"], ids=["no room for weights", "no room for the report"])
def test_a_full_disk_leaves_nothing_torn_and_the_run_goes_on_later(cli_apart, mini, small_disk, size):
    store = small_disk(size) / "store"
    command = ("submit", mini, "--store", store, "--workers", "0")
    answer = cli_apart(*command, MLFLOW_TRACKING_URI=NO_SERVER)
    assert answer.status in (1, 2)
    assert "cannot be written (No space left on device)" in answer.err
    assert "Traceback" not in answer.err
    assert answer.err.splitlines()[-1].startswith(("Error: ", "failed: ", "MLflow"))
    assert not [path for path in store.rglob(".*") if path.is_file()]
    for path in store.rglob("*.json"):
        json.loads(path.read_text())
    parts = list(store.rglob("*.parquet"))
    assert all(pq.read_table(part).num_rows == CELLS * 6 for part in parts)
    assert len(parts) == (size == "1m")
    small_disk("50m", "remount")
    answer = cli_apart(*command, MLFLOW_TRACKING_URI=NO_SERVER)
    assert answer.status == 0
    assert answer.out.startswith("2 of 2 cells done, ")
    assert not list((store / "failures").glob("*"))
    assert (store / "report" / "index.html").is_file()
