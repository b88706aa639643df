"""Jobs with recognisers trained elsewhere, through the real command: what is broken costs its own cells alone."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from pathlib import Path

import polars as pl
import pytest
import torch
from conftest import NO_SERVER, one_sentence
from test_foreign import onnx_file
from torch import nn

from austicker import corpora, models
from austicker.models import MODELS

pytestmark = pytest.mark.xdist_group("foreign jobs")
BUDGET = 5
JOB = f"""
name = "theirs"
corpora = [{{ name = "orl-photos", folds = 1 }}]
budget = {BUDGET}

[[attacks]]
stickers = ["sun"]
placements = ["centre"]

[[attacks]]
name = "random"
stickers = ["sun"]
"""
LABELS = ["not smiling", "smiling"]
BLACK_BOX = """
def black_box(pictures):
    return ["smiling" if value > 128 else "not smiling" for value in pictures.mean((1, 2, 3, 4))]
"""
RAISING = """
def build():
    raise OSError("the weights are\\non another disk.")
"""
BUILDING = """
import torch

def build():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
"""
SIZE = {"architecture": "stcnn", "width": 0.125, "input_px": 16, "frames": 18}


class Halves(nn.Module):
    """Logits are how bright the upper rows of pictures are."""

    def __init__(self, outputs: int = 2, scale: float = 4.0) -> None:
        super().__init__()
        self.outputs, self.scale = outputs, scale

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.scale * pictures.mean((1, 3))[:, : self.outputs]


def scripted(path: Path, network: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, torch.zeros(2, 3, 4, 4)).save(path)


def table(name: str, **changes: object) -> str:
    """Returns a job's table of a recogniser that answers in the classes of the corpus."""
    given = {"name": name, "labels": LABELS, "input_px": 4} | changes
    lines = (f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None)
    return "\n[[models]]\n" + "\n".join(lines) + "\n"


def weight_table(**changes: object) -> str:
    return table("weights", file="weights.bin", **SIZE, **changes) + "statistics = { mean = 100.0, peak = 155.0 }\n"


