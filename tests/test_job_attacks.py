"""Attacks, budgets and recognisers of a job: what is filled in, what is refused, and that a record is the same job."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from test_job import SHIPPED, assert_one_sentence

from austicker import job as jobs
from austicker.attacks import ATTACKS
from austicker.job import AttackChoice, Job
from austicker.types import AustickerError

NAMES = ("sticker", "random", "exhaustive", "dense", "rhde", "dopatch", "unified")
SEARCHES = NAMES[1:]
WEARING = NAMES[1:-1]
FULL = {"sticker": 1, "exhaustive": 14, "rhde": 120 * 79, "dopatch": 21 * 100, "unified": 30 * 200}
"""The published effort; RHDE's paper counts 120 + 30 * 120 rounds and leaves its neighbour moves out."""
SMILES = {"happy": "smiling", "*": "not smiling"}


def check(*attacks: dict[str, Any], folder: Path = Path(), where: str = "mine.toml", **top: Any) -> Job:
    content = {
        "name": "small",
        "corpora": [{"name": "orl-motion"}, {"name": "orl-photos"}],
        "models": [{"name": "stcnn"}],
        "attacks": list(attacks),
    }
    return jobs.check({**content, **top}, where, folder)


def only(*attacks: dict[str, Any], **top: Any) -> AttackChoice:
    (attack,) = check(*attacks, **top).attacks
    return attack


def refusal(*attacks: dict[str, Any], **top: Any) -> str:
    with pytest.raises(AustickerError) as raised:
        check(*attacks, **top)
    text = str(raised.value)
    assert_one_sentence(text)
    assert "mine.toml" in text
    return text


# Budgets.


def test_every_attack_of_the_shelf_is_looked_at_here():
    assert set(NAMES) <= set(ATTACKS.names())


@pytest.mark.parametrize("name", FULL)
def test_without_a_budget_an_attack_goes_to_its_published_end(name):
    attack = only({"name": name})
    assert attack.budget == FULL[name]
    assert attack.settings == dataclasses.asdict(ATTACKS[name].settings())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [1, 2, 7, 100, 1000])
def test_a_budget_below_the_published_effort_is_never_exceeded_and_makes_the_search_smaller(name, budget):
    full, small = only({"name": name}), only({"name": name, "budget": budget})
    assert 1 <= small.budget <= budget
    assert small.budget <= full.budget
    if budget >= full.budget:
        assert small == full
    elif name != "exhaustive":
        assert small.settings != full.settings


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_above_the_published_effort_is_that_effort(name):
    assert only({"name": name, "budget": 1_000_000}) == only({"name": name})


def test_the_budget_of_a_job_is_that_of_every_attack_that_names_none():
    job = check({"name": "random"}, {"name": "random", "label": "own", "budget": 9}, {"name": "exhaustive"}, budget=50)
    assert [attack.budget for attack in job.attacks] == [50, 9, 14]
    assert "budget" not in job.record()


def test_what_an_attack_names_itself_is_not_made_smaller_by_a_budget():
    attack = only({"name": "random", "settings": {"draws": 30}}, budget=5)
    assert (attack.budget, attack.settings["draws"]) == (5, 30)
    attack = only({"name": "rhde", "settings": {"population": 40}}, budget=200)
    assert (attack.budget, attack.settings["population"]) == (200, 40)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", [0, -1, -1000, 1_000_001])
def test_a_budget_out_of_range_is_refused_in_the_attack_and_in_the_job(name, budget):
    for attack, top in (({"name": name, "budget": budget}, {}), ({"name": name}, {"budget": budget})):
        text = refusal(attack, **top)
        assert f"attack '{name}'" in text
        assert f"{budget} queries" in text


def test_a_search_larger_than_any_budget_is_refused():
    assert "1000000000 queries" in refusal({"name": "random", "settings": {"draws": 10**9}})


@pytest.mark.parametrize("budget", [True, "5", 5.5])
def test_a_budget_that_is_no_whole_number_is_refused(budget):
    assert "'attacks.0.budget'" in refusal({"name": "random", "budget": budget})
    assert "'budget'" in refusal({"name": "random"}, budget=budget)


# Settings.

