"""The parsed content of a job file to a checked Job; imports no heavy library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pydantic

from austicker import causal, choices, corpora, placements, protocols
from austicker.job.attacks import checked_attack, each_once
from austicker.job.models import check_surrogates, checked_models, restricted
from austicker.job.records import STRICT, AttackChoice, CorpusChoice, Job, Scale
from austicker.registry import clause, nearest
from austicker.types import AustickerError, DiscoverySettings

LARGEST_SEED = 2**31 - 1
"""The verdicts keep seeds in 32 bits."""
MOST_REPEATS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What a job file may hold.

    Attributes:
        repeats: seeds 0 to repeats - 1, instead of `seeds`.
        budget: that of every attack that names none.
        reductions: added by `scaled`.
    """

    __pydantic_config__ = STRICT

    name: str
    corpora: tuple[CorpusChoice, ...]
    models: tuple[dict[str, Any], ...]
    description: str = ""
    protocol: str = "loso"
    scale: Scale = "published"
    reductions: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    repeats: int | None = None
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    attacks: tuple[AttackChoice, ...] = (AttackChoice(),)
    budget: int | None = None
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
    meets: dict[str, tuple[str, ...]] = field(default_factory=dict)


def check(content: Mapping[str, Any], where: str, folder: Path) -> Job:
    """Checks the parsed content of a job file.

    Args:
        content: the parsed TOML.
        where: the file's name for messages.
        folder: where relative sticker and corpus paths start.

    Raises:
        AustickerError: a key or a value is wrong.
    """
    with _naming(where):
        return _checked(content, where, folder)


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Makes one line of a refusal and puts the job file before it where it names none."""
    try:
        yield
    except AustickerError as error:
        sentence = " ".join(str(error).split())
        raise AustickerError(sentence if where in sentence else f"{where}: {sentence}") from error


def _checked(content: Mapping[str, Any], where: str, folder: Path) -> Job:
    try:
        # As JSON, because only there the strict mode, in which true is no number, takes a list for a tuple.
        text = json.dumps(content, default=lambda value: {"date or time": str(value)})
        file = pydantic.TypeAdapter(_File).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise AustickerError(_sentence(error, where)) from None
    if not re.fullmatch(r"\w[\w. -]*", file.name):
        raise AustickerError(
            f"The name {file.name!r} in {where} cannot name a folder: use letters, digits, '-' or '_'."
        )
    seeds = _seeds(file, where)
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise AustickerError(f"The seed {seed} in {where} is not between 0 and {LARGEST_SEED}.")
    for part, values in (("corpora", file.corpora), ("models", file.models), ("attacks", file.attacks)):
        if not values:
            raise AustickerError(f"'{part}' in {where} is empty: name at least one.")
    _check_discovery(file.discovery, where)
    chosen = _corpora(file.corpora, where, folder)
    protocols.check(file.protocol, [choice.name for choice in chosen], where)
    attacks = tuple(checked_attack(attack, file.budget, where, folder) for attack in file.attacks)
    each_once(tuple(attack.label for attack in attacks), "the labels of the attacks", where)
    found = checked_models(file.models, where, folder)
    known = {"corpora": tuple(choice.name for choice in chosen), "attacks": tuple(attack.label for attack in attacks)}
    only = restricted(found, "corpora", file.only, known["corpora"], where)
    meets = restricted(found, "attacks", file.meets, known["attacks"], where)
    check_surrogates(attacks, tuple(entry.settings for entry in found), where)
    for kind in dict.fromkeys(
        kind for attack in attacks for name in attack.placements for kind in placements.needs(name)
    ):
        if kind in choices.KINDS:
            choices.check(kind, file.discovery)
    return Job(
        name=file.name,
        description=file.description,
        protocol=protocols.canonical_name(file.protocol),
        corpora=chosen,
        models=tuple(entry.settings for entry in found),
        discovery=file.discovery,
        attacks=attacks,
        seeds=each_once(seeds, "seeds", where),
        only=only,
        meets=meets,
        scale=file.scale,
        reductions=file.reductions,
    )


def _seeds(file: _File, where: str) -> tuple[int, ...]:
    if file.repeats is None:
        return (0,) if file.seeds is None else file.seeds
    if file.seeds is not None:
        raise AustickerError(f"{where} gives both 'seeds' and 'repeats': leave one of them out.")
    if not 1 <= file.repeats <= MOST_REPEATS:
        raise AustickerError(f"'repeats = {file.repeats}' in {where} must lie between 1 and {MOST_REPEATS}.")
    return tuple(range(file.repeats))


def _check_discovery(settings: DiscoverySettings, where: str) -> None:
    if settings.method not in causal.METHODS:
        hint = nearest(settings.method, causal.METHODS) or f"; known: {', '.join(causal.METHODS)}"
        raise AustickerError(f"Unknown discovery method '{settings.method}' in {where}{hint}.")
    limits = {"alpha": 0 < settings.alpha < 1, "bins": settings.bins >= 2, "bootstraps": settings.bootstraps >= 0}
    limits |= {"max_conditions": settings.max_conditions >= 0, "clips": settings.clips is None or settings.clips >= 1}
    for key, allowed in limits.items():
        if not allowed:
            raise AustickerError(f"'discovery.{key} = {getattr(settings, key)}' in {where} is out of range.")


def _sentence(error: pydantic.ValidationError, where: str) -> str:
    """Turns pydantic's first finding into one sentence with the nearest known key."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    key = str(first["loc"][-1])
    if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        owner: dict[str, Any] = {"corpora": CorpusChoice, "attacks": AttackChoice, "discovery": DiscoverySettings}
        record = owner.get(str(first["loc"][0]), _File) if len(first["loc"]) > 1 else _File
        known = tuple(item.name for item in fields(record))
        return f"Unknown key '{place}' in {where}{nearest(key, known) or '; known: ' + ', '.join(known)}."
    if first["type"] in ("missing_argument", "missing"):
        return f"The key '{place}' is missing in {where}."
    reason = clause(first["msg"])
    hint = nearest(str(first["input"]), re.findall("'([^']*)'", reason)) if first["type"] == "literal_error" else ""
    return f"The value {first['input']!r} of '{place}' in {where} is wrong: {reason}{hint}."


def _corpora(choices: tuple[CorpusChoice, ...], where: str, folder: Path) -> tuple[CorpusChoice, ...]:
    each_once(tuple(choice.name for choice in choices), "corpora", where)
    for choice in choices:
        corpora.check(choice.name, folder / choice.root if choice.root else None, where)
        for key in ("folds", "train_per_class", "test_per_class"):
            value = getattr(choice, key)
            if value is not None and value < 1:
                raise AustickerError(f"'{key} = {value}' of corpus '{choice.name}' in {where} must be at least 1.")
    return tuple(
        replace(choice, root=str((folder / choice.root).resolve()) if choice.root else None) for choice in choices
    )
