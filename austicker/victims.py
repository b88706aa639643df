"""What an attack may ask of any recogniser, whoever trained it; neither trains nor opens one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from austicker import training
from austicker.training import Trained
from austicker.types import Access, AustickerError, Clip


class Victim(Protocol):
    """A recogniser that is ready to be asked."""

    @property
    def label(self) -> str:
        """Returns what tables call it."""
        ...

    @property
    def access(self) -> Access:
        """Returns the most that it gives."""
        ...

    @property
    def classes(self) -> int:
        """Returns the columns of an answer, without that of "no face found" where there is one."""
        ...

    @property
    def colour(self) -> Literal["gray", "rgb"]:
        """Returns the colour of the frames that it takes: "gray" has one channel, "rgb" three."""
        ...

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns the packed frames that the recogniser looks at, always the same number of them."""
        ...

    def scores(self, frames: Tensor) -> Tensor:
        """Returns probabilities, float32 (n, classes) without a gradient; one-hot where only labels are given.

        Args:
            frames: (n, t, c, h, w) floats 0..255.
        """
        ...

    def logits(self, frames: Tensor) -> Tensor:
        """Returns logits (n, classes) with a gradient to `frames`, which are as for `scores`.

        Raises:
            AustickerError: the recogniser's access is not "gradients".
        """
        ...

    def features(self, frames: Tensor) -> NDArray[np.float32] | None:
        """Returns what it reads of the frames (n, feature) where that is no pixels, else None."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TrainedVictim:
    """A recogniser that was trained here, as a `Victim`."""

    trained: Trained

    @property
    def label(self) -> str:
        """Returns what tables call it."""
        return self.trained.settings.label

    @property
    def access(self) -> Access:
        """Returns the most that its kind of recogniser gives: everything about it is known."""
        return self.trained.recogniser.access

    @property
    def classes(self) -> int:
        """Returns the number of classes of its study."""
        return self.trained.classes

    @property
    def colour(self) -> Literal["gray", "rgb"]:
        """Returns the colour of the frames that it takes."""
        return self.trained.recogniser.colour

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns the packed frames that it looks at."""
        return self.trained.recogniser.frame_indices(clip)

    def scores(self, frames: Tensor) -> Tensor:
        """Returns softmax probabilities, float32 (n, classes); one column more says "no face found"."""
        return training.scores(self.trained, frames)

    def logits(self, frames: Tensor) -> Tensor:
        """Returns logits (n, classes) with a gradient to `frames`.

        Raises:
            AustickerError: its kind of recogniser has no gradient.
        """
        if self.access != "gradients":
            raise AustickerError(
                f"The recogniser '{self.label}' gives {self.access} and no gradients: choose an attack that needs none."
            )
        return training.logits(self.trained, frames)

    def features(self, frames: Tensor) -> NDArray[np.float32] | None:
        """Returns what its kind of recogniser reads where that is no pixels; NaN where it finds no face."""
        with torch.no_grad():
            read = self.trained.recogniser.features(frames)
        return None if read is None else read.cpu().numpy()
