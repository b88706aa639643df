"""A job: what is evaluated, as its file says it and as the rest of the program reads it; runs nothing."""

from __future__ import annotations

from austicker.job.checking import LARGEST_SEED, check
from austicker.job.models import access_of
from austicker.job.reading import read
from austicker.job.records import PAPER_SIDE, AttackChoice, CorpusChoice, Job, from_record

__all__ = [
    "LARGEST_SEED",
    "PAPER_SIDE",
    "AttackChoice",
    "CorpusChoice",
    "Job",
    "access_of",
    "check",
    "from_record",
    "read",
]
