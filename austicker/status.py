"""How much of a job a store holds, how fast its run goes and what failed; from the store alone, on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from austicker import findings, results
from austicker.progress import Snapshot, duration, from_record
from austicker.store import Store, layout

SILENT_S = 120.0
"""A run that has not said for so long where it stands is taken for lost; it says so every ten seconds."""


def standing(store: Store, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """Returns what there is to say of a store, by name.

    Raises:
        AustickerError: the store holds no job, or a record in it is damaged.
    """
    record = findings.read_job(store)
    expected = frozenset(record["cells"])
    done = results.done_cells(store) & expected
    models = [key for key in store.keys(layout.MODELS) if key.endswith(".safetensors")]
    return {
        "job": record["job"]["name"],
        "cells": f"{len(done)} of {len(expected)}",
        "models": len(models),
        "graphs": len(store.keys(layout.GRAPHS)),
        **_run(store, clock()),
        "failures": [f"{failure['unit']}: {failure['error']}" for failure in store.failures()],
        "report": store.shown(layout.PAGE) if store.has(layout.PAGE) else "not written",
    }


def _run(store: Store, now: float) -> dict[str, Any]:
    """Returns how the last run goes or went; nothing where none has said."""
    if not store.has(layout.PROGRESS):
        return {}
    run = from_record(store.read_json(layout.PROGRESS), store.shown(layout.PROGRESS))
    silent_s = max(0.0, now - run.updated)
    lost = run.state == "running" and silent_s > SILENT_S
    state = "lost: submit the job again to go on" if lost else run.state
    said = {"run": f"{state}; last heard of {duration(silent_s)} ago, {duration(run.updated - run.started)} in"}
    if run.state == "running" and not lost:
        left = "not known yet" if run.left_s is None else f"about {duration(run.left_s)}"
        said |= {"time left": left, "tasks": f"{run.running} running on {run.slots} slots, {run.queued} queued"}
    return said | {"rate": _rate(run), "begun again": run.retries}


def _rate(run: Snapshot) -> str:
    if run.state != "finished":
        return f"{run.verdicts_per_s:.0f} verdicts/s, {run.evaluations_per_s:.0f} model evaluations/s"
    seconds = max(run.updated - run.started, 1e-3)
    return f"{run.verdicts / seconds:.0f} verdicts/s, {run.evaluations / seconds:.0f} model evaluations/s on average"
