"""The detector and both landmarkers on photographs, on pictures of few pixels, and on no face at all."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from functools import cache

import cv2
import numpy as np
import pytest

from austicker.corpora import orl
from austicker.faces import LEFT_IRIS, RIGHT_IRIS, detector, ibug_68, landmarker
from austicker.types import AustickerError

LANDMARKERS = ("mediapipe", "dlib")
EYES_AND_CORNERS = (slice(36, 42), slice(42, 48), slice(48, 49), slice(54, 55))


def original(person=5, number=1):
    """The 92 x 112 photograph, (h, w, 3)."""
    return np.repeat(orl.photo(person, number)[:, :, None], 3, axis=2)


def photo(person=5, number=1):
    large = cv2.resize(original(person, number)[:, :, 0], None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
    return np.repeat(cv2.copyMakeBorder(large, 30, 30, 30, 30, cv2.BORDER_REPLICATE)[:, :, None], 3, axis=2)


@pytest.fixture(scope="module")
def detect():
    with detector() as found:
        yield found


@pytest.fixture(scope="module")
def face(detect):
    return detect(photo())


@pytest.fixture(scope="module")
def points(face):
    return ibug_68(face.mesh)


def test_a_photo_has_a_face_inside_of_it(face, points):
    height, width = photo().shape[:2]
    assert face.mesh.shape == (478, 2)
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    assert (points > 0).all()
    assert (points < [width, height]).all()


def test_ibug_points_are_in_their_order(points):
    x, y = points.T
    left_eye, right_eye, mouth = slice(36, 42), slice(42, 48), slice(48, 68)
    assert x[left_eye].max() < x[27:31].min()
    assert x[27:31].max() < x[right_eye].min()
    assert y[17:22].mean() < y[left_eye].min()
    assert y[22:27].mean() < y[right_eye].min()
    assert max(y[left_eye].max(), y[right_eye].max()) < y[33] < y[mouth].min()
    assert y[mouth].max() < y[8]
    # Runs from one side to the other: jaw, brows, nose down its bridge, nostrils, upper lip.
    assert (np.diff(y[27:31]) > 0).all()
    for run in (slice(17, 22), slice(22, 27), slice(31, 36), slice(48, 55), slice(60, 65)):
        assert (np.diff(x[run]) > 0).all(), run
    assert y[8] == y[:17].max()
    assert x[0] < x[4] < x[8] < x[12] < x[16]
    # Lids and lips: upper before lower.
    for upper, lower in (((37, 38), (41, 40)), ((43, 44), (47, 46)), ((50, 52), (58, 56)), ((62,), (66,))):
        assert (y[list(upper)] <= y[list(lower)]).all()


def test_irises_lie_within_their_own_eyes(face, points):
    for iris, eye in ((LEFT_IRIS, slice(36, 42)), (RIGHT_IRIS, slice(42, 48))):
        low, high = points[eye].min(axis=0) - 2, points[eye].max(axis=0) + 2
        assert (face.mesh[iris] > low).all()
        assert (face.mesh[iris] < high).all()


def test_the_pose_is_a_rotation_and_the_expression_has_scores(face):
    np.testing.assert_allclose(face.rotation @ face.rotation.T, np.eye(3), atol=1e-3)
    assert np.linalg.det(face.rotation) == pytest.approx(1, abs=1e-3)
    assert face.rotation[2, 2] > 0.8  # looks at the camera
    assert {"mouthSmileLeft", "jawOpen", "browDownRight"} <= set(face.expression)
    assert all(0 <= score <= 1 for score in face.expression.values())


def test_a_turned_photo_turns_the_pose(detect, face):
    picture = photo()
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1.0)  # counter-clockwise
    turned = detect(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
    before, after = (np.degrees(np.arctan2(f.rotation[1, 0], f.rotation[0, 0])) for f in (face, turned))
    assert after - before == pytest.approx(15, abs=4)


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8),
        np.full((240, 240, 3), 128, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["noise", "gray", "one pixel"],
)
def test_no_face_is_an_answer(detect, picture):
    assert detect(picture) is None


def test_silencing_the_start_leaves_stderr_as_it_was(capfd):
    with detector():
        os.write(2, b"still here\n")
    assert "still here" in capfd.readouterr().err


@pytest.fixture(scope="module")
def find():
    """Opens a landmarker by name; dlib's is an extra."""
    with ExitStack() as opened:

        @cache
        def by_name(name):
            if name == "dlib":
                pytest.importorskip("dlib")
            return opened.enter_context(landmarker(name))

        yield by_name


def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def between_eyes(points):
    return float(np.linalg.norm(points[42:48].mean(axis=0) - points[36:42].mean(axis=0)))


