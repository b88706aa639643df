"""Clips of one fold before one recogniser, and every attack on them; writes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from austicker import identity, regions, stickers
from austicker.attacks import ATTACKS
from austicker.attacks.looks import Face, Looks, Proposal
from austicker.choices import RegionChoice
from austicker.job import AttackChoice
from austicker.placements.scene import ClipScene, Track
from austicker.placements.variants import shown_frames, track
from austicker.types import AustickerError, Cell, Corpus, RegionGraph, Verdict

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What an attack brings along.

    Attributes:
        tuned: the choice "tuned" by sticker.
        surrogate: the recogniser on which its pictures are made, or None for the one that is attacked.
    """

    tuned: Mapping[str, RegionChoice] = field(default_factory=dict)
    surrogate: Victim | None = None


NOTHING = Given()


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
        self.classes = len(corpus.labels)
        self.clips = [corpus.clips[position] for position in positions]
        indices = [victim.frame_indices(clip) for clip in self.clips]
        self.frames = training.pixels(corpus, positions, indices, victim.colour, device)
        self.clean = victim.scores(self.frames).cpu().numpy()
        self.scenes = [
            _scene(corpus, position, chosen, found) for position, chosen in zip(positions, indices, strict=True)
        ]

    def verdicts(self, attack: AttackChoice, cells: Sequence[Cell], given: Given = NOTHING) -> list[Verdict]:
        """Attacks every clip with every cell of one attack."""
        if not ATTACKS[attack.name].searches:
            return self._verdicts(attack, cells, given)
        # Cell by cell: the last bits of a score depend on the batch, and a search can go another way for them. So the
        # batches of a cell are the same however its shard was cut.
        return [row for cell in cells for row in self._verdicts(attack, [cell], given)]

    def _verdicts(self, attack: AttackChoice, cells: Sequence[Cell], given: Given) -> list[Verdict]:
        pairs = [(cell, index) for cell in cells for index in range(len(self.clips))]
        if ATTACKS[attack.name].searches:
            tracks: list[Track | None] = [None] * len(pairs)
            asked = list(range(len(pairs)))
        else:
            tracks = [self._track(attack, cell, index, given.tuned) for cell, index in pairs]
            asked = [number for number, place in enumerate(tracks) if place is not None]
        rows = [self._unattacked(cell, index) for cell, index in pairs]
        if asked:
            trials = self._trials(attack, [pairs[n] for n in asked], [tracks[n] for n in asked])
            attempts, oracle = self._attacked(attack, trials, given.surrogate)
            counted, seen = _counts(oracle.ledger), self._seen(trials, attempts.looks)
            for row, number in enumerate(asked):
                if attempts.at[row]:
                    place = tracks[number]
                    rows[number] |= attempts.looks.columns(row) | seen[row] | counted[row]
                    index, at = pairs[number][1], int(attempts.at[row])
                    rows[number] |= self._answered(attack, index, oracle.record(row), at)
                    rows[number]["region"] = place.placement.region if place else None
        return [Verdict(**row) for row in rows]

    def _seen(self, trials: Trials, looks: Proposal) -> list[dict[str, Any]]:
        """Returns the columns that say how much of each picture the attack that counts changed."""
        from austicker import visibility

        found: list[dict[str, Any]] = []
        for start in range(0, len(trials), trials.batch):
            some = np.arange(start, min(start + trials.batch, len(trials)))
            pictures = trials.pictures(some, looks[some])
            measured = visibility.measured(*trials.apexes(some, pictures))
            found += [
                {"changed": changed, "ssim": ssim, "psnr": psnr if np.isfinite(psnr) else None}
                for changed, ssim, psnr in zip(
                    measured.changed.tolist(), measured.ssim.tolist(), measured.psnr.tolist(), strict=True
                )
            ]
            features = self.victim.features(pictures)
            if features is not None:
                before = self.victim.features(trials.clean(some))
                assert before is not None  # nosec B101 # as it read features of the attacked pictures
                for row, shift in zip(some.tolist(), features - before, strict=True):
                    found[row]["shift"] = tuple(shift.tolist()) if np.isfinite(shift).all() else None
        return found

    def tuning(self, attack: AttackChoice, sticker: str) -> dict[str, list[tuple[float, float]]]:
        """Returns for each clip, with one sticker at each of the 14 regions in table order, an error and a score.

        The error is 1 where the emotion is hidden, else 0; the score is the true class', or 1 - error where a
        recogniser gives labels alone.
        """
        cells = [_cell(attack, sticker, f"region/{name}") for name in regions.NAMES]
        found: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for row in self.verdicts(
            replace(attack, hides="label"), cells
        ):  # cell by cell, so each clip's regions come in table order
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

    def _attacked(self, attack: AttackChoice, trials: Trials, surrogate: Victim | None) -> tuple[Attempts, Oracle]:
        from austicker.attacks.oracle import Asked, Oracle

        means = ATTACKS[attack.name]
        asked = Asked(
            name=self.victim.label,
            scores=self.victim.scores,
            logits=self._logits(surrogate),
            surrogate=surrogate.label if surrogate else "",
        )
        goals = [face.label for face in trials.faces]
        oracle = Oracle(asked, goals, access=means.access, budget=attack.budget or 1, remembers=attack.remember)
        return means(oracle, trials, means.settings(**attack.settings)), oracle

    def _logits(self, surrogate: Victim | None) -> Callable[[Tensor], Tensor] | None:
        """Returns what gradients are taken of.

        Raises:
            AustickerError: the surrogate looks at other frames than the recogniser.
        """
        if surrogate is None:
            return self.victim.logits if self.victim.access == "gradients" else None
        if any(surrogate.frame_indices(clip) != self.victim.frame_indices(clip) for clip in self.clips):
            raise AustickerError(
                f"Surrogate '{surrogate.label}' looks at other frames than '{self.victim.label}': pictures made on it "
                "cannot be shown there; name another surrogate, or keep the two apart with 'attacks' of the models."
            )
        theirs, colour = surrogate.logits, surrogate.colour
        return lambda frames: theirs(stickers.in_colour(frames, colour))

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
            apex=np.array([scene.apex for scene in self.scenes], np.int64),
            faces=[
                Face(
                    landmarks=self.scenes[index].landmarks[0],
                    size_px=self.size,
                    sticker_px=(width, height),
                    label=self._goal(attack, index),
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

    def _goal(self, attack: AttackChoice, index: int) -> int:
        """Returns the class that an attack on a clip is to hide: the true one too where no face was found in it."""
        answer, label = int(self.clean[index].argmax()), self.clips[index].label
        return answer if attack.hides == "answer" and answer < self.classes else label

    def _answered(
        self, attack: AttackChoice, index: int, record: tuple[NDArray[np.int64], NDArray[np.float32]], at: int
    ) -> dict[str, Any]:
        """Returns how the recogniser answered to query `at` of a clip, by the oracle's own record."""
        labels, scores = record
        known = self.victim.access != "label" and self._goal(attack, index) == self.clips[index].label
        return {
            "attacked_pred": int(labels[at - 1]),
            "attacked_score": float(scores[at - 1]) if known else None,
            "answers": tuple(scores.tolist()) if ATTACKS[attack.name].maps else None,
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
