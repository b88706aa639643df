"""What every recogniser offers to training and attacks; holds no architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from austicker.types import Clip, ModelSettings

Statistics = Mapping[str, float]


class Recogniser(ABC):
    """One architecture with its own preprocessing.

    A recogniser is handed the frames that it asks for, as float tensors (clip, frame, c, h, w) in 0..255 at the
    corpus' resolution, with c = 1 where `colour` is "gray" and 3 where it is "rgb".
    """

    colour: Literal["gray", "rgb"]

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings

    @abstractmethod
    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns the packed frames that the recogniser looks at, always the same number of them."""

    def jittered_frame_indices(self, clip: Clip, generator: np.random.Generator) -> tuple[int, ...]:
        """Returns the frames of one training epoch; by default those of the evaluation."""
        return self.frame_indices(clip)

    def fit_statistics(self, pixels: Tensor) -> Statistics:
        """Returns the normalisation constants of these training clips (already resized by `resize`)."""
        return {}

    @abstractmethod
    def resize(self, pixels: Tensor) -> Tensor:
        """Brings (clip, frame, c, h, w) pixels to the input's size; the range 0..255 stays."""

    def augment(self, resized: Tensor, generator: torch.Generator) -> Tensor:
        """Returns a randomly varied batch for training; the same variation on all frames of one clip."""
        return resized

    @abstractmethod
    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Turns resized pixels into the network's input tensor."""

    @abstractmethod
    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network: input tensor to logits (clip, classes)."""
