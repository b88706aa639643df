"""What a recogniser's file or module is, by digest; loads neither."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from austicker.foreign.record import ForeignSettings
from austicker.types import AustickerError

RECORD = "austicker.training"
"""Where `austicker.weights` keeps the training record in a safetensors file's metadata."""
_ADDRESS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def file_content(settings: ForeignSettings, path: Path) -> bytes:
    """Returns the bytes of a recogniser's file, which are those of the settings' digest where they have one.

    Raises:
        AustickerError: the file is missing, cannot be read, or is another one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise AustickerError(f"There is no file '{path}' for the recogniser '{settings.label}'.") from None
    except OSError as error:
        reason = error.strerror
        raise AustickerError(
            f"The file '{path}' of the recogniser '{settings.label}' cannot be read ({reason})."
        ) from None
    check_digest(settings, str(path), digest_of(content))
    return content


def digest_of(content: bytes) -> str:
    """Returns the identity of a file's content."""
    return hashlib.sha256(content).hexdigest()


def check_digest(settings: ForeignSettings, where: str, found: str) -> None:
    """Refuses a file or module that is not the one of the settings; what cannot be found is not compared.

    Raises:
        AustickerError: both digests are known and differ.
    """
    if settings.digest and found and settings.digest != found:
        raise AustickerError(
            f"'{where}' of the recogniser '{settings.label}' is not what it was when the job was checked: restore it "
            "or submit the job anew."
        )


def check_address(settings: ForeignSettings, where: str) -> None:
    """Refuses what is no "module:attribute".

    Raises:
        AustickerError: it is not.
    """
    if not _ADDRESS.fullmatch(settings.source):
        raise AustickerError(
            f"The source '{settings.source}' of the recogniser '{settings.label}' in {where} is not of the form "
            "module:function, such as my_package.networks:build."
        )


def module_digest(address: str) -> str:
    """Returns the digest of an address' module file, or "" where the module or its source cannot be found.

    Nothing is imported, not even the module's packages.
    """
    spec: ModuleSpec | None = None
    places: Sequence[str] | None = None
    name = ""
    for part in address.partition(":")[0].split("."):
        name = f"{name}.{part}" if name else part
        found = (finder.find_spec(name, places, None) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((candidate for candidate in found if candidate is not None), None)
        if spec is None:
            return ""
        places = spec.submodule_search_locations
    path = Path(spec.origin) if spec and spec.origin else None
    return digest_of(path.read_bytes()) if path and path.is_file() else ""


def is_pickle(content: bytes) -> bool:
    """Returns whether a file is a pickle, or the archive that `torch.save` puts pickles into."""
    return content[:4] == b"PK\x03\x04" or content[:1] == b"\x80"


def training_record(content: bytes) -> dict[str, Any]:
    """Returns the record that `austicker.weights` put into a safetensors file, or an empty one.

    Raises:
        ValueError: the content is not in the safetensors format.
    """
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        raise ValueError("no safetensors header")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("no safetensors header")
    record: dict[str, Any] = json.loads(header.get("__metadata__", {}).get(RECORD, "{}"))
    return record
