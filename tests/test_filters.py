"""The ten photo filters against numbers worked out by hand, and against Pillow, OpenCV and SciPy as referees."""

from __future__ import annotations

from math import sqrt

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageChops, ImageEnhance
from scipy.interpolate import UnivariateSpline

from austicker.attacks.filters import blending, photo, toning
from austicker.attacks.filters.chains import HIGH, LOW, NAMES, START, FilterChains

COLOUR = (0.6, 0.4, 0.2)
GRAY = 0.437
"""Its luma: 0.299 x 0.6 + 0.587 x 0.4 + 0.114 x 0.2."""
EVERY = pytest.mark.parametrize("name", NAMES)


def noise(*shape, seed=5):
    """Pictures of random values in 0..1."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def pixels_of(*shape, low=0, high=256, seed=5):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8)


def patch(colour=COLOUR, side=3):
    """A picture of one colour."""
    return torch.tensor(colour, dtype=torch.float64).view(1, 3, 1, 1).expand(1, 3, side, side).clone()


def filtered(name, by, colour=COLOUR):
    """The middle, an edge and a corner of a patch of 3 x 3 after a filter."""
    out = photo.named(name)(patch(colour), torch.tensor([by]))[0]
    return [out[:, row, column].tolist() for row, column in ((1, 1), (0, 1), (0, 0))]


def everywhere(name, by, colour=COLOUR):
    """The colour of a patch after a filter that treats all places alike."""
    middle, edge, corner = filtered(name, by, colour)
    assert middle == edge == corner
    return middle


def gray(colour):
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def held(value):
    return min(1.0, max(0.0, value))


def about(middle, factor, colour):
    """Stretches values about one."""
    return [held(middle + factor * (value - middle)) for value in colour]


def curve(value, gain):
    """The cubic through (0, 0), (64, 64 g), (128, 128 g) and (255, 255), by Lagrange."""
    at, to = (0, 64, 128, 255), (0, 64 * gain, 128 * gain, 255)
    total = 0.0
    for i in range(4):
        term = to[i]
        for j in range(4):
            if i != j:
                term *= (255 * value - at[j]) / (at[i] - at[j])
        total += term
    return held(total / 255)


def soft(under, over):
    """Soft light as the W3C writes it."""
    if over <= 0.5:
        return under - (1 - 2 * over) * under * (1 - under)
    root = ((16 * under - 12) * under + 4) * under if under <= 0.25 else sqrt(under)
    return under + (2 * over - 1) * (root - under)


def test_clarendon_by_hand():
    # Contrast 1.2 about 0.437: (0.6326, 0.3926, 0.1526). Colour 2: (0.8282, 0.3482, -0.1318), which is 0.
    assert everywhere("clarendon", 1.0) == pytest.approx([curve(0.8282, 0.6), 0.3482, 0.0], abs=1e-6)
    # Intensity 0.9: contrast 1.08 and colour 1.8, together 1.944; gains 0.54, 0.9 and 1.08.
    red, green, blue = 0.437 + 1.944 * 0.163, 0.437 - 1.944 * 0.037, 0.0
    expected = [curve(red, 0.54), curve(green, 0.9), blue]
    assert everywhere("clarendon", 0.9) == pytest.approx(expected, abs=1e-6)


def test_gingham_by_hand():
    # Times 1.1: (0.66, 0.44, 0.22), luma 0.4807. Colour 1.1, then contrast 0.7: 0.77 of the way from 0.4807.
    expected = [0.4807 + 0.77 * (value - 0.4807) for value in (0.66, 0.44, 0.22)]
    assert everywhere("gingham", 1.0) == pytest.approx(expected, abs=1e-6)
    bright = [0.9, 1.0, 0.3]  # times 1.21, and cut: (1, 1, 0.363)
    luma = gray((1, 1, 0.363))
    colourful = about(luma, 1.21, (1, 1, 0.363))
    assert everywhere("gingham", 1.1, bright) == pytest.approx(about(gray(colourful), 0.77, colourful), abs=1e-6)


def test_juno_by_hand():
    # Contrast 1.15 and colour 1.1: 1.265 of the way, (0.643195, 0.390195, 0.137195); then the power 1 / 1.3 between.
    high, middle, low = (0.437 + 1.265 * (value - 0.437) for value in COLOUR)
    share = (middle - low) / (high - low)
    assert share == pytest.approx(0.5)
    assert everywhere("juno", 1.0) == pytest.approx([high, 0.5 ** (1 / 1.3) * (high - low) + low, low], abs=1e-6)
    high, low = 0.437 + 1.265 * 1.21 * 0.163, 0.437 - 1.265 * 1.21 * 0.237
    assert everywhere("juno", 1.1) == pytest.approx([high, 0.5 ** (1 / 1.43) * (high - low) + low, low], abs=1e-6)


def test_reyes_by_hand():
    # Contrast 0.8 and colour 0.7: 0.56 of the way from 0.437; times 1.2; the power 1 / 1.2; gains 1.1, 1.1 and 1.
    high, low = 1.2 * (0.437 + 0.56 * 0.163), 1.2 * (0.437 - 0.56 * 0.237)
    middle = 0.5 ** (1 / 1.2) * (high - low) + low
    expected = [curve(high, 1.1), curve(middle, 1.1), low]
    assert everywhere("reyes", 1.0) == pytest.approx(expected, abs=1e-6)
    high, low = 1.08 * (0.437 + 0.4536 * 0.163), 1.08 * (0.437 - 0.4536 * 0.237)
    middle = 0.5 ** (1 / 1.08) * (high - low) + low
    expected = [curve(high, 0.99), curve(middle, 0.99), curve(low, 0.9)]
    assert everywhere("reyes", 0.9) == pytest.approx(expected, abs=1e-6)


def test_lark_by_hand():
    # The power 1 / 0.8 between 0.2 and 0.6; nothing of it is blue.
    assert everywhere("lark", 1.0) == pytest.approx([0.6, 0.5**1.25 * 0.4 + 0.2, 0.2], abs=1e-6)
    # Blue: the power 1 / 0.88, then 1 / 1.3 for the mask and what the gains 0.88, 0.88 and 1.32 are laid on.
    first = 0.5 ** (1 / 0.88) * 0.6 + 0.2
    second = ((first - 0.2) / 0.6) ** (1 / 1.3) * 0.6 + 0.2
    expected = [curve(0.2, 0.88), curve(second, 0.88), curve(0.8, 1.32)]
    assert everywhere("lark", 1.1, (0.2, 0.5, 0.8)) == pytest.approx(expected, abs=1e-6)


def test_stinson_by_hand():
    for by in (1.0, 1.15):
        light = [
            0.8 * value + 0.2 * soft(value, over / 255) for value, over in zip(COLOUR, (240, 149, 128), strict=True)
        ]
        flat = about(gray(light), 0.75 * by * 0.85 * by, light)
        assert everywhere("stinson", by) == pytest.approx([held(1.15 * by * value) for value in flat], abs=1e-6)


def test_slumber_by_hand():
    # Nothing of the first patch is darker than (69, 41, 12), and all of the second.
    for colour in (COLOUR, (0.1, 0.12, 0.02)):
        brown = [0.6 * value + 0.4 * max(value, over / 255) for value, over in zip(colour, (69, 41, 12), strict=True)]
        light = [0.5 * value + 0.5 * soft(value, over / 255) for value, over in zip(brown, (125, 105, 24), strict=True)]
        expected = [1.05 * 1.1 * value for value in about(gray(light), 0.66 * 1.1, light)]
        assert everywhere("slumber", 1.1, colour) == pytest.approx(expected, abs=1e-6)


def placed(places):
    """The mean over 3 x 3 pixels of what holds in the middle, on four edges and in four corners."""
    middle, edge, corner = places
    return (middle + 4 * edge + 4 * corner) / 9


OUTWARDS = (0.0, sqrt(0.5), 1.0)
"""How far the middle, an edge's middle and a corner are from the middle of 3 x 3 pixels."""


