"""A corpus of a few made-up clips and a job over it, for the tests of identity and plan."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np

from austicker import corpora, models, plan
from austicker.job import AttackChoice, CorpusChoice, Job
from austicker.types import Clip, Corpus, DiscoverySettings


def corpus(subjects: tuple[str, ...] = ("ann", "bob", "cy"), clips: int = 2, **changes: Any) -> Corpus:
    """Returns `clips` clips of each subject, and one more of the first, so that folds differ in size."""
    names = [(subject, f"{subject}-{clip}") for subject in subjects for clip in range(clips)]
    names.append((subjects[0], f"{subjects[0]}-more"))
    values: dict[str, Any] = {
        "name": "orl-motion",
        "labels": ("a", "b"),
        "fingerprint": "f" * 64,
        "clips": tuple(
            Clip(corpus="orl-motion", clip=name, subject=subject, label=number % 2, onset=0, apex=1, offset=2)
            for number, (subject, name) in enumerate(names)
        ),
        "digests": tuple((name,) for _, name in names),
        "frames": np.zeros((len(names), 3, 8, 8, 1), np.uint8),
        "landmarks": np.zeros((len(names), 3, 68, 2), np.float32),
        "motion": np.zeros((len(names), 14), np.float32),
    }
    return Corpus(**{**values, **changes})


def job(**changes: Any) -> Job:
    """Returns a job of one small recogniser, two stickers and three placements on that corpus."""
    values: dict[str, Any] = {
        "name": "small",
        "description": "",
        "protocol": "loso",
        "corpora": (CorpusChoice(name="orl-motion"),),
        "models": (models.settings("stcnn", width=0.25),),
        "discovery": DiscoverySettings(),
        "attacks": (attack(),),
        "seeds": (0,),
    }
    return Job(**{**values, **changes})


def attack(**changes: Any) -> AttackChoice:
    values: dict[str, Any] = {
        "label": "sticker",
        "stickers": ("sun", "heart"),
        "placements": ("causal", "region/chin", "random/1"),
        "side": 0.2,
    }
    return AttackChoice(**{**values, **changes})


def laid_out(job: Job, corpus: Corpus) -> plan.Plan:
    """Returns the plan of a job over this corpus, whichever the job names."""
    with mock.patch.object(corpora, "open_corpus", return_value=corpus):
        return plan.expand(job)
