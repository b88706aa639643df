"""The meter against an independent count, what it lets an attack see, how looks become pixels, the sticker attack."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_recognisers import SIZE, bumps, trials

from austicker.attacks import ATTACKS
from austicker.attacks.lockstep import ask_all, walk_all
from austicker.attacks.looks import Looks, looks_at
from austicker.attacks.oracle import AccessDenied, Asked, Oracle
from austicker.attacks.sticker import Settings as StickerSettings
from austicker.types import AustickerError


def scores(frames: torch.Tensor) -> torch.Tensor:
    """A linear recogniser of two classes: the brighter a clip, the less it is of class 0."""
    bright = frames.mean((1, 2, 3, 4)) / 255
    return torch.stack([1 - bright, bright], 1)


class Counting:
    """Counts what truly reaches a recogniser; the first pixel of each clip says whose it is, the second what it is."""

    def __init__(self, trials: int) -> None:
        self.shown: list[list[int]] = [[] for _ in range(trials)]

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        for clip in frames.flatten(1):
            self.shown[int(clip[0])].append(int(clip[1]))
        return answered(frames.flatten(1)[:, 1])


def answered(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures of odd number hide class 0."""
    odd = pictures % 2
    return torch.stack([0.9 - 0.8 * odd, 0.1 + 0.8 * odd], 1)


def clips(asked: list[tuple[int, int]]) -> tuple[torch.Tensor, np.ndarray]:
    """A clip of two pixels for each (owner, picture)."""
    pairs = torch.tensor(asked, dtype=torch.float32).reshape(-1, 1, 1, 1, 2)
    return pairs, np.array([owner for owner, _ in asked], np.int64)


QUESTIONS = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=9), max_size=6)


@settings(max_examples=150, deadline=None)
@given(QUESTIONS, st.integers(0, 12), st.booleans(), st.sampled_from(["label", "scores"]))
def test_the_ledger_is_what_an_independent_count_says(questions, budget, remembers, access):
    truth = Counting(4)
    oracle = Oracle(Asked(name="x", scores=truth), [0] * 4, access=access, budget=budget, remembers=remembers)
    asked: list[list[int]] = [[] for _ in range(4)]
    for question in questions:
        frames, owners = clips(question)
        admitted = [
            (owner, picture)
            for turn, (owner, picture) in enumerate(question)
            if len(asked[owner]) + sum(earlier == owner for earlier, _ in question[:turn]) < budget
        ]
        answers = oracle.ask(frames, owners)
        expected = answered(torch.tensor([picture for _, picture in admitted], dtype=torch.float32)).numpy()
        np.testing.assert_array_equal(answers.labels, expected.argmax(1))
        if access == "scores" and admitted:
            np.testing.assert_allclose(answers.scores, expected)
        assert access == "scores" or answers.scores is None
        for owner, picture in admitted:
            asked[owner].append(picture)
    ledger = oracle.ledger
    np.testing.assert_array_equal(ledger.queries, [len(own) for own in asked])
    np.testing.assert_array_equal(ledger.unique + ledger.repeated, [len(shown) for shown in truth.shown])
    np.testing.assert_array_equal(ledger.unique, [len(set(own)) for own in asked])
    assert ledger.queries.max() <= budget
    assert not (ledger.repeated if remembers else ledger.cached).any()
    for trial, own in enumerate(asked):
        first = next((number for number, picture in enumerate(own, 1) if picture % 2), 0)
        assert ledger.success_at[trial] == first
        labels, kept = oracle.record(trial)
        np.testing.assert_array_equal(labels, [picture % 2 for picture in own])
        np.testing.assert_allclose(kept, [0.1 if picture % 2 else 0.9 for picture in own], rtol=1e-6)
    np.testing.assert_array_equal(oracle.left, budget - ledger.queries)


@pytest.mark.parametrize("owners", [[0], [0, 2], [-1, 0]])
def test_clips_without_a_true_owner_are_refused_unseen(owners):
    truth = Counting(2)
    oracle = Oracle(Asked(name="x", scores=truth), [0, 0], access="label", budget=9)
    with pytest.raises(ValueError, match="owners"):
        oracle.ask(torch.zeros(2, 1, 1, 1, 2), np.array(owners))
    assert not any(truth.shown)
    assert not oracle.ledger.queries.any()


def test_a_trial_that_was_closed_asks_nothing_more():
    truth = Counting(2)
    oracle = Oracle(Asked(name="x", scores=truth), [0, 0], access="label", budget=9)
    oracle.ask(*clips([(0, 1), (1, 2)]))
    oracle.close(0)
    oracle.ask(*clips([(1, 2)]))
    with pytest.raises(ValueError, match="closed"):
        oracle.ask(*clips([(1, 4), (0, 1)]))
    assert truth.shown == [[1], [2]]
    assert oracle.ledger.queries.tolist() == [1, 2]
    assert oracle.record(0)[0].tolist() == [1]


