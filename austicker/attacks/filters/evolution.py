"""The nested evolution of filter sequences of Baia and others (2022): which filters, how strong and how intense.

Outside, a genetic algorithm for each face: its genes are the filters of a sequence, each with a strength and an
intensity. It starts from random filters at their first parameters. In each generation as many offspring as members are
made by a one-point crossover of two random members, and each gene mutates with probability 0.5 to a random filter with
random parameters; NSGA-II (non-dominated sorting, then crowding) keeps the best half of both. What it minimises is
1 - success, which is 0 or 1, and 1 - SSIM. Inside, before an offspring is judged, an evolution strategy moves its
parameters: 5 noisy copies in each of 3 generations, and a step along what their standardised costs say, (f1 + f2)^2
being the cost. The elite is the sequence of least cost; here it is sought among all that was asked, the noisy copies
included. It is not asked again at the end of each generation: the answer is known.

All offspring of a face are moved side by side: their copies are one population.

Success is an answer other than the class to hide. The paper's is an answer other than that to the picture as it was;
both are the same where that was right, and everywhere where the job's attack hides the answer (`hides = "answer"`).

Not as in the public code:
- SSIM has Gaussian windows, as it has for every attack here; theirs are uniform, 7 pixels wide.
- It moves every parameter by the first parameter's slope. Here each goes by its own.
- It adds the slope of what is to be minimised, and so climbs. Here it goes down.
- It holds the noisy copies in their ranges, but the parameters only at the end. Here they are held after each step.
The divisor of a step, the number of parameters, is as there.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from austicker.attacks.filters.chains import HIGH, LOW, NAMES, START, FilterChains
from austicker.attacks.looks import Face, Reals
from austicker.attacks.search import Judge, Search
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.attacks.oracle import Answers

LENGTHS = (2, 10)
"""Shortest and longest sequence that is accepted; 3, 4 and 5 are published."""
MUTATION = 0.5
SIGMA: Reals = 0.25 * (HIGH - LOW) / (2 * 3.1)
"""Deviation (10, 2) of the noise on each filter's strength and intensity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the search; all defaults are published.

    Attributes:
        filters: length of a sequence; 3, 4 and 5 are published.
        population: members, and offspring of each generation.
        generations: after the first members.
        inner_population: noisy copies of an offspring.
        inner_generations: steps of an offspring's parameters.
        learning_rate: of the first step.
        decay: of the learning rate from step to step.
    """

    filters: int = 3
    population: int = 10
    generations: int = 10
    inner_population: int = 5
    inner_generations: int = 3
    learning_rate: float = 0.1
    decay: float = 0.75

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        shortest, longest = LENGTHS
        if not shortest <= self.filters <= longest:
            raise AustickerError(f"A sequence of {self.filters} filters is not of {shortest} to {longest}.")
        if self.population < 2 or self.generations < 1:
            raise AustickerError(
                f"A search for filters needs a population of at least 2 and a generation, not {self.population} and "
                f"{self.generations}."
            )
        if self.inner_population < 2 or self.inner_generations < 0:
            raise AustickerError(
                "A search for filters needs an inner population of at least 2 and no less than 0 inner generations, "
                f"not {self.inner_population} and {self.inner_generations}."
            )
        if not (0 <= self.learning_rate < float("inf") and 0 < self.decay <= 1):
            raise AustickerError(
                f"The learning rate {self.learning_rate:g} of filters must be at least 0 and their decay "
                f"{self.decay:g} above 0 and at most 1."
            )

    @property
    def queries(self) -> int:
        """Returns what is asked: the first members, and each offspring with its noisy copies."""
        return self.population * (1 + self.generations * self._each)

    def within(self, budget: int) -> Settings:
        """Returns a search of fewer members and generations; what is done to an offspring stays."""
        if budget >= self.queries:
            return self
        population = max(2, int(self.population * sqrt(max(budget, 0) / self.queries)))
        generations = (budget // population - 1) // self._each
        return replace(self, population=population, generations=max(1, min(generations, self.generations)))

    @property
    def _each(self) -> int:
        return self.inner_population * self.inner_generations + 1


Asking = Generator[FilterChains, "Answers", Reals]
Tuning = Generator[FilterChains, "Answers", FilterChains]


def started(count: int, length: int, rng: np.random.Generator) -> FilterChains:
    """Returns sequences of random filters, which may be alike, at their first parameters."""
    filters = rng.integers(len(NAMES), size=(count, length))
    return FilterChains.of(filters, START[filters])


def bred(parents: FilterChains, rng: np.random.Generator) -> FilterChains:
    """Returns as many offspring, crossed and mutated."""
    return mutated(crossed(parents, rng), rng)


def crossed(parents: FilterChains, rng: np.random.Generator) -> FilterChains:
    """Returns as many offspring: each the first genes of one random parent and the last of another, or the same.

    The cut is after gene 1 to l - 2, as in the public code, which has none for l = 2: there it is after the first.
    """
    count, length = parents.filters.shape
    first, second = parents[rng.integers(count, size=count)], parents[rng.integers(count, size=count)]
    cut = rng.integers(1, max(2, length - 1), size=count)
    early = np.arange(length) < cut[:, None]
    filters = np.where(early, first.filters, second.filters)
    return FilterChains.of(filters, np.where(early[..., None], first.parameters, second.parameters))


def mutated(chains: FilterChains, rng: np.random.Generator) -> FilterChains:
    """Returns sequences in which genes became random filters with random parameters."""
    changes = rng.random(chains.filters.shape) < MUTATION
    filters = np.where(changes, rng.integers(len(NAMES), size=chains.filters.shape), chains.filters)
    drawn = rng.uniform(LOW[filters], HIGH[filters])
    return FilterChains.of(filters, np.where(changes[..., None], drawn, chains.parameters))


def ask(chains: FilterChains, label: int) -> Asking:
    """Asks for sequences and returns what is minimised (m, 2): 1 - success and 1 - SSIM."""
    answers = yield chains
    if answers.ssim is None:
        raise ValueError("the search for filters reads similarities, and was answered without")
    return np.stack([(answers.labels == label).astype(np.float64), 1 - answers.ssim.astype(np.float64)], axis=1)


def cost(objectives: Reals) -> Reals:
    """Returns the one number (m,) of both objectives (m, 2), lower is better."""
    summed: Reals = objectives.sum(axis=-1) ** 2
    return summed


def cost_of_answers(hides: NDArray[np.bool_], scores: NDArray[np.float32], ssim: Reals | None) -> Reals:
    """Returns the same of answers (m,): what the elite of everything asked has least of.

    Raises:
        ValueError: no similarities were measured.
    """
    if ssim is None:
        raise ValueError("the elite among filters is chosen by similarities, and there are none")
    return cost(np.stack([1.0 - hides, 1.0 - ssim], axis=1))


def step(noise: Reals, costs: Reals, sigma: Reals, rate: float) -> Reals:
    """Returns how the parameters of n offspring are to change, (n, l, 2).

    Args:
        noise: (n, copies, l, 2) from an offspring to its noisy copies.
        costs: (n, copies) of them.
        sigma: (n, l, 2) deviations of the noise.
        rate: learning rate.
    """
    deviation = costs.std(axis=1, keepdims=True)
    standardised = (costs - costs.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)
    slope = (standardised[..., None, None] * noise).sum(axis=1)
    change: Reals = -rate / (sigma[0].size * sigma) * slope
    return change


def tuned(chains: FilterChains, face: Face, settings: Settings) -> Tuning:
    """Moves the parameters of n offspring, whose noisy copies are asked for as one population."""
    low, high, sigma = LOW[chains.filters], HIGH[chains.filters], SIGMA[chains.filters]
    parameters, rate, copies = chains.parameters, settings.learning_rate, settings.inner_population
    for _ in range(settings.inner_generations):
        drawn = face.rng.standard_normal((len(chains), copies, *parameters.shape[1:])) * sigma[:, None]
        around = np.clip(parameters[:, None] + drawn, low[:, None], high[:, None])  # (n, copies, l, 2)
        asked = FilterChains.of(chains.filters.repeat(copies, axis=0), around.reshape(-1, *parameters.shape[1:]))
        objectives = yield from ask(asked, face.label)
        costs = cost(objectives).reshape(len(chains), copies)
        change = step(around - parameters[:, None], costs, sigma, rate)
        parameters, rate = np.clip(parameters + change, low, high), rate * settings.decay
    return FilterChains.of(chains.filters, parameters)


def survivors(objectives: Reals, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Returns which members (count,) NSGA-II keeps of those with objectives (m, 2)."""
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    kept = RankAndCrowding().do(
        Problem(n_obj=2), Population.new(F=objectives), n_survive=count, random_state=rng, return_indices=True
    )
    return np.asarray(kept, np.int64)


def walk(face: Face, settings: Settings) -> Generator[FilterChains, Answers, None]:
    """Searches one face."""
    rng, count = face.rng, settings.population
    members = started(count, settings.filters, rng)
    objectives = yield from ask(members, face.label)
    for _ in range(settings.generations):
        offspring = yield from tuned(bred(members, rng), face, settings)
        heard = yield from ask(offspring, face.label)
        everyone, everything = FilterChains.joined([members, offspring]), np.concatenate([objectives, heard])
        kept = survivors(everything, count, rng)
        members, objectives = everyone[kept], everything[kept]


attack = Search(
    access="label",
    settings=Settings,
    walk=walk,
    stops=False,
    judge=Judge(cost=cost_of_answers, measures=True),
    wears=False,
    makes="filters",
)
