"""ResNet20 v1 of Keras' CIFAR example, which Shehu, Browne and Eisenbarth set against landmarks.

He, Zhang, Ren and Sun, CVPR 2016, arXiv 1512.03385, with Keras' conventions: convolutions have biases, and a shortcut
that changes size is one convolution alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.models.recogniser import Statistics, scaled
from austicker.models.still import StillRecogniser

STAGES = (16, 32, 64)
BLOCKS = 3
POOL_PX = 8
KERAS_EPSILON = 1e-3


def _convolved(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    # Moving averages are PyTorch's, not Keras' of a hundred batches: a short training has too few for those.
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs, eps=KERAS_EPSILON))


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolved(inputs, outputs, stride)
        self.second = _convolved(outputs, outputs, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (picture, inputs, h, w) to (picture, outputs, h / stride, w / stride)."""
        residual: Tensor = self.second(F.relu(self.first(features)))
        return F.relu(residual + self.shortcut(features))


class ResNet20Network(nn.Module):
    """Gray pictures (picture, 1, px, px) around 0 to logits (picture, classes)."""

    def __init__(self, classes: int, width: float, input_px: int, channels: int = 1) -> None:
        super().__init__()
        first, *_ = sizes = [scaled(count, width) for count in STAGES]
        self.stem = _convolved(channels, first, 1)
        blocks, inputs = [], first
        for stage, size in enumerate(sizes):
            for block in range(BLOCKS):
                blocks.append(ResidualBlock(inputs, size, 2 if stage > 0 and block == 0 else 1))
                inputs = size
        self.blocks = nn.Sequential(*blocks)
        # As many cells as Keras' pool of 8 leaves; where 8 does not divide the side they share the rest of the face.
        self.cells = -(-input_px // 4) // POOL_PX
        self.output = nn.Linear(inputs * self.cells * self.cells, classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
                assert layer.bias is not None  # nosec B101 # every layer here has one
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Classifies the pictures."""
        features = F.relu(self.stem(inputs.contiguous(memory_format=torch.channels_last)))
        pooled = F.adaptive_avg_pool2d(self.blocks(features), self.cells)
        logits: Tensor = self.output(pooled.flatten(1))
        return logits


class ResNet20(StillRecogniser):
    """The apex in gray. Small inputs are seen whole: from 32 px on, any side will do."""

    colour: Literal["gray", "rgb"] = "gray"

    def fit_statistics(self, pixels: Tensor) -> Statistics:
        """Returns the mean of all training pixels, where Keras' example has one a pixel."""
        return {"mean": float(pixels.mean(dtype=torch.float64))}

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Brings pixels to a range of 1 around the training pictures' mean; (clip, 1, px, px)."""
        return (resized.squeeze(1) - statistics["mean"]) / 255

    def undecayed(self, network: nn.Module) -> Iterable[nn.Parameter]:
        """Returns all but the kernels of the convolutions: Keras' example penalises nothing else."""
        return [parameter for parameter in network.parameters() if parameter.ndim < 4]

    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network."""
        return ResNet20Network(classes, self.settings.width, self.settings.input_px)