@pytest.mark.parametrize("picture", [astronaut, original, lambda: original(1, 1)], ids=["astronaut", "s5", "s1"])
def test_both_landmarkers_agree_on_eyes_and_mouth(find, picture):
    first, second = (find(name)(picture()) for name in LANDMARKERS)
    assert first.shape == second.shape == (68, 2)
    assert first.dtype == second.dtype == np.float32
    for part in EYES_AND_CORNERS:
        apart = np.linalg.norm(first[part].mean(axis=0) - second[part].mean(axis=0))
        assert apart < 0.05 * between_eyes(first), part


@pytest.mark.parametrize("name", LANDMARKERS)
def test_a_landmarker_answers_the_same_for_the_same_picture(find, name):
    first = find(name)(astronaut())
    find(name)(original())
    assert find(name)(astronaut()).tobytes() == first.tobytes()


@pytest.mark.parametrize("name", LANDMARKERS)
def test_every_person_is_found_in_pictures_of_few_pixels(find, name):
    assert all(find(name)(original(person)) is not None for person in range(1, 41))


def square(points, side=48):
    """The map of a face, tightly cut, to a small square, in continuous pixels: the scale and the shift."""
    low, high = points[17:].min(axis=0), points[17:].max(axis=0)
    middle, length = (low + high) / 2, 1.35 * (high - low).max()
    return side / length, side / 2 - middle * side / length


@pytest.mark.parametrize("name", LANDMARKERS)
@pytest.mark.parametrize("person", [3, 5, 14, 28])
def test_a_face_of_48_pixels_has_its_points_where_the_large_one_has_them(find, name, person):
    """Points come back to the small picture's own pixels, without the shift of a half pixel here or a border there."""
    large = photo(person)
    truth = find(name)(large)
    scale, shift = square(truth)
    corner, far = -shift / scale, (48 - shift) / scale
    left, top, right, bottom = *np.rint(corner).astype(int), *np.rint(far).astype(int)
    cell = cv2.resize(large[top:bottom, left:right], (48, 48), interpolation=cv2.INTER_AREA)
    found = find(name)(cell)
    expected = (truth - [left, top]) * 48 / [right - left, bottom - top]
    error = np.linalg.norm(found - expected, axis=1)[17:]
    assert np.median(error) < 0.05 * between_eyes(expected)
    assert np.abs((found - expected)[17:].mean(axis=0)).max() < 0.04 * between_eyes(expected)


def test_a_face_that_fills_its_picture_is_found_at_the_second_attempt():
    """The detector alone sees no face in a cut that begins at the brows and ends at the chin."""
    pictures = [photo(person) for person in range(1, 41)]
    with detector() as detect, landmarker("mediapipe") as find:
        cuts = []
        for picture in pictures:
            points = ibug_68(detect(picture).mesh)
            (left, top), (right, bottom) = points[17:].min(axis=0), points[17:].max(axis=0)
            cut = picture[int(top) - 8 : int(bottom) + 8, int(left) - 8 : int(right) + 8]
            cuts.append(cv2.resize(cut, None, fx=2, fy=2, interpolation=cv2.INTER_LANCZOS4))
        missed = [cut for cut in cuts if detect(cut) is None]
        assert missed
        assert sum(find(cut) is not None for cut in missed) > len(missed) / 2


@pytest.mark.parametrize("name", LANDMARKERS)
@pytest.mark.parametrize("side", [1, 48, 300])
def test_a_landmarker_finds_no_face_where_there_is_none(find, name, side):
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    assert find(name)(noise) is None
    assert find(name)(np.full_like(noise, 128)) is None


def test_dlib_finds_a_face_in_a_large_picture_where_it_is(find):
    """Detection runs on a reduced copy, the points on the picture itself."""
    small = find("dlib")(astronaut())
    large = find("dlib")(cv2.resize(astronaut(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
    assert np.median(np.linalg.norm(large / 4 - small, axis=1)) < 0.04 * between_eyes(small)


def test_dlib_takes_the_largest_face(find):
    picture = astronaut()
    small = cv2.resize(picture, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    both = np.full((512, 900, 3), 200, np.uint8)
    both[:384, :384], both[:, 388:] = small, picture
    assert find("dlib")(both)[:, 0].min() > 388
    assert find("dlib")(np.ascontiguousarray(both[:, ::-1]))[:, 0].max() < 900 - 388


@pytest.mark.parametrize("absent", ["dlib", "face_recognition_models"])
def test_without_its_extra_dlib_is_refused_in_one_sentence(monkeypatch, absent):
    pytest.importorskip("dlib")
    monkeypatch.setitem(sys.modules, absent, None)  # what Python itself puts there to say that a module is absent
    with pytest.raises(AustickerError, match=r"pip install \"austicker\[dlib\]\"") as caught, landmarker("dlib"):
        pass
    assert "\n" not in str(caught.value)


def test_an_unknown_landmarker_is_refused_with_those_there_are():
    with pytest.raises(AustickerError, match="'haar': choose 'mediapipe' or 'dlib'"), landmarker("haar"):
        pass
