"""Run as `make bench`: what a unit of the driver's work costs, and simulated runs of it; see docs/scale.md."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from object_store import ObjectServer

from austicker import claim, grid, plan, results
from austicker import job as jobs
from austicker.grid.queue import TaskQueue
from austicker.plan import Plan, Tally, Task
from austicker.progress import Progress
from austicker.report import tables
from austicker.store import Store, layout
from austicker.types import Cell, Verdict

DEMO = Path(__file__).parents[1] / "jobs" / "demo.toml"
CELLS_PER_SEED = 20_000
CELLS, SMALL_CELLS = 1667, 17
"""Cells of a task of 10,000 rows, and of one whose recogniser is a hundred times slower."""
SHARD_S, SLOTS_PER_NODE = 10.0, 8
PART_ROWS, PARTS = 20_000, (10, 30)
LOSSES_PER_H, AWAY_S = 0.5, 120.0
"""How often a simulated node is taken away, and how long until another stands in for it."""
SECONDS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest time of several: others use this machine too."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def say(*cells: object) -> None:
    """Prints one row of a Markdown table."""
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


def head(*titles: str) -> None:
    sys.stdout.write("\n")
    say(*titles)
    say(*["---"] * len(titles))


def costs(what: str, unit: str, found: dict[int, float]) -> None:
    """Prints what one unit costs at each size; `found` are seconds of all units by their number."""
    shown = []
    for number, seconds in found.items():
        each = seconds / number
        symbol = next(symbol for symbol, times in SECONDS.items() if each * times >= 1 or symbol == "µs")
        shown.append(f"{each * SECONDS[symbol]:.3g} {symbol} ({number:,})")
    say(what, unit, *shown)


def sizes(what: str, unit: str, found: dict[int, float]) -> None:
    """Prints how many bytes one unit takes at each size."""
    say(what, unit, *(f"{total / number:.3g} B ({number:,})" for number, total in found.items()))


def laid_out(seeds: int) -> Plan:
    """The demo job with 10 folds, 104 random draws and so many seeds: 20,000 cells for each seed."""
    settings = [f"seeds={list(range(seeds))}", "corpora.0.folds=10", "attacks.0.random_draws=104"]
    return plan.expand(jobs.read(DEMO, settings))


# Planning and the job's record.


def planning() -> Plan:
    found, held = {}, {}
    for seeds in (1, 5):
        found[seeds * CELLS_PER_SEED] = best(lambda seeds=seeds: laid_out(seeds))
    costs("expand a job", "cell", found)
    for seeds in (1, 2):
        tracemalloc.start()
        kept = laid_out(seeds)
        held[len(kept.cells)] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    sizes("memory of a plan", "cell", held)
    return laid_out(5)


def job_record(store: Store, large: Plan) -> None:
    written, read, size = {}, {}, {}
    for made in (laid_out(1), large):
        record, number = claim.describe(made), len(made.cells)
        written[number] = best(lambda record=record: store.write_json(layout.JOB, record))
        read[number] = best(lambda: frozenset(store.read_json(layout.JOB)["cells"]))
        size[number] = len(store.read(layout.JOB))
    costs("write job.json", "cell", written)
    costs("read job.json", "cell", read)
    sizes("size of job.json", "cell", size)


# Parts: written by workers, read by the driver, by `status` and by the report.


def verdicts(cells: Sequence[Cell], clips: int, rng: np.random.Generator) -> list[Verdict]:
    """Rows with as many different values as real ones."""
    scores = rng.random((len(cells), clips, 3))
    wrong = rng.integers(0, 3, (len(cells), clips, 2))
    return [
        Verdict(
            cell=cell.id,
            corpus=cell.corpus,
            protocol=cell.protocol,
            fold=cell.fold,
            subject=cell.fold,
            clip=f"{cell.fold}-{clip}",
            model=cell.model,
            attack=cell.attack,
            sticker=cell.sticker,
            placement=cell.placement,
            region=None,
            x=float(scores[row, clip, 0]),
            y=float(scores[row, clip, 1]),
            side=cell.side,
            seed=cell.seed,
            label=clip % 3,
            clean_pred=int(wrong[row, clip, 0]),
            attacked_pred=int(wrong[row, clip, 1]),
            clean_score=float(scores[0, clip, 2]),
            attacked_score=float(scores[row, clip, 2]),
            queries=1,
        )
        for row, cell in enumerate(cells)
        for clip in range(clips)
    ]


def parts(store: Store, large: Plan) -> bytes:
    """Measures everything that is done with parts and returns one."""
    cells = [cell for shard in large.shards for cell in shard.cells]
    clips = len(large.shards[0].fold.test)
    size, rng, key = PART_ROWS // clips, np.random.default_rng(0), ""
    rows, expected = size * clips, large.cells
    written, planned, planned_rows, read, asr, memory = {}, {}, {}, {}, {}, {}
    context = multiprocessing.get_context("spawn")
    for number in range(1, PARTS[-1] + 1):
        chosen = cells[(number - 1) * size : number * size]
        made, names = verdicts(chosen, clips, rng), [cell.id for cell in chosen]
        start = time.perf_counter()
        key = results.write_part(store, "orl-motion", names, made)
        written[number * rows] = number * (time.perf_counter() - start)
        if number not in PARTS:
            continue
        planned[number] = planned_rows[number * rows] = best(lambda: large.tasks(store))
        read[number * rows] = best(lambda: results.read_verdicts(store, expected))
        table = results.read_verdicts(store, expected)
        asr[number * rows] = best(lambda table=table: tables.asr(table))
        with context.Pool(1) as pool:
            memory[number * rows] = pool.apply(peak_of_report, (store.address,))
    chosen_sizes = [number * rows for number in PARTS]
    costs("write a part (a worker)", "row", {number: written[number] for number in chosen_sizes})
    costs("find what is done: `tasks`", "part", planned)
    costs("the same", "row", planned_rows)
    costs("read verdicts", "row", read)
    costs("one table of the report", "row", asr)
    sizes("peak memory of both", "row", memory)
    content = store.read(key)
    sizes("size of a part", "row", {rows: len(content)})
    return content


def peak_of_report(address: str) -> int:
    """Returns by how many bytes a fresh process grows that reads a store and makes one table."""
    store = Store(address)
    tables.asr(results.read_verdicts(store, frozenset({""})))  # imports
    before = peak()
    tables.asr(results.read_verdicts(store, results.done_cells(store)))
    return peak() - before


def peak() -> int:
    """Returns the most bytes that this process held; `getrusage` would count those of its parent too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


