"""What other rules choose: each on clips whose answer is planted, each without a look at a test clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from planted_activity import MODEL, planted_activity
from test_placements import face

from austicker import choices
from austicker.causal import NOBODY, discover_fold, discover_per_image
from austicker.choices import KINDS, RegionChoice, choose, from_record, to_record, tuned
from austicker.regions import NAMES
from austicker.types import AustickerError, Clip, Corpus, DiscoverySettings

FISHER = DiscoverySettings(method="fisher-z", alpha=0.001, bootstraps=8)
PEOPLE = 12


def corpus(motion: np.ndarray, labels: Sequence[int] | None = None, people: Sequence[int] | None = None) -> Corpus:
    """Returns clips of 16 x 16 pixels with this motion, dealt to `PEOPLE` people in turn."""
    count = len(motion)
    owners = np.arange(count) % PEOPLE if people is None else people
    classes = np.zeros(count, int) if labels is None else labels
    clips = tuple(
        Clip(
            corpus="toy",
            clip=str(number),
            subject=f"s{owner:02d}",
            label=int(label),
            onset=0,
            apex=1,
            offset=1,
            action_units=("12",) if number % 2 else ("4",),
        )
        for number, (owner, label) in enumerate(zip(owners, classes, strict=True))
    )
    return Corpus(
        name="toy",
        labels=("a", "b", "c"),
        clips=clips,
        fingerprint="",
        digests=tuple((clip.clip,) for clip in clips),
        frames=np.zeros((count, 2, 16, 16, 1), np.uint8),
        landmarks=np.broadcast_to(face(), (count, 2, 68, 2)).copy(),
        motion=motion.astype(np.float32),
    )


def chosen(kind: str, study: Corpus, settings: DiscoverySettings = FISHER, seed: int = 0) -> RegionChoice:
    return choose(kind, study, range(len(study.clips)), settings, seed=seed)


def noise(clips: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((clips, 14))


# --- the variants


def test_the_planted_cause_is_stable():
    choice = chosen("stable", corpus(planted_activity(np.random.default_rng(0), 1500)))
    scores = dict(choice.scores)
    assert (choice.winner, choice.decided_by, choice.resamples) == (MODEL["cause"], "bootstrap", 8)
    assert tuple(scores) == (*NAMES, NOBODY)
    assert scores[MODEL["cause"]] == max(scores.values()) > 0.5
    assert sum(scores.values()) == pytest.approx(1)


def test_a_stable_winner_depends_on_the_seed_alone():
    study = corpus(planted_activity(np.random.default_rng(0), 120))
    assert chosen("stable", study, seed=1) == chosen("stable", study, seed=1)
    assert chosen("stable", study, seed=1).scores != chosen("stable", study, seed=2).scores


def test_each_class_has_the_cause_that_was_planted_in_it():
    first, second = (planted_activity(np.random.default_rng(seed), 1500) for seed in (0, 1))
    study = corpus(np.concatenate([first, np.roll(second, 5, axis=1)]), labels=[0] * 1500 + [2] * 1500)
    choice = chosen("per-class", study)
    rolled = NAMES[(NAMES.index(MODEL["cause"]) + 5) % 14]
    assert choice.by_class == (MODEL["cause"], None, rolled)
    assert choice.winner is None
    assert {name: score for name, score in choice.scores if score} == {MODEL["cause"]: 1, rolled: 1, NOBODY: 1}
    assert [choice.region(label) for label in range(3)] == [MODEL["cause"], None, rolled]


def test_people_vote_and_those_with_too_few_clips_vote_for_nobody():
    rows = [planted_activity(np.random.default_rng(seed), 1500) for seed in range(2)] + [noise(2), noise(1)]
    study = corpus(np.concatenate(rows), people=np.repeat(range(4), [len(table) for table in rows]))
    choice = chosen("per-subject", study)
    assert (choice.winner, choice.decided_by) == (MODEL["cause"], "majority of subjects")
    assert dict(choice.scores)[NOBODY] == 2
    assert sum(score for _, score in choice.scores) == 4


# --- the controls


def test_permuted_rows_depend_on_nothing():
    study = corpus(planted_activity(np.random.default_rng(0), 600))
    degrees = [sum(score for _, score in chosen("permuted", study, seed=seed).scores) for seed in range(3)]
    assert sum(degrees) <= 3
    assert len(discover_fold(study, range(600), FISHER, seed=0).directed) >= 8
    assert chosen("permuted", study, seed=1) == chosen("permuted", study, seed=1)


def test_a_blank_picture_sees_landmarks_and_nothing_else():
    study = corpus(planted_activity(np.random.default_rng(0), 24))
    noisy = replace(study, frames=np.random.default_rng(0).integers(256, size=(24, 2, 16, 16, 1)).astype(np.uint8))
    blank = chosen("blank", study)
    assert blank == chosen("blank", replace(noisy, motion=noise(24)))
    graph = discover_per_image(np.full((16, 16, 3), 128, np.uint8), face(), alpha=FISHER.alpha)
    assert (blank.winner, blank.decided_by) == (graph.winner, graph.decided_by)
    assert dict(blank.scores)[blank.winner] == max(score for _, score in blank.scores) > 0
    wide = replace(study, landmarks=np.stack([study.landmarks, study.landmarks * [1.2, 0.8]])[[0, 1] * 12, 0])
    assert chosen("blank", wide).scores != blank.scores


@pytest.mark.parametrize(
    ("size", "shape"), [((112, 128), (64, 56, 1)), ((48, 48), (48, 48, 1)), ((600, 1), (1, 64, 1))]
)
def test_a_blank_picture_has_the_faces_shape_and_is_small(size, shape):
    picture = choices._blank_picture(size)
    assert picture.shape == shape
    assert picture.min() == picture.max() > 0


def test_correlation_takes_an_effect_where_a_cause_is_causal():
    motion = noise(2000)
    causes = [1, 5, 9, 12]
    motion[:, 3] = motion[:, causes].sum(axis=1) + noise(2000, 1)[:, 3]
    study = corpus(motion)
    choice = chosen("correlation", study)
    assert (choice.winner, choice.decided_by) == (NAMES[3], "degree")
    assert {name: score for name, score in choice.scores if score} == {NAMES[3]: 4} | {NAMES[k]: 1 for k in causes}
    assert discover_fold(study, range(2000), FISHER, seed=0).winner in [NAMES[k] for k in causes]


def test_correlations_of_equal_degree_are_told_apart_by_their_strength_then_by_the_table():
    motion = noise(1000)
    for hub, spokes, weight in [(0, (1, 2), 1.0), (10, (11, 12), 3.0)]:
        motion[:, hub] += weight * motion[:, spokes].sum(axis=1)
    strong = chosen("correlation", corpus(motion))
    assert (strong.winner, strong.decided_by) == (NAMES[10], "strength")
    pair = noise(1000)
    pair[:, 7] += pair[:, 4]
    even = chosen("correlation", corpus(pair))
    assert (even.winner, even.decided_by) == (NAMES[4], "index")


@pytest.mark.parametrize("method", ["chi-square", "g-square"])
def test_correlation_asks_the_settings_own_test(method):
    motion = noise(600)
    motion[:, 6] = np.abs(motion[:, 2]) + np.abs(motion[:, 8])  # bins see what a line does not
    study = corpus(motion)
    assert chosen("correlation", study, replace(FISHER, method=method)).winner == NAMES[6]
    assert chosen("correlation", study).winner is None


def test_motion_takes_the_region_that_moves_most():
    motion = np.full((20, 14), 0.1)
    motion[0, 2], motion[:, 11], motion[:, 13] = 1.5, 0.3, 0.2
    choice = chosen("motion", corpus(motion))
    assert (choice.winner, choice.decided_by) == (NAMES[11], "motion")
    assert dict(choice.scores)[NAMES[2]] == pytest.approx(0.17)
    motion[:, 4] = 0.3
    assert (chosen("motion", corpus(motion)).winner, chosen("motion", corpus(motion)).decided_by) == (NAMES[4], "index")


def test_the_best_region_on_the_training_subjects():
    errors = {"chin": 0.5, "lips": 0.5, "glabella": 0.2, "philtrum": 0.5}
    scores = {"chin": 0.4, "lips": 0.3, "glabella": 0.1, "philtrum": 0.4}
    assert tuned(errors | {"glabella": 0.6}, scores).winner == "glabella"
    assert tuned(errors | {"glabella": 0.6}, scores).decided_by == "error rate"
    assert (tuned(errors, scores).winner, tuned(errors, scores).decided_by) == ("lips", "true-class score")
    even = tuned(errors, scores | {"lips": 0.4})
    assert (even.winner, even.decided_by) == ("philtrum", "index")
    assert even.scores == (("glabella", 0.2), ("philtrum", 0.5), ("lips", 0.5), ("chin", 0.5))
    assert (tuned({}, {}).winner, tuned({}, {}).decided_by) == (None, "no training clip")


# --- all of them


@pytest.mark.parametrize("kind", KINDS)
def test_single_pictures_have_no_answer_but_by_their_landmarks(kind):
    choice = chosen(kind, corpus(np.zeros((24, 14))), DiscoverySettings(bootstraps=2))
    assert (choice.winner is None) is (kind != "blank")
    assert set(choice.by_class) <= {None}
    if kind in ("stable", "per-subject"):
        assert choice.decided_by == "no directed edge"
        assert dict(choice.scores)[NOBODY] == sum(score for _, score in choice.scores) > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["chi-square", "action-units"])
def test_a_choice_never_reads_a_test_clip_and_survives_json(kind, method):
    study = corpus(planted_activity(np.random.default_rng(0), 60), labels=np.arange(60) % 3)
    settings = DiscoverySettings(method=method, bootstraps=2)
    clean = choose(kind, study, range(48), settings, seed=1)
    study.frames[48:], study.landmarks[48:], study.motion[48:] = 255, np.nan, np.nan
    clips = study.clips[:48] + tuple(
        replace(clip, action_units=("poison",), label=0, subject="s00") for clip in study.clips[48:]
    )
    poisoned = replace(study, clips=clips)
    assert choose(kind, poisoned, range(48), settings, seed=1) == clean
    with pytest.raises(AustickerError):
        choose(kind, poisoned, range(60), settings, seed=1)
    assert from_record(json.loads(json.dumps(to_record(clean)))) == clean


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("stabel", {}, "known: stable"),
        ("tuned", {}, "Unknown region choice"),
        ("stable", {"bootstraps": 0}, "set bootstraps"),
        ("permuted", {"method": "per-image"}, "set the discovery method to chi-square"),
    ],
)
def test_what_the_settings_cannot_give_is_refused_before_a_clip_is_read(kind, settings, words):
    with pytest.raises(AustickerError, match=words):
        choices.check(kind, DiscoverySettings(**settings))
    with pytest.raises(AustickerError, match=words):
        chosen(kind, corpus(np.full((4, 14), np.nan)), DiscoverySettings(**settings))


def test_blank_and_motion_go_with_any_method():
    study = corpus(planted_activity(np.random.default_rng(0), 12))
    for kind in ("blank", "motion"):
        assert chosen(kind, study, DiscoverySettings(method="per-image")).winner in NAMES


@pytest.mark.parametrize(
    "damage", [{"winner": "nose"}, {"scores": [["nose", 1.0]]}, {"scores": 3}, {"more": 1}, {"by_class": ["nose"]}]
)
def test_a_record_that_is_no_choice_is_refused(damage):
    record = to_record(RegionChoice(kind="motion", winner="chin", scores=(("chin", 1.0),), decided_by="motion"))
    assert from_record(record).winner == "chin"
    with pytest.raises((TypeError, ValueError)):
        from_record(record | damage)
    with pytest.raises(KeyError):
        from_record({key: value for key, value in record.items() if key != "scores"})
