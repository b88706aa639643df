"""The paper's attack: a fixed sticker at a place chosen beforehand, one query per clip (Table 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import wearing
from austicker.types import Access

if TYPE_CHECKING:
    from austicker.attacks.lockstep import Attempts
    from austicker.attacks.oracle import Oracle
    from austicker.attacks.trials import Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the sticker is worn.

    Attributes:
        rotation: degrees clockwise.
        opacity: 0 to 1.
    """

    rotation: float = 0.0
    opacity: float = 1.0

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        wearing.check(self.rotation, self.opacity)

    @property
    def queries(self) -> int:
        """Returns the one query that the paper counts."""
        return 1

    def within(self, budget: int) -> Settings:
        """Returns the settings as they are: less than one query is no attack."""
        return self


class Fixed:
    """Shows each trial's sticker once, where the job's placement puts it."""

    access: Access = "label"
    settings: type[Any] = Settings
    searches = False
    wears = True
    makes = ""
    maps = False

    def __call__(self, oracle: Oracle, trials: Trials, settings: Settings) -> Attempts:
        """Attacks every trial.

        Raises:
            ValueError: there is no trial, or no look for it.
        """
        from austicker.attacks.lockstep import ask_once

        if trials.looks is None:
            raise ValueError("the sticker attack needs a look for each trial")
        worn = np.full(len(trials), 1.0)
        looks = replace(trials.looks, rotation=worn * settings.rotation, opacity=worn * settings.opacity)
        return ask_once(oracle, trials, looks)


attack = Fixed()
