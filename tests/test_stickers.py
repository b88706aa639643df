"""Stickers: the shipped art, the user's own pictures, resampling, and compositing against a brute-force twin."""

from __future__ import annotations

import dataclasses
import math
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from austicker import drawing, stickers
from austicker.types import AustickerError, Sticker

RED = [255, 0, 0, 255]


def brute_force(frames, bank, which, centres, shown):
    """Eq. 2 one pixel at a time, with Python's own arithmetic for the place."""
    out = frames.copy()
    items, times, channels, height, width = frames.shape
    for item in range(items):
        sticker = bank[which[item]]
        for time in range(times):
            if not shown[item, time]:
                continue
            left = math.floor(float(centres[item, time, 0]) * width - sticker.shape[2] / 2 + 0.5)
            top = math.floor(float(centres[item, time, 1]) * height - sticker.shape[1] / 2 + 0.5)
            for row in range(sticker.shape[1]):
                for column in range(sticker.shape[2]):
                    y, x, alpha = top + row, left + column, sticker[3, row, column]
                    if not (0 <= y < height and 0 <= x < width) or alpha == 0:
                        continue
                    colour = sticker[:3, row, column]
                    if channels == 1:
                        colour = [0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]]
                    for channel in range(channels):
                        under = frames[item, time, channel, y, x]
                        out[item, time, channel, y, x] = (1 - alpha) * under + alpha * colour[channel]
    return out


def composite(frames, bank, which, centres, shown=None):
    mask = None if shown is None else torch.from_numpy(shown)
    tensors = (torch.from_numpy(array) for array in (frames, bank, which, centres))
    return stickers.composite(*tensors, mask).numpy()


@st.composite
def scenes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, t, c = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    h, w, k = draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 3))
    sh, sw = draw(st.integers(1, 11)), draw(st.integers(1, 11))
    bank = rng.uniform(0, 255, (k, 4, sh, sw)).astype(np.float32)
    bank[:, 3] = rng.choice([0, 1, 0.25, rng.random()], (k, sh, sw))
    # Steps of 1/16 put many centres exactly on a rounding boundary and many stickers across a border.
    centres = (rng.integers(-16, 33, (n, t, 2)) / 16).astype(np.float32)
    frames = rng.uniform(0, 255, (n, t, c, h, w)).astype(np.float32)
    return frames, bank, rng.integers(0, k, n), centres, rng.random((n, t)) < 0.8


@settings(max_examples=150, deadline=None)
@given(scenes())
def test_compositing_equals_the_brute_force_twin_and_touches_only_the_footprint(scene):
    frames, bank, which, centres, shown = scene
    kept = frames.copy()
    out = composite(frames, bank, which, centres, shown)
    np.testing.assert_allclose(out, brute_force(frames, bank, which, centres, shown), atol=1e-3)
    np.testing.assert_array_equal(frames, kept)
    # Where the twin, given a sticker of a colour that no frame holds, changes nothing, not one bit may change.
    marked = bank.copy()
    marked[:, :3] = 1e4
    outside = brute_force(frames, marked, which, centres, shown) == frames
    np.testing.assert_array_equal(out[outside], frames[outside])


def test_a_transparent_sticker_changes_nothing_and_an_opaque_one_covers_exactly():
    rng = np.random.default_rng(0)
    frames = rng.uniform(0, 255, (1, 2, 3, 12, 10)).astype(np.float32)
    bank = rng.uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)
    bank[0, 3], bank[1, 3] = 0, 1
    centres = np.full((1, 2, 2), 0.5, np.float32)
    np.testing.assert_array_equal(composite(frames, bank, np.array([0]), centres), frames)
    covered = composite(frames, bank, np.array([1]), centres)
    for time in range(2):
        np.testing.assert_array_equal(covered[0, time, :, 4:8, 4:7], bank[1, :3])
    assert (covered != frames).sum() == 2 * 3 * 4 * 3


