"""The warp moves what it is told to move, by as much, and leaves the rest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from austicker.corpora.mesh_warp import MeshWarp, inside, mesh_displacement, window, with_margin
from austicker.faces import LEFT_IRIS, RIGHT_IRIS
from austicker.types import Box, Point

WIDTH, HEIGHT = 120, 140
SIZE = (WIDTH, HEIGHT)
STILL = np.array([[1.0, 0, 0], [0, 1.0, 0]])
BOX = Box(centre=Point(x=0.5, y=0.25), half_width=0.2, half_height=0.12)


def mesh():
    """478 points spread evenly over an ellipse, and two irises 40 pixels apart."""
    number = np.arange(478)
    radius, angle = np.sqrt((number + 0.5) / 478), number * 2.399963
    points = np.stack([60 + 34 * radius * np.cos(angle), 70 + 40 * radius * np.sin(angle)], axis=1)
    points[LEFT_IRIS], points[RIGHT_IRIS] = (40, 55), (80, 55)
    return points


@pytest.fixture(scope="module")
def warp():
    return MeshWarp(mesh(), SIZE)


def texture():
    noise = np.random.default_rng(0).uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def blob(x, y):
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.rint(200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 50)).astype(np.uint8)


def centre(picture):
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH]
    weight = picture.astype(float) * (picture > 10)
    return np.array([(xs * weight).sum(), (ys * weight).sum()]) / weight.sum()


def constant(x, y):
    return np.full((HEIGHT, WIDTH, 2), (x, y), np.float32)


def test_no_motion_gives_the_picture_back(warp):
    picture = texture()
    np.testing.assert_array_equal(warp.render(picture, constant(0, 0), STILL), picture)
    assert np.abs(warp.field(np.zeros((468, 2)))).max() == 0


@pytest.mark.parametrize("step", [(5.0, 0.0), (0.0, -3.0), (2.5, 1.5), (-0.25, 0.5)])
def test_a_shift_moves_a_blob_by_as_much(warp, step):
    picture = blob(60, 70)
    before = picture.copy()
    moved = centre(warp.render(picture, constant(*step), STILL)) - centre(picture)
    assert moved == pytest.approx(step, abs=0.06)
    np.testing.assert_array_equal(picture, before)


def test_a_view_that_looks_to_the_right_moves_the_picture_to_the_left(warp):
    view = STILL + [[0, 0, 4], [0, 0, -2]]
    moved = centre(warp.render(blob(60, 70), constant(0, 0), view)) - centre(blob(60, 70))
    assert moved == pytest.approx((-4, 2), abs=0.06)


def test_a_shifted_mesh_shifts_the_face_and_not_the_border(warp):
    field = warp.field(np.full((468, 2), (3.0, -1.0)))
    assert field[70, 60] == pytest.approx((3.0, -1.0), abs=0.02)
    assert field[85, 45] == pytest.approx((3.0, -1.0), abs=0.02)
    for corner in (field[0, 0], field[0, -1], field[-1, 0], field[-1, -1]):
        assert np.abs(corner).max() < 1e-3


def test_one_mesh_point_moves_only_its_neighbourhood(warp):
    displacement = np.zeros((468, 2))
    displacement[0] = (0.0, 2.0)
    x, y = np.rint(mesh()[0]).astype(int)
    field = warp.field(displacement)
    length = np.linalg.norm(field, axis=-1)
    assert np.abs(np.array(np.unravel_index(length.argmax(), length.shape)) - (y, x)).max() <= 1
    assert field[y, x, 1] > 0.5
    assert length[:, x + 15 :].max() < 0.01 * length.max()


def test_backward_undoes_forward(warp):
    ys, xs = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    bump = np.exp(-((xs - 60) ** 2 + (ys - 70) ** 2) / 400)
    forward = np.stack([3 * bump, -2 * bump], axis=-1)
    backward = warp.backward(forward)
    # A point y goes to y + forward(y), and backward there must be the step it took.
    there = cv2.remap(backward, xs + forward[..., 0], ys + forward[..., 1], cv2.INTER_LINEAR)
    error = np.abs(there - forward)[20:-20, 20:-20]
    assert error.max() < 0.05
    assert np.abs(backward - forward).max() > 0.3  # not the forward field itself


def test_units_move_the_persons_own_side_and_scale_with_the_face():
    points = mesh()
    up = mesh_displacement({"mouthSmileLeft": 1.0}, points, np.eye(3))
    left_of_image, right_of_image = up[61], up[291]  # the mouth's corners
    assert right_of_image[1] < -0.5  # upwards
    assert np.linalg.norm(left_of_image) < 0.2 * np.linalg.norm(right_of_image)
    assert right_of_image[0] > 0  # outwards
    half = mesh_displacement({"mouthSmileLeft": 0.5}, points, np.eye(3))
    np.testing.assert_allclose(half, up / 2, atol=1e-9)
    np.testing.assert_allclose(mesh_displacement({"mouthSmileLeft": 1.0}, 2 * points, np.eye(3)), 2 * up, atol=1e-9)
    both = mesh_displacement({"mouthSmileLeft": 1.0, "jawOpen": 0.3}, points, np.eye(3))
    np.testing.assert_allclose(both, up + mesh_displacement({"jawOpen": 0.3}, points, np.eye(3)), atol=1e-9)
    assert np.abs(mesh_displacement({}, points, np.eye(3))).max() == 0
    with pytest.raises(KeyError):
        mesh_displacement({"smile": 1.0}, points, np.eye(3))


def test_head_pose_turns_the_displacement():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # the head lies on its side
    straight = mesh_displacement({"jawOpen": 1.0}, mesh(), np.eye(3))
    turned = mesh_displacement({"jawOpen": 1.0}, mesh(), quarter)
    np.testing.assert_allclose(turned, np.stack([straight[:, 1], -straight[:, 0]], axis=1), atol=1e-9)


def test_the_window_is_one_in_the_middle_and_a_tenth_at_the_corners():
    weight = window(BOX, SIZE)
    assert weight.shape == (HEIGHT, WIDTH)
    assert weight[35, 60] == pytest.approx(1)
    corner = weight[round(0.37 * HEIGHT), round(0.7 * WIDTH)]
    assert corner == pytest.approx(0.1, abs=0.02)
    assert weight[35 + 60, 60] < 1e-3


def test_a_box_holds_the_pixels_that_its_fractions_say():
    mask = inside(BOX, SIZE)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (18, 51)  # centres between 18.2 and 51.8
    assert (columns.min(), columns.max() + 1) == (36, 84)
    assert mask.sum() == 34 * 48


def test_a_margin_changes_the_fractions_and_not_the_pixels():
    margin = 24
    wide = with_margin(BOX, SIZE, margin)
    mask = inside(wide, (WIDTH + 2 * margin, HEIGHT + 2 * margin))
    np.testing.assert_array_equal(mask[margin:-margin, margin:-margin], inside(BOX, SIZE))
    assert mask.sum() == inside(BOX, SIZE).sum()
    same = with_margin(BOX, SIZE, 0)
    assert same.centre == BOX.centre
    assert (same.half_width, same.half_height) == pytest.approx((BOX.half_width, BOX.half_height))
