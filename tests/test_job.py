"""Job files: the shipped one is valid, and every bad input is answered with one sentence that helps."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from austicker import job as jobs
from austicker.regions import NAMES, POSITIONS
from austicker.types import AustickerError, DiscoverySettings

SHIPPED = sorted((Path(__file__).parents[1] / "jobs").glob("*.toml"))
DEMO = Path(__file__).parents[1] / "jobs" / "demo.toml"
SMALL = """
name = "small"
[[corpora]]
name = "orl-motion"
[[models]]
name = "mmnet"
epochs = 3
[[attacks]]
stickers = ["sun"]
placements = ["causal"]
"""


def written(folder: Path, text: str = SMALL, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def with_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """The small job with values set by dotted keys; None takes a key away."""
    content: Any = tomllib.loads(SMALL)
    for key, value in changes.items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return content


def refusal(changes: dict[str, Any], folder: Path) -> str:
    with pytest.raises(AustickerError) as raised:
        jobs.check(with_changes(changes), "mine.toml", folder)
    return str(raised.value)


def assert_one_sentence(text: str) -> None:
    assert "\n" not in text
    assert text.endswith(".")
    assert not re.search(r"\. [A-Z]", text)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_job_is_valid_or_only_lacks_a_corpus(path):
    try:
        assert jobs.read(path).name == path.stem
    except AustickerError as error:
        assert re.search("needs the folder", str(error))  # noqa: PT017


def test_the_demo_is_what_its_file_says():
    demo = jobs.read(DEMO)
    assert demo.name == "demo"
    assert [model.name for model in demo.models] == ["mmnet", "stcnn"]
    assert len({model.label for model in demo.models}) == 2
    (attack,) = demo.attacks
    assert len(attack.stickers) == 8
    draws = tuple(f"random/{draw}" for draw in range(1, attack.random_draws + 1))
    assert attack.placements == (
        "causal", *draws, *POSITIONS, *(f"region/{name}" for name in NAMES), "centre"
    )  # fmt: skip


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.stem == "demo"], ids=lambda path: path.stem)
def test_the_canonical_record_round_trips_through_json(path):
    job = jobs.read(path)
    assert jobs.from_record(json.loads(json.dumps(job.record()))) == job
    assert set(job.record()) == {field.name for field in dataclasses.fields(job)}


def test_a_users_sticker_and_folder_round_trip_and_are_found_beside_the_job(tmp_path, monkeypatch):
    cv2.imwrite(str(tmp_path / "mine.png"), np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "photos").mkdir()
    changes = {"attacks.0.stickers": ["mine.png", "sun"], "corpora.0.root": "photos"}
    job = jobs.check(with_changes(changes), "mine.toml", tmp_path)
    assert job.attacks[0].stickers == (str(tmp_path / "mine.png"), "sun")
    assert job.corpora[0].root == str(tmp_path / "photos")
    assert jobs.from_record(json.loads(json.dumps(job.record()))) == job
    monkeypatch.chdir(tmp_path.parent)
    assert jobs.check(with_changes(changes), "mine.toml", Path(tmp_path.name)) == job


def test_defaults_are_filled_in(tmp_path):
    job = jobs.check(with_changes({"attacks": None}), "mine.toml", tmp_path)
    assert (job.protocol, job.seeds, job.description) == ("loso", (0,), "")
    assert job.discovery == DiscoverySettings()
    (attack,) = job.attacks
    assert (attack.name, attack.label, attack.side, attack.variant) == ("sticker", "sticker", 0.2, "same-place")
    assert len(attack.stickers) == 8


def test_an_attack_is_labelled_by_what_differs_from_the_paper(tmp_path):
    def label(**changes: Any) -> str:
        settings = {f"attacks.0.{key}": value for key, value in changes.items()}
        return jobs.check(with_changes(settings), "mine.toml", tmp_path).attacks[0].label

    assert label(side=0.3) == "sticker side 0.3"
    assert label(variant="per-frame", side=0.3) == "sticker per-frame side 0.3"
    assert label(side=0.3, label="large") == "large"


def second(part: str, **changes: Any) -> dict[str, Any]:
    """Another item in a list of the small job, like the first but for these changes."""
    first = tomllib.loads(SMALL)[part][0]
    return {part: [first, {**copy.deepcopy(first), **changes}]}


BAD = {
    # unknown keys
    "seedz": ({"seedz": [0]}, "Unknown key 'seedz'", "seeds"),
    "corpora key": ({"corpora.0.fold": 3}, "Unknown key 'corpora.0.fold'", "folds"),
    "attack key": ({"attacks.0.placement": ["causal"]}, "Unknown key 'attacks.0.placement'", "placements"),
    "discovery key": ({"discovery.alfa": 0.1}, "Unknown key 'discovery.alfa'", "alpha"),
    "model key": ({"models.0.epoch": 3}, "Unknown setting 'epoch' of model 'mmnet'", "epochs"),
    # unknown names
    "model": ({"models.0.name": "mmnett"}, "Unknown model 'mmnett'", "mmnet"),
    "sticker": ({"attacks.0.stickers": ["sunn"]}, "Sticker 'sunn'", "sun"),
    "attack": ({"attacks.0.name": "stikcer"}, "Unknown attack 'stikcer'", "sticker"),
    "placement": ({"attacks.0.placements": ["region/chinn"]}, "Unknown placement 'region/chinn'", "region/chin"),
    "pattern": ({"attacks.0.placements": ["regoin/*"]}, "Unknown placement 'regoin/*'", "region/*"),
    "corpus": ({"corpora.0.name": "orlmotion"}, "Unknown corpus 'orlmotion'", "orl-motion"),
    "protocol": ({"protocol": "los"}, "Unknown protocol 'los'", "loso"),
    "method": ({"discovery.method": "chisquare"}, "Unknown discovery method 'chisquare'", "chi-square"),
    "variant": ({"attacks.0.variant": "per-frames"}, "'per-frames' of 'attacks.0.variant'", "per-frame"),
    "optimiser": ({"models.0.optimiser": "adamww"}, "Setting 'optimiser' of model 'mmnet'", "adamw"),
    # missing
    "no name": ({"name": None}, "The key 'name' is missing", None),
    "no corpora": ({"corpora": None}, "The key 'corpora' is missing", None),
    "no models": ({"models": None}, "The key 'models' is missing", None),
    "nameless corpus": ({"corpora": [{}]}, "The key 'corpora.0.name' is missing", None),
    "nameless model": ({"models": [{"epochs": 3}]}, "A model in mine.toml has no 'name'; known: mmnet, stcnn", None),
    # wrong types
    "number as name": ({"name": 3}, "The value 3 of 'name'", None),
    "one corpus": ({"corpora": {"name": "orl-motion"}}, "of 'corpora' in", None),
    "corpus as text": ({"corpora": ["orl-motion"]}, "The value 'orl-motion' of 'corpora.0'", None),
    "model as text": ({"models": ["mmnet"]}, "The value 'mmnet' of 'models.0'", None),
    "model name": ({"models.0.name": 3}, "A model in mine.toml has no 'name'", None),
    "stickers as text": ({"attacks.0.stickers": "sun"}, "The value 'sun' of 'attacks.0.stickers'", None),
    "side as text": ({"attacks.0.side": "0.2"}, "The value '0.2' of 'attacks.0.side'", None),
    "side as truth": ({"attacks.0.side": True}, "The value True of 'attacks.0.side'", None),
    "seed as truth": ({"seeds": [True]}, "The value True of 'seeds.0'", None),
    "seed as text": ({"seeds": ["0"]}, "The value '0' of 'seeds.0'", None),
    "seed as fraction": ({"seeds": [0.5]}, "The value 0.5 of 'seeds.0'", None),
    "folds as truth": ({"corpora.0.folds": True}, "The value True of 'corpora.0.folds'", None),
    "epochs as text": ({"models.0.epochs": "3"}, "Setting 'epochs' of model 'mmnet' takes a whole number", None),
    "label as number": ({"models.0.label": 3}, "Setting 'label' of model 'mmnet' takes a text", None),
    "discovery as text": ({"discovery": "chi-square"}, "The value 'chi-square' of 'discovery'", None),
    "date": ({"description": tomllib.loads("d = 2020-01-01")["d"]}, "of 'description'", None),
    # empty and double
    "corpora empty": ({"corpora": []}, "'corpora' in mine.toml is empty", None),
    "models empty": ({"models": []}, "'models' in mine.toml is empty", None),
    "attacks empty": ({"attacks": []}, "'attacks' in mine.toml is empty", None),
    "seeds empty": ({"seeds": []}, "'seeds'", None),
    "stickers empty": ({"attacks.0.stickers": []}, "'stickers'", None),
    "placements empty": ({"attacks.0.placements": []}, "'placements'", None),
    "seeds twice": ({"seeds": [1, 1]}, "'seeds'", None),
    "stickers twice": ({"attacks.0.stickers": ["sun", "sun"]}, "'stickers'", None),
    "placements twice": ({"attacks.0.placements": ["causal", "causal"]}, "'placements'", None),
    "corpora twice": (second("corpora", folds=3), "'corpora'", None),
    "models twice": (second("models"), "'the labels of the models'", None),
    "attacks twice": (second("attacks"), "'the labels of the attacks'", None),
    # out of range
    "large sticker": ({"attacks.0.side": 1.2}, "Sticker side 1.2 is not in (0, 1]", None),
    "no size": ({"attacks.0.side": 0}, "Sticker side 0 is not in (0, 1]", None),
    "side nan": ({"attacks.0.side": float("nan")}, "Sticker side nan", None),
    "no draws": ({"attacks.0.random_draws": 0}, "'random_draws = 0'", None),
    "alpha": ({"discovery.alpha": 1}, "'discovery.alpha = 1.0'", None),
    "alpha nan": ({"discovery.alpha": float("nan")}, "'discovery.alpha = nan'", None),
    "bins": ({"discovery.bins": 1}, "'discovery.bins = 1'", None),
    "conditions": ({"discovery.max_conditions": -1}, "'discovery.max_conditions = -1'", None),
    "bootstraps": ({"discovery.bootstraps": -1}, "'discovery.bootstraps = -1'", None),
    "epochs": ({"models.0.epochs": 0}, "Setting 'epochs' of model 'mmnet' must lie between 1 and", None),
    "width": ({"models.0.width": float("inf")}, "Setting 'width' of model 'mmnet'", None),
    "no folds": ({"corpora.0.folds": 0}, "'folds = 0' of corpus 'orl-motion'", None),
    "seed too large": ({"seeds": [2**31]}, "The seed 2147483648", None),
    "seed huge": ({"seeds": [2**80]}, "The seed 1208925819614629174706176", None),
    "seed negative": ({"seeds": [-1]}, "The seed -1", None),
    # names that would be a folder elsewhere
    "name with a path": ({"name": "../mine"}, "The name '../mine'", None),
    "name empty": ({"name": ""}, "The name ''", None),
    "name of a folder": ({"name": "."}, "The name '.'", None),
    "name on two lines": ({"name": "a\nb"}, "The name 'a\\nb'", None),
    "line break": ({"attacks.0.placements": ["a\nb"]}, "Unknown placement 'a b'", None),
    # corpora that are not there
    "no folder": ({"corpora.0.name": "casme2"}, "Corpus 'casme2' in mine.toml needs the folder", None),
    "no such landmarks": ({"corpora.0.landmarks": "mediapip"}, "landmarks", "mediapipe"),
    "not the protocol's corpus": ({"protocol": "au-sticker"}, "orl-motion", None),
    "half a composite": ({"protocol": "megc2019", "corpora": [{"name": "casme2", "root": "."}]}, "samm", None),
}


@pytest.mark.parametrize(("changes", "words", "near"), BAD.values(), ids=BAD)
def test_a_bad_value_is_one_sentence_that_names_file_and_fault_and_what_was_meant(tmp_path, changes, words, near):
    text = refusal(changes, tmp_path)
    assert_one_sentence(text)
    assert "mine.toml" in text
    assert words in text
    assert ("did you mean" in text) is (near is not None)
    assert near is None or f"(did you mean '{near}'?)" in text


def test_a_name_near_nothing_is_answered_with_all_that_is_known(tmp_path):
    unknown = {"protocol": "x", "discovery.method": "x", "models.0.name": "zz", "x": 1, "corpora.0.name": "x"}
    for key, value in unknown.items():
        assert re.search(r"; known: [a-z]", refusal({key: value}, tmp_path)), key


@pytest.mark.parametrize("content", [b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40), b""])
def test_a_sticker_that_is_no_picture_is_refused_with_its_path(tmp_path, content):
    (tmp_path / "mine.png").write_bytes(content)
    text = refusal({"attacks.0.stickers": ["mine.png"]}, tmp_path)
    assert_one_sentence(text)
    assert "mine.toml" in text
    assert str(tmp_path / "mine.png") in text


def test_two_stickers_of_one_name_are_refused_because_verdicts_could_not_tell_them_apart(tmp_path):
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "mine.png"), np.full((2, 2, 3), number, np.uint8))
    text = refusal({"attacks.0.stickers": ["a/mine.png", "b/mine.png"]}, tmp_path)
    assert_one_sentence(text)
    assert "['mine.png', 'mine.png']" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name = ", "is not valid TOML"),
        (b'name = "a"\nname = "b"', "is not valid TOML"),
        (b'name = "\xff"', "cannot be read"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_path(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(AustickerError, match=words) as raised:
        jobs.read(path)
    assert_one_sentence(str(raised.value))
    assert str(path) in str(raised.value)


def test_a_file_that_is_missing_or_a_folder_is_refused_with_its_path(tmp_path):
    for path, words in ((tmp_path / "none.toml", "There is no job file"), (tmp_path, "cannot be read")):
        with pytest.raises(AustickerError, match=words) as raised:
            jobs.read(path)
        assert_one_sentence(str(raised.value))
        assert str(path) in str(raised.value)


def test_set_changes_values_items_lists_and_texts(tmp_path):
    settings = [
        "name=other",
        'description="two words"',
        "seeds=[3, 4]",
        "discovery.alpha=0.01",
        "models.0.epochs=7",
        "attacks.0.side=0.3",
        "attacks.0.stickers.0=heart",
        'attacks.0.placements=["positions"]',
        "attacks.0.label=a=b",
        "corpora.0.folds=2",
    ]
    job = jobs.read(written(tmp_path), settings)
    assert (job.name, job.description, job.seeds) == ("other", "two words", (3, 4))
    assert (job.discovery.alpha, job.models[0].epochs, job.corpora[0].folds) == (0.01, 7, 2)
    (attack,) = job.attacks
    assert (attack.side, attack.stickers, attack.placements, attack.label) == (0.3, ("heart",), POSITIONS, "a=b")


def test_a_later_set_wins_and_the_file_stays_as_it_is(tmp_path):
    path = written(tmp_path)
    assert jobs.read(path, ["name=one", "name=two"]).name == "two"
    assert path.read_text() == SMALL
    assert jobs.read(path).name == "small"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("name", "not of the form key=value"),
        ("=3", "not of the form key=value"),
        ("", "not of the form key=value"),
        ("models.3.epochs=1", "no such place"),
        ("models.first.epochs=1", "no such place"),
        ("attacks.0.stickers.5=sun", "no such place"),
        ("name.first=1", "no such place"),
        ("models.0.epochs.x=1", "no such place"),
    ],
)
def test_a_set_of_a_wrong_form_is_one_sentence_that_repeats_it(tmp_path, setting, words):
    with pytest.raises(AustickerError, match=words) as raised:
        jobs.read(written(tmp_path), [setting])
    assert_one_sentence(str(raised.value))
    assert f"'--set {setting}'" in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sedes=[1]", "Unknown key 'sedes' in"),
        ("attacks.0.variant=apex", r"\(did you mean 'apex-only'\?\)"),
        ("seeds=1, 2", "The value '1, 2' of 'seeds'"),
        ("models.0.epochs=many", "takes a whole number, not 'many'"),
    ],
)
def test_a_set_of_a_wrong_value_is_refused_as_in_the_file(tmp_path, setting, words):
    with pytest.raises(AustickerError, match=words) as raised:
        jobs.read(written(tmp_path), [setting])
    assert_one_sentence(str(raised.value))
    assert "mine.toml" in str(raised.value)
