"""Recognisers trained elsewhere: what a job says of them, and the door through which they are opened.

Reading and checking settings imports no torch; `open_victim` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from austicker.foreign.entry import checked
from austicker.foreign.kinds import Kind
from austicker.foreign.labels import columns
from austicker.foreign.record import ForeignSettings, from_record
from austicker.foreign.sources import file_content
from austicker.registry import Registry

if TYPE_CHECKING:
    import torch

    from austicker.victims import Victim

__all__ = ["FOREIGN", "ForeignSettings", "columns", "file_content", "from_record", "is_file", "open_victim", "settings"]

FOREIGN: Registry[Kind] = Registry(
    "recogniser",
    "austicker.recognisers",
    {
        "torchscript": "austicker.foreign.kinds:TORCHSCRIPT",
        "onnx": "austicker.foreign.kinds:ONNX",
        "factory": "austicker.foreign.kinds:FACTORY",
        "callable": "austicker.foreign.kinds:CALLABLE",
        "weights": "austicker.foreign.kinds:WEIGHTS",
        "fer": "austicker.foreign.kinds:FER",
        "facial-emotion-recognition": "austicker.foreign.kinds:FACIAL_EMOTION_RECOGNITION",
        "facex": "austicker.foreign.kinds:FACEX",
        "face-api": "austicker.foreign.kinds:FACE_API",
    },
)


def settings(entry: Mapping[str, Any], where: str, folder: Path) -> ForeignSettings:
    """Checks a job's `[[models]]` table, or the record of earlier settings, of a recogniser trained elsewhere.

    Args:
        entry: the table; its `name` is one of `FOREIGN`.
        where: the job's name for messages.
        folder: where relative files start.

    Raises:
        AustickerError: a key or a value is wrong, or the file is missing or not the recorded one.
    """
    return checked(FOREIGN[FOREIGN.check(str(entry.get("name")), where)], entry, where, folder)


def is_file(settings: ForeignSettings) -> bool:
    """Tells whether a recogniser's source is a file, which every node needs a copy of."""
    return FOREIGN[settings.name].source == "file"


def open_victim(
    settings: ForeignSettings, classes: tuple[str, ...], device: torch.device | str, path: Path | None = None
) -> Victim:
    """Opens a recogniser and shows it one ramp of grey, so that what does not fit is refused before any clip is asked.

    Args:
        settings: what to open.
        classes: the study's classes; an answer has one column more, "none of these".
        device: where networks run; a black box and an ONNX file without a matching provider run on the CPU.
        path: the recogniser's file on this machine, where its source is a file.

    Raises:
        AustickerError: it cannot be opened, or what it answers does not fit its labels and the study's classes.
    """
    from austicker.foreign.opening import opened_victim

    return opened_victim(FOREIGN[settings.name], settings, classes, device, path)
