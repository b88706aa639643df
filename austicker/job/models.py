"""The recognisers of a job, checked: their settings, and the corpora and attacks that each meets; trains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from austicker import foreign, models
from austicker.attacks import ATTACKS, boxes
from austicker.foreign import ForeignSettings
from austicker.job.attacks import each_once, known_settings
from austicker.job.records import AttackChoice
from austicker.registry import nearest
from austicker.types import AustickerError, ModelSettings, Poison

Settings = ModelSettings | ForeignSettings
POISON = "eye-boxes"
"""What is done to the training pictures of a class where the job names no other (Type A of Shehu and others)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One recogniser of a job file; `given` holds its lists "corpora" and "attacks", where it has them."""

    settings: Settings
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def checked_models(entries: Sequence[Mapping[str, Any]], where: str, folder: Path) -> tuple[Entry, ...]:
    """Returns the recognisers in canonical form; an entry with poisoned classes is one recogniser for each of them.

    Raises:
        AustickerError: something in one is wrong.
    """
    found = tuple(entry for given in entries for entry in _entries(dict(given), where, folder))
    each_once(tuple(entry.settings.label for entry in found), "the labels of the models", where)
    return found


def _entries(choice: dict[str, Any], where: str, folder: Path) -> list[Entry]:
    lists: dict[str, tuple[str, ...]] = {
        key: _names(choice.pop(key), key, choice, where) for key in ("corpora", "attacks") if key in choice
    }
    poisoned = choice.pop("poisoned", None)
    poison = choice.pop("poison", None)
    settings = _model(choice, where, folder)
    if isinstance(settings, ModelSettings) and _is_record(poison):
        given = {"attack": poison["attack"], **dict(poison["settings"])}
        known = _poison(given, poison["emotion"], settings.label, where)
        return [Entry(settings=replace(settings, poison=known), given=lists)]
    if poisoned is None:
        if poison is not None:
            raise AustickerError(
                f"Model '{settings.label}' in {where} has a 'poison' but no class: add 'poisoned', a list of them."
            )
        return [Entry(settings=settings, given=lists)]
    if not isinstance(settings, ModelSettings):
        raise AustickerError(f"Model '{settings.label}' in {where} is not trained here: leave out its 'poisoned'.")
    made = []
    for emotion in _names(poisoned, "poisoned", choice, where):
        chosen = _poison(poison or {}, emotion, settings.label, where)
        label = f"{settings.label}, {chosen.attack} on {emotion}"
        made.append(Entry(settings=replace(settings, label=label, poison=chosen), given=lists))
    return made


def _is_record(poison: Any) -> bool:
    """Tells the poison of a canonical record, which names its class, from a table of a job file."""
    if not isinstance(poison, dict) or poison.keys() != {"attack", "emotion", "settings"}:
        return False
    pairs = poison["settings"]
    return isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)


def _poison(given: Any, emotion: str, label: str, where: str) -> Poison:
    """Returns a poison with every setting filled in."""
    if not isinstance(given, dict):
        raise AustickerError(
            f"'poison' of model '{label}' in {where} takes a table, such as {{ attack = '{POISON}' }}."
        )
    values = dict(given)
    name = values.pop("attack", POISON)
    if not isinstance(name, str) or name not in boxes.BOXES:
        hint = nearest(str(name), boxes.BOXES) or f"; known: {', '.join(boxes.BOXES)}"
        raise AustickerError(f"Attack {name!r} of the poison of model '{label}' in {where} is none for training{hint}.")
    known = known_settings(ATTACKS[name], values, f"the poison of model '{label}' in {where}")
    settings = boxes.BOXES[name](**known)
    return Poison(attack=name, emotion=emotion, settings=boxes.pairs(settings))


def _names(chosen: Any, key: str, choice: Mapping[str, Any], where: str) -> tuple[str, ...]:
    label = choice.get("label") or choice.get("name")
    if not isinstance(chosen, list) or not all(isinstance(name, str) for name in chosen):
        raise AustickerError(f"'{key}' of model '{label}' in {where} takes a list of names, not {chosen!r}.")
    return each_once(tuple(chosen), f"{key}' of model '{label}", where)


def _model(choice: dict[str, Any], where: str, folder: Path) -> Settings:
    known = (*models.MODELS.names(), *foreign.FOREIGN.names())
    if not isinstance(choice.get("name"), str):
        raise AustickerError(f"A model in {where} has no 'name'; known: {', '.join(known)}.")
    if choice["name"] in foreign.FOREIGN.names():
        return foreign.settings(choice, where, folder)
    if choice["name"] not in known:
        hint = nearest(choice["name"], known) or f"; known: {', '.join(known)}"
        raise AustickerError(f"Unknown model '{choice['name']}' in {where}{hint}.")
    return models.settings(**choice)


def restricted(
    entries: Sequence[Entry], key: str, named: Mapping[str, Sequence[str]], known: Sequence[str], where: str
) -> dict[str, tuple[str, ...]]:
    """Returns by label what those recognisers meet that do not meet all.

    Args:
        entries: the recognisers of the job.
        key: "corpora" or "attacks".
        named: what the job says by label, as its canonical record does.
        known: names of the job's corpora, or labels of its attacks.
        where: the file's name for messages.

    Raises:
        AustickerError: a label or a name is not in the job.
    """
    labels = [entry.settings.label for entry in entries]
    met = {label: tuple(names) for label, names in named.items()}
    met |= {entry.settings.label: entry.given[key] for entry in entries if key in entry.given}
    what, record_key = {"corpora": ("corpus", "only"), "attacks": ("attack", "meets")}[key]
    for label, names in met.items():
        if label not in labels:
            hint = nearest(label, labels) or f"; the job has {', '.join(labels)}"
            raise AustickerError(f"'{record_key}' in {where} names model '{label}', which is not in the job{hint}.")
        if not names:
            raise AustickerError(f"Model '{label}' in {where} meets no {what}: name one, or leave it out.")
        for name in names:
            if name not in known:
                hint = nearest(name, known) or f"; the job has {', '.join(known)}"
                raise AustickerError(
                    f"Model '{label}' in {where} names {what} '{name}', which is not in the job{hint}."
                )
    return met


def check_surrogates(attacks: Sequence[AttackChoice], settings: Sequence[Settings], where: str) -> None:
    """Refuses a surrogate that is not in the job, or that gives no gradients.

    Raises:
        AustickerError: there is one.
    """
    known = {one.label: one for one in settings}
    for attack in attacks:
        if attack.surrogate is None:
            continue
        surrogate = known.get(attack.surrogate)
        if surrogate is None:
            hint = nearest(attack.surrogate, known) or f"; the job has {', '.join(known)}"
            raise AustickerError(
                f"Surrogate '{attack.surrogate}' of attack '{attack.label}' in {where} is no model of the job{hint}."
            )
        if access_of(surrogate) != "gradients":
            raise AustickerError(
                f"Surrogate '{attack.surrogate}' of attack '{attack.label}' in {where} gives no gradients: name "
                "another."
            )


def access_of(settings: Settings) -> str:
    """Returns the most that a recogniser gives."""
    return settings.access if isinstance(settings, ForeignSettings) else models.access(settings.name)
