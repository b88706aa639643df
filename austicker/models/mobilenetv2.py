"""MobileNetV2 with a dense layer of 128 before the classes, as Baia et al. attack it with filters.

Sandler, Howard, Zhu, Zhmoginov and Chen, CVPR 2018, arXiv 1801.04381. Convolutions pad by one pixel on every side;
Keras pads right and below where the stride is 2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from austicker.models.still import StillRecogniser

STEM, LAST, HIDDEN = 32, 1280, 128
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion, channels, blocks, stride of the first block), table 2 of the paper."""
DIVISOR = 8
KERAS_EPSILON = 1e-3


def channels(published: int, width: float) -> int:
    """Scales a channel count to a multiple of eight, never below nine tenths of it."""
    wanted = published * width
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * wanted else rounded


def _convolved(inputs: int, outputs: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Returns a convolution without bias, its batch normalisation and ReLU6."""
    return [
        nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=KERAS_EPSILON),
        nn.ReLU6(),
    ]


class InvertedResidual(nn.Module):
    """Expansion, a convolution of each channel alone, and a linear projection; added to its input where it fits."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        expanded = [] if expansion == 1 else _convolved(inputs, inner, 1)
        self.body = nn.Sequential(
            *expanded, *_convolved(inner, inner, 3, stride, inner), nn.Conv2d(inner, outputs, 1, bias=False)
        )
        self.scale = nn.BatchNorm2d(outputs, eps=KERAS_EPSILON)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Maps (picture, inputs, h, w) to (picture, outputs, h / stride, w / stride)."""
        projected: Tensor = self.scale(self.body(features))
        return features + projected if self.adds else projected


class MobileNetV2Network(nn.Module):
    """Pictures (picture, 3, px, px) in -1..1 to logits (picture, classes).

    The width multiplies as in the paper: not the last convolution below 1, and not the dense layer.
    """

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        inputs, last = channels(STEM, width), channels(LAST, max(1.0, width))
        layers = _convolved(3, inputs, 3, 2)
        for expansion, published, blocks, stride in STAGES:
            outputs = channels(published, width)
            for block in range(blocks):
                layers.append(InvertedResidual(inputs, outputs, stride if block == 0 else 1, expansion))
                inputs = outputs
        self.backbone = nn.Sequential(*layers, *_convolved(inputs, last, 1))
        self.head = nn.Sequential(nn.Linear(last, HIDDEN), nn.ReLU(), nn.Dropout(0.5), nn.Linear(HIDDEN, classes))
        for layer in self.backbone.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            elif isinstance(layer, InvertedResidual) and layer.adds:
                # Ours: what is added starts at nothing, without which a small corpus teaches it next to nothing.
                nn.init.zeros_(layer.scale.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Classifies the pictures."""
        features = self.backbone(inputs.contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


class MobileNetV2(StillRecogniser):
    """The apex in colour."""

    colour: Literal["gray", "rgb"] = "rgb"

    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network."""
        return MobileNetV2Network(classes, self.settings.width)