def test_hudson_by_hand():
    by, lit = 1.15, []
    for out in OUTWARDS:
        light = [inner + out * (outer - inner) for inner, outer in zip((166, 177, 255), (52, 33, 52), strict=True)]
        halved = [0.5 * value + 0.5 * value * over / 255 for value, over in zip(COLOUR, light, strict=True)]
        lit.append([held(1.2 * by * value) for value in halved])
    middle = placed([gray(colour) for colour in lit])
    flat = [about(middle, 0.9 * by, colour) for colour in lit]
    expected = [about(gray(colour), 1.1 * by, colour) for colour in flat]
    for found, wanted in zip(filtered("hudson", by), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_rise_by_hand():
    by, toned = 1.1, []
    for out in OUTWARDS:
        colour = []
        for value, warm, brown, glow in zip(COLOUR, (236, 205, 169), (50, 30, 7), (232, 197, 152), strict=True):
            inner = 0.85 * value + 0.15 * value * warm / 255
            outer = 0.6 * value + 0.4 * value * brown / 255
            mixed = inner + out * (outer - inner)
            over = glow / 255
            overlaid = 2 * mixed * over if mixed <= 0.5 else 1 - 2 * (1 - mixed) * (1 - over)
            glowing = 0.2 * mixed + 0.8 * overlaid
            colour.append(held(1.05 * by * (mixed + 0.6 * (1 - out) * (glowing - mixed))))
        red, green, blue = colour
        sepia = (
            0.393 * red + 0.769 * green + 0.189 * blue,
            0.349 * red + 0.686 * green + 0.168 * blue,
            0.272 * red + 0.534 * green + 0.131 * blue,
        )
        toned.append([held((1 - 0.2 * by) * value + 0.2 * by * old) for value, old in zip(colour, sepia, strict=True)])
    middle = placed([gray(colour) for colour in toned])
    flat = [about(middle, 0.9 * by, colour) for colour in toned]
    expected = [about(gray(colour), 0.9 * by, colour) for colour in flat]
    for found, wanted in zip(filtered("rise", by), expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_perpetua_by_hand():
    by = 1.45
    out = photo.named("perpetua")(patch(), torch.tensor([by]))[0]
    for row, light in enumerate([(0, 91, 154), (115, 142, 107.5), (230, 193, 61)]):  # blue above, yellow below
        expected = [
            value + 0.5 * by * (soft(value, over / 255) - value) for value, over in zip(COLOUR, light, strict=True)
        ]
        for column in range(3):
            assert out[:, row, column].tolist() == pytest.approx(expected, abs=1e-6)


@EVERY
def test_strength_is_the_share_of_the_filter(name):
    pictures = noise(2, 3, 5, 4)
    low, high = torch.tensor([0.7, 1.0]), torch.tensor([1.1, 1.0])
    full = photo.named(name)(pictures, high)
    found = photo.applied(name, pictures, low, high)
    torch.testing.assert_close(found[0], 0.3 * pictures[0] + 0.7 * full[0])
    torch.testing.assert_close(found[1], full[1])
    assert not torch.equal(full, pictures)


@EVERY
def test_filters_stay_in_range_and_touch_nothing_given(name):
    extremes = [torch.zeros(3, 6, 5), torch.ones(3, 6, 5), torch.full((3, 6, 5), 0.5), noise(3, 6, 5).round()]
    pictures = torch.stack([*extremes, noise(3, 6, 5)])
    before = pictures.clone()
    for by in (LOW[NAMES.index(name), 1], HIGH[NAMES.index(name), 1]):
        out = photo.named(name)(pictures, torch.full((5,), by))
        assert torch.isfinite(out).all()
        assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(pictures, before)


def test_a_gray_picture_of_one_value_has_no_gamma():
    flat = torch.full((1, 3, 4, 4), 0.3)
    assert torch.equal(toning.gamma(flat, torch.tensor([[[[1.7]]]])), flat)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.3, 2.2])
