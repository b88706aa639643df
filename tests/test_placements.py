"""Placements: every policy on a planted face, the names that a job may give, and the three frame variants."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from austicker import choices, placements, regions
from austicker.choices import RegionChoice
from austicker.placements import random
from austicker.placements.scene import ClipScene, Scene
from austicker.placements.variants import VARIANTS, track
from austicker.types import AustickerError, Placement, Point, RegionGraph

ASPECT = 112 / 128


def face() -> np.ndarray:
    """A face drawn by hand: jaw, brows, nose, eyes and mouth in the iBUG order."""
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.38 * np.cos(turn), 0.42 + 0.5 * np.sin(turn)], 1)
    brows = [(x, 0.33) for x in (*np.linspace(0.18, 0.42, 5), *np.linspace(0.58, 0.82, 5))]
    nose = [(0.5, y) for y in np.linspace(0.42, 0.58, 4)] + [(x, 0.62) for x in np.linspace(0.42, 0.58, 5)]
    eyes = [
        (centre + 0.07 * np.cos(a), 0.42 + 0.025 * np.sin(a))
        for centre in (0.32, 0.68)
        for a in np.linspace(np.pi, 3 * np.pi, 7)[:-1]
    ]
    lips = [(0.5 + 0.13 * np.cos(a), 0.75 + 0.05 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 13)[:-1]]
    inner = [(0.5 + 0.09 * np.cos(a), 0.75 + 0.02 * np.sin(a)) for a in np.linspace(np.pi, 3 * np.pi, 9)[:-1]]
    points = np.array([*jaw, *brows, *nose, *eyes, *lips, *inner], np.float32)
    assert points.shape == (68, 2)
    return points


def graph(winner: str | None) -> RegionGraph:
    directed = ((winner, "chin"),) if winner else ()
    return RegionGraph(regions=regions.NAMES, directed=directed, winner=winner)


def choice(kind: str, winner: str | None = "chin", by_class: tuple[str | None, ...] = ()) -> RegionChoice:
    return RegionChoice(kind=kind, winner=winner, by_class=by_class, scores=(), decided_by="")


CHOICES = {kind: choice(kind) for kind in (*choices.KINDS, "tuned")}
CHOICES["per-class"] = choice("per-class", None, ("glabella", None, "philtrum"))


def scene(winner: str | None = "lips", shift: tuple[float, float] = (0, 0)) -> Scene:
    landmarks = face() + np.float32(shift)
    return Scene(landmarks=landmarks, aspect=ASPECT, graph=graph(winner), choices=CHOICES, label=2)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_name_places_under_its_own_name_and_on_the_face():
    names = placements.all_names(3)
    assert len(names) == len(set(names)) == (1 + 3) + 14 + 5 + 1 + 3 + 6
    for name in names:
        placement = placements.place(name, scene(), generator())
        assert placement is not None
        assert placement.name == name
        assert 0 < placement.centre.x < 1
        assert 0 < placement.centre.y < 1


def test_causal_takes_the_winner_of_the_graph():
    placement = placements.place("causal", scene("cheek-right"), generator())
    assert placement is not None
    assert placement.region == "cheek-right"
    assert placement.centre == regions.locate(face(), aspect=ASPECT)["cheek-right"].centre


def test_a_graph_without_a_winner_has_no_placement_and_no_substitute():
    assert placements.place("causal", scene(None), generator()) is None
    clip = ClipScene(landmarks=np.stack([face()] * 3), aspect=ASPECT, apex=1, graph=graph(None))
    assert all(track("causal", variant, clip, generator()) is None for variant in VARIANTS)


def test_causal_without_a_graph_is_refused():
    with pytest.raises(AustickerError, match="needs a causal graph"):
        placements.place("causal", Scene(landmarks=face(), aspect=ASPECT), generator())


def test_every_choice_has_its_placement_and_goes_where_it_says():
    assert {kind for name in placements.all_names() for kind in placements.needs(name)} == {"graph", *CHOICES}
    for number, kind in enumerate(CHOICES):
        name = f"causal/{kind}" if kind in ("stable", "per-class", "per-subject") else f"control/{kind}"
        made = choice(kind, regions.NAMES[number], (regions.NAMES[number],))
        here = Scene(landmarks=face(), aspect=ASPECT, choices={kind: made}, label=0)
        assert placements.place(name, here, generator()).region == regions.NAMES[number]


def test_per_class_goes_where_the_class_of_the_clip_says():
    def at(label: int | None) -> Placement | None:
        here = Scene(landmarks=face(), aspect=ASPECT, choices=CHOICES, label=label)
        return placements.place("causal/per-class", here, generator())

    assert (at(0).region, at(1), at(2).region) == ("glabella", None, "philtrum")
    for unknown in (None, 3, -1):
        with pytest.raises(AustickerError, match="needs the class of a clip"):
            at(unknown)


@pytest.mark.parametrize("name", placements.all_names())
def test_a_placement_needs_what_it_says_and_nothing_else(name):
    bare = Scene(landmarks=face(), aspect=ASPECT, label=2)
    needs = placements.needs(name)
    given = Scene(
        landmarks=face(),
        aspect=ASPECT,
        graph=graph("lips") if "graph" in needs else None,
        choices={kind: CHOICES[kind] for kind in needs if kind != "graph"},
        label=2,
    )
    assert placements.place(name, given, generator()) == placements.place(name, scene(), generator())
    if needs:
        with pytest.raises(AustickerError, match=r"needs .*fold"):
            placements.place(name, bare, generator())


def test_a_choice_without_a_winner_has_no_placement():
    silent = {kind: choice(kind, None, (None,)) for kind in CHOICES}
    here = Scene(landmarks=face(), aspect=ASPECT, choices=silent, label=0)
    names = [name for name in placements.all_names() if placements.needs(name) not in ((), ("graph",))]
    assert len(names) == 8
    assert [placements.place(name, here, generator()) for name in names] == [None] * 8


def test_a_random_region_is_each_of_the_fourteen_alike():
    rng, here = generator(3), scene()
    drawn = [placements.place("control/random-region", here, rng).region for _ in range(1400)]
    counts = np.array([drawn.count(name) for name in regions.NAMES])
    assert counts.sum() == 1400
    assert np.abs(counts - 100).max() < 5 * np.sqrt(100)


def test_regions_and_positions_follow_the_landmarks_and_the_centre_does_not():
    moved = np.array([0.03, -0.02])
    for name in ("region/philtrum", *regions.POSITIONS, "centre"):
        before = placements.place(name, scene(), generator())
        after = placements.place(name, scene(shift=tuple(moved)), generator())
        difference = [after.centre.x - before.centre.x, after.centre.y - before.centre.y]
        np.testing.assert_allclose(difference, 0 if name == "centre" else moved, atol=1e-6)


def test_positions_lie_where_their_names_say():
    at = {name: placements.place(name, scene(), generator()).centre for name in regions.POSITIONS}
    assert at["forehead"].y < face()[17:27, 1].min() < at["between-eyes"].y < at["left-cheek"].y < at["chin"].y
    assert at["left-cheek"].x < at["between-eyes"].x < at["right-cheek"].x


@pytest.mark.parametrize("argument", ["chinn", ""])
def test_policies_refuse_arguments_they_do_not_know(argument):
    for policy in ("region", "position", "causal", "control", "centre"):
        with pytest.raises(AustickerError, match=r"\.$"):
            placements.place(f"{policy}/{argument}", scene(), generator())


def inside(point: Point, hull: np.ndarray) -> float:
    return cv2.pointPolygonTest(hull.astype(np.float32), (point.x, point.y), True)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_random_is_on_the_face_in_the_picture_and_reproducible(seed, dx, dy):
    here = scene(shift=(dx, dy))
    placement = placements.place("random/1", here, generator(seed))
    assert placement == placements.place("random/1", here, generator(seed))
    assert inside(placement.centre, random.outline(here.landmarks, aspect=ASPECT)) >= -1e-6
    assert 0 <= placement.centre.x <= 1
    assert 0 <= placement.centre.y <= 1


def test_the_outline_holds_every_landmark_and_a_forehead():
    hull = random.outline(face(), aspect=ASPECT)
    assert all(inside(Point(x=float(x), y=float(y)), hull) >= -1e-6 for x, y in face())
    brow_line, chin = 0.33, 0.92
    assert hull[:, 1].min() == pytest.approx(max(0, brow_line - 0.5 * (chin - brow_line)), abs=1e-5)


def test_random_is_uniform_over_the_outline():
    rng, here = generator(5), scene()
    drawn = np.array([(p.centre.x, p.centre.y) for p in (random.place("1", here, rng) for _ in range(4000))])
    hull = random.outline(here.landmarks, aspect=ASPECT).astype(np.float32)
    grid = rng.random((40000, 2)).astype(np.float32)
    kept = grid[[cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in grid]]
    for share in (0.2, 0.4, 0.6, 0.8):  # the rejection sampler is the twin; 4 standard errors of the smaller sample
        edge = np.quantile(kept, share, axis=0)
        np.testing.assert_allclose((drawn < edge).mean(axis=0), share, atol=4 * np.sqrt(share * (1 - share) / 4000))


def test_draws_of_one_generator_differ():
    rng = generator()
    assert placements.place("random/1", scene(), rng) != placements.place("random/1", scene(), rng)


@pytest.mark.parametrize("landmarks", [np.full((68, 2), 0.5), np.full((68, 2), np.nan)])
def test_landmarks_of_no_face_are_refused(landmarks):
    broken = Scene(landmarks=landmarks.astype(np.float32), aspect=1.0)
    with pytest.raises(AustickerError, match="check the corpus' landmarks"):
        placements.place("random/1", broken, generator())


def test_a_centre_that_is_no_number_is_refused():
    broken = Scene(landmarks=np.full((68, 2), np.nan, np.float32), aspect=1.0)
    with pytest.raises(AustickerError, match="no finite centre"):
        placements.place("chin", broken, generator())


def test_patterns_expand_once_and_in_order():
    assert placements.expand(["random"], 2) == ("random/1", "random/2")
    assert placements.expand(["positions", "chin"], 1) == regions.POSITIONS
    assert placements.expand(["region/*"], 1) == placements.expand(["region"], 1)
    assert placements.expand(["region/cheek-*", "causal"], 1) == ("region/cheek-left", "region/cheek-right", "causal")
    assert placements.expand(["*"], 2) == placements.all_names(2)
    assert placements.expand(["causal/*"], 1) == ("causal/stable", "causal/per-class", "causal/per-subject")
    controls = ("permuted", "blank", "correlation", "motion", "tuned", "random-region")
    assert placements.expand(["control/*"], 1) == tuple(f"control/{name}" for name in controls)
    assert placements.expand(["random/7"], 1) == ("random/7",)


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("causl", "causal"),
        ("region/chim", "region/chin"),
        ("position/forehead", "forehead"),
        ("cheek-left", "region/cheek-left"),
        ("random/0", "random/1"),
        ("region/nose*", "region/"),
        ("causal/stabel", "causal/stable"),
        ("control/motoin", "control/motion"),
        ("control/none-of-them", "control/"),
        ("zzz", "known: causal, control, region"),
    ],
)
def test_unknown_patterns_are_answered_with_the_nearest_name(pattern, nearest):
    with pytest.raises(AustickerError, match="Unknown placement") as refusal:
        placements.expand([pattern], 1)
    assert nearest in str(refusal.value)


def corner(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement | None:
    """A policy as another package would bring it."""
    return None if argument == "never" else Placement(name="anything", region=None, centre=Point(x=0.0, y=0.0))


def test_a_policy_of_another_package_takes_part(monkeypatch):
    monkeypatch.setitem(placements.PLACEMENTS._addresses, "corner", f"{__name__}:corner")
    assert placements.expand(["corner/top", "corner"], 1) == ("corner/top", "corner")
    assert "corner" in placements.all_names()
    assert placements.place("corner/top", scene(), generator()).name == "corner/top"
    assert placements.place("corner/never", scene(), generator()) is None
    assert placements.needs("corner/top") == ("graph",)


def moving_clip() -> ClipScene:
    shifts = np.array([(0, 0), (0.02, 0.01), (0.04, 0.0)], np.float32)
    landmarks = face() * 0.7 + 0.1 + shifts[:, None]
    return ClipScene(landmarks=landmarks, aspect=ASPECT, apex=2, graph=graph("lips"), choices=CHOICES, label=2)


@pytest.mark.parametrize(
    "name", ["causal", "causal/per-class", "control/random-region", "region/chin", "forehead", "random/1"]
)
def test_variants_place_as_they_say(name):
    clip = moving_clip()
    still, moving, apex = (track(name, variant, clip, generator(3)) for variant in VARIANTS)
    onset = placements.place(name, clip.frame(0), generator(3))
    assert still.placement == moving.placement == apex.placement == onset
    np.testing.assert_allclose(still.centres, np.tile([onset.centre.x, onset.centre.y], (3, 1)), rtol=1e-6)
    np.testing.assert_allclose(moving.centres - moving.centres[0], [(0, 0), (0.02, 0.01), (0.04, 0)], atol=1e-5)
    np.testing.assert_array_equal(apex.centres, still.centres)
    assert still.shown.tolist() == moving.shown.tolist() == [True] * 3
    assert apex.shown.tolist() == [False, False, True]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_random_place_follows_small_motion_smoothly(seed):
    still = face() * 0.7 + 0.15
    jitter = np.random.default_rng(seed).normal(0, 1e-3, (4, 68, 2))
    clip = ClipScene(landmarks=(still + jitter).astype(np.float32), aspect=ASPECT, apex=0)
    centres = track("random/1", "per-frame", clip, generator(seed)).centres
    assert np.abs(centres - centres[0]).max() < 0.02


def test_an_unknown_variant_is_refused():
    with pytest.raises(AustickerError, match="did you mean 'per-frame'"):
        track("centre", "per-frames", moving_clip(), generator())
