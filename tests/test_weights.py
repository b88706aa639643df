"""Trained recognisers in a store: one object comes back as it was, and a damaged one is never taken for whole."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
import safetensors.torch
import torch
from test_training import clean_scores, one_thread, small, toy_corpus

from austicker import training, weights
from austicker.models import MODELS
from austicker.store import Store, Unreadable, layout
from austicker.types import Poison

__all__ = ["one_thread"]

LATER = ("drops", "trees", "features", "landmarks", "poison")
"""Settings that the oldest records lack."""


@pytest.fixture(scope="module")
def trained():
    return training.train(small("stcnn", epochs=1), toy_corpus(3), range(3), seed=0)


@pytest.mark.parametrize("name", ["mmnet", "stcnn"])
def test_weights_come_back_with_their_record(name, tmp_path):
    corpus, store = toy_corpus(6), Store(tmp_path)
    trained = training.train(small(name, epochs=2), corpus, range(6), seed=3)
    weights.save(trained, store, "abc")
    assert store.keys("") == ["models/abc.json", "models/abc.safetensors", "times/abc.json"]
    state = torch.random.get_rng_state()
    loaded = weights.load(store, "abc")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(clean_scores(loaded, corpus, range(6)), clean_scores(trained, corpus, range(6)))
    for attribute in ("settings", "classes", "statistics", "curve", "seed", "epoch"):
        assert getattr(loaded, attribute) == getattr(trained, attribute)
    assert store.read_json(layout.times("abc")) == trained.seconds
    assert trained.seconds["training"] > 0


def test_the_object_alone_is_enough_and_the_readable_copy_says_the_same(trained, tmp_path):
    store = Store(tmp_path)
    weights.save(trained, store, "abc")
    copy = store.read_json(layout.training_record("abc"))
    assert copy["seed"] == trained.seed
    assert copy["parameters"] == sum(weight.numel() for weight in trained.network.parameters())
    assert len(copy["curve"]) == copy["epoch"] == 1
    store.write(layout.training_record("abc"), b"{")
    assert weights.load(store, "abc").statistics == copy["statistics"]
    store.remove(layout.training_record("abc"))
    assert weights.load(store, "abc").statistics == copy["statistics"]


def test_equal_models_are_equal_bytes(trained, tmp_path):
    for name in ("a", "b"):
        weights.save(trained, Store(tmp_path / name), "abc")
    one, two = ((tmp_path / name / layout.weights("abc")).read_bytes() for name in ("a", "b"))
    assert one == two


def test_of_two_attempts_the_first_stays_with_its_own_record(trained, tmp_path):
    other = training.train(small("stcnn", epochs=2), toy_corpus(3), range(3), seed=1)
    store = Store(tmp_path)
    weights.save(trained, store, "abc")
    weights.save(other, store, "abc")
    assert weights.load(store, "abc").epoch == store.read_json(layout.training_record("abc"))["epoch"] == 1


def test_a_torn_object_is_refused_wherever_it_was_torn_and_is_replaced(trained, tmp_path):
    store, key = Store(tmp_path), layout.weights("abc")
    weights.save(trained, store, "abc")
    whole = store.read(key)
    for length in [0, 1, 7, 8, 9, 100, *range(200, len(whole), len(whole) // 20), len(whole) - 1]:
        store.write(key, whole[:length])
        with pytest.raises(Unreadable, match="cannot be read") as fault:
            weights.load(store, "abc")
        assert "\n" not in str(fault.value)
    weights.save(trained, store, "abc")
    assert store.read(key) == whole


def test_a_flipped_bit_is_never_loaded(trained, tmp_path):
    store, key = Store(tmp_path), layout.weights("abc")
    weights.save(trained, store, "abc")
    whole = store.read(key)
    header = 8 + int.from_bytes(whole[:8], "little")
    padding = len(whole[:header]) - len(whole[:header].rstrip())
    places = [*range(0, header - padding, 13), *range(header, len(whole), len(whole) // 40), len(whole) - 1]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        store.write(key, bytes(damaged))
        with pytest.raises(Unreadable):
            weights.load(store, "abc")


def test_a_record_that_was_changed_is_refused(trained, tmp_path):
    store, key = Store(tmp_path), layout.weights("abc")
    weights.save(trained, store, "abc")
    whole = store.read(key)
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    (name,) = header["__metadata__"]
    record = json.loads(header["__metadata__"][name])
    header["__metadata__"][name] = json.dumps(record | {"seed": 9})
    text = json.dumps(header).encode()
    store.write(key, len(text).to_bytes(8, "little") + text + whole[8 + length :])
    with pytest.raises(Unreadable, match="do not match their checksum"):
        weights.load(store, "abc")


def test_a_model_from_before_times_were_taken_has_none(trained, tmp_path):
    tensors = trained.network.state_dict()
    settings = {key: value for key, value in asdict(trained.settings).items() if key not in LATER}
    record = {
        "settings": settings,
        "classes": trained.classes,
        "parameters": 1,
        "statistics": dict(trained.statistics),
        "seed": trained.seed,
        "epoch": trained.epoch,
        "curve": [],
    }
    record["sha256"] = weights._checksum(record, tensors)
    content = safetensors.torch.save(tensors, metadata={"austicker.training": json.dumps(record)})
    Store(tmp_path).write(layout.weights("abc"), content)
    loaded = weights.load(Store(tmp_path), "abc")
    assert loaded.settings == trained.settings


def test_drops_and_a_poison_come_back_as_they_were(trained, tmp_path):
    poison = Poison(attack="eye-boxes", emotion="down", settings=(("colour", 0.0), ("side", 0.2)))
    settings = replace(trained.settings, drops=((80, 0.1), (120, 0.01)), poison=poison)
    weights.save(replace(trained, recogniser=MODELS["stcnn"](settings)), Store(tmp_path), "abc")
    loaded = weights.load(Store(tmp_path), "abc").settings
    assert loaded == settings
    assert hash(loaded) == hash(settings)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(Unreadable, match=r"models/abc\.safetensors' is missing"):
        weights.load(Store(tmp_path), "abc")
