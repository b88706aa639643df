"""Faces and recognisers for tests of searches: a recogniser is a function of looks, so that no picture is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from austicker.attacks.looks import Face, Looks, Reals, Walk
from austicker.attacks.oracle import Answers
from austicker.faces.alignment import template_points

SIZE = (98, 112)


def mean_face(seed: int = 0, *, sticker_px: tuple[int, int] = (10, 10), label: int = 0) -> Face:
    """The mean of the aligned faces."""
    return Face(
        landmarks=template_points(SIZE),
        size_px=SIZE,
        sticker_px=sticker_px,
        label=label,
        rng=np.random.default_rng(seed),
    )


@dataclass(frozen=True)
class Told:
    """What a walk asked, population by population; `won` is the number of the first look that hid the emotion, or 0."""

    rounds: list[Looks] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    won: int = 0

    @property
    def asked(self) -> int:
        return sum(len(looks) for looks in self.rounds)


def driven(walk: Walk, scores: Callable[[Looks], Reals], *, label: int = 0, budget: int = 10**6) -> Told:
    """Walks until the end, or, where a budget is given, until the emotion is hidden or the budget spent."""
    told, looks = Told(), next(walk, None)
    while looks is not None:
        looks = looks[: budget - told.asked]
        given = scores(looks)
        answers = Answers(labels=given.argmax(1), scores=given.astype(np.float32))
        hidden = np.flatnonzero(answers.labels != label)
        if budget < 10**6 and len(hidden):
            return Told(told.rounds, told.answers, told.asked + int(hidden[0]) + 1)
        told.rounds.append(looks)
        told.answers.append(answers)
        if told.asked >= budget:
            return told
        try:
            looks = walk.send(answers)
        except StopIteration:
            looks = None
    return told


def steady(looks: Looks, true: float = 0.9, classes: int = 2, label: int = 0) -> Reals:
    """A recogniser that no sticker changes."""
    scores = np.full((len(looks), classes), (1 - true) / (classes - 1))
    scores[:, label] = true
    return scores


def well(looks: Looks, spot: Reals, radius: float, classes: int = 2, label: int = 0) -> Reals:
    """A recogniser that is surer the farther away from one spot a sticker is, and mistaken within a radius of it."""
    distance = np.hypot(*(looks.centres[:, 0] - spot).T)
    true = np.where(distance < radius, 0.4, 0.5 + 0.45 * (1 - np.exp(-distance / 0.1)))
    scores = (1 - true)[:, None] * np.full(classes, 1e-3)
    scores[:, (label + 1) % classes] = (1 - true) * (1 - 1e-3 * (classes - 2))
    scores[:, label] = true
    return scores