@pytest.mark.parametrize(
    ("centre", "face", "part"),
    [
        ((0.0, 0.5), (slice(3, 7), slice(0, 2)), (slice(0, 4), slice(2, 4))),
        ((1.0, 0.5), (slice(3, 7), slice(8, 10)), (slice(0, 4), slice(0, 2))),
        ((0.5, 0.0), (slice(0, 2), slice(3, 7)), (slice(2, 4), slice(0, 4))),
        ((0.5, 1.0), (slice(8, 10), slice(3, 7)), (slice(0, 2), slice(0, 4))),
        ((1.0, 1.0), (slice(8, 10), slice(8, 10)), (slice(0, 2), slice(0, 2))),
    ],
)
def test_a_sticker_half_outside_keeps_its_visible_half(centre, face, part):
    bank = np.arange(64, dtype=np.float32).reshape(1, 4, 4, 4) + 1
    bank[:, 3] = 1
    frames = np.zeros((1, 1, 3, 10, 10), np.float32)
    out = composite(frames, bank, np.array([0]), np.array([[centre]], np.float32))[0, 0]
    np.testing.assert_array_equal(out[:, face[0], face[1]], bank[0, :3, part[0], part[1]])
    out[:, face[0], face[1]] = 0
    assert not out.any()


def test_a_sticker_outside_the_face_changes_nothing():
    frames = np.ones((1, 1, 1, 8, 8), np.float32)
    out = composite(frames, np.ones((1, 4, 3, 3), np.float32) * 9, np.array([0]), np.full((1, 1, 2), 7, np.float32))
    np.testing.assert_array_equal(out, frames)


def test_a_sticker_moves_one_pixel_for_each_pixel_of_its_centre():
    bank = np.full((1, 4, 3, 3), 200, np.float32)
    bank[:, 3] = 1
    centres = np.stack([np.arange(2, 14) / 16, np.full(12, 0.5)], 1).astype(np.float32)[None]
    out = composite(np.zeros((1, 12, 1, 16, 16), np.float32), bank, np.array([0]), centres)
    first = [int(np.flatnonzero(frame.any(axis=0))[0]) for frame in out[0, :, 0]]
    assert np.diff(first).tolist() == [1] * 11


def test_integer_frames_are_refused():
    zeros = torch.zeros(1, 1, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(TypeError, match="floating point"):
        stickers.composite(zeros, torch.zeros(1, 4, 2, 2), torch.zeros(1, dtype=torch.long), torch.zeros(1, 1, 2))


@pytest.mark.parametrize("name", stickers.STICKERS)
def test_shipped_pictures_are_what_the_script_draws(name):
    shipped = stickers.load(name)
    drawn = drawing.DRAWINGS[name]().picture()
    differing = (shipped.rgba != drawn).any(axis=2).mean()
    assert differing < 1e-3  # another OpenCV may round a few edge pixels otherwise
    assert shipped.rgba.shape == (256, 256, 4)
    assert not shipped.rgba[:2, :2, 3].any()


def test_shipped_stickers_are_the_eight_of_the_paper_and_differ():
    assert list(stickers.STICKERS) == list(drawing.DRAWINGS)
    assert "".join(stickers.STICKERS.values()) == "abcdefgh"
    assert len({stickers.load(name).digest for name in stickers.STICKERS}) == 8


def test_the_script_remakes_the_package_data(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(drawing, "__file__", str(tmp_path / "drawing.py"))
    drawing.main()
    for name in stickers.STICKERS:
        remade = stickers.load(str(tmp_path / "data" / f"sticker-{name}.png"))
        np.testing.assert_array_equal(remade.rgba, drawing.DRAWINGS[name]().picture())


def save(path: Path, rgb: np.ndarray) -> str:
    assert cv2.imwrite(str(path), rgb[..., [2, 1, 0, 3][: rgb.shape[2]]] if rgb.ndim == 3 else rgb)
    return str(path)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_users_picture_keeps_its_bytes(tmp_path, channels):
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, channels), np.uint8)
    sticker = stickers.load(save(tmp_path / "mine.png", picture))
    np.testing.assert_array_equal(sticker.rgba[..., :channels], picture)
    assert channels == 4 or (sticker.rgba[..., 3] == 255).all()
    assert sticker.name == "mine.png"
    same = stickers.load(save(tmp_path / "copy.png", picture))
    picture[0, 0, 0] ^= 1
    other = stickers.load(save(tmp_path / "other.png", picture))
    assert sticker.digest == same.digest != other.digest


