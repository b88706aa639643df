"""Opens recognisers that Python code gives: a network's factory, or a black box that answers with labels alone."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from austicker.foreign.record import ForeignSettings
from austicker.foreign.sources import check_digest, module_digest
from austicker.foreign.victim import Opened, opened, prepared, reason
from austicker.types import AustickerError


def factory(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens the network that a function without arguments returns.

    Raises:
        AustickerError: it cannot be imported, raises, or returns no network.
    """
    build = _imported(settings)
    try:
        network = build()
    except Exception as error:
        raise AustickerError(
            f"The factory '{settings.source}' of the recogniser '{settings.label}' raised {reason(error)}."
        ) from error
    if not isinstance(network, nn.Module):
        raise AustickerError(
            f"The factory '{settings.source}' of the recogniser '{settings.label}' returns a "
            f"{type(network).__name__} and not a torch.nn.Module."
        )
    return prepared(network.to(device).eval().requires_grad_(False), settings)


def black_box(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens a function of pictures (n, t, h, w, c) uint8 that returns their labels, as numbers or names.

    Raises:
        AustickerError: it cannot be imported.
    """
    function = _imported(settings)

    def outputs(frames: Tensor) -> Tensor:
        pictures = frames.detach().round().clamp(0, 255).to(torch.uint8).movedim(2, -1).cpu().numpy()
        if settings.colour == "bgr":
            pictures = pictures[..., ::-1]
        return _positions(function(np.ascontiguousarray(pictures)), settings)

    return opened(outputs, settings)


def _positions(answer: Any, settings: ForeignSettings) -> Tensor:
    """Returns the positions (n,) of the labels that a black box named.

    Raises:
        AustickerError: it named something that is none of its labels.
    """
    found = np.asarray(answer)
    if found.dtype.kind in "UO":
        unknown = [name for name in found.ravel().tolist() if name not in settings.labels]
        if unknown:
            raise AustickerError(
                f"The recogniser '{settings.label}' answered {unknown[0]!r}, which is none of its labels "
                f"({', '.join(settings.labels)})."
            )
        found = np.array([settings.labels.index(name) for name in found.ravel().tolist()]).reshape(found.shape)
    return torch.from_numpy(np.ascontiguousarray(found))


def _imported(settings: ForeignSettings) -> Callable[..., Any]:
    """Returns what a "module:attribute" names.

    Raises:
        AustickerError: it cannot be imported, is another one than was checked, or cannot be called.
    """
    check_digest(settings, settings.source, module_digest(settings.source))
    module, _, attribute = settings.source.partition(":")
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        mend = ": install it, or name its folder in PYTHONPATH" if isinstance(error, ModuleNotFoundError) else ""
        raise AustickerError(
            f"'{settings.source}' of the recogniser '{settings.label}' cannot be imported ({reason(error)}){mend}."
        ) from error
    if not callable(found):
        raise AustickerError(f"'{settings.source}' of the recogniser '{settings.label}' is not a function.")
    called: Callable[..., Any] = found
    return called