# Handing out: the queue, the progress, the keys of the store.


class Steady(grid.Pace):
    """Expects `SHARD_S` of every task, whatever it was told."""

    def __init__(self, cells: int) -> None:
        super().__init__([grid.Rate(stage="attack", model="m", corpus="c", seconds=SHARD_S / (6 * cells))])

    def learn(self, outcome: grid.Outcome) -> None:
        """Keeps what it knows."""


def tasks_of(number: int, cells: int) -> list[Task]:
    """Attacks that need nothing, with so many cells each."""
    whole = Task(id="", stage="attack", corpus="c", fold="f", model="m", weights="w" * 20, graph="g" * 20, clips=6)
    cell = Cell(
        id="",
        corpus="c",
        protocol="loso",
        fold="f",
        model="m",
        attack="a",
        sticker="s",
        placement="p",
        side=0.2,
        seed=0,
    )
    return [
        replace(
            whole,
            id=f"attack-{task:016x}",
            cells=tuple(
                replace(cell, id=f"{task * cells + place:020x}", placement=f"random/{place}") for place in range(cells)
            ),
        )
        for task in range(number)
    ]


def emptied(queue: TaskQueue, slots: int = 8000) -> int:
    """Takes and settles everything, each task after `SHARD_S`."""
    number = 0
    while bundle := queue.take(slots):
        for task in bundle:
            number += 1
            list(queue.settle(grid.Outcome(task=task, tally=Tally(rows=task.rows), seconds=SHARD_S)))
    return number


