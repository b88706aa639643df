"""Recognisers trained elsewhere: every kind opened for real, what they are shown, what their answers mean, refusals."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper
from test_training import clean_scores, one_thread, small, toy_corpus
from torch import nn

from austicker import foreign, training, weights
from austicker.foreign import preprocessing
from austicker.store import Store, layout
from austicker.types import AustickerError, Clip
from austicker.victims import TrainedVictim

__all__ = ["one_thread"]

LABELS = ["happiness", "sad", "surprised"]
CLASSES = ("sadness", "surprise", "happy")
SHARPNESS = 4.0
RED, GREEN, BLUE = (255.0, 0.0, 0.0), (0.0, 255.0, 0.0), (0.0, 0.0, 255.0)
CLIP = Clip(corpus="c", clip="1", subject="s", label=0, onset=2, apex=7, offset=10)


class Colours(nn.Module):
    """Logits are the pictures' mean red, green and blue, sharpened."""

    def forward(self, pictures):
        return SHARPNESS * pictures.mean((2, 3))


class Certain(Colours):
    def forward(self, pictures):
        return super().forward(pictures).softmax(1)


class DarkOnly(Colours):
    """Answers bright pictures with NaN."""

    def forward(self, pictures):
        answer = super().forward(pictures)
        return torch.where(pictures.mean() > 0.9, answer * torch.nan, answer)


class Detached(Colours):
    def forward(self, pictures):
        return super().forward(pictures).detach()


class Paired(Colours):
    def forward(self, pictures):
        return super().forward(pictures), pictures


class Rising(nn.Module):
    """Takes (n, t, c, h, w): the logits are what changed between the frames."""

    def forward(self, clips):
        assert clips.shape[1:] == (2, 3, 4, 4)
        return SHARPNESS * (clips[:, 1] - clips[:, 0]).mean((2, 3))


def broken():
    raise OSError("the weights are\non another disk.")


def number():
    return 3


def brightest(pictures):
    """A black box that names what it sees, of pictures as they are."""
    assert pictures.dtype == np.uint8
    assert pictures.shape[1:] == (1, 9, 7, 3) or pictures.shape[2:] == (60, 48, 3)
    return [LABELS[position] for position in pictures.mean((1, 2, 3)).argmax(1)]


def brightest_numbers(pictures):
    return pictures.mean((1, 2, 3)).argmax(1)


def grumpy(pictures):
    return ["grumpy"] * len(pictures)


def short(pictures):
    return np.zeros(1, int)


def too_high(pictures):
    return np.full(len(pictures), 9)


def raising(pictures):
    raise ZeroDivisionError("no\nluck.")


def pure(*colours, frames=1):
    """Returns one (frames, 3, 9, 7) clip of each colour."""
    values = torch.tensor(colours)[:, None, :, None, None]
    return values.expand(-1, frames, -1, 9, 7).clone()


def entry(kind, **changes):
    """Returns a job's table of one of the colour recognisers, with changes."""
    given = {"name": kind, "labels": LABELS, "input_px": 4} | changes
    return {key: value for key, value in given.items() if value is not None}


def opened(kind, folder=Path(), study=CLASSES, **changes):
    settings = foreign.settings(entry(kind, **changes), "job.toml", folder)
    return foreign.open_victim(settings, study, "cpu", Path(settings.source) if "file" in changes else None)


def code(network, **changes):
    return opened("factory", source=f"test_foreign:{network}", **changes)


def black_box(function, **changes):
    return opened("callable", source=f"test_foreign:{function}", input_px=None, **changes)


def expected(*colours):
    """Returns the probabilities of sadness, surprise, happy and none, worked out by hand."""
    rows = [[math.exp(SHARPNESS * value / 255) for value in colour] for colour in colours]
    return torch.tensor([[green, blue, red, 0.0] for red, green, blue in rows]) / torch.tensor(
        [[sum(row)] for row in rows]
    )


def torchscript_file(folder, network=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network or Colours(), torch.zeros(2, 3, 4, 4)).save(folder / "colours.pt")
    return "colours.pt"