def test_the_digest_tells_the_shape(tmp_path):
    wide, tall = np.full((2, 3, 4), 9, np.uint8), np.full((3, 2, 4), 9, np.uint8)
    first, second = (stickers.load(save(tmp_path / f"{p.shape[0]}.png", p)) for p in (wide, tall))
    assert first.digest != second.digest


def png(colour: int, depth: int, rows: list[bytes], width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG written by hand, so that no encoder chooses its kind."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    whole = [(b"IHDR", header), *chunks, (b"IDAT", pixels), (b"IEND", b"")]
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in whole)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


PALETTE = (b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7]))
PAINTED = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 8, 7)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(3, 8, [bytes([0, 1, 2, 3])], 4, PALETTE), [(*c, 255) for c in PAINTED]),
        (png(3, 2, [b"\x1b"], 4, PALETTE), [(*c, 255) for c in PAINTED]),
        (
            png(3, 4, [b"\x01\x23"], 4, PALETTE, (b"tRNS", bytes([0, 128]))),
            [(*c, a) for c, a in zip(PAINTED, (0, 128, 255, 255), strict=True)],
        ),
        (png(3, 1, [b"\x40"], 2, (b"PLTE", PALETTE[1][:6]), (b"tRNS", b"\x07")), [(255, 0, 0, 7), (0, 255, 0, 255)]),
        (png(0, 8, [bytes([0, 7, 255])], 3), [(v, v, v, 255) for v in (0, 7, 255)]),
        (png(0, 8, [bytes([0, 7, 255])], 3, (b"tRNS", b"\0\7")), [(0, 0, 0, 255), (7, 7, 7, 0), (255, 255, 255, 255)]),
        (png(0, 2, [b"\x1b"], 4), [(v, v, v, 255) for v in (0, 85, 170, 255)]),
        (
            png(0, 2, [b"\x1b"], 4, (b"tEXt", b"k\0v"), (b"tRNS", b"\0\2")),
            [(v, v, v, 0 if v == 170 else 255) for v in (0, 85, 170, 255)],
        ),
        (png(0, 1, [b"\x40"], 2, (b"tRNS", b"\0\1")), [(0, 0, 0, 255), (255, 255, 255, 0)]),
        (png(4, 8, [bytes([10, 20, 30, 40])], 2), [(10, 10, 10, 20), (30, 30, 30, 40)]),
        (
            png(2, 8, [bytes([1, 2, 3, 4, 5, 6])], 2, (b"tRNS", bytes([0, 1, 0, 2, 0, 3]))),
            [(1, 2, 3, 0), (4, 5, 6, 255)],
        ),
    ],
)
def test_palettes_and_grays_become_the_rgba_that_they_mean(tmp_path, content, expected):
    (tmp_path / "mine.png").write_bytes(content)
    assert stickers.load(str(tmp_path / "mine.png")).rgba.tolist() == [[list(pixel) for pixel in expected]]


def test_a_palette_and_an_rgba_file_of_one_picture_have_one_digest(tmp_path):
    (tmp_path / "palette.png").write_bytes(png(3, 8, [bytes([0, 1, 2, 3])], 4, PALETTE))
    (tmp_path / "rgba.png").write_bytes(png(6, 8, [bytes(v for c in PAINTED for v in (*c, 255))], 4))
    one, other = (stickers.load(str(tmp_path / name)) for name in ("palette.png", "rgba.png"))
    assert one.digest == other.digest


