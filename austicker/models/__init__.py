"""The shelf of recognisers and their published recipes; listing and settling them imports no torch."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from austicker.models.checks import LIMITS, checked
from austicker.registry import Registry, nearest
from austicker.types import Access, AustickerError, ModelSettings, Poison

if TYPE_CHECKING:
    from austicker.models.recogniser import Recogniser

MODELS: Registry[type[Recogniser]] = Registry(
    "model",
    "austicker.models",
    {
        "mmnet": "austicker.models.mmnet:MMNet",
        "stcnn": "austicker.models.stcnn:STCNN",
        "resnet20": "austicker.models.resnet20:ResNet20",
        "landmark-forest": "austicker.models.landmark_forest:LandmarkForest",
        "mobilenetv2": "austicker.models.mobilenetv2:MobileNetV2",
        "vgg16": "austicker.models.vgg16:VGG16",
    },
)

FIELDS = {key: kind for key, kind in get_type_hints(ModelSettings).items() if key not in ("name", "label")}
OPTIONAL: dict[str, Any] = {"drops": (), "trees": None, "features": None, "landmarks": None, "poison": None}
"""Fields that only some recipes name, with what the others have; nobody may set what the recipe does not name."""
NOT_BY_GRADIENTS: dict[str, Any] = {
    "width": 1.0,
    "input_px": 0,
    "frames": 1,
    "epochs": 0,
    "batch": 0,
    "optimiser": "",
    "learning_rate": 0.0,
    "weight_decay": 0.0,
    "decay": 1.0,
    "decay_epochs": 0,
    "augment": False,
    "selection": "fixed-epoch",
}
"""What a recogniser that is fitted in one go has in the fields that its recipe does not name."""
SIZE_MARKS = {
    "width": "w{}",
    "input_px": "{}px",
    "frames": "{}f",
    "trees": "{}trees",
    "features": "{}",
    "landmarks": "{}",
}
RECIPE_MARKS = {
    "epochs": "{}ep",
    "batch": "batch{}",
    "optimiser": "{}",
    "learning_rate": "lr{}",
    "weight_decay": "wd{}",
    "decay": "decay{}",
    "decay_epochs": "decay{}ep",
    "drops": "drops-{}",
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
    missing = [key for key in FIELDS if key not in _unnamed(table) and key not in table]
    if missing:
        raise AustickerError(f"The RECIPE of model '{name}' lacks {', '.join(missing)}.")
    recipe: Mapping[str, Any] = table
    return recipe


def _unnamed(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that a recipe need not name, with what they are then."""
    return OPTIONAL | (NOT_BY_GRADIENTS if table.get("fitted", False) else {})


def access(name: str) -> Access:
    """Returns the most that a model trained here gives an attack.

    Raises:
        AustickerError: the model is unknown, or its class gives no full `RECIPE`.
    """
    return cast(Access, _recipe(name).get("access", "gradients"))


def published(name: str) -> dict[str, Any]:
    """Returns the published recipe of a model: every field of `ModelSettings` but name and label.

    A field that is none of this model's has the value that stands for nothing.

    Raises:
        AustickerError: the model is unknown, or its class gives no full `RECIPE`.
    """
    recipe = _recipe(name)
    values = {key: recipe.get(key, _unnamed(recipe).get(key)) for key in FIELDS}
    return values | {"drops": tuple((done, factor) for done, factor in values["drops"])}


def own_settings(name: str) -> dict[str, Any]:
    """Returns of the published recipe what a job may set.

    Raises:
        AustickerError: the model is unknown, or its class gives no full `RECIPE`.
    """
    recipe, values = _recipe(name), published(name)
    return {key: values[key] for key in FIELDS if recipe.get(key) is not None and key != "poison"}


def settings(name: str, **overrides: object) -> ModelSettings:
    """Returns the published settings of a model with some of them replaced.

    Without a `label` among the overrides, the label is the model's name at published settings, and otherwise says
    what differs in size or, where the size is the published one, in the training.

    Raises:
        AustickerError: a setting is unknown, not one of this model's, of the wrong type or out of range.
    """
    recipe, defaults = _recipe(name), published(name)
    limits = LIMITS | dict(recipe.get("limits", {}))
    label = overrides.pop("label", None)
    own = list(own_settings(name))
    for key, value in overrides.items():
        if key in FIELDS and key not in own and value not in (defaults[key], None, []):
            raise AustickerError(f"Model '{name}' has no setting '{key}'; it has {', '.join(own)}.")
        if key not in FIELDS:
            hint = nearest(key, own) or f"; known: {', '.join(own)}"
            raise AustickerError(f"Unknown setting '{key}' of model '{name}'{hint}.")
    values: dict[str, Any] = defaults | {
        key: checked(f"Setting '{key}' of model '{name}'", key, (defaults | overrides)[key], limits) for key in own
    }
    if label is not None and (not isinstance(label, str) or not label.strip()):
        raise AustickerError(f"Setting 'label' of model '{name}' takes a text, not {label!r}.")
    return ModelSettings(name=name, label=label or _label(name, values, defaults), **values)


def _label(name: str, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Names what differs from the published settings, as in "mmnet-w0.25-112px" or "mmnet-20ep"."""
    for marks in (SIZE_MARKS, RECIPE_MARKS):
        changed = [mark.format(_short(values[key])) for key, mark in marks.items() if values[key] != defaults[key]]
        if changed:
            return "-".join([name, *changed])
    return name


def _short(value: object) -> str:
    """Writes one value of a label; of drops when they come."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "-".join(str(done) for done, _ in value) or "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def from_record(record: Mapping[str, Any]) -> ModelSettings:
    """Returns settings from their JSON values, as a job's record and a training record keep them."""
    given = dict(record)
    given["drops"] = tuple((epochs, factor) for epochs, factor in given.get("drops", ()))
    poison = given.get("poison")
    if poison is not None:
        pairs = tuple((name, value) for name, value in poison["settings"])
        given["poison"] = Poison(attack=poison["attack"], emotion=poison["emotion"], settings=pairs)
    return ModelSettings(**given)