def onnx_file(folder, batch="n", inputs=1, outputs=3):
    names = [f"pictures{number}" for number in range(inputs)]
    nodes = [
        helper.make_node("GlobalAveragePool", [names[0]], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "sharpness"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 3, 4, 4]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, outputs])],
        [helper.make_tensor("sharpness", TensorProto.FLOAT, [1], [SHARPNESS])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "colours.onnx")
    return "colours.onnx"


def refusal(call, *words):
    """Returns the one sentence that a call is refused with."""
    with pytest.raises(AustickerError) as raised:
        call()
    text = str(raised.value)
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text, text
    return text


@pytest.fixture
def victims(tmp_path):
    """The same colour recogniser by three ways."""
    return {
        "torchscript": opened("torchscript", tmp_path, file=torchscript_file(tmp_path)),
        "onnx": opened("onnx", tmp_path, file=onnx_file(tmp_path)),
        "factory": code("Colours"),
    }


def test_every_kind_of_network_answers_in_the_studys_classes(victims):
    colours = (RED, GREEN, BLUE, (100.0, 50.0, 200.0))
    for kind, victim in victims.items():
        assert victim.label == {"factory": "Colours"}.get(kind, "colours")
        assert (victim.classes, victim.colour, victim.frame_indices(CLIP)) == (4, "rgb", (7,))
        answer = victim.scores(pure(*colours))
        assert (answer.dtype, answer.requires_grad) == (torch.float32, False)
        torch.testing.assert_close(answer, expected(*colours), atol=1e-5, rtol=0)
        assert victim.scores(pure(*colours)[:0]).shape == (0, 4)


def test_a_long_batch_keeps_its_order(victims):
    frames = pure(*[(float(value), 0.0, 0.0) for value in range(70)])
    for victim in victims.values():
        answer = victim.scores(frames)[:, CLASSES.index("happy")]
        assert len(answer) == 70
        assert (answer[1:] > answer[:-1]).all()


def test_gradients_reach_the_pixels_and_agree_with_the_scores(victims):
    for kind in ("torchscript", "factory"):
        frames = pure(GREEN, (40.0, 80.0, 120.0)).requires_grad_()
        logits = victims[kind].logits(frames)
        torch.testing.assert_close(logits.softmax(1), victims[kind].scores(frames.detach()))
        nn.functional.cross_entropy(logits, torch.tensor([2, 1])).backward()
        assert frames.grad.isfinite().all()
        # Towards happy is towards more red.
        assert (frames.grad[0, :, 0] < 0).all()
        assert (frames.grad[0, :, 1] > 0).all()


def test_what_gives_no_gradients_says_so(victims, tmp_path):
    refusal(lambda: victims["onnx"].logits(pure(RED)), "'colours'", "gives scores and no gradients")
    refusal(lambda: code("Detached"), "'Detached'", "no gradients", 'access = "scores"')
    torch.testing.assert_close(code("Detached", access="scores").scores(pure(RED)), expected(RED))


def test_an_onnx_file_for_one_picture_at_a_time_is_asked_one_by_one(tmp_path):
    victim = opened("onnx", tmp_path, file=onnx_file(tmp_path, batch=1))
    torch.testing.assert_close(victim.scores(pure(RED, BLUE)), expected(RED, BLUE), atol=1e-5, rtol=0)


def test_probabilities_are_taken_as_they_are():
    victim = code("Certain", outputs="probabilities")
    torch.testing.assert_close(victim.scores(pure(RED, BLUE)), expected(RED, BLUE))
    refusal(lambda: code("Certain"), "probabilities and not logits")


@pytest.mark.parametrize("function", ["brightest", "brightest_numbers"])
def test_a_black_box_gives_labels_alone(function):
    victim = black_box(function)
    assert victim.access == "label"
    assert victim.scores(pure(BLUE, GREEN, RED)).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    refusal(lambda: victim.logits(pure(RED)), "gives label and no gradients")


def test_a_job_may_take_access_away_and_not_add_it():
    label_only = code("Colours", access="label")
    assert label_only.scores(pure(BLUE)).tolist() == [[0, 1, 0, 0]]
    refusal(lambda: label_only.logits(pure(RED)), "no gradients")
    refusal(lambda: black_box("brightest", access="scores"), "gives label, not scores")


