"""The pure stages from files to files: train, discover, attack; each is one task, and Ray is not known here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import causal, corpora, folds, identity, results, stickers
from austicker.attacks import ATTACKS
from austicker.corpora.published import open_published
from austicker.job import AttackChoice, Job, from_record
from austicker.placements.scene import ClipScene, Track
from austicker.placements.variants import track
from austicker.plan import Tally, Task
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Cell, Clip, Corpus, Fold, ModelSettings, RegionGraph, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.training import Trained

BATCH_BYTES = {"cpu": 6 * 2**20, "cuda": 512 * 2**20}
"""Pixels composited and shown at once: what stays in a core's cache, or fills a card (`make bench`)."""
GPU_SHARES = 16
"""A batch takes this part of a GPU's free memory at most: activations and other tasks need the rest."""
BUDGET = 1_000_000
"""Queries that one trial may ask; the searches of the literature stay below it."""


def execute(
    task: Task,
    store_root: str,
    job_record: Mapping[str, Any],
    published: Mapping[str, str] | None = None,
    device: str | None = None,
) -> Tally:
    """Does one task and counts what it did.

    What a task writes is named by its inputs, so doing it twice leaves the same files. Weights or a graph that it needs
    and that are missing or damaged are made again on the way, by the task that needs them.

    Args:
        task: what to do.
        store_root: address of the store.
        job_record: the canonical job.
        published: fingerprints of the corpora that are to be had from the store, by name; others are opened here.
        device: "cpu", or None for the GPU where there is one.
    """
    import torch

    store, job = Store(store_root), from_record(job_record)
    if published and task.corpus in published:
        corpus = _published(store_root, published[task.corpus])
    else:
        corpus = _corpus(task.corpus, next(choice.root for choice in job.corpora if choice.name == task.corpus))
    fold = next(fold for fold in folds.loso(corpus.clips) if fold.name == task.fold)
    _check_corpus(task, job, corpus, fold)
    if task.stage == "discover":
        _graph(task, store, job, corpus, fold)
        return Tally()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if task.stage == "train":
        _trained(task, store, job, corpus, fold, device)
        return Tally()
    return _attack(task, store, job, corpus, fold, device)


@lru_cache(maxsize=4)
def _corpus(name: str, root: str | None) -> Corpus:
    return corpora.open_corpus(name, Path(root) if root else None)


@lru_cache(maxsize=4)
def _published(store_root: str, fingerprint: str) -> Corpus:
    return open_published(Store(store_root), fingerprint)


def _settings(task: Task, job: Job) -> ModelSettings:
    return next(settings for settings in job.models if settings.label == task.model)


def _check_corpus(task: Task, job: Job, corpus: Corpus, fold: Fold) -> None:
    """Refuses to write under an identity that was planned with other data than this worker's."""
    if task.stage == "discover":
        planned, here = task.graph, identity.of_graph(corpus, fold, job.discovery)
    else:
        planned, here = task.weights, identity.of_model(corpus, fold, _settings(task, job), task.seed)
    if planned != here:
        raise AustickerError(
            f"Corpus '{corpus.name}' on this worker is not the one that the job was planned with: give every node the "
            "same version and the same prepared corpus (AUSTICKER_CACHE)."
        )


def _trained(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold, device: str) -> Trained:
    """Returns the trained recogniser that the store holds, trained here first where it is missing or damaged."""
    from austicker import training, weights
    from austicker.models import MODELS

    try:
        there = weights.load(store, task.weights, device=device)
        weights.complete(store, task.weights)
        return there
    except Unreadable:
        pass
    settings = _settings(task, job)
    recogniser = MODELS[settings.name](settings)
    seed = identity.seed_of(task.weights)
    if settings.selection == "oracle-epoch":
        trained = training.train_oracle_epoch(recogniser, corpus, fold.train, fold.test, seed=seed, device=device)
    else:
        trained = training.train(recogniser, corpus, fold.train, seed=seed, device=device)
    weights.save(trained, store, task.weights)
    return weights.load(store, task.weights, device=device)  # which another attempt may have written first


