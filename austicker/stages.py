"""The pure stages from files to files: train, discover, attack; each is one task, and Ray is not known here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import causal, corpora, folds, identity, results, stickers
from austicker.attacks import ATTACKS
from austicker.job import AttackChoice, Job, from_record
from austicker.placements.scene import ClipScene, Track
from austicker.placements.variants import track
from austicker.plan import Tally, Task, has_weights
from austicker.store import Store
from austicker.types import AustickerError, Cell, Clip, Corpus, Fold, ModelSettings, RegionGraph, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from austicker.training import Trained

BATCH_BYTES = {"cpu": 6 * 2**20, "cuda": 512 * 2**20}
"""Pixels composited and shown at once: what stays in a core's cache, or fills a card (`make bench`)."""
BUDGET = 1_000_000
"""Queries that one trial may ask; the searches of the literature stay below it."""


def execute(task: Task, store_root: str, job_record: Mapping[str, Any]) -> Tally:
    """Does one task and counts what it did.

    What a task writes is named by its inputs, so doing it twice leaves the same files.
    """
    import torch

    store, job = Store(store_root), from_record(job_record)
    corpus = _corpus(task.corpus, next(choice.root for choice in job.corpora if choice.name == task.corpus))
    fold = next(fold for fold in folds.loso(corpus.clips) if fold.name == task.fold)
    _check_corpus(task, job, corpus, fold)
    if task.stage == "discover":
        return _discover(task, store, job, corpus, fold)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if task.stage == "train":
        return _train(task, store, job, corpus, fold, device)
    return _attack(task, store, job, corpus, fold, device)


@lru_cache(maxsize=4)
def _corpus(name: str, root: str | None) -> Corpus:
    return corpora.open_corpus(name, Path(root) if root else None)


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


def _train(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold, device: str) -> Tally:
    from austicker import training
    from austicker.models import MODELS

    if has_weights(store, task.weights):
        return Tally()
    settings = _settings(task, job)
    recogniser = MODELS[settings.name](settings)
    seed = identity.seed_of(task.weights)
    if settings.selection == "oracle-epoch":
        trained = training.train_oracle_epoch(recogniser, corpus, fold.train, fold.test, seed=seed, device=device)
    else:
        trained = training.train(recogniser, corpus, fold.train, seed=seed, device=device)
    training.save(trained, store.models, task.weights)
    return Tally()


def _discover(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold) -> Tally:
    path = store.graph(task.graph)
    if not path.is_file():
        graph = causal.discover_fold(corpus, fold.train, job.discovery, seed=identity.seed_of(task.graph))
        store.write_json(path, asdict(graph))
    return Tally()


def read_graph(store: Store, graph: str) -> RegionGraph:
    """Reads a fold's causal graph from the store.

    Raises:
        AustickerError: the file is missing or damaged.
    """
    record: dict[str, Any] = store.read_json(store.graph(graph))
    try:
        for key in ("directed", "undirected", "bidirected"):
            record[key] = tuple((a, b) for a, b in record[key])
        for key in ("regions", "dropped", "tied"):
            record[key] = tuple(record[key])
        return RegionGraph(**record)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(store.graph(graph)) from error


def read_graphs(store: Store, job_record: Mapping[str, Any]) -> dict[tuple[str, str], RegionGraph]:
    """Reads the causal graphs of a store's job that are there, by (corpus, fold).

    Raises:
        AustickerError: a file is damaged.
    """
    return {
        (corpus, fold): read_graph(store, graph)
        for corpus, fold, graph in job_record["graphs"]
        if store.graph(graph).is_file()
    }


def read_job(store: Store) -> dict[str, Any]:
    """Reads what `submit` keeps of a store's job.

    Raises:
        AustickerError: there is none, or it is damaged.
    """
    if not store.job.is_file():
        raise AustickerError(f"There is no job in '{store.root}': name the folder that `submit` wrote to.")
    record = store.read_json(store.job)
    try:
        from_record(record["job"])
        lacking = {"cells", "corpora", "graphs", "weights", "provenance"} - record.keys()
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(store.job) from error
    if lacking:
        raise _damaged(store.job)
    return record


def _damaged(path: Path) -> AustickerError:
    return AustickerError(f"'{path}' is damaged: delete it and submit the job again.")


def _attack(task: Task, store: Store, job: Job, corpus: Corpus, fold: Fold, device: str) -> Tally:
    from austicker import training

    trained = training.load(store.models, task.weights, device=device)
    graph = read_graph(store, task.graph)
    shard = ShardData(trained, corpus, fold.test, graph, device)
    verdicts: list[Verdict] = []
    for attack in job.attacks:
        cells = [cell for cell in task.cells if cell.attack == attack.label]
        if cells:
            verdicts += shard.verdicts(attack, cells)
    results.write_part(store.verdicts / corpus.name, [cell.id for cell in task.cells], verdicts)
    queries = sum(verdict.queries for verdict in verdicts)
    return Tally(rows=len(verdicts), evaluations=queries + len(fold.test), queries=queries)


def batch_size(frames: Tensor) -> int:
    """Returns how many clips are shown to a recogniser at once.

    Args:
        frames: (clip, frame, c, h, w) float32, all clips of a shard.
    """
    return max(1, BATCH_BYTES[frames.device.type] // (frames[0].numel() * frames.element_size()))


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