def test_classes_are_sums_of_labels_and_the_rest_is_none_of_these():
    red = expected(RED)
    merged = {"sad": "low", "surprised": "low", "happiness": "high"}
    victim = code("Colours", study=("low", "high"), classes=merged)
    torch.testing.assert_close(victim.scores(pure(RED)), torch.stack([red[:, :2].sum(1), red[:, 2], red[:, 3]], 1))
    assert victim.logits(pure(RED)).isfinite().all()
    starred = {"happiness": "high", "sad": "", "*": "low"}
    victim = code("Colours", study=("low", "high"), classes=starred)
    torch.testing.assert_close(victim.scores(pure(RED)), red[:, [1, 2, 0]])
    # Labels of no class of the study, by name.
    victim = code("Colours", study=("Surprise",))
    torch.testing.assert_close(victim.scores(pure(RED)), torch.stack([red[:, 1], red[:, 0] + red[:, 2]], 1))
    assert black_box("brightest", study=("surprise",)).scores(pure(RED)).tolist() == [[0, 1]]


def test_labels_that_fit_no_class_are_refused():
    refusal(lambda: code("Colours", study=("happy", "contempt")), "No label", "'contempt'", "'Colours'")
    joy = {"happiness": "hapy"}
    refusal(lambda: code("Colours", study=("happy",), classes=joy), "'hapy'", "did you mean 'happy'?")
    refusal(lambda: code("Colours", classes={"hapiness": "happy"}), "'hapiness'", "did you mean 'happiness'?")


