"""RHDE: its mask and its rules by hand, and a weak spot that it must find sooner than chance does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from planted_walks import SIZE, driven, mean_face, steady, well

from austicker.attacks import ATTACKS, random, rhde
from austicker.attacks.evolution import partners
from austicker.attacks.face_mask import FEATURES, Skin, free_skin
from austicker.attacks.looks import Looks
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.rhde import Ground, Heard, Objective, Settings
from austicker.attacks.trials import Trials
from austicker.placements.random import outline
from austicker.stickers import composite
from austicker.types import AustickerError

SMALL = Settings(population=10, iterations=3)
NO_MASK = {"outside": 1.0}


def test_the_mask_is_the_face_without_its_features():
    face = mean_face()
    hull, points = outline(face.landmarks, aspect=face.aspect), face.landmarks.astype(np.float64)
    mask = free_skin(face.landmarks, SIZE)
    polygons = [hull, *(points[list(feature)] for feature in FEATURES)]
    for (row, column), free in np.ndenumerate(mask):
        at = (column + 0.5, row + 0.5)
        reach = [cv2.pointPolygonTest((polygon * SIZE).astype(np.float32), at, True) for polygon in polygons]
        if min(map(abs, reach)) > 1:  # a pixel's width from every edge there is no doubt
            assert free == (reach[0] > 0 and max(reach[1:]) < 0), (row, column)
    middles = {"eye": points[36:42], "mouth": points[48:60], "nose": points[31:36]}
    for name, feature in middles.items():
        column, row = np.floor(feature.mean(axis=0) * SIZE).astype(int)
        assert not mask[row - (name == "nose"), column], name
    forehead, cheek = points[[19, 24]].mean(0) - (0, 0.1), points[[2, 31]].mean(0)
    for x, y in (forehead, cheek):
        assert mask[int(y * SIZE[1]), int(x * SIZE[0])]


@pytest.mark.parametrize("sticker_px", [(5, 5), (4, 6), (7, 4), (1, 1), (2, 2)])
def test_upright_stickers_cover_the_pixels_that_are_counted(sticker_px):
    rng, size = np.random.default_rng(3), (19, 23)
    width, height = sticker_px
    free = rng.random(size[::-1]) < 0.6
    skin = Skin(free=free, sticker_px=sticker_px)
    places = np.stack([rng.integers(4, size[0] - 4, 20), rng.integers(4, size[1] - 4, 20)], axis=1)
    pictures = composite(
        torch.zeros(20, 1, 1, *size[::-1]),
        torch.ones(1, 4, height, width),
        torch.zeros(20, dtype=torch.long),
        torch.from_numpy(skin.centres(places)[:, None]),
    )
    covered = pictures[:, 0, 0].numpy() > 0
    assert (covered.sum((1, 2)) == width * height).all()
    np.testing.assert_array_equal(skin.outside(places, np.zeros(20)), (covered & ~free).sum((1, 2)))


def test_turned_stickers_and_the_rim_of_the_picture():
    free = np.ones((40, 40), np.bool_)
    free[:, 20:] = False
    skin = Skin(free=free, sticker_px=(9, 3))
    assert skin.outside(np.array([[19, 20]] * 4), np.array([0.0, 90, 180, 270])).tolist() == [4 * 3, 9, 4 * 3, 9]
    assert skin.outside(np.array([[18, 20], [18, 20]]), np.array([0.0, 90])).tolist() == [3 * 3, 0]
    assert skin.outside(np.array([[10, 0], [0, 10]]), np.zeros(2)).tolist() == [9, 4 * 3]
    leaning = Skin(free=np.pad(np.ones((20, 20), np.bool_), ((20, 0), (0, 20))), sticker_px=(15, 1))
    corner = np.array([[19, 20]])  # free: below and to the left; clockwise turns the left half upwards
    assert leaning.outside(corner, np.array([135.0])) < leaning.outside(corner, np.array([45.0]))


def test_the_roomiest_place_is_the_best_of_all():
    skin = Skin.of(mean_face(sticker_px=(28, 25)))
    everywhere = np.concatenate([skin.outside(part, np.zeros(len(part))) for part in np.array_split(skin.places(), 9)])
    assert skin.outside(skin.roomiest(), np.zeros(1)) == everywhere.min()


def heard(*scores: tuple[float, ...], labels: list[int] | None = None) -> Heard:
    values = np.array(scores)
    return Heard(labels=values.argmax(1) if labels is None else np.array(labels), scores=values)


def test_the_fitness_in_both_phases():
    answers = heard((0.6, 0.3, 0.1), (0.5, 0.1, 0.4), (0.2, 0.7, 0.1), (0, 0, 0), labels=[0, 0, 1, -1])
    untargeted = Objective(goal=0, beta=20)
    np.testing.assert_allclose(untargeted.fitness(answers), [60, 50, -99.99, 99.99])
    targeted = replace(untargeted, latter=1)
    np.testing.assert_allclose(targeted.fitness(answers), [20 * 30 / 60 + 30, 20 * 40 / 50 + 40, -99.99, 99.99])


def test_the_runner_up_of_the_best_is_locked_once_it_is_close():
    start = Objective(goal=0, beta=20)
    near = heard((0.7, 0.2, 0.1), (0.45, 0.25, 0.3))  # the second is the best: 45 % against 30 %
    assert start.locked(near, 15.01).latter == 2
    assert start.locked(near, 14.99).latter is None
    best_is_far = heard((0.5, 0.3, 0.2), (0.55, 0.45, 0.0))
    assert start.locked(best_is_far, 15).latter is None
    assert start.locked(heard((0.4, 0.5, 0.1)), 15).latter is None
    assert start.locked(heard((0.0,), labels=[-1]), 15).latter is None
    assert replace(start, latter=1).locked(near, 15).latter == 1


def test_the_first_population_is_a_latin_hypercube_over_the_skin():
    face, settings = mean_face(), Settings(**NO_MASK)
    looks = next(rhde.walk(face, settings))
    assert len(looks) == 120
    for values, low, high in ((looks.opacity, 0.8, 0.98), (looks.rotation, 0, 359)):
        assert sorted(np.floor((values - low) / (high - low) * 120)) == list(range(120))
    skin = Skin.of(mean_face())
    known = {tuple(centre) for centre in skin.centres(skin.places())}
    assert {tuple(centre) for centre in looks.centres[:, 0]} <= known


def test_only_valid_members_are_shown():
    face = mean_face(sticker_px=(20, 22))
    told = driven(rhde.walk(face, Settings(iterations=4)), steady)
    skin = Skin.of(face)
    assert 0 < len(told.rounds[0]) < 60  # a fifth of the width has room on a seventh of the skin
    for looks in told.rounds:
        places = np.rint(looks.centres[:, 0] * SIZE - 1).astype(int)
        assert (skin.outside(places, looks.rotation) <= 20 * 22 * 15 / 992).all()


def test_a_tight_face_is_asked_at_its_roomiest_place_and_a_hopeless_one_is_asked_nothing():
    tight = mean_face(sticker_px=(29, 33))
    looks = next(rhde.walk(tight, Settings(population=5)))
    assert len(looks) == 1
    assert looks.rotation.tolist() == [0]
    plain = Settings(population=5, neighbourly=0.0)
    told = driven(rhde.walk(replace(tight, rng=np.random.default_rng(0)), plain), steady)
    assert 0 < len(told.rounds) < 30  # generations without a valid member ask nothing at all
    assert all(len(looks) for looks in told.rounds)
    assert next(rhde.walk(mean_face(sticker_px=(60, 60)), Settings()), None) is None


def ground(seed: int = 0) -> Ground:
    return Ground.of(mean_face(seed), Settings(**NO_MASK))


def member(here: Ground, place: tuple[int, int], opacity: float = 0.5) -> np.ndarray:
    return np.array([(here.number[place] + 0.5) / len(here.pixels), opacity, 0.25])


def places_of(here: Ground, genes: np.ndarray) -> list[tuple[int, int]]:
    return [tuple(here.pixels[int(gene * len(here.pixels))].tolist()) for gene in genes[:, 0]]


CHEEK = (18, 60)


def test_an_unvisited_member_has_its_8_neighbour_pixels_and_stays_as_it_is_otherwise():
    here = ground()
    found = here.neighbours(member(here, CHEEK))
    assert set(places_of(here, found)) == {
        (CHEEK[0] + x, CHEEK[1] + y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y
    }
    assert (found[:, 1] == 0.5).all()
    assert (found[:, 2] == 0.25).all()


def test_a_visited_neighbour_jumps_to_the_next_ring_or_has_its_opacity_drawn_anew():
    jumped = redrawn = 0
    for seed in range(30):
        here = ground(seed)
        here.neighbours(member(here, CHEEK))
        found = here.neighbours(member(here, CHEEK))
        for (column, row), opacity in zip(places_of(here, found), found[:, 1], strict=True):
            ring = max(abs(column - CHEEK[0]), abs(row - CHEEK[1]))
            assert (ring, opacity == 0.5) in {(2, True), (1, False)}
            jumped, redrawn = jumped + (ring == 2), redrawn + (ring == 1)
    assert jumped + redrawn == 240
    assert abs(jumped - 120) < 5 * np.sqrt(240 / 4)
    assert len(here.neighbours(member(here, CHEEK, opacity=0.75))) == 8  # another opacity was not here yet


def test_neighbours_beside_the_skin_are_left_out():
    here = ground()
    place = next(p for p in here.number if (p[0] - 1, p[1]) not in here.number)
    assert len(here.neighbours(member(here, place))) < 8


def test_the_best_fifth_moves_to_its_best_neighbour_and_the_rest_is_best_1():
    spot = np.array([0.2, 0.55])
    truth = partial(well, spot=spot, radius=0.0)
    told = driven(rhde.walk(mean_face(), Settings(iterations=1, **NO_MASK)), truth)
    first, around, second = told.rounds
    assert (len(first), len(second)) == (120, 120)
    order = np.argsort(told.answers[0].scores[:, 0], kind="stable")[:24]
    places, beside, moved = (np.rint(looks.centres[:, 0] * SIZE).astype(int) for looks in (first, around, second))
    assert len(around) <= 24 * 8
    distance = np.hypot(*(around.centres[:, 0] - spot).T)
    for row, rank in enumerate(order):
        asked = np.flatnonzero(
            (np.abs(beside - places[rank]).max(axis=1) == 1) & (around.opacity == first.opacity[rank])
        )
        best = asked[distance[asked].argmin()]
        np.testing.assert_array_equal(moved[row], beside[best])
    assert (second.opacity >= 0.8).all()
    assert (second.opacity <= 0.98).all()


def test_best_1_is_the_best_and_a_dithered_difference():
    here, rng = ground(), np.random.default_rng(1)
    genes = 0.5 + 0.01 * rng.random((9, 3))  # so close together that no gene leaves its range
    ways = here.mutated(genes) - genes[0]
    weights = set()
    for row, way in enumerate(ways):
        fits = [
            way[0] / difference[0]
            for one in range(9)
            for other in range(9)
            if len({row, one, other}) == 3
            and np.allclose(np.cross(way, difference := genes[one] - genes[other]), 0, atol=1e-12)
            and way @ difference > 0
        ]
        assert len(fits) == 1
        weights.add(round(fits[0], 6))
    assert len(weights) == 1  # one for the whole generation
    assert 0.5 <= weights.pop() <= 1


def test_genes_out_of_range_are_drawn_anew():
    here = ground()
    trials = np.concatenate([here.mutated(np.eye(3)[np.arange(6) % 3]) for _ in range(20)])
    assert (trials >= 0).all()
    assert (trials <= 1).all()
    assert (
        np.isin(trials, (0, 1)).mean() < 0.6
    )  # half of the genes do not move; clipping would leave the rest at 0 or 1


@checks(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 20), st.integers(1, 3))
def test_partners_are_others_and_different(seed, members, count):
    found = partners(np.random.default_rng(seed), members, count)
    assert found.shape == (members, count)
    for row, others in enumerate(found.tolist()):
        assert len({row, *others}) == count + 1
        assert set(others) <= set(range(members))


def test_a_better_member_replaces_its_own_ancestor_only():
    spot = np.array([0.2, 0.55])
    told = driven(rhde.walk(mean_face(5), Settings(**NO_MASK, iterations=20)), partial(well, spot=spot, radius=0.0))
    best = [answers.scores[:, 0].min() for answers in told.answers]
    populations = [best[0], *best[2::2]]
    assert populations[-1] == min(best) < populations[0]  # the neighbours' best was kept, and moved on


def test_after_a_close_runner_up_a_lower_score_alone_is_no_gain():
    rounds = []
    told = {(2, 5): (0.45, 0.35, 0.2), (4, 7): (0.3, 0.02, 0.15)}  # generation 1 locks class 1; generation 2 ignores it

    def scores(looks: Looks) -> np.ndarray:
        rounds.append(looks)
        rows = [told.get((len(rounds) - 1, row), (0.9, 0.05, 0.05)) for row in range(len(looks))]
        return np.array(rows)

    driven(rhde.walk(mean_face(2), Settings(population=10, iterations=3, neighbourly=0.1, **NO_MASK)), scores)
    centres = [looks.centres[:, 0] * SIZE for looks in rounds]
    assert np.abs(centres[3] - centres[2][5]).max() <= 2.01
    assert np.abs(centres[5] - centres[2][5]).max() <= 2.01 < np.abs(centres[5] - centres[4][7]).max()


def test_it_finds_a_weak_spot_that_chance_misses():
    skin = Skin.of(mean_face())
    places = skin.places()
    roomy = places[skin.outside(places, np.full(len(places), 45.0)) == 0]
    hits = {"rhde": 0, "random": 0}
    for seed in range(24):
        spot = skin.centres(np.random.default_rng(1000 + seed).choice(roomy, 1))[0]
        truth = partial(well, spot=spot, radius=0.008)
        hits["rhde"] += driven(rhde.walk(mean_face(seed), Settings().within(800)), truth, budget=800).won > 0
        chance = random.walk(mean_face(seed), random.Settings(draws=800, population=800))
        hits["random"] += driven(chance, truth, budget=800).won > 0
    assert hits["rhde"] >= 20
    assert hits["rhde"] >= hits["random"] + 9  # were both alike, less than once in a hundred


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_any_number_of_classes_and_never_more_than_it_says(classes):
    label = classes - 1
    truth = partial(well, spot=np.array([0.2, 0.55]), radius=0.0, classes=classes, label=label)
    runs = [driven(rhde.walk(mean_face(7, label=label), SMALL), truth, label=label) for _ in range(2)]
    assert 10 < runs[0].asked <= SMALL.queries == 10 + 3 * (10 + 8 * 2)
    for one, other in zip(runs[0].rounds, runs[1].rounds, strict=True):
        for name in ("centres", "rotation", "opacity"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_published_numbers():
    assert Settings().queries == 120 + 30 * (120 + 8 * 24)
    assert driven(rhde.walk(mean_face(), Settings(**NO_MASK, iterations=2)), steady).asked <= 120 + 2 * 312


@checks(max_examples=60, deadline=None)
@given(st.integers(1, 12000), st.integers(5, 150), st.integers(1, 40))
def test_a_smaller_search_has_fewer_members_and_as_many_iterations(budget, population, iterations):
    whole = Settings(population=population, iterations=iterations)
    part = whole.within(budget)
    assert 5 <= part.population <= population
    assert replace(part, population=population) == whole
    if budget >= whole.queries:
        assert part == whole
    elif population > 5:
        assert part.population < population


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 4},
        {"iterations": 0},
        {"lowest_opacity": 0.0},
        {"highest_opacity": 0.7},
        {"neighbourly": 1.5},
        {"outside": float("nan")},
        {"gap": -1.0},
        {"beta": float("inf")},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(AustickerError, match=r"^An? RHDE|^RHDE's .*\.$"):
        Settings(**wrong)


def test_on_pictures_it_hides_what_a_small_patch_of_pixels_tells():
    row, column = 60, 18  # of the mean face's cheek

    def scores(frames: torch.Tensor) -> torch.Tensor:
        light = frames[:, :, 0, row - 1 : row + 2, column - 1 : column + 2].mean((1, 2, 3)) / 255
        return torch.stack([1 - light, light], 1)

    faces = [mean_face(seed) for seed in range(3)]
    trials = Trials(
        frames=torch.full((1, 2, 1, *SIZE[::-1]), 40, dtype=torch.uint8),
        clip=np.zeros(3, np.int64),
        stickers=torch.cat([torch.full((1, 3, 10, 10), 255.0), torch.ones(1, 1, 10, 10)], 1),
        sticker=np.zeros(3, np.int64),
        shown=np.ones((3, 2), np.bool_),
        apex=np.ones(1, np.int64),
        faces=faces,
    )
    oracle = Oracle(Asked(name="cheek", scores=scores), [0, 0, 0], access="scores", budget=2000)
    attempts = ATTACKS["rhde"](oracle, trials, Settings())
    assert oracle.succeeded.all()
    assert (np.abs(attempts.looks.centres[:, 0] * SIZE - (column + 0.5, row + 0.5)) <= 8).all()
    assert (oracle.ledger.queries <= 2000).all()
