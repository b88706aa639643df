"""From a job's table to the checked settings of a recogniser trained elsewhere; opens none and imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pydantic

from austicker import models
from austicker.foreign import sources
from austicker.foreign.kinds import GENERAL, Kind
from austicker.foreign.labels import REST
from austicker.foreign.record import ForeignSettings, from_record
from austicker.registry import clause, nearest
from austicker.types import Access, AustickerError

LARGEST_PX = 4096
MOST_FRAMES = 4096
ACCESSES = get_args(Access)


def checked(kind: Kind, entry: Mapping[str, Any], where: str, folder: Path) -> ForeignSettings:
    """Returns the settings of a job's table; `austicker.foreign.settings` is the door.

    Raises:
        AustickerError: a key or a value is wrong, or the file is missing or not the recorded one.
    """
    given = _plain(entry, where)
    said = _parsed(given, kind, where)
    _check_fixed(said, given, kind, where)
    settings = replace(said, **kind.fixed, label=said.label or _default_label(said, kind))
    if kind.source == "file":
        settings = _of_file(settings, given, where, folder)
    elif kind.source == "module":
        sources.check_address(settings, where)
        found = sources.module_digest(settings.source)
        sources.check_digest(settings, settings.source, found)
        settings = replace(settings, digest=found or settings.digest)
    if "layout" in kind.keys and "layout" not in given and settings.frames != "apex":
        settings = replace(settings, layout="ntchw")
    settings = _with_access(settings, given, kind, where)
    _check_values(settings, kind, where)
    return settings


def _plain(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the table with one way to write each thing."""
    given = dict(entry)
    if "file" in given:
        if "source" in given:
            raise AustickerError(f"The recogniser '{given['name']}' in {where} has both 'file' and 'source': say one.")
        given["source"] = given.pop("file")
    if type(given.get("input_px")) is int:
        given["input_px"] = [given["input_px"]] * 2
    for key in ("mean", "std"):
        if type(given.get(key)) in (int, float):
            given[key] = [given[key]]
    return given


def _parsed(given: Mapping[str, Any], kind: Kind, where: str) -> ForeignSettings:
    """Returns the table in the types of the record."""
    known = tuple(item.name for item in fields(ForeignSettings))
    subject = f"recogniser '{given['name']}' in {where}"
    for key in given:
        if key not in known:
            offered = ("file", *GENERAL, *kind.keys)
            hint = nearest(key, offered) or f"; known: {', '.join(offered)}"
            raise AustickerError(f"Unknown key '{key}' of the {subject}{hint}.")
    for key in kind.required:
        if key not in given:
            word = "file" if key == "source" and kind.source == "file" else key
            raise AustickerError(f"The key '{word}' of the {subject} is missing.")
    try:
        return from_record(given)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise AustickerError(
            f"The value {given[key]!r} of '{key}' of the {subject} is wrong: {clause(first['msg'])}."
        ) from None


def _default_label(said: ForeignSettings, kind: Kind) -> str:
    if kind.source == "file":
        return Path(said.source).stem
    return said.source.partition(":")[2] or said.name


def _check_fixed(said: ForeignSettings, given: Mapping[str, Any], kind: Kind, where: str) -> None:
    """Refuses a value for what the kind decides; the values of an earlier record agree with it."""
    free = {"name", *GENERAL, *kind.keys} - set(kind.fixed) - ({"source"} if kind.source == "package" else set())
    decided = replace(ForeignSettings(name=said.name), **kind.fixed)
    for key in given:
        if key not in free and getattr(said, key) != getattr(decided, key):
            raise AustickerError(f"'{key}' is not for the recogniser '{said.name}' in {where} to set: leave it out.")


def _of_file(settings: ForeignSettings, given: Mapping[str, Any], where: str, folder: Path) -> ForeignSettings:
    """Returns the settings with the whole path and the digest of their file, and what the file says of itself."""
    path = (folder / settings.source).resolve()
    if not path.is_file():
        raise AustickerError(f"There is no file '{path}' for the recogniser '{settings.label}' in {where}.")
    content = sources.file_content(settings, path)
    settings = replace(settings, source=str(path), digest=sources.digest_of(content))
    return _of_weights(settings, given, content, where) if settings.name == "weights" else settings


