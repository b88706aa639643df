"""What an attack is, and the two that most are: a search walked on every face, or one proposal; imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from austicker.types import Access

if TYPE_CHECKING:
    from austicker.attacks.lockstep import Attempts
    from austicker.attacks.looks import Face, Proposal, Walk
    from austicker.attacks.oracle import Oracle
    from austicker.attacks.trials import Trials

S = TypeVar("S", bound="Settings")


class Settings(Protocol):
    """The named parameters of an attack, a frozen dataclass; the defaults are the published ones."""

    @property
    def queries(self) -> int:
        """Returns the most queries that it asks for one clip."""
        ...

    def within(self: S, budget: int) -> S:
        """Returns the settings of a smaller search of the same shape that asks at most about `budget` queries."""
        ...


Cost = Callable[[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float64] | None], NDArray[np.float64]]
"""Rates m proposals by whether they hid the emotion (m,), the true class' scores (m,) and the SSIM (m,) or None."""


def closest(
    hides: NDArray[np.bool_], scores: NDArray[np.float32], ssim: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Rates what hides the emotion before everything else, and the rest by the score of the true class."""
    return np.where(hides, -1.0, scores.astype(np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Which of a search's proposals counts: the one of lowest cost, the earliest of equals.

    Attributes:
        measures: the search is told how much of each picture is changed, and so is `cost`.
    """

    cost: Cost = closest
    measures: bool = False


CLOSEST = Judge()


class Attack(Protocol):
    """Tries to change what a recogniser answers.

    Attributes:
        access: what it needs of a recogniser.
        settings: the type of its parameters.
        searches: it finds its own place; otherwise it is tried at every placement of the job.
        wears: it puts the job's stickers on faces; otherwise it makes something of its own.
        makes: what verdicts call that instead of a sticker, or "".
        maps: its verdicts keep the answer at every place asked.
    """

    access: Access
    settings: type[Any]
    searches: bool
    wears: bool
    makes: str
    maps: bool

    def __call__(self, oracle: Oracle, trials: Trials, settings: Any) -> Attempts:
        """Attacks every trial within the oracle's budget."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search that is written for one face and walked on many.

    Attributes:
        walk: begins a walk on a face with some settings.
        stops: it ends where the emotion is hidden; otherwise it asks everything.
        judge: which of its proposals counts.
        wears: as in `Attack`, like `makes`, `maps` and `searches`.
    """

    access: Access
    settings: type[Any]
    walk: Callable[[Face, Any], Walk]
    stops: bool = True
    judge: Judge = CLOSEST
    wears: bool = True
    makes: str = ""
    maps: bool = False
    searches: bool = True

    def __call__(self, oracle: Oracle, trials: Trials, settings: Any) -> Attempts:
        """Searches on every trial within the oracle's budget."""
        from austicker.attacks.lockstep import walk_all

        return walk_all(oracle, trials, partial(self._begun, settings), stops=self.stops, judge=self.judge)

    def _begun(self, settings: Any, face: Face) -> Walk:
        return self.walk(face, settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """An attack that makes one proposal for each clip and asks for it.

    Attributes:
        propose: returns one proposal for each trial, of which there is at least one.
        wears: as in `Attack`, like `access`, `settings`, `searches`, `makes` and `maps`.
    """

    settings: type[Any]
    propose: Callable[[Oracle, Trials, Any], Proposal]
    access: Access = "label"
    wears: bool = False
    makes: str = ""
    maps: bool = False
    searches: bool = True

    def __call__(self, oracle: Oracle, trials: Trials, settings: Any) -> Attempts:
        """Attacks every trial.

        Raises:
            ValueError: there is no trial.
        """
        from austicker.attacks.lockstep import ask_once

        if not len(trials):
            raise ValueError("an attack needs at least one trial")
        return ask_once(oracle, trials, self.propose(oracle, trials, settings))
