"""Walks the searches of many faces side by side, so that each round of all of them is one batch; searches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.looks import Face, Proposal, Walk, looks_at
from austicker.attacks.oracle import Answers, Oracle
from austicker.attacks.search import CLOSEST, Cost, Judge
from austicker.attacks.trials import Trials
from austicker.memory import halving

ABREAST = 256
"""Faces that are searched side by side: enough to fill a card, few enough to hold what each of them keeps."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempts:
    """How n trials ended, each with the look or edit that hid the emotion first or came closest, or was best else.

    Attributes:
        looks: n of them; that of a trial that asked nothing means nothing.
        at: (n,) number of the query that asked for it, from 1: the oracle's record says how it was answered. 0 where
            nothing was asked.
    """

    looks: Proposal
    at: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class _Best:
    """The look that counts for one trial."""

    goal: int
    look: Proposal | None = None
    at: int = 0
    cost: float = np.inf

    def take(self, looks: Proposal, costs: NDArray[np.float64], before: int) -> None:
        """Keeps the proposal of lowest cost, the earliest of equals."""
        row = int(np.argmin(costs))
        if self.look is None or costs[row] < self.cost:
            self.look, self.at, self.cost = looks[row : row + 1], before + row + 1, float(costs[row])


def ask_all(
    oracle: Oracle, trials: Trials, owners: NDArray[np.int64], looks: Proposal, *, measures: bool = False
) -> Answers:
    """Returns the answers to many looks; only one batch of pictures is in memory at a time, and all are one call.

    Args:
        oracle: whom to ask; every look must fit into its owner's budget.
        trials: whose clips.
        owners: (m,) the trial of each look.
        looks: m of them.
        measures: the answers say how much of each picture is changed.
    """

    def asked(rows: slice) -> Answers:
        pictures = trials.pictures(owners[rows], looks[rows])
        answers = oracle.ask(pictures, owners[rows])
        return replace(answers, ssim=trials.similarity(owners[rows], pictures)) if measures else answers

    oracle.count_call(owners)
    parts = list(halving(asked, len(looks), trials.batch))
    scores = [part.scores for part in parts if part.scores is not None]
    ssim = [part.ssim for part in parts if part.ssim is not None]
    return Answers(
        labels=np.concatenate([part.labels for part in parts]),
        scores=np.concatenate(scores) if scores else None,
        ssim=np.concatenate(ssim) if ssim else None,
    )


def ask_once(oracle: Oracle, trials: Trials, proposals: Proposal) -> Attempts:
    """Asks for one proposal on each trial, of which there is one at least, after whatever was asked before."""
    ask_all(oracle, trials, np.arange(len(trials)), proposals)
    return Attempts(looks=proposals, at=oracle.ledger.queries)


def walk_all(
    oracle: Oracle,
    trials: Trials,
    begin: Callable[[Face], Walk],
    *,
    stops: bool,
    judge: Judge = CLOSEST,
) -> Attempts:
    """Searches on every trial until it ends, succeeds or has spent its budget.

    Every round shows the populations of all faces as one batch. A round is never cut by a success, only by the
    budget: what is counted does not depend on how large a batch the device takes.

    Args:
        oracle: whom to ask.
        trials: the faces.
        begin: begins a walk on one face.
        stops: a walk ends with the first round that holds a success.
        judge: what counts in the end.

    Raises:
        ValueError: there is no trial.
    """
    if not len(trials):
        raise ValueError("a search needs at least one trial")
    best = [_Best(face.label) for face in trials.faces]
    for start in range(0, len(trials), ABREAST):
        group = range(start, min(start + ABREAST, len(trials)))
        walks = {trial: begin(trials.faces[trial]) for trial in group}
        waiting = {trial: looks for trial, walk in walks.items() if (looks := next(walk, None)) is not None}
        while waiting:
            for trial, answers in _round(oracle, trials, waiting, judge.measures):
                asked = waiting.pop(trial)
                _keep(best[trial], judge.cost, oracle.record(trial), asked[: len(answers.labels)], answers.ssim)
                over = len(answers.labels) < len(asked) or (stops and bool(oracle.succeeded[trial]))
                following = None if over else _next(walks[trial], answers)
                if following is None:
                    walks[trial].close()
                    oracle.close(trial)
                else:
                    waiting[trial] = following
    return _ended(best)


def _round(
    oracle: Oracle, trials: Trials, waiting: dict[int, Proposal], measures: bool
) -> Iterator[tuple[int, Answers]]:
    """Asks for all that wait at once and yields the answers of each trial, fewer than asked where its budget ends."""
    left = oracle.left
    within = {trial: looks[: left[trial]] for trial, looks in waiting.items()}
    counts = [len(looks) for looks in within.values()]
    if not sum(counts):
        found = Answers(labels=np.zeros(0, np.int64), scores=None)
    else:
        found = ask_all(
            oracle, trials, np.repeat(list(within), counts), _joined(list(within.values())), measures=measures
        )
    stop = np.cumsum(counts)
    for trial, first, last in zip(list(within), stop - counts, stop, strict=True):
        scores = None if found.scores is None else found.scores[first:last]
        ssim = None if found.ssim is None else found.ssim[first:last]
        yield trial, Answers(labels=found.labels[first:last], scores=scores, ssim=ssim)


def _joined(parts: list[Proposal]) -> Proposal:
    """Returns several batches of one kind one after the other."""
    kind: Any = type(parts[0])
    joined: Proposal = kind.joined(parts)
    return joined


def _next(walk: Walk, answers: Answers) -> Proposal | None:
    try:
        following: Proposal = walk.send(answers)
    except StopIteration:
        return None
    return following


def _keep(
    best: _Best,
    cost: Cost,
    record: tuple[NDArray[np.int64], NDArray[np.float32]],
    looks: Proposal,
    ssim: NDArray[np.float64] | None,
) -> None:
    """Judges what was just asked for by the oracle's record, which holds scores that the search may not see."""
    labels, scores = record
    before = len(labels) - len(looks)
    if len(looks):
        best.take(looks, cost(labels[before:] != best.goal, scores[before:], ssim), before)


def _ended(best: Sequence[_Best]) -> Attempts:
    anything = next((item.look for item in best if item.look is not None), looks_at([[0.5, 0.5]]))
    looks = _joined([anything if item.look is None else item.look for item in best])
    return Attempts(looks=looks, at=np.array([item.at for item in best], np.int64))
