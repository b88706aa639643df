"""What lies where in a store: the one place that makes keys, which are names below the store with "/" between them."""

from __future__ import annotations

from pathlib import PurePosixPath

JOB = "job.json"
PROGRESS = "progress.json"
MODELS = "models"
GRAPHS = "graphs"
CHOICES = "choices"
VERDICTS = "verdicts"
FAILURES = "failures"
REPORT = "report"
CORPORA = "corpora"
TIMES = "times"
MLFLOW = "mlflow"
PSEUDONYMS = "pseudonyms.json"
PARTS = (MODELS, GRAPHS, CHOICES, VERDICTS, FAILURES, REPORT, CORPORA, TIMES, MLFLOW, PROGRESS, PSEUDONYMS)
"""What lies directly in a store, beside the job."""


def weights(identity: str) -> str:
    """Returns the key of trained weights, which hold their training record."""
    return f"{MODELS}/{identity}.safetensors"


def training_record(identity: str) -> str:
    """Returns the key of the readable copy of a training record."""
    return f"{MODELS}/{identity}.json"


def times(identity: str) -> str:
    """Returns the key of what a training took: no part of the weights, which are the same however long it was."""
    return f"{TIMES}/{identity}.json"


def graph(identity: str) -> str:
    """Returns the key of a causal graph."""
    return f"{GRAPHS}/{identity}.json"


def choice(identity: str) -> str:
    """Returns the key of a region chosen by another rule than the paper's."""
    return f"{CHOICES}/{identity}.json"


def tuning(identity: str) -> str:
    """Returns the key of what a recogniser answered to training clips with a sticker at every region."""
    return f"{CHOICES}/tuning-{identity}.json"


def foreign(digest: str) -> str:
    """Returns the key of the file of a recogniser trained elsewhere, by the digest of its content."""
    return f"{MODELS}/foreign-{digest}"


def part(corpus: str, name: str) -> str:
    """Returns the key of a Parquet part of verdicts."""
    return f"{VERDICTS}/{corpus}/{name}.parquet"


def failure(identity: str) -> str:
    """Returns the key of the record of a failed task."""
    return f"{FAILURES}/{identity}.json"


def report(name: str) -> str:
    """Returns the key of a file of the report."""
    return f"{REPORT}/{name}"


PAGE = report("index.html")


def corpus(fingerprint: str, name: str = "") -> str:
    """Returns the key of a file of a published corpus, or of all of them."""
    return f"{CORPORA}/{fingerprint}/{name}".rstrip("/")


def stem(key: str) -> str:
    """Returns the last name of a key without its suffix: the identity of what lies there."""
    return PurePosixPath(key).stem
