"""Trained recognisers in a store, each one object that holds weights and training record; trains nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from austicker.models import MODELS, from_record
from austicker.store import Store, Unreadable, layout
from austicker.training import Epoch, Trained

_RECORD = "austicker.training"
_DAMAGED = (ValueError, KeyError, TypeError, RuntimeError, OverflowError, SafetensorError)
"""What reading a torn or damaged object raises, whichever byte is lost."""


def save(trained: Trained, store: Store, identity: str) -> None:
    """Puts a trained model into a store as one object that holds its training record, and a readable copy of that.

    How long it took lies beside it: the object itself depends on nothing but what it was made from.

    The first writer wins: of two attempts on unlike hardware one is kept whole, and what was read before stays true.
    A damaged object is replaced.

    Raises:
        AustickerError: the store does not take it.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in trained.network.state_dict().items()}
    record = {
        "settings": asdict(trained.settings),
        "classes": trained.classes,
        "parameters": sum(weight.numel() for weight in trained.network.parameters()),
        "statistics": dict(trained.statistics),
        "seed": trained.seed,
        "epoch": trained.epoch,
        "curve": [asdict(epoch) for epoch in trained.curve],
    }
    record["sha256"] = _checksum(record, tensors)
    content = safetensors.torch.save(tensors, metadata={_RECORD: json.dumps(record, allow_nan=False)})
    key = layout.weights(identity)
    # First: weights that are there are not trained again, and whoever dies on the way leaves none.
    store.write_json(layout.times(identity), dict(trained.seconds))
    if not store.create(key, content):
        try:
            record, _ = _opened(store.read(key))
        except (Unreadable, *_DAMAGED):
            store.write(key, content)
    store.write_json(layout.training_record(identity), record)


def complete(store: Store, identity: str) -> None:
    """Puts the readable copy of a training record beside sound weights, where a killed writer left none.

    Raises:
        AustickerError: the store does not give or take it.
    """
    if not store.has(layout.training_record(identity)):
        record, _ = _opened(store.read(layout.weights(identity)))
        store.write_json(layout.training_record(identity), record)


def load(store: Store, identity: str, device: torch.device | str = "cpu") -> Trained:
    """Reads what `save` wrote.

    Raises:
        Unreadable: the model is missing, torn, or not what its record says.
        AustickerError: the store does not give it.
    """
    key = layout.weights(identity)
    content = store.read(key)
    try:
        record, tensors = _opened(content)
        settings = from_record(record["settings"])
        recogniser = MODELS[settings.name](settings)
        with torch.random.fork_rng(devices=[]):  # what the caller draws does not depend on this
            network = recogniser.restored(record["classes"], tensors)
        return Trained(
            recogniser=recogniser,
            classes=record["classes"],
            network=network.to(device).eval(),
            statistics=record["statistics"],
            curve=tuple(Epoch(**epoch) for epoch in record["curve"]),
            seed=record["seed"],
            epoch=record["epoch"],
        )
    except _DAMAGED as error:
        raise store.unreadable(key, " ".join(str(error).split())) from error


def _opened(content: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Returns the training record and the tensors of an object that `save` wrote.

    Raises:
        ValueError: a byte of it is not what was written; so do the other faults of `_DAMAGED`.
    """
    length = int.from_bytes(content[:8], "little")
    record: dict[str, Any] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_RECORD])
    tensors = safetensors.torch.load(content)
    if record["sha256"] != _checksum({key: value for key, value in record.items() if key != "sha256"}, tensors):
        raise ValueError("the weights do not match their checksum")
    return record, tensors


def _checksum(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Returns a digest of a training record and every tensor with its name, type and shape."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
