"""Clips of one fold before one recogniser, and every attack on them; writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import identity, regions, stickers
from austicker.attacks import ATTACKS
from austicker.attacks.looks import Face, Looks
from austicker.choices import RegionChoice
from austicker.job import AttackChoice
from austicker.placements.scene import ClipScene, Track
from austicker.placements.variants import shown_frames, track
from austicker.types import Cell, Corpus, RegionGraph, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.attacks.lockstep import Attempts
    from austicker.attacks.oracle import Ledger, Oracle
    from austicker.attacks.trials import Trials
    from austicker.victims import Victim

BATCH_BYTES = {"cpu": 6 * 2**20, "cuda": 512 * 2**20}
"""Pixels composited and shown at once: what stays in a core's cache, or fills a card (`make bench`)."""
GPU_SHARES = 16
"""A batch takes this part of a GPU's memory at most: activations and other tasks need the rest."""
Pair = tuple[Cell, int]
"""A cell and the position of one of the shard's clips."""


def batch_size(frames: Tensor) -> int:
    """Returns how many clips are shown to a recogniser at once; a batch that does not fit all the same is halved.

    Args:
        frames: (clip, frame, c, h, w) float32, all clips of a shard.
    """
    room = BATCH_BYTES[frames.device.type]
    if frames.device.type == "cuda":
        import torch

        # Not of the free memory: equal cards then cut equal batches, whatever else runs on them.
        room = min(room, torch.cuda.get_device_properties(frames.device).total_memory // GPU_SHARES)
    return max(1, room // (frames[0].numel() * frames.element_size()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What discovery says about a fold.

    Attributes:
        graph: the causal graph, or None where no placement reads it.
        choices: regions that other rules choose, by their kind.
    """

    graph: RegionGraph | None = None
    choices: Mapping[str, RegionChoice] = field(default_factory=dict)


class ShardData:
    """Clips of one fold before one recogniser, clean answers included.

    Args:
        victim: the recogniser.
        corpus: where the clips are.
        positions: of the clips in the corpus.
        found: what placements may read.
        device: where pictures are made.
    """

    def __init__(self, victim: Victim, corpus: Corpus, positions: Sequence[int], found: Found, device: str) -> None:
        from austicker import training

        self.victim, self.device, self.size = victim, device, corpus.size
        self.clips = [corpus.clips[position] for position in positions]
        indices = [victim.frame_indices(clip) for clip in self.clips]
        self.frames = training.pixels(corpus, positions, indices, victim.colour, device)
        self.clean = victim.scores(self.frames).cpu().numpy()
        self.scenes = [
            _scene(corpus, position, chosen, found) for position, chosen in zip(positions, indices, strict=True)
        ]

    def verdicts(
        self, attack: AttackChoice, cells: Sequence[Cell], tuned: Mapping[str, RegionChoice] | None = None
    ) -> list[Verdict]:
        """Attacks every clip with every cell of one attack; `tuned` is the choice "tuned" by sticker."""
        if not ATTACKS[attack.name].searches:
            return self._verdicts(attack, cells, tuned or {})
        # Cell by cell: the last bits of a score depend on the batch, and a search can go another way for them. So the
        # batches of a cell are the same however its shard was cut.
        return [row for cell in cells for row in self._verdicts(attack, [cell], {})]

    def _verdicts(
        self, attack: AttackChoice, cells: Sequence[Cell], tuned: Mapping[str, RegionChoice]
    ) -> list[Verdict]:
        pairs = [(cell, index) for cell in cells for index in range(len(self.clips))]
        if ATTACKS[attack.name].searches:
            tracks: list[Track | None] = [None] * len(pairs)
            asked = list(range(len(pairs)))
        else:
            tracks = [self._track(attack, cell, index, tuned) for cell, index in pairs]
            asked = [number for number, place in enumerate(tracks) if place is not None]
        rows = [self._unattacked(cell, index) for cell, index in pairs]
        if asked:
            attempts, oracle = self._attacked(attack, [pairs[n] for n in asked], [tracks[n] for n in asked])
            for row, (number, counts) in enumerate(zip(asked, _counts(oracle.ledger), strict=True)):
                if attempts.at[row]:
                    rows[number] |= _worn(attempts, row, tracks[number])
                    rows[number] |= self._answered(attack, oracle, row, int(attempts.at[row]))
                    rows[number] |= counts
        return [Verdict(**row) for row in rows]

    def tuning(self, attack: AttackChoice, sticker: str) -> dict[str, list[tuple[float, float]]]:
        """Returns for each clip, with one sticker at each of the 14 regions in table order, an error and a score.

        The error is 1 where the emotion is hidden, else 0; the score is the true class', or 1 - error where a
        recogniser gives labels alone.
        """
        cells = [_cell(attack, sticker, f"region/{name}") for name in regions.NAMES]
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in self.verdicts(attack, cells):  # cell by cell, so each clip's regions come in table order
            error = float(row.attacked_pred != row.label)
            found[row.clip].append((error, 1 - error if row.attacked_score is None else row.attacked_score))
        return dict(found)

    def _track(self, attack: AttackChoice, cell: Cell, index: int, tuned: Mapping[str, RegionChoice]) -> Track | None:
        scene = self.scenes[index]
        if cell.sticker in tuned:
            scene = replace(scene, choices={**scene.choices, "tuned": tuned[cell.sticker]})
        return track(cell.placement, attack.variant, scene, self._rng(cell, index))

    def _rng(self, cell: Cell, index: int) -> np.random.Generator:
        return identity.generator(cell.id, self.clips[index].clip)

    def _attacked(
        self, attack: AttackChoice, pairs: Sequence[Pair], tracks: Sequence[Track | None]
    ) -> tuple[Attempts, Oracle]:
        from austicker.attacks.oracle import Asked, Oracle

        means = ATTACKS[attack.name]
        asked = Asked(
            name=self.victim.label,
            scores=self.victim.scores,
            logits=self.victim.logits if self.victim.access == "gradients" else None,
        )
        goals = [self.clips[index].label for _, index in pairs]
        oracle = Oracle(asked, goals, access=means.access, budget=attack.budget or 1, remembers=attack.remember)
        return means(oracle, self._trials(attack, pairs, tracks), means.settings(**attack.settings)), oracle

    def _trials(self, attack: AttackChoice, pairs: Sequence[Pair], tracks: Sequence[Track | None]) -> Trials:
        import torch

        from austicker.attacks.trials import Trials

        bank = [stickers.load(name) for name in attack.stickers]
        width, height = stickers.size_px(attack.side, face_width_px=self.size[0], face_height_px=self.size[1])
        art = [stickers.resized(sticker, width, height) for sticker in bank] or [np.zeros((4, 1, 1), np.float32)]
        numbers = {sticker.name: number for number, sticker in enumerate(bank)}
        clips = [index for _, index in pairs]
        placed = [place for place in tracks if place is not None]
        return Trials(
            frames=self.frames,
            clip=np.array(clips, np.int64),
            stickers=torch.from_numpy(np.stack(art)).to(self.device),
            sticker=np.array([numbers.get(cell.sticker, 0) for cell, _ in pairs], np.int64),
            shown=np.stack([shown_frames(attack.variant, self.scenes[index]) for index in clips]),
            faces=[
                Face(
                    landmarks=self.scenes[index].landmarks[0],
                    size_px=self.size,
                    sticker_px=(width, height),
                    label=self.clips[index].label,
                    rng=self._rng(cell, index),
                )
                for cell, index in pairs
            ],
            looks=_looks(placed) if placed else None,
            bent=attack.bend,
            batch=batch_size(self.frames),
        )

    def _unattacked(self, cell: Cell, index: int) -> dict[str, Any]:
        """Returns the columns of a clip as it is without an attack."""
        clip, clean = self.clips[index], self.clean[index]
        score = None if self.victim.access == "label" else float(clean[clip.label])
        return {
            "cell": cell.id,
            "corpus": cell.corpus,
            "protocol": cell.protocol,
            "fold": cell.fold,
            "subject": clip.subject,
            "clip": clip.clip,
            "model": cell.model,
            "attack": cell.attack,
            "sticker": cell.sticker,
            "placement": cell.placement,
            "region": None,
            "x": None,
            "y": None,
            "side": cell.side,
            "seed": cell.seed,
            "label": clip.label,
            "clean_pred": int(clean.argmax()),
            "attacked_pred": int(clean.argmax()),
            "clean_score": score,
            "attacked_score": score,
            "queries": 0,
        }

    def _answered(self, attack: AttackChoice, oracle: Oracle, trial: int, at: int) -> dict[str, Any]:
        """Returns how the recogniser answered to the look that counts, by the oracle's own record."""
        labels, scores = oracle.record(trial)
        return {
            "attacked_pred": int(labels[at - 1]),
            "attacked_score": None if self.victim.access == "label" else float(scores[at - 1]),
            "answers": tuple(scores.tolist()) if ATTACKS[attack.name].maps else None,
        }


def _worn(attempts: Attempts, row: int, place: Track | None) -> dict[str, Any]:
    """Returns the columns that say what the face wears."""
    looks = attempts.looks
    return {
        "region": place.placement.region if place else None,
        "x": float(looks.centres[row, 0, 0]),
        "y": float(looks.centres[row, 0, 1]),
        "rotation": float(looks.rotation[row]),
        "opacity": float(looks.opacity[row]),
        "outline": None if looks.outlines is None else tuple(looks.outlines[row].ravel().tolist()),
    }


def _counts(ledger: Ledger) -> list[dict[str, int]]:
    """Returns for each trial the columns that the oracle counted."""
    names = ("queries", "unique", "repeated", "cached", "calls", "success_at")
    columns = (getattr(ledger, name).tolist() for name in names)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _looks(placed: Sequence[Track]) -> Looks:
    plain = np.zeros(len(placed))
    return Looks(
        centres=np.stack([place.centres for place in placed]).astype(np.float64), rotation=plain, opacity=plain + 1
    )


def _cell(attack: AttackChoice, sticker: str, placement: str) -> Cell:
    """Returns a cell that is asked for tuning alone and never written."""
    return Cell(
        id=f"tuned {sticker} {placement}",
        corpus="",
        protocol="",
        fold="",
        model="",
        attack=attack.label,
        sticker=sticker,
        placement=placement,
        side=attack.side,
        seed=0,
    )


def _scene(corpus: Corpus, position: int, chosen: Sequence[int], found: Found) -> ClipScene:
    clip = corpus.clips[position]
    width, height = corpus.size
    return ClipScene(
        apex=int(np.argmin([abs(index - clip.apex) for index in chosen])),
        aspect=width / height,
        graph=found.graph,
        choices=found.choices,
        label=clip.label,
        landmarks=corpus.landmarks[position][list(chosen)],
    )
