"""What an attack may ask of any recogniser, whoever trained it; neither trains nor opens one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from austicker import training
from austicker.training import Trained
from austicker.types import Access, Clip


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
        """Returns the columns of an answer."""
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
        """Returns "gradients": everything about it is known."""
        return "gradients"

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
        """Returns softmax probabilities, float32 (n, classes)."""
        return training.scores(self.trained, frames)

    def logits(self, frames: Tensor) -> Tensor:
        """Returns logits (n, classes) with a gradient to `frames`."""
        return training.logits(self.trained, frames)
