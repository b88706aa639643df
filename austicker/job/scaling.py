"""One job file for two sizes: what stands under `reduced` replaces its table's own values; checks nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from austicker.types import AustickerError

REDUCED = "reduced"


def scaled(content: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns a job file's content without its tables `reduced`.

    Where the top-level key `scale` is "reduced", what they hold replaces the values of the tables that hold them, and
    `reductions` says so in sentences. Otherwise they are left out.

    Raises:
        AustickerError: a `reduced` is no table, or holds tables.
    """
    sentences: list[str] = []
    wanted = content.get("scale") == REDUCED
    whole: dict[str, Any] = _table(content, "", sentences, wanted, where)
    return {**whole, "reductions": [*content.get("reductions", ()), *sentences]} if sentences else whole


def _table(table: Mapping[str, Any], place: str, sentences: list[str], wanted: bool, where: str) -> dict[str, Any]:
    own = {
        key: _value(value, f"{place}{key}", sentences, wanted, where) for key, value in table.items() if key != REDUCED
    }
    smaller = table.get(REDUCED, {})
    if not isinstance(smaller, Mapping):
        raise AustickerError(f"'{place}{REDUCED}' in {where} must be a table of keys and smaller values.")
    if not wanted:
        return own
    sentences += _said(own, smaller, place)
    return {**own, **smaller}


def _value(value: Any, place: str, sentences: list[str], wanted: bool, where: str) -> Any:
    if isinstance(value, Mapping):
        return _table(value, f"{place}.", sentences, wanted, where)
    if isinstance(value, list):
        return [_value(item, f"{place}.{number}", sentences, wanted, where) for number, item in enumerate(value)]
    return value


def _said(own: Mapping[str, Any], smaller: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yields what is reduced, such as "models.0 (resnet20): epochs = 12"."""
    name = own.get("label") or own.get("name")
    table = f"{place.rstrip('.')} ({name})" if place and name else place.rstrip(".") or "job"
    for key, value in smaller.items():
        yield f"{table}: {key} = {value}" + (f" instead of {own[key]}" if key in own else "")