def test_pixels_are_scaled_shifted_and_ordered_as_declared():
    told = {"input_px": [7, 9], "range": [-1.0, 1.0], "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 4.0], "colour": "bgr"}
    settings = foreign.settings(entry("factory", source="test_foreign:Colours", **told), "job.toml", Path())
    shown = preprocessing.prepare(pure((255.0, 0.0, 51.0)), settings)
    assert shown.shape == (1, 3, 9, 7)
    # Blue comes first: 51 -> -0.6, less 0.1; green 0 -> -1, less 0.2, by 2; red 255 -> 1, less 0.3, by 4.
    torch.testing.assert_close(shown[0, :, 4, 3], torch.tensor([-0.7, -0.6, 0.175]))


def test_pictures_are_resized_without_aliasing():
    settings = foreign.settings(
        entry("factory", source="test_foreign:Colours", input_px=[4, 2], colour="gray", range=[0, 255]), "job", Path()
    )
    stripes = torch.zeros(1, 1, 1, 8, 16)
    stripes[..., ::4] = 255
    shown = preprocessing.prepare(stripes, settings)
    assert shown.shape == (1, 1, 2, 4)
    # Every fourth column is white: a quarter of the light is left wherever no border is near.
    torch.testing.assert_close(shown[0, 0, :, 1:3], torch.full((2, 2), 255 / 4))


@pytest.mark.parametrize("layout", ["ntchw", "nthwc", "ncthw"])
def test_axes_lie_as_declared(layout):
    told = {"frames": 2, "layout": layout, "input_px": [7, 9], "range": [0, 255]}
    settings = foreign.settings(entry("factory", source="test_foreign:Rising", **told), "job.toml", Path())
    frames = torch.rand(3, 2, 3, 9, 7) * 255
    shown = preprocessing.prepare(frames, settings)
    for picture, time, channel, row, column in ((0, 0, 0, 0, 0), (2, 1, 2, 8, 6), (1, 0, 2, 3, 4)):
        place = {"n": picture, "t": time, "c": channel, "h": row, "w": column}
        value = shown[tuple(place[axis] for axis in layout)]
        assert float(value) == pytest.approx(float(frames[picture, time, channel, row, column]), abs=1e-3)


def test_clips_are_shown_as_declared():
    assert preprocessing.frame_indices("apex", CLIP) == (7,)
    assert preprocessing.frame_indices("onset-apex", CLIP) == (2, 7)
    assert preprocessing.frame_indices(5, CLIP) == (2, 4, 6, 8, 10)
    victim = code("Rising", frames="onset-apex")
    frames = pure((0.0, 0.0, 0.0), frames=2)
    frames[:, 1, 2] = 255
    torch.testing.assert_close(victim.scores(frames), expected(BLUE))


def weight_file(folder):
    """Writes a trained recogniser as our own store does; returns it, its file's name and its corpus."""
    corpus = toy_corpus(3)
    trained = training.train(small("stcnn", epochs=1), corpus, range(3), seed=0)
    weights.save(trained, Store(folder), "abc")
    (folder / "own.safetensors").write_bytes((folder / layout.weights("abc")).read_bytes())
    return trained, "own.safetensors", corpus


def test_weights_of_a_built_in_architecture_answer_as_where_they_were_trained(tmp_path):
    trained, file, corpus = weight_file(tmp_path)
    tensors, size = trained.network.state_dict(), trained.settings
    safetensors.torch.save_file(tensors, tmp_path / "plain.safetensors")
    torch.save({"state_dict": tensors}, tmp_path / "pickled.ckpt")
    told = {"architecture": "stcnn", "width": size.width, "input_px": size.input_px, "frames": size.frames}
    told |= {"statistics": dict(trained.statistics)}
    foreign_ones = (
        opened("weights", tmp_path, file=file, input_px=None),
        opened("weights", tmp_path, file="plain.safetensors", **told),
        opened("weights", tmp_path, file="pickled.ckpt", allow_pickle=True, **told),
    )
    native = TrainedVictim(trained)
    indices = [native.frame_indices(clip) for clip in corpus.clips]
    frames = training.pixels(corpus, range(3), indices, native.colour, "cpu")
    for victim in foreign_ones:
        assert (victim.colour, victim.access) == (native.colour, native.access)
        assert [victim.frame_indices(clip) for clip in corpus.clips] == indices
        answer = victim.scores(frames)
        # own labels: happiness, sad, surprised; classes: sadness, surprise, happy
        torch.testing.assert_close(answer[:, [2, 0, 1]], clean_scores(trained, corpus, range(3)))
        torch.testing.assert_close(answer[:, [2, 0, 1]], native.scores(frames))
    torch.testing.assert_close(native.logits(frames).softmax(1), native.scores(frames))


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_weights_that_cannot_be_trusted_or_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained, file, _ = weight_file(tmp_path)
    tensors = trained.network.state_dict()
    torch.save(tensors, "pickled.bin")
    torch.save({"weights": Bomb()}, "bomb.pt")
    torch.save([1, 2], "list.pt")
    safetensors.torch.save_file(tensors, "plain.safetensors")
    Path("torn.safetensors").write_bytes(Path(file).read_bytes()[:-100])
    Path("text.safetensors").write_text("no weights at all")
    told = {"architecture": "stcnn", "input_px": None}
    cases = [
        (("pickle", "allow_pickle = true"), told | {"file": "pickled.bin"}),
        (("holds more than weights", "UnpicklingError"), told | {"file": "bomb.pt", "allow_pickle": True}),
        (("not a table of tensors",), told | {"file": "list.pt", "allow_pickle": True}),
        (("not a safetensors file",), told | {"file": "text.safetensors"}),
        (("not a safetensors file",), {"file": "torn.safetensors", "input_px": None}),
        (("do not fit stcnn", "width 1"), told | {"file": "plain.safetensors"}),
        (("'architecture'", "missing", "mmnet"), {"file": "plain.safetensors", "input_px": None}),
        (("mmnet",), {"file": "plain.safetensors", "architecture": "mmmet", "input_px": None}),
        (("3 classes", "2 labels"), {"file": file, "labels": ["happy", "sad"], "input_px": None}),
        (("itself says", "'width'"), {"file": file, "width": 1.0, "input_px": None}),
    ]
    for words, changes in cases:
        refusal(lambda changes=changes: opened("weights", tmp_path, **changes), *words)
    size = {key: getattr(trained.settings, key) for key in ("width", "input_px", "frames")}
    lacking = told | {"file": "plain.safetensors"} | size
    refusal(lambda: opened("weights", tmp_path, **lacking), "lacks 'mean'", "statistics")
    assert not Path("exploded").exists()


def test_settings_survive_json_and_may_stand_in_a_job_again(tmp_path):
    weight_file(tmp_path)
    tables = [
        entry("torchscript", file=torchscript_file(tmp_path), classes={"sad": "sadness"}),
        entry("onnx", file=onnx_file(tmp_path), mean=0.5, std=0.25, version="3"),
        entry("factory", source="test_foreign:Rising", frames=2),
        entry("callable", source="test_foreign:brightest", input_px=None, frames="onset-apex"),
        entry("weights", file="own.safetensors", input_px=None, label="mine"),
        {"name": "fer", "classes": {"happy": "positive", "*": "negative"}},
        {"name": "face-api", "access": "scores"},
        {"name": "facex"},
    ]
    for table in tables:
        settings = foreign.settings(table, "job.toml", tmp_path)
        record = json.loads(json.dumps(asdict(settings)))
        assert foreign.from_record(record) == settings
        assert foreign.settings(record, "job.json", Path("elsewhere")) == settings
        assert len(settings.digest) == 64
        assert hash(settings) == hash(foreign.from_record(record))


def test_a_file_that_changed_is_refused(tmp_path):
    settings = foreign.settings(entry("onnx", file=onnx_file(tmp_path)), "job.toml", tmp_path)
    path = tmp_path / "colours.onnx"
    path.write_bytes(path.read_bytes() + b" ")
    refusal(lambda: foreign.open_victim(settings, CLASSES, "cpu", path), "not what it was")
    refusal(lambda: foreign.settings(asdict(settings), "job.json", tmp_path), "not what it was")
    moved = replace(settings, source="test_foreign:Colours", name="factory")
    refusal(lambda: foreign.open_victim(moved, CLASSES, "cpu"), "not what it was")


def test_a_module_is_known_by_its_source_and_not_imported(tmp_path, monkeypatch):
    package = tmp_path / "victims_of_others"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "nets.py").write_text("first = 1")
    monkeypatch.syspath_prepend(tmp_path)
    table = entry("factory", source="victims_of_others.nets:build")
    first = foreign.settings(table, "job.toml", tmp_path)
    (package / "nets.py").write_text("second = 2")
    second = foreign.settings(table, "job.toml", tmp_path)
    assert len({first.digest, second.digest, ""}) == 3
    assert foreign.settings(entry("factory", source="no.such:build"), "job.toml", tmp_path).digest == ""
    refusal(lambda: foreign.open_victim(second, CLASSES, "cpu"), "cannot be imported", "RuntimeError: imported")


