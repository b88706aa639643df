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
from austicker.findings import read_choice, read_graph
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
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    place = _Place(store=store, job=job, corpus=corpus, fold=fold, device=device)
    if task.stage == "discover":
        place.found(task.kinds)
        return Tally()
    if task.stage == "train":
        place.train(task.model, task.weights)
        return Tally()
    return _attack(task, place)


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


def _settings(label: str, job: Job) -> ModelSettings | ForeignSettings:
    return next(settings for settings in job.models if settings.label == label)


def _check_corpus(task: Task, job: Job, corpus: Corpus, fold: Fold) -> None:
    """Refuses to write under an identity that was planned with other data than this worker's."""
    if task.stage == "discover":
        planned, here = task.graph, identity.of_graph(corpus, fold, job.discovery)
    else:
        planned, here = task.weights, weights_identity(corpus, fold, _settings(task.model, job), task.seed)
    if planned != here:
        raise AustickerError(
            f"Corpus '{corpus.name}' on this worker is not the one that the job was planned with: give every node the "
            "same version and the same prepared corpus (AUSTICKER_CACHE)."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a task works: the store, one fold of a study, and a device."""

    store: Store
    job: Job
    corpus: Corpus
    fold: Fold
    device: str

    def train(self, label: str, weights: str) -> None:
        """Trains a recogniser of the job, unless sound weights of it are there or it was trained elsewhere."""
        settings = _settings(label, self.job)
        if isinstance(settings, ModelSettings):
            ready.train(self.store, settings, weights, self.corpus, self.fold, self.device)

    def victim(self, label: str, weights: str) -> Victim:
        """Returns a recogniser of the job, trained here first where another task's weights were lost."""
        self.train(label, weights)
        return ready.victim(self.store, _settings(label, self.job), weights, self.corpus.labels, self.device)

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


def _attack(task: Task, place: _Place) -> Tally:
    store, corpus, fold = place.store, place.corpus, place.fold
    cells = [cell.id for cell in task.cells]
    there = results.read_part(store, corpus.name, cells)
    if there is not None:  # another attempt was faster
        return _tally(there.num_rows, sum(there["queries"].to_pylist()), len(fold.test))
    victim = place.victim(task.model, task.weights)
    attack = next(attack for attack in place.job.attacks if attack.label == task.attack)
    needs = [(cell.sticker, kind) for cell in task.cells for kind in placements.needs(cell.placement)]
    wanted = dict.fromkeys(name for name, kind in needs if kind == "tuned")
    tuned, shown = _tuned(task, place, victim, attack, wanted)
    surrogate = place.victim(attack.surrogate, task.surrogate) if attack.surrogate and task.surrogate else None
    data = ShardData(victim, corpus, fold.test, place.found(kind for _, kind in needs), place.device)
    verdicts = data.verdicts(attack, task.cells, Given(tuned=tuned, surrogate=surrogate))
    results.write_part(store, corpus.name, cells, verdicts)
    return _tally(len(verdicts), sum(verdict.queries for verdict in verdicts), len(fold.test) + shown)


def _tuned(
    task: Task, place: _Place, victim: Victim, attack: AttackChoice, names: Collection[str]
) -> tuple[dict[str, RegionChoice], int]:
    """Returns by sticker the region that hides most of the fold's training clips, and how many clips that showed."""
    corpus, fold, shown = place.corpus, place.fold, 0
    found: dict[str, RegionChoice] = {}
    if not names:
        return found, shown
    foreigner = isinstance(_settings(task.model, place.job), ForeignSettings)
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
            answers = _tuning(place, positions, victim, attack, name)
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


def _tuning(place: _Place, positions: Sequence[int], victim: Victim, attack: AttackChoice, name: str) -> dict[str, Any]:
    """Returns `ShardData.tuning` of many clips, few of which are in memory at once."""
    answers: dict[str, Any] = {}
    for start in range(0, len(positions), TUNED_CLIPS):
        data = ShardData(victim, place.corpus, positions[start : start + TUNED_CLIPS], Found(), place.device)
        answers |= data.tuning(attack, name)
    return answers


def _tally(rows: int, queries: int, looks: int) -> Tally:
    """Returns what was done; `looks` are clean and tuning looks, which no attack asked for."""
    return Tally(rows=rows, evaluations=queries + looks, queries=queries)
