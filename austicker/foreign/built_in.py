"""Opens weights that someone trained for an architecture of ours; trains nothing."""

from __future__ import annotations

import io
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from austicker import models
from austicker.foreign.record import ForeignSettings
from austicker.foreign.sources import file_content, is_pickle
from austicker.foreign.victim import Opened, reason
from austicker.models import MODELS
from austicker.types import AustickerError


def weights(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens a weight file; the architecture's own preprocessing is used.

    Raises:
        AustickerError: the file is missing, another one, no weight file, or does not fit the architecture.
    """
    path = path or Path(settings.source)
    tensors = _tensors(settings, file_content(settings, path))
    own = models.settings(
        settings.architecture, width=settings.width, input_px=settings.input_px[0], frames=settings.frames
    )
    recogniser = MODELS[settings.architecture](own)
    with torch.random.fork_rng(devices=[]):  # what the caller draws does not depend on this
        network = recogniser.network(len(settings.labels))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise AustickerError(
            f"The weights '{settings.source}' of the recogniser '{settings.label}' do not fit {settings.architecture} "
            f"of width {settings.width:g}, {settings.input_px[0]} px, {own.frames} frames and {len(settings.labels)} "
            f"labels ({reason(error)})."
        ) from error
    network = network.to(device).eval().requires_grad_(False)

    def outputs(frames: Tensor) -> Tensor:
        try:
            inputs = recogniser.normalise(recogniser.resize(frames), settings.statistics)
        except KeyError as error:
            raise AustickerError(
                f"The recogniser '{settings.label}' lacks {error} of its training clips: give it in 'statistics'."
            ) from None
        answer: Tensor = network(inputs)
        return answer

    return Opened(outputs=outputs, frame_indices=recogniser.frame_indices, colour=recogniser.colour)


def _tensors(settings: ForeignSettings, content: bytes) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file, or of a pickle that may be read.

    Raises:
        AustickerError: the content is neither, or the pickle holds more than tensors or may not be read.
    """
    if not is_pickle(content):
        try:
            tensors: dict[str, Tensor] = safetensors.torch.load(content)
        except SafetensorError as error:
            raise AustickerError(
                f"'{settings.source}' of the recogniser '{settings.label}' is not a safetensors file ({reason(error)})."
            ) from error
        return tensors
    if not settings.allow_pickle:
        raise AustickerError(
            f"'{settings.source}' of the recogniser '{settings.label}' is a pickle: say allow_pickle = true."
        )
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise AustickerError(
            f"'{settings.source}' of the recogniser '{settings.label}' holds more than weights, or is torn "
            f"({type(error).__name__})."
        ) from error
    # Lightning's checkpoints keep the weights so.
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise AustickerError(
            f"'{settings.source}' of the recogniser '{settings.label}' is not a table of tensors by name."
        )
    return found
