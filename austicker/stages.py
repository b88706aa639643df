"""The pure stages from files to files: train, discover, attack; each is one task, and Ray is not known here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import causal, choices, identity, placements, protocols, ready, regions, results, stickers
from austicker.choices import RegionChoice
from austicker.corpora.published import open_published
from austicker.foreign import ForeignSettings
from austicker.job import AttackChoice, CorpusChoice, Job, from_record
from austicker.plan import Tally, Task, open_choice, study_of, weights_identity
from austicker.shard import Found, Given, ShardData
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus, Fold, ModelSettings, RegionGraph

if TYPE_CHECKING:
    from austicker.victims import Victim


TUNED_CLIPS = 64
"""Training clips that are in memory at once while a placement is tuned on them."""


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
    parts = protocols.study_names(job.protocol, [choice.name for choice in job.corpora])[task.corpus]
    chosen = tuple(choice for choice in job.corpora if choice.name in parts)
    fingerprints = tuple((published or {}).get(choice.name, "") for choice in chosen)
    study = _study(job.protocol, task.corpus, chosen, fingerprints, store_root)
    corpus = study.corpus
    fold = next(fold for fold in study.folds if fold.name == task.fold)
    _check_corpus(task, job, corpus, fold)
    place = _Place(store=store, job=job, corpus=corpus, fold=fold)
    if task.stage == "discover":
        place.found(task.kinds)
        return Tally()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if task.stage == "train":
        _train(task, place, device)
        return Tally()
    return _attack(task, place, device)


@lru_cache(maxsize=4)
def _study(
    protocol: str, name: str, chosen: tuple[CorpusChoice, ...], fingerprints: tuple[str, ...], store_root: str
) -> protocols.Study:
    """Returns a study of corpora that are had from the store where they have a fingerprint, and opened here else."""
    opened = {
        choice.name: open_published(Store(store_root), fingerprint) if fingerprint else open_choice(choice)
        for choice, fingerprint in zip(chosen, fingerprints, strict=True)
    }
    return study_of(protocol, name, chosen, opened)


def forget_corpora() -> None:
    """Makes this process open corpora anew: what it opened for an earlier job may have changed since."""
    _study.cache_clear()


def _settings(task: Task, job: Job) -> ModelSettings | ForeignSettings:
    return next(settings for settings in job.models if settings.label == task.model)


def _check_corpus(task: Task, job: Job, corpus: Corpus, fold: Fold) -> None:
    """Refuses to write under an identity that was planned with other data than this worker's."""
    if task.stage == "discover":
        planned, here = task.graph, identity.of_graph(corpus, fold, job.discovery)
    else:
        planned, here = task.weights, weights_identity(corpus, fold, _settings(task, job), task.seed)
    if planned != here:
        raise AustickerError(
            f"Corpus '{corpus.name}' on this worker is not the one that the job was planned with: give every node the "
            "same version and the same prepared corpus (AUSTICKER_CACHE)."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a task works: the store, and one fold of a study."""

    store: Store
    job: Job
    corpus: Corpus
    fold: Fold

    def found(self, kinds: Iterable[str]) -> Found:
        """Returns what the store holds of the graph and choices, made here first where it is missing or damaged."""
        wanted = set(kinds)
        return Found(
            graph=self._graph() if "graph" in wanted else None,
            choices={kind: self._choice(kind) for kind in choices.KINDS if kind in wanted},
        )

    def _graph(self) -> RegionGraph:
        name = identity.of_graph(self.corpus, self.fold, self.job.discovery)
        try:
            return read_graph(self.store, name)
        except Unreadable:
            seed = identity.seed_of(name)
            graph = causal.discover_fold(self.corpus, self.fold.train, self.job.discovery, seed=seed)
            self.store.write_sealed(layout.graph(name), asdict(graph))
            return graph

    def _choice(self, kind: str) -> RegionChoice:
        name = identity.of_choice(self.corpus, self.fold, self.job.discovery, kind)
        try:
            return read_choice(self.store, name)
        except Unreadable:
            seed = identity.seed_of(name)
            made = choices.choose(kind, self.corpus, self.fold.train, self.job.discovery, seed=seed)
            self.store.write_sealed(layout.choice(name), choices.to_record(made))
            return made


def read_choice(store: Store, name: str) -> RegionChoice:
    """Reads a fold's choice of a region from the store.

    Raises:
        Unreadable: the file is missing or damaged.
    """
    key = layout.choice(name)
    record = store.read_sealed(key)
    try:
        return choices.from_record(record)
    except (KeyError, TypeError, ValueError) as error:
        raise store.unreadable(key, "it holds no choice of a region") from error


def read_graph(store: Store, graph: str) -> RegionGraph:
    """Reads a fold's causal graph from the store.

    Raises:
        AustickerError: the file is missing or damaged.
    """
    key = layout.graph(graph)
    record = store.read_sealed(key)
    try:
        for name in ("directed", "undirected", "bidirected"):
            record[name] = tuple((a, b) for a, b in record[name])
        for name in ("regions", "dropped", "tied"):
            record[name] = tuple(record[name])
        return RegionGraph(**record)
    except (KeyError, TypeError, ValueError) as error:
        raise store.unreadable(key, "it holds no graph") from error


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


def read_choices(store: Store, job_record: Mapping[str, Any]) -> dict[tuple[str, str, str], RegionChoice]:
    """Reads the choices of a region of a store's job that are there, by (corpus, fold, kind).

    Raises:
        AustickerError: a file is damaged.
    """
    there = set(store.keys(layout.CHOICES))
    return {
        (corpus, fold, kind): read_choice(store, name)
        for corpus, fold, kind, name in job_record["choices"]
        if layout.choice(name) in there
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
        lacking = {
            "inputs",
            "cells",
            "corpora",
            "graphs",
            "choices",
            "skipped",
            "weights",
            "provenance",
        } - record.keys()
    except (KeyError, TypeError, AttributeError) as error:
        raise store.unreadable(layout.JOB, "it holds no job") from error
    if lacking:
        raise store.unreadable(layout.JOB, "it holds half a job")
    return record


def _train(task: Task, place: _Place, device: str) -> None:
    settings = _settings(task, place.job)
    if isinstance(settings, ModelSettings):
        ready.train(place.store, settings, task.weights, place.corpus, place.fold, device)


def _attack(task: Task, place: _Place, device: str) -> Tally:
    store, corpus, fold = place.store, place.corpus, place.fold
    cells = [cell.id for cell in task.cells]
    there = results.read_part(store, corpus.name, cells)
    if there is not None:  # another attempt was faster
        return _tally(there.num_rows, sum(there["queries"].to_pylist()), len(fold.test))
    settings = _settings(task, place.job)
    _train(task, place, device)  # where another task's weights were lost
    victim = ready.victim(store, settings, task.weights, corpus.labels, device)
    attack = next(attack for attack in place.job.attacks if attack.label == task.attack)
    needs = [(cell.sticker, kind) for cell in task.cells for kind in placements.needs(cell.placement)]
    tuned, shown = _tuned(
        task, place, victim, attack, dict.fromkeys(name for name, kind in needs if kind == "tuned"), device
    )
    data = ShardData(victim, corpus, fold.test, place.found(kind for _, kind in needs), device)
    given = Given(tuned=tuned, surrogate=_surrogate(task, place, attack, device))
    verdicts = data.verdicts(attack, task.cells, given)
    results.write_part(store, corpus.name, cells, verdicts)
    return _tally(len(verdicts), sum(verdict.queries for verdict in verdicts), len(fold.test) + shown)


def _surrogate(task: Task, place: _Place, attack: AttackChoice, device: str) -> Victim | None:
    """Returns the recogniser on which an attack makes its pictures, trained here where its weights were lost."""
    if not task.surrogate:
        return None
    settings = next(settings for settings in place.job.models if settings.label == attack.surrogate)
    if isinstance(settings, ModelSettings):
        ready.train(place.store, settings, task.surrogate, place.corpus, place.fold, device)
    return ready.victim(place.store, settings, task.surrogate, place.corpus.labels, device)


def _tuned(
    task: Task, place: _Place, victim: Victim, attack: AttackChoice, names: Collection[str], device: str
) -> tuple[dict[str, RegionChoice], int]:
    """Returns by sticker the region that hides most of the fold's training clips, and how many clips that showed."""
    corpus, fold, shown = place.corpus, place.fold, 0
    found: dict[str, RegionChoice] = {}
    if not names:
        return found, shown
    foreigner = isinstance(_settings(task, place.job), ForeignSettings)
    # One that no fold trained answers the same in every fold: it is asked for all clips once, not for each fold's.
    positions = tuple(range(len(corpus.clips))) if foreigner else fold.train
    worn = {key: getattr(attack, key) for key in ("name", "side", "variant", "bend", "settings")}
    art = {sticker.name: sticker.digest for sticker in map(stickers.load, attack.stickers)}
    wanted = [corpus.clips[position].clip for position in fold.train]
    for name in names:
        key = layout.tuning(identity.of_tuning(task.weights, corpus, positions, worn, art[name]))
        try:
            answers = place.store.read_sealed(key)
        except Unreadable:
            answers = _tuning(corpus, positions, victim, attack, name, device)
            place.store.write_sealed(key, answers)
            shown += len(positions) * (1 + len(regions.NAMES))
        if not wanted:
            found[name] = choices.tuned({}, {})
            continue
        # (training clip, region, error and score)
        errors, scores = np.array([answers[clip] for clip in wanted]).mean(axis=0).T.tolist()
        found[name] = choices.tuned(
            dict(zip(regions.NAMES, errors, strict=True)), dict(zip(regions.NAMES, scores, strict=True))
        )
    return found, shown


def _tuning(
    corpus: Corpus, positions: Sequence[int], victim: Victim, attack: AttackChoice, name: str, device: str
) -> dict[str, Any]:
    """Returns `ShardData.tuning` of many clips, few of which are in memory at once."""
    answers: dict[str, Any] = {}
    for start in range(0, len(positions), TUNED_CLIPS):
        data = ShardData(victim, corpus, positions[start : start + TUNED_CLIPS], Found(), device)
        answers |= data.tuning(attack, name)
    return answers


def _tally(rows: int, queries: int, looks: int) -> Tally:
    """Returns what was done; `looks` are clean and tuning looks, which no attack asked for."""
    return Tally(rows=rows, evaluations=queries + looks, queries=queries)
