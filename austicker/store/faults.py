"""Which faults of a store pass by themselves and how long they are waited for; knows no backend."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from austicker.types import AustickerError

T = TypeVar("T")

PATIENCE_S = 300.0
"""How long a store that does not answer is tried again; AUSTICKER_STORE_PATIENCE_S overrides it."""
FIRST_PATIENCE_S = 5.0
"""The same for the first contact, where a mistake in the address is likelier than a fault that passes."""
LONGEST_PAUSE_S = 15.0
SILENCE_S = 10.0
"""After this it is said that a store is waited for."""
_VARIABLE = "AUSTICKER_STORE_PATIENCE_S"


class Unreadable(AustickerError):
    """What was asked for is missing or damaged; to make it again mends that."""


class Unanswered(OSError):
    """The store did not answer, or not with all that it holds; a later call may find it well again."""


def patience_s() -> float:
    """Returns how long a store that does not answer is tried again.

    Raises:
        AustickerError: the environment variable holds no such number.
    """
    text = os.environ.get(_VARIABLE, "")
    try:
        seconds = float(text) if text else PATIENCE_S
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise AustickerError(f"{_VARIABLE} is '{text}': give a number of seconds, 0 or more.")
    return seconds


def waited_for(call: Callable[[], T], passes: Callable[[OSError], bool], seconds: float, name: str) -> T:
    """Returns what a call returns, made again after growing random pauses while its faults pass by themselves.

    Args:
        call: something that may be done twice.
        passes: tells whether a fault may pass by itself.
        seconds: how long it is tried.
        name: of the store, for the log.

    Raises:
        OSError: a fault that does not pass, or has not passed in that time.
    """
    told = False

    def tell(state: RetryCallState) -> None:
        nonlocal told
        if not told and state.seconds_since_start and state.seconds_since_start > SILENCE_S:
            told = True
            logging.getLogger(__name__).warning("%s does not answer; waiting for it up to %g s", name, seconds)

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, OSError) and passes(error)),
        wait=wait_random_exponential(multiplier=0.5, max=min(LONGEST_PAUSE_S, max(seconds / 4, 0.1))),
        stop=stop_after_delay(seconds),
        before_sleep=tell,
        reraise=True,
    )
    return retrying(call)
