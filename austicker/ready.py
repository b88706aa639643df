"""Recognisers made ready for a task: trained, read from the store, or opened as they came; attacks nothing."""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from austicker import foreign, identity
from austicker.foreign import ForeignSettings
from austicker.job import Job
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus, Fold, ModelSettings

if TYPE_CHECKING:
    from austicker.training import Trained
    from austicker.victims import Victim


def publish(store: Store, job: Job) -> None:
    """Puts the files of recognisers trained elsewhere into a store, where every node finds them.

    Raises:
        AustickerError: a file changed since the job was checked, or the store does not take it.
    """
    for settings in job.models:
        if not isinstance(settings, ForeignSettings) or not foreign.is_file(settings):
            continue
        key = layout.foreign(settings.digest)
        if not store.has(key):
            content = Path(settings.source).read_bytes()
            _check(content, settings)
            store.create(key, content)


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
        Unreadable: trained weights are missing or damaged.
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
    path = _local(Store(store_root), settings) if foreign.is_file(settings) else None
    return foreign.open_victim(settings, classes, device, path)


def _local(store: Store, settings: ForeignSettings) -> Path:
    """Returns a copy of a recogniser's file on this machine, checked against its digest."""
    content = store.read(layout.foreign(settings.digest))
    _check(content, settings)
    folder = Path(tempfile.gettempdir()) / f"austicker-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{settings.digest}{Path(settings.source).suffix}"
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
        part.write(content)
    Path(part.name).replace(path)
    return path


def _check(content: bytes, settings: ForeignSettings) -> None:
    if hashlib.sha256(content).hexdigest() != settings.digest:
        raise AustickerError(
            f"The file '{Path(settings.source).name}' of recogniser '{settings.label}' is not the one that the job was "
            "checked with: submit the job again."
        )
