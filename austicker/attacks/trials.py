"""What is attacked: clips, the stickers for them, and how a look or an edit becomes pixels; asks no recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from austicker import visibility
from austicker.attacks.looks import Face, Looks, Proposal
from austicker.depth import Ellipsoid, bends
from austicker.stickers import composite
from austicker.wearing import worn

PATCH_VALUE = 255.0
"""A patch without a picture is white, as the unified patch is in visible light."""
SUBPIXEL_BITS = 4
"""Corners of a patch are placed to a sixteenth of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """The grid of one shard, n trials of one sticker on one clip; frames may stay in host memory.

    Attributes:
        frames: (clips, t, c, h, w) uint8 or float, 0..255.
        clip: (n,) the clip of each trial.
        stickers: (k, 4, sh, sw) as `stickers.resized` returns them, on the device.
        sticker: (n,) the sticker of each trial.
        shown: (n, t) bool, False where a frame gets no sticker.
        apex: (clips,) the frame of each that is nearest to its apex.
        faces: what a search may know of each trial.
        looks: n of them, where the job's placements put each sticker; None for an attack that searches.
        bent: stickers are bent over the face, on every frame as at their place on the onset frame.
        batch: the most clips that are shown at once.
    """

    frames: Tensor
    clip: NDArray[np.int64]
    stickers: Tensor
    sticker: NDArray[np.int64]
    shown: NDArray[np.bool_]
    apex: NDArray[np.int64]
    faces: Sequence[Face] = field(repr=False)
    looks: Looks | None = None
    bent: bool = False
    batch: int = 64

    def __len__(self) -> int:
        return len(self.clip)

    def pictures(self, trials: NDArray[np.int64], looks: Proposal) -> Tensor:
        """Returns the attacked clips (m, t, c, h, w) float32 on the stickers' device.

        Args:
            trials: (m,) whose clip and sticker.
            looks: m of them.
        """
        device = self.stickers.device
        clips = self.clean(trials)
        seen = self.shown[trials]
        shown = None if seen.all() else torch.from_numpy(seen).to(device)
        if not isinstance(looks, Looks):
            changed = looks.applied(clips)
            return changed if shown is None else torch.where(shown[..., None, None, None], changed, clips)
        if looks.outlines is not None:
            return self._filled(clips, looks.outlines, shown)
        which = torch.from_numpy(self.sticker[trials]).to(device)
        centres = torch.from_numpy(looks.centres).to(device)
        art = self.stickers
        if self.bent or (looks.rotation != 0).any() or (looks.opacity != 1).any():
            rotation, opacity = self._on_device(looks.rotation), self._on_device(looks.opacity)
            art = worn(art[which], rotation, opacity, self._bends(trials, looks))
            which = torch.arange(len(looks), device=device)
        return composite(clips, art, which, centres, shown)

    def clean(self, trials: NDArray[np.int64]) -> Tensor:
        """Returns the clips (m, t, c, h, w) float32 as they are, on the stickers' device."""
        chosen = torch.from_numpy(self.clip[trials]).to(self.frames.device)
        return self.frames.index_select(0, chosen).to(self.stickers.device, torch.float32)

    def similarity(self, trials: NDArray[np.int64], pictures: Tensor) -> NDArray[np.float64]:
        """Returns the structural similarity (m,) of attacked clips' apex pictures to the clean ones."""
        return visibility.ssim(*self.apexes(trials, pictures))

    def apexes(self, trials: NDArray[np.int64], pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the apex pictures (m, c, h, w) of attacked clips, and the clean ones."""
        rows = torch.arange(len(trials), device=pictures.device)
        frame = torch.from_numpy(self.apex[self.clip[trials]]).to(pictures.device)
        chosen = torch.from_numpy(self.clip[trials]).to(self.frames.device)
        clean = self.frames[chosen, frame.to(chosen.device)].to(pictures.device, torch.float32)
        return pictures[rows, frame], clean

    def _on_device(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(self.stickers)

    def _bends(self, trials: NDArray[np.int64], looks: Looks) -> Tensor | None:
        if not self.bent:
            return None
        found = np.empty((len(looks), 3))
        for trial in np.unique(trials):
            rows, face = trials == trial, self.faces[trial]
            ellipsoid = Ellipsoid.of(face.landmarks, face.aspect)
            found[rows] = bends(ellipsoid, looks.centres[rows, 0], face.sticker_px, face.size_px)
        return self._on_device(found)

    def _filled(self, clips: Tensor, outlines: NDArray[np.float64], shown: Tensor | None) -> Tensor:
        height, width = clips.shape[-2:]
        masks = np.zeros((len(outlines), height, width), np.uint8)
        corners = outlines * (width, height) - 0.5  # OpenCV's (0, 0) is the middle of the first pixel
        fixed = np.rint(corners * 2**SUBPIXEL_BITS).astype(np.int32)
        for mask, polygon in zip(masks, fixed, strict=True):
            cv2.fillPoly(mask, [polygon], 1, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
        touched = torch.from_numpy(masks).to(clips.device).bool()[:, None, None]
        if shown is not None:
            touched = touched & shown[..., None, None, None]
        return torch.where(touched, torch.full_like(clips[:1, :1, :1, :1, :1], PATCH_VALUE), clips)