def handing_out() -> None:
    taken, flows, told, snapshots, cut = {}, {}, {}, {}, {}
    for number in (10_000, 100_000):
        tasks = tasks_of(number, 1)
        queue = TaskQueue(tasks, Steady(1))
        flows[number] = best(lambda queue=queue, number=number: sum(queue.flow(8000).queued for _ in range(number)), 1)
        taken[number] = best(lambda queue=queue: emptied(queue), 1)
        outcomes = [grid.Outcome(task=task, tally=Tally(rows=6), seconds=SHARD_S) for task in tasks]
        progress = Progress(0, number)
        told[number] = best(lambda progress=progress, outcomes=outcomes: [progress.ended(one) for one in outcomes], 1)
        snapshots[number] = best(progress.snapshot)
    costs("queue: take and settle", "task", taken)
    costs("queue: where the run stands, with so many tasks", "call", flows)
    costs("progress", "outcome", told)
    costs("progress: snapshot, by tasks of the last minute", "task", snapshots)
    for number in (6, 24):
        shards = tasks_of(number, 10 * CELLS)
        queue = TaskQueue(shards, Steady(CELLS))
        cut[number * 10] = best(lambda queue=queue: emptied(queue), 1)
    costs("queue: cut a shard of 100,000 rows to the pace", "task", cut)


def sending() -> None:
    """Measures what Ray's pickling of a task takes, as it is and with its cells one by one."""
    from ray import cloudpickle

    packed, unpacked, plain, plainly_back, size = {}, {}, {}, {}, {}
    for cells in (200, CELLS):
        task = tasks_of(1, cells)[0]
        content, single = cloudpickle.dumps(task), cloudpickle.dumps(task.cells)
        packed[cells] = best(lambda task=task: cloudpickle.dumps(task), 9)
        unpacked[cells] = best(lambda content=content: cloudpickle.loads(content), 9)
        plain[cells] = best(lambda task=task: cloudpickle.dumps(task.cells), 9)
        plainly_back[cells] = best(lambda single=single: cloudpickle.loads(single), 9)
        size[cells] = len(content)
    costs("pack a task for a worker", "cell", packed)
    costs("unpack it", "cell", unpacked)
    costs("pack cells one by one (as before)", "cell", plain)
    costs("unpack them", "cell", plainly_back)
    sizes("size of a packed task", "cell", size)


def listing(store: Store) -> None:
    found = {}
    folder = Path(store.address) / layout.FAILURES
    folder.mkdir()
    for number in (1000, 10_000):
        for place in range(number):
            (folder / f"{place:016x}.json").touch()
        found[number] = best(lambda: store.keys(layout.FAILURES))
    costs("list a folder", "key", found)


def object_store(content: bytes) -> None:
    """Puts, lists and gets parts on an object store on loopback, eight at once."""
    with tempfile.TemporaryDirectory() as folder:
        server = ObjectServer(Path(folder))
        os.environ.update(server.environment)
        try:
            server.start()
            store = Store(server.address("scale"))
            names = [layout.part("c", f"{place:016x}") for place in range(1500)]
            puts, lists, gets = {}, {}, {}
            with ThreadPoolExecutor(results.READERS) as pool:
                for number in (100, 200):
                    chosen = names[:number]
                    puts[number] = best(
                        lambda chosen=chosen: list(pool.map(lambda key: store.write(key, content), chosen)), 1
                    )
                    gets[number] = best(lambda chosen=chosen: list(pool.map(store.read, chosen)), 1)
                for first, last in ((200, 500), (500, 1500)):
                    list(pool.map(lambda key: store.write(key, b"x"), names[first:last]))
                    lists[last] = best(lambda: store.keys(layout.VERDICTS))
            costs("object store: put a part, 8 at once", "part", puts)
            costs("object store: get a part, 8 at once", "part", gets)
            costs("object store: list", "key", lists)
        finally:
            server.close()


# Ray.


def idle(task: Task) -> Tally:
    """Does nothing at all."""
    return Tally(rows=task.rows)


def asleep() -> None:
    """Does nothing for long."""
    time.sleep(600)


@dataclass(frozen=True)
class Driver:
    """Seconds of the driver's processor: for each task by its cells, and for each task in flight when it waits."""

    task_s: dict[int, float]
    wait_s: float


