"""Identities: every declared input changes them, and nothing else does."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from planted_corpus import attack, corpus, job, laid_out

from austicker import identity, models
from austicker.folds import loso
from austicker.foreign import ForeignSettings
from austicker.job import CorpusChoice
from austicker.types import DiscoverySettings, Fold, ModelSettings

FACES = corpus()
FOLD = loso(FACES.clips)[0]
SETTINGS = models.settings("stcnn")


def another(value: Any) -> Any:
    """Any other value of the same type, or any value where there is none."""
    if isinstance(value, bool):
        return not value
    if value is None or isinstance(value, tuple):
        return 7 if value is None else (*value, (80, 0.1))
    return value + "-other" if isinstance(value, str) else value + 1


def fields(record: type) -> list[str]:
    return [field.name for field in dataclasses.fields(record)]


@pytest.mark.parametrize("name", [name for name in fields(ModelSettings) if name != "label"])
def test_weights_depend_on_every_setting(name):
    value = "dlib" if name == "landmarks" else another(getattr(SETTINGS, name))
    changed = dataclasses.replace(SETTINGS, **{name: value})
    assert identity.of_model(FACES, FOLD, changed, 0) != identity.of_model(FACES, FOLD, SETTINGS, 0)


def test_weights_do_not_depend_on_what_the_recogniser_is_called():
    renamed = dataclasses.replace(SETTINGS, label="mine")
    assert identity.of_model(FACES, FOLD, renamed, 0) == identity.of_model(FACES, FOLD, SETTINGS, 0)


@pytest.mark.parametrize("name", fields(DiscoverySettings))
def test_graphs_depend_on_every_setting(name):
    before = DiscoverySettings()
    changed = dataclasses.replace(before, **{name: another(getattr(before, name))})
    assert identity.of_graph(FACES, FOLD, changed) != identity.of_graph(FACES, FOLD, before)


def both(faces=FACES, fold=FOLD, seed=0, settings=SETTINGS) -> tuple[str, str]:
    return identity.of_model(faces, fold, settings, seed), identity.of_graph(faces, fold, DiscoverySettings())


def test_weights_and_graphs_depend_on_the_corpus_and_on_the_names_of_the_training_clips():
    other_bytes = both(corpus(fingerprint="e" * 64))
    fewer = both(fold=dataclasses.replace(FOLD, train=FOLD.train[:-1]))
    clips = tuple(dataclasses.replace(clip, clip=clip.clip.replace("bob", "eve")) for clip in FACES.clips)
    renamed = both(dataclasses.replace(FACES, clips=clips))
    for position in range(2):
        assert len({made[position] for made in (both(), other_bytes, fewer, renamed)}) == 4


def test_weights_depend_on_the_seed_and_graphs_do_not():
    assert both(seed=1)[0] != both()[0]
    assert both(seed=1)[1] == both()[1]


def test_the_held_out_clips_count_only_where_training_looks_at_them():
    shorter = Fold(name=FOLD.name, train=FOLD.train, test=FOLD.test[:-1])
    assert both(fold=shorter) == both()
    peeking = dataclasses.replace(SETTINGS, selection="oracle-epoch")
    assert both(fold=shorter, settings=peeking)[0] != both(settings=peeking)[0]


def test_the_name_of_a_fold_and_of_a_corpus_are_no_inputs():
    assert both(fold=dataclasses.replace(FOLD, name="other")) == both()
    assert both(dataclasses.replace(FACES, name="moved", synthetic="Words.")) == both()


def test_kinds_versions_and_values_are_told_apart_and_order_is_not(monkeypatch):
    digests = {identity.digest("a", x=1), identity.digest("b", x=1), identity.digest("a", x="1")}
    digests |= {identity.digest("a", y=1), identity.digest("a", x=[1, 2]), identity.digest("a", x=[2, 1])}
    assert len(digests) == 6
    assert identity.digest("a", x={"p": 1, "q": 2}, y=0) == identity.digest("a", y=0, x={"q": 2, "p": 1})
    assert all(len(text) == 20 and int(text, 16) >= 0 for text in digests)
    monkeypatch.setattr(identity, "IDENTITY_VERSION", identity.IDENTITY_VERSION + 1)
    assert identity.digest("a", x=1) not in digests


def test_a_value_without_one_spelling_in_json_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity.digest("a", x=float("nan"))
    with pytest.raises(TypeError):
        identity.digest("a", x={1, 2})


def cells(faces=FACES, **changes: Any) -> dict[tuple[str, str, str], str]:
    """Cell ids by (fold, sticker, placement)."""
    return {
        (cell.fold, cell.sticker, cell.placement): cell.id
        for shard in laid_out(job(**changes), faces).shards
        for cell in shard.cells
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"attacks": (attack(side=0.3),)},
        {"attacks": (attack(variant="per-frame"),)},
        {"attacks": (attack(label="by another name"),)},
        {"seeds": (1,)},
        {"models": (models.settings("stcnn", width=0.5),)},
        {"models": (models.settings("stcnn", width=0.25, label="by another name"),)},
        {"faces": corpus(fingerprint="e" * 64)},
    ],
)
def test_every_cell_depends_on_every_declared_input(changes):
    before, after = cells(), cells(**changes)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_every_cell_depends_on_the_protocol_and_on_the_classes_that_it_gives():
    three = tuple(dataclasses.replace(clip, label=number % 3) for number, clip in enumerate(FACES.clips))
    smic = dataclasses.replace(FACES, name="smic-hs", labels=("negative", "positive", "surprise"), clips=three)
    chosen = (CorpusChoice(name="smic-hs", root="."),)
    one, other = (set(cells(smic, corpora=chosen, protocol=name).values()) for name in ("loso", "au-sticker"))
    assert len(one) == len(other)
    assert not one & other
    relabelled = tuple(dataclasses.replace(clip, label=2 - clip.label) for clip in three)
    renamed = dataclasses.replace(smic, labels=("surprise", "positive", "negative"))
    for changed in (dataclasses.replace(smic, clips=relabelled), renamed):
        assert not one & set(cells(changed, corpora=chosen).values())


def test_cells_of_different_folds_stickers_and_placements_differ():
    assert len(set(cells().values())) == len(cells()) == 3 * 2 * 3


def test_cells_depend_on_the_test_clips():
    shorter = dataclasses.replace(FACES, clips=FACES.clips[:-1])  # ann's, who trains in the two other folds
    for key, cell in cells(shorter).items():
        assert cell != cells()[key]


def test_only_the_causal_cells_depend_on_the_settings_of_the_graph():
    before, after = cells(), cells(discovery=DiscoverySettings(alpha=0.1))
    for (fold, sticker, placement), cell in after.items():
        assert (cell == before[fold, sticker, placement]) is (placement != "causal")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another", "description": "Words."},
        {"corpora": (CorpusChoice(name="orl-motion", root="/somewhere/else"),)},
        {"attacks": (attack(stickers=("heart", "sun"), placements=("random/1", "causal", "region/chin")),)},
        {"attacks": (attack(random_draws=9),)},
    ],
)
def test_cells_do_not_depend_on_names_of_the_job_paths_or_order(changes):
    assert cells(**changes) == cells()


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": 7},
        {"bend": True},
        {"remember": False},
        {"settings": {"opacity": 0.5}},
        {"side": 0.3},
        {"variant": "apex-only"},
    ],
    ids=str,
)
def test_cells_depend_on_how_the_sticker_is_worn_and_on_the_budget(changes):
    before = cells(attacks=(attack(budget=1, settings={"opacity": 1.0}),))
    after = cells(attacks=(attack(**{"budget": 1, "settings": {"opacity": 1.0}, **changes}),))
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


THEIRS = ForeignSettings(
    name="onnx",
    label="theirs",
    source="/here/net.onnx",
    digest="d" * 64,
    labels=("a", "b"),
    classes={"a": "a", "b": "b"},
    input_px=(48, 48),
)
OTHERS = {
    "digest": "e" * 64,
    "version": "2",
    "access": "label",
    "labels": ("a", "b", "c"),
    "classes": {"a": "b", "b": "a"},
    "input_px": (48, 32),
    "colour": "bgr",
    "range": (0.0, 255.0),
    "mean": (0.5,),
    "std": (0.5,),
    "frames": "onset-apex",
    "layout": "nhwc",
    "outputs": "probabilities",
    "allow_pickle": True,
    "architecture": "stcnn",
    "width": 0.5,
    "statistics": {"mean": 3.0},
    "name": "torchscript",
}


def of_theirs(**changes: Any) -> set[str]:
    """The ids of the cells of a recogniser that was trained elsewhere."""
    return set(cells(models=(dataclasses.replace(THEIRS, **changes),)).values())


def test_every_setting_of_a_recogniser_trained_elsewhere_is_changed_here():
    assert {*OTHERS, "label", "source"} == set(fields(ForeignSettings))


@pytest.mark.parametrize("name", OTHERS)
def test_cells_depend_on_every_setting_of_a_recogniser_trained_elsewhere(name):
    changed = dataclasses.replace(THEIRS, **{name: OTHERS[name]})
    assert identity.of_foreign(FACES, changed) != identity.of_foreign(FACES, THEIRS)
    assert len(of_theirs()) == 3 * 2 * 3
    assert not of_theirs(**{name: OTHERS[name]}) & of_theirs()


def test_cells_do_not_depend_on_where_a_recognisers_file_lies_nor_on_folds_it_never_saw():
    assert of_theirs(source="/elsewhere/moved.onnx") == of_theirs()
    renamed = dataclasses.replace(THEIRS, label="another", source="/elsewhere/moved.onnx")
    assert identity.of_foreign(FACES, renamed) == identity.of_foreign(FACES, THEIRS)
    shards = laid_out(job(models=(THEIRS,)), FACES).shards
    assert len({shard.weights for shard in shards}) == 1 < len(shards)


@pytest.mark.parametrize("change", [{"labels": ("b", "a")}, {"fingerprint": "0" * 64}, {"name": "other-faces"}])
def test_a_recogniser_trained_elsewhere_is_another_before_another_corpus(change):
    other = dataclasses.replace(FACES, **change)
    assert identity.of_foreign(other, THEIRS) != identity.of_foreign(FACES, THEIRS)


def test_two_functions_of_one_module_are_two_recognisers():
    one, other = (dataclasses.replace(THEIRS, name="factory", source=f"victims:{name}") for name in ("one", "other"))
    assert identity.of_foreign(FACES, one) != identity.of_foreign(FACES, other)


def test_only_what_reads_a_choice_depends_on_how_it_is_made():
    names = ("causal", "causal/stable", "control/blank", "control/tuned", "control/random-region", "region/chin")
    wide = {"attacks": (attack(placements=names),)}
    before, after = cells(**wide), cells(**wide, discovery=DiscoverySettings(bins=4))
    same = {placement for (_, _, placement), cell in after.items() if cell in before.values()}
    assert same == {"control/tuned", "control/random-region", "region/chin"}


def test_cells_of_a_users_sticker_follow_its_bytes_and_its_name_and_not_its_folder(tmp_path):
    def stuck(path: Path, colour: int) -> set[str]:
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.full((2, 2, 3), colour, np.uint8))
        return set(cells(attacks=(attack(stickers=(str(path),)),)).values())

    first = stuck(tmp_path / "a" / "mine.png", 9)
    assert stuck(tmp_path / "b" / "mine.png", 9) == first
    assert not stuck(tmp_path / "c" / "mine.png", 8) & first
    assert not stuck(tmp_path / "a" / "other.png", 9) & first


def test_chance_belongs_to_the_identity_in_every_process():
    code = "from austicker import identity as i; print(i.generator('cell', 'clip').integers(2**60), i.seed_of('cell'))"
    here = f"{identity.generator('cell', 'clip').integers(2**60)} {identity.seed_of('cell')}"
    for hash_seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        there = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert there.stdout.strip() == here


def test_identities_are_the_same_in_every_process():
    code = "import test_identity as t; print(*t.both(), *sorted(t.cells().values()))"
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": str(Path(__file__).parent)}
    there = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.split() == [*both(), *sorted(cells().values())]


def test_chance_differs_between_identities():
    draws = {int(identity.generator(*parts).integers(2**60)) for parts in (("a",), ("b",), ("a", "b"), ("b", "a"))}
    assert len(draws) == 4
    seeds = {identity.seed_of(str(number)) for number in range(200)}
    assert len(seeds) == 200
    assert max(seeds) < 2**31
    assert min(seeds) >= 0
