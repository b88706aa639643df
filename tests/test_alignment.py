"""Alignment: planted transforms come back, pixels and points go the same way, and missing faces are mended by rule."""

from __future__ import annotations

from itertools import count

import cv2
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from austicker.corpora import orl, pictures
from austicker.corpora.orl_motion import PHOTOS
from austicker.faces import alignment, landmarker
from austicker.faces.alignment import (
    CUT_LIMIT,
    NoFace,
    aligned_clip,
    cut,
    given,
    moved,
    resized,
    similarity,
    template_points,
    warp,
    whole_clip,
)
from austicker.regions import EYE_DISTANCE, face_width
from austicker.types import AustickerError

SIZE = (112, 128)
ASPECT = SIZE[0] / SIZE[1]
EYES = (slice(36, 42), slice(42, 48))


def affine(degrees: float, scale: float, x: float, y: float) -> np.ndarray:
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


def at(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def face_points() -> np.ndarray:
    """The template's points in pixels of `SIZE`."""
    return template_points(SIZE) * np.array(SIZE)


def photo(person: int, number: int) -> np.ndarray:
    return orl.photo(person, number)[:, :, None]


@pytest.fixture(scope="module")
def find():
    with landmarker("mediapipe") as opened:
        yield opened


@pytest.fixture(scope="module")
def neutral(find):
    """The 30 photographs that the template was measured on, aligned."""
    return [aligned_clip([photo(person, number)], find, SIZE) for person, number in PHOTOS.items()]


TRANSFORMS = {
    "degrees": st.floats(-180, 180),
    "scale": st.floats(0.05, 20),
    "x": st.floats(-1000, 1000),
    "y": st.floats(-1000, 1000),
}


@drawn(**TRANSFORMS)
def test_a_planted_transform_is_recovered(degrees, scale, x, y):
    planted = affine(degrees, scale, x, y)
    points = at(face_points(), planted)
    placed = moved(points, similarity(points, SIZE), SIZE)
    straight = moved(face_points(), similarity(face_points(), SIZE), SIZE)
    np.testing.assert_allclose(placed, straight, atol=1e-4)


@settings(max_examples=50)
@drawn(seed=st.integers(0, 10_000), **TRANSFORMS)
def test_any_face_aligns_alike_however_it_lies_in_the_picture(seed, degrees, scale, x, y):
    points = face_points() + np.random.default_rng(seed).normal(0, 8, (68, 2))
    found = similarity(points, SIZE)
    linear = found[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.linalg.det(linear) * np.eye(2), atol=1e-6)  # no shear, no mirror
    assert np.linalg.det(linear) > 0
    elsewhere = at(points, affine(degrees, scale, x, y))
    np.testing.assert_allclose(
        moved(elsewhere, similarity(elsewhere, SIZE), SIZE), moved(points, found, SIZE), atol=1e-4
    )


def test_the_similarity_is_the_best_one():
    points = face_points() + np.random.default_rng(3).normal(0, 8, (68, 2))
    wanted = np.array([[0.5 - 0.21, 0.31], [0.5 + 0.21, 0.31], [0.5, 0.31 + alignment.NOSE_DROP * ASPECT]]) * SIZE
    weight = np.array([1, 1, alignment.NOSE_WEIGHT])

    def error(transform):
        placed = at(np.stack([points[part].mean(axis=0) for part in (*EYES, slice(31, 36))]), transform)
        return (weight * ((placed - wanted) ** 2).sum(axis=1)).sum()

    best = similarity(points, SIZE)
    near = [
        affine(turn, scale, x, y)
        for turn in (-1, 0, 1)
        for scale in (0.98, 1, 1.02)
        for x in (-1, 0, 1)
        for y in (-1, 0, 1)
    ]
    others = [np.c_[best[:, :2] @ step[:, :2], best[:, 2] + step[:, 2]] for step in near]
    assert error(best) == pytest.approx(min(error(other) for other in others))
    assert sum(error(other) > error(best) + 1e-6 for other in others) == len(others) - 1


@pytest.mark.parametrize("points", [np.full((68, 2), np.nan), np.full((68, 2), 7.0)], ids=["not finite", "one spot"])
def test_points_that_are_no_face_are_refused(points):
    with pytest.raises(AustickerError, match="not finite or lie in one spot"):
        similarity(points.astype(np.float32), SIZE)


def test_neutral_faces_come_to_the_template(neutral):
    """Eyes level, 0.42 of the width apart, at their height; the nose in its place; the mean shape is the file's."""
    points = np.stack([clip.landmarks[0] for clip in neutral]).astype(np.float64) / [1, ASPECT]
    left, right = (points[:, part].mean(axis=1) for part in EYES)
    step = right - left
    np.testing.assert_allclose(np.linalg.norm(step, axis=1), EYE_DISTANCE, atol=0.01)
    assert np.abs(np.degrees(np.arctan2(step[:, 1], step[:, 0]))).max() < 1
    assert [face_width(clip.landmarks[0], aspect=ASPECT) for clip in neutral] == pytest.approx([1] * 30, abs=0.02)
    middle = (left + right) / 2
    np.testing.assert_allclose(middle * [1, ASPECT], np.tile([0.5, 0.31], (30, 1)), atol=0.01)
    nose = points[:, 31:36].mean(axis=1) - middle
    np.testing.assert_allclose(nose.mean(axis=0), [0, alignment.NOSE_DROP], atol=0.005)
    np.testing.assert_allclose(template_points(SIZE) / [1, ASPECT], points.mean(axis=0), atol=0.01)


@pytest.mark.parametrize(("degrees", "scale"), [(12, 0.8), (-9, 1.3), (5, 0.7), (20, 1.0)])
def test_a_face_that_lies_otherwise_aligns_to_the_same_face(find, degrees, scale):
    """Within a pixel of 112, the landmarker's own tremor included."""
    large = cv2.resize(photo(6, 1), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    picture = cv2.copyMakeBorder(large, 120, 120, 120, 120, cv2.BORDER_REPLICATE)
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale) + [[0, 0, 13.3], [0, 0, -7.6]]
    other = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    first, second = (aligned_clip([one[:, :, None]], find, SIZE) for one in (picture, other))
    error = np.linalg.norm((first.landmarks - second.landmarks)[0, 17:] * SIZE, axis=1)
    assert np.sqrt((error**2).mean()) < 1
    difference = np.abs(first.frames.astype(int) - second.frames.astype(int))[0, 16:112, 16:96]
    assert difference.mean() < 5


def blobs(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """A picture with one bright spot at each point, in continuous coordinates."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    spots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return np.rint(250 * np.sum(spots, axis=0)).astype(np.uint8)[:, :, None]


@pytest.mark.parametrize("scale", [0.1, 0.2, 0.45, 0.7, 1.0, 1.7])
def test_pixels_and_points_go_the_same_way(scale):
    """At every scale, also where the picture is shrunk first: not even half a pixel lies between them."""
    spots = np.array([[30.3, 40.7], [80.6, 35.2], [56.1, 90.9]])
    to_face = affine(10, scale, *(np.array(SIZE) / 2 - affine(10, scale, 0, 0)[:, :2] @ [400, 300]))
    back = np.linalg.inv(np.r_[to_face, [[0, 0, 1]]])[:2]
    source = at(spots, back)
    shift = np.maximum(0, 14 / scale - source.min(axis=0))  # whole spots, away from the border
    to_face[:, 2] -= to_face[:, :2] @ shift
    source = source + shift
    size = tuple(np.ceil(source.max(axis=0) + 14 / scale).astype(int))
    face = warp(blobs(source, size, 4 / scale), to_face, SIZE)[:, :, 0].astype(float)
    np.testing.assert_allclose(moved(source, to_face, SIZE) * SIZE, spots, atol=1e-3)
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    for spot in spots:
        near = face * (np.hypot(x - spot[0], y - spot[1]) < 14)
        centre = np.array([(near * x).sum(), (near * y).sum()]) / near.sum()
        np.testing.assert_allclose(centre, spot, atol=0.08)


def test_a_large_picture_shrinks_without_aliasing():
    stripes = np.zeros((1088, 2040, 1), np.uint8)
    stripes[:, ::2] = 255
    for scale in (0.2, 0.4):
        plain = cv2.warpAffine(stripes, affine(3, scale, 0, 0), SIZE, flags=cv2.INTER_LINEAR)
        face = warp(stripes, affine(3, scale, 0, 0), SIZE)
        assert face[20:-20, 20:-20].std() < 0.3 * plain[20:-20, 20:-20].std()


def test_beyond_the_border_the_outermost_pixels_go_on():
    picture = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    face = warp(picture, affine(0, 1, 40, 10), (140, 140))
    assert face.shape == (140, 140, 3)
    assert (face[:, :38] == 0).all()
    np.testing.assert_array_equal(face[50, 40:140, 0], np.arange(100))
    np.testing.assert_array_equal(face[0], face[50])  # a copy of the outermost row, not a mirror


def clip_of(length: int) -> list[np.ndarray]:
    """Pictures that can be told apart: the n-th is filled with 10 n."""
    return [np.full((128, 112, 1), 10 * number, np.uint8) for number in range(length)]


def points_moved(*steps: float | None) -> list[np.ndarray | None]:
    return [None if step is None else (face_points() + [step, 0]).astype(np.float32) for step in steps]


def test_the_first_frames_transform_serves_the_clip():
    made = aligned_clip(clip_of(3), given(points_moved(5, 5, 16.2)), SIZE)
    assert made.repairs == ()
    assert made.frames.shape == (3, 128, 112, 1)
    assert made.landmarks.shape == (3, 68, 2)
    assert made.landmarks.dtype == np.float32
    np.testing.assert_allclose(made.landmarks[0], template_points(SIZE), atol=0.01)
    np.testing.assert_allclose(made.landmarks[1], made.landmarks[0])
    np.testing.assert_allclose(made.landmarks[2] - made.landmarks[0], np.tile([0.1, 0], (68, 1)), atol=0.002)


def test_a_first_frame_without_a_face_is_aligned_by_the_first_face():
    made = aligned_clip(clip_of(4), given(points_moved(None, None, 3, 5)), SIZE)
    assert made.repairs == ("first-face",)
    assert made.frames[:, 64, 56, 0].tolist() == [0, 10, 20, 30]
    for early in (0, 1):
        np.testing.assert_array_equal(made.landmarks[early], made.landmarks[2])
    np.testing.assert_allclose(made.landmarks[2], template_points(SIZE), atol=0.01)
    assert made.landmarks[3, 0, 0] > made.landmarks[2, 0, 0] + 0.01


def test_a_later_frame_without_a_face_has_the_nearest_landmarks_in_time():
    made = aligned_clip(clip_of(6), given(points_moved(0, None, None, 9, None, 12)), SIZE)
    assert made.repairs == ("landmarks-nearest",)
    assert [int(np.argmin(np.abs(made.landmarks[[0, 3, 5], 0, 0] - one[0, 0]))) for one in made.landmarks] == [
        0, 0, 1, 1, 1, 2,
    ]  # fmt: skip
    both = aligned_clip(clip_of(3), given(points_moved(None, 0, None)), SIZE)
    assert both.repairs == ("first-face", "landmarks-nearest")
    assert set(both.repairs) <= set(alignment.RULES)


def test_a_clip_without_any_face_is_refused(find):
    with pytest.raises(NoFace, match="in any of 3 pictures") as caught:
        aligned_clip(clip_of(3), find, SIZE)
    assert isinstance(caught.value, AustickerError)


def test_more_pictures_than_given_landmarks_are_refused():
    with pytest.raises(AustickerError, match="landmarks for 1 pictures and more"):
        aligned_clip(clip_of(2), given(points_moved(0)), SIZE)


def test_a_finder_sees_three_channels_and_every_picture_once(find):
    seen, number = [], count()

    def watch(picture):
        seen.append((picture.shape, next(number)))
        return face_points().astype(np.float32)

    aligned_clip(clip_of(3), watch, SIZE)
    assert seen == [((128, 112, 3), index) for index in range(3)]


def test_a_coloured_clip_keeps_its_colours():
    picture = np.full((128, 112, 3), (200, 100, 50), np.uint8)
    made = aligned_clip([picture], given(points_moved(0)), SIZE)
    assert made.frames.shape == (1, 128, 112, 3)
    np.testing.assert_array_equal(made.frames[0], picture)


def test_whole_pictures_are_resized_with_their_landmarks(find):
    picture = photo(5, 1)
    made = whole_clip([picture], find, SIZE)
    assert made.repairs == ()
    assert made.frames.shape == (1, 128, 112, 1)
    own = find(np.repeat(picture, 3, axis=2))
    np.testing.assert_allclose(made.landmarks[0] * [92, 112], own, atol=1e-3)


def test_whole_pictures_of_the_wanted_size_keep_every_byte():
    pictures = [np.random.default_rng(0).integers(0, 256, (48, 48, 1), np.uint8) for _ in range(2)]
    made = whole_clip(pictures, given([np.ones((68, 2), np.float32), None]), (48, 48))
    np.testing.assert_array_equal(made.frames, np.stack(pictures))
    assert made.repairs == ("landmarks-nearest",)
    np.testing.assert_allclose(made.landmarks, 1 / 48)


def test_a_whole_picture_without_a_face_has_the_templates_landmarks(find):
    made = whole_clip([np.full((48, 48, 1), 90, np.uint8)] * 2, find, (96, 96))
    assert made.repairs == ("template-landmarks",)
    assert made.frames.shape == (2, 96, 96, 1)
    for points in made.landmarks:
        np.testing.assert_array_equal(points, template_points((96, 96)))


@pytest.mark.parametrize("size", [(112, 128), (48, 48), (200, 100), (100, 200)])
def test_the_templates_face_keeps_its_shape_and_fits(size):
    points = template_points(size)
    assert points.min() > 0
    assert points.max() < 1
    width, height = np.ptp(points * size, axis=0)
    own = np.ptp(template_points(SIZE) * SIZE, axis=0)
    assert width / height == pytest.approx(own[0] / own[1], rel=1e-4)
    np.testing.assert_allclose(points[[0, 16], 0].mean(), 0.5, atol=0.01)


def test_resizing_goes_by_area_down_and_keeps_the_channel():
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    half = resized(checks, (32, 32))
    assert half.shape == (32, 32, 1)
    assert np.ptp(half) <= 1
    assert resized(checks, (100, 128)).shape == (128, 100, 1)


def test_a_cut_keeps_its_rectangle_and_repeats_the_border():
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    np.testing.assert_array_equal(cut(picture, (10, 20), (30, 25)), picture[20:45, 10:40])
    over = cut(picture, (-5, 40), (20, 20))
    assert over.shape == (20, 20, 3)
    np.testing.assert_array_equal(over[:10, 5:], picture[40:, :15])
    np.testing.assert_array_equal(over[:10, 0], picture[40:, 0])
    np.testing.assert_array_equal(over[15], over[9])


@drawn(
    corner=st.tuples(st.integers(-20, 60), st.integers(-20, 50)), size=st.tuples(st.integers(1, 90), st.integers(1, 90))
)
def test_a_cut_is_what_looking_up_each_pixel_gives(corner, size):
    picture = np.arange(50 * 60 * 3, dtype=np.uint32).astype(np.uint8).reshape(50, 60, 3)
    columns, rows = (np.arange(start, start + length) for start, length in zip(corner, size, strict=True))
    if columns[-1] < 0 or columns[0] > 59 or rows[-1] < 0 or rows[0] > 49:
        with pytest.raises(AustickerError, match="has no part in"):
            cut(picture, corner, size)
        return
    expected = picture[rows.clip(0, 49)[:, None], columns.clip(0, 59)]
    found = cut(picture, corner, size)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


def test_a_rectangle_of_more_pixels_than_any_picture_is_refused():
    picture = np.zeros((50, 60, 1), np.uint8)
    assert pictures.MAX_PIXELS == CUT_LIMIT
    for corner, size in (((0, 0), (8001, 8000)), ((-5, 0), (900_000_000, 10)), ((0, -(10**12)), (1, 2 * 10**12))):
        with pytest.raises(AustickerError, match="has more than 64 million pixels: mend it"):
            cut(picture, corner, size)


@pytest.mark.parametrize(("corner", "size"), [((60, 0), (10, 10)), ((0, -20), (10, 10)), ((5, 5), (0, 10))])
def test_a_rectangle_beside_the_picture_is_refused(corner, size):
    with pytest.raises(AustickerError, match="has no part in a picture of 60 x 50 pixels"):
        cut(np.zeros((50, 60, 1), np.uint8), corner, size)