TABLES = [
    (("'input_pxx'", "did you mean 'input_px'?"), {"input_pxx": 4}),
    (("'labels'", "missing"), {"labels": None}),
    (("'file'", "missing"), {"source": None}),
    (("'outputs'", "'probabilities'"), {"outputs": "logit"}),
    (("labels", "must name every output once"), {"labels": ["sad", "sad", "happy"]}),
    (("'labels'",), {"labels": "sad"}),
    (("input_px", "between 1"), {"input_px": 0}),
    (("'input_px'",), {"input_px": [4, 4, 4]}),
    (("'mean'",), {"mean": "bright"}),
    (("mean", "3 channels"), {"mean": [1.0, 2.0]}),
    (("std", "above 0"), {"std": 0.0}),
    (("std",), {"std": float("nan")}),
    (("range must differ",), {"range": [1, 1]}),
    (("frames", "between 1"), {"frames": 0}),
    (("layout", "without"), {"layout": "ntchw"}),
    (("layout", "with t"), {"layout": "nchw", "frames": 3}),
    (("'allow_pickle'", "leave it out"), {"allow_pickle": True}),
    (("'version'",), {"version": 3}),
    (("both",), {"file": "a.onnx"}),
    (("no file", "a.onnx"), {"source": "a.onnx"}),
]


@pytest.mark.parametrize(("words", "changes"), TABLES, ids=[" ".join(words) for words, _ in TABLES])
def test_a_wrong_table_is_one_sentence(words, changes, tmp_path):
    table = entry("onnx", **{"source": onnx_file(tmp_path), **changes})
    refusal(lambda: foreign.settings(table, "job.toml", tmp_path), "job.toml", *words)