def driver() -> Driver:
    """Measures this package's map with empty tasks on one worker of a private cluster."""
    import ray

    wall, busy, waits, meters, task_s = {}, {}, {}, {}, {}
    with grid.cluster(grid.Site(workers=1)):
        list(grid.map_ray(idle, tasks_of(20, 1), pace=Steady(1)))  # starts the worker
        for cells, numbers in ((SMALL_CELLS, (300, 900)), (CELLS, (100, 300))):
            for number in numbers:
                tasks = tasks_of(number, cells)
                start, used = time.perf_counter(), time.process_time()
                done = list(grid.map_ray(idle, tasks, pace=Steady(cells)))
                wall[number], busy[number] = time.perf_counter() - start, time.process_time() - used
                assert len(done) == number
            task_s[cells] = min(busy[number] / number for number in numbers)
            costs(f"Ray: empty task of {cells:,} cells", "task", {number: wall[number] for number in numbers})
            costs("the same, processor of the driver", "task", {number: busy[number] for number in numbers})
        counted = grid.Meters("scale")
        for number in (1000, 3000):
            outcomes = [grid.Outcome(task=task, seconds=SHARD_S) for task in tasks_of(number, 1)]
            meters[number] = best(lambda outcomes=outcomes: [counted.settled(one) for one in outcomes])
        costs("metrics", "outcome", meters)
        sleep = ray.remote(asleep)
        for number in (4000, 16_000):
            flying = [sleep.remote() for _ in range(number)]
            waits[number] = best(lambda flying=flying: ray.wait(flying, num_returns=1, timeout=0), 5)
            ray.cancel(flying[0], force=True)
            del flying
        costs("Ray: wait, by tasks in flight", "task", waits)
    # It waits twice in a turn: for the first that ended, then for all that have.
    return Driver(task_s=task_s, wait_s=2 * min(seconds / number for number, seconds in waits.items()))


# A simulated run.


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A run to simulate."""

    nodes: int
    tasks: int
    mean_s: float
    task_s: float
    wait_s: float


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What came of it: seconds in all, and shares.

    Attributes:
        useful: of the slots' time that went into tasks that ended, after the start and before the queue ran empty.
        driver: of the driver's time that it worked.
        twice: of the useful time that was lost with a node and done again.
    """

    seconds: float
    useful: float
    driver: float
    twice: float
    losses: int


