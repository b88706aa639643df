"""Identities: digests of every declared input that can change a result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from austicker.faces import versions
from austicker.foreign import ForeignSettings, is_file
from austicker.types import Clip, Corpus, DiscoverySettings, Fold, ModelSettings

IDENTITY_VERSION = 2
"""Raised when the code changes so that old results no longer stand for new ones."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(kind: str, **parts: Any) -> str:
    """Returns 20 hex digits for a thing of one kind made from these JSON values."""
    content = _CANONICAL.encode({"kind": kind, "version": IDENTITY_VERSION, **parts})
    return hashlib.sha256(content.encode()).hexdigest()[:20]


def named(clips: Sequence[Clip], positions: Sequence[int]) -> list[list[str | int]]:
    """Returns the clips with the classes that a protocol gives them."""
    return [[clips[position].clip, clips[position].label] for position in positions]


def _valued(settings: ModelSettings | DiscoverySettings) -> dict[str, Any]:
    """Returns the settings that have a value: one that came later and is not used changes no identity."""
    return {key: value for key, value in asdict(settings).items() if value not in (None, ())}


def of_model(corpus: Corpus, fold: Fold, settings: ModelSettings, seed: int) -> str:
    """Returns the identity of trained weights; the label is a name, not an input, and so is a setting without value."""
    recipe = {key: value for key, value in _valued(settings).items() if key != "label"}
    if settings.landmarks is not None:
        recipe["landmarks"] = [settings.landmarks, versions(settings.landmarks)]
    held_out = named(corpus.clips, fold.test) if settings.selection == "oracle-epoch" else []
    return digest(
        "model",
        corpus=corpus.fingerprint,
        classes=corpus.labels,
        train=named(corpus.clips, fold.train),
        held_out=held_out,
        recipe=recipe,
        seed=seed,
    )


def of_foreign(corpus: Corpus, settings: ForeignSettings) -> str:
    """Returns the identity of a recogniser trained elsewhere before a corpus.

    Its label is a name, and so is the place of a file, whose content has a digest; a module's attribute is an input.
    """
    names = ("label", "source") if is_file(settings) else ("label",)
    recipe = {key: value for key, value in asdict(settings).items() if key not in names}
    return digest("foreign", corpus=corpus.name, fingerprint=corpus.fingerprint, classes=corpus.labels, recipe=recipe)


def of_graph(corpus: Corpus, fold: Fold, settings: DiscoverySettings) -> str:
    """Returns the identity of a fold's causal graph."""
    train = [corpus.clips[position].clip for position in fold.train]
    return digest("graph", corpus=corpus.fingerprint, train=train, settings=_valued(settings))


def of_choice(corpus: Corpus, fold: Fold, settings: DiscoverySettings, kind: str) -> str:
    """Returns the identity of the region that a rule other than the paper's chooses on a fold's training clips."""
    train = named(corpus.clips, fold.train)
    return digest(
        "choice",
        corpus=corpus.fingerprint,
        classes=corpus.labels,
        train=train,
        settings=_valued(settings),
        rule=kind,
    )


def of_tuning(weights: str, corpus: Corpus, positions: Sequence[int], worn: Mapping[str, Any], sticker: str) -> str:
    """Returns the identity of a recogniser's answers to clips that wear a sticker at every region.

    Args:
        weights: identity of the recogniser.
        corpus: where the clips are.
        positions: of the clips.
        worn: how the sticker is worn, as JSON values.
        sticker: its digest.
    """
    clips = named(corpus.clips, positions)
    return digest("tuning", weights=weights, corpus=corpus.fingerprint, clips=clips, worn=worn, sticker=sticker)


def generator(*parts: str) -> np.random.Generator:
    """Returns the random generator that belongs to an identity, whichever worker or attempt asks for it."""
    seed = hashlib.sha256("\n".join(parts).encode()).digest()
    return np.random.default_rng(np.frombuffer(seed, np.uint32))


def seed_of(identity: str) -> int:
    """Returns a seed below 2**31 that belongs to an identity."""
    return int(generator(identity).integers(2**31))