def test_an_attack_cannot_change_the_ledger_or_take_gradients_with_the_answer():
    oracle = Oracle(Asked(name="x", scores=scores, logits=scores), [0], access="scores", budget=2)
    frames = torch.ones(1, 1, 1, 2, 2, requires_grad=True)
    oracle.ask(frames, np.array([0]))
    oracle.ledger.unique[:] = 0
    oracle.left[:] = 99
    assert oracle.ledger.queries.tolist() == [1]
    with pytest.raises(AccessDenied, match="declared scores"):
        oracle.gradients(frames, np.array([0]))
    assert frames.grad is None


def test_a_recogniser_without_gradients_is_not_opened_for_them():
    with pytest.raises(AccessDenied, match="'box' gives no gradients"):
        Oracle(Asked(name="box", scores=scores), [0], access="gradients", budget=2)


def test_gradients_are_those_of_the_cross_entropy_and_count_like_pictures():
    weight = torch.arange(8.0).view(4, 2)

    def logits(frames: torch.Tensor) -> torch.Tensor:
        return frames.flatten(1) @ weight

    oracle = Oracle(Asked(name="x", scores=scores, logits=logits), [1], access="gradients", budget=4)
    frames = torch.tensor([[0.1, 0.0, 0.0, 0.2], [0.1, 0.0, 0.0, 0.2], [0.0, 0.3, 0.0, 0.0]]).view(3, 1, 1, 2, 2)
    found = oracle.gradients(frames, np.zeros(3, np.int64))
    probability = logits(frames).softmax(1)
    expected = (probability - torch.tensor([0.0, 1.0])) @ weight.T
    torch.testing.assert_close(found.flatten(1), expected)
    ledger = oracle.ledger
    assert (ledger.unique.tolist(), ledger.repeated.tolist(), ledger.cached.tolist()) == ([2], [1], [0])
    assert len(oracle.gradients(frames, np.zeros(3, np.int64))) == 1  # the budget's last
    assert oracle.ledger.queries.tolist() == [4]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n: torch.full((n, 2), torch.nan), "not numbers"),
        (lambda n: torch.full((n, 2), torch.inf), "not numbers"),
        (lambda n: torch.zeros(1, 2), r"2 clips with values of shape \(1, 2\)"),
        (lambda n: torch.zeros(n), r"shape \(2,\)"),
        (lambda n: torch.zeros(n, 1), r"shape \(2, 1\)"),
    ],
)
def test_a_recogniser_that_answers_nonsense_is_named_in_one_sentence_and_counts_nothing(answer, words):
    asked = Asked(name="mine", scores=lambda frames: answer(len(frames)), logits=lambda frames: answer(len(frames)))
    oracle = Oracle(asked, [1, 0], access="gradients", budget=9)
    for question in (oracle.ask, oracle.gradients):
        with pytest.raises(AustickerError, match=words) as refusal:
            question(*clips([(0, 1), (1, 2)]))
        assert "'mine'" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert not oracle.ledger.queries.any()
        assert not len(oracle.record(0)[0])


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_one_population_is_one_call_whatever_the_device_takes_at_once(batch):
    toy, three = bumps(np.full((3, 2), 0.5)), trials(3, batch=batch)
    oracle = toy.oracle(access="label")
    looks = looks_at(np.random.default_rng(0).uniform(0.2, 0.8, (8, 2)))
    ask_all(oracle, three, np.array([0, 0, 0, 0, 2, 2, 2, 2]), looks)
    ask_all(oracle, three, np.array([0]), looks[:1])
    assert oracle.ledger.calls.tolist() == [2, 0, 1]
    assert oracle.ledger.queries.tolist() == [5, 0, 4]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(1, 6), st.integers(1, 20), st.integers(0, 8))
def test_memory_that_runs_out_leaves_the_same_counts(populations, fits, batch, faults):
    toy, two = bumps(np.full((2, 2), 0.5), size=(21, 24)), trials(2, batch=batch, size=(21, 24))
    left = [faults]

    def tight(frames: torch.Tensor) -> torch.Tensor:
        if len(frames) > fits or (len(frames) > 1 and left[0] > 0):
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return toy(frames)

    def walk(face):
        for count in populations:
            yield looks_at(face.rng.uniform(0.2, 0.8, (count, 2)))

    oracle = Oracle(Asked(name="tight", scores=tight), [0, 0], access="scores", budget=15)
    walk_all(oracle, two, walk, stops=False)
    assert oracle.ledger.queries.tolist() == [min(15, sum(populations))] * 2
    assert (oracle.ledger.unique + oracle.ledger.repeated).tolist() == toy.counts[0]
    assert oracle.ledger.unique.tolist() == toy.counts[1]


