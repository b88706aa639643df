"""Frames are decoded as they were stored, whole and at 8 bits, or refused; truth is planted, or kept in numbers."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from hostile import outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from austicker.corpora import pictures
from austicker.corpora.pictures import MAX_SIDE_PX, read, size_of, video_length
from austicker.corpora.source import Cell, Files, Video
from austicker.stickers import LUMA
from austicker.types import AustickerError

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GRAY = COLOUR[:, :, 0]


def refused(call, *words: str) -> None:
    with pytest.raises(AustickerError) as error:
        call()
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def save(path: Path, pixels: np.ndarray | Image.Image, **options) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def frames_of(root: Path, *names: str, channels: int = 3) -> list[np.ndarray]:
    return list(read(Files(paths=names), root, channels))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF"])
def test_a_picture_is_decoded_as_it_was_stored(tmp_path, name):
    save(tmp_path / name, COLOUR)
    (frame,) = frames_of(tmp_path, name)
    assert frame.dtype == np.uint8
    assert np.array_equal(frame, COLOUR)
    assert size_of(tmp_path / name) == (8, 6)


@pytest.mark.parametrize("name", ["a.png", "a.pgm", "a.bmp", "a.tif"])
def test_gray_becomes_colour_by_repetition(tmp_path, name):
    save(tmp_path / name, GRAY)
    assert np.array_equal(frames_of(tmp_path, name)[0], np.repeat(GRAY[:, :, None], 3, axis=2))
    assert np.array_equal(frames_of(tmp_path, name, channels=1)[0], GRAY[:, :, None])


def test_colour_becomes_gray_by_the_luma_that_stickers_use(tmp_path):
    save(tmp_path / "a.png", COLOUR)
    (frame,) = frames_of(tmp_path, "a.png", channels=1)
    assert frame.shape == (6, 8, 1)
    assert np.abs(frame[:, :, 0] - COLOUR @ np.array(LUMA)).max() < 0.51


def test_a_palette_and_an_opaque_alpha_are_colour_too(tmp_path):
    flat = Image.fromarray(COLOUR).quantize(16)
    save(tmp_path / "a.png", flat)
    save(tmp_path / "b.png", Image.fromarray(COLOUR).convert("RGBA"))
    assert np.array_equal(frames_of(tmp_path, "a.png")[0], np.array(flat.convert("RGB")))
    assert np.array_equal(frames_of(tmp_path, "b.png")[0], COLOUR)


def test_a_jpeg_that_says_it_is_turned_is_taken_as_stored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.jpg", COLOUR, exif=exif)
    assert frames_of(tmp_path, "a.jpg")[0].shape == (6, 8, 3)


def test_frames_come_in_the_order_that_was_asked_for(tmp_path):
    for number in (1, 2, 3):
        save(tmp_path / f"{number}.png", np.full((2, 2), number, np.uint8))
    found = frames_of(tmp_path, "3.png", "1.png", "2.png", channels=1)
    assert [int(frame[0, 0, 0]) for frame in found] == [3, 1, 2]


def test_frames_of_one_clip_have_one_size(tmp_path):
    save(tmp_path / "1.png", COLOUR)
    save(tmp_path / "2.png", COLOUR[1:])
    refused(lambda: frames_of(tmp_path, "1.png", "2.png"), "2.png", "8 x 5", "8 x 6")


def deep_pgm(path: Path) -> Path:
    path.write_bytes(b"P5 2 2 65535\n" + bytes(8))
    return path


def deep_ppm(path: Path) -> Path:
    path.write_bytes(b"P6 2 2 1023\n" + bytes(24))
    return path


def deep_tiff(path: Path) -> Path:
    """A 16-bit RGB TIFF, which Pillow reads as 8 bits."""
    tags = [(256, 2), (257, 2), (258, 16), (259, 1), (262, 2), (273, 200), (277, 3), (278, 2), (279, 24)]
    entries = b"".join(
        struct.pack("<HHII", tag, 3, 3, 190) if tag == 258 else struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in tags
    )
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    path.write_bytes(head.ljust(190, b"\0") + struct.pack("<HHH", 16, 16, 16) + bytes(4) + bytes(24))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("rgb.png", hostile.deep_png),
        ("gray.png", lambda path: hostile.deep_png(path, 0)),
        ("a.pgm", deep_pgm),
        ("colour.pgm", deep_ppm),
        ("a.tif", deep_tiff),
        ("float.tif", lambda path: save(path, np.zeros((2, 2), np.float32))),
        ("whole.tif", lambda path: save(path, np.zeros((2, 2), np.int32))),
        ("cmyk.jpg", lambda path: save(path, Image.new("CMYK", (2, 2)))),
        ("bit.png", lambda path: save(path, Image.new("1", (2, 2)))),
    ],
)
def test_another_depth_is_refused_and_never_cut_to_8_bits(tmp_path, name, make):
    make(tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        picture.load()  # a good picture, which is refused for its depth alone
    refused(lambda: frames_of(tmp_path, name), name, "save it with 8 bits")
    refused(lambda: size_of(tmp_path / name), "save it with 8 bits")


def test_what_shows_through_is_refused(tmp_path):
    save(tmp_path / "a.png", np.dstack([COLOUR, np.full((6, 8), 254, np.uint8)]))
    save(tmp_path / "b.png", Image.fromarray(GRAY).quantize(8), transparency=3)
    refused(lambda: frames_of(tmp_path, "a.png"), "transparent")
    refused(lambda: frames_of(tmp_path, "b.png"), "transparent")


@pytest.mark.parametrize(
    "size", [(50_000, 50_000), (MAX_SIDE_PX + 1, 1), (1, MAX_SIDE_PX + 1), (8001, 8000), (10_000, 9000)]
)
def test_a_picture_that_claims_too_much_is_refused_by_its_header(tmp_path, size):
    hostile.png(tmp_path / "a.png", *size)
    refused(lambda: frames_of(tmp_path, "a.png"), "64 million pixels")
    refused(lambda: size_of(tmp_path / "a.png"), "64 million pixels")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.95])
def test_a_picture_that_breaks_off_is_refused(tmp_path, share):
    hostile.truncated_jpeg(tmp_path / "a.jpg", share)
    refused(lambda: frames_of(tmp_path, "a.jpg"), "a.jpg", "fetch it again")


def test_other_formats_are_refused_whatever_they_are_called(tmp_path):
    save(tmp_path / "a.png", COLOUR, format="GIF")
    refused(lambda: frames_of(tmp_path, "a.png"), "no picture")
    refused(lambda: frames_of(tmp_path, "none.png"), "cannot be read")
    refused(lambda: frames_of(tmp_path, "../a.png"), "climbs")


def test_a_picture_file_that_is_absurdly_long_is_not_read(tmp_path):
    path = hostile.png(tmp_path / "a.png", 4, 4)
    with path.open("r+b") as file:
        file.truncate(pictures.FILE_LIMIT + 1)
    refused(lambda: frames_of(tmp_path, "a.png"), "256 MiB")


def encoded(kind: str) -> bytes:
    whole = io.BytesIO()
    Image.fromarray(COLOUR if kind != "PPM" else GRAY).save(whole, kind)
    return whole.getvalue()


WHOLE = {kind: encoded(kind) for kind in pictures.FORMATS}


@SLOW
@given(data=st.data(), kind=st.sampled_from(pictures.FORMATS))
def test_any_damage_to_a_picture_is_decoded_or_refused(tmp_path, data, kind):
    content = bytearray(WHOLE[kind])
    edits = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for at, byte in data.draw(st.lists(edits, max_size=4)):
        content[at] = byte
    (tmp_path / "a.png").write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    found, refusal = outcome(lambda: frames_of(tmp_path, "a.png"))
    assert "\n" not in refusal
    assert refusal or (len(found) == 1 and found[0].dtype == np.uint8)


@SLOW
@given(
    content=st.binary(max_size=100),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"P2 ", b"\xff\xd8\xff"]),
)
def test_any_bytes_are_a_picture_or_refused(tmp_path, content, head):
    (tmp_path / "a.png").write_bytes(head + content)
    _, refusal = outcome(lambda: frames_of(tmp_path, "a.png"))
    assert "\n" not in refusal


# Cells of numbers.


def cell(root: Path, text: bytes, side: int, before: bytes = b"0,") -> np.ndarray:
    (root / "a.csv").write_bytes(before + text + b",Training\n")
    (frame,) = read(Cell(path="a.csv", offset=len(before), length=len(text), side_px=side), root, 1)
    return frame


@SLOW
@given(side=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_written_cell_is_read_as_it_was(tmp_path, side, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    found = cell(tmp_path, b" ".join(b"%d" % value for value in pixels.reshape(-1)), side)
    assert found.dtype == np.uint8
    assert np.array_equal(found[:, :, 0], pixels)


def test_a_cell_becomes_colour_by_repetition(tmp_path):
    cell(tmp_path, b"1 2 3 255", 2)
    (frame,) = read(Cell(path="a.csv", offset=2, length=9, side_px=2), tmp_path, 3)
    assert frame.shape == (2, 2, 3)
    assert frame[:, :, 2].tolist() == [[1, 2], [3, 255]]


@pytest.mark.parametrize(
    "text", [b"1 2 3", b"1 2 3 4 5", b"1 2 3 256", b"1 2 3 -4", b"1 2 3 NaN", b"1 2 3 4.", b"", b"1 2 3 1_0"]
)
def test_a_cell_of_anything_else_is_refused(tmp_path, text):
    refused(lambda: cell(tmp_path, text, 2), "a.csv", "byte 2")


def test_a_cell_of_absurd_size_is_refused_unread(tmp_path):
    for side, length in ((0, 4), (2, 10**9), (10**6, 10**12), (2, -1)):
        (tmp_path / "a.csv").write_bytes(b"1 2 3 4")
        spot = Cell(path="a.csv", offset=0, length=length, side_px=side)
        refused(lambda spot=spot: list(read(spot, tmp_path, 1)), "cannot hold")


@SLOW
@given(text=st.binary(max_size=40))
def test_any_bytes_are_a_cell_or_refused(tmp_path, text):
    found, refusal = outcome(lambda: cell(tmp_path, text, 2))
    assert "\n" not in refusal
    assert refusal or found.shape == (2, 2, 1)


# Videos.

FRAMES = 12


def film(path: Path) -> Path:
    """A video whose frame k is red by 20 k and blue by 240 - 20 k."""
    kind = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, kind, 25.0, (64, 48))
    assert writer.isOpened()
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), (240 - 20 * number, 0, 20 * number), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "a.avi").parent


def test_a_video_gives_the_frames_asked_for_in_red_green_blue(filmed):
    found = list(read(Video(path="a.avi", first=3, last=5), filmed, 3))
    assert [frame.shape for frame in found] == [(48, 64, 3)] * 3
    for number, frame in zip((3, 4, 5), found, strict=True):
        assert np.abs(frame.reshape(-1, 3).mean(0) - (20 * number, 0, 240 - 20 * number)).max() < 6
    (gray,) = read(Video(path="a.avi", first=11, last=11), filmed, 1)
    assert gray.shape == (48, 64, 1)
    assert abs(gray.mean() - (0.299 * 220 + 0.114 * 20)) < 6


def test_the_frames_of_a_video_are_counted_by_decoding_them(filmed, tmp_path):
    assert video_length(filmed / "a.avi") == FRAMES
    whole = (filmed / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(whole[: whole.rindex(b"00dc", 0, whole.rindex(b"idx1"))])
    assert 0 < video_length(tmp_path / "a.avi") < FRAMES


def test_a_video_that_is_too_short_says_how_many_frames_it_has(filmed):
    refused(lambda: list(read(Video(path="a.avi", first=3, last=FRAMES), filmed, 3)), "Only 12 frames", "frame 12")
    refused(lambda: list(read(Video(path="a.avi", first=5, last=3), filmed, 3)), "Frames 5 to 3")


def test_a_video_beyond_the_limits_is_refused(filmed, monkeypatch):
    monkeypatch.setattr(pictures, "VIDEO_FRAMES_LIMIT", FRAMES - 1)
    refused(lambda: video_length(filmed / "a.avi"), "more than 11 frames")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 64 * 48 - 1)
    refused(lambda: list(read(Video(path="a.avi", first=0, last=0), filmed, 3)), "more than")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#EXTM3U\nhttp://127.0.0.1:9/x\n",
        b"ffconcat version 1.0\nfile a.avi\n",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\0\x18ftypmp42",
    ],
)
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    refused(lambda: video_length(tmp_path / "a.mp4"), "a.mp4")
    refused(lambda: list(read(Video(path="a.mp4", first=0, last=0), tmp_path, 3)), "a.mp4")


@settings(SLOW, max_examples=25)
@given(data=st.data())
def test_any_damage_to_a_video_is_decoded_or_refused(filmed, tmp_path, data):
    content = bytearray((filmed / "a.avi").read_bytes())
    # The head, where sizes and rates are, or anywhere.
    place = st.integers(0, 300) | st.integers(0, len(content) - 1)
    for at, byte in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=5)):
        content[at] = byte
    (tmp_path / "a.avi").write_bytes(content)
    _, refusal = outcome(lambda: list(read(Video(path="a.avi", first=0, last=3), tmp_path, 3)))
    assert "\n" not in refusal
    length, refusal = outcome(lambda: video_length(tmp_path / "a.avi"))
    assert refusal or length > 0
