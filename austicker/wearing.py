"""How a flat sticker lies on a face: turned, faded and bent; it puts nothing on a picture.

How much a sticker bends at its place is told by `depth`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from austicker.types import AustickerError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """How one sticker is worn.

    Attributes:
        rotation: degrees, clockwise on the screen.
        opacity: 0..1, multiplied into the sticker's alpha.
        bend: a row of what `depth.bends` returns, or None for a sticker that stays flat.
    """

    rotation: float = 0.0
    opacity: float = 1.0
    bend: tuple[float, float, float] | None = None


PLAIN = Wear()
"""Upright, flat, and as opaque as it was drawn."""


def check(rotation: float, opacity: float) -> None:
    """Refuses what no sticker can be.

    Raises:
        AustickerError: the rotation is not finite, or the opacity not in 0..1.
    """
    if not math.isfinite(rotation):
        raise AustickerError(f"Sticker rotation {rotation:g} is no angle; give degrees clockwise, such as 30.")
    if not 0 <= opacity <= 1:
        raise AustickerError(f"Sticker opacity {opacity:g} is not in 0..1; give 1 for a sticker as it was drawn.")


def canvas_px(width_px: int, height_px: int) -> tuple[int, int]:
    """Returns the (width, height) that holds a sticker however it is turned and bent.

    Each exceeds the sticker's by an even number, so that `stickers.composite` puts an upright sticker on the very
    pixels where it would be without the canvas.
    """
    # Interpolation fades out within one pixel of the middles of the sticker's outermost pixels.
    reach = math.ceil(math.hypot(width_px + 1, height_px + 1)) - 1
    return reach + (reach - width_px) % 2, reach + (reach - height_px) % 2


def worn(stickers: Tensor, rotation: Tensor, opacity: Tensor, bend: Tensor | None = None) -> Tensor:
    """Turns, fades and bends each sticker about its middle, which stays in the middle of the canvas.

    One bilinear sampling turns and bends, on colours weighted by alpha. An upright, flat sticker keeps its pixels to
    the bit. An item's result does not depend on the others of the batch.

    Args:
        stickers: (m, 4, sh, sw) as `stickers.resized` returns them.
        rotation: (m,) degrees, clockwise on the screen: 90 turns what points up to point right.
        opacity: (m,) 0..1, multiplied into alpha.
        bend: (m, 3) as `depth.bends` returns them, or None where all stay flat.

    Returns:
        (m, 4, H, W) straight alpha, colours 0..255; W and H are `canvas_px` of the sticker's size.
    """
    import torch
    from torch.nn import functional

    height, width = stickers.shape[2:]
    canvas_width, canvas_height = canvas_px(width, height)
    left, top = (canvas_width - width) // 2, (canvas_height - height) // 2
    upright = functional.pad(stickers, (left, left, top, top))  # (m, 4, H, W)
    degrees = rotation.to(stickers.device, torch.float64)
    plain = torch.remainder(degrees, 360) == 0  # (m,)
    across = torch.arange(canvas_width, device=stickers.device).double().view(1, 1, -1) - (canvas_width - 1) / 2
    down = torch.arange(canvas_height, device=stickers.device).double().view(1, -1, 1) - (canvas_height - 1) / 2
    if bend is not None:
        across, down = _unbent(across, down, bend.to(degrees))  # (m, 1, W) and (m, H, W)
        plain &= (bend[:, 0] == 0) & (bend[:, 2] == 0)
    angle = degrees.deg2rad().view(-1, 1, 1)
    turned_back = (across * angle.cos() + down * angle.sin(), down * angle.cos() - across * angle.sin())
    sampled = _sampled(stickers.double(), *turned_back).to(stickers)
    laid = torch.where(plain.view(-1, 1, 1, 1), upright, sampled)
    return torch.cat([laid[:, :3], laid[:, 3:] * opacity.to(stickers).view(-1, 1, 1, 1)], 1)


def _unbent(across: Tensor, down: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Returns where on the flat paper lies what is seen at places on the face, pixels right of and below its middle.

    The paper does not stretch: what is seen u pixels across lies as far from the middle as the parabola is long.
    """
    import torch

    coefficient, top, pitch = bend.view(-1, 3, 1, 1).unbind(1)  # (m, 1, 1) each
    pitch = pitch.deg2rad()
    raised = coefficient * across * (across - 2 * top)  # (m, 1, W) a (u - c)^2, above the paper's middle
    along = _arc(across - top, coefficient) - _arc(-top, coefficient)
    return torch.where(coefficient == 0, across, along), (down - raised * pitch.sin()) / pitch.cos()


def _arc(distance: Tensor, coefficient: Tensor) -> Tensor:
    """Returns the length of the parabola a u^2 from its top to u, of u's sign; of a straight line anything."""
    import torch

    slope = 2 * coefficient * distance
    length = slope * torch.sqrt(1 + slope * slope) + torch.asinh(slope)
    return length / torch.where(coefficient == 0, 1, 4 * coefficient)


def _sampled(stickers: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Returns straight-alpha pixels (m, 4, H, W) from places (m, H, W) right of and below the stickers' middles."""
    import torch
    from torch.nn import functional

    height, width = stickers.shape[2:]
    places = torch.stack([x * (2 / width), y * (2 / height)], 3)  # -1 and 1 are the sticker's borders
    weighted = torch.cat([stickers[:, :3] * stickers[:, 3:], stickers[:, 3:]], 1)
    pixels = functional.grid_sample(weighted, places, mode="bilinear", padding_mode="zeros", align_corners=False)
    # Six decimals, as in `stickers.resized`: the last bits of a sine must leave no trace beside a sticker.
    alpha = pixels[:, 3:].clamp(0, 1).round(decimals=6)
    colour = pixels[:, :3] / torch.where(alpha > 0, pixels[:, 3:], 1)
    return torch.cat([colour.clamp(0, 255) * (alpha > 0), alpha], 1)
