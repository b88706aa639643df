"""Prepares the corpora of a user's folders on the grid: which shards are missing, who makes them, and the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from filelock import FileLock

from austicker import grid
from austicker.corpora import READERS, Progress, packed, prepared
from austicker.corpora.preparation import Framing, Portion, Preparation, framing_of, portions, state_of
from austicker.corpora.source import Reading
from austicker.job import Job
from austicker.plan import Tally, Task
from austicker.types import AustickerError


def prepare_all(job: Job, site: grid.Site, progress: Progress) -> dict[str, packed.Record]:
    """Prepares whatever a job names that is not prepared, or of which a file has changed since; returns the records.

    Raises:
        AustickerError: a corpus cannot be read or packed.
    """
    return {
        choice.name: prepare(
            Preparation(name=choice.name, root=Path(choice.root), landmarks=choice.landmarks), site, progress
        )
        for choice in job.corpora
        if choice.name in READERS.names() and choice.root is not None
    }


def prepare(preparation: Preparation, site: grid.Site, progress: Progress) -> packed.Record:
    """Packs what is missing of a corpus and makes it ready.

    Args:
        preparation: which corpus.
        site: where the work is done; 0 workers do it without Ray, in this process.
        progress: called with clips packed and in all.

    Raises:
        AustickerError: nothing usable is there, the disk refuses, or a shard failed.
    """
    reading = preparation.read()
    annotations = state_of(preparation.root, reading.annotations)
    packed.reserve(preparation.name, preparation.folder)
    with FileLock(preparation.folder.with_suffix(".lock")):
        wanted = _packed(preparation, reading, site, progress)
        return prepared.conclude(preparation, reading, wanted, annotations)


def _packed(preparation: Preparation, reading: Reading, site: grid.Site, progress: Progress) -> tuple[Portion, ...]:
    """Packs what is missing and returns the whole, in order."""
    wanted = portions(preparation, reading)
    left = prepared.missing(preparation, wanted)
    done, total = len(reading.clips) - sum(len(portion.clips) for portion in left), len(reading.clips)
    progress(done, total)
    work = partial(_pack, preparation=preparation, framing=framing_of(reading))
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
    return wanted


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
