"""The grid of a job laid out, and what a store lacks of it; opens no corpus and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from austicker import placements, protocols, results
from austicker.foreign import ForeignSettings
from austicker.job import Job
from austicker.plan.tasks import Task
from austicker.protocols import Study
from austicker.store import Store, layout
from austicker.types import Cell, Corpus, Fold, ModelSettings, Sticker

TASK_ROWS = 100_000
"""Verdicts of one task at most: a run that cuts a task to its pace names what is left of it anew at each cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A recogniser with the identity of its weights."""

    settings: ModelSettings | ForeignSettings
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """All cells that share one recogniser.

    Attributes:
        choices: identity of each choice of a region that a placement may read, by its kind.
        surrogates: what attacks make their pictures on where that is another recogniser, by label of the attack.
        cells: by label of the attack.
    """

    corpus: str
    fold: Fold
    settings: ModelSettings | ForeignSettings
    seed: int
    weights: str
    graph: str
    choices: Mapping[str, str] = field(repr=False)
    surrogates: Mapping[str, Surrogate] = field(default_factory=dict)
    attacks: Mapping[str, tuple[Cell, ...]]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Returns the cells of all attacks."""
        return tuple(cell for cells in self.attacks.values() for cell in cells)

    def attack(self, cells: tuple[Cell, ...]) -> Task:
        """Returns the attack with this recogniser on some of its cells, all of one attack."""
        whole = Task(
            id="",
            stage="attack",
            corpus=self.corpus,
            fold=self.fold.name,
            model=self.settings.label,
            seed=self.seed,
            weights=self.weights,
            graph=self.graph,
            attack=cells[0].attack,
            surrogate=self.surrogates[cells[0].attack].weights if cells[0].attack in self.surrogates else "",
            clips=len(self.fold.test),
        )
        return whole.with_cells(cells)

    def keys(self, cells: Sequence[Cell]) -> dict[str, str]:
        """Returns the keys in a store of the graph and choices that cells read, by kind."""
        kinds = dict.fromkeys(kind for cell in cells for kind in placements.needs(cell.placement))
        keys = {"graph": layout.graph(self.graph)} | {
            kind: layout.choice(identity) for kind, identity in self.choices.items()
        }
        return {kind: keys[kind] for kind in kinds if kind in keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole grid of a job.

    Attributes:
        corpora: the opened corpora by name.
        studies: by name, what the protocol makes of them: each a study of its own, or all one composite.
        parts: by study, the names of its corpora.
        art: the stickers by the names that the job gives them.
        folds: by study, those that are evaluated.
        skipped: a sentence for each recogniser that cannot give what an attack needs, and so does not meet it.
    """

    job: Job
    corpora: Mapping[str, Corpus] = field(repr=False)
    studies: Mapping[str, Study] = field(repr=False)
    parts: Mapping[str, tuple[str, ...]]
    art: Mapping[str, Sticker] = field(repr=False)
    folds: Mapping[str, tuple[Fold, ...]]
    shards: tuple[Shard, ...] = field(repr=False)
    skipped: tuple[str, ...] = ()

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
        """Returns the clips shown to recognisers at most: every budget spent, and each test clip once clean.

        Those that "control/tuned" is chosen on come on top, once for each recogniser and sticker.
        """
        budgets = {attack.label: attack.budget or 1 for attack in self.job.attacks}
        return sum(
            len(shard.fold.test) * (1 + sum(budgets[label] * len(cells) for label, cells in shard.attacks.items()))
            for shard in self.shards
        )

    @property
    def graphs(self) -> dict[tuple[str, str], str]:
        """Returns the identity of every causal graph by (corpus, fold)."""
        return {(shard.corpus, shard.fold.name): shard.graph for shard in self.shards}

    @property
    def choices(self) -> dict[tuple[str, str, str], str]:
        """Returns the identity of every choice of a region that a placement reads, by (corpus, fold, kind)."""
        read = {kind for attack in self.job.attacks for name in attack.placements for kind in placements.needs(name)}
        return {
            (shard.corpus, shard.fold.name, kind): choice
            for shard in self.shards
            for kind, choice in shard.choices.items()
            if kind in read
        }

    def tasks(self, store: Store) -> tuple[Task, ...]:
        """Returns what the store lacks: expected cells minus cells in valid parts, and the stages that they need."""
        done = results.done_cells(store)
        # Listed once: an object store answers a question for each shard too late.
        there = frozenset(key for kind in (layout.MODELS, layout.GRAPHS, layout.CHOICES) for key in store.keys(kind))
        tasks: dict[str, Task] = {}
        for shard in self.shards:
            size = max(1, TASK_ROWS // max(1, len(shard.fold.test)))
            for cells in shard.attacks.values():
                missing = tuple(cell for cell in cells if cell.id not in done)
                for start in range(0, len(missing), size):
                    for task in self._shard_tasks(shard, missing[start : start + size], there):
                        before = tasks.get(task.id, task).kinds
                        tasks[task.id] = replace(task, kinds=tuple(dict.fromkeys([*before, *task.kinds])))
        return tuple(tasks.values())

    def _shard_tasks(self, shard: Shard, missing: tuple[Cell, ...], there: frozenset[str]) -> Iterator[Task]:
        """Yields an attack with one model after whatever it needs and is not there; `there` are keys of the store."""
        needs = []
        attack = shard.attack(missing)
        bare = replace(attack, attack="", surrogate="", cells=())
        own = Surrogate(settings=shard.settings, weights=shard.weights)
        made_on = shard.surrogates.get(attack.attack)
        for one in (own, made_on) if made_on else (own,):
            if isinstance(one.settings, ModelSettings) and layout.weights(one.weights) not in there:
                needs.append(f"train-{one.weights}")
                train = replace(bare, model=one.settings.label, weights=one.weights)
                yield replace(train, id=needs[-1], stage="train", graph="")
        lacking = tuple(kind for kind, key in shard.keys(missing).items() if key not in there)
        if lacking:
            needs.append(f"discover-{shard.graph}")
            yield replace(bare, id=needs[-1], stage="discover", model="", weights="", seed=0, kinds=lacking)
        yield replace(attack, needs=tuple(needs))


def done(plan: Plan, store: Store) -> frozenset[str]:
    """Returns the cells of the plan that the store holds."""
    return results.done_cells(store) & plan.cells


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
        "not run": list(laid_out.skipped),
    }
