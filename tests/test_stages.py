"""Stages on a planted corpus: regions that rules choose, and places tuned on training clips, kept and made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_shard import SIZE, Spotted, faces

from austicker import choices, corpora, findings, foreign, identity, models, plan, regions, results, stages
from austicker.choices import RegionChoice
from austicker.job import AttackChoice, CorpusChoice, Job
from austicker.job.attacks import checked_attack
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, DiscoverySettings

SUBJECTS = ("ann",) * 7 + ("bob",) * 2 + ("cy",) * 2
FACES = faces(SUBJECTS)
WEAK = {"ann": "chin", "bob": "cheek-left", "cy": "cheek-left"}
"""Ann has most clips: wherever hers count, the chin wins, in her own fold too if test clips counted."""
TUNED = {"ann": "cheek-left", "bob": "chin", "cy": "chin"}
CENTRES = {
    name: box[:2]
    for name, box in zip(
        regions.NAMES, regions.boxes(FACES.landmarks[0][:1], aspect=SIZE[0] / SIZE[1])[0].tolist(), strict=True
    )
}
SHOWN: Counter[int] = Counter()
"""What `black_box` was shown, by clip; the pictures with which it is tried when it is opened are -1."""


def black_box(pictures: np.ndarray) -> list[str]:
    """Knows every clip's label until its subject's weak region is painted at its centre."""
    clean = np.stack(FACES.frames)[:, 1]
    answers = []
    for picture in pictures[:, 0]:
        if picture.shape != clean.shape[1:]:
            SHOWN[-1] += 1
            answers.append("a")
            continue
        owner = int((picture == clean).sum((1, 2, 3)).argmax())
        SHOWN[owner] += 1
        x, y = CENTRES[WEAK[FACES.clips[owner].subject]]
        column, row = int(x * SIZE[0]), int(y * SIZE[1])
        hidden = abs(int(picture[row, column, 0]) - int(clean[owner, row, column, 0])) > 20
        answers.append("ab"[FACES.clips[owner].label ^ hidden])
    return answers


STRANGER = foreign.settings(
    {
        "name": "callable",
        "label": "stranger",
        "source": "test_stages:black_box",
        "labels": ["a", "b"],
        "colour": "gray",
    },
    "a test",
    Path(),
)
OURS = models.settings("stcnn", width=0.25)


def job(*placements: str, model: Any = STRANGER) -> Job:
    choice = AttackChoice(stickers=("heart",), placements=placements or ("control/tuned",), side=0.25)
    return Job(
        name="planted",
        description="",
        protocol="loso",
        corpora=(CorpusChoice(name="noise"),),
        models=(model,),
        discovery=DiscoverySettings(bootstraps=3),
        attacks=(checked_attack(choice, None, "a test", Path()),),
        seeds=(0,),
    )


@pytest.fixture(autouse=True)
def opened(monkeypatch) -> Iterator[None]:
    """Opens the planted corpus wherever a job names it."""
    monkeypatch.setattr(corpora, "open_corpus", lambda *_: FACES)
    stages.forget_corpora()
    SHOWN.clear()
    yield
    stages.forget_corpora()


def done(store: Store, planned: Job, *wanted: str) -> list[plan.Task]:
    """Does what a store lacks of a job, or of some stages of it, and returns it."""
    tasks = [task for task in plan.expand(planned).tasks(store) if not wanted or task.stage in wanted]
    for task in tasks:
        stages.execute(task, store.address, planned.record(), device="cpu")
    return tasks


def damage(store: Store, key: str) -> bytes:
    """Turns one letter of a sealed file into another and returns what was there."""
    content = store.read(key)
    store.write(key, content.replace(b"chin", b"lips", 1))
    assert store.read(key) != content
    return content


# Choices of a region.


@pytest.mark.parametrize(
    ("placements", "kinds"),
    [
        (("region/chin", "random/1", "control/random-region", "control/tuned"), set()),
        (("causal",), {"graph"}),
        (("control/motion", "control/correlation", "random/1"), {"motion", "correlation"}),
        (("causal", "causal/per-class", "control/permuted"), {"graph", "per-class", "permuted"}),
        (tuple(f"control/{kind}" for kind in ("permuted", "blank")), {"permuted", "blank"}),
        (("causal/stable", "causal/per-subject", "control/motion"), {"stable", "per-subject", "motion"}),
    ],
)
def test_discovery_makes_what_cells_need_and_nothing_else(tmp_path, placements, kinds):
    planned, store = job(*placements), Store(tmp_path)
    tasks = done(store, planned, "discover")
    assert [set(task.kinds) for task in tasks] == ([kinds] * 3 if kinds else [])
    made = {"graph": store.keys(layout.GRAPHS)} | {kind: [] for kind in choices.KINDS}
    for key in store.keys(layout.CHOICES):
        made[store.read_sealed(key)["kind"]].append(key)
    assert {kind: len(keys) for kind, keys in made.items() if keys} == dict.fromkeys(kinds, 3)
    shards = {shard.fold.name: shard for shard in plan.expand(planned).shards}
    for kind in kinds - {"graph"}:
        for shard in shards.values():
            train = [position for position, name in enumerate(SUBJECTS) if name != shard.fold.name]
            seed = identity.seed_of(shard.choices[kind])
            expected = choices.choose(kind, FACES, train, planned.discovery, seed=seed)
            assert findings.read_choice(store, shard.choices[kind]) == expected
    assert not [task for task in plan.expand(planned).tasks(store) if task.stage == "discover"]
    assert not SHOWN


def test_a_job_without_causal_placements_discovers_nothing(tmp_path):
    store = Store(tmp_path)
    done(store, job("region/chin", "control/random-region"))
    assert (store.keys(layout.GRAPHS), store.keys(layout.CHOICES)) == ([], [])
    assert len(store.keys(layout.VERDICTS)) == 3


def test_a_choice_is_read_again_and_made_again_where_it_is_damaged(tmp_path):
    planned, store = job("control/motion", "causal/stable"), Store(tmp_path)
    done(store, planned, "discover")
    keys = store.keys(layout.CHOICES)
    assert len(keys) == 6
    there = {key: (store.folder / key).stat().st_mtime_ns for key in keys}
    broken, missing = keys[0], keys[1]
    content = damage(store, broken)
    with pytest.raises(Unreadable, match="checksum"):
        findings.read_choice(store, layout.stem(broken))
    gone = store.read(missing)
    store.remove(missing)
    done(store, planned)  # the attacks make what they miss
    assert (store.read(broken), store.read(missing)) == (content, gone)
    changed = {key for key in keys if (store.folder / key).stat().st_mtime_ns != there[key]}
    assert changed == {broken, missing}


def test_a_sealed_file_that_holds_no_choice_is_unreadable(tmp_path):
    store = Store(tmp_path)
    sound = choices.to_record(RegionChoice(kind="motion", winner="chin", scores=(), decided_by="motion"))
    store.write_sealed(layout.choice("sound"), sound)
    assert findings.read_choice(store, "sound").winner == "chin"
    for number, record in enumerate([{}, sound | {"winner": "elbow"}, sound | {"scores": 3}, sound | {"more": 1}]):
        store.write_sealed(layout.choice(str(number)), record)
        with pytest.raises(Unreadable, match="no choice of a region"):
            findings.read_choice(store, str(number))


def test_the_clips_of_a_choice_wear_it(tmp_path):
    planned, store = job("control/motion"), Store(tmp_path)
    done(store, planned)
    laid_out = plan.expand(planned)
    rows = results.read_verdicts(store, laid_out.cells)
    for (_, fold, kind), name in laid_out.choices.items():
        assert kind == "motion"
        chosen = findings.read_choice(store, name).winner
        assert set(rows.filter(rows["fold"] == fold)["region"]) == {chosen}


@pytest.mark.parametrize("model", [OURS, STRANGER], ids=["trained here", "trained elsewhere"])
def test_a_worker_with_other_pictures_than_planned_refuses(tmp_path, monkeypatch, model):
    planned, store = job("causal", "region/chin", model=model), Store(tmp_path)
    tasks = plan.expand(planned).tasks(store)
    monkeypatch.setattr(corpora, "open_corpus", lambda *_: replace(FACES, fingerprint="1" * 64))
    for task in tasks:
        with pytest.raises(AustickerError, match="not the one that the job was planned with"):
            stages.execute(task, store.address, planned.record(), device="cpu")
    assert not store.names()


# Places tuned on the training clips.


def spotted() -> Spotted:
    return Spotted(FACES, spots=[CENTRES[WEAK[name]] for name in SUBJECTS], hard=0.1)


def tuned(store: Store, fold: str, victim: Spotted, model: Any) -> RegionChoice:
    """Returns what is tuned for one fold before a recogniser that is taken for this one."""
    planned = job(model=model)
    shard = next(shard for shard in plan.expand(planned).shards if shard.fold.name == fold)
    place = stages._Place(store=store, job=planned, corpus=FACES, fold=shard.fold, device="cpu")
    task = shard.attack(shard.cells)
    found, _ = stages._tuned(task, place, victim, planned.attacks[0], ["heart"])
    return found["heart"]


@pytest.mark.parametrize("model", [OURS, STRANGER], ids=["trained here", "trained elsewhere"])
@pytest.mark.parametrize("fold", ["ann", "bob"])
def test_training_clips_alone_decide_where_a_place_is_tuned(tmp_path, model, fold):
    found = tuned(Store(tmp_path), fold, spotted(), model)
    assert (found.kind, found.winner) == ("tuned", TUNED[fold])
    training = [name for name in SUBJECTS if name != fold]
    for region, error in found.scores:
        if region in TUNED.values():
            assert error == pytest.approx(sum(WEAK[name] == region for name in training) / len(training))


def test_a_recogniser_trained_here_is_shown_training_clips_once(tmp_path):
    store, first, second = Store(tmp_path), spotted(), spotted()
    found = tuned(store, "ann", first, OURS)
    assert first.asked() == [(-1, 0)] * 7 + [(14, 15)] * 4
    assert tuned(store, "ann", second, OURS) == found
    assert not any(second.shown)
    tuned(store, "bob", second, OURS)  # another fold, other weights
    assert second.asked() == [(14, 15)] * 7 + [(-1, 0)] * 2 + [(14, 15)] * 2


def test_a_recogniser_trained_elsewhere_is_asked_once_for_all_folds(tmp_path):
    store, first, second = Store(tmp_path), spotted(), spotted()
    tuned(store, "ann", first, STRANGER)
    assert first.asked() == [(14, 15)] * 11
    assert tuned(store, "bob", second, STRANGER).winner == "chin"
    assert not any(second.shown)


def test_answers_for_tuning_that_are_damaged_are_asked_for_again(tmp_path):
    store, first, second = Store(tmp_path), spotted(), spotted()
    found = tuned(store, "ann", first, OURS)
    (key,) = store.keys(layout.CHOICES)
    content = store.read(key)
    for broken in (content[: len(content) // 2], content.replace(b"0.0", b"1.0", 1)):
        store.write(key, broken)
        second = spotted()
        assert tuned(store, "ann", second, OURS) == found
        assert second.asked() == first.asked()
        assert store.read(key) == content


def test_many_training_clips_are_asked_a_few_at_a_time(tmp_path, monkeypatch):
    whole = tuned(Store(tmp_path / "whole"), "ann", spotted(), STRANGER)
    monkeypatch.setattr(stages, "TUNED_CLIPS", 3)
    victim = spotted()
    assert tuned(Store(tmp_path / "few"), "ann", victim, STRANGER) == whole
    assert victim.asked() == [(14, 15)] * 11
    (key,) = Store(tmp_path / "few").keys(layout.CHOICES)
    assert Store(tmp_path / "few").read(key) == Store(tmp_path / "whole").read(key)


def test_tuned_cells_of_a_black_box_from_the_plan_to_the_verdicts(tmp_path):
    planned, store = job("control/tuned", "region/lips"), Store(tmp_path)
    laid_out = plan.expand(planned)
    assert {task.stage for task in done(store, planned)} == {"attack"}
    rows = results.read_verdicts(store, laid_out.cells)
    wearing = rows.filter(rows["placement"] == "control/tuned")
    assert {(row["fold"], row["region"]) for row in wearing.iter_rows(named=True)} == set(TUNED.items())
    assert wearing["queries"].to_list() == [1] * 11
    assert wearing["attacked_score"].null_count() == 11
    # Nobody's place is tuned on their own clips, so everybody is still recognised.
    assert (wearing["attacked_pred"] == wearing["label"]).all()
    # Each clip: clean and at 14 regions for all folds, then clean and twice attacked in its own.
    assert {clip: count for clip, count in SHOWN.items() if clip >= 0} == dict.fromkeys(range(11), 18)


def test_another_sticker_or_another_way_to_wear_it_is_tuned_anew(tmp_path):
    store = Store(tmp_path)
    planned = job()
    done(store, planned)
    keys = set(store.keys(layout.CHOICES))
    assert len(keys) == 1
    for number, change in enumerate([{"stickers": ("sun",)}, {"side": 0.3}, {"variant": "apex-only"}, {"bend": True}]):
        done(store, replace(planned, attacks=(replace(planned.attacks[0], **change),)))
        assert len(store.keys(layout.CHOICES)) == number + 2
    done(store, replace(planned, attacks=(replace(planned.attacks[0], label="another name"),)))
    assert len(store.keys(layout.CHOICES)) == 5
