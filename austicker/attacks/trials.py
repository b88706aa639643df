"""What an attack is given: clips, stickers and places, one trial for each combination; never labels or weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from austicker.attacks.oracle import Oracle
from austicker.stickers import composite


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """The grid of one shard, n trials; frames may stay in host memory, the rest lives on the device.

    Attributes:
        frames: (clips, t, c, h, w) uint8 or float, 0..255.
        clip: (n,) the clip of each trial.
        stickers: (k, 4, sh, sw) as `stickers.resized` returns them.
        sticker: (n,) the sticker of each trial.
        centres: (n, t, 2) the sticker's centres as (x, y) fractions of the aligned face.
        shown: (n, t) bool, False where a frame gets no sticker.
    """

    frames: Tensor
    clip: Tensor
    stickers: Tensor
    sticker: Tensor
    centres: Tensor
    shown: Tensor

    def __len__(self) -> int:
        return len(self.clip)

    def composited(self, rows: slice) -> Tensor:
        """Returns the attacked clips of these trials, (n, t, c, h, w) float32 on the stickers' device."""
        clips = self.frames[self.clip[rows].to(self.frames.device)].to(self.stickers.device, torch.float32)
        return composite(clips, self.stickers, self.sticker[rows], self.centres[rows], self.shown[rows])


class Attack(Protocol):
    """Tries to change what a recogniser answers."""

    def __call__(self, oracle: Oracle, trials: Trials, *, batch: int) -> Tensor:
        """Returns the scores (n, classes) of each trial's final clip, showing at most `batch` clips at once."""
        ...