SETTINGS = {
    "misspelt": ("rhde", {"populaton": 3}, "Unknown setting 'populaton'", "(did you mean 'population'?)"),
    "unlike any": ("dense", {"zzz": 3}, "Unknown setting 'zzz'", "; known: stride"),
    "of none": ("exhaustive", {"draws": 3}, "Unknown setting 'draws'", "it has none"),
    "of another": ("random", {"rounds": 3}, "Unknown setting 'rounds'", "; known: draws"),
    "a text": ("rhde", {"population": "30"}, "Setting 'population'", "integer"),
    "a truth": ("rhde", {"population": True}, "Setting 'population'", "integer"),
    "a fraction": ("random", {"draws": 2.5}, "Setting 'draws'", "integer"),
    "a list": ("dense", {"stride": [0.1]}, "Setting 'stride'", "number"),
    "a number for a name": ("dopatch", {"optimiser": 3}, "Setting 'optimiser'", "'nes'"),
    "a misspelt choice": ("dopatch", {"optimiser": "nse"}, "optimiser", "nes"),
    "not a number": ("rhde", {"gap": float("nan")}, "Setting 'gap'", "nan"),
    "infinite": ("dopatch", {"sigma": float("inf")}, "Setting 'sigma'", "inf"),
    "too small": ("random", {"draws": 0}, "do not fit", "at least one draw"),
    "negative": ("rhde", {"iterations": -1}, "do not fit", "and -1"),
    "too fine": ("dense", {"stride": 0.0}, "do not fit", "stride 0"),
    "too opaque": ("sticker", {"opacity": 3}, "do not fit", "opacity 3"),
    "an unknown place": ("unified", {"centre": "centr"}, "do not fit", "(did you mean 'centre'?)"),
    "a place that needs a graph": ("unified", {"centre": "causal"}, "do not fit", "causal"),
}


@pytest.mark.parametrize(("name", "settings", "fault", "mend"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_is_one_sentence_that_names_file_attack_and_fault(name, settings, fault, mend):
    text = refusal({"name": name, "settings": settings})
    assert f"attack '{name}'" in text
    assert fault in text
    assert mend in text


def test_a_whole_number_will_do_for_a_fraction_and_every_default_is_filled_in():
    attack = only({"name": "rhde", "settings": {"gap": 3}})
    assert attack.settings["gap"] == 3.0
    assert attack.settings["population"] == 120
    assert only({"name": "sticker", "settings": {"rotation": 30}}).settings == {"rotation": 30.0, "opacity": 1.0}


# What fits no search.


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_takes_no_placements_and_no_frames_of_its_own(name):
    assert only({"name": name}).placements == (name,)
    text = refusal({"name": name, "placements": ["centre"]})
    assert f"Attack '{name}'" in text
    assert "'placements'" in text
    text = refusal({"name": name, "variant": "per-frame"})
    assert f"Attack '{name}'" in text
    assert "'same-place' or 'apex-only'" in text
    assert only({"name": name, "variant": "apex-only"}).label == f"{name} apex-only"


def test_a_patch_of_its_own_takes_no_sticker_and_is_not_bent():
    attack = only({"name": "unified", "side": 0.3})
    assert (attack.stickers, attack.sticker_names) == ((), ("plain patch",))
    assert attack.label == "unified side 0.3"
    assert "leave out its 'stickers'" in refusal({"name": "unified", "stickers": ["sun"]})
    assert "leave out its 'bend'" in refusal({"name": "unified", "bend": True})


@pytest.mark.parametrize("name", ["sticker", *WEARING])
def test_who_wears_stickers_wears_the_jobs(name):
    attack = only({"name": name, "stickers": ["sun", "heart"], "bend": True, "side": 0.1})
    assert attack.stickers == ("sun", "heart")
    assert attack.label == f"{name} side 0.1 bent"
    assert "'stickers'" in refusal({"name": name, "stickers": []})
    assert "Sticker 'sunn'" in refusal({"name": name, "stickers": ["sunn"]})


def test_attacks_that_differ_in_settings_alone_want_labels():
    one, other = {"name": "random"}, {"name": "random", "settings": {"draws": 3}}
    assert "'the labels of the attacks'" in refusal(one, other)
    assert [attack.label for attack in check(one, {**other, "label": "three"}).attacks] == ["random", "three"]


# Choices of a region.


def test_stable_winners_need_resamples():
    stable = {"placements": ["causal/stable"]}
    assert only(stable, discovery={"bootstraps": 5}).placements == ("causal/stable",)
    assert "bootstraps" in refusal(stable, discovery={"bootstraps": 0})
    everything = refusal({"placements": ["causal/*", "control/*"]}, discovery={"bootstraps": 0})
    assert "'stable'" in everything


def test_choices_that_need_a_table_of_clips_are_refused_where_pictures_are_the_samples():
    samples = {"method": "per-image", "bootstraps": 0}
    for kind in ("causal/per-class", "causal/per-subject", "control/permuted", "control/correlation"):
        assert kind.partition("/")[2] in refusal({"placements": [kind]}, discovery=samples)
    kept = {"placements": ["control/blank", "control/motion", "control/tuned", "control/random-region"]}
    assert len(only(kept, discovery=samples).placements) == 4


# Which recogniser on which corpus.

OWN, THEIRS = {"name": "stcnn", "corpora": ["orl-motion"]}, {"name": "fer", "corpora": ["orl-photos"]}


def test_a_recogniser_may_be_restricted_to_corpora():
    job = check({}, models=[OWN, {**THEIRS, "classes": SMILES}])
    assert job.only == {"stcnn": ("orl-motion",), "fer": ("orl-photos",)}
    assert not any("corpora" in model for model in job.record()["models"])


@pytest.mark.parametrize(
    ("corpora", "words"),
    [
        (["orl-photo"], "(did you mean 'orl-photos'?)"),
        (["zzz"], "; the job has orl-motion, orl-photos"),
        (["casme2"], "'casme2'"),
        ([], "must name at least one value"),
        ("orl-photos", "takes a list of names, not 'orl-photos'"),
        ([3], "takes a list of names"),
    ],
)
def test_a_restriction_to_what_the_job_lacks_is_refused(corpora, words):
    for model in (OWN, THEIRS):
        text = refusal({}, models=[{**model, "corpora": corpora}])
        assert model["name"] in text
        assert words in text


def test_only_names_recognisers_and_corpora_of_the_job():
    assert check({}, only={"stcnn": ["orl-photos"]}).only == {"stcnn": ("orl-photos",)}
    assert "(did you mean 'stcnn'?)" in refusal({}, only={"stcn": ["orl-photos"]})
    assert "(did you mean 'orl-photos'?)" in refusal({}, only={"stcnn": ["orl-photo"]})
    assert "'stcnn'" in refusal({}, only={"stcnn": []})


def test_an_unknown_recogniser_is_answered_with_ours_and_theirs():
    assert "(did you mean 'facex'?)" in refusal({}, models=[{"name": "facexx"}])
    known = refusal({}, models=[{"name": "zzz"}])
    for name in ("mmnet", "torchscript", "onnx", "factory", "callable", "weights", "face-api"):
        assert name in known


# Records.


def assert_same(job: Job, folder: Path) -> None:
    """Fails unless the record, itself and as JSON read twice, is the same job."""
    record = job.record()
    assert jobs.from_record(record) == job
    assert jobs.from_record(json.loads(json.dumps(record))) == job
    found = job
    for number in range(2):
        path = folder / f"{number}.json"
        path.write_text(json.dumps(found.record()))
        found = jobs.read(path)
        assert found == job
        assert found.record() == record


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.stem != "table1"], ids=lambda path: path.stem)
def test_a_shipped_job_is_the_same_job_in_its_record(path, tmp_path):
    assert_same(jobs.read(path), tmp_path)


