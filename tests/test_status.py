"""What a store says of its run, on a clock of our own."""

from __future__ import annotations

import dataclasses

import pytest

from austicker import findings, status
from austicker.progress import Progress, Snapshot
from austicker.store import Store, layout


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """A store without cells, whose job needs no reading."""
    monkeypatch.setattr(findings, "read_job", lambda store: {"job": {"name": "j"}, "cells": ["a", "b"]})
    return Store(tmp_path)


def run(**changes: object) -> Snapshot:
    there = Progress(1, 4, clock=lambda: 1000.0).snapshot()
    return dataclasses.replace(there, updated=1600.0, verdicts=1200, evaluations=1800, retries=2, **changes)


def said(store: Store, snapshot: Snapshot, now: float) -> dict[str, object]:
    store.write_json(layout.PROGRESS, dataclasses.asdict(snapshot))
    return status.standing(store, lambda: now)


def test_a_store_that_nobody_ran_says_what_it_holds(store):
    store.write_json(layout.failure("x"), {"stage": "train", "unit": "train m", "error": "broken", "cells": []})
    found = status.standing(store)
    assert found["cells"] == "0 of 2"
    assert found["failures"] == ["train m: broken"]
    assert not {"run", "rate", "time left"} & found.keys()


def test_a_run_under_way_has_a_rate_and_a_time_left(store):
    snapshot = run(state="running", verdicts_per_s=42.0, evaluations_per_s=50.0, left_s=240.0, running=2, slots=2)
    found = said(store, snapshot, 1605)
    assert found["run"] == "running; last heard of 5 s ago, 10 min in"
    assert found["time left"] == "about 4 min"
    assert found["rate"] == "42 verdicts/s, 50 model evaluations/s"
    assert found["tasks"] == "2 running on 2 slots, 0 queued"
    assert found["begun again"] == 2
    assert said(store, dataclasses.replace(snapshot, left_s=None), 1605)["time left"] == "not known yet"


def test_a_run_that_fell_silent_is_lost(store):
    found = said(store, run(state="running"), 1600 + status.SILENT_S + 60)
    assert found["run"].startswith("lost: submit the job again to go on; last heard of 3 min ago")
    assert "time left" not in found


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_run_that_ended_has_no_time_left(store, state):
    found = said(store, run(state=state), 5000)
    assert found["run"].startswith(f"{state}; ")
    assert "time left" not in found


def test_a_finished_run_has_the_rate_of_the_whole(store):
    assert said(store, run(state="finished"), 5000)["rate"].startswith("2 verdicts/s, 3 model evaluations/s on average")
