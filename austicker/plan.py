"""A job and its corpora to cells and tasks: what is to be done and what is done already; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from austicker import corpora, folds, identity, placements, protocols, results, stickers
from austicker.corpora import Progress
from austicker.corpora.source import SourceClip
from austicker.job import CorpusChoice, Job
from austicker.protocols import Study
from austicker.store import Store, layout
from austicker.types import Cell, Corpus, Fold, ModelSettings, Sticker

Stage = Literal["prepare", "train", "discover", "attack"]

TASK_ROWS = 100_000
"""Verdicts of one task at most: a run that cuts a task to its pace names what is left of it anew at each cut."""
_CELL_FIELDS = tuple(item.name for item in fields(Cell))
_values = attrgetter(*_CELL_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The unit of scheduling, as ids and records; `needs` are the ids of the tasks that must end before.

    Attributes:
        corpus: name of the study, or in stage "prepare" of the corpus.
        fold: the fold's name, or "" in stage "prepare".
        model: label of the recogniser, or "" in stages "prepare" and "discover".
        weights: identity of the trained weights, or "" in stages "prepare" and "discover".
        graph: identity of the fold's causal graph, or "" in stages "prepare" and "train".
        cells: what an attack shard still has to do.
        clips: how many test clips each cell is evaluated on.
        sources: what stage "prepare" packs.
    """

    id: str
    stage: Stage
    corpus: str
    fold: str = ""
    model: str = ""
    seed: int = 0
    weights: str = ""
    graph: str = ""
    cells: tuple[Cell, ...] = ()
    clips: int = 0
    needs: tuple[str, ...] = ()
    sources: tuple[SourceClip, ...] = ()

    @property
    def rows(self) -> int:
        """Returns the number of verdict rows that the task writes."""
        return len(self.cells) * self.clips

    @property
    def title(self) -> str:
        """Returns a short name for progress and failures."""
        return " ".join(part for part in (self.stage, self.model, self.corpus, self.fold) if part)

    def with_cells(self, cells: tuple[Cell, ...]) -> Task:
        """Returns the attack on these cells alone, named after them."""
        return replace(self, id=f"attack-{results.part_name(cell.id for cell in cells)}", cells=cells)

    def __reduce__(self) -> tuple[Any, ...]:
        """Packs the cells in columns: one by one they are most of what a task costs a run with many workers."""
        columns = tuple(zip(*map(_values, self.cells), strict=True))
        rest = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "cells"}
        return _unpacked, (rest, columns)