def _of_weights(settings: ForeignSettings, given: Mapping[str, Any], content: bytes, where: str) -> ForeignSettings:
    """Returns the settings with the architecture of a weight file, which our own files name themselves."""
    subject = f"the recogniser '{settings.label}' in {where}"
    record: dict[str, Any] = {}
    if sources.is_pickle(content):
        if not settings.allow_pickle:
            raise AustickerError(
                f"'{settings.source}' of {subject} is a pickle, which can run code when it is read: save it as "
                "safetensors, or say allow_pickle = true to read only its tensors."
            )
    else:
        try:
            record = sources.training_record(content)
        except (ValueError, KeyError) as error:
            raise AustickerError(f"'{settings.source}' of {subject} is not a safetensors file ({error}).") from None
    if not record:
        return _settled(settings, given, settings.statistics, where)
    own = record["settings"]
    _check_network(own["name"], subject)
    if record["classes"] != len(settings.labels):
        raise AustickerError(
            f"'{settings.source}' of {subject} answers with {record['classes']} classes, but {len(settings.labels)} "
            "labels are given."
        )
    told = {"architecture": own["name"], "width": own["width"], "frames": own["frames"]}
    told |= {"input_px": (own["input_px"],) * 2, "statistics": record["statistics"]}
    for key, value in told.items():
        if key in given and getattr(settings, key) != value:
            raise AustickerError(f"The file of {subject} itself says that '{key}' is {value!r}: leave it out.")
    return replace(settings, **told)


def _check_network(architecture: str, subject: str) -> None:
    if models.access(architecture) != "gradients":
        raise AustickerError(
            f"'{architecture}' of {subject} is no network whose weights can be given: let the job train it, as a model "
            "of that name."
        )


def _settled(
    settings: ForeignSettings, given: Mapping[str, Any], statistics: dict[str, float], where: str
) -> ForeignSettings:
    """Returns the settings of weights that say nothing of themselves: what is not given is as published."""
    if not settings.architecture:
        known = ", ".join(models.MODELS.names())
        raise AustickerError(
            f"The key 'architecture' of the recogniser '{settings.label}' in {where} is missing; known: {known}."
        )
    models.MODELS.check(settings.architecture, where)
    _check_network(settings.architecture, f"the recogniser '{settings.label}' in {where}")
    overrides: dict[str, Any] = {key: getattr(settings, key) for key in ("width", "frames") if key in given}
    if "input_px" in given:
        if settings.input_px[0] != settings.input_px[1]:
            raise AustickerError(f"The input_px of '{settings.label}' in {where} must be square.")
        overrides["input_px"] = settings.input_px[0]
    full = models.settings(settings.architecture, **overrides)
    sides = (full.input_px, full.input_px)
    return replace(settings, width=full.width, input_px=sides, frames=full.frames, statistics=statistics)


def _with_access(settings: ForeignSettings, given: Mapping[str, Any], kind: Kind, where: str) -> ForeignSettings:
    """Returns the settings with the access of their kind, or less where the job says so."""
    most = "label" if settings.outputs == "labels" else kind.access
    if "access" not in given:
        return replace(settings, access=most)
    if ACCESSES.index(settings.access) > ACCESSES.index(most):
        raise AustickerError(f"The recogniser '{settings.label}' in {where} gives {most}, not {settings.access}.")
    return settings


def _check_values(settings: ForeignSettings, kind: Kind, where: str) -> None:
    """Refuses what has the right type and no meaning."""
    subject = f"of the recogniser '{settings.label}' in {where}"
    labels = settings.labels
    if not labels or len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
        raise AustickerError(f"The labels {subject} must name every output once; they are {list(labels)}.")
    for own in settings.classes:
        if own != REST and own not in labels:
            hint = nearest(own, labels) or f"; known: {', '.join(labels)}"
            raise AustickerError(f"'classes' {subject} names '{own}', which is none of its labels{hint}.")
    if "input_px" in (*kind.keys, *kind.fixed) and not all(1 <= side <= LARGEST_PX for side in settings.input_px):
        raise AustickerError(f"The input_px {subject} must lie between 1 and {LARGEST_PX}.")
    if isinstance(settings.frames, int) and not 1 <= settings.frames <= MOST_FRAMES:
        raise AustickerError(f"The frames {subject} must lie between 1 and {MOST_FRAMES}.")
    if "layout" in kind.keys and (settings.frames == "apex") == ("t" in settings.layout):
        raise AustickerError(
            f"The layout '{settings.layout}' {subject} does not fit frames = {settings.frames!r}: several frames need "
            "a layout with t, the apex alone one without."
        )
    channels = 1 if settings.colour == "gray" else 3
    for key in ("mean", "std"):
        if len(getattr(settings, key)) not in (0, 1, channels):
            raise AustickerError(f"The {key} {subject} needs one value, or one for each of {channels} channels.")
    if not all(value > 0 for value in settings.std) or settings.range[0] == settings.range[1]:
        raise AustickerError(f"The std {subject} must be above 0, and the ends of its range must differ.")