def pixels(painted: torch.Tensor) -> set[tuple[int, int]]:
    """Pixels (x, y) of a frame (1, h, w) that differ from black."""
    return {(int(x), int(y)) for y, x in painted[0].nonzero()}


def test_a_look_becomes_the_sticker_at_its_place_turned_and_faded():
    one = trials(1)
    width, height = one.faces[0].sticker_px
    looks = looks_at([[0.5, 0.5]] * 3, rotation=[0.0, 90.0, 0.0], opacity=[1.0, 1.0, 0.5])
    upright, turned, faded = one.pictures(np.zeros(3, np.int64), looks)[:, 0]
    left, top = (SIZE[0] - width) // 2 + 1, (SIZE[1] - height) // 2 + 1  # odd sides: half a pixel towards the right
    assert pixels(upright) == {(left + x, top + y) for x in range(width) for y in range(height)}
    assert len(pixels(turned)) == width * height
    assert max(x for x, _ in pixels(turned)) - min(x for x, _ in pixels(turned)) + 1 == height
    torch.testing.assert_close(faded, upright / 2)


def test_an_outline_is_filled_with_white_and_nothing_else_is_touched():
    one = trials(1)
    corners = np.array([[[10.0, 20.0], [30.0, 20.0], [30.0, 50.0], [10.0, 50.0]]]) / SIZE
    looks = Looks(centres=np.full((1, 1, 2), 0.5), rotation=np.zeros(1), opacity=np.ones(1), outlines=corners)
    (picture,) = one.pictures(np.zeros(1, np.int64), looks)
    inner = {(x, y) for x in range(11, 29) for y in range(21, 49)}
    outer = {(x, y) for x in range(9, 31) for y in range(19, 51)}
    assert inner <= pixels(picture[0]) <= outer
    assert set(picture[0].unique().tolist()) == {0.0, 255.0}
    assert not picture[1].any()


def test_a_bent_sticker_is_narrower_towards_the_rim_of_the_face():
    flat, bent = trials(1), dataclasses.replace(trials(1), bent=True)
    looks = looks_at([[0.75, 0.55]])
    areas = [one.pictures(np.zeros(1, np.int64), looks)[0, 0].sum() for one in (flat, bent)]
    assert areas[1] < 0.97 * areas[0]


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_the_sticker_attack_asks_once_for_each_trial_as_its_settings_say(batch):
    looks = looks_at(np.linspace(0.3, 0.7, 10).reshape(5, 2))
    toy, five = bumps(looks.centres[:, 0]), dataclasses.replace(trials(5, batch=batch), looks=looks)
    before = five.frames.clone()
    plain = toy.oracle(access="label", budget=1)
    attempts = ATTACKS["sticker"](plain, five, StickerSettings())
    assert plain.ledger.queries.tolist() == [1] * 5 == toy.counts[0]
    assert plain.succeeded.all()  # each sticker is on its spot
    np.testing.assert_array_equal(attempts.looks.centres, looks.centres)
    assert attempts.at.tolist() == [1] * 5
    faded = toy.oracle(access="label", budget=1)
    attempts = ATTACKS["sticker"](faded, five, StickerSettings(rotation=20.0, opacity=0.3))
    assert not faded.succeeded.any()
    assert (attempts.looks.rotation == 20).all()
    assert torch.equal(five.frames, before)


def test_the_sticker_attack_without_trials_or_places_is_refused():
    toy, one = bumps(np.full((1, 2), 0.5)), trials(1)
    with pytest.raises(ValueError, match="a look for each"):
        ATTACKS["sticker"](toy.oracle(access="label"), one, StickerSettings())
    nowhere = looks_at(np.zeros((0, 2)))
    none = dataclasses.replace(one, clip=np.zeros(0, np.int64), sticker=np.zeros(0, np.int64), faces=[], looks=nowhere)
    with pytest.raises(ValueError, match="at least one trial"):
        ATTACKS["sticker"](toy.oracle(access="label"), none, StickerSettings())
    with pytest.raises(ValueError, match="at least one trial"):
        walk_all(toy.oracle(access="label"), none, lambda face: iter(()), stops=True)


@pytest.mark.parametrize("given", [{"opacity": -0.1}, {"opacity": 1.01}, {"opacity": np.nan}, {"rotation": np.inf}])
def test_a_sticker_that_cannot_be_worn_is_refused(given):
    with pytest.raises(AustickerError, match=next(iter(given))):
        StickerSettings(**given)
