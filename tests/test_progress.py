"""Where a run stands, on a clock of our own."""

from __future__ import annotations

import dataclasses
import json

import pytest

from austicker import progress
from austicker.grid import Flow, Outcome
from austicker.plan import Tally, Task
from austicker.progress import Progress
from austicker.types import AustickerError, Cell


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ended(stage: str, **changes: object) -> Outcome:
    cell = Cell(
        id="x", corpus="c", protocol="p", fold="f", model="m", attack="a", sticker="s", placement="q", side=0.2, seed=0
    )
    cells = (cell, cell) if stage == "attack" else ()
    tally = Tally(rows=600, evaluations=630, queries=500) if stage == "attack" else Tally()
    outcome = Outcome(task=Task(id="t", stage=stage, corpus="c", fold="f", cells=cells), tally=tally, seconds=2.0)
    return dataclasses.replace(outcome, **changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_outcomes_are_added_up(clock):
    run = Progress(3, 10, clock)
    for outcome in (ended("train"), ended("discover"), ended("attack", gpu_bytes=7), ended("attack", attempts=3)):
        run.ended(outcome)
    run.ended(ended("attack", error="broken", tally=Tally()))
    found = run.snapshot()
    assert (found.cells_done, found.cells_expected) == (7, 10)
    assert (found.trained, found.discovered, found.shards) == (1, 1, 2)
    assert (found.verdicts, found.queries, found.evaluations) == (1200, 1000, 1260)
    assert (found.failures, found.retries, found.gpu_bytes, found.task_s) == (1, 2, 7, 10.0)


def test_rates_are_those_of_the_last_minute(clock):
    run = Progress(0, 10, clock)
    clock.now += 10
    run.ended(ended("attack"))
    assert run.snapshot().verdicts_per_s == pytest.approx(60)
    clock.now += 50
    assert run.snapshot().verdicts_per_s == pytest.approx(10)
    clock.now += 11
    assert run.snapshot().verdicts_per_s == 0
    assert run.snapshot().evaluations_per_s == 0


def test_a_run_that_ended_has_no_time_left(clock):
    run = Progress(0, 10, clock)
    run.flows(Flow(queued=4, running=2, slots=2, left_s=30.0))
    assert (run.snapshot().queued, run.snapshot().left_s) == (4, 30.0)
    assert run.snapshot("interrupted").left_s is None


def test_a_record_comes_back_and_another_is_refused(clock):
    run = Progress(0, 10, clock).snapshot()
    record = json.loads(json.dumps(dataclasses.asdict(run)))
    assert progress.from_record(record, "progress.json") == run
    del record["queued"]
    with pytest.raises(AustickerError, match="'progress.json' is damaged"):
        progress.from_record(record, "progress.json")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (91, "2 min"), (3599, "1 h 0 min"), (7300, "2 h 2 min"), (200_000, "2 d 7 h")],
)
def test_times_in_words(seconds, words):
    assert progress.duration(seconds) == words
