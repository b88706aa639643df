"""Run as `make bench`: what counting once per person gains over counting every resample's rows, in one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from planted_activity import planted_activity

from austicker.causal import graph_of, resampled
from austicker.independence import as_tested
from austicker.regions import NAMES
from austicker.types import DiscoverySettings, RegionGraph

CLIPS_EACH, RESAMPLES = 6, 100


def seconds(work: Callable[[], list[RegionGraph]]) -> tuple[float, list[RegionGraph]]:
    """Returns how long one call takes, and its graphs."""
    start = time.perf_counter()
    graphs = work()
    return time.perf_counter() - start, graphs


def main() -> None:
    """Prints the seconds of one fold's resamples both ways, and their ratio.

    Raises:
        ValueError: the two ways found different graphs.
    """
    activity = planted_activity(np.random.default_rng(0))
    people = np.arange(len(activity)) // CLIPS_EACH
    settings = DiscoverySettings(bootstraps=RESAMPLES)
    codes = as_tested(activity, settings)
    as_coded = DiscoverySettings(method="action-units")  # the same test on codes as they are

    def reused() -> list[RegionGraph]:
        rng, subjects = np.random.default_rng(1), [f"s{person:02d}" for person in people]
        return list(resampled(activity, NAMES, settings=settings, subjects=subjects, rng=rng))

    def counted() -> list[RegionGraph]:
        draws = np.random.default_rng(1).integers(people.max() + 1, size=(RESAMPLES, people.max() + 1))
        rows = (np.concatenate([np.flatnonzero(people == person) for person in drawn]) for drawn in draws)
        return [graph_of(codes[drawn], NAMES, as_coded) for drawn in rows]

    graph_of(activity, NAMES, settings)  # imports
    (once, found), (each, twin) = seconds(reused), seconds(counted)
    if found != twin:
        raise ValueError("counting once per person found other graphs than counting every resample")
    sys.stdout.write(
        f"{RESAMPLES} resamples of {people.max() + 1} people: {once:.1f} s counted once per person, "
        f"{each:.1f} s counted each: {each / once:.1f} times as fast, same graphs\n"
    )


if __name__ == "__main__":
    main()
