"""Walks the searches of many faces side by side, so that each round of all of them is one batch; searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Face, Looks, Walk, looks_at
from austicker.attacks.oracle import Answers, Oracle
from austicker.attacks.trials import Trials
from austicker.memory import halving

ABREAST = 256
"""Faces that are searched side by side: enough to fill a card, few enough to hold what each of them keeps."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempts:
    """How n trials ended, each with the look that hid the emotion first, or else came closest.

    Attributes:
        looks: n of them; that of a trial that asked nothing means nothing.
        at: (n,) number of the query that asked for it, from 1: the oracle's record says how it was answered. 0 where
            nothing was asked.
    """

    looks: Looks
    at: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Best:
    """The look that counts for one trial."""

    goal: int
    look: Looks | None = None
    at: int = 0
    hidden: bool = False
    score: float = np.inf

    def take(self, looks: Looks, labels: NDArray[np.int64], scores: NDArray[np.float32], before: int) -> None:
        """Keeps the first success for good, until then the lowest score of the true class; the earlier of equals."""
        if self.hidden:
            return
        hides = labels != self.goal
        row = int(np.argmax(hides)) if hides.any() else int(np.argmin(scores))
        if self.look is None or hides[row] or scores[row] < self.score:
            self.look, self.at = looks[row : row + 1], before + row + 1
            self.hidden, self.score = bool(hides[row]), float(scores[row])


def ask_all(oracle: Oracle, trials: Trials, owners: NDArray[np.int64], looks: Looks) -> Answers:
    """Returns the answers to many looks; only one batch of pictures is in memory at a time, and all are one call.

    Args:
        oracle: whom to ask; every look must fit into its owner's budget.
        trials: whose clips.
        owners: (m,) the trial of each look.
        looks: m of them.
    """

    def asked(rows: slice) -> Answers:
        return oracle.ask(trials.pictures(owners[rows], looks[rows]), owners[rows])

    oracle.count_call(owners)
    parts = list(halving(asked, len(looks), trials.batch))
    scores = [part.scores for part in parts if part.scores is not None]
    return Answers(
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate(scores) if scores else None,
    )


def walk_all(
    oracle: Oracle,
    trials: Trials,
    search: Callable[[Face], Walk],
    *,
    stops: bool,
) -> Attempts:
    """Searches on every trial until it ends, succeeds or has spent its budget.

    Every round shows the populations of all faces as one batch. A round is never cut by a success, only by the
    budget: what is counted does not depend on how large a batch the device takes.

    Args:
        oracle: whom to ask.
        trials: the faces.
        search: begins a walk on one face.
        stops: a walk ends with the first round that holds a success.

    Raises:
        ValueError: there is no trial.
    """
    if not len(trials):
        raise ValueError("a search needs at least one trial")
    best = [_Best(face.label) for face in trials.faces]
    for start in range(0, len(trials), ABREAST):
        group = range(start, min(start + ABREAST, len(trials)))
        walks = {trial: search(trials.faces[trial]) for trial in group}
        waiting = {trial: looks for trial, walk in walks.items() if (looks := next(walk, None)) is not None}
        while waiting:
            for trial, answers in _round(oracle, trials, waiting):
                asked = waiting.pop(trial)
                _keep(best[trial], oracle, trial, asked[: len(answers.labels)])
                over = len(answers.labels) < len(asked) or (stops and bool(oracle.succeeded[trial]))
                following = None if over else _next(walks[trial], answers)
                if following is None:
                    walks[trial].close()
                    oracle.close(trial)
                else:
                    waiting[trial] = following
    return _ended(best)


def _round(oracle: Oracle, trials: Trials, waiting: dict[int, Looks]) -> Iterator[tuple[int, Answers]]:
    """Asks for all that wait at once and yields the answers of each trial, fewer than asked where its budget ends."""
    left = oracle.left
    within = {trial: looks[: left[trial]] for trial, looks in waiting.items()}
    counts = [len(looks) for looks in within.values()]
    if not sum(counts):
        found = Answers(labels=np.zeros(0, np.int64), scores=None)
    else:
        found = ask_all(oracle, trials, np.repeat(list(within), counts), Looks.joined(list(within.values())))
    stop = np.cumsum(counts)
    for trial, first, last in zip(list(within), stop - counts, stop, strict=True):
        scores = None if found.scores is None else found.scores[first:last]
        yield trial, Answers(labels=found.labels[first:last], scores=scores)


def _next(walk: Walk, answers: Answers) -> Looks | None:
    try:
        return walk.send(answers)
    except StopIteration:
        return None


def _keep(best: _Best, oracle: Oracle, trial: int, looks: Looks) -> None:
    """Judges what was just asked for by the oracle's record, which holds scores that the search may not see."""
    labels, scores = oracle.record(trial)
    before = len(labels) - len(looks)
    if len(looks):
        best.take(looks, labels[before:], scores[before:], before)


def _ended(best: Sequence[_Best]) -> Attempts:
    anything = next((item.look for item in best if item.look is not None), looks_at([[0.5, 0.5]]))
    looks = Looks.joined([anything if item.look is None else item.look for item in best])
    return Attempts(looks=looks, at=np.array([item.at for item in best], np.int64))
