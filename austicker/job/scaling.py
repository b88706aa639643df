"""One job file for two sizes: what stands under `reduced` replaces its table's own values; checks nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from austicker.types import AustickerError

REDUCED = "reduced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """A value that a table `reduced` replaces.

    Attributes:
        place: keys and positions that lead to the table.
        before: () where the table has no such key.
    """

    place: tuple[str | int, ...]
    key: str
    before: tuple[Any, ...]


def scaled(content: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[Reduction]]:
    """Returns a job file's content without its tables `reduced`, and what they replaced.

    Where the top-level key `scale` is "reduced", what they hold replaces the values of the tables that hold them.
    Otherwise they are left out.

    Raises:
        AustickerError: a `reduced` is no table, or holds tables.
    """
    made: list[Reduction] = []
    wanted = content.get("scale") == REDUCED
    return _table(content, (), made, wanted, where), made


def in_words(content: Mapping[str, Any], made: Sequence[Reduction]) -> Iterator[str]:
    """Yields what is reduced, such as "models.1 (resnet20-small): epochs = 12"; a command line may have changed it."""
    for one in made:
        table = _table_at(content, one.place)
        if one.key in table and (table[one.key],) != one.before:
            name = table.get("label") or table.get("name")
            place = ".".join(map(str, one.place))
            shown = f"{place} ({name})" if place and name else place or "job"
            yield f"{shown}: {one.key} = {table[one.key]}" + (f" instead of {one.before[0]}" if one.before else "")


def _table_at(content: Mapping[str, Any], place: Sequence[str | int]) -> Mapping[str, Any]:
    """Returns a table of the job, empty where a command line replaced what held it by something else."""
    found: Any = content
    for part in place:
        there = range(len(found)) if isinstance(found, list) else found if isinstance(found, Mapping) else ()
        found = found[part] if part in there else None
    return found if isinstance(found, Mapping) else {}


def _table(
    table: Mapping[str, Any], place: tuple[str | int, ...], made: list[Reduction], wanted: bool, where: str
) -> dict[str, Any]:
    own = {key: _value(value, (*place, key), made, wanted, where) for key, value in table.items() if key != REDUCED}
    smaller = table.get(REDUCED, {})
    if not isinstance(smaller, Mapping) or any(isinstance(value, Mapping) for value in smaller.values()):
        name = ".".join(map(str, (*place, REDUCED)))
        raise AustickerError(f"'{name}' in {where} must be a table of keys and smaller values, not of tables.")
    if not wanted:
        return own
    made += [Reduction(place=place, key=key, before=(own[key],) if key in own else ()) for key in smaller]
    return {**own, **smaller}


def _value(value: Any, place: tuple[str | int, ...], made: list[Reduction], wanted: bool, where: str) -> Any:
    if isinstance(value, Mapping):
        return _table(value, place, made, wanted, where)
    if isinstance(value, list):
        return [_value(item, (*place, number), made, wanted, where) for number, item in enumerate(value)]
    return value