def broken_pictures(folder: Path) -> dict[str, str]:
    rng = np.random.default_rng(2)
    whole = Path(save(folder / "whole.png", rng.integers(0, 256, (64, 64, 4), np.uint8))).read_bytes()
    (folder / "text.png").write_text("not a picture, but long enough to hold a header and more")
    (folder / "empty.png").write_bytes(b"")
    (folder / "short.png").write_bytes(whole[:2000])
    (folder / "damaged.png").write_bytes(whole[:60] + bytes(3000) + whole[3060:])
    cv2.imwrite(str(folder / "photo.jpg"), np.zeros((4, 4, 3), np.uint8))
    save(folder / "deep.png", np.zeros((4, 4, 3), np.uint16))
    save(folder / "deepgray.png", np.zeros((4, 4), np.uint16))
    (folder / "alien.png").write_bytes(png(5, 8, [bytes(4)], 4))
    (folder / "depth.png").write_bytes(png(3, 7, [bytes(4)], 4, (b"PLTE", bytes(6))))
    (folder / "unpainted.png").write_bytes(png(3, 8, [bytes(4)], 4))
    save(folder / "long.png", np.zeros((1, 4097, 3), np.uint8))
    (folder / "a folder.png").mkdir()
    return {
        "text.png": "is not a PNG",
        "empty.png": "is not a PNG",
        "short.png": "cut short",
        "damaged.png": "damaged",
        "photo.jpg": "is not a PNG",
        "deep.png": "16-bit RGB",
        "deepgray.png": "16-bit gray",
        "alien.png": "8-bit unknown colour",
        "depth.png": "damaged",
        "unpainted.png": "damaged",
        "long.png": "4097x1 px",
        "a folder.png": "is a folder",
        "missing.png": "neither a shipped one nor an existing PNG file",
        "x" * 5000: "cannot be read",
    }


def test_pictures_that_cannot_be_used_are_refused_in_one_sentence(tmp_path):
    for name, reason in broken_pictures(tmp_path).items():
        with pytest.raises(AustickerError, match=reason) as refusal:
            stickers.load(str(tmp_path / name))
        text = str(refusal.value)
        assert name in text
        assert "\n" not in text
        assert text.endswith(".")


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(AustickerError, match="did you mean 'monkey'"):
        stickers.load("monkye")
    with pytest.raises(AustickerError, match="known: monkey, sun"):
        stickers.load("9")


@pytest.mark.parametrize("side", [0.0, -0.2, 1.01, math.nan, math.inf])
def test_a_side_that_is_no_part_of_the_face_is_refused(side):
    with pytest.raises(AustickerError, match="not in \\(0, 1\\]"):
        stickers.check_fits(side)


def test_the_size_follows_both_sides_of_the_face():
    assert stickers.size_px(0.2, face_width_px=112, face_height_px=128) == (22, 26)
    assert stickers.size_px(1.0, face_width_px=7, face_height_px=9) == (7, 9)
    assert stickers.size_px(0.01, face_width_px=7, face_height_px=9) == (1, 1)


def picture(rgba: np.ndarray) -> Sticker:
    return Sticker(name="x", digest="x", rgba=rgba.astype(np.uint8))


def test_resampling_averages_by_area_and_by_alpha():
    half = np.zeros((4, 4, 4), np.uint8)
    half[:, :2] = RED
    half[:, 2:] = [0, 255, 0, 0]  # transparent green must not bleed into the red
    small = stickers.resized(picture(half), 1, 2)
    np.testing.assert_allclose(small[:, 0, 0], [255, 0, 0, 0.5], atol=1e-4)
    np.testing.assert_allclose(stickers.resized(picture(half), 2, 2)[:, 0, 1], [0, 0, 0, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20))
def test_resampling_keeps_one_colour_and_full_alpha_at_every_size(width, height, from_width, from_height):
    plain = stickers.resized(picture(np.tile([200, 100, 50, 255], (from_height, from_width, 1))), width, height)
    assert plain.shape == (4, height, width)
    assert plain.dtype == np.float32
    assert (plain[3] == 1).all()
    np.testing.assert_allclose(plain[:3].reshape(3, -1).T, np.tile([200, 100, 50], (width * height, 1)), rtol=1e-5)


def test_the_same_size_gives_the_same_picture():
    sticker = stickers.load("sad")
    same = stickers.resized(sticker, 256, 256)
    shown = sticker.rgba[..., 3] > 0
    np.testing.assert_allclose(same.transpose(1, 2, 0)[shown] * [1, 1, 1, 255], sticker.rgba[shown], atol=1e-2)


def test_importing_stickers_and_placements_imports_no_torch():
    code = "import sys, austicker.stickers, austicker.placements.variants, austicker.attacks as a; a.ATTACKS.names()"
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)


def test_a_sticker_is_compared_by_its_digest():
    heart = stickers.load("heart")
    assert heart == dataclasses.replace(heart, rgba=np.zeros((1, 1, 4), np.uint8))