@pytest.mark.parametrize(
    ("step", "referee"),
    [
        (toning.brightness, ImageEnhance.Brightness),
        (toning.contrast, ImageEnhance.Contrast),
        (toning.saturation, ImageEnhance.Color),
    ],
)
def test_steps_agree_with_pillow_to_its_rounding(step, referee, factor):
    for seed in range(3):
        pixels = pixels_of(9, 8, 3, low=30, high=200, seed=seed)
        picture = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
        ours = step(picture, torch.tensor([[[[factor]]]]))[0].permute(1, 2, 0).numpy() * 255
        theirs = np.asarray(referee(Image.fromarray(pixels)).enhance(factor), np.float64)
        # Pillow rounds the gray that it stretches about, and cuts the result off to a whole number.
        assert (abs(ours - theirs) <= 1 + abs(1 - factor)).all()


@pytest.mark.parametrize(
    ("mode", "referee"),
    [
        (blending.multiply, ImageChops.multiply),
        (blending.lighten, ImageChops.lighter),
        (blending.overlay, ImageChops.overlay),
    ],
)
def test_blend_modes_agree_with_pillow_to_its_rounding(mode, referee):
    under, over = pixels_of(2, 9, 8, 3)
    first, second = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 for pixels in (under, over))
    ours = mode(first, second)[0].permute(1, 2, 0).numpy() * 255
    theirs = np.asarray(referee(Image.fromarray(under), Image.fromarray(over)), np.float64)
    assert abs(ours - theirs).max() <= 3.5  # Pillow's overlay divides by 127, ours by 127.5


def test_gains_are_the_spline_through_four_points():
    values = torch.linspace(0, 1, 256, dtype=torch.float64).expand(1, 3, 1, 256)
    factors = (0.6, 1.0, 1.32)
    found = toning.gains(values, factors, torch.ones(1, 1, 1, 1))[0, :, 0].numpy() * 255
    for gain, ours in zip(factors, found, strict=True):
        knots = np.array([0, 64, 128, 255])
        to = np.where(knots == 255, 255, knots * gain)
        np.testing.assert_allclose(ours, UnivariateSpline(knots, to)(np.arange(256)).clip(0, 255), atol=1e-4)
        assert (ours[0], ours[64], ours[128], ours[255]) == pytest.approx((0, 64 * gain, 128 * gain, 255), abs=1e-4)


