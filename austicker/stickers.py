"""Stickers and the one function that puts them on faces (Eq. 2); where they go is decided in `placements`."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from austicker.registry import nearest
from austicker.types import AustickerError, Bytes, Floats, Sticker

if TYPE_CHECKING:
    from torch import Tensor

STICKERS: Mapping[str, str] = {
    "monkey": "a",
    "sun": "b",
    "heart": "c",
    "star": "d",
    "angry": "e",
    "happy": "f",
    "sad": "g",
    "shocked": "h",
}
"""The shipped stickers and their letters in the paper's Table 1."""

LARGEST_PX = 4096
LUMA = (0.299, 0.587, 0.114)
"""BT.601 weights of red, green and blue."""

_PNG_COLOURS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGBA"}


def in_colour(pictures: Tensor, colour: Literal["gray", "rgb"]) -> Tensor:
    """Returns pictures (..., c, h, w) with one channel, from colour by luma, or with three, from gray by repetition."""
    channels = pictures.shape[-3]
    if colour == "rgb":
        return pictures if channels == 3 else pictures.expand(*pictures.shape[:-3], 3, -1, -1)
    if channels == 1:
        return pictures
    return (pictures * pictures.new_tensor(LUMA)[:, None, None]).sum(-3, keepdim=True)


def load(name_or_path: str) -> Sticker:
    """Returns a shipped sticker, or the user's PNG (any kind of at most 8 bits, at most `LARGEST_PX` a side).

    Raises:
        AustickerError: neither a shipped sticker nor a PNG that can be used.
    """
    if name_or_path in STICKERS:
        path, name = Path(__file__).parent / "data" / f"sticker-{name_or_path}.png", name_or_path
    else:
        path, name = Path(name_or_path), Path(name_or_path).name
    rgba = _decode(_read(path, name_or_path), path)
    digest = hashlib.sha256(f"{rgba.shape[0]}x{rgba.shape[1]}:".encode() + rgba.tobytes()).hexdigest()
    return Sticker(name=name, digest=digest, rgba=rgba)


def _read(path: Path, given: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = nearest(given, STICKERS) or f"; known: {', '.join(STICKERS)}"
        raise AustickerError(f"Sticker '{given}' is neither a shipped one nor an existing PNG file{hint}.") from None
    except IsADirectoryError:
        raise AustickerError(f"Sticker '{given}' is a folder; name one PNG file in it.") from None
    except (OSError, ValueError) as error:
        raise AustickerError(f"Sticker '{given}' cannot be read ({error}); name a readable PNG file.") from error


def _decode(content: bytes, path: Path) -> Bytes:
    # The header is judged before decoding: OpenCV would unpack a picture of any size.
    if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 33:
        raise AustickerError(f"Sticker '{path}' is not a PNG picture; save it as an RGB or RGBA PNG.")
    width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
    if colour not in _PNG_COLOURS or depth > 8:
        found = f"{depth}-bit {_PNG_COLOURS.get(colour, 'unknown colour')}"
        raise AustickerError(f"Sticker '{path}' is {found}; save it as a PNG of 8 bits a channel.")
    if max(width, height) > LARGEST_PX:
        raise AustickerError(f"Sticker '{path}' is {width}x{height} px; shrink it to at most {LARGEST_PX} px a side.")
    if b"IEND" not in content[-16:]:
        raise AustickerError(f"Sticker '{path}' is cut short; save or copy the PNG again.")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[:2] != (height, width):
        raise AustickerError(f"Sticker '{path}' is damaged; save the PNG again.")
    if pixels.ndim == 2:
        rgba = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGBA)
        clear = _clear_gray(content, depth)
        if clear is not None:
            rgba[pixels == clear, 3] = 0
    else:
        rgba = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
    return np.ascontiguousarray(rgba, dtype=np.uint8)


def _clear_gray(content: bytes, depth: int) -> int | None:
    """Returns the one gray (0..255) that a gray PNG calls transparent, which OpenCV does not heed, or None."""
    start = 8
    while content[start + 4 : start + 8] not in (b"IDAT", b""):
        if content[start + 4 : start + 8] == b"tRNS":
            return int.from_bytes(content[start + 8 : start + 10]) * 255 // ((1 << depth) - 1)
        start += 12 + int.from_bytes(content[start : start + 4])
    return None


def check_fits(side: float) -> None:
    """Refuses a sticker that is larger than the face or has no size.

    Args:
        side: width and height of the sticker as fractions of the face's.

    Raises:
        AustickerError: `side` is not in (0, 1].
    """
    if not 0 < side <= 1:
        raise AustickerError(f"Sticker side {side:g} is not in (0, 1]; give the side as a fraction of the face's.")


