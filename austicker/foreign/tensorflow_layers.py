"""Layers as TensorFlow computes them, for networks that were trained there; no network itself."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def same_padded(pictures: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pads (n, c, h, w) as "same" does: the output has ceil(side / stride) places, the odd pixel at bottom and right.

    Args:
        pictures: what to pad.
        kernel: side of the kernel in pixels.
        stride: of the layer that follows.
        value: what the border is filled with.
    """
    rows, columns = (
        max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (pictures.shape[-2], pictures.shape[-1])
    )
    return F.pad(
        pictures, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), mode="constant", value=value
    )


def separable(pictures: Tensor, depthwise: Tensor, pointwise: Tensor, stride: int = 1) -> Tensor:
    """Convolves every channel by its own 3 x 3 kernel, then mixes the channels of each place.

    Args:
        pictures: (n, c, h, w).
        depthwise: (c, 1, 3, 3).
        pointwise: (outputs, c, 1, 1).
        stride: of the first step.
    """
    own = F.conv2d(same_padded(pictures, 3, stride), depthwise, stride=stride, groups=len(depthwise))
    return F.conv2d(own, pointwise)


def kernel(values: Tensor) -> Tensor:
    """Returns a convolution's kernel (h, w, inputs, outputs) in torch's order."""
    return values.permute(3, 2, 0, 1).contiguous()


def depthwise_kernel(values: Tensor) -> Tensor:
    """Returns a depthwise kernel (h, w, channels, 1) in torch's order."""
    return values.permute(2, 3, 0, 1).contiguous()
