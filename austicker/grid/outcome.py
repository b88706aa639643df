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
    """

    task: Task
    tally: Tally = Tally()
    seconds: float = 0.0
    gpu_bytes: int = 0
    attempts: int = 1
    error: str = ""


def attempt(work: Work, task: Task) -> Outcome:
    """Does one task on one thread; an exception becomes the outcome's error."""
    import cv2
    import torch

    start = time.monotonic()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    tally, text = Tally(), ""
    try:
        tally = work(task)
    except Exception as error:  # a failure of any kind is a value here: it is recorded and the run goes on
        text = str(error) if isinstance(error, AustickerError) else f"{type(error).__name__}: {error}"
    finally:
        torch.set_num_threads(threads)
    held = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return Outcome(task=task, tally=tally, seconds=time.monotonic() - start, gpu_bytes=held, error=text)
