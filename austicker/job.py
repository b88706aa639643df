"""A job file (TOML) to a checked Job; knows the grid's settings, runs nothing and imports no heavy library."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pydantic

from austicker import causal, corpora, models, placements, protocols, stickers
from austicker.attacks import ATTACKS
from austicker.corpora import Landmarks
from austicker.registry import nearest
from austicker.types import AustickerError, DiscoverySettings, ModelSettings, Variant

PAPER_SIDE = 0.2
"""The paper's S = (2W/10, 2H/10)."""
LARGEST_SEED = 2**31 - 1
"""The verdicts keep seeds in 32 bits."""
_STRICT = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusChoice:
    """A corpus of the job.

    Attributes:
        root: the folder of its data; none for an embedded one.
        folds: how many folds are evaluated; all where it is None.
        landmarks: who says where a face's points are.
    """

    __pydantic_config__ = _STRICT

    name: str
    root: str | None = None
    folds: int | None = None
    landmarks: Landmarks = "mediapipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackChoice:
    """One attack with its part of the grid; `side` is the sticker's side as a fraction of the face's width and height.

    `variant` says on which frames the sticker is and whether it moves (`austicker.placements.variants`); `label` is
    what the verdicts call the attack, by default its name and whatever differs from the paper's setting.
    """

    __pydantic_config__ = _STRICT

    name: str = "sticker"
    label: str = ""
    stickers: tuple[str, ...] = tuple(stickers.STICKERS)
    placements: tuple[str, ...] = ("causal", "random", "positions", "region/*", "centre")
    random_draws: int = 5
    side: float = PAPER_SIDE
    variant: Variant = "same-place"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """What a job file may hold."""

    __pydantic_config__ = _STRICT

    name: str
    corpora: tuple[CorpusChoice, ...]
    models: tuple[dict[str, Any], ...]
    description: str = ""
    protocol: str = "loso"
    seeds: tuple[int, ...] = (0,)
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    attacks: tuple[AttackChoice, ...] = (AttackChoice(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked job: every name is known and every default filled in."""

    name: str
    description: str
    protocol: str
    corpora: tuple[CorpusChoice, ...]
    models: tuple[ModelSettings, ...]
    discovery: DiscoverySettings
    attacks: tuple[AttackChoice, ...]
    seeds: tuple[int, ...]

    def record(self) -> dict[str, Any]:
        """Returns the canonical job as JSON values; `from_record` is its inverse."""
        return asdict(self)


def from_record(record: Mapping[str, Any]) -> Job:
    """Returns the job of a canonical record."""
    return Job(
        name=record["name"],
        description=record["description"],
        protocol=record["protocol"],
        corpora=tuple(CorpusChoice(**corpus) for corpus in record["corpora"]),
        models=tuple(ModelSettings(**model) for model in record["models"]),
        discovery=DiscoverySettings(**record["discovery"]),
        attacks=tuple(
            AttackChoice(**{**attack, "stickers": tuple(attack["stickers"]), "placements": tuple(attack["placements"])})
            for attack in record["attacks"]
        ),
        seeds=tuple(record["seeds"]),
    )


def read(path: Path, settings: Sequence[str] = ()) -> Job:
    """Reads and checks a job file.

    Args:
        path: the TOML file, or JSON with the same keys where it ends in .json, such as a canonical record.
        settings: `key=value` overrides; the key is dotted ("attacks.0.side"), the value is TOML or plain text.

    Raises:
        AustickerError: the file, an override, a key or a name is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError:
        raise AustickerError(f"There is no job file '{path}': see the folder jobs/ for examples.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AustickerError(f"The job file '{path}' cannot be read ({error}).") from error
    except tomllib.TOMLDecodeError as error:
        raise AustickerError(f"The job file '{path}' is not valid TOML: {error}.") from error
    except json.JSONDecodeError as error:
        raise AustickerError(f"The job file '{path}' is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise AustickerError(f"The job file '{path}' holds no table of keys and values.")
    for setting in settings:
        _override(content, setting)
    return check(content, str(path), path.parent)


def _override(content: dict[str, Any], setting: str) -> None:
    """Applies one `key=value` to the parsed file."""
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise AustickerError(f"'--set {setting}' is not of the form key=value, such as attacks.0.side=0.3.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    place: Any = content
    *parents, last = key.split(".")
    try:
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (ValueError, IndexError, TypeError, AttributeError):
        raise AustickerError(
            f"'--set {setting}': no such place in the job; items of a list go by number, such as models.0.epochs=5."
        ) from None


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
    for seed in file.seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise AustickerError(f"The seed {seed} in {where} is not between 0 and {LARGEST_SEED}.")
    for part, values in (("corpora", file.corpora), ("models", file.models), ("attacks", file.attacks)):
        if not values:
            raise AustickerError(f"'{part}' in {where} is empty: name at least one.")
    _check_discovery(file.discovery, where)
    chosen = _corpora(file.corpora, where, folder)
    protocols.check(file.protocol, [choice.name for choice in chosen], where)
    attacks = tuple(_attack(attack, where, folder) for attack in file.attacks)
    _unique(tuple(attack.label for attack in attacks), "the labels of the attacks", where)
    return Job(
        name=file.name,
        description=file.description,
        protocol=protocols.canonical_name(file.protocol),
        corpora=chosen,
        models=_models(file.models, where),
        discovery=file.discovery,
        attacks=attacks,
        seeds=_unique(file.seeds, "seeds", where),
    )


def _check_discovery(settings: DiscoverySettings, where: str) -> None:
    if settings.method not in causal.METHODS:
        hint = nearest(settings.method, causal.METHODS) or f"; known: {', '.join(causal.METHODS)}"
        raise AustickerError(f"Unknown discovery method '{settings.method}' in {where}{hint}.")
    limits = {"alpha": 0 < settings.alpha < 1, "bins": settings.bins >= 2, "bootstraps": settings.bootstraps >= 0}
    limits["max_conditions"] = settings.max_conditions >= 0
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
    reason = f"{first['msg'][:1].lower()}{first['msg'][1:]}"
    hint = nearest(str(first["input"]), re.findall("'([^']*)'", reason)) if first["type"] == "literal_error" else ""
    return f"The value {first['input']!r} of '{place}' in {where} is wrong: {reason}{hint}."


def _unique(values: tuple[Any, ...], key: str, where: str) -> tuple[Any, ...]:
    if not values or len(set(values)) < len(values):
        raise AustickerError(f"'{key}' in {where} must name at least one value, each once; it is {list(values)}.")
    return values


def _corpora(choices: tuple[CorpusChoice, ...], where: str, folder: Path) -> tuple[CorpusChoice, ...]:
    _unique(tuple(choice.name for choice in choices), "corpora", where)
    for choice in choices:
        corpora.check(choice.name, folder / choice.root if choice.root else None, where)
        if choice.folds is not None and choice.folds < 1:
            raise AustickerError(f"'folds = {choice.folds}' of corpus '{choice.name}' in {where} must be at least 1.")
    return tuple(
        replace(choice, root=str((folder / choice.root).resolve()) if choice.root else None) for choice in choices
    )


def _models(choices: tuple[dict[str, Any], ...], where: str) -> tuple[ModelSettings, ...]:
    settings = []
    for choice in choices:
        if not isinstance(choice.get("name"), str):
            raise AustickerError(f"A model in {where} has no 'name'; known: {', '.join(models.MODELS.names())}.")
        models.MODELS.check(choice["name"], where)
        settings.append(models.settings(**choice))
    _unique(tuple(setting.label for setting in settings), "the labels of the models", where)
    return tuple(settings)


def _attack(choice: AttackChoice, where: str, folder: Path) -> AttackChoice:
    ATTACKS.check(choice.name, where)
    stickers.check_fits(choice.side)
    if choice.random_draws < 1:
        raise AustickerError(f"'random_draws = {choice.random_draws}' in {where} must be at least 1.")
    named = tuple(name if name in stickers.STICKERS else _sticker_path(name, folder) for name in choice.stickers)
    _unique(tuple(stickers.load(name).name for name in named), "stickers", where)
    _unique(choice.placements, "placements", where)
    differs: list[str] = [choice.variant] if choice.variant != "same-place" else []
    differs += [f"side {choice.side:g}"] if choice.side != PAPER_SIDE else []
    return AttackChoice(
        name=choice.name,
        label=choice.label or " ".join([choice.name, *differs]),
        stickers=named,
        placements=placements.expand(choice.placements, choice.random_draws),
        random_draws=choice.random_draws,
        side=choice.side,
        variant=choice.variant,
    )


def _sticker_path(name: str, folder: Path) -> str:
    """Returns the path of a user's sticker, relative to the job file where it is there, else as it was given."""
    beside = folder / name
    return str(beside.resolve()) if beside.is_file() else name
