"""A shelf of named parts that are imported when they are used; knows nothing of what it holds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from austicker.types import AustickerError

T = TypeVar("T")


def nearest(word: str, known: Iterable[str]) -> str:
    """Returns " (did you mean 'x'?)" for the known word closest to `word`, or ""."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.4)
    return f" (did you mean '{found[0]}'?)" if found else ""


def clause(sentence: str) -> str:
    """Returns another library's sentence as a part of one of ours: its first letter small."""
    return f"{sentence[:1].lower()}{sentence[1:]}"


class Registry(Generic[T]):
    """Names to `module:attribute` addresses, joined by the entry points of other packages.

    Nothing is imported before it is asked for, so listing names costs no heavy library.
    """

    def __init__(self, noun: str, group: str, addresses: Mapping[str, str]) -> None:
        self.noun = noun
        theirs = {entry.name: entry.value for entry in entry_points(group=group) if entry.name not in addresses}
        self._addresses = dict(addresses) | theirs

    def names(self) -> tuple[str, ...]:
        """Returns the known names in order of registration, ours first."""
        return tuple(self._addresses)

    def check(self, name: str, where: str = "") -> str:
        """Returns `name` when it is known.

        Raises:
            AustickerError: the name is unknown; the sentence offers the nearest one.
        """
        if name not in self._addresses:
            place = f" in {where}" if where else ""
            hint = nearest(name, self._addresses) or f"; known: {', '.join(self._addresses)}"
            raise AustickerError(f"Unknown {self.noun} '{name}'{place}{hint}.")
        return name

    def __getitem__(self, name: str) -> T:
        """Imports and returns the entry.

        Raises:
            AustickerError: the name is unknown.
        """
        module, _, attribute = self._addresses[self.check(name)].partition(":")
        entry: T = getattr(import_module(module), attribute)
        return entry