GOOD = {
    "good": table("torchscript", file="good.pt"),
    "black_box": table("callable", source="their_victims:black_box", input_px=None),
    "weights": weight_table(allow_pickle=True),
}
BAD = {
    "text": (
        table("onnx", file="text.onnx", labels=[*LABELS, "neither"]),
        "text.onnx' of the recogniser 'text' is no ONNX file",
    ),
    "three": (table("torchscript", file="three.pt"), "shape (2, 3) for 2 clips, but 2 labels are given"),
    "lost": (table("torchscript", file="lost.pt"), "not finite (NaN or infinity)"),
    "raising": (
        table("factory", source="their_networks:build", label="raising"),
        "raised OSError: the weights are on another disk.",
    ),
    "absent": (
        table("factory", source="absent_networks:build", label="absent"),
        "cannot be imported (ModuleNotFoundError: No module named 'absent_networks'): install it",
    ),
}
EVERY = {*GOOD, *BAD}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A job and the recognisers that it names, most of them broken."""
    folder = tmp_path_factory.mktemp("theirs")
    scripted(folder / "good.pt", Halves())
    scripted(folder / "three.pt", Halves(3))
    scripted(folder / "lost.pt", Halves(2, float("nan")))
    (folder / "text.onnx").write_text("no network")
    (folder / "their_victims.py").write_text(BLACK_BOX)
    (folder / "their_networks.py").write_text(RAISING)
    small = models.settings("stcnn", width=SIZE["width"], input_px=SIZE["input_px"])
    torch.manual_seed(0)
    torch.save(MODELS["stcnn"](small).network(2).state_dict(), folder / "weights.bin")
    (folder / "theirs.toml").write_text(JOB + "".join(GOOD.values()) + "".join(text for text, _ in BAD.values()))
    return folder


@pytest.fixture(scope="module")
def submitted(folder, cli_apart):
    """Hands the job in and returns what the command said; the store is `folder / "store"`."""
    corpora.open_corpus("orl-photos")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))

    def submit(*options: str):
        return cli_apart(
            "submit",
            "theirs.toml",
            "--store",
            "store",
            "--workers",
            "0",
            "--json",
            *options,
            cwd=folder,
            PYTHONPATH=path,
            MLFLOW_TRACKING_URI=NO_SERVER,
        )

    return submit


def verdicts(store: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(part) for part in parts(store)])


def parts(store: Path) -> list[Path]:
    return sorted((store / "verdicts").rglob("*.parquet"))


def assert_tidy(store: Path, *texts: str) -> None:
    """Fails where something is half-written, or a traceback or a file of our own making is shown."""
    assert not [path for path in store.rglob("*") if path.name.startswith(".") or path.suffix in (".tmp", ".part")]
    for text in (*texts, *(path.read_text() for path in store.rglob("*.html"))):
        assert "Traceback" not in text
        assert f"{tempfile.gettempdir()}/austicker-" not in text


def test_broken_recognisers_cost_their_own_cells_and_one_sentence_each_and_mended_ones_go_on(
    folder, submitted, cli_here, monkeypatch
):
    store = folder / "store"
    answer = submitted()
    assert answer.status == 1
    summary = json.loads(answer.out)
    assert (summary["cells_done"], summary["cells_expected"]) == (2 * len(GOOD), 2 * len(EVERY))
    told: dict[str, set[str]] = {}
    for failure in summary["failures"]:
        stage, _, model, corpus, _ = failure["unit"].split()
        assert (stage, corpus) == ("attack", "orl-photos")
        told.setdefault(model, set()).add(failure["error"])
    assert told.keys() == BAD.keys()
    for model, (_, words) in BAD.items():
        (sentence,) = told[model]
        assert words in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert f"'{model}'" in sentence
        assert f"failed: attack random {model} orl-photos" in answer.err
    page = (store / "report" / "index.html").read_text()
    assert f"{2 * len(GOOD)} of {2 * len(EVERY)} cells done" in page
    assert_tidy(store, answer.out, answer.err)
    assert len(parts(store)) == 2 * len(GOOD)
    found = verdicts(store)
    assert set(found["model"]) == set(GOOD)
    assert found.filter(attack="sticker")["queries"].unique().to_list() == [1]
    assert found.filter(attack="random")["queries"].is_between(1, BUDGET).all()
    assert found.group_by("model", "attack").len()["len"].n_unique() == 1
    kept = {path: path.read_bytes() for path in parts(store)}

    (folder / onnx_file(folder)).replace(folder / "text.onnx")
    scripted(folder / "three.pt", Halves())
    scripted(folder / "lost.pt", Halves(2, 1.0))
    for module in ("their_networks", "absent_networks"):
        (folder / f"{module}.py").write_text(BUILDING)
    monkeypatch.syspath_prepend(folder)
    one_sentence(
        cli_here("submit", folder / "theirs.toml", "--store", store, "--workers", "0"), "models.text.digest", "--amend"
    )
    answer = submitted("--amend")
    assert answer.status == 0
    summary = json.loads(answer.out)
    assert (summary["cells_done"], summary["failures"]) == (2 * len(EVERY), [])
    assert summary["tasks_run"] == 2 * len(BAD)
    assert f"{2 * len(EVERY)} of {2 * len(EVERY)} cells done" in (store / "report" / "index.html").read_text()
    assert_tidy(store, answer.out, answer.err)
    assert not list((store / "failures").glob("*"))
    assert {path: path.read_bytes() for path in parts(store) if path in kept} == kept
    assert set(verdicts(store)["model"]) == EVERY


REFUSED = {
    "missing file": (table("onnx", file="none.onnx"), ("There is no file", "none.onnx", "'none'")),
    "no file": (table("onnx"), ("The key 'file'", "missing")),
    "unknown key": (table("onnx", file="text.onnx", input_pxx=4), ("'input_pxx'", "did you mean 'input_px'?")),
    "key of another kind": (table("callable", source="a:b"), ("'input_px'", "leave it out")),
    "unlike any class": (
        table("onnx", file="text.onnx", labels=["happy", "sad"]),
        ("No label of the recogniser 'text' (happy, sad)", "'not smiling'", "classes = {"),
    ),
    "no such class": (
        table("onnx", file="text.onnx") + 'classes = { smiling = "smile" }\n',
        ("'smile'", "did you mean 'smiling'?"),
    ),
    "no such label": (
        table("onnx", file="text.onnx") + 'classes = { smilling = "smiling" }\n',
        ("'smilling'", "did you mean 'smiling'?"),
    ),
    "pickle": (weight_table(), ("weights.bin", "is a pickle", "allow_pickle = true")),
    "no address": (table("factory", source="their_networks.build"), ("module:function",)),
    "more than it gives": (table("onnx", file="text.onnx", access="gradients"), ("'text'", "scores, not gradients")),
}


@pytest.mark.parametrize(("model", "words"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_seen_without_asking_is_refused_at_once_in_one_sentence(folder, cli_here, model, words):
    path = folder / "refused.toml"
    path.write_text(JOB + model)
    one_sentence(cli_here("plan", path, "--store", folder / "nowhere"), *words)
    assert not (folder / "nowhere").exists()
