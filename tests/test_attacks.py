"""Attacks: the oracle's count against an independent one, its budget, and the sticker attack against planted scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from austicker.attacks import ATTACKS
from austicker.attacks.oracle import BudgetExceeded, Oracle
from austicker.attacks.sticker import attack
from austicker.attacks.trials import Trials


def brightness(frames: torch.Tensor) -> torch.Tensor:
    """A recogniser of two classes whose scores are sums of pixels."""
    return torch.stack([frames.sum((1, 2, 3, 4)), frames[:, 0].sum((1, 2, 3))], 1)


class Counting:
    """Counts what truly reaches the recogniser; the first pixel of each clip says whose it is."""

    def __init__(self, trials: int) -> None:
        self.shown = np.zeros(trials, np.int64)

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        for clip in frames:
            self.shown[int(clip.flatten()[0])] += 1
        return brightness(frames)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(0, 4))
def test_the_oracle_counts_what_is_shown_and_never_exceeds_the_budget(data, trials, budget):
    truth = Counting(trials)
    oracle = Oracle(truth, trials=trials, budget=budget)
    questions = st.lists(st.lists(st.integers(0, trials - 1), max_size=4), max_size=8)
    for owners in data.draw(questions):
        frames = torch.tensor(owners, dtype=torch.float32).view(-1, 1, 1, 1, 1).expand(-1, 2, 1, 1, 1)
        before = truth.shown.copy()
        fits = (before + np.bincount(owners or [0], minlength=trials) * bool(owners) <= budget).all()
        if fits:
            assert oracle.ask(frames, torch.tensor(owners, dtype=torch.long)).shape == (len(owners), 2)
        else:
            with pytest.raises(BudgetExceeded):
                oracle.ask(frames, torch.tensor(owners, dtype=torch.long))
            np.testing.assert_array_equal(truth.shown, before)
        np.testing.assert_array_equal(oracle.queries, truth.shown)
        assert truth.shown.max() <= budget


@pytest.mark.parametrize("owners", [[0], [0, 2], [-1, 0]])
def test_clips_without_a_true_owner_are_refused_unseen(owners):
    truth = Counting(2)
    oracle = Oracle(truth, trials=2, budget=9)
    with pytest.raises(ValueError, match="owners"):
        oracle.ask(torch.zeros(2, 1, 1, 1, 1), torch.tensor(owners))
    assert not truth.shown.any()
    assert not oracle.queries.any()


def test_an_attack_cannot_change_the_count_or_take_gradients():
    oracle = Oracle(brightness, trials=1, budget=2)
    answer = oracle.ask(torch.ones(1, 1, 1, 2, 2, requires_grad=True), torch.tensor([0]))
    assert not answer.requires_grad
    oracle.queries[:] = 0
    assert oracle.queries.tolist() == [1]


def shard() -> Trials:
    """Six trials: two dark clips by three stickers of 2x2 opaque pixels with values 10, 20 and 30."""
    stickers = torch.tensor([10.0, 20.0, 30.0]).view(3, 1, 1, 1).expand(3, 4, 2, 2).clone()
    stickers[:, 3] = 1
    return Trials(
        frames=torch.tensor([0, 100], dtype=torch.uint8).view(2, 1, 1, 1, 1).expand(2, 3, 1, 6, 6).contiguous(),
        clip=torch.tensor([0, 0, 0, 1, 1, 1]),
        stickers=stickers,
        sticker=torch.tensor([0, 1, 2, 0, 1, 2]),
        centres=torch.full((6, 3, 2), 0.5),
        shown=torch.ones(6, 3, dtype=torch.bool),
    )


@pytest.mark.parametrize("batch", [1, 4, 6, 100])
def test_the_sticker_attack_asks_once_for_each_trial_and_returns_the_scores_in_order(batch):
    sizes = []

    def scores(frames: torch.Tensor) -> torch.Tensor:
        sizes.append(len(frames))
        return brightness(frames)

    trials, oracle = shard(), Oracle(scores, trials=6, budget=1)
    answers = ATTACKS["sticker"](oracle, trials, batch=batch)
    dark = [3 * 4 * value for value in (10, 20, 30)]
    bright = [3 * (32 * 100 + 4 * value) for value in (10, 20, 30)]
    np.testing.assert_allclose(answers[:, 0], dark + bright, rtol=1e-6)
    assert oracle.queries.tolist() == [1] * 6
    assert max(sizes) <= batch
    assert sum(sizes) == 6


def test_frames_that_are_not_shown_stay_clean_and_the_input_is_not_changed():
    trials = shard()
    hidden = torch.tensor([False, True, True]).expand(6, 3)
    kept = trials.frames.clone()
    answers = attack(Oracle(brightness, trials=6, budget=1), dataclasses.replace(trials, shown=hidden), batch=6)
    np.testing.assert_allclose(answers[:, 1], [0, 0, 0, 3600, 3600, 3600])
    np.testing.assert_allclose(answers[:3, 0], [80, 160, 240], rtol=1e-6)
    assert torch.equal(trials.frames, kept)


def test_without_a_budget_nothing_is_asked():
    oracle = Oracle(brightness, trials=6, budget=0)
    with pytest.raises(BudgetExceeded):
        attack(oracle, shard(), batch=2)
    assert not oracle.queries.any()


def test_an_empty_shard_is_refused():
    none = torch.zeros(0, dtype=torch.long)
    empty = dataclasses.replace(shard(), clip=none, sticker=none)
    with pytest.raises(ValueError, match="at least one trial"):
        attack(Oracle(brightness, trials=0, budget=1), empty, batch=2)
