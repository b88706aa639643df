"""Distribution-optimised locations: the black-box stage of DOPatch from a prior over the face.

Published: a place and a rotation theta are a mixture of K Gaussians (K = 1) through tanh, in units of 1 / `beta`; from
the prior's means and standard deviations goes one of three optimisers: natural evolution strategies of 21 x 100 queries
(rank fitness, learning rate 100, decayed by 0.99), random draws from three times the standard deviation (at most
1,000), or Bayesian optimisation within ten of them (100 draws, then 200 steps). All of them raise the true class'
cross-entropy. The patch had a quarter of the picture's side; here it has the job's.

Not published: the mapping network that gave each picture its prior, and the mixture's optimiser. Here the prior is the
middle of the face, with further components at regions' centres; its `sigma` is our choice: three of them are about the
spread of a face. The optimiser is PEPG (Sehnke et al. 2010) with Adam, under which a learning rate of 100 is the length
of a step. The published call also names an initial standard deviation of 100 beside the prior's: `sigma = 100` starts
so, and then searches near the middle alone. Bayesian steps maximise the upper confidence bound, the default of the
library that was used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from austicker import regions
from austicker.attacks.looks import Face, Looks, Reals, Walk, looks_at
from austicker.attacks.search import Search
from austicker.types import AustickerError

if TYPE_CHECKING:
    from austicker.attacks.oracle import Answers

Optimiser = Literal["nes", "random", "bayesian"]

LEAST = 1e-6
"""Smallest score of which a logarithm is taken."""
MOMENTS = (0.9, 0.999)
"""Adam's decay of the mean and of the square of the gradient."""
CANDIDATES = 1000
"""Places among which a Bayesian step chooses: half anywhere within the bounds, half near the best so far."""
NEAR = 0.05
"""Standard deviation of those near the best, as a fraction of the bounds' half width."""
LENGTHS = tuple(0.05 * 1.5**step for step in range(10))
"""Length scales, as fractions of the bounds' half width, of which the likeliest is taken."""
REFIT = 20
"""Bayesian steps after which the length scale is chosen anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a search; lengths of theta are in units of 1 / `beta`.

    Attributes:
        optimiser: "nes", "random" or "bayesian".
        components: Gaussians of the prior (K), equally weighted.
        sigma: standard deviation of each of them in x, y and rotation; not published.
        beta: theta / beta goes through tanh to the half sides of the picture and to half a turn.
        population: queries of one round of NES with one component; odd: the mean and pairs that mirror each other.
        rounds: of NES at most.
        learning_rate: of NES' means.
        learning_rate_decay: of each round.
        sigma_rate: learning rate of NES' standard deviations; not published.
        sigma_decay: of each round; not published.
        sigma_change: the most by which one round changes a standard deviation, as a fraction; not published.
        draws: of the random search at most.
        widening: standard deviations of the random search as multiples of the prior's.
        initial: uniform draws that begin the Bayesian search.
        steps: its queries after them, one at a time.
        reach: its bounds on either side of the prior's mean in standard deviations.
        kappa: weight of its model's standard deviation; not published.
    """

    optimiser: Optimiser = "nes"
    components: int = 1
    sigma: float = 400.0
    beta: float = 3000.0
    population: int = 21
    rounds: int = 100
    learning_rate: float = 100.0
    learning_rate_decay: float = 0.99
    sigma_rate: float = 0.2
    sigma_decay: float = 0.999
    sigma_change: float = 0.2
    draws: int = 1000
    widening: float = 3.0
    initial: int = 100
    steps: int = 200
    reach: float = 10.0
    kappa: float = 2.576

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if self.optimiser not in get_args(Optimiser):
            raise AustickerError(
                f"DOPatch has no optimiser '{self.optimiser}'; choose one of {', '.join(get_args(Optimiser))}."
            )
        if not 1 <= self.components <= 1 + len(regions.NAMES):
            raise AustickerError(
                f"DOPatch cannot have {self.components} components; give 1 to {1 + len(regions.NAMES)}."
            )
        if self.population < 3 or self.population % 2 == 0:
            raise AustickerError(
                f"A population of {self.population} is not the mean and mirrored pairs; give DOPatch an odd number "
                "of 3 or more."
            )
        _demand(self, 1, ("rounds", "draws", "initial"))
        _demand(self, 0, ("steps", "learning_rate", "sigma_rate", "kappa"))
        _demand(self, np.nextafter(0, 1), ("sigma", "beta", "widening", "reach", "learning_rate_decay", "sigma_decay"))
        if not 0 < self.sigma_change < 1:
            raise AustickerError(f"DOPatch's sigma_change {self.sigma_change:g} is not between 0 and 1.")

    @property
    def queries(self) -> int:
        """Returns the most queries of the chosen optimiser; NES also shows the mean of every further component."""
        if self.optimiser == "random":
            return self.draws
        if self.optimiser == "bayesian":
            return self.initial + self.steps
        return (self.population + self.components - 1) * self.rounds

    def within(self, budget: int) -> Settings:
        """Returns a smaller search of the same shape.

        NES never shrinks below one pair, and gives up components before it asks more than the budget.
        """
        if budget >= self.queries:
            return self
        if self.optimiser == "random":
            return replace(self, draws=max(1, budget))
        if self.optimiser == "bayesian":
            initial = max(1, self.initial * budget // self.queries)
            return replace(self, initial=initial, steps=max(0, budget - initial))
        components = max(1, min(self.components, budget - 2))
        scale = math.sqrt(budget / self.queries)
        pairs = max(1, min(int(self.population * scale) - 1, budget - components) // 2)
        rounds = max(1, min(self.rounds, budget // (2 * pairs + components)))
        return replace(self, components=components, population=2 * pairs + 1, rounds=rounds)


def _demand(settings: Settings, least: float, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and value >= least):
            words = "above 0" if 0 < least < 1 else f"{least:g} or more"
            raise AustickerError(f"DOPatch's {name} {value:g} is out of range; give a number of {words}.")


def means(face: Face, settings: Settings) -> Reals:
    """Returns the prior's means (K, 3): the middle of the regions, then regions, each farthest from those before."""
    centres = regions.boxes(face.landmarks[None], aspect=face.aspect)[0, :, :2].astype(np.float64)
    chosen = centres.mean(axis=0, keepdims=True)
    scale = np.array([face.aspect, 1.0])
    while len(chosen) < settings.components:
        apart = np.linalg.norm((centres[:, None] - chosen) * scale, axis=2).min(axis=1)
        chosen = np.concatenate([chosen, centres[[apart.argmax()]]])
    inside = np.clip(2 * chosen - 1, -0.99, 0.99)
    return np.concatenate([np.arctanh(inside) * settings.beta, np.zeros((len(chosen), 1))], axis=1)


def worn(theta: Reals, settings: Settings) -> Looks:
    """Returns the looks of theta (m, 3): the centre (1 + tanh) / 2 of the picture's sides, and a turn of 180 tanh."""
    squashed = np.tanh(theta / settings.beta)
    return looks_at((1 + squashed[:, :2]) / 2, rotation=180 * squashed[:, 2])


def cross_entropy(answers: Answers, face: Face) -> Reals:
    """Returns what is maximised, (m,)."""
    if answers.scores is None:
        raise ValueError("DOPatch was sent answers without scores")
    return -np.log(np.maximum(answers.scores[:, face.label].astype(np.float64), LEAST))


def walk(face: Face, settings: Settings) -> Walk:
    """Searches with the chosen optimiser."""
    walks: dict[str, Callable[[Face, Settings], Walk]] = {"nes": _nes, "random": _random, "bayesian": _bayesian}
    yield from walks[settings.optimiser](face, settings)


def _random(face: Face, settings: Settings) -> Walk:
    prior, spread = means(face, settings), settings.widening * settings.sigma
    for start in range(0, settings.draws, settings.population):
        count = min(settings.population, settings.draws - start)
        component = face.rng.integers(len(prior), size=count)
        yield worn(prior[component] + spread * face.rng.standard_normal((count, 3)), settings)


class Mixture:
    """The Gaussians that NES moves: PEPG (Sehnke et al. 2010) with mirrored pairs, ranks and Adam.

    Attributes:
        mu: (K, 3) means.
        sigma: (K, 3) standard deviations.
    """

    def __init__(self, mu: Reals, settings: Settings) -> None:
        self.mu, self.sigma = mu.copy(), np.full(mu.shape, float(settings.sigma))
        self._settings, self._rate = settings, settings.learning_rate
        self._first, self._second, self._turns = np.zeros(mu.shape), np.zeros(mu.shape), np.zeros((len(mu), 1))

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Reals]:
        """Returns the component of each pair (pairs,) and its step from the mean (pairs, 3)."""
        pairs = self._settings.population // 2
        component = rng.integers(len(self.mu), size=pairs)
        return component, self.sigma[component] * rng.standard_normal((pairs, 3))

    def learn(self, component: np.ndarray[Any, np.dtype[np.int64]], step: Reals, worth: Reals) -> None:
        """Moves the components that were drawn.

        Args:
            component: of each pair.
            step: of each pair.
            worth: (K + 2 pairs,) of the means, of the steps forward, and of the steps back.
        """
        rank = ranks(worth)
        base, (forward, back) = rank[: len(self.mu)], np.split(rank[len(self.mu) :], 2)
        settings = self._settings
        for k in np.unique(component):
            own = component == k
            self._climb(int(k), (forward - back)[own] @ step[own])
            better = (forward + back)[own] / 2 - base[k]
            wider = better @ ((step[own] ** 2 - self.sigma[k] ** 2) / self.sigma[k]) / (2 * own.sum())
            most = settings.sigma_change * self.sigma[k]
            self.sigma[k] += np.clip(settings.sigma_rate * wider, -most, most)
        self.sigma *= settings.sigma_decay
        self._rate *= settings.learning_rate_decay

    def _climb(self, k: int, gradient: Reals) -> None:
        self._turns[k] += 1
        self._first[k] += (1 - MOMENTS[0]) * (gradient - self._first[k])
        self._second[k] += (1 - MOMENTS[1]) * (gradient**2 - self._second[k])
        first = self._first[k] / (1 - MOMENTS[0] ** self._turns[k])
        second = self._second[k] / (1 - MOMENTS[1] ** self._turns[k])
        self.mu[k] += self._rate * first / (np.sqrt(second) + 1e-8)


def ranks(worth: Reals) -> Reals:
    """Returns each value's rank (m,) from -0.5 for the lowest to 0.5; equal values share the mean of their ranks."""
    from scipy.stats import rankdata

    found: Reals = (rankdata(worth) - 1) / max(1, len(worth) - 1) - 0.5
    return found


def _nes(face: Face, settings: Settings) -> Walk:
    mixture = Mixture(means(face, settings), settings)
    for _ in range(settings.rounds):
        component, step = mixture.draw(face.rng)
        middle = mixture.mu[component]
        answers = yield worn(np.concatenate([mixture.mu, middle + step, middle - step]), settings)
        mixture.learn(component, step, cross_entropy(answers, face))


def _bayesian(face: Face, settings: Settings) -> Walk:
    """Works within the bounds of all components' means, as (-1, 1) in each direction."""
    prior, width = means(face, settings), settings.reach * settings.sigma
    low, high = prior.min(axis=0) - width, prior.max(axis=0) + width
    middle, half = (low + high) / 2, (high - low) / 2
    tried = face.rng.uniform(-1, 1, (settings.initial, 3))
    answers = yield worn(middle + half * tried, settings)
    worth = cross_entropy(answers, face)
    length = LENGTHS[-1]
    for step in range(settings.steps):
        if step % REFIT == 0:
            length = likeliest(tried, worth)
        best = tried[worth.argmax()] + NEAR * face.rng.standard_normal((CANDIDATES // 2, 3))
        candidates = np.concatenate([face.rng.uniform(-1, 1, (CANDIDATES // 2, 3)), np.clip(best, -1, 1)])
        expected, doubt = _model(tried, worth, length).predict(candidates, return_std=True)
        following = candidates[[np.argmax(expected + settings.kappa * doubt)]]
        answers = yield worn(middle + half * following, settings)
        tried = np.concatenate([tried, following])
        worth = np.concatenate([worth, cross_entropy(answers, face)])


def likeliest(tried: Reals, worth: Reals) -> float:
    """Returns the length scale of `LENGTHS` under which the answers are likeliest."""
    models = [_model(tried, worth, length) for length in LENGTHS]
    return LENGTHS[int(np.argmax([model.log_marginal_likelihood_value_ for model in models]))]


def _model(tried: Reals, worth: Reals, length: float) -> Any:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    # Nothing is optimised here: the length scale is given, and the answers are brought to mean 0 and variance 1.
    model = GaussianProcessRegressor(Matern(length, nu=2.5), alpha=1e-6, optimizer=None, normalize_y=True)
    return model.fit(tried, worth)


attack = Search(access="scores", settings=Settings, walk=walk)
