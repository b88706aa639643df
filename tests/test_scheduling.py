"""Who is handed what and when: shards cut to the measured pace, short tasks bundled, lost ones begun again."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from austicker import grid
from austicker.grid import flights, outcome
from austicker.grid.outcome import Outcome
from austicker.grid.pace import PROBE_ROWS, SHORT_S, TARGET_S, Load, Pace
from austicker.grid.queue import ATTEMPTS, NODE_LOSSES, TaskQueue
from austicker.plan import Tally, Task
from austicker.types import AustickerError, Cell

CLIPS = 4


def cell(name: str) -> Cell:
    return Cell(
        id=name,
        corpus="c",
        protocol="loso",
        fold="f",
        model="m",
        attack="sticker",
        sticker="star",
        placement="chin",
        side=0.2,
        seed=0,
    )


def train(name: str) -> Task:
    return Task(id=name, stage="train", corpus="c", fold=name, model="m")


def shard(name: str, cells: int, *needs: str) -> Task:
    named = tuple(cell(f"{name}{number}") for number in range(cells))
    return Task(id=name, stage="attack", corpus="c", fold=name, model="m", cells=named, clips=CLIPS, needs=needs)


def ended(task: Task, seconds: float, **changes: object) -> Outcome:
    return dataclasses.replace(Outcome(task=task, seconds=seconds), **changes)


def paced(seconds_per_row: float = 0.0, training_s: float = 0.0) -> Pace:
    pace = Pace()
    if seconds_per_row:
        pace.learn(ended(shard("measured", 100), 100 * CLIPS * seconds_per_row))
    if training_s:
        pace.learn(ended(train("measured"), training_s))
    return pace


def cells_of(*tasks: Task) -> list[str]:
    return [one.id for task in tasks for one in task.cells]


class TestPace:
    def test_nothing_is_expected_before_it_was_measured(self):
        assert Pace().expects(train("a")) is None
        assert paced(training_s=3).expects(train("a")) == pytest.approx(3)
        assert paced(training_s=3).expects(shard("a", 5)) is None
        assert paced(0.01).expects(shard("a", 25)) == pytest.approx(1)
        assert paced(0.01).expects_all(Load([shard("a", 25), train("b")])) is None

    def test_the_newest_measurement_weighs_most(self):
        pace = paced(training_s=1)
        pace.learn(ended(train("b"), 9))
        assert 5 < pace.expects(train("c")) < 9

    def test_the_first_shard_of_a_model_is_a_probe(self):
        now, rest = Pace().cut(shard("a", 1000))
        assert now.rows == PROBE_ROWS
        assert cells_of(now, rest) == cells_of(shard("a", 1000))

    @pytest.mark.parametrize("seconds_per_row", [0.001, 0.01, 0.1])
    def test_a_shard_is_cut_to_the_target(self, seconds_per_row):
        pace = paced(seconds_per_row)
        now, rest = pace.cut(shard("a", 10_000))
        assert TARGET_S - seconds_per_row * CLIPS <= pace.expects(now) <= TARGET_S
        assert cells_of(now, rest) == cells_of(shard("a", 10_000))
        assert now.id != rest.id

    def test_a_cell_is_never_cut(self):
        now, rest = paced(100).cut(shard("a", 3))
        assert cells_of(now) == ["a0"]
        assert paced(100).cut(now) == (now, None)
        assert cells_of(rest) == ["a1", "a2"]


def drawn(queue: TaskQueue, slots: int = 1) -> list[tuple[Task, ...]]:
    bundles = []
    while bundle := queue.take(slots):
        bundles.append(bundle)
        for task in bundle:
            list(queue.settle(ended(task, queue.pace.expects(task) or 1.0)))
    return bundles


class TestQueue:
    def test_short_tasks_are_bundled_up_to_a_length(self):
        tasks = [train(f"t{number}") for number in range(20)]
        bundles = drawn(TaskQueue(tasks, paced(training_s=SHORT_S / 4)))
        assert {len(bundle) for bundle in bundles} == {4}
        assert sorted(task.id for bundle in bundles for task in bundle) == sorted(task.id for task in tasks)

    def test_bundles_leave_work_for_every_worker(self):
        queue = TaskQueue([train(f"t{number}") for number in range(8)], paced(training_s=SHORT_S / 1000))
        assert len(queue.take(slots=8)) == 1
        queue = TaskQueue([train(f"t{number}") for number in range(8)], paced(training_s=SHORT_S / 1000))
        assert len(queue.take(slots=4)) == 2

    def test_tasks_of_unknown_length_are_not_bundled(self):
        assert len(TaskQueue([train(f"t{number}") for number in range(8)], Pace()).take(slots=1)) == 1

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.integers(1, 400), min_size=1, max_size=6), st.floats(1e-4, 5), st.integers(1, 5), st.booleans())
    def test_however_it_is_cut_every_cell_is_handed_out_once(self, sizes, seconds_per_row, slots, measured):
        tasks = [shard(f"s{number}-", size) for number, size in enumerate(sizes)]
        pace = paced(seconds_per_row) if measured else Pace()
        handed = Counter(cells_of(*(task for bundle in drawn(TaskQueue(tasks, pace), slots) for task in bundle)))
        assert handed == Counter(cells_of(*tasks))

    def test_an_attack_is_ready_as_soon_as_its_needs_ended(self):
        queue = TaskQueue([train("a"), shard("x", 2, "a"), train("b"), shard("y", 2, "b")], Pace())
        (first,) = queue.take(1)
        assert first.id == "a"
        list(queue.settle(ended(first, 1)))
        assert [task.stage for task in queue.take(1)] == ["attack"]

    def test_an_error_by_chance_is_tried_again_and_set_aside_in_the_end(self):
        queue, begun = TaskQueue([train("a"), shard("x", 2, "a")], Pace()), 0
        told: list[Outcome] = []
        while bundle := queue.take(1):
            begun += 1
            told += queue.settle(ended(bundle[0], 1, error="RuntimeError: CUDA", by_chance=True))
        assert begun == ATTEMPTS
        assert [(one.task.id, one.attempts) for one in told] == [("a", ATTEMPTS), ("x", 1)]
        assert len(queue) == 0

    def test_a_fault_that_the_user_must_mend_is_not_tried_again(self):
        queue = TaskQueue([train("a")], Pace())
        (outcome,) = queue.settle(ended(queue.take(1)[0], 1, error="no such file"))
        assert outcome.attempts == 1
        assert queue.take(1) == ()

    def test_the_killer_in_a_bundle_is_found_by_trying_alone(self):
        queue = TaskQueue([train(name) for name in "abc"], paced(training_s=SHORT_S / 10))
        bundle = queue.take(1)
        assert len(bundle) == 3
        assert list(queue.lost(bundle, "died", with_node=False)) == []
        told: list[Outcome] = []
        begun: Counter[str] = Counter()
        while bundle := queue.take(1):
            assert len(bundle) == 1
            begun[bundle[0].id] += 1
            if bundle[0].id == "b":
                told += queue.lost(bundle, "died", with_node=False)
            else:
                told += queue.settle(ended(bundle[0], 0.1))
        assert begun == {"a": 1, "b": ATTEMPTS, "c": 1}
        assert {one.task.id: one.error for one in told} == {"a": "", "b": "died", "c": ""}
        assert next(one.attempts for one in told if one.error) == ATTEMPTS + 1

    def test_nodes_that_disappear_are_not_held_against_a_task(self):
        queue = TaskQueue([train("a")], Pace())
        for _ in range(NODE_LOSSES - 1):
            assert list(queue.lost(queue.take(1), "node died", with_node=True)) == []
        assert [one.error for one in queue.lost(queue.take(1), "node died", with_node=True)] == ["node died"]

    def test_the_time_left_counts_what_runs_and_what_waits(self):
        queue = TaskQueue([train("r"), train("a"), train("b"), shard("x", 25, "a")], paced(0.01, 3))
        (task,) = queue.take(2)
        flow = queue.flow(slots=2)
        assert (flow.queued, flow.running, flow.slots) == (3, 1, 2)
        assert flow.left_s == pytest.approx((3 * 3 + 1) / 2)
        list(queue.settle(ended(task, 3)))
        assert queue.flow(2).left_s == pytest.approx((2 * 3 + 1) / 2)
        assert TaskQueue([train("a")], Pace()).flow(1).left_s is None

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.integers(1, 900), min_size=1, max_size=5), st.data())
    def test_the_books_are_even_at_the_end_whatever_happened(self, sizes, data):
        tasks = [one for number, size in enumerate(sizes) for one in (train(f"t{number}"), shard(f"s{number}-", size))]
        queue, told = TaskQueue(tasks, paced(0.05, 1)), []
        while bundle := queue.take(2):
            assert queue.flow(2).running == len(bundle)
            if data.draw(st.booleans()):
                told += queue.lost(bundle, "died", with_node=data.draw(st.booleans()))
                continue
            for task in bundle:
                told += queue.settle(ended(task, 1, error="broken" if data.draw(st.booleans()) else ""))
        flow = queue.flow(2)
        assert (flow.queued, flow.running, flow.left_s) == (0, 0, 0)
        assert Counter(cells_of(*(one.task for one in told))) == Counter(cells_of(*tasks))


def test_near_a_task_is_tried_again_too():
    begun: Counter[str] = Counter()

    def work(task: Task) -> Tally:
        begun[task.id] += 1
        if begun[task.id] < ATTEMPTS:
            raise RuntimeError("by chance")
        return Tally(rows=task.rows)

    (first, second) = grid.map_local(work, [train("a"), shard("x", 2, "a")])
    assert (first.error, first.attempts, second.tally.rows, second.attempts) == ("", ATTEMPTS, 2 * CLIPS, ATTEMPTS)


def test_the_threads_of_a_task_are_those_it_declares_and_the_process_gets_its_own_back():
    import torch

    before, seen = torch.get_num_threads(), []

    def work(task: Task) -> Tally:
        seen.append(torch.get_num_threads())
        return Tally()

    for threads in (1, 2):
        outcome.attempt(work, train("a"), threads)
    assert seen == [1, 2]
    assert torch.get_num_threads() == before


@dataclasses.dataclass(frozen=True)
class Ledger:
    """Work that notes who began it, and does as it is told; pickled by value, because workers do not see tests."""

    folder: str
    habits: dict[str, str]

    def __call__(self, task: Task) -> Tally:
        begun = Path(self.folder) / f"{task.id}.{os.getpid()}.{time.monotonic_ns()}"
        earlier = len(list(begun.parent.glob(f"{task.id}.*")))
        begun.touch()
        habit = self.habits.get(task.id, "")
        if habit == "dies" or (habit == "dies once" and not earlier):
            os._exit(1)
        if habit == "hangs once" and not earlier:
            time.sleep(600)
        if habit == "fails":
            raise AustickerError("It cannot be.")
        time.sleep(0.05)
        return Tally(rows=task.rows)

    def begun(self) -> Counter[str]:
        return Counter(path.name.partition(".")[0] for path in Path(self.folder).iterdir())


@pytest.fixture(scope="module")
def ray_here():
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with grid.cluster(grid.Site(workers=2)):
        yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
@pytest.mark.usefixtures("ray_here")
class TestFar:
    """On a real Ray of two cores."""

    def test_a_task_whose_worker_dies_is_begun_again_and_the_rest_is_not(self, tmp_path):
        tasks = [train(f"t{number}") for number in range(8)]
        work = Ledger(str(tmp_path), {"t2": "dies once", "t5": "dies once"})
        listener, died = grid.Listener(), []
        listener.lost = died.append
        outcomes = list(grid.map_ray(work, tasks, listener=listener))
        assert died == ["train"] * len(died)
        assert len(died) >= 2
        assert sorted(one.task.id for one in outcomes if not one.error) == sorted(task.id for task in tasks)
        again = work.begun() - Counter(task.id for task in tasks)
        assert {"t2", "t5"} <= set(again)
        assert again.total() <= 2 + 2 * 7  # what shared a bundle with a killer is tried alone

    def test_a_task_that_kills_its_workers_is_set_aside_with_what_needs_it(self, tmp_path):
        tasks = [train("bad"), shard("lost", 2, "bad"), *(train(f"t{number}") for number in range(4)), train("no")]
        work = Ledger(str(tmp_path), {"bad": "dies", "no": "fails"})
        outcomes = {one.task.id: one for one in grid.map_ray(work, tasks)}
        assert len(outcomes) == len(tasks)
        assert {name for name, one in outcomes.items() if one.error} == {"bad", "lost", "no"}
        assert "WorkerCrashedError" in outcomes["bad"].error
        assert outcomes["no"].error == "It cannot be."
        assert ATTEMPTS <= work.begun()["bad"] <= ATTEMPTS + 1
        assert work.begun()["no"] == 1
        assert work.begun()["lost"] == 0

    def test_a_straggler_does_not_hold_the_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(flights, "STRAGGLES_S", 2.0)
        tasks = [train(f"t{number}") for number in range(6)]
        work = Ledger(str(tmp_path), {"t1": "hangs once"})
        start = time.monotonic()
        outcomes = list(grid.map_ray(work, tasks))
        assert time.monotonic() - start < 30
        assert sorted(one.task.id for one in outcomes) == sorted(task.id for task in tasks)
        assert not any(one.error for one in outcomes)

    def test_only_a_few_tasks_are_in_flight(self, tmp_path):
        flows: list[grid.Flow] = []
        listener = grid.Listener()
        listener.flows = flows.append
        tasks = [train(f"t{number}") for number in range(12)]
        outcomes = list(grid.map_ray(Ledger(str(tmp_path), {}), tasks, listener=listener))
        assert len(outcomes) == 12
        assert flows[0].slots == 2
        assert flows[0].running == flights.AHEAD * 2
        assert flows[0].queued == 12 - flights.AHEAD * 2
        assert flows[-1].queued == flows[-1].running == 0
        assert any(flow.left_s for flow in flows)

    def test_an_interrupt_lets_tasks_in_flight_finish(self, tmp_path):
        def interrupt(flow: grid.Flow) -> None:
            if flow.queued < 9:
                raise KeyboardInterrupt

        work, listener = Ledger(str(tmp_path), {}), grid.Listener()
        listener.flows = interrupt
        with pytest.raises(KeyboardInterrupt):
            list(grid.map_ray(work, [train(f"t{number}") for number in range(12)], listener=listener))
        before = work.begun()
        time.sleep(1)
        assert work.begun() == before
        assert before.total() < 12
