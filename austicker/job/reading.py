"""A job file (TOML or JSON) to a checked Job, with the overrides of a command line; runs nothing."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from austicker.job.checking import check
from austicker.job.records import Job
from austicker.job.scaling import REDUCED, in_words, scaled
from austicker.types import AustickerError


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
    if "reductions" in content and path.suffix != ".json":
        raise AustickerError(f"'reductions' in {path} is what the program says of 'reduced' tables: leave it out.")
    # The scale first: what the command line says of a value goes before what a reduced job does.
    for setting in (one for one in settings if one.startswith("scale=")):
        _override(content, setting)
    content, reductions = scaled(content, str(path))
    for setting in (one for one in settings if not one.startswith("scale=")):
        _override(content, setting)
    if reductions:
        content["reductions"] = [*content.get("reductions", ()), *in_words(content, reductions)]
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
    if REDUCED in key.split("."):
        plain = ".".join(part for part in key.split(".") if part != REDUCED)
        raise AustickerError(f"'--set {setting}': set '{plain}', which goes before what a reduced job says.")
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
