"""Opens a recogniser trained elsewhere and tries it once; `austicker.foreign.open_victim` is the door."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch

from austicker.foreign.kinds import Kind
from austicker.foreign.labels import columns
from austicker.foreign.record import ForeignSettings
from austicker.foreign.victim import ForeignVictim, Opened
from austicker.types import AustickerError, Clip

PROBE_PX = (60, 48)
"""Height and width of the picture that a recogniser is tried with."""
TOLERANCE = 1e-4


def opened_victim(
    kind: Kind, settings: ForeignSettings, classes: tuple[str, ...], device: torch.device | str, path: Path | None
) -> ForeignVictim:
    """Returns a recogniser that answered two ramps of grey as declared.

    Raises:
        AustickerError: it cannot be opened, or what it answers does not fit.
    """
    chosen = columns(settings, classes)
    module, _, function = kind.opener.partition(":")
    recogniser: Opened = getattr(import_module(module), function)(settings, path, torch.device(device))
    victim = ForeignVictim(settings, recogniser, chosen, len(classes))
    frames = _ramps(recogniser).to(device)
    victim.scores(frames)
    if settings.access == "gradients" and not victim.logits(frames.requires_grad_()).requires_grad:
        raise AustickerError(
            f"The recogniser '{settings.label}' gives no gradients, because its code detaches them: say "
            'access = "scores".'
        )
    if settings.outputs == "logits" and settings.access != "label":
        _refuse_probabilities(settings, recogniser, frames)
    return victim


def _ramps(recogniser: Opened) -> torch.Tensor:
    """Returns two equal clips (2, t, c, h, w) from black to white.

    Two, because a network may have been exported for one picture at a time; not blank, because a recogniser that
    standardises every picture has no answer to a blank one.
    """
    clip = Clip(corpus="", clip="probe", subject="", label=0, onset=0, apex=0, offset=0)
    height, width = PROBE_PX
    channels = 1 if recogniser.colour == "gray" else 3
    ramp = torch.linspace(0, 255, height * width).view(height, width)
    return ramp.expand(2, len(recogniser.frame_indices(clip)), channels, height, width).contiguous()


def _refuse_probabilities(settings: ForeignSettings, recogniser: Opened, frames: torch.Tensor) -> None:
    """Refuses outputs that are called logits and add up to one: another softmax would flatten them."""
    with torch.no_grad():
        raw = recogniser.outputs(frames)
    if bool((raw >= 0).all()) and bool(((raw.sum(1) - 1).abs() < TOLERANCE).all()):
        raise AustickerError(
            f"The outputs of the recogniser '{settings.label}' are probabilities and not logits: say "
            'outputs = "probabilities".'
        )
