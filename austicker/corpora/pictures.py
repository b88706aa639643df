"""Decodes a clip's frames, strictly: picture files, videos and cells of numbers; it crops, turns and repairs nothing.

Pictures are taken as stored: an EXIF orientation is ignored, because a corpus' landmarks and crops count stored pixels.
Of a file with several pictures the first is taken. A video's own rotation is applied, as OpenCV does.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from austicker.corpora.paths import inside, opened, shown
from austicker.corpora.source import Cell, Files, Frames, Video
from austicker.types import AustickerError, Bytes

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "PPM")
MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 30_000
FILE_LIMIT = 256 * 1024 * 1024
"""Bytes of the largest picture file: more than `MAX_PIXELS` take uncompressed."""
VIDEO_FRAMES_LIMIT = 100_000
_MODES = frozenset({"L", "RGB", "RGBA", "P"})
_DEEP = re.compile(r";(12|15|16|32|64)")
"""How Pillow names stored pixels of another depth, such as "RGB;16B", which it would cut to 8 bits."""
_DEPTHS = {
    "1": "pixels of 1 bit",
    "I": "pixels of more than 8 bits",
    "I;16": "pixels of 16 bits",
    "I;16B": "pixels of 16 bits",
    "F": "pixels of floating-point numbers",
}
_CONTAINERS = ((0, b"RIFF"), (0, b"\x1a\x45\xdf\xa3"), (0, b"\0\0\1\xba"), (0, b"\x30\x26\xb2\x75"), (4, b"ftyp"))
"""How AVI, Matroska, MPEG, WMV and MP4 begin: FFmpeg would also follow a playlist to other files and servers."""


def read(frames: Frames, root: Path, channels: int) -> Iterator[Bytes]:
    """Yields a clip's frames in their order, each (h, w, c) uint8, all of one size.

    Colour becomes gray by BT.601 luma, gray becomes colour by repetition.

    Args:
        frames: where they lie below `root`.
        root: the corpus' root.
        channels: c, 1 for gray or 3 for RGB.

    Raises:
        AustickerError: a file is missing, outside the root, damaged, cut short, too large, of another size than the
            first, transparent, or of another depth than 8 bits.
    """
    size: tuple[int, ...] = ()
    for where, frame in _decoded(frames, root, channels):
        size = size or frame.shape
        if frame.shape != size:
            raise AustickerError(
                f"{where} is {frame.shape[1]} x {frame.shape[0]} pixels but its clip began with {size[1]} x {size[0]}: "
                "bring the clip's frames to one size."
            )
        yield frame


def size_of(path: Path) -> tuple[int, int]:
    """Returns a picture's (width, height) in pixels from its header, undecoded.

    Raises:
        AustickerError: it is no picture that `read` takes.
    """
    with _picture(path, shown(path.name)) as picture:
        width, height = picture.size
    return int(width), int(height)


def video_length(path: Path) -> int:
    """Returns how many frames of a video can be decoded; the number in its header is not asked.

    Raises:
        AustickerError: it is no video, or longer than `VIDEO_FRAMES_LIMIT`.
    """
    count = 0
    with _capture(path, shown(path.name)) as capture:
        while count <= VIDEO_FRAMES_LIMIT and capture.grab():
            count += 1
    if not 0 < count <= VIDEO_FRAMES_LIMIT:
        found = f"more than {VIDEO_FRAMES_LIMIT:,} frames" if count else "no frame that can be decoded"
        raise AustickerError(f"The video '{shown(path.name)}' has {found}: fetch it again or cut it.")
    return count


def _decoded(frames: Frames, root: Path, channels: int) -> Iterator[tuple[str, Bytes]]:
    """Yields where each frame is, for people, and the frame."""
    if isinstance(frames, Files):
        return ((shown(text, 200), _file(inside(root, text), shown(text, 200), channels)) for text in frames.paths)
    if isinstance(frames, Cell):
        where = f"'{shown(frames.path, 200)}', byte {frames.offset}"
        return iter([(where, np.repeat(_cell(frames, root, where), channels, axis=2))])
    return _video(frames, root, channels)


def _file(path: Path, where: str, channels: int) -> Bytes:
    with _picture(path, where) as picture:
        if picture.mode == "RGBA" or "transparency" in picture.info:
            opaque = picture.convert("RGBA")
            if opaque.getchannel("A").getextrema()[0] < 255:
                raise AustickerError(f"'{where}' is transparent in places: save it without an alpha channel.")
            picture = opaque.convert("RGB")
        elif picture.mode == "P":
            picture = picture.convert("RGB")
        mode = "L" if channels == 1 else "RGB"
        # Pillow would copy a picture that has the mode already.
        pixels: Bytes = np.array(picture if picture.mode == mode else picture.convert(mode), np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


@contextmanager
def _picture(path: Path, where: str) -> Iterator[Any]:
    """Gives an open picture of a good size and depth; whatever its decoder raises in the block becomes a sentence."""
    from PIL import Image

    with opened(path) as file, warnings.catch_warnings():
        # Pillow warns of what the checks below refuse, and of metadata that is not used.
        warnings.simplefilter("ignore")
        if os.fstat(file.fileno()).st_size > FILE_LIMIT:
            raise AustickerError(f"'{where}' is larger than {FILE_LIMIT >> 20} MiB: save it compressed.")
        try:
            with Image.open(file, formats=FORMATS) as picture:
                _check_size(where, *picture.size)
                _check_depth(where, picture)
                yield picture
        except Image.DecompressionBombError as error:
            raise _too_large(where) from error
        except AustickerError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a broken file makes of their code
            raise AustickerError(
                f"'{where}' is no picture that can be decoded whole ({shown(str(error))}): fetch it again; "
                "JPEG, PNG, BMP, TIFF and PGM are read."
            ) from error


def _check_size(where: str, width: int, height: int) -> None:
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX and width * height <= MAX_PIXELS):
        raise _too_large(where)


def _too_large(where: str) -> AustickerError:
    return AustickerError(
        f"'{where}' claims more than {MAX_PIXELS // 10**6} million pixels, or {MAX_SIDE_PX:,} on a side: make it "
        "smaller."
    )


def _check_depth(where: str, picture: Any) -> None:
    """Refuses other pixels than 8-bit ones, also where Pillow would drop the lower bits without a word."""
    arguments = [tile.args if isinstance(tile.args, tuple) else (tile.args,) for tile in picture.tile]
    names = [part for stored in arguments for part in stored if isinstance(part, str)]
    deep = [name for name in names if _DEEP.search(name)]
    if picture.format == "PPM" and any(isinstance(part, int) and part > 255 for part in chain(*arguments)):
        deep.append("numbers above 255")
    if picture.mode not in _MODES or deep:
        found = _DEPTHS.get(picture.mode) or f"pixels of kind '{shown((deep or [picture.mode])[0])}'"
        raise AustickerError(f"'{where}' has {found}: save it with 8 bits a channel, in gray or RGB.")


def _cell(cell: Cell, root: Path, where: str) -> Bytes:
    count = cell.side_px**2
    if not (0 < cell.side_px <= MAX_SIDE_PX and count <= MAX_PIXELS and 0 <= cell.length <= 8 * count):
        raise AustickerError(f"{where} cannot hold {cell.side_px} x {cell.side_px} numbers: check the file.")
    with opened(inside(root, cell.path)) as file:
        file.seek(cell.offset)
        text = file.read(cell.length)
    words = text.split()
    digits = not text.translate(None, b"0123456789 ") and all(len(word) <= 3 for word in words)
    numbers = list(map(int, words)) if digits else []
    if len(numbers) != count or max(numbers) > 255:
        raise AustickerError(
            f"{where} does not hold {count:,} whole numbers of 0 to 255 with blanks between: fetch the file again."
        )
    return np.array(numbers, np.uint8).reshape(cell.side_px, cell.side_px, 1)


def _video(video: Video, root: Path, channels: int) -> Iterator[tuple[str, Bytes]]:
    import cv2

    where = shown(video.path, 200)
    if not 0 <= video.first <= video.last < VIDEO_FRAMES_LIMIT:
        raise AustickerError(f"Frames {video.first} to {video.last} of '{where}' are no part of a video: mend them.")
    colour = cv2.COLOR_BGR2GRAY if channels == 1 else cv2.COLOR_BGR2RGB
    with _capture(inside(root, video.path), where) as capture:
        for index in range(video.last + 1):
            if not capture.grab():
                raise AustickerError(
                    f"Only {index} frames of the video '{where}' could be read, but the annotation asks for frame "
                    f"{video.last} (counted from 0): fetch it again or mend the annotation."
                )
            if index >= video.first:
                yield f"Frame {index} of '{where}'", _retrieved(capture, where, colour)


def _retrieved(capture: Any, where: str, colour: int) -> Bytes:
    import cv2

    done, picture = capture.retrieve()
    if not done or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise AustickerError(f"The video '{where}' has frames of no known colour: save it with 8 bits a channel.")
    _check_size(where, picture.shape[1], picture.shape[0])
    pixels = np.asarray(cv2.cvtColor(picture, colour), np.uint8)
    return pixels.reshape(*pixels.shape[:2], -1)


@contextmanager
def _capture(path: Path, where: str) -> Iterator[Any]:
    """Gives an open video of a good size; FFmpeg is asked to keep its remarks to itself."""
    with opened(path) as file:
        _check_container(file, where)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2

    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        # An absolute path cannot be taken for an address, nor by this door for a row of numbered pictures.
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        if not capture.isOpened():
            raise AustickerError(f"'{where}' is no video that can be decoded: fetch it again.")
        _check_size(where, *(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)))
        yield capture
    except cv2.error as error:
        raise AustickerError(f"The video '{where}' cannot be decoded ({shown(str(error))}): fetch it again.") from error
    finally:
        capture.release()


def _check_container(file: BinaryIO, where: str) -> None:
    head = file.read(16)
    if not any(head[at : at + len(mark)] == mark for at, mark in _CONTAINERS):
        raise AustickerError(f"'{where}' is no AVI, MP4, Matroska, MPEG or WMV video: fetch it again or convert it.")
