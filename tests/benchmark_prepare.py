"""Run as `make bench`: where the time of `data prepare` goes, and what a second worker gains, on a made tree."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import corpus_trees
from corpus_trees import Clip

from austicker import corpora, grid, prepare
from austicker.corpora import pictures, prepared
from austicker.corpora.preparation import Preparation, framing_of, portions
from austicker.faces import alignment
from austicker.plan import Tally, Task

CLIPS, FRAMES, PEOPLE = 250, 20, 26


def rows() -> list[Clip]:
    """Returns the annotation of so many clips, in the format of CASME II at 640 x 480."""
    return [
        Clip(
            subject=1 + number % PEOPLE,
            name=f"EP{number:03d}_01",
            onset=1,
            apex=FRAMES // 2,
            offset=FRAMES,
            units=12,
            emotion="happiness",
        )
        for number in range(CLIPS)
    ]


class Stopwatch:
    """Seconds spent in named steps."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def timed(self, step: str, call: Callable) -> Callable:
        def measured(*arguments, **named):
            start = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[step] += time.perf_counter() - start

        return measured

    def each(self, step: str, call: Callable[..., Iterator]) -> Callable[..., Iterator]:
        def measured(*arguments) -> Iterator:
            following = self.timed(step, call(*arguments).__next__)
            while True:
                try:
                    yield following()
                except StopIteration:
                    return

        return measured


def shares(preparation: Preparation) -> tuple[Counter[str], float]:
    """Prepares in this process; returns the seconds of each step and of everything."""
    watch = Stopwatch()
    landmarker = prepared.landmarker

    def watched(name: str):
        context = mock.MagicMock()
        opened = landmarker(name)
        context.__enter__.side_effect = lambda: watch.timed("landmarks", watch.timed("landmarks", opened.__enter__)())
        context.__exit__.side_effect = opened.__exit__
        return context

    with (
        mock.patch.object(pictures, "read", watch.each("decoding", pictures.read)),
        mock.patch.object(prepared, "landmarker", watched),
        mock.patch.object(alignment, "warp", watch.timed("warping", alignment.warp)),
    ):
        start = time.perf_counter()
        prepare.prepare(preparation, grid.Site(workers=0), corpora.silent)
        return watch.seconds, time.perf_counter() - start


def seconds(preparation: Preparation, workers: int) -> float:
    """Returns how long so many workers take, once their cluster and its processes are up."""
    reading = preparation.read()
    work = partial(prepare._pack, preparation=preparation, framing=framing_of(reading))
    tasks = prepare._tasks(preparation, portions(preparation, reading))
    with grid.cluster(grid.Site(workers=workers)):
        for chosen in (tasks[:workers], tasks):
            with tempfile.TemporaryDirectory() as cache:
                here = partial(into, cache, work)
                start = time.perf_counter()
                outcomes = list(grid.map_ray(here, chosen, grid.Demand(gpus=0)))
                took = time.perf_counter() - start
                assert not any(outcome.error for outcome in outcomes), outcomes
    return took


def into(cache: str, work: grid.Work, task: Task) -> Tally:
    """Does a task with another cache than the worker's own."""
    os.environ["AUSTICKER_CACHE"] = cache
    return work(task)


def main() -> None:
    """Prints both."""
    with tempfile.TemporaryDirectory() as folder:
        first, root = Path(folder) / "first", Path(folder) / "casme2"
        corpus_trees.write_casme2(first)
        corpus_trees.write_casme2(root, rows=rows())
        with mock.patch.dict(os.environ, AUSTICKER_CACHE=folder):
            shares(Preparation(name="casme2", root=first))  # imports
            preparation = Preparation(name="casme2", root=root)
            steps, whole = shares(preparation)
        frames = CLIPS * FRAMES
        sys.stdout.write(f"{CLIPS} clips x {FRAMES} frames of 640 x 480 in one process: {whole:.1f} s\n")
        for step, spent in steps.most_common():
            sys.stdout.write(f"  {step:<10} {100 * spent / whole:5.1f} %  {1000 * spent / frames:6.2f} ms a frame\n")
        named = sum(steps[step] for step in ("decoding", "landmarks", "warping"))
        sys.stdout.write(f"  decoding, landmarks and warping together: {100 * named / whole:.1f} %\n")
        sys.stdout.flush()
        one, two = seconds(preparation, 1), seconds(preparation, 2)
        sys.stdout.write(f"one worker {one:.1f} s, two workers {two:.1f} s: {one / two:.2f} times as fast\n")


if __name__ == "__main__":
    main()
