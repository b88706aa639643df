"""Recognisers made ready for a task: trained, read from the store, or opened as they came; attacks nothing."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from austicker import foreign, identity, poisoning
from austicker.foreign import ForeignSettings
from austicker.foreign.sources import digest_of, file_content
from austicker.job import Job
from austicker.store import Store, Unreadable, layout
from austicker.types import Corpus, Fold, ModelSettings

if TYPE_CHECKING:
    from austicker.training import Trained
    from austicker.victims import Victim


def publish(store: Store, job: Job) -> None:
    """Puts the files of recognisers trained elsewhere into a store, where every node finds them.

    Raises:
        AustickerError: a file is missing or changed since the job was checked, or the store does not take it.
    """
    for settings in job.models:
        if not isinstance(settings, ForeignSettings) or not foreign.is_file(settings):
            continue
        key = layout.foreign(settings.digest)
        if not store.has(key):
            store.create(key, file_content(settings, Path(settings.source)))


def victim(
    store: Store, settings: ModelSettings | ForeignSettings, weights: str, classes: tuple[str, ...], device: str
) -> Victim:
    """Returns a recogniser that is there already.

    Args:
        store: where its weights or its file are.
        settings: what it is.
        weights: identity of its weights.
        classes: of the study, in their order.
        device: where it answers.

    Raises:
        Unreadable: its weights or its file are missing or damaged.
        AustickerError: a recogniser trained elsewhere cannot be opened.
    """
    from austicker.victims import TrainedVictim

    if isinstance(settings, ForeignSettings):
        return _opened(store.address, settings, classes, device)
    return TrainedVictim(_held(store.address, weights, device))


def train(store: Store, settings: ModelSettings, weights: str, corpus: Corpus, fold: Fold, device: str) -> None:
    """Puts a trained recogniser into the store, unless a sound one is there.

    Raises:
        AustickerError: it cannot be trained, or the store does not take it.
    """
    from austicker import training
    from austicker import weights as files
    from austicker.models import MODELS

    try:
        _held(store.address, weights, device)
    except Unreadable:
        recogniser = MODELS[settings.name](settings)
        if settings.poison is not None:
            corpus = poisoning.poisoned(corpus, fold.train, settings.poison)
        seed = identity.seed_of(weights)
        if settings.selection == "oracle-epoch":
            trained = training.train_oracle_epoch(recogniser, corpus, fold.train, fold.test, seed=seed, device=device)
        else:
            trained = training.train(recogniser, corpus, fold.train, seed=seed, device=device)
        files.save(trained, store, weights)


@lru_cache(maxsize=2)
def _held(store_root: str, identity: str, device: str) -> Trained:
    """Returns a trained recogniser from the store, once for the shards of it that this worker does in a row."""
    from austicker import weights

    store = Store(store_root)
    there = weights.load(store, identity, device=device)
    weights.complete(store, identity)
    return there


@lru_cache(maxsize=2)
def _opened(store_root: str, settings: ForeignSettings, classes: tuple[str, ...], device: str) -> Victim:
    """Returns an opened recogniser, once for the shards that this worker does in a row."""
    if not foreign.is_file(settings):
        return foreign.open_victim(settings, classes, device)
    store, key = Store(store_root), layout.foreign(settings.digest)
    content = store.read(key)
    if digest_of(content) != settings.digest:
        raise store.unreadable(key, f"it is not the file of recogniser '{settings.label}' that its name says")
    with tempfile.TemporaryDirectory(prefix="austicker-") as folder:
        path = Path(folder) / Path(settings.source).name
        path.write_bytes(content)
        return foreign.open_victim(settings, classes, device, path)