def _graph(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold) -> RegionGraph:
    """Returns the causal graph that the store holds, discovered here first where it is missing or damaged."""
    try:
        return read_graph(store, task.graph)
    except Unreadable:
        graph = causal.discover_fold(corpus, fold.train, job.discovery, seed=identity.seed_of(task.graph))
        record = asdict(graph)
        store.write_json(layout.graph(task.graph), record | {"sha256": _checksum(record)})
        return graph


def read_graph(store: Store, graph: str) -> RegionGraph:
    """Reads a fold's causal graph from the store.

    Raises:
        AustickerError: the file is missing or damaged.
    """
    key = layout.graph(graph)
    record: dict[str, Any] = store.read_json(key)
    if record.pop("sha256", None) not in (None, _checksum(record)):
        raise store.unreadable(key, "it does not match its checksum")
    try:
        for name in ("directed", "undirected", "bidirected"):
            record[name] = tuple((a, b) for a, b in record[name])
        for name in ("regions", "dropped", "tied"):
            record[name] = tuple(record[name])
        return RegionGraph(**record)
    except (KeyError, TypeError, ValueError) as error:
        raise store.unreadable(key, "it holds no graph") from error


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_graphs(store: Store, job_record: Mapping[str, Any]) -> dict[tuple[str, str], RegionGraph]:
    """Reads the causal graphs of a store's job that are there, by (corpus, fold).

    Raises:
        AustickerError: a file is damaged.
    """
    there = set(store.keys(layout.GRAPHS))
    return {
        (corpus, fold): read_graph(store, graph)
        for corpus, fold, graph in job_record["graphs"]
        if layout.graph(graph) in there
    }


def read_job(store: Store) -> dict[str, Any]:
    """Reads what `submit` keeps of a store's job; the first contact of whoever only reads a store.

    Raises:
        AustickerError: there is none, it is damaged, or the store does not answer.
    """
    store.reach()
    if not store.has(layout.JOB):
        raise AustickerError(f"There is no job in '{store}': name the store that `submit` wrote to.")
    record = store.read_json(layout.JOB)
    try:
        from_record(record["job"])
        lacking = {"inputs", "cells", "corpora", "graphs", "weights", "provenance"} - record.keys()
    except (KeyError, TypeError, AttributeError) as error:
        raise store.unreadable(layout.JOB, "it holds no job") from error
    if lacking:
        raise store.unreadable(layout.JOB, "it holds half a job")
    return record


def _attack(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold, device: str) -> Tally:
    cells = [cell.id for cell in task.cells]
    there = results.read_part(store, corpus.name, cells)
    if there is not None:  # another attempt was faster
        return _tally(there.num_rows, sum(there["queries"].to_pylist()), fold)
    graph = _graph(task, store, job, corpus, fold)
    shard = ShardData(_trained(task, store, job, corpus, fold, device), corpus, fold.test, graph, device)
    verdicts: list[Verdict] = []
    for attack in job.attacks:
        chosen = [cell for cell in task.cells if cell.attack == attack.label]
        if chosen:
            verdicts += shard.verdicts(attack, chosen)
    results.write_part(store, corpus.name, cells, verdicts)
    return _tally(len(verdicts), sum(verdict.queries for verdict in verdicts), fold)


def _tally(rows: int, queries: int, fold: Fold) -> Tally:
    return Tally(rows=rows, evaluations=queries + len(fold.test), queries=queries)


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
        height, width = corpus.frames.shape[2:4]
        self.size = (width, height)
        self.scenes = [
            _scene(corpus, position, chosen, graph, width / height)
            for position, chosen in zip(test, indices, strict=True)
        ]

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


def _scene(corpus: Corpus, position: int, chosen: Sequence[int], graph: RegionGraph | None, aspect: float) -> ClipScene:
    clip: Clip = corpus.clips[position]
    apex = int(np.argmin([abs(index - clip.apex) for index in chosen]))
    return ClipScene(apex=apex, aspect=aspect, graph=graph, landmarks=corpus.landmarks[position][list(chosen)])
