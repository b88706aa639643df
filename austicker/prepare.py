"""Prepares the corpora of a user's folders on the grid: which shards are missing, who makes them, and the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from austicker import grid
from austicker.corpora import READERS, Progress, packed, prepared
from austicker.corpora.prepared import Framing, Portion, Preparation
from austicker.job import Job
from austicker.plan import Tally, Task
from austicker.types import AustickerError


def prepare_all(job: Job, site: grid.Site, progress: Progress) -> None:
    """Prepares whatever a job names that is not prepared, or whose annotations have changed since.

    Raises:
        AustickerError: a corpus cannot be read or packed.
    """
    for choice in job.corpora:
        if choice.name in READERS.names() and choice.root is not None:
            preparation = Preparation(name=choice.name, root=Path(choice.root), landmarks=choice.landmarks)
            if prepared.state(preparation) != "ready":
                prepare(preparation, site, progress)


def prepare(preparation: Preparation, site: grid.Site, progress: Progress) -> packed.Record:
    """Packs what is missing of a corpus and makes it ready.

    Args:
        preparation: which corpus.
        site: where the work is done; 0 workers do it without Ray, in this process.
        progress: called with clips packed and in all.

    Raises:
        AustickerError: nothing usable is there, the disk refuses, or a shard failed.
    """
    packed.reserve(preparation.name, preparation.folder)
    reading = preparation.read()
    wanted = prepared.portions(preparation, reading)
    left = prepared.missing(preparation, wanted)
    done, total = len(reading.clips) - sum(len(portion.clips) for portion in left), len(reading.clips)
    progress(done, total)
    work = partial(_pack, preparation=preparation, framing=prepared.framing_of(reading))
    failures = []
    for outcome in _outcomes(work, _tasks(preparation, left), site):
        done += len(outcome.task.sources)
        progress(done, total)
        if outcome.error:
            failures.append(outcome.error)
    if failures:
        raise AustickerError(
            f"{len(failures)} of {len(wanted)} shards of corpus '{preparation.name}' could not be packed (the first: "
            f"{failures[0].rstrip('.')}); the others are kept: run the same command again."
        )
    return prepared.conclude(preparation, reading, wanted)


def _tasks(preparation: Preparation, left: Iterable[Portion]) -> list[Task]:
    return [Task(id=portion.name, stage="prepare", corpus=preparation.name, sources=portion.clips) for portion in left]


def _outcomes(work: grid.Work, tasks: list[Task], site: grid.Site) -> Iterator[grid.Outcome]:
    if not tasks:
        return
    if site.address is None and site.workers == 0:
        yield from grid.map_local(work, tasks)
        return
    with grid.cluster(site):
        yield from grid.map_ray(work, tasks, grid.Demand(cpus=site.demand.cpus, gpus=0))


def _pack(task: Task, preparation: Preparation, framing: Framing) -> Tally:
    prepared.pack(preparation, framing, Portion(name=task.id, clips=task.sources))
    return Tally()