class Simulation:
    """A driver that works like `grid.map_ray`, one thing after the other, over nodes that are taken away at times.

    Tasks take exponential times around their mean. Two are handed out for each slot; a slot that is free takes the next
    one at once. Half of the cost of a task is handing it out, half settling it. What a lost node ran is begun again.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.now, self.rng = scene, 0.0, np.random.default_rng(0)
        self.queued, self.sent, self.ended, self.settled = scene.tasks, 0, 0, 0
        self.epochs = [0] * scene.nodes
        self.running: list[dict[int, float]] = [{} for _ in range(scene.nodes)]
        self.free = [node for node in range(scene.nodes) for _ in range(SLOTS_PER_NODE)]
        self.events: list[tuple[float, str, int, int, int]] = []
        self.useful_s = self.twice_s = self.driver_s = 0.0
        self.losses, self.number, self.ran_empty = 0, 0, False
        for node in range(scene.nodes):
            self._doom(0.0, node)

    def _doom(self, since: float, node: int) -> None:
        when = since + self.rng.exponential(3600 / LOSSES_PER_H)
        heapq.heappush(self.events, (when, "loss", node, self.epochs[node], 0))

    def _fill(self, when: float) -> None:
        """Starts what was handed out on slots that are free."""
        while self.sent and self.free:
            node = self.free.pop()
            self.sent -= 1
            self.number += 1
            self.running[node][self.number] = when
            end = when + self.rng.exponential(self.scene.mean_s)
            heapq.heappush(self.events, (end, "end", node, self.epochs[node], self.number))

    def _pass(self, until: float) -> None:
        """Lets time pass on the nodes."""
        while self.events and self.events[0][0] <= until:
            when, kind, node, epoch, number = heapq.heappop(self.events)
            if kind == "back":
                self.free += [node] * SLOTS_PER_NODE
                self._doom(when, node)
            elif epoch != self.epochs[node]:
                continue
            elif kind == "end":
                self.useful_s += when - self.running[node].pop(number)
                self.ended += 1
                self.free.append(node)
            else:
                self._lose(when, node)
            self._fill(when)
        self._fill(until)
        self.now = max(self.now, until)

    def _lose(self, when: float, node: int) -> None:
        self.losses += 1
        self.epochs[node] += 1
        self.twice_s += sum(when - since for since in self.running[node].values())
        self.queued += len(self.running[node])
        self.running[node].clear()
        self.free = [one for one in self.free if one != node]
        heapq.heappush(self.events, (when + AWAY_S, "back", node, self.epochs[node], 0))

    def _work(self, seconds: float) -> None:
        """The driver is busy while time passes on the nodes."""
        self.driver_s += seconds
        self._pass(self.now + seconds)

    def flying(self) -> int:
        return self.sent + self.ended + sum(map(len, self.running))

    def run(self) -> Ended:
        scene = self.scene
        slots = scene.nodes * SLOTS_PER_NODE
        steady: list[tuple[float, float]] = []
        while self.settled < scene.tasks:
            flying = self.flying()
            if self.settled > scene.tasks / 10 and not self.ran_empty:
                steady.append((self.now, self.useful_s))
            for _ in range(min(self.queued, 2 * slots - flying)):
                self.queued -= 1
                self.ran_empty |= not self.queued
                self._work(scene.task_s / 2)
                self.sent += 1
                flying += 1
            self._fill(self.now)
            self._work(scene.wait_s * flying)
            while not self.ended and not (self.queued and self.flying() < 2 * slots):
                self._pass(self.events[0][0])
            for _ in range(self.ended):
                self.ended -= 1
                self._work(scene.task_s / 2)
                self.settled += 1
        (since, before), (until, after) = steady[0], steady[-1]
        return Ended(
            seconds=self.now,
            useful=(after - before) / (slots * (until - since)),
            driver=self.driver_s / self.now,
            twice=self.twice_s / self.useful_s,
            losses=self.losses,
        )


def scenes(found: Driver) -> Iterator[tuple[str, Scene]]:
    """The runs of the table: 20 tasks for each slot."""
    task_s = found.task_s
    for nodes, mean_s, cells, words in (
        (10, SHARD_S, CELLS, "10,000 rows"),
        (100, SHARD_S, CELLS, "10,000 rows"),
        (1000, SHARD_S, CELLS, "10,000 rows"),
        (1000, SHARD_S, SMALL_CELLS, "100 rows"),
        (1000, 120.0, CELLS, "10,000 rows"),
        (1000, 600.0, CELLS, "10,000 rows"),
    ):
        scene = Scene(
            nodes=nodes,
            tasks=20 * nodes * SLOTS_PER_NODE,
            mean_s=mean_s,
            task_s=task_s[cells],
            wait_s=found.wait_s,
        )
        yield words, scene


def main() -> None:
    """Prints the tables."""
    start = time.perf_counter()
    sys.stdout.write(f"{os.cpu_count()} cores; each cost with the number of units it was measured at.\n")
    head("work", "unit", "smaller", "larger")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        large = planning()
        job_record(store, large)
        content = parts(store, large)
        handing_out()
        sending()
        listing(store)
    object_store(content)
    found = driver()
    head("nodes", "shards of", "in", "driver per task", "took", "slots useful", "driver busy", "done twice", "losses")
    for words, scene in scenes(found):
        run = Simulation(scene).run()
        per_task, took = f"{scene.task_s * 1e3:.2g} ms", f"{run.seconds:.0f} s"
        shares = (f"{share:.1%}" for share in (run.useful, run.driver))
        say(f"{scene.nodes:,}", words, f"{scene.mean_s:g} s", per_task, took, *shares, f"{run.twice:.2%}", run.losses)
    sys.stdout.write(f"\n{time.perf_counter() - start:.0f} s\n")


if __name__ == "__main__":
    main()
