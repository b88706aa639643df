"""Attacks that look for no place: the clean picture, boxes over eyes and jaw, and a step along the gradient."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from toy_recognisers import trials

from austicker.attacks import ATTACKS, boxes
from austicker.attacks.boxes import EyeBoxes, JawBox, Painted
from austicker.attacks.clean import Settings as Nothing
from austicker.attacks.clean import Untouched
from austicker.attacks.fgsm import Settings, Steps
from austicker.attacks.oracle import Asked, Oracle
from austicker.faces.alignment import template_points
from austicker.types import AustickerError

WEIGHTS = torch.tensor([[[2.0, -1.0], [0.0, 3.0]]])
"""Of a recogniser of two pixels by two: what each adds to the second class."""


def linear(frames: torch.Tensor) -> torch.Tensor:
    """The first class' logit is 0, the second's a weighted sum of the first frame's pixels."""
    return torch.stack([torch.zeros(len(frames)), (frames[:, 0] / 255 * WEIGHTS).sum((1, 2, 3))], 1)


def small(pixels: list[list[float]], count: int = 1):
    """Trials of one frame of four pixels."""
    one = trials(count)
    frames = torch.tensor(pixels).view(1, 1, 1, 2, 2).expand(count, -1, -1, -1, -1).clone()
    return dataclasses.replace(one, frames=frames, shown=np.ones((count, 1), bool))


def asked(surrogate: str = "") -> Asked:
    return Asked(name="linear", scores=lambda x: linear(x).softmax(1), logits=linear, surrogate=surrogate)


@pytest.mark.parametrize("goal", [0, 1])
def test_a_step_is_epsilon_times_the_sign_of_the_gradient_within_the_range(goal):
    pixels = [[100.0, 1.0], [50.0, 254.0]]
    one = small(pixels)
    oracle = Oracle(asked(), [goal], access="gradients", budget=2)
    attempts = ATTACKS["fgsm"](oracle, one, Settings(epsilon=0.02))
    # The loss of class 0 grows with the second logit, that of class 1 falls with it; a weight of 0 moves nothing.
    up = 1 if goal == 0 else -1
    by_hand = np.clip([[100 + up * 5.1, 1 - up * 5.1], [50, 254 + up * 5.1]], 0, 255)
    np.testing.assert_allclose(one.pictures(np.zeros(1, np.int64), attempts.looks)[0, 0, 0], by_hand, atol=1e-5)
    assert attempts.looks.columns(0) == {"recipe": '{"epsilon":0.02}'}
    np.testing.assert_array_equal(one.frames[0, 0, 0], pixels)


def test_a_gradient_is_a_query_and_one_of_a_surrogate_is_none():
    one = small([[100.0, 10.0], [50.0, 10.0]], 3)
    own = Oracle(asked(), [0, 0, 0], access="gradients", budget=2)
    ATTACKS["fgsm"](own, one, Settings())
    assert own.ledger.queries.tolist() == [2, 2, 2]
    # The clean picture is of class 1 already: only the second query, the attacked picture, may count as a success.
    assert linear(one.frames).argmax(1).tolist() == [1, 1, 1]
    assert own.ledger.success_at.tolist() == [2, 2, 2]
    lent = Oracle(asked(surrogate="lender"), [0, 0, 0], access="gradients", budget=2)
    attempts = ATTACKS["fgsm"](lent, one, Settings())
    assert lent.ledger.queries.tolist() == attempts.at.tolist() == [1, 1, 1]
    assert len(lent.record(0)[0]) == 1


def test_nonsense_is_blamed_on_whoever_said_it():
    one = small([[100.0, 10.0], [50.0, 10.0]])
    for surrogate, name in (("lender", "Surrogate 'lender'"), ("", "Recogniser 'linear'")):
        silly = dataclasses.replace(asked(surrogate), logits=lambda frames: linear(frames) / 0)
        with pytest.raises(AustickerError, match=f"{name} answered with values that are not numbers"):
            ATTACKS["fgsm"](Oracle(silly, [0], access="gradients", budget=2), one, Settings())


def test_a_saturated_recogniser_has_no_gradient_and_its_picture_stays():
    def sure(frames: torch.Tensor) -> torch.Tensor:
        return torch.stack([frames.mean((1, 2, 3, 4)) * 1000, torch.zeros(len(frames))], 1)

    one = small([[100.0, 1.0], [50.0, 254.0]])
    oracle = Oracle(
        Asked(name="sure", scores=lambda x: sure(x).softmax(1), logits=sure), [0], access="gradients", budget=2
    )
    attempts = ATTACKS["fgsm"](oracle, one, Settings())
    assert torch.equal(one.pictures(np.zeros(1, np.int64), attempts.looks), one.frames)


def test_steps_join_and_divide():
    signs = torch.tensor([1, -1, 0], dtype=torch.int8).view(3, 1, 1, 1, 1)
    steps = Steps(signs=signs, epsilon=0.1)
    joined = Steps.joined([steps[np.array([2, 0])], steps[1:2]])
    assert (len(joined), joined.signs.flatten().tolist()) == (3, [0, 1, -1])
    assert joined.applied(torch.full((3, 1, 1, 1, 1), 250.0)).flatten().tolist() == [250, 255, 224.5]


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.1, np.nan])
def test_a_step_that_is_none_is_refused(epsilon):
    with pytest.raises(AustickerError, match="epsilon"):
        Settings(epsilon=epsilon)