def _unpacked(rest: dict[str, Any], columns: tuple[tuple[Any, ...], ...]) -> Task:
    cells = (Cell(**dict(zip(_CELL_FIELDS, values, strict=True))) for values in zip(*columns, strict=True))
    return Task(**rest, cells=tuple(cells))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a task did: verdict rows written, clips shown to a recogniser, and those of them that an attack asked."""

    rows: int = 0
    evaluations: int = 0
    queries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """All cells that share one trained model."""

    corpus: str
    fold: Fold
    settings: ModelSettings
    seed: int
    weights: str
    graph: str
    cells: tuple[Cell, ...]

    def attack(self, cells: tuple[Cell, ...]) -> Task:
        """Returns the attack with this model on some of its cells."""
        whole = Task(
            id="",
            stage="attack",
            corpus=self.corpus,
            fold=self.fold.name,
            model=self.settings.label,
            seed=self.seed,
            weights=self.weights,
            graph=self.graph,
            clips=len(self.fold.test),
        )
        return whole.with_cells(cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole grid of a job.

    Attributes:
        corpora: the opened corpora by name.
        studies: by name, what the protocol makes of them: each a study of its own, or all one composite.
        parts: by study, the names of its corpora.
        art: the stickers by the names that the job gives them.
        folds: by study, those that are evaluated.
    """

    job: Job
    corpora: Mapping[str, Corpus] = field(repr=False)
    studies: Mapping[str, Study] = field(repr=False)
    parts: Mapping[str, tuple[str, ...]]
    art: Mapping[str, Sticker] = field(repr=False)
    folds: Mapping[str, tuple[Fold, ...]]
    shards: tuple[Shard, ...] = field(repr=False)

    @property
    def cells(self) -> frozenset[str]:
        """Returns the identities of every cell that the job expects."""
        return frozenset(cell.id for shard in self.shards for cell in shard.cells)

    @property
    def rows(self) -> int:
        """Returns the number of verdict rows of a complete run."""
        return sum(len(shard.fold.test) * len(shard.cells) for shard in self.shards)

    @property
    def evaluations(self) -> int:
        """Returns the clips shown to recognisers in a complete run: one per row, and each test clip once clean."""
        return self.rows + sum(len(shard.fold.test) for shard in self.shards)

    @property
    def graphs(self) -> dict[tuple[str, str], str]:
        """Returns the identity of every causal graph by (corpus, fold)."""
        return {(shard.corpus, shard.fold.name): shard.graph for shard in self.shards}

    def tasks(self, store: Store) -> tuple[Task, ...]:
        """Returns what the store lacks: expected cells minus cells in valid parts, and the stages that they need."""
        done = results.done_cells(store)
        # Listed once: an object store answers a question for each shard too late.
        there = frozenset([*store.keys(layout.MODELS), *store.keys(layout.GRAPHS)])
        tasks: dict[str, Task] = {}
        for shard in self.shards:
            missing = tuple(cell for cell in shard.cells if cell.id not in done)
            size = max(1, TASK_ROWS // max(1, len(shard.fold.test)))
            for start in range(0, len(missing), size):
                for task in self._shard_tasks(shard, missing[start : start + size], there):
                    tasks[task.id] = task
        return tuple(tasks.values())

    def _shard_tasks(self, shard: Shard, missing: tuple[Cell, ...], there: frozenset[str]) -> Iterator[Task]:
        """Yields an attack with one model after whatever it needs and is not there; `there` are keys of the store."""
        needs = []
        attack = shard.attack(missing)
        if layout.weights(shard.weights) not in there:
            needs.append(f"train-{shard.weights}")
            yield replace(attack, id=needs[-1], stage="train", graph="", cells=())
        if layout.graph(shard.graph) not in there:
            needs.append(f"discover-{shard.graph}")
            yield replace(attack, id=needs[-1], stage="discover", model="", weights="", cells=())
        yield replace(attack, needs=tuple(needs))


def done(plan: Plan, store: Store) -> frozenset[str]:
    """Returns the cells of the plan that the store holds."""
    return results.done_cells(store) & plan.cells


def expand(job: Job, progress: Progress = corpora.silent) -> Plan:
    """Opens the job's corpora and lays out its grid.

    Raises:
        AustickerError: a corpus cannot be opened or does not fit the protocol, or a number of folds is impossible.
    """
    art = {name: stickers.load(name) for attack in job.attacks for name in attack.stickers}
    opened = {choice.name: open_choice(choice, progress) for choice in job.corpora}
    parts = protocols.study_names(job.protocol, tuple(opened))
    studies = {name: protocols.study(job.protocol, name, opened) for name in parts}
    divided, shards = {}, []
    for name, study in studies.items():
        counts = [choice.folds for choice in job.corpora if choice.name in parts[name] and choice.folds is not None]
        divided[name] = folds.some(study.folds, min(counts, default=None))
        bare = [
            _shard(job, study.corpus, fold, settings, seed)
            for fold in divided[name]
            for settings in job.models
            for seed in job.seeds
        ]
        shards += [replace(shard, cells=_cells(job, study.corpus, shard, art)) for shard in bare]
    return Plan(job=job, corpora=opened, studies=studies, parts=parts, art=art, folds=divided, shards=tuple(shards))


def open_choice(choice: CorpusChoice, progress: Progress = corpora.silent) -> Corpus:
    """Opens a corpus as a job names it.

    Raises:
        AustickerError: it cannot be opened.
    """
    root = Path(choice.root) if choice.root else None
    return corpora.open_corpus(choice.name, root, progress, choice.landmarks)


def _shard(job: Job, corpus: Corpus, fold: Fold, settings: ModelSettings, seed: int) -> Shard:
    """Returns a shard whose cells are still to be named."""
    return Shard(
        corpus=corpus.name,
        fold=fold,
        settings=settings,
        seed=seed,
        weights=identity.of_model(corpus, fold, settings, seed),
        graph=identity.of_graph(corpus, fold, job.discovery),
        cells=(),
    )


def _cells(job: Job, corpus: Corpus, shard: Shard, art: Mapping[str, Sticker]) -> tuple[Cell, ...]:
    """Names every cell of a shard; `art` holds the job's stickers by the names that it gives them."""
    test = identity.named(corpus.clips, shard.fold.test)
    cells = []
    for attack in job.attacks:
        for name in attack.stickers:
            sticker = art[name]
            for placement in attack.placements:
                cell = identity.digest(
                    "cell",
                    weights=shard.weights,
                    graph=shard.graph if placements.reads_graph(placement) else "",
                    model=shard.settings.label,
                    protocol=job.protocol,
                    test=test,
                    attack=attack.name,
                    attack_label=attack.label,
                    sticker=sticker.digest,
                    sticker_name=sticker.name,
                    placement=placement,
                    side=attack.side,
                    variant=attack.variant,
                )
                cells.append(
                    Cell(
                        id=cell,
                        corpus=shard.corpus,
                        protocol=job.protocol,
                        fold=shard.fold.name,
                        model=shard.settings.label,
                        attack=attack.label,
                        sticker=sticker.name,
                        placement=placement,
                        side=attack.side,
                        seed=shard.seed,
                    )
                )
    return tuple(cells)


def describe(laid_out: Plan, tasks: Sequence[Task]) -> dict[str, Any]:
    """Returns what there is to say of a plan and of what is left to do of it, by name."""
    return {
        "job": laid_out.job.name,
        "corpora": {
            name: f"{len(study.corpus.clips)} clips, {len(laid_out.folds[name])} of {len(study.folds)} folds, "
            f"fingerprint {study.corpus.fingerprint[:12]}"
            for name, study in laid_out.studies.items()
        },
        "protocol": [
            laid_out.job.protocol,
            *(line for study in laid_out.studies.values() for line in protocols.in_words(study.counts)),
        ],
        "models": [settings.label for settings in laid_out.job.models],
        "folds": sum(len(found) for found in laid_out.folds.values()),
        "shards": len(laid_out.shards),
        "cells": len(laid_out.cells),
        "rows": laid_out.rows,
        "model evaluations": laid_out.evaluations,
        "trainings to do": sum(task.stage == "train" for task in tasks),
        "graphs to discover": sum(task.stage == "discover" for task in tasks),
        "shards to do": sum(task.stage == "attack" for task in tasks),
        "cells to do": sum(len(task.cells) for task in tasks),
    }
