"""Whose a store is: the record of the job in it, and what of the job may change there; runs nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess  # nosec B404 # asks git for the state of the source, nothing else
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from austicker import __version__, findings, identity, protocols
from austicker.corpora import packed
from austicker.foreign import ForeignSettings
from austicker.job import AttackChoice, Job
from austicker.plan import Plan
from austicker.store import Store, layout
from austicker.types import AustickerError, ModelSettings


def own_record(store: Store, job: Job) -> dict[str, Any]:
    """Makes the first contact with a store and returns what it holds of this job: nothing, or its record.

    Raises:
        AustickerError: the store does not answer, holds something else, or another job.
    """
    store.reach()
    names = store.names()
    if layout.JOB not in names:
        # What a store holds is named by its inputs, so one that lost its job.json can be taken up again.
        if any(name not in layout.PARTS for name in names):
            raise AustickerError(f"'{store}' is not empty and holds no job: name a new place with --store.")
        return {}
    record = findings.read_job(store)
    there = record["job"]["name"]
    if there != job.name:
        raise AustickerError(f"The store '{store}' is that of job '{there}', not of '{job.name}': use another --store.")
    return record


def claim(store: Store, laid_out: Plan, there: Mapping[str, Any], *, busy: bool, amend: bool) -> bool:
    """Writes the job's record where it is new or something is to be run, and tells whether the job is another now.

    A job may grow in its store: what is added is run, what is dropped is no longer reported. A changed setting that
    gives old cells a new identity is refused, unless `amend` says to go on under it.

    Args:
        store: where the record goes.
        laid_out: the job as it is now.
        there: its `own_record` as it was.
        busy: something is to be run.
        amend: changed settings are accepted.

    Raises:
        AustickerError: such a setting changed.
    """
    record = json.loads(json.dumps(describe(laid_out)))
    if there and not amend:
        changed = [_words(*found) for found in _differences(there["inputs"], record["inputs"])]
        if changed:
            raise AustickerError(
                f"The store '{store}' was written with other settings ({', '.join(changed)}): undo that, use another "
                "--store, or --amend to go on with the new ones, which leaves what the old ones gave out of the report."
            )
    differs = any(there.get(key) != value for key, value in record.items() if key != "provenance")
    if differs or busy:
        store.write_json(layout.JOB, record)
    return differs


def _differences(there: Any, here: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yields what both records have with another value; what only one has was added or dropped."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in there.keys() & here.keys():
            yield from _differences(there[key], here[key], f"{path}.{key}".lstrip("."))
    elif there != here:
        yield path, there, here


def _words(path: str, there: Any, here: Any) -> str:
    return f"{path} is {there!r} there and {here!r} here"


def describe(laid_out: Plan) -> dict[str, Any]:
    """Returns what the store keeps of a job: enough to report without the corpora."""
    return {
        "job": laid_out.job.record(),
        "inputs": _inputs(laid_out),
        "cells": sorted(laid_out.cells),
        "corpora": {name: _study(laid_out, name) for name in laid_out.studies},
        "graphs": [[corpus, fold, graph] for (corpus, fold), graph in laid_out.graphs.items()],
        "choices": [[*key, choice] for key, choice in laid_out.choices.items()],
        "skipped": laid_out.skipped,
        "weights": sorted({(shard.settings.label, shard.weights) for shard in laid_out.shards}),
        "rows": laid_out.rows,
        "provenance": provenance(),
    }


def _study(laid_out: Plan, name: str) -> dict[str, Any]:
    """Returns what the store keeps of one study."""
    study, corpus = laid_out.studies[name], laid_out.studies[name].corpus
    return {
        "labels": corpus.labels,
        "synthetic": corpus.synthetic,
        "fingerprint": corpus.fingerprint,
        "n_clips": len(corpus.clips),
        "n_subjects": len({clip.subject for clip in corpus.clips}),
        "planted": corpus.planted,
        "folds_run": len(laid_out.folds[name]),
        "folds_total": len(study.folds),
        "parts": laid_out.parts[name],
        "consented": corpus.consented,
        "lacks_subjects": corpus.lacks_subjects,
        "counts": protocols.in_words(study.counts),
        "left_out": len(study.left_out),
        "unusable": _unusable(laid_out, name),
        "repaired": dict(sorted(Counter(rule for clip in corpus.clips for rule in clip.repairs).items())),
    }


def _unusable(laid_out: Plan, study: str) -> dict[str, int]:
    """Returns how many clips or files of a study's corpora were left out when they were prepared, by the reason."""
    kinds: Counter[str] = Counter()
    for part in laid_out.parts[study]:
        folder = laid_out.corpora[part].folder
        record = packed.read_record(folder) if folder else None
        kinds.update(finding.kind for finding in (record.findings if record else ()) if finding.kind != "repaired")
    return dict(sorted(kinds.items()))


def _inputs(laid_out: Plan) -> dict[str, Any]:
    """Returns every input of the cells under the names that verdicts give them, to see what changed under a name."""
    job = laid_out.job
    return {
        "identity version": identity.IDENTITY_VERSION,
        "protocol": job.protocol,
        "corpora": {name: corpus.fingerprint for name, corpus in laid_out.corpora.items()},
        "models": {model.label: _model(model) for model in job.models},
        "discovery": asdict(job.discovery),
        "attacks": {one.label: _attack(one) for one in job.attacks},
        "stickers": {sticker.name: sticker.digest for sticker in laid_out.art.values()},
    }


def _attack(choice: AttackChoice) -> dict[str, Any]:
    kept = ("name", "side", "variant", "bend", "budget", "remember", "settings")
    return {key: getattr(choice, key) for key in kept}


def _model(settings: ModelSettings | ForeignSettings) -> dict[str, Any]:
    """Returns a recogniser without the place where its file lies, which changes no verdict."""
    return {key: value for key, value in asdict(settings).items() if key != "source"}


def provenance() -> Mapping[str, Mapping[str, str]]:
    """Returns versions, hardware and the state of the source, without a path or a host's name."""
    names = ("torch", "ray", "causal-learn", "numpy", "polars", "opencv-python", "mediapipe")
    return {
        "versions": {"python": platform.python_version(), "austicker": __version__}
        | {name: version(name) for name in names},
        "hardware": {"machine": platform.machine(), "system": platform.system(), "cores": str(os.cpu_count())},
        "git": {"commit": _git_commit()},
    }


def _git_commit() -> str:
    """Returns the commit of the source tree, "-dirty" where it was changed, or "installed" outside of one."""
    folder = Path(__file__).parent
    try:
        found = subprocess.run(  # nosec B603 B607 # constant words; git is where the user's PATH has it
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "installed"
    return found.stdout.strip()