@pytest.mark.parametrize("budget", [None, 1, 5, 33, 100, 4321])
def test_a_job_of_all_attacks_is_the_same_job_in_its_record_at_any_budget(budget, tmp_path):
    attacks = [{"name": name} for name in NAMES] + [
        {"name": "dopatch", "label": "b", "settings": {"optimiser": "bayesian"}, "variant": "apex-only"},
        {"name": "dopatch", "label": "r", "settings": {"optimiser": "random", "components": 3}},
        {"name": "rhde", "label": "p", "bend": True, "settings": {"iterations": 3}},
        {"name": "unified", "label": "t", "settings": {"threshold": 0.25, "centre": "region/chin"}},
        {"name": "sticker", "label": "c", "placements": ["causal/*", "control/*"], "variant": "per-frame"},
    ]
    top = {} if budget is None else {"budget": budget}
    models = [OWN, {"name": "fer", "classes": SMILES, "corpora": ["orl-photos"]}, {"name": "mmnet", "epochs": 3}]
    assert_same(check(*attacks, models=models, **top), tmp_path)


def test_a_recognisers_file_is_found_beside_the_job_and_by_its_record_anywhere(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"whatever")
    model = {"name": "onnx", "file": "net.onnx", "labels": ["happy", "sad"], "input_px": 48, "mean": 0.5}
    model |= {"classes": {"happy": "smiling", "sad": "not smiling"}, "corpora": ["orl-photos"], "frames": "onset-apex"}
    job = check({}, models=[model], folder=tmp_path)
    assert job.models[0].source == str(tmp_path / "net.onnx")
    there = tmp_path / "elsewhere"
    there.mkdir()
    assert_same(job, there)
