"""The embedded stand-in for CK+: repeatable, each face shows what its label says, more of it from frame to frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_mesh_warp import SIZE, STILL, blob, centre, mesh, texture

from austicker import corpora, protocols
from austicker.corpora import facs, packed
from austicker.corpora import orl_expressions as door
from austicker.corpora.mesh_warp import MeshWarp
from austicker.faces import detector
from austicker.motion import activity_from_action_units
from austicker.regions import NAMES

PEOPLE = (1, 2, 3)  # 3 is one of those that are tested on
SETTINGS = replace(door.Settings(), people=PEOPLE, repeats=1)
SHOWN = {
    "anger": ("browDownLeft", "browDownRight", "eyeSquintLeft", "eyeSquintRight"),
    "disgust": ("browDownLeft", "browDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    "fear": ("eyeWideLeft", "eyeWideRight", "mouthStretchLeft", "mouthStretchRight"),
    "happy": ("mouthSmileLeft", "mouthSmileRight"),
    "sadness": ("browInnerUp", "mouthFrownLeft", "mouthFrownRight", "mouthShrugLower"),
    "surprise": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "jawOpen"),
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A corpus of three people, made in an empty cache as a user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return door.open_corpus(None, corpora.silent, SETTINGS)


def label_of(corpus, clip):
    return corpus.labels[clip.label]


def test_each_person_shows_each_label_from_neutral_to_the_peak(shown):
    assert shown.labels == ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    assert Counter(clip.subject for clip in shown.clips) == dict.fromkeys(("s01", "s02", "s03"), 8)
    for clip, frames, landmarks in zip(shown.clips, shown.frames, shown.landmarks, strict=True):
        assert clip.clip == f"{clip.subject}_{label_of(shown, clip)}_1"
        assert (clip.onset, clip.apex, clip.offset) == (0, 7, 7)
        assert (frames.shape, frames.dtype, landmarks.shape) == ((8, 128, 112, 1), np.uint8, (8, 68, 2))
        assert -0.04 < landmarks.min() < landmarks.max() < 1.12  # a dropped jaw may leave the picture


def test_it_says_that_it_is_synthetic(shown):
    for words in ("synthetic expressions", "none of the papers' corpora", "AT&T Laboratories Cambridge"):
        assert words in shown.synthetic


def test_by_default_thirty_people_show_each_label_twice_and_ten_are_tested_on():
    whole = door.Settings()
    assert len(whole.people) == 30
    assert whole.repeats == 2
    assert Counter(door.part(number, whole) for number in whole.people) == {"train": 20, "test": 10}
    assert [door.part(number, SETTINGS) for number in PEOPLE] == [door.part(number, whole) for number in PEOPLE]


def test_the_official_division_is_by_person_and_shares_no_picture(shown):
    (fold,) = protocols.study("official", shown.name, {shown.name: shown}).folds
    assert {shown.clips[i].subject for i in fold.test} == {"s03"}
    assert {shown.clips[i].subject for i in fold.train} == {"s01", "s02"}
    digests = [digest for own in shown.digests for digest in own]
    assert len(set(digests)) == len(digests) == 24 * 8


def test_the_same_seed_gives_the_same_bytes_and_another_repeat_other_ones(shown):
    twice = {made.clip.clip: made for made in door.make_person(3, replace(SETTINGS, repeats=2))}
    assert set(twice) == {f"s03_{label}_{repeat}" for label in shown.labels for repeat in (1, 2)}
    for number in (number for number, clip in enumerate(shown.clips) if clip.subject == "s03"):
        made = twice[shown.clips[number].clip]
        assert shown.clips[number] == made.clip
        assert shown.digests[number] == made.pictures
        assert shown.frames[number].tobytes() == made.frames.tobytes()
        assert shown.landmarks[number].tobytes() == made.landmarks.tobytes()
    first, second = twice["s03_happy_1"], twice["s03_happy_2"]
    assert not set(first.pictures) & set(second.pictures)
    assert np.abs(first.landmarks[-1] - second.landmarks[-1]).max() > 0.005


def test_other_settings_are_another_recipe():
    other = (SETTINGS, door.Settings(), replace(SETTINGS, course=(1.0, 1.0)), replace(SETTINGS, mouth=0.5))
    assert len({door.recipe_digest(settings) for settings in other}) == 4


def test_the_expression_grows_from_frame_to_frame_and_a_neutral_face_keeps_still():
    settings = replace(SETTINGS, jitter=0, turn_degrees=0, light=0, noise=0)
    for made in door.make_person(2, settings):
        way = np.linalg.norm(made.landmarks - made.landmarks[0], axis=2).mean(axis=1)
        changed = np.abs(made.frames.astype(float) - made.frames[0]).mean(axis=(1, 2, 3))
        if door.LABELS[made.clip.label] == "neutral":
            assert way.max() == changed.max() == 0
        else:
            assert (np.diff(way) > 0).all()
            assert (np.diff(changed) > 0).all()
            assert way[-1] > 0.005
            assert way[1] < 0.15 * way[-1]  # the second frame still passes for neutral


def test_mediapipe_sees_each_expression_in_the_peak(shown):
    """The scores of what should be shown rise from the first frame to the last in at least two of three people."""
    risen = Counter()
    with detector() as detect:

        def scores(frame):
            large = cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
            return detect(np.repeat(large.reshape(*large.shape[:2], 1), 3, axis=2)).expression

        for clip, frames in zip(shown.clips, shown.frames, strict=True):
            start, end = scores(frames[0]), scores(frames[-1])
            label = label_of(shown, clip)
            risen.update((label, shape) for shape in SHOWN.get(label, ()) if end[shape] > start[shape])
            rise = {side: end[f"mouthSmile{side}"] - start[f"mouthSmile{side}"] for side in ("Left", "Right")}
            if label == "contempt":
                own, other = ("Left", "Right") if clip.action_units[0][0] == "L" else ("Right", "Left")
                risen[label, "own side"] += rise[own] > rise[other]
            risen[label, "smile"] += min(rise.values()) > 0.3
    wanted = {(label, shape) for label, shapes in SHOWN.items() for shape in shapes} | {("contempt", "own side")}
    assert {which for which in wanted if risen[which] >= 2} == wanted
    # MediaPipe lets both corners of a smirk rise; nobody else smiles.
    assert {label for label in shown.labels if risen[label, "smile"] >= 2} - {"contempt"} == {"happy"}


def test_action_units_are_those_of_the_label_and_contempt_is_on_one_side(shown):
    active = activity_from_action_units(shown.clips)
    for clip, regions in zip(shown.clips, active, strict=True):
        label = label_of(shown, clip)
        units = [str(unit) for unit in facs.EXPRESSIONS[label]]
        corners = {name for name, on in zip(NAMES, regions, strict=True) if on and name.startswith("mouth-corner")}
        if label == "contempt":
            assert {unit[0] for unit in clip.action_units} in ({"L"}, {"R"})
            assert [unit[1:] for unit in clip.action_units] == units == ["12", "14"]
            # The left of a person is on the right of the image.
            assert corners == {"mouth-corner-right" if clip.action_units[0][0] == "L" else "mouth-corner-left"}
        else:
            assert list(clip.action_units) == units


def test_a_surprised_mouth_is_open_and_dark(shown):
    for clip, frames, landmarks in zip(shown.clips, shown.frames, shown.landmarks, strict=True):
        gap = (landmarks[:, 66, 1] - landmarks[:, 62, 1]) * 128
        if label_of(shown, clip) == "surprise":
            x, y = np.rint(landmarks[-1, [62, 66]].mean(axis=0) * [112, 128]).astype(int)
            assert gap[-1] > gap[0] + 5
            assert frames[-1, y, x, 0] < 0.6 * np.median(frames[-1])


def test_it_is_on_the_shelf_and_opens_again(shown):
    assert "orl-expressions" in corpora.EMBEDDED
    assert corpora.CORPORA["orl-expressions"] is door.open_corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(shown.folder.parents[1]))
        patch.setattr(door, "make", lambda *_: pytest.fail("the corpus was made anew"))
        assert door.open_corpus(None, corpora.silent, SETTINGS) == shown
    assert packed.fingerprint_of(shown) == shown.fingerprint


@pytest.fixture(scope="module")
def warp():
    return MeshWarp(mesh(), SIZE)


@pytest.mark.parametrize("step", [(3.0, -1.0), (-9.0, 12.0)])
def test_what_arrived_is_what_was_sent_however_far(warp, step):
    sent = np.full((468, 2), step)
    assert warp.arrived(sent)[round(70 + step[1]), round(60 + step[0])] == pytest.approx(step, abs=0.02)
    moved = centre(warp.looked(blob(60, 70), warp.arrived(sent), STILL)) - centre(blob(60, 70))
    assert moved == pytest.approx(step, abs=0.1)
    still = warp.arrived(np.zeros((468, 2)))
    np.testing.assert_array_equal(warp.looked(texture(), still, STILL), texture())
    assert np.abs(warp.arrived(sent)[[0, -1]][:, [0, -1]]).max() < 1e-3


def test_small_moves_arrive_as_the_inverse_of_the_forward_field(warp):
    points = mesh()[:468]
    near = np.exp(-((points - points.mean(axis=0)) ** 2).sum(axis=1) / 400)
    sent = np.stack([2 * near, -1.5 * near], axis=1)
    assert np.abs(warp.arrived(sent) - warp.backward(warp.field(sent))).max() < 0.15