def test_fgsm_needs_room_for_its_gradient():
    with pytest.raises(AustickerError, match="budget of 1 is too small"):
        Settings().within(1)


def face() -> np.ndarray:
    """Points of which only those that boxes read lie somewhere known."""
    points = np.full((68, 2), 0.5, np.float32)
    points[36:42] = [(0.2, 0.3), (0.24, 0.29), (0.28, 0.29), (0.3, 0.3), (0.28, 0.31), (0.24, 0.31)]
    points[42:48] = points[36:42] + (0.5, 0.02)
    points[4:13] = [(0.3 + 0.05 * n, 0.9 - 0.02 * abs(n - 4)) for n in range(9)]
    points[57] = (0.5, 0.7)
    return points


def test_boxes_lie_where_the_landmarks_say():
    found = boxes.rectangles(face(), EyeBoxes(width=1, height=2))
    np.testing.assert_allclose(found, [[0.2, 0.28, 0.3, 0.32], [0.7, 0.3, 0.8, 0.34]], atol=1e-6)
    (jaw,) = boxes.rectangles(face(), JawBox(width=0.5))
    np.testing.assert_allclose(jaw, [0.4, 0.7, 0.6, 0.9], atol=1e-6)


def test_only_pixels_whose_middle_lies_in_a_box_are_painted():
    clips = torch.full((1, 2, 1, 4, 4), 9.0)
    painted = boxes.painted(clips, np.array([[[0.25, 0.0, 0.75, 0.5], [0.88, 0.88, 1.0, 1.0]]]), 255.0)
    expected = torch.full((4, 4), 9.0)
    expected[:2, 1:3] = 255
    assert torch.equal(painted, expected.expand(1, 2, 1, 4, 4))
    assert (clips == 9).all()


@pytest.mark.parametrize("name", ["eye-boxes", "jaw-box"])
def test_default_boxes_cover_their_part_and_keep_off_the_others(name):
    points = template_points((112, 128))
    found = boxes.rectangles(points, boxes.BOXES[name]())

    def inside(numbers) -> np.ndarray:
        x, y = points[list(numbers)].T
        return np.array(
            [((left <= x) & (x <= right) & (top <= y) & (y <= bottom)) for left, top, right, bottom in found]
        )

    eyes, brows, mouth = inside(range(36, 48)), inside(range(17, 27)), inside(range(48, 68))
    if name == "eye-boxes":
        assert eyes.any(0).all()
        assert (eyes.sum(1) == 6).all()
        assert not inside(range(48, 60)).any()
    else:
        assert inside(range(7, 10)).any()
        assert not eyes.any()
        assert not brows.any()
        assert mouth.any(0).mean() < 0.2


@pytest.mark.parametrize("name", ["eye-boxes", "jaw-box"])
def test_a_box_is_shown_once_and_kept_as_it_was_painted(name):
    one = trials(3)
    oracle = Oracle(
        Asked(name="any", scores=lambda x: torch.tensor([[1.0, 0.0]]).expand(len(x), -1)),
        [0, 0, 0],
        access="label",
        budget=1,
    )
    attempts = ATTACKS[name](oracle, one, boxes.BOXES[name](value=200))
    assert oracle.ledger.queries.tolist() == [1, 1, 1]
    pictures = one.pictures(np.arange(3), attempts.looks)
    assert (pictures[:, 0] == 200).any()
    assert torch.equal(pictures[:, 1], one.frames[:, 1])  # a frame that is not shown stays
    again = Painted.of_recipe(attempts.looks.columns(1)["recipe"])
    assert json.loads(attempts.looks.columns(1)["recipe"])["value"] == 200
    assert torch.equal(again.applied(one.frames[1:2])[:, 0], pictures[1:2, 0])


@pytest.mark.parametrize("given", [{"width": 0}, {"height": -1}, {"width": 4.1}, {"value": 256}, {"height": np.inf}])
def test_boxes_that_are_none_are_refused(given):
    with pytest.raises(AustickerError, match="box is n"):
        EyeBoxes(**given)


def test_the_clean_picture_is_asked_for_as_it_is():
    one = trials(3)
    seen: list[torch.Tensor] = []

    def scores(frames: torch.Tensor) -> torch.Tensor:
        seen.append(frames)
        return torch.tensor([[0.0, 1.0]]).expand(len(frames), -1)

    oracle = Oracle(Asked(name="any", scores=scores), [0, 1, 0], access="label", budget=1)
    attempts = ATTACKS["clean"](oracle, one, Nothing())
    assert torch.equal(torch.cat(seen), one.frames)
    assert oracle.ledger.queries.tolist() == attempts.at.tolist() == [1, 1, 1]
    assert attempts.looks.columns(0) == {}
    assert len(Untouched.joined([attempts.looks[np.array([True, False, True])], attempts.looks[:1]])) == 3


@pytest.mark.parametrize("name", ["clean", "eye-boxes", "jaw-box", "fgsm"])
def test_nothing_to_attack_is_refused(name):
    none = dataclasses.replace(trials(1), clip=np.zeros(0, np.int64), sticker=np.zeros(0, np.int64), faces=[])
    access = ATTACKS[name].access
    oracle = Oracle(asked(), [0], access=access, budget=2)
    with pytest.raises(ValueError, match="at least one trial"):
        ATTACKS[name](oracle, none, ATTACKS[name].settings())
