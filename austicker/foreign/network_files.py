"""Opens networks that a file holds whole: TorchScript and ONNX."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from austicker.foreign.record import ForeignSettings
from austicker.foreign.sources import file_content
from austicker.foreign.victim import Opened, prepared, reason
from austicker.types import AustickerError


def torchscript(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens a TorchScript archive.

    Raises:
        AustickerError: the file is missing, another one, or no TorchScript.
    """
    content = _content(settings, path)
    try:
        with warnings.catch_warnings():
            # torch 2.13 tells authors to export otherwise; the files that they exported so far are still to be read.
            warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
            network: Any = torch.jit.load(io.BytesIO(content), map_location=device)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise AustickerError(
            f"The file '{settings.source}' of the recogniser '{settings.label}' is no TorchScript file "
            f"({reason(error)})."
        ) from error
    network.eval()
    for weight in network.parameters():
        weight.requires_grad_(False)
    return prepared(network, settings)


def onnx(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens an ONNX file in onnxruntime, with one thread; on CUDA where onnxruntime's build has it.

    Raises:
        AustickerError: onnxruntime is not installed, or the file is missing, another one, or does not fit.
    """
    content = _content(settings, path)
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise AustickerError(
            f"The recogniser '{settings.label}' needs onnxruntime: install it with "
            '`pip install "austicker[recognisers]"`.'
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # faults come as exceptions
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    providers = [name for name in (*wanted, "CPUExecutionProvider") if name in available]
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:
        raise AustickerError(
            f"The file '{settings.source}' of the recogniser '{settings.label}' is no ONNX file that can be run "
            f"({reason(error)})."
        ) from error
    return prepared(_asked(session, settings), settings)


def _content(settings: ForeignSettings, path: Path | None) -> bytes:
    return file_content(settings, path or Path(settings.source))


def _asked(session: Any, settings: ForeignSettings) -> Callable[[Tensor], Tensor]:
    """Returns an ONNX session as a function of tensors: its only input to its first output.

    Raises:
        AustickerError: it takes several inputs, or a fixed number of pictures that is not one.
    """
    if len(session.get_inputs()) != 1:
        raise AustickerError(
            f"The ONNX file of the recogniser '{settings.label}' takes {len(session.get_inputs())} inputs, and one is "
            "due: export it with the pictures as its only input."
        )
    source, answer = session.get_inputs()[0], session.get_outputs()[0].name
    batch = source.shape[0] if source.shape and isinstance(source.shape[0], int) else None
    if batch not in (None, 1):
        raise AustickerError(
            f"The ONNX file of the recogniser '{settings.label}' takes exactly {batch} pictures at once: export it "
            "with a free batch size."
        )
    half = source.type == "tensor(float16)"

    def ask(inputs: Tensor) -> Tensor:
        pictures: Any = inputs.detach().cpu().numpy().astype(np.float16 if half else np.float32)
        # Exported for one picture at a time: such a file cannot be asked otherwise.
        batches = np.split(pictures, len(pictures)) if batch else [pictures]
        answers = [session.run([answer], {source.name: part})[0] for part in batches]
        return torch.from_numpy(np.concatenate(answers))

    return ask
