"""The recogniser of the package facex: a TensorFlow Lite network without source; a black box that gives labels.

Only its weight file is used, in the interpreter of ai-edge-litert, on the CPU with one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from austicker.foreign import packaged
from austicker.foreign.preprocessing import prepare
from austicker.foreign.record import ForeignSettings
from austicker.foreign.victim import Opened, opened
from austicker.types import AustickerError

CHANNELS = 3
"""It takes the gray picture three times."""


def facex(settings: ForeignSettings, path: Path | None, device: torch.device) -> Opened:
    """Opens the network.

    Raises:
        AustickerError: ai-edge-litert or the package is not installed, or its file is another one.
    """
    content = packaged.content(packaged.FACEX)
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        raise AustickerError(
            "The recogniser 'facex' needs ai-edge-litert: install it with `pip install \"austicker[recognisers]\"`."
        ) from None
    interpreter: Any = Interpreter(model_content=content, num_threads=1)
    source, answer = (
        details[0]["index"] for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )
    allocated = 0

    def outputs(frames: Tensor) -> Tensor:
        nonlocal allocated
        pictures = prepare(frames, settings).expand(-1, -1, -1, CHANNELS).detach().cpu().numpy()  # (n, h, w, 3)
        if len(pictures) != allocated:
            interpreter.resize_tensor_input(source, pictures.shape)
            interpreter.allocate_tensors()
            allocated = len(pictures)
        interpreter.set_tensor(source, pictures)
        interpreter.invoke()
        return torch.from_numpy(interpreter.get_tensor(answer))

    return opened(outputs, settings)
