"""Stickers that are turned, faded and bent: exact where it can be, and bends that follow surfaces known by hand."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from austicker import stickers
from austicker.depth import Ellipsoid, bends
from austicker.types import AustickerError, Point
from austicker.wearing import canvas_px, check, worn

MONKEY = stickers.resized(stickers.load("monkey"), 22, 26)


def batch(*pictures):
    return torch.from_numpy(np.stack(pictures).astype(np.float32))


def wear(picture, rotation=0.0, opacity=1.0, bend=None):
    """One sticker, worn, as numpy (4, H, W)."""
    bent = None if bend is None else torch.tensor(np.array([bend]))
    return worn(batch(picture), torch.tensor([rotation]), torch.tensor([opacity]), bent)[0].numpy()


def noise(height, width, *, opaque=False):
    rng = np.random.default_rng(height * 100 + width)
    picture = rng.uniform(0, 255, (4, height, width)).astype(np.float32)
    picture[3] = 1 if opaque else rng.choice([0, 1, 0.25, 0.7], (height, width))
    return picture


def middle(canvas, height, width):
    top, left = (canvas.shape[1] - height) // 2, (canvas.shape[2] - width) // 2
    return canvas[:, top : top + height, left : left + width]


def seen(canvas):
    """Alpha, and colour where there is any: what compositing reads."""
    return np.concatenate([canvas[:3] * canvas[3:], canvas[3:]])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 360.0, -720.0]))
def test_an_upright_flat_sticker_keeps_its_pixels_to_the_bit(height, width, rotation):
    picture = noise(height, width)
    for bend in (None, (0.0, 3.0, 0.0)):
        canvas = wear(picture, rotation, 1.0, bend)
        assert canvas.shape[2:0:-1] == canvas_px(width, height)
        assert (canvas.shape[1] - height) % 2 == (canvas.shape[2] - width) % 2 == 0
        np.testing.assert_array_equal(middle(canvas, height, width), picture)
        assert canvas.sum(dtype=np.float64) == pytest.approx(picture.sum(dtype=np.float64), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.tuples(*[st.floats(-0.2, 1.2, allow_subnormal=False)] * 2))
def test_the_canvas_composites_on_the_very_pixels_of_the_bare_sticker(height, width, centre):
    face = torch.full((1, 1, 3, 17, 15), 7.0)
    bare = batch(noise(height, width))
    which, centres = torch.zeros(1, dtype=torch.long), torch.tensor([[centre]])
    laid = worn(bare, torch.zeros(1), torch.ones(1))
    assert torch.equal(stickers.composite(face, bare, which, centres), stickers.composite(face, laid, which, centres))


@pytest.mark.parametrize("side", [1, 7, 8, 22])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_of_a_square_are_the_turned_pixels_clockwise(side, quarters):
    picture = noise(side, side)
    turned = wear(picture, 90.0 * quarters)
    expected = np.rot90(picture, -quarters, axes=(1, 2))
    np.testing.assert_allclose(middle(turned, side, side)[3], expected[3], atol=1e-6)
    np.testing.assert_allclose(seen(middle(turned, side, side)), seen(expected), atol=1e-3)
    assert (turned[3] > 0).sum() == (picture[3] > 0).sum()
    assert not turned[:3, turned[3] == 0].any()


def test_a_right_turn_makes_up_point_right():
    arrow = np.zeros((4, 9, 9), np.float32)
    arrow[:, 0, 4] = 1  # up
    rows, columns = np.nonzero(middle(wear(arrow, 90.0), 9, 9)[3])
    assert (rows.tolist(), columns.tolist()) == ([4], [8])
    rows, columns = np.nonzero(middle(wear(arrow, 45.0), 9, 9)[3] > 0.1)
    assert rows.max() < 4 < columns.min()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(1, 25),
    st.floats(-400, 400),
    st.floats(-1, 0),
    st.floats(-0.5, 0.5),
    st.floats(-20, 20),
)
def test_nothing_of_a_sticker_leaves_the_canvas_and_alpha_stays_alpha(height, width, rotation, steep, top, pitch):
    bend = (steep / width, top * width, pitch)
    canvas = wear(noise(height, width, opaque=True), rotation, 1.0, bend)
    assert canvas.min() >= 0
    assert canvas[:3].max() <= 255
    assert canvas[3].max() <= 1
    # A frame of transparent pixels makes the canvas larger; if nothing is lost, it catches nothing more.
    framed = np.pad(noise(height, width, opaque=True), [(0, 0), (4, 4), (4, 4)])
    assert wear(framed, rotation, 1.0, bend)[3].sum() == pytest.approx(canvas[3].sum(), abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 359), st.floats(-0.03, 0), st.floats(-10, 10), st.floats(-20, 20))
def test_one_colour_stays_that_colour_beside_transparent_ones(rotation, curve, top, pitch):
    picture = np.zeros((4, 20, 20), np.float32)
    picture[1] = 255  # transparent green must not bleed into the red
    picture[:, 6:14, 3:17] = np.array([200, 0, 60, 1])[:, None, None]
    canvas = wear(picture, rotation, 1.0, (curve, top, pitch))
    inside = canvas[3] > 0
    assert inside.sum() > 60
    assert not canvas[:3, ~inside].any()
    np.testing.assert_allclose(canvas[:3, inside].T, np.tile([200, 0, 60], (int(inside.sum()), 1)), atol=1e-2)


def test_a_turned_sticker_keeps_its_area_and_its_middle():
    for rotation in (10.0, 33.0, 77.0, 200.0):
        canvas = wear(MONKEY, rotation)
        assert canvas[3].sum() == pytest.approx(MONKEY[3].sum(), rel=0.01)
        rows, columns = np.mgrid[: canvas.shape[1], : canvas.shape[2]]
        mass = canvas[3] / canvas[3].sum()
        across, down = (
            (columns - (canvas.shape[2] - 1) / 2) * mass,
            (rows - (canvas.shape[1] - 1) / 2) * mass,
        )
        flat = MONKEY[3] / MONKEY[3].sum()
        x, y = (flat * (np.mgrid[:26, :22][::-1] - np.array([10.5, 12.5])[:, None, None])).sum(axis=(1, 2))
        sine, cosine = math.sin(math.radians(rotation)), math.cos(math.radians(rotation))
        assert across.sum() == pytest.approx(x * cosine - y * sine, abs=0.05)
        assert down.sum() == pytest.approx(x * sine + y * cosine, abs=0.05)


def test_what_is_opaque_stays_wholly_opaque():
    for rotation, bend in ((33.0, None), (0.0, (-0.02, 4.0, 10.0))):
        alpha = wear(noise(22, 22, opaque=True), rotation, 1.0, bend)[3]
        assert (alpha == 1).sum() > 200
        assert not ((alpha > 0.99999) & (alpha < 1)).any()


def test_opacity_multiplies_alpha_and_leaves_colours():
    for rotation, bend in ((0.0, None), (30.0, None), (0.0, (-0.02, 4.0, 10.0))):
        whole, half, none = (wear(MONKEY, rotation, opacity, bend) for opacity in (1.0, 0.5, 0.0))
        np.testing.assert_array_equal(half[:3], whole[:3])
        np.testing.assert_array_equal(half[3], whole[3] / 2)
        assert not none[3].any()


def test_an_item_does_not_depend_on_its_batch():
    rng = np.random.default_rng(3)
    rotation = np.concatenate([[0, 90, 360], rng.uniform(0, 360, 34)])
    bend = np.stack([-rng.uniform(0, 0.04, 37), rng.uniform(-11, 11, 37), rng.uniform(-20, 20, 37)], 1)
    bend[[0, 1, 5]] = 0
    bank = batch(*(MONKEY * rng.uniform(0.5, 1, (37, 4, 1, 1))))
    columns = [torch.from_numpy(values) for values in (rotation, rng.uniform(0, 1, 37), bend)]
    together = worn(bank, *columns)
    order = torch.from_numpy(rng.permutation(37))
    assert torch.equal(worn(bank[order], *(column[order] for column in columns)), together[order])
    for item in (0, 1, 2, 5, 17, 36):
        row = slice(item, item + 1)
        assert torch.equal(worn(bank[row], *(column[row] for column in columns))[0], together[item])
    # No bend is the same as a bend of nothing.
    for item in (0, 1, 5):
        row = slice(item, item + 1)
        assert torch.equal(worn(bank[row], columns[0][row], columns[1][row])[0], together[item])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_stickers():
    columns = (torch.arange(8) * 40.0, torch.ones(8), torch.tensor([[-0.03, 5.0, 10.0]] * 8))
    bank = batch(*[MONKEY] * 8)
    there = worn(bank.cuda(), *(column.cuda() for column in columns)).cpu()
    torch.testing.assert_close(there, worn(bank, *columns), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("values", "word"),
    [((math.nan, 1), "angle"), ((math.inf, 1), "angle"), ((0, 1.1), "0..1"), ((0, math.nan), "0..1")],
)
def test_what_no_sticker_can_be_is_refused(values, word):
    with pytest.raises(AustickerError, match=word):
        check(*values)
    check(-30.0, 0.5)


def ramp(height, width):
    """A sticker whose red is the column and whose green is the row of its pixels, from the middle plus 100."""
    down, across = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([across - (width - 1) / 2 + 100, down - (height - 1) / 2 + 100, 0 * down, 0 * down + 1])


@pytest.mark.parametrize(
    ("curve", "top"), [(-0.03, 0.0), (-0.02, 12.0), (-0.04, -20.0), (-1e-4, 5.0), (-2e-6, 0.0), (-1e-14, 9.0)]
)
def test_what_is_seen_lies_on_the_paper_at_the_parabolas_length(curve, top):
    canvas = wear(ramp(41, 41), 0.0, 1.0, (curve, top, 0.0))
    row = canvas.shape[1] // 2
    opaque = np.flatnonzero(canvas[3, row] == 1)
    assert len(opaque) > 20
    for column in opaque:
        u = column - (canvas.shape[2] - 1) / 2
        length, _ = quad(lambda t: math.hypot(1, 2 * curve * (t - top)), 0, u)
        assert canvas[0, row, column] - 100 == pytest.approx(length, abs=1e-3)
        assert canvas[1, row, column] == pytest.approx(100, abs=1e-3)


def test_a_pitch_shortens_upright_and_lifts_what_lies_behind():
    pitch = 20.0
    straight = wear(ramp(41, 41), 0.0, 1.0, (0.0, 0.0, pitch))
    column = straight[:, :, straight.shape[2] // 2]
    opaque = np.flatnonzero(column[3] == 1)
    offsets = opaque - (straight.shape[1] - 1) / 2
    np.testing.assert_allclose(column[1, opaque] - 100, offsets / math.cos(math.radians(pitch)), atol=1e-3)
    assert len(opaque) == 2 * math.floor(20 * math.cos(math.radians(pitch))) + 1
    # The lower edge leans back, as on a chin: what the parabola sets back is seen higher, so that one row of the face
    # shows lower parts of the paper there. Paper and parabola meet in the middle, not at the parabola's top.
    bent = wear(ramp(41, 41), 0.0, 1.0, (-0.02, 3.0, pitch))
    row = bent[1, bent.shape[1] // 2] - 100
    u = np.arange(-10, 11)
    expected = 0.02 * ((u - 3) ** 2 - 3**2) * math.tan(math.radians(pitch))
    np.testing.assert_allclose(row[u + bent.shape[2] // 2], expected, atol=1e-3)


def test_the_paper_is_turned_before_it_is_bent():
    bend = (-0.03, 6.0, 12.0)
    canvas = wear(MONKEY, 180.0, 1.0, bend)
    expected = wear(MONKEY[:, ::-1, ::-1], 0.0, 1.0, bend)
    np.testing.assert_allclose(seen(canvas), seen(expected), atol=1e-3)


ALOFT = 1e9
"""A half-axis so long that the surface is straight along it."""


def surface(half_width=ALOFT, half_height=ALOFT, half_depth=0.0):
    axes = {"half_width": half_width, "half_height": half_height, "half_depth": half_depth}
    return Ellipsoid(centre=Point(x=0.5, y=0.5), aspect=1.0, **axes)


def places(*xy):
    return np.array(xy, float)


def test_a_plane_bends_nothing():
    found = bends(surface(), places((0.5, 0.5), (0.1, 0.9)), (21, 25), (200, 200))
    assert not found[:, [0, 2]].any()


def test_an_upright_cylinder_gives_its_parabola_and_no_pitch():
    radius = 60.0  # of a picture of 200 px
    cylinder = surface(half_width=0.3, half_depth=0.3)
    # Of 21 pixels the middle one is on the axis (an odd picture, so that its middle is a pixel's).
    (found,) = bends(cylinder, places((0.5, 0.3)), (21, 25), (200, 200))
    drop = radius - math.sqrt(radius**2 - 10**2)
    assert found == pytest.approx([-drop / 10**2, 0, 0], abs=1e-9)
    assert found[0] == pytest.approx(-1 / (2 * radius), rel=0.02)
    # On the right cheek the highest point is the sticker's left side, 20 to 40 px from the axis.
    (right,) = bends(cylinder, places((0.65, 0.3)), (21, 25), (200, 200))
    drop = math.sqrt(radius**2 - 20**2) - math.sqrt(radius**2 - 40**2)
    assert right == pytest.approx([-drop / 20**2, -10, 0], abs=1e-9)
    (left,) = bends(cylinder, places((0.35, 0.3)), (21, 25), (200, 200))
    assert left == pytest.approx([right[0], 10, 0], abs=1e-9)


def test_a_cylinder_that_lies_gives_a_pitch_of_half_its_slope_and_no_parabola():
    radius = 60.0
    lying = surface(half_height=0.3, half_depth=0.3)
    (below,) = bends(lying, places((0.5, 0.65)), (21, 21), (200, 200))
    drop = math.sqrt(radius**2 - 20**2) - math.sqrt(radius**2 - 40**2)
    assert below[[0, 2]] == pytest.approx([0, math.degrees(math.atan(drop / 20)) / 2], abs=1e-9)
    (above,) = bends(lying, places((0.5, 0.35)), (21, 21), (200, 200))
    assert above[2] == pytest.approx(-below[2])
    # A taller sticker looks no further than 20 px.
    (tall,) = bends(lying, places((0.5, 0.675)), (21, 31), (200, 200))
    assert tall[2] == pytest.approx(below[2])
    # At the rim the slope is held at 40 degrees.
    (rim,) = bends(lying, places((0.5, 0.75)), (21, 21), (200, 200))
    assert rim[2] == pytest.approx(20)


def test_at_the_rim_the_parabola_is_held():
    cylinder = surface(half_width=0.3, half_depth=0.9)
    (found,) = bends(cylinder, places((0.75, 0.5)), (21, 21), (200, 200))
    assert found[0] == pytest.approx(-1 / 20)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_the_smallest_stickers_have_a_bend(size):
    found = bends(surface(0.3, 0.4, 0.3), places((0.5, 0.5), (0.7, 0.6), (0.9, 0.9)), size, (50, 50))
    assert found.shape == (3, 3)
    assert np.isfinite(found).all()
    assert (found[:, 0] <= 0).all()


def test_a_picture_that_is_not_square_is_measured_in_pixels():
    square = Ellipsoid(centre=Point(x=0.5, y=0.5), aspect=1.0, half_width=0.3, half_height=0.4, half_depth=0.3)
    wide = Ellipsoid(centre=Point(x=0.25, y=0.5), aspect=2.0, half_width=0.15, half_height=0.2, half_depth=0.15)
    near, far = (places((0.6, 0.7)), (100, 100)), (places((0.3, 0.7)), (200, 100))
    first, second = (bends(face, at, (15, 19), px) for face, (at, px) in ((square, near), (wide, far)))
    np.testing.assert_allclose(first, second)


def shown_width(canvas):
    """Width in pixels of the middle row, by alpha."""
    return canvas[3, canvas.shape[1] // 2].sum()


def test_a_sticker_gets_narrower_towards_the_rim_and_never_wider(orl_motion):
    landmarks = orl_motion.landmarks[0][0]
    face = Ellipsoid.of(landmarks, 112 / 128)
    across = np.linspace(face.centre.x, face.centre.x + face.half_width - 0.1, 8)
    at = np.stack([across, np.full(8, face.centre.y)], 1)
    found = bends(face, at, (22, 26), (112, 128))
    square = np.ones((4, 26, 22), np.float32)
    widths = [shown_width(wear(square, bend=bend)) for bend in found]
    assert max(widths) <= 22
    assert widths[0] > 21.5
    assert widths[-1] < 18.5
    assert (np.diff(widths) < 0.2).all()
    # Everywhere on the picture, no sticker is larger than it was.
    anywhere = np.random.default_rng(0).uniform(-0.1, 1.1, (200, 2))
    found = bends(face, anywhere, (22, 26), (112, 128))
    bank = torch.ones(200, 4, 26, 22)
    areas = worn(bank, torch.zeros(200), torch.ones(200), torch.from_numpy(found))[:, 3].sum((1, 2))
    assert areas.max() <= 22 * 26 * (1 + 1e-4)
    assert (np.abs(found[:, 2]) <= 20).all()
    assert (found[:, 0] >= -1).all()


def test_the_ellipsoid_touches_jaw_and_chin_and_is_highest_in_the_middle(orl_motion):
    landmarks = orl_motion.landmarks[0][0]
    face = Ellipsoid.of(landmarks, 112 / 128)
    assert face.centre.x == pytest.approx((landmarks[:17, 0].min() + landmarks[:17, 0].max()) / 2, abs=0.02)
    assert face.half_width == pytest.approx(np.ptp(landmarks[:17, 0]) / 2, abs=0.01)
    chin = face.centre.y + face.half_height * face.aspect
    assert chin == pytest.approx(landmarks[:17, 1].max(), abs=0.01)
    middle = np.array([face.centre.x, face.centre.y])
    assert face.depth(middle) == pytest.approx(face.half_depth)
    nose, cheek, outside = face.depth(np.stack([landmarks[30], landmarks[2] * 0.7 + landmarks[30] * 0.3, [0.5, 1.2]]))
    assert face.half_depth > nose > cheek > outside == 0


@pytest.mark.parametrize("degrees", [-35, 20, 90])
def test_a_leaning_head_has_the_same_ellipsoid_leaning(orl_motion, degrees):
    points = orl_motion.landmarks[0][0] * [112, 128]
    upright = Ellipsoid.of(points / 400, 1.0)
    # OpenCV turns anticlockwise.
    turn = cv2.getRotationMatrix2D((150, 120), -degrees, 1)
    leaning = Ellipsoid.of((points @ turn[:, :2].T + turn[:, 2]) / 400, 1.0)
    assert leaning.tilt - upright.tilt == pytest.approx(degrees, abs=1e-4)
    axes = [(face.half_width, face.half_height, face.half_depth) for face in (upright, leaning)]
    assert axes[0] == pytest.approx(axes[1], rel=1e-5)
    np.testing.assert_allclose(
        leaning.depth((points @ turn[:, :2].T + turn[:, 2]) / 400), upright.depth(points / 400), atol=1e-5
    )


@pytest.mark.parametrize("points", [np.zeros((68, 2)), np.full((68, 2), np.nan)])
def test_landmarks_of_no_face_are_refused(points):
    with pytest.raises(AustickerError, match="span no face"):
        Ellipsoid.of(points.astype(np.float32), 1.0)
