"""Every search on the shelf: budgets, counts, reproducibility, and weak spots that are known beforehand."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_recognisers import SIZE, STICKER, Toy, bumps, trials

from austicker import regions
from austicker.attacks import ATTACKS
from austicker.attacks import random as random_search
from austicker.attacks.lockstep import Attempts, walk_all
from austicker.attacks.looks import looks_at
from austicker.attacks.oracle import Oracle
from austicker.attacks.search import Search
from austicker.attacks.sticker import Settings as StickerSettings
from austicker.attacks.trials import Trials
from austicker.faces.alignment import template_points
from austicker.placements.random import outline
from austicker.types import AustickerError

SEARCHES = [name for name in ATTACKS.names() if isinstance(ATTACKS[name], Search)]
SMALL = (28, 32)
VARIANTS = [(name, {}) for name in SEARCHES] + [
    ("dopatch", {"optimiser": "random"}),
    ("dopatch", {"optimiser": "bayesian"}),
    ("dopatch", {"components": 4}),
]
NAMED = [pytest.param(name, given, id=" ".join([name, *map(str, given.values())])) for name, given in VARIANTS]
EVERY = pytest.mark.parametrize(("name", "given"), NAMED)


def searched(name: str, toy: Toy, these: Trials, budget: int, **given: object) -> tuple[Attempts, Oracle]:
    """Searches within a budget, as the settings' `within` shrinks it."""
    attack = ATTACKS[name]
    oracle = toy.oracle(access=attack.access, budget=budget)
    return attack(oracle, these, attack.settings(**given).within(budget)), oracle


def told(attempts: Attempts, oracle: Oracle) -> dict[str, list[np.ndarray]]:
    """Everything that a search leaves, by trial."""
    looks, ledger, count = attempts.looks, oracle.ledger, len(attempts.at)
    columns = {item.name: getattr(looks, item.name) for item in dataclasses.fields(looks)}
    columns |= {item.name: getattr(ledger, item.name) for item in dataclasses.fields(ledger)}
    left = {name: list(values) for name, values in columns.items() if values is not None}
    records = [np.stack(oracle.record(trial)) for trial in range(count)]
    return left | {"at": list(attempts.at), "record": records}


def spots(count: int, seed: int = 0) -> np.ndarray:
    """Places on the cheeks, where a whole sticker lies on the skin, as RHDE demands of its places."""
    rng = np.random.default_rng(seed)
    points = template_points(SIZE)
    cheeks = np.array([(points[2] + points[31]) / 2, (points[14] + points[35]) / 2])
    return cheeks[rng.integers(2, size=count)] + rng.uniform(-0.04, 0.04, (count, 2))


@EVERY
@settings(max_examples=6, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.booleans())
def test_no_search_exceeds_its_budget_by_one_image(name, given, budget, shrunk, remembers):
    toy, two = bumps(np.full((2, 2), 0.3), size=SMALL), trials(2, size=SMALL)
    before = two.frames.clone()
    attack = ATTACKS[name]
    oracle = toy.oracle(access=attack.access, budget=budget, remembers=remembers)
    attempts = attack(oracle, two, attack.settings(**given).within(shrunk))
    shown, different = toy.counts
    ledger = oracle.ledger
    assert max(shown) <= ledger.queries.max() <= budget
    assert (ledger.unique + ledger.repeated).tolist() == shown
    assert ledger.unique.tolist() == different
    assert torch.equal(two.frames, before)
    assert ((attempts.at >= 1) & (attempts.at <= ledger.queries)).all()
    hidden = ledger.success_at > 0
    if name == "filters":
        return  # of its pictures the best counts and not the first, as its own tests say
    np.testing.assert_array_equal(attempts.at[hidden], ledger.success_at[hidden])
    for trial in range(2):  # a toy tells its trials apart by the frame that gets no sticker: it must have stayed clean
        labels, scores = oracle.record(trial)
        row = attempts.at[trial] - 1
        assert labels[row] != 0 if hidden[trial] else scores[row] == scores.min()


@EVERY
def test_settings_within_a_budget_shrink_and_keep_their_kind(name, given):
    full = ATTACKS[name].settings(**given)
    for budget in (60, 300, full.queries, full.queries + 1, 10**6):
        smaller = full.within(budget)
        assert type(smaller) is type(full)
        # RHDE does not know how many of its members it will ask for, and leaves its end to the budget.
        assert smaller.queries <= (full.queries if name == "rhde" else max(budget, 14))
        assert budget < full.queries or smaller == full


