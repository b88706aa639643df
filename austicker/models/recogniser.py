"""What every recogniser offers to training and attacks; holds no architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.types import Access, AustickerError, Clip, ModelSettings

Statistics = Mapping[str, float]


def to_square(pixels: Tensor, side: int) -> Tensor:
    """Resizes (clip, frame, c, h, w) pixels to a square: bilinear, antialiased."""
    if pixels.shape[-2:] == (side, side):
        return pixels
    resized = F.interpolate(pixels.flatten(0, 1), (side, side), mode="bilinear", antialias=True)
    return resized.view(*pixels.shape[:3], side, side)


def scaled(published: int, width: float) -> int:
    """Returns a channel count times the width."""
    return max(1, round(published * width))


class Recogniser(ABC):
    """One architecture with its own preprocessing.

    A recogniser is handed the frames that it asks for, as float tensors (clip, frame, c, h, w) in 0..255 at the
    corpus' resolution, with c = 1 where `colour` is "gray" and 3 where it is "rgb". `access` is the most that it gives
    an attack, and the same as in its recipe. A network may answer with one column more than there are classes: the last
    then means that it found no face.
    """

    colour: Literal["gray", "rgb"]
    access: Access = "gradients"

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

    def restored(self, classes: int, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Builds the network that has these tensors as its `state_dict`.

        Raises:
            RuntimeError: they do not fit.
        """
        network = self.network(classes)
        network.load_state_dict(tensors)
        return network

    def undecayed(self, network: nn.Module) -> Iterable[nn.Parameter]:
        """Returns the parameters of a network that weight decay leaves alone; by default none."""
        return ()

    def features(self, pixels: Tensor) -> Tensor | None:
        """Returns what the recogniser reads of frames as it is handed them, (clip, feature), if that is no pixels."""
        return None

    def spared_s(self) -> float:
        """Returns how many seconds of work were spared so far because this process remembered their outcome.

        A running total: whoever takes a time adds what was spared meanwhile, so that an answer from memory takes as
        long as it took when it was worked out. What this process had to set up once is subtracted.
        """
        return 0.0


class Fitted(Recogniser):
    """A recogniser that is learned in one go: no epochs, no curve, and no network before it is learned.

    Its recipe says `fitted = true`, and names no key of training by gradients.
    """

    @abstractmethod
    def fit(self, pixels: Tensor, labels: Tensor, classes: int, seed: int) -> nn.Module:
        """Learns from the training clips and returns what maps the outcome of `normalise` to logits.

        Args:
            pixels: (clip, frame, c, h, w) in 0..255, as `resize` returned them.
            labels: class of each clip (clip,).
            classes: how many there are; the training clips may lack some.
            seed: decides all that is drawn at random.
        """

    @abstractmethod
    def restored(self, classes: int, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Builds what `fit` returned from its `state_dict`."""

    def network(self, classes: int) -> nn.Module:
        """Refuses: there is nothing before `fit`.

        Raises:
            AustickerError: always.
        """
        raise AustickerError(f"The recogniser '{self.settings.label}' is fitted in one go: no network comes before.")
