"""MicroExpSTCNN: one 3-D convolution over a whole gray clip, then two dense layers.

Reddy, Karri, Dubey and Mukherjee, IJCNN 2019, arXiv 1904.01390. The published normalisation looked at all clips before
the split; here it is fitted on the training clips alone.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.models.recogniser import Recogniser, Statistics, scaled
from austicker.types import Clip

KERNEL_PX = 3
KERNEL_FRAMES = 15
POOL = 3


@cache
def area_weights(source: int, target: int) -> Tensor:
    """Returns the (target, source) weights of OpenCV's INTER_AREA along one axis: the share of each source pixel."""
    # Kept for later calls, some of which take gradients: never a tensor of inference mode.
    with torch.inference_mode(False):
        edges = torch.arange(target + 1, dtype=torch.float64) * source / target
        pixel = torch.arange(source, dtype=torch.float64)
        overlap = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
        return (overlap.clamp(min=0) * target / source).float()


class STCNNetwork(nn.Module):
    """Normalised (clip, frame, px, px) to logits (clip, classes); the softmax lives in the loss.

    A 3-D convolution of a single channel is a 2-D convolution over each window of 15 frames, and only the windows
    that the pool keeps are computed: the same numbers, several times faster on a CPU.
    """

    def __init__(self, classes: int, width: float, input_px: int, frames: int) -> None:
        super().__init__()
        filters, hidden = (scaled(count, width) for count in (32, 128))
        self.convolution = nn.Conv2d(KERNEL_FRAMES, filters, KERNEL_PX)
        side, self.pooled_frames = (input_px - KERNEL_PX + 1) // POOL, (frames - KERNEL_FRAMES + 1) // POOL
        self.used_px = POOL * side + KERNEL_PX - 1
        self.hidden = nn.Linear(filters * self.pooled_frames * side * side, hidden)
        self.output = nn.Linear(hidden, classes)
        volume = KERNEL_PX * KERNEL_PX * KERNEL_FRAMES
        # Keras' defaults: Glorot uniform over the 3-D kernel's fans, and 'normal' of deviation 0.05.
        bound = math.sqrt(6 / (volume + filters * volume))
        nn.init.uniform_(self.convolution.weight, -bound, bound)
        nn.init.normal_(self.hidden.weight, std=0.05)
        nn.init.normal_(self.output.weight, std=0.05)
        for layer in (self.convolution, self.hidden, self.output):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        """Classifies the clips."""
        windows = inputs[..., : self.used_px, : self.used_px].unfold(1, KERNEL_FRAMES, 1)
        # (clip, window, h, w, 15) -> (clip * window, 15, h, w), in memory still as before: channels last
        kept = windows[:, : POOL * self.pooled_frames].flatten(0, 1).contiguous().movedim(-1, 1)
        maps = F.max_pool2d(self.convolution(kept), POOL)
        # The maximum commutes with ReLU: rectify what is left. (clip, pooled frame, filter, side, side)
        features = F.relu(maps.reshape(-1, self.pooled_frames, POOL, *maps.shape[1:]).amax(2))
        features = F.dropout(features.flatten(1), 0.5, self.training)
        hidden = F.dropout(F.relu(self.hidden(features)), 0.5, self.training)
        logits: Tensor = self.output(hidden)
        return logits


class STCNN(Recogniser):
    """Evenly spaced gray frames from onset to offset."""

    colour: Literal["gray", "rgb"] = "gray"

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns evenly spaced frames from onset to offset in order of time; a short clip repeats frames."""
        return tuple(np.linspace(clip.onset, clip.offset, self.settings.frames).round().astype(int).tolist())

    def fit_statistics(self, pixels: Tensor) -> Statistics:
        """Returns the mean of all training pixels and the maximum after it is taken away."""
        mean = float(pixels.mean(dtype=torch.float64))
        return {"mean": mean, "peak": float(pixels.max()) - mean}

    def resize(self, pixels: Tensor) -> Tensor:
        """Resizes to the square input by area."""
        side = self.settings.input_px
        down, across = (area_weights(length, side).to(pixels) for length in pixels.shape[-2:])
        return down @ pixels @ across.T

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Centres and scales by the training clips' statistics; (clip, frame, px, px)."""
        # A blank corpus has no peak above its mean.
        return (resized.squeeze(2) - statistics["mean"]) / (statistics["peak"] or 1.0)

    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network."""
        return STCNNetwork(classes, self.settings.width, self.settings.input_px, self.settings.frames)