@EVERY
def test_a_search_asks_no_more_than_its_settings_say(name, given):
    toy, one = bumps(np.full((1, 2), 0.3), need=9.0, size=SMALL), trials(1, size=SMALL)
    plan = ATTACKS[name].settings(**given).within(150)
    oracle = toy.oracle(access=ATTACKS[name].access)
    ATTACKS[name](oracle, one, plan)
    assert not oracle.succeeded.any()
    assert 0 < oracle.ledger.queries[0] <= plan.queries


@EVERY
def test_neither_the_batch_nor_the_faces_beside_it_nor_a_second_run_change_a_search(name, given):
    def run(batch: int, rows: list[int]) -> dict[str, list[np.ndarray]]:
        toy, all_three = bumps(spots(3), width=3, size=SMALL), trials(3, batch=batch, size=SMALL)
        these = dataclasses.replace(
            all_three,
            clip=all_three.clip[rows],
            sticker=all_three.sticker[rows],
            shown=all_three.shown[rows],
            faces=[all_three.faces[row] for row in rows],
        )
        attack = ATTACKS[name]
        oracle = Oracle(toy.oracle(access=attack.access)._asked, [0] * len(rows), access=attack.access, budget=60)
        return told(attack(oracle, these, attack.settings(**given).within(60)), oracle)

    together = run(64, [0, 1, 2])
    for other in (run(7, [0, 1, 2]), run(64, [0, 1, 2])):
        for key, values in together.items():
            np.testing.assert_equal(other[key], values, err_msg=key)
    for row in range(3):
        alone = run(1, [row])
        for key, values in together.items():
            np.testing.assert_equal(alone[key][0], values[row], err_msg=key)


@pytest.mark.parametrize(
    ("name", "given", "budget"),
    [("rhde", {}, 1500), ("dopatch", {}, 600), ("dopatch", {"optimiser": "bayesian"}, 300)],
)
def test_a_search_finds_a_spot_that_random_places_miss_in_as_many_queries(name, given, budget):
    count = 8
    toy, chance = bumps(spots(count), need=0.9985), bumps(spots(count), need=0.9985)
    attempts, oracle = searched(name, toy, trials(count), budget, **given)
    _, beside = searched("random", chance, trials(count), int(oracle.ledger.queries.max()))
    assert oracle.succeeded.sum() >= count - 1
    assert beside.succeeded.sum() <= count // 4
    apart = np.abs(attempts.looks.centres[:, 0] - spots(count)) * SIZE
    assert apart[oracle.succeeded].max() < 2


def test_a_unified_patch_grows_over_a_spot_that_no_sticker_covers():
    count, budget = 4, 900
    weights = np.zeros((count, SIZE[1], SIZE[0]))
    middle = np.array(SIZE) // 2
    reach = round(0.75 * STICKER[0])  # from the middle to either side: further than half a sticker
    weights[:, middle[1] - 3 : middle[1] + 3, middle[0] - reach : middle[0] + reach] = 1
    need = np.full(count, 6 * (STICKER[0] + 3.0))
    _, oracle = searched("unified", Toy(weights, need), trials(count), budget)
    _, beside = searched("random", Toy(weights, need), trials(count), budget)
    assert oracle.succeeded.all()
    assert not beside.succeeded.any()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_fixed_region_beats_exhaustive(seed):
    rng = np.random.default_rng(seed)
    weights = rng.random((3, SMALL[1], SMALL[0])) ** 8
    toy = Toy(weights, weights.sum((1, 2)) * rng.uniform(0.04, 0.12, 3))
    attempts, oracle = searched("exhaustive", toy, trials(3, size=SMALL), 14)
    faces = trials(3, size=SMALL).faces
    hidden, lowest = np.zeros(3, bool), np.full(3, np.inf)
    for region in range(len(regions.NAMES)):
        centres = [regions.boxes(face.landmarks[None], aspect=face.aspect)[0, region, :2] for face in faces]
        fixed = toy.oracle(access="label", budget=1)
        ATTACKS["sticker"](
            fixed, dataclasses.replace(trials(3, size=SMALL), looks=looks_at(np.array(centres))), StickerSettings()
        )
        hidden |= fixed.succeeded
        lowest = np.minimum(lowest, [fixed.record(trial)[1][0] for trial in range(3)])
    np.testing.assert_array_equal(oracle.succeeded, hidden)
    kept = [oracle.record(trial)[1][attempts.at[trial] - 1] for trial in range(3)]
    np.testing.assert_array_equal(np.array(kept)[~hidden], lowest[~hidden])
    assert oracle.ledger.queries.tolist() == [14] * 3


