"""One task done on one machine, and what came of it: a failure is a value. Knows no Ray."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from austicker.plan import Tally, Task
from austicker.types import AustickerError

Work = Callable[[Task], Tally]
"""Does one task and counts what it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended.

    Attributes:
        tally: what was done, all zero where the task failed.
        seconds: how long the last attempt took.
        gpu_bytes: the most memory that the attempt held on a GPU.
        attempts: how often the task was begun.
        error: "" where it ended well.
        by_chance: the error is none that a user can mend, so another attempt may end well.
    """

    task: Task
    tally: Tally = Tally()
    seconds: float = 0.0
    gpu_bytes: int = 0
    attempts: int = 1
    error: str = ""
    by_chance: bool = False


def attempt(work: Work, task: Task, threads: int) -> Outcome:
    """Does one task on so many threads; an exception becomes the outcome's error."""
    import cv2
    import torch

    start = time.monotonic()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    tally, text, by_chance = Tally(), "", False
    try:
        tally = work(task)
    except AustickerError as error:
        text = str(error)
    except Exception as error:  # a failure of any kind is a value here: it is recorded and the run goes on
        text, by_chance = f"{type(error).__name__}: {error}", True
    finally:
        torch.set_num_threads(before)
    held = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    seconds = time.monotonic() - start
    return Outcome(task=task, tally=tally, seconds=seconds, gpu_bytes=held, error=text, by_chance=by_chance)
