"""No attack: every picture as it is, asked for once; the row beside which all others stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker.types import Access

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.lockstep import Attempts
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


class Clean:
    """Shows each clip once."""

    access: Access = "label"
    settings: type[Any] = Settings
    searches = True
    wears = False
    makes = "nothing"
    maps = False

    def __call__(self, oracle: Oracle, trials: Trials, settings: Settings) -> Attempts:
        """Asks for every trial's clip.

        Raises:
            ValueError: there is no trial.
        """
        from austicker.attacks.lockstep import ask_once

        return ask_once(oracle, trials, Untouched(count=len(trials)))


attack = Clean()
