"""One attack of a job, checked: its stickers, placements, parameters and budget; imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from austicker import placements, stickers
from austicker.attacks import ATTACKS
from austicker.job.records import PAPER_SIDE, AttackChoice
from austicker.registry import clause, nearest
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.attacks.search import Attack

LARGEST_BUDGET = 1_000_000


def checked_attack(choice: AttackChoice, default_budget: int | None, where: str, folder: Path) -> AttackChoice:
    """Returns an attack in canonical form.

    Args:
        choice: as the job file says it.
        default_budget: the job's own, for an attack that names none.
        where: the file's name for messages.
        folder: where relative sticker paths start.

    Raises:
        AustickerError: something in it is wrong.
    """
    attack = ATTACKS[ATTACKS.check(choice.name, where)]
    stickers.check_fits(choice.side)
    if choice.random_draws < 1:
        raise AustickerError(f"'random_draws = {choice.random_draws}' in {where} must be at least 1.")
    names = _stickers(attack, choice, where, folder)
    if choice.surrogate is not None and attack.access != "gradients":
        raise AustickerError(f"Attack '{choice.name}' in {where} takes no gradients: leave out its 'surrogate'.")
    own = choice.budget if choice.budget is not None else default_budget
    _check_budget(own, f"The budget of attack '{choice.name}' in {where}")
    settings, budget = _settings(attack, choice, own, where)
    return replace(
        choice,
        label=choice.label or _label(choice),
        stickers=names,
        placements=_places(attack, choice, where),
        budget=budget,
        settings=settings,
    )


def _stickers(attack: Attack, choice: AttackChoice, where: str, folder: Path) -> tuple[str, ...]:
    """Returns the stickers of an attack by shelf name or path; none for one that makes a patch of its own."""
    if attack.wears:
        names = tuple(name if name in stickers.STICKERS else _path(name, folder) for name in choice.stickers)
        each_once(tuple(stickers.load(name).name for name in names), "stickers", where)
        return names
    subject = f"Attack '{choice.name}' in {where} wears no sticker (it makes {attack.makes})"
    if choice.stickers not in (AttackChoice().stickers, ()):
        raise AustickerError(f"{subject}: leave out its 'stickers'.")
    if choice.bend:
        raise AustickerError(f"{subject} and bends nothing: leave out its 'bend'.")
    return ()


def _places(attack: Attack, choice: AttackChoice, where: str) -> tuple[str, ...]:
    if not attack.searches:
        each_once(choice.placements, "placements", where)
        return placements.expand(choice.placements, choice.random_draws)
    if choice.variant == "per-frame":
        raise AustickerError(
            f"Attack '{choice.name}' in {where} changes all frames alike, as it would the onset frame: use variant "
            "'same-place' or 'apex-only'."
        )
    own = (choice.name,)
    if choice.placements not in (AttackChoice().placements, own):
        raise AustickerError(f"Attack '{choice.name}' in {where} finds its own place: leave out its 'placements'.")
    return own


def _settings(attack: Attack, choice: AttackChoice, budget: int | None, where: str) -> tuple[dict[str, Any], int]:
    """Returns every parameter and the budget; a budget below the published effort makes the search smaller.

    What the job names itself stays as it is.
    """
    given = known_settings(attack, choice.settings, f"attack '{choice.name}' in {where}")
    wanted = attack.settings(**given)
    if budget is not None and budget < wanted.queries:
        wanted = replace(wanted.within(budget), **given)
    queries = wanted.queries if budget is None else min(budget, wanted.queries)
    _check_budget(queries, f"What the settings of attack '{choice.name}' in {where} ask of one clip")
    return asdict(wanted), queries


def _check_budget(queries: int | None, subject: str) -> None:
    if queries is not None and not 1 <= queries <= LARGEST_BUDGET:
        raise AustickerError(f"{subject}, {queries} queries, is not between 1 and {LARGEST_BUDGET}.")


def known_settings(attack: Attack, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the given parameters in the types of their fields.

    Args:
        attack: whose they are.
        given: as a job file says them.
        where: what they are of, for messages.

    Raises:
        AustickerError: one is unknown, of another type or out of range.
    """
    names = [item.name for item in fields(attack.settings)]
    for key in given:
        if key not in names:
            hint = nearest(key, names) or (f"; known: {', '.join(names)}" if names else ": it has none")
            raise AustickerError(f"Unknown setting '{key}' of {where}{hint}.")
    for key, value in given.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise AustickerError(f"Setting '{key}' of {where} is {value}, which is no number to search with.")
    try:
        checked = pydantic.TypeAdapter(attack.settings).validate_json(json.dumps(given), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise AustickerError(
            f"Setting '{place}' of {where} is wrong ({first['input']!r}): {clause(first['msg'])}."
        ) from None
    except AustickerError as error:
        raise AustickerError(f"The settings of {where} do not fit: {error}") from error
    return {key: getattr(checked, key) for key in given}


def each_once(values: tuple[Any, ...], key: str, where: str) -> tuple[Any, ...]:
    """Returns the values of a key, of which there is at least one and none twice.

    Raises:
        AustickerError: they are not so.
    """
    if not values or len(set(values)) < len(values):
        raise AustickerError(f"'{key}' in {where} must name at least one value, each once; it is {list(values)}.")
    return values


def _label(choice: AttackChoice) -> str:
    differs: list[str] = [choice.variant] if choice.variant != "same-place" else []
    differs += [f"side {choice.side:g}"] if choice.side != PAPER_SIDE else []
    differs += ["bent"] if choice.bend else []
    differs += ["hides the answer"] if choice.hides == "answer" else []
    differs += [f"made on {choice.surrogate}"] if choice.surrogate else []
    return " ".join([choice.name, *differs])


def _path(name: str, folder: Path) -> str:
    """Returns the path of a user's sticker, relative to the job file where it is there, else as it was given."""
    beside = folder / name
    return str(beside.resolve()) if beside.is_file() else name
