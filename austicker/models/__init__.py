"""The shelf of recognisers and their published recipes; listing and settling them imports no torch."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from austicker.registry import Registry, nearest
from austicker.types import AustickerError, ModelSettings, Selection

if TYPE_CHECKING:
    from austicker.models.recogniser import Recogniser

MODELS: Registry[type[Recogniser]] = Registry(
    "model",
    "austicker.models",
    {
        "mmnet": "austicker.models.mmnet:MMNet",
        "stcnn": "austicker.models.stcnn:STCNN",
    },
)

FIELDS = {key: kind for key, kind in get_type_hints(ModelSettings).items() if key not in ("name", "label")}
CHOICES = {"optimiser": ("adamw", "sgd"), "selection": get_args(Selection)}
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
}
SIZE_MARKS = {"width": "w{}", "input_px": "{}px", "frames": "{}f"}
RECIPE_MARKS = {
    "epochs": "{}ep",
    "batch": "batch{}",
    "optimiser": "{}",
    "learning_rate": "lr{}",
    "weight_decay": "wd{}",
    "decay": "decay{}",
    "decay_epochs": "decay{}ep",
    "augment": "augment-{}",
    "selection": "{}",
}


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files(__name__).joinpath("recipes.toml").read_text(encoding="utf-8"))


def _recipe(name: str) -> Mapping[str, Any]:
    """Returns a model's table of `recipes.toml`, or the `RECIPE` of a class that another package registered."""
    MODELS.check(name)
    table = _shipped().get(name) or getattr(MODELS[name], "RECIPE", {})
    missing = [key for key in FIELDS if key not in table]
    if missing:
        raise AustickerError(f"The RECIPE of model '{name}' lacks {', '.join(missing)}.")
    recipe: Mapping[str, Any] = table
    return recipe


def published(name: str) -> dict[str, Any]:
    """Returns the published recipe of a model: every field of `ModelSettings` but name and label.

    Raises:
        AustickerError: the model is unknown, or its class gives no full `RECIPE`.
    """
    recipe = _recipe(name)
    return {key: recipe[key] for key in FIELDS}


def settings(name: str, **overrides: object) -> ModelSettings:
    """Returns the published settings of a model with some of them replaced.

    Without a `label` among the overrides, the label is the model's name at published settings, and otherwise says
    what differs in size or, where the size is the published one, in the training.

    Raises:
        AustickerError: a setting is unknown, of the wrong type or out of range.
    """
    defaults, limits = published(name), LIMITS | dict(_recipe(name).get("limits", {}))
    label = overrides.pop("label", None)
    for key in overrides:
        if key not in FIELDS:
            hint = nearest(key, FIELDS) or f"; known: {', '.join(FIELDS)}"
            raise AustickerError(f"Unknown setting '{key}' of model '{name}'{hint}.")
    values: dict[str, Any] = {
        key: _checked(f"Setting '{key}' of model '{name}'", key, value, limits)
        for key, value in (defaults | overrides).items()
    }
    if label is not None and (not isinstance(label, str) or not label.strip()):
        raise AustickerError(f"Setting 'label' of model '{name}' takes a text, not {label!r}.")
    return ModelSettings(name=name, label=label or _label(name, values, defaults), **values)


def _checked(subject: str, key: str, value: object, limits: Mapping[str, Any]) -> object:
    """Returns one setting in the type of its field."""
    if key in CHOICES:
        return _choice(subject, value, CHOICES[key])
    if FIELDS[key] is bool:
        if not isinstance(value, bool):
            raise AustickerError(f"{subject} takes true or false, not {value!r}.")
        return value
    number: type[int] | type[float] = FIELDS[key]
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


def _label(name: str, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Names what differs from the published settings, as in "mmnet-w0.25-112px" or "mmnet-20ep"."""
    for marks in (SIZE_MARKS, RECIPE_MARKS):
        changed = [mark.format(_short(values[key])) for key, mark in marks.items() if values[key] != defaults[key]]
        if changed:
            return "-".join([name, *changed])
    return name


def _short(value: object) -> str:
    """Writes one value of a label."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
