"""The embedded corpus: repeatable, subtle, moved where it says, and with no shortcut from pixels to class."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from importlib.resources import files

import numpy as np
import pytest
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from austicker import corpora
from austicker.corpora import facs, packed, planted, shards
from austicker.corpora import orl_motion as door
from austicker.motion import activity_from_action_units
from austicker.regions import NAMES
from austicker.types import AustickerError, Clip

INNER = slice(17, 68)  # brows, eyes, nose and mouth; the jaw may touch the border
ASPECT = 112 / 128


def steps(corpus, which):
    """Landmark displacement (clip, 68, 2) in face widths between onset and another frame, head motion removed.

    The head is fitted as a similarity motion on the landmarks that move least, by a few reweighted rounds.
    """
    found = []
    for number, clip in enumerate(corpus.clips):
        start, end = (corpus.landmarks[number][frame] / [1, ASPECT] for frame in (clip.onset, getattr(clip, which)))
        x, y = (start - start.mean(axis=0)).T
        one, zero = np.ones_like(x), np.zeros_like(x)
        design = np.stack([np.c_[one, zero, x, -y], np.c_[zero, one, y, x]], axis=1)
        weight = np.ones(len(x))
        for _ in range(10):
            scaled = design * weight[:, None, None]
            fit = np.linalg.lstsq(scaled.reshape(-1, 4), ((end - start) * weight[:, None]).ravel(), rcond=None)[0]
            weight = 1 / np.sqrt(np.maximum(np.linalg.norm(end - start - design @ fit, axis=1), 1e-4))
        found.append(end - start - design @ fit)
    return np.array(found)


def accuracy(corpus, features):
    """Accuracy of a linear classifier on unseen people."""
    labels = np.array([clip.label for clip in corpus.clips])
    people = [clip.subject for clip in corpus.clips]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
    guesses = cross_val_predict(
        model, np.reshape(features, (len(labels), -1)), labels, groups=people, cv=GroupKFold(10)
    )
    return float((guesses == labels).mean())


@pytest.fixture(scope="module", name="orl_motion")
def orl_motion_stacked(orl_motion):
    """The corpus with its frames and landmarks as one array each: all its clips are of one length."""
    arrays = {name: np.stack(getattr(orl_motion, name)) for name in ("frames", "landmarks", "motion")}
    return dataclasses.replace(orl_motion, **arrays)


def test_thirty_people_show_each_class_twice(orl_motion):
    assert orl_motion.labels == ("negative", "positive", "surprise")
    assert len({clip.clip for clip in orl_motion.clips}) == len(orl_motion.clips) == 180
    people = {clip.subject for clip in orl_motion.clips}
    assert len(people) == 30
    for person in people:
        assert sorted(clip.label for clip in orl_motion.clips if clip.subject == person) == [0, 0, 1, 1, 2, 2]
    assert orl_motion.frames.shape == (180, 18, 128, 112, 1)
    assert orl_motion.frames.dtype == np.uint8
    assert orl_motion.landmarks.shape == (180, 18, 68, 2)
    for clip in orl_motion.clips:
        assert 0 <= clip.onset < clip.apex < clip.offset < 18


def test_it_says_that_it_is_synthetic(orl_motion):
    assert "synthetic" in orl_motion.synthetic
    assert "none of the papers' corpora" in orl_motion.synthetic
    assert "AT&T Laboratories Cambridge" in orl_motion.synthetic


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(orl_motion):
    settings = dataclasses.replace(door.Settings(), clips_per_class=1)
    first, second = (door.make_person(1, settings) for _ in range(2))
    other = door.make_person(1, dataclasses.replace(settings, seed=settings.seed + 1))
    for one, two, three in zip(first, second, other, strict=True):
        assert one.clip == two.clip
        for array in ("frames", "landmarks"):
            assert getattr(one, array).tobytes() == getattr(two, array).tobytes() != getattr(three, array).tobytes()
    # The cache was made by another process: first of each class' two clips.
    mine = [number for number, clip in enumerate(orl_motion.clips) if clip.subject == "s01"][::2]
    for number, one in zip(mine, first, strict=True):
        assert orl_motion.clips[number] == one.clip
        assert orl_motion.digests[number] == one.pictures
        np.testing.assert_array_equal(orl_motion.frames[number], one.frames)
        np.testing.assert_array_equal(orl_motion.landmarks[number], one.landmarks)


def test_landmarks_lie_on_the_face(orl_motion):
    assert orl_motion.landmarks[:, :, INNER].min() > 0.05
    assert orl_motion.landmarks[:, :, INNER].max() < 0.95
    assert orl_motion.landmarks.min() > -0.04
    assert orl_motion.landmarks.max() < 1.04
    onset = orl_motion.landmarks[:, 0] * [112, 128]
    distance = onset[:, 42:48].mean(axis=1)[:, 0] - onset[:, 36:42].mean(axis=1)[:, 0]
    assert distance == pytest.approx(0.42 * 112, abs=4)


def test_motion_is_subtle_and_fades(orl_motion):
    apex, offset = (np.linalg.norm(steps(orl_motion, which), axis=-1).mean(axis=1) for which in ("apex", "offset"))
    assert apex.min() > 0.001  # face widths: a tenth of a pixel, on average over all 68 points
    assert apex.max() < 0.015
    assert (offset < apex).mean() > 0.95
    assert offset.mean() < 0.6 * apex.mean()


def test_landmarks_move_with_the_pixels(orl_motion):
    """Landmarks tell where skin went: a patch around a moved landmark is found again at its new place."""
    import cv2

    better = 0
    own = steps(orl_motion, "apex")
    moved = np.linalg.norm(own, axis=-1)
    moved[:, :17] = 0
    chosen = [(number, int(moved[number].argmax())) for number in range(len(orl_motion.clips))]
    for number, point in chosen:
        clip = orl_motion.clips[number]
        onset, apex = (orl_motion.frames[number, frame, :, :, 0] for frame in (clip.onset, clip.apex))
        start, end = (orl_motion.landmarks[number, frame, point] * [112, 128] for frame in (clip.onset, clip.apex))
        head_alone = end - own[number, point] * 112

        def patch(picture, centre):
            return cv2.getRectSubPix(picture, (13, 13), (float(centre[0]), float(centre[1]))).astype(float)

        with_step = np.abs(patch(apex, end) - patch(onset, start)).mean()
        without = np.abs(patch(apex, head_alone) - patch(onset, start)).mean()
        better += with_step < without
    assert better > 0.8 * len(chosen)


def test_no_class_can_be_read_from_artefacts(orl_motion):
    frames = orl_motion.frames[..., 0].astype(np.float32)
    mean, spread = frames.mean(axis=(2, 3)), frames.std(axis=(2, 3))
    # Noise: what a 2x2 difference leaves of a still corner, where no skin moves.
    corner = frames[:, :, :16, :16]
    noise = np.abs(corner[..., 1:, 1:] - corner[..., 1:, :-1] - corner[..., :-1, 1:] + corner[..., :-1, :-1])
    jaw = orl_motion.landmarks[:, :, :17].mean(axis=2)  # follows the head, and the chin a little
    clues = {
        "brightness": mean - mean[:, :1],
        "contrast": spread - spread[:, :1],
        "noise": noise.mean(axis=(2, 3)),
        "head": (jaw - jaw[:, :1])[:, 1:],
        "timing": np.array([[clip.apex, clip.offset] for clip in orl_motion.clips]),
        "onset": np.c_[mean[:, 0], spread[:, 0]],
    }
    found = {name: accuracy(orl_motion, clue) for name, clue in clues.items()}
    found["all"] = accuracy(orl_motion, np.concatenate([np.reshape(c, (180, -1)) for c in clues.values()], axis=1))
    assert max(found.values()) < 0.5, found
    # The same judge does find a class where there is one.
    leak = mean + 10 * np.array([clip.label for clip in orl_motion.clips])[:, None] * np.linspace(0, 1, 18)
    assert accuracy(orl_motion, leak - leak[:, :1]) > 0.8


def test_the_class_is_in_the_direction_of_the_motion_more_than_in_its_amount(orl_motion):
    direction, amount = accuracy(orl_motion, steps(orl_motion, "apex")), accuracy(orl_motion, orl_motion.motion)
    assert direction > 0.95
    assert amount < direction - 0.15


def test_planted_edges_are_those_of_the_file(orl_motion):
    record = json.loads((files("austicker") / "data" / "orl-motion-scm.json").read_text())
    edges = tuple((cause, effect) for cause, effect, _ in record["edges"])
    assert orl_motion.planted == edges
    assert {name for edge in edges for name in edge} <= set(NAMES)
    causes = [cause for cause, _ in edges]
    assert max(set(causes), key=causes.count) == record["cause"] == planted.load().cause


def test_a_draw_has_the_planted_correlations_and_unit_variance():
    model = planted.load()
    activation = planted.draw(model, 20_000, np.random.default_rng(0)).astype(np.float64)
    joined = {name for edge in model.edges for name in edge}
    ranges = [model.leading if n == model.cause else model.moving if n in joined else model.idle for n in NAMES]
    low, high = np.array(ranges).T
    assert (activation >= low - 1e-6).all()
    assert (activation <= high + 1e-6).all()
    latent = ndtri(np.clip((activation - low) / (high - low), 1e-9, 1 - 1e-9))
    assert latent.std(axis=0) == pytest.approx(1, abs=0.03)
    assert latent.mean(axis=0) == pytest.approx(0, abs=0.03)
    # The truth by linear algebra: latent = W latent + scaled noise.
    weights = np.zeros((14, 14))
    for (cause, effect), weight in zip(model.edges, model.weights, strict=True):
        weights[NAMES.index(effect), NAMES.index(cause)] = weight
    mix = np.linalg.inv(np.eye(14) - weights) * np.sqrt(1 - (weights**2).sum(axis=1))
    expected = mix @ mix.T
    assert np.corrcoef(latent.T) == pytest.approx(expected, abs=0.03)
    assert expected[NAMES.index("chin"), NAMES.index("philtrum")] == 0
    assert expected[NAMES.index("chin"), NAMES.index("glabella")] == pytest.approx(0.68)


def test_planted_amounts_reach_the_measured_motion(orl_motion):
    ranks = orl_motion.motion.argsort(axis=0).argsort(axis=0)
    table = np.corrcoef(ranks.T)
    edges = [table[NAMES.index(cause), NAMES.index(effect)] for cause, effect in orl_motion.planted]
    idle = [table[NAMES.index("glabella"), NAMES.index(f"mouth-corner-{side}")] for side in ("left", "right")]
    assert min(edges) > 0.2
    assert np.mean(edges) > 0.3 + np.mean(idle)


@pytest.mark.parametrize(("image_side", "person_side"), [("left", "R"), ("right", "L")])
def test_coded_units_have_the_persons_sides(image_side, person_side):
    activation = np.zeros(14, np.float32)
    activation[NAMES.index(f"mouth-corner-{image_side}")] = 1
    coded = planted.coded_units((6, 12), activation)
    assert coded == (f"{person_side}12",)
    assert planted.coded_units((6, 12), np.ones(14, np.float32)) == ("6", "12")
    assert planted.coded_units((6, 12), np.full(14, planted.VISIBLE - 0.01, np.float32)) == ()
    clip = dataclasses.replace(CLIP, action_units=coded)
    active = activity_from_action_units([clip])[0]
    assert {name for name, on in zip(NAMES, active, strict=True) if on} == {f"mouth-corner-{image_side}"}


CLIP = Clip(corpus="orl-motion", clip="c", subject="s", label=1, onset=0, apex=1, offset=2)


def test_every_clip_lists_only_units_of_its_emotion(orl_motion):
    sided = 0
    for clip in orl_motion.clips:
        allowed = {unit for emotion in facs.EMOTIONS[orl_motion.labels[clip.label]] for unit in emotion}
        assert {int(unit.lstrip("LR")) for unit in clip.action_units} <= allowed
        sided += any(unit[0] in "LR" for unit in clip.action_units)
    assert 0.1 < sided / len(orl_motion.clips) < 0.9
    assert np.mean([bool(clip.action_units) for clip in orl_motion.clips]) > 0.7


@pytest.fixture
def cache(orl_motion, tmp_path, monkeypatch):
    """A copy of the prepared corpus in a cache of its own; preparing it anew is an error here."""
    source = packed.cache_folder() / f"orl-motion-{door.recipe_digest(door.Settings())[:16]}"
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path))
    monkeypatch.setattr(door, "make", lambda *_: pytest.fail("the corpus was made anew"))
    folder = packed.cache_folder() / source.name
    shutil.copytree(source, folder)
    return folder


def test_opening_again_is_fast_and_the_same(orl_motion, cache):
    start = time.perf_counter()
    again = corpora.open_corpus("orl-motion")
    assert time.perf_counter() - start < 1
    assert again == orl_motion
    assert again.fingerprint == packed.fingerprint_of(again)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "00000.arrow"),
        lambda folder: cut(folder / "corpus.json"),
        lambda folder: (folder / "corpus.json").write_text("{}"),
        lambda folder: (folder / "corpus.json").unlink(),
        lambda folder: (folder / "00000.arrow").unlink(),
        lambda folder: (folder / "00000.arrow").write_bytes(b""),
        lambda folder: shards.write(folder / "00000.arrow", []),
    ],
    ids=["shard cut", "record cut", "record empty", "record gone", "shard gone", "shard empty", "shard without clips"],
)
def test_a_damaged_cache_is_named_in_one_sentence(cache, damage):
    damage(cache)
    with pytest.raises(AustickerError, match="is damaged .*: delete that folder") as caught:
        corpora.open_corpus("orl-motion")
    assert str(cache) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    taken = tmp_path / "file"
    taken.write_text("")
    monkeypatch.setenv("AUSTICKER_CACHE", str(taken))
    monkeypatch.setattr(door, "make", lambda *_: pytest.fail("the corpus was made before the refusal"))
    with pytest.raises(AustickerError, match="cannot be written .*AUSTICKER_CACHE"):
        corpora.open_corpus("orl-motion")
    assert taken.read_text() == ""
