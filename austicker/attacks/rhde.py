"""Region-based heuristic differential evolution of Wei, Guo and Yu: where on the skin, how turned, and how opaque.

As their public code has it: a member of the population is a pixel of the face's skin, by its position in a shuffled
list, an opacity and a rotation. Differential evolution (best/1, dithered, recombination 1, Latin hypercube) moves all
but the best fifth; these move to the best of their 8 neighbour pixels. Where too much of the sticker lies beside the
skin, a member is invalid. First the true class' score is pushed down; once the runner-up is close behind, it is locked
as the target.

The authors count 30 x 120 = 3,600 queries, their program one for each batch. What is asked is counted here: 120, and in
each iteration 120 and up to 8 x 24 neighbours, 9,480 at most. (Their program also shows its best member once more after
each iteration, 9,510; here the answer is known.) Neighbours that won are asked once more with the population, as
published, where the first picture was flat and the second bent; here both are the same, which an oracle may answer from
memory.

Adapted to these faces, and not published: the mask has 68 points (`face_mask`); the 15 pixels that may lie beside it
are 15 of a sticker of 32 x 31, and scale with the sticker's area; what the picture's rim cuts off lies beside it; the
sticker's middle, not its corner, is at the pixel; an invalid member has the published fitness but is not shown (their
program shows it and ignores the answer), so that it costs no query and cannot win; where the whole first population is
invalid, one member goes to the roomiest place.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.evolution import partners
from austicker.attacks.face_mask import Places, Skin
from austicker.attacks.looks import Face, Looks, Reals, Walk, looks_at
from austicker.attacks.search import Search
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.attacks.oracle import Answers

LEAST_MEMBERS = 5
"""Smallest population, as in the published code."""
WIDEST_DEGREES = 359.0
DITHER = (0.5, 1.0)
"""The weight of a difference is drawn anew for each iteration."""
HIDDEN, INVALID = -99.99, 99.99
"""Fitness of a member that hides the emotion, and of one that may not be shown."""
AROUND = tuple((across, down) for down in (-1, 0, 1) for across in (-1, 0, 1) if across or down)
JUMPS = 0.5
"""How often a neighbour that was visited is passed over for a farther one; otherwise its opacity is drawn anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the search; all defaults are published.

    Attributes:
        population: members, 40 for each of the three genes.
        iterations: generations after the first.
        neighbourly: share of the population, the best, that moves to a neighbour pixel instead of being mutated.
        lowest_opacity: of a member, above 0.
        highest_opacity: of a member, at most 1.
        outside: share of the sticker's pixels that may lie beside the skin.
        gap: percentage points between the true class and the runner-up at which the latter becomes the target.
        beta: weight of the relative lead of the true class over the target, beside its lead in points.
    """

    population: int = 120
    iterations: int = 30
    neighbourly: float = 0.2
    lowest_opacity: float = 0.8
    highest_opacity: float = 0.98
    outside: float = 15 / (32 * 31)
    gap: float = 15.0
    beta: float = 20.0

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if self.population < LEAST_MEMBERS or self.iterations < 1:
            raise AustickerError(
                f"An RHDE search needs a population of at least {LEAST_MEMBERS} and an iteration, not "
                f"{self.population} and {self.iterations}."
            )
        if not 0 < self.lowest_opacity <= self.highest_opacity <= 1:
            raise AustickerError(
                f"RHDE's opacities {self.lowest_opacity:g} to {self.highest_opacity:g} are no range; give two numbers "
                "above 0 and at most 1, the lower one first."
            )
        if not (0 <= self.neighbourly <= 1 and 0 <= self.outside <= 1):
            raise AustickerError(
                f"RHDE's shares, neighbourly {self.neighbourly:g} and outside {self.outside:g}, must be in 0..1."
            )
        if not (0 <= self.gap <= 100 and 0 <= self.beta < float("inf")):
            raise AustickerError(f"RHDE's gap {self.gap:g} must be in 0..100 and its beta {self.beta:g} at least 0.")

    @property
    def moved(self) -> int:
        """Returns how many members move to a neighbour pixel in each iteration."""
        return int(self.neighbourly * self.population)

    @property
    def queries(self) -> int:
        """Returns the most that this search asks, neighbours included."""
        return self.population + self.iterations * (self.population + len(AROUND) * self.moved)

    def within(self, budget: int) -> Settings:
        """Returns a search of fewer members; the iterations stay and the budget ends them.

        How many members of an iteration are valid, and so asked for, is not known beforehand.
        """
        if budget >= self.queries:
            return self
        population = int(self.population * sqrt(max(budget, 0) / self.queries))
        return replace(self, population=max(LEAST_MEMBERS, population))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What m members were answered.

    Attributes:
        labels: (m,) class indices, -1 where a member was not shown.
        scores: (m, classes) probabilities; (m, 1) where no member was shown.
    """

    labels: NDArray[np.int64]
    scores: Reals

    def __getitem__(self, rows: NDArray[np.int64]) -> Heard:
        """Returns the answers to some members."""
        return Heard(labels=self.labels[rows], scores=self.scores[rows])

    def replaced(self, other: Heard, rows: NDArray[np.bool_]) -> Heard:
        """Returns these answers, but the other's at some members."""
        return Heard(
            labels=np.where(rows, other.labels, self.labels),
            scores=np.where(rows[:, None], other.scores, self.scores),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised, in percent.

    Attributes:
        goal: the class to hide.
        beta: as in the settings.
        latter: the class that is to win, or None while any other will do.
    """

    goal: int
    beta: float
    latter: int | None = None

    def fitness(self, heard: Heard) -> Reals:
        """Returns the fitness of members (m,), lower is better."""
        fitness = np.full(len(heard.labels), INVALID)
        fitness[(heard.labels >= 0) & (heard.labels != self.goal)] = HIDDEN
        seen = heard.labels == self.goal
        if seen.any():
            scores = 100 * heard.scores[seen]
            true = scores[:, self.goal]
            lead = true if self.latter is None else true - scores[:, self.latter]
            fitness[seen] = true if self.latter is None else self.beta * lead / true + lead
        return fitness

    def locked(self, heard: Heard, gap: float) -> Objective:
        """Returns the objective after these answers: the runner-up of their best is locked once it is close."""
        best = int(self.fitness(heard).argmin())
        if self.latter is not None or heard.labels[best] != self.goal:
            return self
        others = heard.scores[best].copy()
        others[self.goal] = -np.inf
        close = 100 * (heard.scores[best, self.goal] - others.max()) <= gap
        return replace(self, latter=int(others.argmax())) if close else self


@dataclass(slots=True, kw_only=True, eq=False)
class Ground:
    """The places of one face, and those that were visited.

    Genes are (m, 3) in 0..1: position in the list of pixels, opacity and rotation.

    Attributes:
        pixels: (n, 2) pixels of free skin as (column, row), shuffled.
        number: of each pixel (column, row) its position in that list.
        visited: pixels and opacity genes that were tried as a neighbour.
    """

    face: Face
    settings: Settings
    skin: Skin
    pixels: Places
    number: dict[tuple[int, int], int]
    visited: set[tuple[int, int, float]] = field(default_factory=set)

    @classmethod
    def of(cls, face: Face, settings: Settings) -> Ground:
        """Returns the ground of a face, nothing visited.

        Raises:
            AustickerError: the landmarks span no face.
        """
        skin = Skin.of(face)
        pixels = face.rng.permutation(skin.places())
        number = {(column, row): position for position, (column, row) in enumerate(pixels.tolist())}
        return cls(face=face, settings=settings, skin=skin, pixels=pixels, number=number)

    def first_genes(self) -> Reals | None:
        """Returns a Latin hypercube; where none of it is valid, one member lies upright at the roomiest place.

        None where not even that is valid: the sticker has no place on this face.
        """
        count, rng = self.settings.population, self.face.rng
        genes = np.stack([(rng.permutation(count) + rng.random(count)) / count for _ in range(3)], axis=1)
        if not self._worn(genes)[1].any():
            roomiest = self.skin.roomiest()[0]
            genes[0, 0], genes[0, 2] = self._gene(self.number[tuple(roomiest.tolist())]), 0.0
            if not self._worn(genes[:1])[1].any():
                return None
        return genes

    def ask(self, genes: Reals) -> Generator[Looks, Answers, Heard]:
        """Asks for the valid members, and returns what all of them were answered."""
        looks, valid = self._worn(genes)
        labels, scores = np.full(len(genes), -1, np.int64), np.zeros((len(genes), 1))
        if valid.any():
            answers = yield looks[valid]
            if answers.scores is None:
                raise ValueError("RHDE reads scores, and was answered with labels alone")
            labels[valid] = answers.labels
            scores = np.zeros((len(genes), answers.scores.shape[1]))
            scores[valid] = answers.scores
        return Heard(labels=labels, scores=scores)

    def mutated(self, genes: Reals) -> Reals:
        """Returns best/1 of each member; the first is the best, and a gene out of range is drawn anew."""
        rng = self.face.rng
        one, other = partners(rng, len(genes), 2).T
        trials = genes[0] + rng.uniform(*DITHER) * (genes[one] - genes[other])
        inside: Reals = np.where((trials < 0) | (trials > 1), rng.random(trials.shape), trials)
        return inside

    def neighbours(self, genes: Reals) -> Reals:
        """Returns the neighbours (k, 3) of one member (3,) that are on the skin, at most 8."""
        rng, found = self.face.rng, []
        column, row = self.pixels[self._position(genes[None])[0]].tolist()
        for across, down in AROUND:
            place, opacity = (column + across, row + down), float(genes[1])
            if (*place, opacity) in self.visited:
                if rng.random() < JUMPS:
                    ring = 1
                    while (*place, opacity) in self.visited:
                        ring += 1
                        place = column + ring * across, row + ring * down
                else:
                    opacity = float(rng.random())
            self.visited.add((*place, opacity))
            if place in self.number:
                found.append((self._gene(self.number[place]), opacity, genes[2]))
        return np.array(found).reshape(-1, 3)

    def moved(self, genes: Reals) -> Generator[Looks, Answers, Reals]:
        """Asks for the neighbours of members and returns each member at its best one, or where it has none, as it is.

        Neighbours are compared by the true class' score in both phases, as published.
        """
        around = [self.neighbours(member) for member in genes]
        counts = [len(found) for found in around]
        if not sum(counts):
            return genes
        asked = np.concatenate(around)
        heard = yield from self.ask(asked)
        fitness = Objective(goal=self.face.label, beta=self.settings.beta).fitness(heard)
        moved = genes.copy()
        for member, (stop, count) in enumerate(zip(np.cumsum(counts), counts, strict=True)):
            if count:
                moved[member] = asked[stop - count + fitness[stop - count : stop].argmin()]
        return moved

    def _gene(self, position: int) -> float:
        return (position + 0.5) / len(self.pixels)

    def _position(self, genes: Reals) -> NDArray[np.int64]:
        return np.minimum((genes[:, 0] * len(self.pixels)).astype(np.int64), len(self.pixels) - 1)

    def _worn(self, genes: Reals) -> tuple[Looks, NDArray[np.bool_]]:
        """Returns how members look, and which of them are valid."""
        lowest, highest = self.settings.lowest_opacity, self.settings.highest_opacity
        places, rotation = self.pixels[self._position(genes)], genes[:, 2] * WIDEST_DEGREES
        looks = looks_at(
            self.skin.centres(places), rotation=rotation, opacity=lowest + genes[:, 1] * (highest - lowest)
        )
        width, height = self.face.sticker_px
        return looks, self.skin.outside(places, rotation) <= self.settings.outside * width * height


def walk(face: Face, settings: Settings) -> Walk:
    """Searches one face; asks nothing where the sticker has no place between brows, eyes, nose and mouth.

    Raises:
        AustickerError: the landmarks span no face.
    """
    ground = Ground.of(face, settings)
    objective = Objective(goal=face.label, beta=settings.beta)
    genes = ground.first_genes()
    if genes is None:
        return
    heard = yield from ground.ask(genes)
    objective = objective.locked(heard, settings.gap)
    for _ in range(settings.iterations):
        order = np.argsort(objective.fitness(heard), kind="stable")
        genes, heard = genes[order], heard[order]
        neighbours = yield from ground.moved(genes[: settings.moved])
        trials = np.concatenate([neighbours, ground.mutated(genes)[settings.moved :]])
        answers = yield from ground.ask(trials)
        better = objective.fitness(answers) < objective.fitness(heard)
        genes, heard = np.where(better[:, None], trials, genes), heard.replaced(answers, better)
        objective = objective.locked(answers, settings.gap)


attack = Search(access="scores", settings=Settings, walk=walk)
