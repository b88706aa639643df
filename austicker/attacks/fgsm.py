"""The fast gradient sign method of Goodfellow, Shlens and Szegedy, ICLR 2015: x + epsilon sign(gradient of the loss).

The gradient is that of the recogniser itself, or of another recogniser of the job, its surrogate, on which the pictures
are made that are then shown (Shehu and others make them on ResNet and show them to the forest). A gradient of the
recogniser itself is one query; a surrogate is the attacker's own, and asking it counts nothing. Where the recogniser is
so sure that the gradient is 0 in floating point, the picture stays as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker.attacks.search import Once
from austicker.types import AustickerError

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.oracle import Oracle
    from austicker.attacks.trials import Trials

WHITE = 255.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the attack.

    Attributes:
        epsilon: the step of every pixel, as a fraction of the range from black to white.
    """

    epsilon: float = 0.01

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if not (math.isfinite(self.epsilon) and 0 < self.epsilon <= 1):
            raise AustickerError(f"The epsilon {self.epsilon:g} of fgsm is not above 0 and at most 1 (black to white).")

    @property
    def queries(self) -> int:
        """Returns the gradient and the picture that it gives."""
        return 2

    def within(self, budget: int) -> Settings:
        """Returns the settings as they are.

        Raises:
            AustickerError: the budget has no room for the gradient and the picture that it gives.
        """
        if budget < self.queries:
            raise AustickerError(
                f"A budget of {budget} is too small for fgsm: give it {self.queries} queries, one of them the gradient."
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """One step on each of m clips, as an `Edit`.

    Attributes:
        signs: (m, t, c, h, w) int8 -1, 0 or 1, in host memory.
        epsilon: as in `Settings`.
    """

    signs: Tensor
    epsilon: float

    def __len__(self) -> int:
        return len(self.signs)

    def __getitem__(self, rows: Any) -> Steps:
        """Returns some of them."""
        return Steps(signs=self.signs[rows], epsilon=self.epsilon)

    @staticmethod
    def joined(edits: list[Steps]) -> Steps:
        """Returns several batches of one epsilon as one."""
        import torch

        return Steps(signs=torch.cat([edit.signs for edit in edits]), epsilon=edits[0].epsilon)

    def applied(self, clips: Tensor) -> Tensor:
        """Returns x + epsilon sign, within the range of pixels."""
        return (clips + self.epsilon * WHITE * self.signs.to(clips)).clamp(0, WHITE)

    def columns(self, row: int) -> dict[str, Any]:
        """Returns the step as JSON."""
        return {"recipe": f'{{"epsilon":{self.epsilon:g}}}'}


def steps(oracle: Oracle, trials: Trials, settings: Settings) -> Steps:
    """Returns one step up the loss on each clip, after asking for its gradient."""
    import torch

    from austicker.memory import halving

    owners = np.arange(len(trials))

    def signs(rows: slice) -> Tensor:
        slope = oracle.gradients(trials.clean(owners[rows]), owners[rows])
        return slope.sign().to(torch.int8).cpu()

    return Steps(signs=torch.cat(list(halving(signs, len(trials), trials.batch))), epsilon=settings.epsilon)


attack = Once(settings=Settings, makes="noise", propose=steps, access="gradients")
