"""VGG-16, configuration D, for faces of 48 px, as AU-Sticker attacks it on FER2013.

Simonyan and Zisserman, ICLR 2015, arXiv 1409.1556. The training is not published; batch normalisation and a head for
small inputs are ours.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from austicker.models.recogniser import Statistics, scaled
from austicker.models.still import StillRecogniser

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(channels, convolutions) before each pool."""
HIDDEN = 512


class VGG16Network(nn.Module):
    """Pictures (picture, 3, px, px) in -1..1 to logits (picture, classes)."""

    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for published, convolutions in STAGES:
            for _ in range(convolutions):
                outputs = scaled(published, width)
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        hidden = scaled(HIDDEN, width)
        self.backbone = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, classes))
        for layer in self.backbone.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, inputs: Tensor) -> Tensor:
        """Classifies the pictures; larger ones than 48 px leave several places, of which the mean counts."""
        features = self.backbone(inputs.contiguous(memory_format=torch.channels_last))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


class VGG16(StillRecogniser):
    """The apex in gray, as FER2013 is and as its camera would see a sticker, repeated to the three channels of VGG."""

    colour: Literal["gray", "rgb"] = "gray"

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Brings 0..255 to -1..1; (clip, 3, px, px)."""
        return super().normalise(resized, statistics).expand(-1, 3, -1, -1)

    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network."""
        return VGG16Network(classes, self.settings.width)
