"""The recogniser of the package facial-emotion-recognition: a small convolutional network by R. Akhtar.

Its seven outputs are sigmoids, of which the package takes the largest. Only its weight file is used.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.foreign import packaged
from austicker.foreign.record import ForeignSettings
from austicker.foreign.victim import Opened, prepared

CHANNELS = (1, 32, 64, 128, 256)
STRIDES = (1, 2, 2, 2)
LAST_SIDE_PX = 6
HIDDEN = 256


def facial_emotion_recognition(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens the network.

    Raises:
        AustickerError: the package is not installed, or its file is another one.
    """
    content = packaged.content(packaged.FACIAL_EMOTION_RECOGNITION)
    # A pickle: only tensors and plain values are read from it.
    saved = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    network = _Network(len(settings.labels))
    network.load_state_dict(saved["network"])
    return prepared(network.to(device).eval().requires_grad_(False), settings)


class _Network(nn.Module):
    """Gray (n, 1, 48, 48) in [-1, 1] to logits (n, labels); the names are those of the weight file."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        for number, stride in enumerate(STRIDES):
            inputs, outputs = CHANNELS[number : number + 2]
            layers = (nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), nn.ReLU())
            self.add_module(f"conv_{number + 1}", nn.Sequential(*layers))
        features = CHANNELS[-1] * LAST_SIDE_PX**2
        self.linear = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, labels))

    def forward(self, pictures: Tensor) -> Tensor:
        """Returns the logarithms of the sigmoids: their softmax is each sigmoid's share of all seven."""
        for number in range(len(STRIDES)):
            pictures = self.get_submodule(f"conv_{number + 1}")(pictures)
        return F.logsigmoid(self.linear(pictures.flatten(1)))
