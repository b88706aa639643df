"""A placement search as an attack: what it needs, its settings, and the walk on one face; imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from austicker.types import Access

if TYPE_CHECKING:
    from austicker.attacks.lockstep import Attempts
    from austicker.attacks.looks import Face, Walk
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


class Attack(Protocol):
    """Tries to change what a recogniser answers.

    Attributes:
        access: what it needs of a recogniser.
        settings: the type of its parameters.
        searches: it finds its own place; otherwise it is tried at every placement of the job.
        wears: it puts the job's stickers on faces; otherwise it makes a patch of its own.
        maps: its verdicts keep the answer at every place asked.
    """

    access: Access
    settings: type[Any]
    searches: bool
    wears: bool
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
        wears: as in `Attack`, like `maps` and `searches`.
    """

    access: Access
    settings: type[Any]
    walk: Callable[[Face, Any], Walk]
    stops: bool = True
    wears: bool = True
    maps: bool = False
    searches: bool = True

    def __call__(self, oracle: Oracle, trials: Trials, settings: Any) -> Attempts:
        """Searches on every trial within the oracle's budget."""
        from austicker.attacks.lockstep import walk_all

        return walk_all(oracle, trials, partial(self._begun, settings), stops=self.stops)

    def _begun(self, settings: Any, face: Face) -> Walk:
        return self.walk(face, settings)