def test_what_is_blue_agrees_with_opencv_but_on_its_bounds():
    pixels = pixels_of(60, 60, 3)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(int), 2, 0)
    found = toning.blue(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)[0, 0].numpy()

    def within(slack):
        by_hue = (hue >= 90 - slack) & (hue <= 130 + slack)
        return by_hue & (saturation >= 50 - slack) & (value >= 30 - slack) & (value <= 230 + slack)

    assert found[within(-1)].all()
    assert not found[~within(1)].any()
    assert within(-1).sum() > 200


def test_ranges_and_first_parameters_are_the_published_ones():
    assert tuple(photo.FILTERS) == NAMES
    np.testing.assert_allclose(LOW[:, 0], 0.7)
    np.testing.assert_allclose(HIGH[:, 0], 1.0)
    np.testing.assert_allclose(LOW[:, 1], [0.9] * 5 + [1.0] * 4 + [1.1])
    np.testing.assert_allclose(HIGH[:, 1], [1.1] * 5 + [1.15] * 4 + [1.45])
    np.testing.assert_allclose(START, [[1, 1]] * 9 + [[1, 1.1]])


def chains(count, length, seed=0):
    rng = np.random.default_rng(seed)
    filters = rng.integers(len(NAMES), size=(count, length))
    return FilterChains.of(filters, rng.uniform(LOW[filters], HIGH[filters]))


def one_after_the_other(chain, picture):
    """A sequence on one picture (3, h, w) of 0..1, filter by filter."""
    for number, (strength, intensity) in zip(chain.filters[0], chain.parameters[0].tolist(), strict=True):
        whole = photo.named(NAMES[number])(picture[None], torch.tensor([intensity]))[0]
        picture = (1 - strength) * picture + strength * whole
    return picture


def test_a_population_is_filtered_as_each_of_its_members_alone():
    population, clips = chains(12, 4), noise(12, 2, 3, 10, 9) * 255
    before = clips.clone()
    found = population.applied(clips)
    assert found.shape == clips.shape
    assert torch.equal(clips, before)
    for row in range(12):
        assert torch.equal(population[row : row + 1].applied(clips[row : row + 1])[0], found[row])
        for frame in range(2):
            alone = one_after_the_other(population[[row]], clips[row, frame] / 255)
            torch.testing.assert_close(found[row, frame], alone * 255, atol=2e-3, rtol=0)


def test_many_pictures_are_filtered_in_parts_without_a_seam(monkeypatch):
    population, clips = chains(9, 3), noise(9, 1, 3, 8, 7) * 255
    whole = population.applied(clips)
    monkeypatch.setattr("austicker.attacks.filters.chains.CACHED", 1)
    assert torch.equal(population.applied(clips), whole)


def test_the_order_of_filters_matters():
    ones = np.ones((2, 2))
    both = FilterChains(filters=np.array([[0, 5], [5, 0]]), strength=ones, intensity=ones)
    first, second = both.applied(noise(1, 1, 3, 8, 8).expand(2, -1, -1, -1, -1) * 255)
    assert abs(first - second).max() > 1


def test_gray_clips_are_filtered_as_colour_and_come_back_gray():
    population, clips = chains(6, 3), noise(6, 2, 1, 7, 6) * 255
    before = clips.clone()
    found, coloured = population.applied(clips), population.applied(clips.repeat(1, 1, 3, 1, 1))
    assert found.shape == clips.shape
    assert torch.equal(clips, before)
    luma = 0.299 * coloured[:, :, 0] + 0.587 * coloured[:, :, 1] + 0.114 * coloured[:, :, 2]
    torch.testing.assert_close(found[:, :, 0], luma, atol=1e-3, rtol=0)
    assert not torch.equal(coloured[:, :, 0], coloured[:, :, 2])


def test_recipes_say_what_was_done():
    ones = FilterChains(
        filters=np.array([[0, 9]]), strength=np.array([[1.0, 0.71234567]]), intensity=np.array([[1.0, 1.45]])
    )
    assert ones.columns(0) == {"recipe": '[["clarendon",1.0,1.0],["perpetua",0.7123,1.45]]'}


def test_sequences_are_cut_and_joined():
    first, second = chains(3, 2, seed=1), chains(2, 2, seed=2)
    whole = FilterChains.joined([first, second])
    assert len(whole) == 5
    for rows in (slice(3, 5), np.array([3, 4]), np.array([False, False, False, True, True])):
        np.testing.assert_array_equal(whole[rows].parameters, second.parameters)
        np.testing.assert_array_equal(whole[rows].filters, second.filters)
    assert [whole.columns(row) for row in range(3)] == [first.columns(row) for row in range(3)]