def test_the_dense_map_has_its_hollow_where_the_spot_is():
    planted = spots(3, seed=1)
    toy = bumps(planted, need=1.1)
    _, oracle = searched("dense", toy, trials(3), 400)
    assert ATTACKS["dense"].maps
    for trial, spot in enumerate(planted):
        _, scores = oracle.record(trial)
        down, across = divmod(int(scores.argmin()), 20)
        assert abs((across + 0.5) / 20 - spot[0]) <= 0.03
        assert abs((down + 0.5) / 20 - spot[1]) <= 0.03
        assert len(scores) == 400


def test_the_dense_map_goes_on_after_a_success_and_random_does_not():
    for name, asked in (("dense", 49), ("random", 20)):
        toy = bumps(np.full((1, 2), 0.5), need=1e-9)
        _, oracle = searched(name, toy, trials(1), 49)
        assert oracle.succeeded.all()
        assert oracle.ledger.queries.tolist() == [asked]


def test_random_places_are_uniform_over_the_outline_of_the_face():
    hull = outline(template_points(SIZE), aspect=SIZE[0] / SIZE[1])
    found = random_search.places(hull, 40_000, np.random.default_rng(0))
    edges = np.roll(hull, -1, axis=0) - hull
    offset = found[:, None] - hull
    side = edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0]
    assert ((side >= -1e-9).all(1) | (side <= 1e-9).all(1)).all()
    # Of a grid over the face's middle, every cell gets its share: 40,000 places by area, within five standard errors.
    area = abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(hull, np.roll(hull, -1, axis=0), strict=True))) / 2
    counts, _, _ = np.histogram2d(*found.T, bins=4, range=[[0.3, 0.7], [0.3, 0.7]])
    expected = 40_000 * 0.01 / area
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_search_may_ask_nothing_and_may_end_early():
    def walk(face, count):
        for _ in range(count):
            yield looks_at([[0.5, 0.5]])

    toy, one = bumps(np.full((1, 2), 0.2)), trials(1)
    oracle = toy.oracle(access="label")
    ended = walk_all(oracle, one, partial(walk, count=0), stops=True)
    assert (ended.at.tolist(), len(ended.looks), oracle.ledger.queries.tolist()) == ([0], 1, [0])
    oracle = toy.oracle(access="label")
    walk_all(oracle, one, partial(walk, count=3), stops=True)
    assert (oracle.ledger.unique.tolist(), oracle.ledger.cached.tolist()) == ([1], [2])


def test_the_first_success_counts_and_not_the_clearest():
    toy, one = bumps(np.full((1, 2), 0.5), need=0.8), trials(1)

    def walk(face):
        yield looks_at([[0.1, 0.1], [0.53, 0.5], [0.5, 0.5]])
        yield looks_at([[0.5, 0.51]])

    oracle = toy.oracle(access="scores")
    attempts = walk_all(oracle, one, walk, stops=False)
    _, scores = oracle.record(0)
    assert scores[1] > scores[2] == scores.min()
    assert attempts.at.tolist() == oracle.ledger.success_at.tolist() == [2]
    np.testing.assert_allclose(attempts.looks.centres[0, 0], [0.53, 0.5])
    assert oracle.ledger.queries.tolist() == [4]  # told not to stop, it went on
    with pytest.raises(ValueError, match="closed"):
        oracle.ask(one.frames, np.zeros(1, np.int64))


def test_a_walk_is_closed_whether_it_succeeds_or_its_budget_ends():
    closed = []

    def walk(face):
        try:
            while True:
                yield looks_at(face.rng.uniform(0.3, 0.7, (4, 2)))
        finally:
            closed.append(face)

    toy = Toy(np.ones((2, SIZE[1], SIZE[0])), np.array([1e-9, 1e9]))
    oracle, two = toy.oracle(access="label", budget=10), trials(2)
    walk_all(oracle, two, walk, stops=True)
    assert closed == list(two.faces)
    assert oracle.ledger.queries.tolist() == [4, 10]
    assert oracle.ledger.calls.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("random", {"draws": 0}),
        ("random", {"population": 0}),
        ("dense", {"stride": 0.0}),
        ("dense", {"stride": 1.5}),
        ("dense", {"stride": float("nan")}),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(name, given):
    with pytest.raises(AustickerError, match=r"\.$") as refusal:
        ATTACKS[name].settings(**given)
    assert "\n" not in str(refusal.value)