def size_px(side: float, *, face_width_px: int, face_height_px: int) -> tuple[int, int]:
    """Returns the (width, height) of a sticker of S = (side W, side H), Section 2.2; never less than one pixel.

    Raises:
        AustickerError: `side` is not in (0, 1].
    """
    check_fits(side)
    return max(1, math.floor(side * face_width_px + 0.5)), max(1, math.floor(side * face_height_px + 0.5))


def resized(sticker: Sticker, width_px: int, height_px: int) -> Floats:
    """Resamples a sticker; each axis by pixel area where it shrinks and linearly where it grows.

    Colours are weighted by alpha, so the colour of transparent pixels never bleeds into an edge.

    Returns:
        (4, h, w) straight-alpha RGBA, colours 0..255 and alpha 0..1.
    """
    rgba = sticker.rgba.astype(np.float32)
    alpha = rgba[..., 3:] / 255
    pixels = np.concatenate([rgba[..., :3] * alpha, alpha], axis=2)
    for size in ((width_px, pixels.shape[0]), (width_px, height_px)):
        shrinks = size[0] <= pixels.shape[1] and size[1] <= pixels.shape[0]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
    # Six decimals: rounding errors of the weights must not leave an opaque pixel at 0.9999999.
    alpha = np.clip(pixels[..., 3:], 0, 1).round(6)
    colour = np.clip(pixels[..., :3] / np.where(alpha > 0, alpha, 1), 0, 255) * (alpha > 0)
    return np.ascontiguousarray(np.concatenate([colour, alpha], axis=2).transpose(2, 0, 1), dtype=np.float32)


def composite(frames: Tensor, stickers: Tensor, which: Tensor, centres: Tensor, shown: Tensor | None = None) -> Tensor:
    """Puts one sticker on every frame: x_adv = (1 - A) x + A delta, Eq. 2; the input stays as it is.

    The top-left pixel is floor(x W - w / 2 + 1/2), and the same in y, so that a sticker moves evenly with its centre.
    What lies outside the face is cut off. No pixel outside the sticker's alpha > 0 is touched. Where c = 1 the sticker
    is turned to BT.601 luma. A sticker that stays in its place is painted once for all frames of its item.

    Args:
        frames: (n, t, c, h, w) floats 0..255, c = 1 or 3 (RGB).
        stickers: (k, 4, sh, sw) as `resized` returns them.
        which: (n,) the sticker of each item.
        centres: (n, t or 1, 2) centres (x, y) as fractions of the face, of each frame or for all.
        shown: (n, t) bool, False where a frame gets no sticker; every frame gets it where None.

    Raises:
        TypeError: the frames are integers, which Eq. 2 would round.
    """
    import torch

    if not frames.is_floating_point():
        raise TypeError(f"frames must be floating point, not {frames.dtype}")
    channels, height, width = frames.shape[2:]
    stickers = stickers.to(frames)
    colour, alpha = stickers[:, :3], stickers[:, 3:]
    if channels == 1:
        colour = in_colour(colour, "gray")
    rows, row_inside = _span(centres[..., 1], stickers.shape[2], height)  # (n, t or 1, sh)
    columns, column_inside = _span(centres[..., 0], stickers.shape[3], width)  # (n, t or 1, sw)
    touched = row_inside[..., :, None] & column_inside[..., None, :]  # (n, t or 1, sh, sw)
    if shown is not None:
        touched = touched & shown[..., None, None]
    # What is not to be painted is sent to one spare element at the end: fixed shapes, and no pixel is written twice.
    size = (*touched.shape[:2], channels + 1, height, width)
    flat = frames.new_zeros(math.prod(size) + 1)
    plane = torch.arange(math.prod(size[:3]), device=frames.device).view(*size[:3], 1, 1) * (height * width)
    inside = (rows[..., :, None] * width + columns[..., None, :]).unsqueeze(2)  # (n, t or 1, 1, sh, sw)
    index = torch.where(touched.unsqueeze(2), plane + inside, flat.numel() - 1)  # (n, t or 1, c + 1, sh, sw)
    flat[index] = torch.cat([alpha * colour, alpha], 1)[which].unsqueeze(1).expand(index.shape)
    painted = flat[:-1].view(size)
    return torch.addcmul(painted[:, :, :channels], frames, 1 - painted[:, :, channels:])


def _span(centre: Tensor, length: int, limit: int) -> tuple[Tensor, Tensor]:
    """Returns the pixels (n, t, length) that a sticker covers along one axis, and which of them are on the face."""
    import torch

    first = torch.floor(centre.double() * limit - length / 2 + 0.5).long()
    pixels = first[..., None] + torch.arange(length, device=centre.device)
    return pixels, (pixels >= 0) & (pixels < limit)
