"""The pure stages from files to files: train, discover, attack; each is one task, and Ray is not known here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from austicker import causal, identity, protocols, results
from austicker.corpora.published import open_published
from austicker.job import CorpusChoice, Job, from_record
from austicker.plan import Tally, Task, open_choice
from austicker.shard import ShardData
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus, Fold, ModelSettings, RegionGraph, Verdict

if TYPE_CHECKING:
    from austicker.training import Trained


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
    if task.stage == "discover":
        _graph(task, store, job, corpus, fold)
        return Tally()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if task.stage == "train":
        _trained(task, store, job, corpus, fold, device)
        return Tally()
    return _attack(task, store, job, corpus, fold, device)


@lru_cache(maxsize=4)
def _study(
    protocol: str, name: str, chosen: tuple[CorpusChoice, ...], fingerprints: tuple[str, ...], store_root: str
) -> protocols.Study:
    """Returns a study of corpora that are had from the store where they have a fingerprint, and opened here else."""
    opened = {
        choice.name: open_published(Store(store_root), fingerprint) if fingerprint else open_choice(choice)
        for choice, fingerprint in zip(chosen, fingerprints, strict=True)
    }
    return protocols.study(protocol, name, opened)


def forget_corpora() -> None:
    """Makes this process open corpora anew: what it opened for an earlier job may have changed since."""
    _study.cache_clear()


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
        return _held(store.address, task.weights, device)
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
    return _held(store.address, task.weights, device)  # which another attempt may have written first


@lru_cache(maxsize=2)
def _held(store_root: str, identity: str, device: str) -> Trained:
    """Returns a trained recogniser from the store, once for the shards of it that this worker does in a row."""
    from austicker import weights

    store = Store(store_root)
    there = weights.load(store, identity, device=device)
    weights.complete(store, identity)
    return there


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