def test_what_a_package_decides_is_not_for_a_job_to_set():
    table = {"name": "fer", "input_px": 48}
    refusal(lambda: foreign.settings(table, "job.toml", Path()), "'input_px'", "'fer'", "leave it out")
    refusal(
        lambda: foreign.settings({"name": "faceapi"}, "job.toml", Path()),
        "recogniser 'faceapi'",
        "did you mean 'face-api'?",
    )
    table = entry("factory", source="test_foreign.Colours")
    refusal(lambda: foreign.settings(table, "job.toml", Path()), "module:function")


def test_files_that_are_none_are_one_sentence(tmp_path):
    (tmp_path / "text.pt").write_text("no network")
    (tmp_path / "empty.onnx").write_bytes(b"")
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "weights.onnx")
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pt")
    for file in ("text.pt", "weights.pt", "empty.onnx"):
        refusal(lambda file=file: opened("torchscript", tmp_path, file=file), "no TorchScript file", file)
    for file in ("text.pt", "weights.onnx", "empty.onnx"):
        refusal(lambda file=file: opened("onnx", tmp_path, file=file), "no ONNX file", file)
    refusal(lambda: opened("onnx", tmp_path, file=onnx_file(tmp_path, inputs=2)), "takes 2 inputs")
    refusal(lambda: opened("onnx", tmp_path, file=onnx_file(tmp_path, batch=8)), "exactly 8 pictures")
    file = onnx_file(tmp_path)
    two = {"labels": LABELS[:2], "study": ("happy",), "file": file}
    refusal(lambda: opened("onnx", tmp_path, **two), "(2, 3)", "2 labels")
    refusal(lambda: opened("onnx", tmp_path, file=file, input_px=5), "'colours' failed", "InvalidArgument")
    file = torchscript_file(tmp_path, Certain())
    refusal(lambda: opened("torchscript", tmp_path, file=file), "probabilities and not logits")


def test_code_that_fails_is_one_sentence():
    refusal(lambda: code("broken"), "test_foreign:broken", "raised OSError: the weights are on another disk")
    refusal(lambda: code("number"), "returns a int")
    refusal(lambda: code("missing"), "cannot be imported", "AttributeError")
    refusal(lambda: code("LABELS"), "not a function")
    refusal(lambda: code("Paired"), "returns a tuple")
    refusal(lambda: code("Rising"), "'Rising' failed", "AssertionError")
    refusal(lambda: code("Colours", labels=LABELS[:2], study=("happy",)), "(2, 3)", "2 labels")
    refusal(lambda: code("Colours", outputs="labels"), "whole number")
    negative = {"outputs": "probabilities", "range": [-1.0, 1.0]}
    refusal(lambda: code("Colours", mean=2.0, **negative), "negative")
    refusal(lambda: opened("factory", source="no_such_module:build"), "ModuleNotFoundError")
    refusal(lambda: black_box("raising"), "'raising' failed", "ZeroDivisionError: no luck")
    refusal(lambda: black_box("grumpy"), "'grumpy'", "none of its labels", "happiness")
    refusal(lambda: black_box("short"), "(1,)", "2 clips")
    refusal(lambda: black_box("too_high"), "9", "3 labels")


def test_answers_that_are_not_finite_are_refused_whenever_they_come():
    refusal(lambda: code("DarkOnly", range=[0.0, 9.0]), "'DarkOnly'", "not finite")
    victim = code("DarkOnly")
    torch.testing.assert_close(victim.scores(pure(RED)), expected(RED))
    for ask in (victim.scores, victim.logits):
        refusal(lambda ask=ask: ask(pure((250.0, 250.0, 250.0))), "'DarkOnly'", "not finite")


def test_checking_a_job_imports_no_heavy_library(tmp_path):
    onnx_file(tmp_path)
    script = (
        "import sys; from pathlib import Path; from austicker import foreign;"
        "table = dict(name='onnx', source='colours.onnx', labels=['a'], input_px=4);"
        "foreign.settings(table, 'job', Path(sys.argv[1]));"
        "foreign.columns(foreign.settings(dict(name='fer'), 'job', Path()), ('happy',));"
        "print([name for name in ('torch', 'onnxruntime', 'h5py', 'safetensors') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
