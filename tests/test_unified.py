"""The unified patch: its outline and its rules by hand, and a weakness that only a shape can cover."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from planted_walks import SIZE, driven, mean_face, steady

from austicker.attacks import ATTACKS, random, unified
from austicker.attacks.looks import Looks
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.trials import Trials
from austicker.attacks.unified import CORNERS, POINTS, Limits, Settings, centroids, score_aware, splines
from austicker.placements.random import outline
from austicker.types import AustickerError

STICKER_PX = (20, 22)
SMALL = Settings(population=6, generations=5)


def limits(**settings: object) -> Limits:
    return Limits.of(mean_face(sticker_px=STICKER_PX), Settings(**settings))


def circle(count: int, radius: float, centre: tuple[float, float] = (0, 0)) -> np.ndarray:
    angle = 2 * np.pi * (np.arange(count) + 0.5) / count
    return centre + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def pyramid(four: np.ndarray, along: float) -> np.ndarray:
    """One place on a Catmull-Rom piece between the second and the third of four points, by repeated interpolation."""
    knots = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(four, axis=0).T))])
    at, level = knots[1] + along * (knots[2] - knots[1]), list(four)
    for reach, spans in ((1, (0, 1, 2)), (2, (0, 1)), (1, (1,))):
        starts = [(knots[i], knots[i + reach]) for i in spans]
        level = [((b - at) * level[i] + (at - a) * level[i + 1]) / (b - a) for i, (a, b) in enumerate(starts)]
    return level[0]


def test_the_spline_is_the_closed_catmull_rom_of_the_paper():
    patch = circle(POINTS, 1.0) * np.random.default_rng(2).uniform(0.4, 2, (POINTS, 1))
    corners = splines(patch[None])[0].reshape(POINTS, CORNERS, 2)
    np.testing.assert_allclose(corners[:, 0], patch)
    for piece in range(POINTS):
        four = patch[[piece - 1, piece, (piece + 1) % POINTS, (piece + 2) % POINTS]]
        for corner in range(CORNERS):
            np.testing.assert_allclose(corners[piece, corner], pyramid(four, corner / CORNERS), atol=1e-12)


def test_centroids_are_those_of_areas():
    shape = np.array([(0.0, 0), (6, 0), (6, 1), (1, 1), (1, 6), (0, 6)])  # an L of areas 6 and 5
    along = (6 * 3 + 5 * 0.5) / 11
    np.testing.assert_allclose(centroids(np.stack([shape, shape[::-1] - 40])), [[along, along], [along - 40] * 2])


def test_a_patch_starts_as_large_as_the_sticker_around_its_centre():
    here = limits(centre="region/chin")
    patches = here.start(np.random.default_rng(0), 400)
    jitter = (patches - circle(POINTS, 15 * np.cos(np.pi / 12) * here.unit, here.centre)) / here.unit
    assert set(np.rint(jitter).astype(int).ravel()) == {-3, -2, -1, 0, 1, 2}
    np.testing.assert_allclose(jitter, np.rint(jitter), atol=1e-9)
    areas = [cv2.contourArea(corners.astype(np.float32)) for corners in splines(patches)]
    assert 0.85 < np.mean(areas) / (STICKER_PX[0] * STICKER_PX[1]) < 1


def test_the_box_is_the_face_shrunk_towards_the_centre():
    face, points = mean_face(), np.random.default_rng(4).uniform(0, SIZE, (300, POINTS, 2))
    for reach in (0.3, 1.0):
        here = limits(reach=reach)
        hull = outline(face.landmarks, aspect=face.aspect) * SIZE
        held = here.hold(points)
        for at, kept in zip(points.reshape(-1, 2), held.ravel(), strict=True):
            before = here.centre + (at - here.centre) / reach  # where the point lies on the face before it shrinks
            assert not kept or cv2.pointPolygonTest(hull.astype(np.float32), before.tolist(), False) > 0
        assert held.any()
        far = here.centre + (points - here.centre) / reach
        outside = [cv2.pointPolygonTest(hull.astype(np.float32), at.tolist(), False) < 0 for at in far.reshape(-1, 2)]
        assert np.any(outside)


def test_each_rule_keeps_a_point_from_its_new_place():
    here = limits(reach=1.0)
    patch = circle(POINTS, 12 * here.unit, here.centre)
    assert here.hold(patch[None]).all()
    moves = {
        "another sector": circle(POINTS, 12 * here.unit, here.centre)[3],
        "the opposite sector": circle(POINTS, 12 * here.unit, here.centre)[6],
        "too near": circle(POINTS, 7.99 * here.unit, here.centre)[0],
        "out of the box": circle(POINTS, 200 * here.unit, here.centre)[0],
    }
    for reason, place in moves.items():
        moved = patch.copy()
        moved[0] = place
        assert here.hold(moved[None])[0].tolist() == [False] + [True] * 11, reason
    for inside in (8.01, 14):
        moved = patch.copy()
        moved[0] = circle(POINTS, inside * here.unit, here.centre)[0]
        assert here.hold(moved[None]).all()


def test_offspring_is_rand_1_where_it_may_be_and_the_parent_elsewhere():
    here, rng = limits(), np.random.default_rng(5)
    patches = here.start(rng, 5)
    trials = unified.bred(patches, here, 0.6, rng)
    kept = moved = 0
    for row, trial in enumerate(trials):
        mutants = [
            patches[base] + 0.6 * (patches[one] - patches[other])
            for base in range(5)
            for one in range(5)
            for other in range(5)
            if len({row, base, one, other}) == 4
        ]
        points = [(trial == patches[row]).all(1) | (np.isclose(trial, m, atol=1e-12).all(1)) for m in mutants]
        (mutant,) = [m for m, fits in zip(mutants, points, strict=True) if fits.all()]
        np.testing.assert_array_equal((trial == patches[row]).all(1), ~here.hold(mutant[None])[0])
        kept, moved = kept + (~here.hold(mutant[None])).sum(), moved + here.hold(mutant[None]).sum()
    assert kept > 0 < moved


def test_the_fitness_is_that_of_the_paper_and_a_clean_score_changes_no_order():
    np.testing.assert_allclose(score_aware(np.array([0.9, 0.8, 0.7, 0.5]), 0.7, clean=0.9), np.exp([0, 1, 2, 4]))
    scores = np.random.default_rng(6).random(50)
    for clean in (0.8, 0.95):
        np.testing.assert_array_equal(np.argsort(score_aware(scores, 0.5, clean)), np.argsort(score_aware(scores, 0.5)))
        assert ((score_aware(scores, 0.5, clean) >= unified.DONE) == (scores <= 0.5)).all()


@pytest.mark.parametrize(("classes", "threshold", "ends"), [(2, None, 0.5), (4, None, 0.25), (4, 0.7, 0.7)])
def test_it_ends_at_the_threshold(classes, threshold, ends):
    settings = Settings(population=6, generations=5, threshold=threshold)
    for true, rounds in ((ends + 0.01, 5), (ends - 0.01, 1)):
        walk = unified.walk(mean_face(), settings)
        assert len(driven(walk, partial(steady, true=true, classes=classes)).rounds) == rounds


def covered(looks: Looks, weak: np.ndarray) -> np.ndarray:
    """The share of some weak pixels (h, w) that each patch, or an upright sticker of STICKER_PX, covers."""
    shares = np.empty(len(looks))
    for row in range(len(looks)):
        mask = np.zeros(SIZE[::-1], np.uint8)
        if looks.outlines is None:
            left, top = np.floor(looks.centres[row, 0] * SIZE - np.array(STICKER_PX) / 2 + 0.5).astype(int)
            mask[max(top, 0) : top + STICKER_PX[1], max(left, 0) : left + STICKER_PX[0]] = 1
        else:
            cv2.fillPoly(mask, [np.rint((looks.outlines[row] * SIZE - 0.5) * 16).astype(np.int32)], 1, shift=4)
        shares[row] = mask[weak].mean()
    return shares


def blind(looks: Looks, weak: np.ndarray) -> np.ndarray:
    """A recogniser that is mistaken once 85 % of its weak pixels are covered."""
    true = 1 - 0.5 * covered(looks, weak) / 0.85
    return np.stack([true, 1 - true], 1)


def test_it_grows_over_a_weakness_that_no_place_of_a_sticker_covers():
    hits = {"unified": 0, "random": 0}
    for seed in range(12):
        angle, centre = np.pi * seed / 12, np.array(SIZE) / 2
        ends = np.array([np.cos(angle), np.sin(angle)]) * 15
        weak = np.zeros(SIZE[::-1], np.uint8)  # a strip of 30 x 3 pixels across the middle: longer than the sticker
        cv2.line(weak, (centre - ends).astype(int).tolist(), (centre + ends).astype(int).tolist(), 1, 3)
        truth = partial(blind, weak=weak > 0)
        walk = unified.walk(mean_face(seed, sticker_px=STICKER_PX), Settings().within(1500))
        hits["unified"] += driven(walk, truth, budget=1500).won > 0
        chance = random.walk(mean_face(seed, sticker_px=STICKER_PX), random.Settings(draws=1500))
        hits["random"] += driven(chance, truth, budget=1500).won > 0
    assert hits["unified"] >= 10
    assert hits["random"] <= 2  # an upright sticker covers the strip along its diagonal at best


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_patches_of_any_number_of_classes_lie_on_the_face_and_come_again(classes):
    label = classes - 1
    face = mean_face(sticker_px=STICKER_PX)
    hull = (outline(face.landmarks, aspect=face.aspect) * SIZE).astype(np.float32)
    truth = partial(steady, classes=classes, label=label)
    runs = [
        driven(unified.walk(mean_face(3, sticker_px=STICKER_PX, label=label), SMALL), truth, label=label)
        for _ in range(2)
    ]
    assert runs[0].asked == SMALL.queries == 30
    for one, other in zip(runs[0].rounds, runs[1].rounds, strict=True):
        np.testing.assert_array_equal(one.outlines, other.outlines)
        assert one.outlines.shape == (6, POINTS * CORNERS, 2)
        for corners, centre in zip(one.outlines * SIZE, one.centres[:, 0] * SIZE, strict=True):
            assert all(cv2.pointPolygonTest(hull, at.tolist(), False) > 0 for at in corners)
            assert cv2.pointPolygonTest(corners.astype(np.float32), centre.tolist(), False) > 0


def test_the_published_number_of_queries():
    assert Settings().queries == 6000


@checks(max_examples=60, deadline=None)
@given(st.integers(1, 8000), st.integers(4, 60), st.integers(1, 300))
def test_a_smaller_search_keeps_to_its_budget_and_its_shape(budget, population, generations):
    whole = Settings(population=population, generations=generations)
    part = whole.within(budget)
    assert part.queries <= max(budget, 4)
    assert part.population <= population
    assert part.generations <= generations
    if budget >= whole.queries:
        assert part == whole
    if budget >= 50 and population >= 30 and generations >= 100:
        assert part.queries > 0.8 * min(budget, whole.queries)


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 3},
        {"generations": 0},
        {"factor": 0.0},
        {"threshold": 1.0},
        {"reach": 0.0},
        {"reach": float("nan")},
        {"centre": "causal"},
        {"centre": "region"},
        {"centre": "region/chim"},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(AustickerError, match=r"\.$"):
        Settings(**wrong)


def test_on_pictures_it_whitens_a_patch_that_is_read():
    row, column = 56, 49 + 17  # beside a patch's start around the middle

    def scores(frames: torch.Tensor) -> torch.Tensor:
        strip = frames[:, :, 0, row - 1 : row + 2, column - 12 : column + 1].mean((1, 2, 3)) / 255
        return torch.stack([1 - strip * 0.52, strip * 0.52], 1)

    trials = Trials(
        frames=torch.zeros(1, 2, 1, *SIZE[::-1], dtype=torch.uint8),
        clip=np.zeros(3, np.int64),
        stickers=torch.ones(1, 4, *STICKER_PX[::-1]),
        sticker=np.zeros(3, np.int64),
        shown=np.ones((3, 2), np.bool_),
        apex=np.ones(1, np.int64),
        faces=[mean_face(seed, sticker_px=STICKER_PX) for seed in range(3)],
    )
    oracle = Oracle(Asked(name="strip", scores=scores), [0, 0, 0], access="scores", budget=600)
    ATTACKS["unified"](oracle, trials, Settings().within(600))
    assert oracle.succeeded.all()
    assert (oracle.ledger.queries <= 600).all()
