"""Draws the points at which processes are killed, from a seed; kills nobody."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

from faults.injection import HARMLESS, STEPS, Point

WANTED = int(os.environ.get("AUSTICKER_CRASH_POINTS", "50"))
SEED = int(os.environ.get("AUSTICKER_CRASH_SEED", "2026"))
RUN_POINTS = 25
RUNS = -(-WANTED // RUN_POINTS)
"""Runs over which the points are spread."""
MOST = 2
"""Deaths of one task in one run: a third one alone sets it aside."""


def kind(key: str) -> str:
    """Returns what lies at a key: its folder and its suffix."""
    path = PurePosixPath(key)
    return f"{path.parts[0]}{path.suffix}"


def drawn(kinds: Mapping[str, str]) -> list[list[Point]]:
    """Returns the points of every run: each step of each kind of file at least once, the rest by chance.

    Every point will be reached: of two on one file the first is before the file has its name, and no task dies so often
    that it is set aside.

    Args:
        kinds: of each key what lies there, such as `kind` tells.
    """
    generator = random.Random(SEED)
    by_kind: dict[str, list[str]] = {}
    for key in sorted(kinds):
        by_kind.setdefault(kinds[key], []).append(key)
    wanted = [(name, step) for name in by_kind for step in STEPS]
    wanted += generator.choices(wanted, k=max(0, WANTED - len(wanted)))
    generator.shuffle(wanted)
    runs: list[list[Point]] = [[] for _ in range(RUNS)]
    for number, (name, step) in enumerate(wanted):
        run = runs[number % RUNS]
        run.append(generator.choice([(key, step) for key in by_kind[name] if _fits(run, key, step)]))
    return runs


def _fits(run: list[Point], key: str, step: str) -> bool:
    deaths = Counter(PurePosixPath(other).stem for other, _ in run)[PurePosixPath(key).stem]
    here = {other for point, other in run if point == key}
    return deaths < MOST and step not in here and not (step in HARMLESS and here & set(HARMLESS))
