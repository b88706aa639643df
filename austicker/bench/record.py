"""What a benchmark measured, as a record that later runs are forecast from; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pydantic

from austicker.grid import Load, Pace, Rate
from austicker.job import Job
from austicker.plan import Plan, Task
from austicker.progress import duration
from austicker.types import AustickerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The same shards on so many workers: median seconds, and the efficiency against one worker."""

    workers: int
    seconds: float
    verdicts_per_s: float
    evaluations_per_s: float
    cells_per_s: float
    efficiency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One benchmark of one job on one cluster.

    Attributes:
        slots: tasks that run at once; `gpu_share` is what one of them takes of a GPU, 0 without.
        models: settings of the recognisers that `rates` name.
        scaled_model: the recogniser whose shards were scaled.
        shard_s: seconds of one of these shards.
        plain_s: seconds of the shards in a plain loop, `grid_s` of the same on one worker of the grid.
        commits_per_s: parts of 1,000 rows that one process commits; `bytes_per_row` is what a row takes there.
        aggregated_rows_per_s: rows read and turned into the table of success rates.
        weights_bytes: by recogniser.
    """

    job: str
    slots: int
    gpu_share: float
    hardware: dict[str, str]
    models: dict[str, dict[str, Any]]
    rates: tuple[Rate, ...]
    scaled_model: str
    shard_s: float
    scaling: tuple[Point, ...]
    plain_s: float
    grid_s: float
    commits_per_s: float
    bytes_per_row: float
    aggregated_rows_per_s: float
    weights_bytes: dict[str, int]

    @property
    def overhead(self) -> float:
        """Returns what the grid adds to a plain loop, as a fraction."""
        return self.grid_s / self.plain_s - 1

    def to_json(self) -> str:
        """Returns the record as text; `read` is its inverse."""
        return json.dumps(asdict(self) | {"overhead": self.overhead}, indent=1, allow_nan=False) + "\n"


def read(path: Path) -> Measured:
    """Reads what a benchmark wrote.

    Raises:
        AustickerError: the file is missing or no benchmark's.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        there = {key: value for key, value in dict(content).items() if key != "overhead"}
        return pydantic.TypeAdapter(Measured).validate_python(there)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise AustickerError(
            f"'{path}' is no benchmark's record ({reason}): name a bench.json that `austicker-grid bench` wrote."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run will take; None where a recogniser, or a stage on a corpus, was not measured.

    Attributes:
        seconds: on a cluster like the one that was measured.
        gpu_hours: of whole GPUs.
        rows: verdicts to write, `bytes` what they and the weights take.
        unknown: what was not measured.
    """

    seconds: float | None
    gpu_hours: float | None
    rows: int
    bytes: int
    unknown: tuple[str, ...]


def models_of(job: Job) -> dict[str, dict[str, Any]]:
    """Returns the settings of a job's recognisers by label, as JSON gives them back."""
    settings: dict[str, dict[str, Any]] = json.loads(json.dumps({one.label: asdict(one) for one in job.models}))
    return settings


def forecast(laid_out: Plan, tasks: Iterable[Task], measured: Measured) -> Forecast:
    """Foretells what the tasks of a plan take where `measured` was taken."""
    settings = models_of(laid_out.job)
    same = {label for label, found in settings.items() if measured.models.get(label) == found} | {""}
    pace = Pace(rate for rate in measured.rates if rate.model in same)
    tasks = tuple(tasks)
    unknown = sorted({_kind(task) for task in tasks if pace.expects(task) is None})
    rows = sum(task.rows for task in tasks)
    weights = sum(measured.weights_bytes.get(task.model, 0) for task in tasks if task.stage == "train")
    work = pace.expects_all(Load(tasks))
    on_gpu = pace.expects_all(Load(task for task in tasks if task.stage != "discover"))
    return Forecast(
        seconds=None if work is None else work / measured.slots,
        gpu_hours=None if on_gpu is None else on_gpu * measured.gpu_share / 3600,
        rows=rows,
        bytes=round(rows * measured.bytes_per_row) + weights,
        unknown=tuple(unknown),
    )


def _kind(task: Task) -> str:
    return " ".join(part for part in (task.stage, task.attack, task.model, task.corpus) if part)


def in_words(found: Forecast) -> dict[str, str]:
    """Returns a forecast for people."""
    unknown = f"unknown: no measurement of {', '.join(found.unknown)}"
    return {
        "foretold time": unknown if found.seconds is None else duration(found.seconds),
        "foretold GPU hours": unknown if found.gpu_hours is None else f"{found.gpu_hours:.2g}",
        "foretold rows": f"{found.rows:,}",
        "foretold bytes": f"{found.bytes:,}",
    }
