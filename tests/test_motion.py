import cv2
import numpy as np
import pytest

from austicker.motion import activity_from_action_units, clip_motion, pixel_box, region_motion
from austicker.regions import NAMES
from austicker.types import AustickerError, Box, Clip, Point

SIDE = 192
CHIN = NAMES.index("chin")
MOVED = 0.01  # face widths
FLOOR = 0.0015  # face widths: well below a planted motion, above the noise measured on this texture


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    cv2.setNumThreads(1)


def face_points() -> np.ndarray:
    """A crude 68-point face with the chin and mouth where `regions` looks for them."""
    points = np.full((68, 2), 0.5, np.float32)
    points[0:17] = [(0.12 + 0.76 * k / 16, 0.35 + 0.57 * np.sin(np.pi * k / 16)) for k in range(17)]
    points[17:22] = [(x, 0.28) for x in np.linspace(0.2, 0.44, 5)]
    points[22:27] = [(x, 0.28) for x in np.linspace(0.56, 0.8, 5)]
    points[27:36] = [(0.5, y) for y in np.linspace(0.36, 0.58, 9)]
    points[36:42] = [(0.33, 0.37)] * 6
    points[42:48] = [(0.67, 0.37)] * 6
    points[48:68] = [(x, 0.7) for x in np.linspace(0.38, 0.62, 20)]
    points[60], points[64], points[57] = (0.38, 0.7), (0.62, 0.7), (0.5, 0.76)
    return points


def texture(rng: np.random.Generator) -> np.ndarray:
    layers = [
        scale * cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), scale)
        for scale in (1.5, 4, 10)
    ]
    picture = np.sum(layers, axis=0)
    return 128 + 30 * picture / picture.std()


def frame(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)[:, :, None]


def motion(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    return region_motion(frame(onset), frame(apex), face_points(), 1.0)


def push_chin(picture: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    chin = face_points()[[57, 8]].mean(axis=0) * SIDE
    bump = np.exp(-((x - chin[0]) ** 2 + (y - chin[1]) ** 2) / (2 * (0.045 * SIDE) ** 2))
    return cv2.remap(picture.astype(np.float32), x, y + bump.astype(np.float32) * MOVED * SIDE, cv2.INTER_CUBIC)


def move_head(picture: np.ndarray) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 2.0, 1.01)
    matrix[:, 2] += (0.012 * SIDE, -0.008 * SIDE)
    picture = picture.astype(np.float32)
    return cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def test_motion_registers_only_where_the_face_moved():
    onset = texture(np.random.default_rng(0))
    found = motion(onset, push_chin(onset))
    others = np.delete(found, CHIN)
    assert 0.2 * MOVED < found[CHIN] < MOVED
    assert others.max() < 0.1 * found[CHIN]
    assert found.dtype == np.float32
    assert found.shape == (14,)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: picture + 20,
        lambda picture: 0.8 * picture,
        lambda picture: picture * np.linspace(0.85, 1.15, SIDE),
        lambda picture: picture + 3 * np.random.default_rng(1).standard_normal(picture.shape),
        move_head,
    ],
    ids=["nothing", "brighter", "flatter", "light from the side", "noise", "head moves"],
)
def test_light_noise_and_head_do_not_register(change):
    onset = texture(np.random.default_rng(0))
    assert motion(onset, change(onset)).max() < FLOOR


def test_a_face_that_moves_with_its_head_keeps_its_own_motion():
    onset = texture(np.random.default_rng(0))
    still, moving = motion(onset, push_chin(onset)), motion(onset, move_head(push_chin(onset)))
    assert moving[CHIN] == pytest.approx(still[CHIN], rel=0.15)


def test_colour_and_gray_agree_and_inputs_stay():
    onset = frame(texture(np.random.default_rng(0)))
    apex = frame(push_chin(onset[:, :, 0]))
    before = onset.copy()
    gray = region_motion(onset, apex, face_points(), 1.0)
    colour = region_motion(onset.repeat(3, axis=2), apex.repeat(3, axis=2), face_points(), 1.0)
    np.testing.assert_allclose(colour, gray, atol=1e-4)
    np.testing.assert_array_equal(onset, before)


def test_boxes_are_clipped_and_a_region_off_the_picture_is_still():
    assert pixel_box(Box(centre=Point(x=0.0, y=0.5), half_width=0.1, half_height=0.1), 100, 200) == (
        slice(40, 60),
        slice(0, 20),
    )
    onset = texture(np.random.default_rng(0))
    points = face_points()
    points[[57, 8]] = (0.5, 2.0)
    assert region_motion(frame(onset), frame(push_chin(onset)), points, 1.0)[CHIN] == 0


def clip(*units: str) -> Clip:
    return Clip(corpus="toy", clip="c", subject="s", label=0, onset=0, apex=1, offset=1, action_units=units)


def test_clip_motion_reads_onset_and_apex():
    onset = texture(np.random.default_rng(0))
    still, moved = frame(onset), frame(push_chin(onset))
    landmarks = np.broadcast_to(face_points(), (2, 68, 2))
    assert clip_motion(clip(), np.stack([still, moved]), landmarks)[CHIN] > FLOOR
    assert clip_motion(clip(), np.stack([still, still]), landmarks).max() == 0


@pytest.mark.parametrize(
    ("unit", "active"),
    [
        ("12", {"mouth-corner-left", "mouth-corner-right"}),
        ("AU12", {"mouth-corner-left", "mouth-corner-right"}),
        ("L12", {"mouth-corner-right"}),
        ("R12B", {"mouth-corner-left"}),
        ("AUR4", {"outer-brow-left", "inner-brow-left", "glabella"}),
        ("A10", {"philtrum"}),
        ("L10", {"philtrum"}),
        ("17", {"chin"}),
        ("38", set()),
    ],
)
def test_action_units_name_regions_on_the_persons_own_sides(unit, active):
    row = activity_from_action_units([clip(unit)])[0]
    assert {name for name, value in zip(NAMES, row, strict=True) if value} == active


def test_what_is_no_action_unit_is_refused():
    with pytest.raises(AustickerError, match="soft focus"):
        activity_from_action_units([clip("soft focus")])
