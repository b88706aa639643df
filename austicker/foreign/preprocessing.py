"""From packed frames to a recogniser's input, differentiable; the one place where pictures are resized and scaled."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from austicker.foreign.record import ForeignSettings, Frames
from austicker.types import Clip

AXES = "ntchw"


def frame_indices(frames: Frames, clip: Clip) -> tuple[int, ...]:
    """Returns the packed frames that a recogniser looks at; a short clip repeats frames."""
    if frames == "apex":
        return (clip.apex,)
    if frames == "onset-apex":
        return clip.onset, clip.apex
    return tuple(np.linspace(clip.onset, clip.offset, frames).round().astype(int).tolist())


def prepare(frames: Tensor, settings: ForeignSettings) -> Tensor:
    """Returns the network's input tensor in the settings' layout, with a gradient to `frames`.

    Pictures are resized (bilinear, antialiased), their channels put in order, their range mapped, and mean and std
    applied.

    Args:
        frames: (n, t, c, h, w) floats 0..255, gray or RGB.
        settings: how the network was trained to see.
    """
    width, height = settings.input_px
    pictures = frames.flatten(0, 1)
    if pictures.shape[-2:] != (height, width):
        pictures = F.interpolate(pictures, (height, width), mode="bilinear", antialias=True)
    if settings.colour == "bgr":
        pictures = pictures.flip(1)
    low, high = settings.range
    scaled = pictures * ((high - low) / 255) + low
    if settings.mean:
        scaled = scaled - _channels(settings.mean, scaled)
    if settings.std:
        scaled = scaled / _channels(settings.std, scaled)
    clips = scaled.view(*frames.shape[:2], *scaled.shape[1:])
    if "t" in settings.layout:
        return clips.permute([AXES.index(axis) for axis in settings.layout]).contiguous()
    one = AXES.replace("t", "")
    return clips.squeeze(1).permute([one.index(axis) for axis in settings.layout]).contiguous()


def _channels(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Returns one value, or one for each channel, to be broadcast over (n, c, h, w)."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
