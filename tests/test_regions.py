"""Regions: the published table, how boxes follow the face, and the five named positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_placements import face

from austicker import regions
from austicker.regions import EYE_DISTANCE, NAMES, POSITIONS, face_width, locate, named_position

# The published landmark definition: landmarks whose mean is the anchor, offset and half-size in px of a 256 px face.
PUBLISHED = """
1   17,18  0   0   12 10  2;4
2   20     0   10  15 10  1;4
3   23     0   10  15 10  1;4
4   25,26  0   0   12 10  2;4
5   37,38  -4  0   47 21  5;6;7;43;45
6   21,22  2   19  30 19  4;9
7   43,44  10  0   47 21  5;6;7;43;45
8   1,29   -25 10  35 30  6;9;11;13
9   15,29  25  10  35 30  6;9;11;13
10  60     0   -2  10 12  12;14;15;20
11  33,51  0   -2  30 17  9;10
12  64     0   -2  10 12  12;14;15;20
13  62,66  1   2   47 20  16;18;22;23;24;25;26;27
14  57,8   0   0   35 21  17;26
"""
ROWS = [line.split() for line in PUBLISHED.split("\n") if line]


def numbers(text: str, mark: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(mark))


def aligned(seed: int = 0) -> np.ndarray:
    """Any 68 points whose eyes' centres are as far apart as on an aligned face."""
    points = np.random.default_rng(seed).uniform(0.1, 0.9, (68, 2)).astype(np.float32)
    points[36:42] += np.float32([0.3, 0.4]) - points[36:42].mean(axis=0)
    points[42:48] += np.float32([0.3 + EYE_DISTANCE, 0.4]) - points[42:48].mean(axis=0)
    return points


def test_the_table_is_the_published_one():
    table = [
        (r.number, r.landmarks, r.dx_px, r.dy_px, r.half_width_px, r.half_height_px, r.action_units)
        for r in regions.TABLE
    ]
    assert len(ROWS) == 14
    assert table == [
        (int(n), numbers(marks, ","), int(dx), int(dy), int(w), int(h), numbers(units, ";"))
        for n, marks, dx, dy, w, h, units in ROWS
    ]
    assert len(set(NAMES)) == 14


def test_a_box_on_an_aligned_face_is_the_published_one_in_256ths():
    points = aligned()
    boxes = locate(points, aspect=1)
    for name, (_, marks, dx, dy, w, h, _) in zip(NAMES, ROWS, strict=True):
        x, y = points[list(numbers(marks, ","))].mean(axis=0)
        box = boxes[name]
        found = (box.centre.x, box.centre.y, box.half_width, box.half_height)
        assert found == pytest.approx((x + int(dx) / 256, y + int(dy) / 256, int(w) / 256, int(h) / 256), abs=1e-5)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 112 / 128, 2.0])
def test_the_width_of_an_aligned_face_is_one(aspect):
    assert face_width(aligned(), aspect=aspect) == pytest.approx(1, abs=1e-5)
    assert face_width(aligned() / 2, aspect=aspect) == pytest.approx(0.5, abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 10**6), st.floats(0.2, 3), st.floats(-80, 80), st.floats(-80, 80), st.integers(60, 600),
    st.integers(60, 600),
)  # fmt: skip
def test_boxes_in_pixels_follow_the_face_on_every_canvas(seed, zoom, right, down, width, height):
    drawn = aligned(seed) * 256
    moved = (drawn * zoom + [right, down]) / [width, height]
    before = locate(drawn / 256, aspect=1)
    after = locate(moved.astype(np.float32), aspect=width / height)
    for name in NAMES:
        old, new = before[name], after[name]
        wanted = (256 * old.centre.x * zoom + right, 256 * old.centre.y * zoom + down)
        assert (new.centre.x * width, new.centre.y * height) == pytest.approx(wanted, abs=0.05)
        sides = (256 * old.half_width * zoom, 256 * old.half_height * zoom)
        assert (new.half_width * width, new.half_height * height) == pytest.approx(sides, rel=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(0.5, 2))
def test_the_width_of_a_face_does_not_change_when_the_head_tilts(angle, aspect):
    cosine, sine = np.cos(angle), np.sin(angle)
    pixels = aligned() * [aspect, 1]  # a canvas of height 1
    tilted = (pixels @ np.array([[cosine, sine], [-sine, cosine]]) / [aspect, 1]).astype(np.float32)
    assert face_width(tilted, aspect=aspect) == pytest.approx(1, abs=1e-4)


def test_boxes_on_the_left_of_the_image_are_left_of_their_twins():
    boxes = locate(face(), aspect=1)
    pairs = [(name, name.replace("left", "right")) for name in NAMES if name.endswith("-left")]
    assert len(pairs) == 5
    for left, right in pairs:
        assert boxes[left].centre.x < 0.5 < boxes[right].centre.x
        assert boxes[left].centre.y == pytest.approx(boxes[right].centre.y, abs=0.01)


def test_boxes_lie_in_the_order_of_the_face():
    boxes = locate(face(), aspect=1)
    heights = [boxes[name].centre.y for name in ("outer-brow-left", "eye-left", "cheek-left", "lips", "chin")]
    assert heights == sorted(heights)
    assert boxes["glabella"].centre.y < boxes["philtrum"].centre.y < boxes["lips"].centre.y
    middle = [boxes[name].centre.x for name in ("glabella", "philtrum", "lips", "chin")]
    assert middle == pytest.approx([0.5] * 4, abs=0.02)


def test_the_named_positions_lie_where_their_names_say():
    places = {name: named_position(name, face()) for name in POSITIONS}
    assert places["forehead"].y < face()[17:27, 1].min()
    assert places["forehead"].y < places["between-eyes"].y < places["left-cheek"].y < places["chin"].y
    assert places["left-cheek"].x < 0.4
    assert places["right-cheek"].x > 0.6
    assert places["left-cheek"].x + places["right-cheek"].x == pytest.approx(1, abs=0.02)
    assert places["left-cheek"].y == pytest.approx(places["right-cheek"].y, abs=0.02)
    assert [places[name].x for name in ("forehead", "between-eyes", "chin")] == pytest.approx([0.5] * 3, abs=0.02)


def test_named_positions_move_with_the_face_and_others_are_refused():
    for name in POSITIONS:
        here, there = named_position(name, face()), named_position(name, face() + np.float32([0.1, -0.05]))
        assert (there.x - here.x, there.y - here.y) == pytest.approx((0.1, -0.05), abs=1e-5)
    with pytest.raises(KeyError):
        named_position("nose", face())
