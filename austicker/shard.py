"""The test clips of one fold before one trained recogniser, and every attack on them; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import identity, stickers
from austicker.attacks import ATTACKS
from austicker.job import AttackChoice
from austicker.placements.scene import ClipScene, Track
from austicker.placements.variants import track
from austicker.types import Cell, Clip, Corpus, RegionGraph, Verdict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from austicker.training import Trained

BATCH_BYTES = {"cpu": 6 * 2**20, "cuda": 512 * 2**20}
"""Pixels composited and shown at once: what stays in a core's cache, or fills a card (`make bench`)."""
GPU_SHARES = 16
"""A batch takes this part of a GPU's free memory at most: activations and other tasks need the rest."""
BUDGET = 1_000_000
"""Queries that one trial may ask; the searches of the literature stay below it."""


def batch_size(frames: Tensor) -> int:
    """Returns how many clips are shown to a recogniser at once; a batch that does not fit all the same is halved.

    Args:
        frames: (clip, frame, c, h, w) float32, all clips of a shard.
    """
    room = BATCH_BYTES[frames.device.type]
    if frames.device.type == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(frames.device)
        room = min(room, free // GPU_SHARES)
    return max(1, room // (frames[0].numel() * frames.element_size()))


class ShardData:
    """The test clips of one fold before one trained recogniser, clean answers included."""

    def __init__(
        self, trained: Trained, corpus: Corpus, test: Sequence[int], graph: RegionGraph | None, device: str
    ) -> None:
        from austicker import training
        from austicker.models import MODELS

        self.corpus, self.trained, self.device, self.graph = corpus, trained, device, graph
        self.clips = [corpus.clips[position] for position in test]
        recogniser = MODELS[trained.settings.name](trained.settings)
        indices = [recogniser.frame_indices(clip) for clip in self.clips]
        self.frames = training.pixels(corpus, test, indices, recogniser.colour, device)
        self.clean = training.scores(trained, self.frames).cpu().numpy()
        self.size = corpus.size
        self.scenes = [_scene(corpus, position, chosen, graph) for position, chosen in zip(test, indices, strict=True)]

    def verdicts(self, attack: AttackChoice, cells: Sequence[Cell]) -> list[Verdict]:
        """Attacks every clip with every cell of one attack."""
        pairs = [(cell, index) for cell in cells for index in range(len(self.clips))]
        tracks = [self._track(attack, cell, index) for cell, index in pairs]
        asked = [number for number, found in enumerate(tracks) if found is not None]
        answers = np.repeat(self.clean[None], len(cells), axis=0).reshape(len(pairs), -1)
        queries = np.zeros(len(pairs), np.int64)
        if asked:
            answers[asked], queries[asked] = self._ask(attack, [pairs[n] for n in asked], [tracks[n] for n in asked])
        return [
            self._verdict(cell, index, found, answer, int(count))
            for (cell, index), found, answer, count in zip(pairs, tracks, answers, queries, strict=True)
        ]

    def _track(self, attack: AttackChoice, cell: Cell, index: int) -> Track | None:
        rng = identity.generator(cell.id, self.clips[index].clip)
        return track(cell.placement, attack.variant, self.scenes[index], rng)

    def _ask(
        self, attack: AttackChoice, pairs: Sequence[tuple[Cell, int]], tracks: Sequence[Track | None]
    ) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Returns the scores (n, classes) and the queries (n,) of the trials."""
        import torch

        from austicker import training
        from austicker.attacks.oracle import Oracle
        from austicker.attacks.trials import Trials

        found = [item for item in tracks if item is not None]
        bank = [stickers.load(name) for name in attack.stickers]
        width, height = stickers.size_px(attack.side, face_width_px=self.size[0], face_height_px=self.size[1])
        pictures = np.stack([stickers.resized(sticker, width, height) for sticker in bank])
        numbers = {sticker.name: number for number, sticker in enumerate(bank)}

        def on_device(values: Any, dtype: torch.dtype) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=dtype, device=self.device)

        trials = Trials(
            frames=self.frames,
            clip=on_device([index for _, index in pairs], torch.long),
            stickers=on_device(pictures, torch.float32),
            sticker=on_device([numbers[cell.sticker] for cell, _ in pairs], torch.long),
            centres=on_device([item.centres for item in found], torch.float32),
            shown=on_device([item.shown for item in found], torch.bool),
        )
        oracle = Oracle(lambda frames: training.scores(self.trained, frames), trials=len(pairs), budget=BUDGET)
        answers = ATTACKS[attack.name](oracle, trials, batch=batch_size(self.frames))
        return answers.cpu().numpy(), oracle.queries

    def _verdict(
        self, cell: Cell, index: int, found: Track | None, answer: np.ndarray[Any, Any], queries: int
    ) -> Verdict:
        clip, clean = self.clips[index], self.clean[index]
        placement = found.placement if found else None
        return Verdict(
            cell=cell.id,
            corpus=cell.corpus,
            protocol=cell.protocol,
            fold=cell.fold,
            subject=clip.subject,
            clip=clip.clip,
            model=cell.model,
            attack=cell.attack,
            sticker=cell.sticker,
            placement=cell.placement,
            region=placement.region if placement else None,
            x=placement.centre.x if placement else None,
            y=placement.centre.y if placement else None,
            side=cell.side,
            seed=cell.seed,
            label=clip.label,
            clean_pred=int(clean.argmax()),
            attacked_pred=int(answer.argmax()),
            clean_score=float(clean[clip.label]),
            attacked_score=float(answer[clip.label]),
            queries=queries,
        )


def _scene(corpus: Corpus, position: int, chosen: Sequence[int], graph: RegionGraph | None) -> ClipScene:
    clip: Clip = corpus.clips[position]
    width, height = corpus.size
    apex = int(np.argmin([abs(index - clip.apex) for index in chosen]))
    landmarks = corpus.landmarks[position][list(chosen)]
    return ClipScene(apex=apex, aspect=width / height, graph=graph, landmarks=landmarks)
