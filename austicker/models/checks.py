"""What the settings of a recogniser may be: types, ranges and choices; knows no recipe and no model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from austicker.registry import nearest
from austicker.types import AustickerError, LandmarkFeatures, LandmarkFinder, ModelSettings, Selection

KINDS: dict[str, Any] = get_type_hints(ModelSettings) | {"trees": int}
CHOICES = {
    "optimiser": ("adamw", "sgd", "adam"),
    "selection": get_args(Selection),
    "features": get_args(LandmarkFeatures),
    "landmarks": get_args(LandmarkFinder),
}
LIMITS = {
    "width": (0.01, 4.0),
    "input_px": (1, 4096),
    "frames": (1, 4096),
    "epochs": (1, 100_000),
    "batch": (1, 4096),
    "learning_rate": (1e-9, 10.0),
    "weight_decay": (0.0, 10.0),
    "decay": (0.01, 1.0),
    "decay_epochs": (0, 100_000),
    "trees": (1, 10_000),
}


def checked(subject: str, key: str, value: object, limits: Mapping[str, Any]) -> object:
    """Returns one setting in the type of its field.

    Args:
        subject: how a sentence about it starts.
        key: the field.
        value: as a job or a recipe gives it.
        limits: lowest and highest value of the numbers, by field.

    Raises:
        AustickerError: the value is of the wrong type, none of the choices or out of range.
    """
    if key == "drops":
        return _drops(subject, value)
    if key in CHOICES:
        return _choice(subject, value, CHOICES[key])
    if KINDS[key] is bool:
        if not isinstance(value, bool):
            raise AustickerError(f"{subject} takes true or false, not {value!r}.")
        return value
    number: type[int] | type[float] = KINDS[key]
    wanted = "a whole number" if number is int else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, number)) or not math.isfinite(value):
        raise AustickerError(f"{subject} takes {wanted}, not {value!r}.")
    low, high = limits[key]
    if not low <= value <= high:
        bounds = f"be {low}" if low == high else f"lie between {low} and {high}"
        raise AustickerError(f"{subject} must {bounds}, not {value}.")
    return number(value)


def _choice(subject: str, value: object, choices: tuple[str, ...]) -> str:
    """Returns `value` when it is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        known = " or ".join(f"'{choice}'" for choice in choices)
        raise AustickerError(f"{subject} takes {known}, not {value!r}{nearest(str(value), choices)}.")
    return value


def _drops(subject: str, value: object) -> tuple[tuple[int, float], ...]:
    """Returns pairs of epochs done and factor, in order."""
    if not isinstance(value, (list, tuple)) or not all(_is_drop(pair) for pair in value):
        raise AustickerError(
            f"{subject} takes pairs of epochs done (1 or more) and a factor (above 0, at most 1), such as "
            f"[[80, 0.1], [120, 0.01]], not {value!r}."
        )
    drops = tuple((int(done), float(factor)) for done, factor in value)
    epochs = [done for done, _ in drops]
    if epochs != sorted(set(epochs)):
        raise AustickerError(f"{subject} must name later epochs one after the other, not {epochs}.")
    return drops


def _is_drop(pair: object) -> bool:
    """Tells whether this is epochs done and a factor."""
    if not isinstance(pair, (list, tuple)) or len(pair) != 2 or any(isinstance(part, bool) for part in pair):
        return False
    done, factor = pair
    return isinstance(done, int) and done >= 1 and isinstance(factor, (int, float)) and 0 < factor <= 1
