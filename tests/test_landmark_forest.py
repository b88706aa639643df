"""The forest over landmarks: features by hand, scikit-learn's own answers, missing faces, and what is spared."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from test_training import clean_scores, one_thread, same_weights, small, toy_corpus

from austicker import models, training, weights
from austicker.faces import landmarker
from austicker.models import landmark_memory
from austicker.models.landmark_forest import Forest, LandmarkForest, as_tensors, landmark_features
from austicker.models.landmark_memory import LandmarkMemory
from austicker.store import Store
from austicker.types import AustickerError
from austicker.victims import TrainedVictim

__all__ = ["one_thread"]

RECTANGLE = torch.tensor([[[10.0, 20.0], [16, 20], [16, 28], [10, 28]]])


class Dots:
    """A landmarker that sees a face in every picture that is not black, puts its points by the picture's middle row
    and writes down what it was shown. It opens in 50 seconds of `now` and finds a face in one.
    """

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []
        self.opened = self.closed = 0
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    @contextmanager
    def open(self) -> Iterator[object]:
        self.opened += 1
        self.now += 50
        yield self._find
        self.closed += 1

    def _find(self, picture):
        self.shown.append(picture.copy())
        self.now += 1
        if not picture.any():
            return None
        row = picture[len(picture) // 2, :, 0].astype(np.float32)
        return np.stack([np.resize(row, 68), np.arange(68)], 1).astype(np.float32)


def forest_of(dots, **overrides):
    settings = models.settings("landmark-forest", **{"trees": 5} | overrides)
    return LandmarkForest(settings, LandmarkMemory(dots.open))


def blackened(corpus, positions):
    """Returns the corpus with the apex picture of some clips black."""
    frames = corpus.frames.copy()
    for position in positions:
        frames[position, corpus.clips[position].apex] = 0
    return dataclasses.replace(corpus, frames=frames)


def test_offsets_from_the_centroid_are_signed_and_in_the_points_order():
    # Its centre is (13, 24), and half of its diagonal 5.
    expected = [-3, -4, 3, -4, 3, 4, -3, 4]
    assert landmark_features(RECTANGLE, "xy").tolist() == [expected]
    assert landmark_features(RECTANGLE, "euclid").tolist() == [[5, 5, 5, 5]]
    assert landmark_features(RECTANGLE, "both").tolist() == [[*expected, 5, 5, 5, 5]]


def test_a_shift_of_the_face_changes_nothing_and_its_size_everything():
    for kind in ("xy", "euclid", "both"):
        features = landmark_features(RECTANGLE, kind)
        assert torch.equal(landmark_features(RECTANGLE + torch.tensor([7.0, -2]), kind), features)
        assert torch.equal(landmark_features(RECTANGLE * 2, kind), features * 2)


@pytest.mark.parametrize(("kind", "columns"), [("xy", 136), ("euclid", 68), ("both", 204)])
def test_68_points_give_the_papers_number_of_features(kind, columns):
    recogniser = forest_of(Dots(), features=kind)
    frames = torch.full((2, 1, 3, 8, 8), 9.0)
    frames[1] = 0
    rows = recogniser.features(frames)
    assert rows.shape == (2, columns)
    assert rows.dtype == torch.float32
    assert not rows[0].isnan().any()
    assert rows[1].isnan().all()


def grown(rng, *, rows=300, columns=5, trees=20):
    """A forest on features of few values, so that equal rows of unlike classes mix in a leaf; class 1 is unseen."""
    features = (rng.integers(0, 6, (rows, columns)) / 10).astype(np.float32)
    classes = np.array([0, 2, 3])[rng.integers(0, 3, rows)]
    return RandomForestClassifier(n_estimators=trees, random_state=0, n_jobs=1).fit(features, classes)


def test_the_tensors_answer_as_scikit_learn_does():
    rng = np.random.default_rng(1)
    theirs = grown(rng)
    ours = as_tensors(theirs, 4)
    thresholds = ours.threshold[ours.branches[:, 0] != ours.branches[:, 1]].numpy()
    # Right at the thresholds, one step of float32 beside them, and anywhere.
    near = rng.choice(thresholds, (3000, 5))
    asked = np.concatenate([near, np.nextafter(near, np.float32(9)), np.nextafter(near, np.float32(-9))])
    asked = np.concatenate([asked, rng.random((1000, 5)).astype(np.float32)])
    expected = np.zeros((len(asked), 5))
    expected[:, [0, 2, 3]] = theirs.predict_proba(asked)
    answer = ours(torch.from_numpy(asked)).softmax(1).numpy()
    assert answer == pytest.approx(expected, abs=1e-6)
    assert (answer[:, [1, 4]] == 0).all()
    # Where two classes are level but for the last bit of a sum, either may lead.
    first, second = np.sort(expected, 1)[:, :-3:-1].T
    clear = first - second > 1e-9
    assert (answer.argmax(1) == np.array([0, 2, 3])[theirs.predict_proba(asked).argmax(1)])[clear].all()
    assert clear.mean() > 0.9


def test_a_threshold_between_two_floats_parts_them_as_the_exact_one_does():
    # Halfway between them, which float32 rounds to the upper one: its last bit is even.
    low = np.nextafter(np.float32(100), np.float32(200))
    high = np.nextafter(low, np.float32(200))
    assert np.float32((float(low) + float(high)) / 2) == high
    features = np.array([[low], [high]] * 20, np.float32)
    theirs = RandomForestClassifier(n_estimators=9, random_state=0).fit(features, [0, 1] * 20)
    ours = as_tensors(theirs, 2)(torch.from_numpy(features[:2])).exp()[:, :2]
    assert ours.numpy() == pytest.approx(theirs.predict_proba(features[:2]))
    assert ours.argmax(1).tolist() == [0, 1]


def test_a_tree_that_is_one_leaf_answers_with_its_shares():
    theirs = RandomForestClassifier(n_estimators=3, random_state=0).fit(np.zeros((4, 2)), [0, 1, 1, 1])
    answer = as_tensors(theirs, 2)(torch.zeros(1, 2)).exp()
    assert answer[0, :2].numpy() == pytest.approx(theirs.predict_proba(np.zeros((1, 2)))[0])


def test_no_face_is_an_answer_of_its_own():
    forest = as_tensors(grown(np.random.default_rng(1)), 4)
    features = torch.rand(3, 5)
    features[1] = torch.nan
    answer = forest(features)
    assert answer.isfinite().all()
    assert answer.softmax(1)[1].tolist() == [0, 0, 0, 0, 1]
    assert (answer.softmax(1)[[0, 2], 4] == 0).all()
    assert torch.equal(answer[[0, 2]], forest(features[[0, 2]]))


def test_a_walk_that_never_ends_is_refused():
    circle = torch.tensor([[1, 1], [0, 0]])
    zeros = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="never ends"):
        Forest(roots=zeros[:1], branches=circle, feature=zeros, threshold=zeros.float(), shares=torch.zeros(2, 2))


def test_it_learns_and_the_seed_decides_every_tree():
    corpus, recogniser = toy_corpus(30), forest_of(Dots(), trees=20)
    first, again, other = (training.train(recogniser, corpus, range(18), seed=seed) for seed in (5, 5, 6))
    assert same_weights(first, again)
    assert first.network.state_dict()["roots"].tolist() != other.network.state_dict()["roots"].tolist()
    answer = clean_scores(first, corpus, range(18))
    assert answer.shape == (18, 4)
    assert answer.argmax(1).tolist() == [clip.label for clip in corpus.clips[:18]]


def test_training_leaves_pictures_without_a_face_out_and_counts_them():
    whole, black = toy_corpus(12), (0, 4, 7)
    trained = training.train(forest_of(Dots()), blackened(whole, black), range(12), seed=0)
    kept = [position for position in range(12) if position not in black]
    assert same_weights(trained, training.train(forest_of(Dots()), whole, kept, seed=0))
    assert trained.statistics == {"pictures_with_face": 9, "pictures_without_face": 3}
    answer = clean_scores(trained, blackened(whole, black), range(12)).argmax(1)
    assert [position for position in range(12) if answer[position] == 3] == list(black)


def test_a_class_without_any_face_is_refused():
    corpus = toy_corpus(12)
    second = [position for position, clip in enumerate(corpus.clips) if clip.label == 1]
    with pytest.raises(AustickerError, match=r"no training picture of class 1 .*choose the other landmarks"):
        training.train(forest_of(Dots()), blackened(corpus, second), range(12), seed=0)


def test_the_landmarker_sees_what_the_recogniser_is_shown_in_8_bits_and_three_channels():
    dots = Dots()
    frames = torch.full((1, 1, 1, 4, 6), 99.6)
    frames[..., 0, :2] = torch.tensor([-3.0, 300.0])
    forest_of(dots).features(frames)
    (picture,) = dots.shown
    assert picture.dtype == np.uint8
    assert picture.shape == (4, 6, 3)
    assert picture[0, :3].tolist() == [[0] * 3, [255] * 3, [100] * 3]


def test_a_picture_is_searched_once_and_its_seconds_count_each_time(monkeypatch):
    corpus, dots = toy_corpus(6), Dots()
    for module in (training, landmark_memory):
        monkeypatch.setattr(module, "time", dots)
    recogniser = forest_of(dots)
    first = training.train(recogniser, corpus, range(6), seed=0)
    assert len(dots.shown) == 6
    second = training.train(recogniser, corpus, range(6), seed=1)
    assert len(dots.shown) == 6
    assert dots.opened == 1
    for trained in (first, second):
        # Six searches of a second, neither twice as many nor none, and no opening.
        assert trained.seconds == {"training": 6, "answering": 1}


def test_pictures_of_other_shapes_are_other_pictures():
    dots = Dots()
    memory = LandmarkMemory(dots.open)
    memory.search([np.full((2, 6, 3), 7, np.uint8), np.full((6, 2, 3), 7, np.uint8)])
    assert len(dots.shown) == 2


def test_the_memory_forgets_what_was_longest_unasked():
    dots = Dots()
    memory = LandmarkMemory(dots.open, limit=2)
    one, two, three = (np.full((3, 3, 3), value, np.uint8) for value in (1, 2, 3))
    memory.search([one, two, one, three])
    assert len(dots.shown) == 3
    memory.search([one])
    assert len(dots.shown) == 3
    memory.search([two])
    assert len(dots.shown) == 4


def test_a_closed_memory_still_knows_and_opens_again_for_a_new_picture():
    dots = Dots()
    memory = LandmarkMemory(dots.open)
    one, two = (np.full((3, 3, 3), value, np.uint8) for value in (1, 2))
    points = memory.search([one]).points
    memory.close()
    assert (dots.opened, dots.closed) == (1, 1)
    assert (memory.search([one]).points == points).all()
    assert dots.opened == 1
    memory.search([two])
    assert dots.opened == 2


def test_nothing_is_opened_for_no_picture():
    dots = Dots()
    assert LandmarkMemory(dots.open).search([]).points.shape == (0, 68, 2)
    assert dots.opened == 0


def test_an_attack_gets_scores_and_features_but_no_gradients():
    corpus = toy_corpus(6)
    trained = training.train(forest_of(Dots(), label="oaks"), corpus, range(6), seed=0)
    victim = TrainedVictim(trained)
    frames = torch.full((2, 1, 3, 8, 8), 9.0)
    frames[1] = 0
    assert victim.access == "scores"
    assert victim.scores(frames)[1].tolist() == [0, 0, 0, 1]
    with pytest.raises(AustickerError, match=r"'oaks' gives scores and no gradients: choose"):
        victim.logits(frames)
    read = victim.features(frames)
    assert read.dtype == np.float32
    assert np.isnan(read).all(1).tolist() == [False, True]


def test_a_recogniser_of_pixels_has_no_features():
    corpus = toy_corpus(3)
    victim = TrainedVictim(training.train(small("stcnn", epochs=1), corpus, range(3), seed=0))
    frames = training.pixels(corpus, range(3), [victim.frame_indices(clip) for clip in corpus.clips], "gray", "cpu")
    assert victim.access == "gradients"
    assert victim.features(frames) is None
    assert victim.logits(frames).shape == (3, 3)


def test_it_comes_back_from_a_store_without_a_landmarker(tmp_path):
    corpus, store = toy_corpus(6), Store(tmp_path)
    recogniser = forest_of(Dots(), features="both")
    trained = training.train(recogniser, corpus, range(6), seed=3)
    weights.save(trained, store, "abc")
    loaded = weights.load(store, "abc")
    assert same_weights(trained, loaded)
    features = recogniser.features(torch.rand(20, 1, 3, 9, 9) * 255)
    assert torch.equal(loaded.network(features), trained.network(features))
    for attribute in ("settings", "classes", "statistics", "curve", "seed", "epoch"):
        assert getattr(loaded, attribute) == getattr(trained, attribute)


def test_a_forest_of_another_number_of_classes_is_not_taken():
    recogniser = forest_of(Dots())
    tensors = as_tensors(grown(np.random.default_rng(1)), 4).state_dict()
    with pytest.raises(ValueError, match="tells 4 classes apart, not 3"):
        recogniser.restored(3, tensors)


def test_on_photographs_it_reads_what_its_landmarker_finds(orl_motion):
    chosen = [position for position, _ in enumerate(orl_motion.clips)][:6]
    recogniser = LandmarkForest(models.settings("landmark-forest", trees=3))
    indices = [recogniser.frame_indices(orl_motion.clips[position]) for position in chosen]
    frames = training.pixels(orl_motion, chosen, indices, recogniser.colour, "cpu")
    frames = torch.cat([frames, torch.full_like(frames[:1], 127)])
    rows = recogniser.features(frames)
    with landmarker("mediapipe") as find:
        for position, (apex,), row in zip(chosen, indices, rows, strict=False):
            picture = np.repeat(orl_motion.frames[position][apex], 3, -1)
            points = find(picture)
            expected = (points - points.mean(0)).ravel()
            assert row.numpy() == pytest.approx(expected, abs=1e-4)
    assert rows[6].isnan().all()


@pytest.mark.parametrize("first", ["import mediapipe", "import torch"])
@pytest.mark.parametrize("last", ["", "import sys; sys.kept = landmark_memory('mediapipe')"])
def test_a_process_that_searched_ends_without_a_word(first, last):
    source = f"""
{first}
import numpy as np
from austicker.models.landmark_memory import landmark_memory

landmark_memory("mediapipe").search([np.full((128, 112, 3), 90, np.uint8)])
{last}
print("searched")
"""
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (0, "searched\n")
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
