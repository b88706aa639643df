"""One job file for two sizes, poisoned recognisers, surrogates, and who meets which attack."""

from __future__ import annotations

from pathlib import Path

import pytest

from austicker.job import from_record, read
from austicker.job.scaling import scaled
from austicker.types import AustickerError

JOB = """
name = "x"
scale = "reduced"
repeats = 30
reduced = { repeats = 2 }
corpora = [{ name = "orl-motion", reduced = { folds = 2 } }]
models = [{ name = "stcnn", label = "s", reduced = { width = 0.25, epochs = 3 } }]
attacks = [{ name = "clean" }, { name = "fgsm", surrogate = "s" }]
"""


def job(tmp_path: Path, text: str = JOB, *settings: str):
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, settings)


def test_reduced_values_hold_and_are_said(tmp_path):
    small = job(tmp_path)
    assert (small.seeds, small.corpora[0].folds, small.models[0].epochs, small.models[0].width) == ((0, 1), 2, 3, 0.25)
    assert small.scale == "reduced"
    assert set(small.reductions) == {
        "job: repeats = 2 instead of 30",
        "corpora.0 (orl-motion): folds = 2",
        "models.0 (s): width = 0.25",
        "models.0 (s): epochs = 3",
    }
    assert from_record(small.record()) == small


def test_the_published_size_is_one_setting_away(tmp_path):
    full = job(tmp_path, JOB, "scale=published")
    assert (len(full.seeds), full.corpora[0].folds, full.models[0].width) == (30, None, 1.0)
    assert (full.scale, full.reductions) == ("published", ())


def test_the_command_line_goes_before_what_is_reduced(tmp_path):
    assert job(tmp_path, JOB, "models.0.epochs=7", "repeats=1").models[0].epochs == 7


@pytest.mark.parametrize("value", ["3", "[1]", '"small"'])
def test_a_reduced_that_is_no_table_is_refused(tmp_path, value):
    with pytest.raises(AustickerError, match="'reduced' in .* must be a table"):
        job(tmp_path, JOB.replace("{ repeats = 2 }", value))


def test_nothing_is_reduced_without_the_scale():
    content = {"a": 1, "reduced": {"a": 0}, "list": [{"b": 2, "reduced": {"b": 1}}]}
    assert scaled(content, "x") == ({"a": 1, "list": [{"b": 2}]}, [])


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("repeats = 30", "repeats = 30\nseeds = [1]", "both 'seeds' and 'repeats'"),
        ("{ repeats = 2 }", "{ repeats = 0 }", "'repeats = 0'"),
        ('scale = "reduced"', 'scale = "reduce"', "did you mean 'reduced'"),
        ("{ folds = 2 }", "{ settings = { a = 1 } }", "smaller values, not of tables"),
        ('name = "x"', 'name = "x"\nreductions = ["lie"]', "'reductions' in .* leave it out"),
        ('label = "s"', 'label = "s", poisoned = ["a"], poison = { attack = ["x"] }', "is none for training"),
        ('label = "s"', 'label = "s", poison = { emotion = "a" }', "has a 'poison' but no class"),
        ("{ folds = 2 }", "{ test_per_class = 0 }", "'test_per_class = 0'"),
        ('surrogate = "s"', 'surrogate = "t"', "Surrogate 't' .* is no model of the job"),
        ('{ name = "clean" }', '{ name = "clean", surrogate = "s" }', "takes no gradients"),
        ('label = "s"', 'label = "s", attacks = ["filter"]', "names attack 'filter', which is not in the job"),
        ('label = "s"', 'label = "s", attacks = "clean"', "'attacks' of model 's' .* takes a list of names"),
        ('label = "s"', 'label = "s", attacks = []', "at least one value"),
        ('label = "s"', 'label = "s", poison = {}', "has a 'poison' but no class"),
        ('label = "s"', 'label = "s", poisoned = ["a"], poison = { attack = "fgsm" }', "is none for training"),
        ('label = "s"', 'label = "s", poisoned = ["a"], poison = { width = "wide" }', "Setting 'width' of the poison"),
        ('label = "s"', 'label = "s", poisoned = ["a"], poison = { width = 9 }', "The width 9 of a box"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(tmp_path, old, new, match):
    text = JOB.replace('surrogate = "s"', 'surrogate = "s"')
    assert old in text
    with pytest.raises(AustickerError, match=match) as refused:
        job(tmp_path, text.replace(old, new))
    assert "\n" not in str(refused.value)


def test_a_reduced_value_is_set_without_its_table(tmp_path):
    with pytest.raises(AustickerError, match="set 'corpora.0.folds', which goes before"):
        job(tmp_path, JOB, "corpora.0.reduced.folds=3")


def test_poisoned_classes_are_recognisers_of_their_own(tmp_path):
    text = JOB.replace(
        "models = [", 'models = [{ name = "stcnn", label = "s", poisoned = ["fear", "anger"], attacks = ["clean"] }, '
    )
    found = job(tmp_path, text)
    labels = [settings.label for settings in found.models]
    assert labels == ["s, eye-boxes on fear", "s, eye-boxes on anger", "s"]
    assert [settings.poison and settings.poison.emotion for settings in found.models] == ["fear", "anger", None]
    assert found.meets == {label: ("clean",) for label in labels[:2]}
    assert from_record(found.record()) == found


def test_a_recogniser_without_gradients_is_no_surrogate(tmp_path):
    text = JOB.replace("models = [", 'models = [{ name = "landmark-forest" }, ').replace(
        'surrogate = "s"', 'surrogate = "landmark-forest"'
    )
    with pytest.raises(AustickerError, match="gives no gradients"):
        job(tmp_path, text)
