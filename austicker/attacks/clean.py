"""No attack: every picture as it is, asked for once; the row beside which all others stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker.attacks.search import Once

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.oracle import Oracle
    from austicker.attacks.trials import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """There is nothing to set."""

    @property
    def queries(self) -> int:
        """Returns one query."""
        return 1

    def within(self, budget: int) -> Settings:
        """Returns the settings as they are."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Untouched:
    """`count` times nothing, as an `Edit`."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Any) -> Untouched:
        """Returns some of them."""
        return Untouched(count=len(np.arange(self.count)[rows]))

    @staticmethod
    def joined(edits: list[Untouched]) -> Untouched:
        """Returns several batches as one."""
        return Untouched(count=sum(map(len, edits)))

    def applied(self, clips: Tensor) -> Tensor:
        """Returns the clips."""
        return clips

    def columns(self, row: int) -> dict[str, Any]:
        """Returns nothing: nothing was done."""
        return {}


def untouched(oracle: Oracle, trials: Trials, settings: Settings) -> Untouched:
    """Returns nothing done to each clip; asks nothing."""
    return Untouched(count=len(trials))


attack = Once(settings=Settings, makes="nothing", propose=untouched)
