"""A recogniser trained elsewhere as a `Victim`: its raw outputs folded into the study's classes, and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from austicker.foreign.preprocessing import frame_indices, prepare
from austicker.foreign.record import ForeignSettings
from austicker.memory import halving
from austicker.training import CHUNK
from austicker.types import Access, AustickerError, Clip

NEVER = -1e4
"""Logit of a class without labels: its probability is exactly 0, and losses of it stay finite."""
SMALLEST = 1e-30
"""Probabilities below it count as this, so that their logarithm stays finite."""
SUM_SLACK = 0.05
"""How far probabilities may sum from 1: quantised networks miss it by about one percent."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """An opened recogniser.

    Attributes:
        outputs: frames (n, t, c, h, w), floats 0..255, to raw outputs (n, labels), or labels' positions (n,).
        frame_indices: the packed frames that it looks at.
        colour: of the frames that it takes.
    """

    outputs: Callable[[Tensor], Any]
    frame_indices: Callable[[Clip], tuple[int, ...]]
    colour: Literal["gray", "rgb"]


def opened(outputs: Callable[[Tensor], Any], settings: ForeignSettings) -> Opened:
    """Returns a recogniser that looks at frames and colours as its settings say."""
    return Opened(
        outputs=outputs,
        frame_indices=lambda clip: frame_indices(settings.frames, clip),
        colour="gray" if settings.colour == "gray" else "rgb",
    )


def prepared(network: Callable[[Tensor], Any], settings: ForeignSettings) -> Opened:
    """Returns a recogniser from a network that takes prepared pictures."""
    return opened(lambda frames: network(prepare(frames, settings)), settings)


def reason(error: BaseException) -> str:
    """Returns an exception in a few words: its type and the start of its text."""
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


class ForeignVictim:
    """A recogniser trained elsewhere, ready to be asked.

    The last column of its answers is "none of these": its own labels that mean no class of the study. A class'
    probability is the sum over its labels.
    """

    def __init__(self, settings: ForeignSettings, recogniser: Opened, columns: tuple[int, ...], classes: int) -> None:
        self.label = settings.label
        self.access: Access = settings.access
        self.classes = classes + 1
        self.colour: Literal["gray", "rgb"] = recogniser.colour
        self.frame_indices = recogniser.frame_indices
        self._settings, self._outputs, self._columns = settings, recogniser.outputs, columns

    def scores(self, frames: Tensor) -> Tensor:
        """Returns probabilities, float32 (n, classes) on the frames' device; one-hot where only labels are given.

        Raises:
            AustickerError: the recogniser fails, or its answer is not finite or not as declared.
        """
        # Not inference mode: what a network of others keeps from this call may be part of a gradient later.
        with torch.no_grad():
            try:
                chunks = list(halving(lambda rows: self._answer(frames[rows]), len(frames), CHUNK))
            except (AustickerError, torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:
                raise self._fault(f"failed ({reason(error)})") from error
            return torch.cat(chunks) if chunks else frames.new_zeros(0, self.classes)

    def logits(self, frames: Tensor) -> Tensor:
        """Returns logits (n, classes) with a gradient to `frames`; their softmax is what `scores` gives.

        Raises:
            AustickerError: the recogniser gives no gradients, fails, or its answer is not finite or not as declared.
        """
        if self.access != "gradients":
            raise self._fault(f"gives {self.access} and no gradients: choose an attack that needs none")
        try:
            return self._folded(self._raw(frames))
        except (AustickerError, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            raise self._fault(f"failed ({reason(error)})") from error

    def features(self, frames: Tensor) -> None:
        """Returns None: what it reads of the frames is not known."""

    def _answer(self, frames: Tensor) -> Tensor:
        """Returns the probabilities of one batch."""
        raw = self._raw(frames)
        if self._settings.outputs == "labels":
            columns = torch.tensor(self._columns, device=raw.device)[raw]
        else:
            scores = self._folded(raw).softmax(1).to(frames.device)
            if self.access != "label":
                return scores
            columns = scores.argmax(1)  # the same recogniser as with its scores: less of it is seen
        return torch.nn.functional.one_hot(columns, self.classes).float().to(frames.device)

    def _folded(self, raw: Tensor) -> Tensor:
        """Returns logits (n, classes): those of a class' labels under one logarithm of their sum."""
        if self._settings.outputs == "probabilities":
            raw = raw.clamp(min=SMALLEST).log()
        folded = []
        for column in range(self.classes):
            own = [position for position, target in enumerate(self._columns) if target == column]
            folded.append(raw[:, own].logsumexp(1) if own else raw.new_full((len(raw),), NEVER))
        return torch.stack(folded, 1)

    def _raw(self, frames: Tensor) -> Tensor:
        """Returns the recogniser's checked outputs: float32 (n, labels), or labels' positions (n,)."""
        raw, labels = self._outputs(frames), len(self._columns)
        if not isinstance(raw, Tensor):
            raise self._fault(f"returns a {type(raw).__name__} and not one tensor")
        if self._settings.outputs == "labels":
            if raw.shape != (len(frames),) or raw.is_floating_point() or raw.is_complex():
                raise self._fault(f"returns {_kind(raw)} for {len(frames)} clips, where one whole number each is due")
            if len(raw) and not 0 <= int(raw.min()) <= int(raw.max()) < labels:
                raise self._fault(f"returns labels {int(raw.min())} to {int(raw.max())}, but {labels} labels are given")
            return raw.long()
        if raw.shape != (len(frames), labels) or not raw.is_floating_point():
            raise self._fault(f"returns {_kind(raw)} for {len(frames)} clips, but {labels} labels are given")
        if not bool(raw.isfinite().all()):
            raise self._fault("returns numbers that are not finite (NaN or infinity)")
        if self._settings.outputs == "probabilities" and bool((raw < 0).any()):
            raise self._fault('returns negative numbers, which are no probabilities: say outputs = "logits"')
        if self._settings.outputs == "probabilities" and bool(((raw.sum(1) - 1).abs() > SUM_SLACK).any()):
            raise self._fault(
                f'returns probabilities that sum to {float(raw.sum(1).max()):.3g}: say outputs = "logits"'
            )
        return raw.float()

    def _fault(self, what: str) -> AustickerError:
        return AustickerError(f"The recogniser '{self.label}' {what}.")


def _kind(raw: Tensor) -> str:
    """Names a tensor's type and shape, as in "float32 of shape (2, 7)"."""
    return f"{str(raw.dtype).removeprefix('torch.')} of shape {tuple(raw.shape)}"
