"""The paper's attack: a fixed sticker at a place chosen beforehand, one query per clip (Table 2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from austicker import wearing
from austicker.attacks.search import Once

if TYPE_CHECKING:
    from austicker.attacks.looks import Looks
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


def placed(oracle: Oracle, trials: Trials, settings: Settings) -> Looks:
    """Returns each trial's sticker where the job's placement puts it, turned and faded; asks nothing.

    Raises:
        ValueError: there is no look for a trial.
    """
    if trials.looks is None:
        raise ValueError("the sticker attack needs a look for each trial")
    worn = np.full(len(trials), 1.0)
    return replace(trials.looks, rotation=worn * settings.rotation, opacity=worn * settings.opacity)


attack = Once(settings=Settings, propose=placed, searches=False, wears=True)
