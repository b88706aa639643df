"""Conditional-independence tests on a table's columns, as causal-learn's PC asks for them; knows no graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

COUNTS_PER_FREEDOM = 5
"""Clips that a conditional contingency test needs per degree of freedom; with fewer it is not run, the edge stays."""
RESIDUAL_FLOOR = 1e-12
"""Share of a column's variance below which the conditions count as determining it."""


class Test(Protocol):
    """What causal-learn's search asks of an independence test."""

    method: str

    def __call__(self, x: int, y: int, conditions: Sequence[int]) -> float:
        """Returns the p-value of "columns x and y are independent given `conditions`"."""


class Contingency:
    """Pearson's chi-square or the G-square test on coded columns, summed over the strata of the conditions.

    The statistic and the degrees of freedom (empty rows and columns of a stratum do not count) are causal-learn's;
    its slow `scipy.stats` tail and its cache keys are not. With p = 0 for a conditional test on too few clips, a test
    without power cannot remove an edge (README, Decisions).
    """

    def __init__(self, codes: NDArray[np.int64], method: str, counts_per_freedom: float = COUNTS_PER_FREEDOM) -> None:
        from scipy.special import chdtrc

        self.method = method
        self._counts_per_freedom = counts_per_freedom
        self._codes = codes
        self._levels = codes.max(axis=0) + 1
        self._tail: Callable[[float, float], float] = chdtrc
        self._strata: dict[tuple[int, ...], tuple[NDArray[np.int64], int]] = {}
        self._known: dict[tuple[int, int, tuple[int, ...]], float] = {}

    def __call__(self, x: int, y: int, conditions: Sequence[int]) -> float:
        """Returns the p-value of "columns x and y are independent given `conditions`"."""
        key = (min(int(x), int(y)), max(int(x), int(y)), tuple(sorted(map(int, conditions))))
        if key not in self._known:
            self._known[key] = self._p_value(*key)
        return self._known[key]

    def _stratify(self, conditions: tuple[int, ...]) -> tuple[NDArray[np.int64], int]:
        if conditions not in self._strata:
            stratum = np.zeros(len(self._codes), np.int64)
            for column in conditions:
                stratum = stratum * self._levels[column] + self._codes[:, column]
            present, stratum = np.unique(stratum, return_inverse=True)
            self._strata[conditions] = stratum, len(present)
        return self._strata[conditions]

    def _p_value(self, x: int, y: int, conditions: tuple[int, ...]) -> float:
        stratum, strata = self._stratify(conditions)
        shape = (strata, int(self._levels[x]), int(self._levels[y]))
        nominal = strata * (shape[1] - 1) * (shape[2] - 1)
        if conditions and len(self._codes) < self._counts_per_freedom * nominal:
            return 0.0
        cell = (stratum * shape[1] + self._codes[:, x]) * shape[2] + self._codes[:, y]
        counts = np.bincount(cell, minlength=math.prod(shape)).reshape(shape)  # (stratum, x, y)
        rows, columns = counts.sum(axis=2), counts.sum(axis=1)
        freedom = int((((rows > 0).sum(axis=1) - 1) * ((columns > 0).sum(axis=1) - 1)).sum())
        if freedom == 0:
            return 1.0
        expected = rows[:, :, None] * columns[:, None, :] / rows.sum(axis=1)[:, None, None]
        seen = counts > 0
        observed, expected = counts[seen], expected[seen]
        if self.method == "gsq":
            statistic = 2 * float((observed * np.log(observed / expected)).sum())
        else:
            statistic = float((observed * observed / expected).sum()) - len(self._codes)
        return float(self._tail(freedom, max(statistic, 0.0)))


class FisherZ:
    """Fisher's z test of partial correlation from a correlation matrix; a column that S determines is independent."""

    method = "fisherz"

    def __init__(self, correlation: NDArray[np.float64], samples: int) -> None:
        self._correlation = correlation
        self._samples = samples
        self._known: dict[tuple[int, ...], list[list[float]]] = {}

    def __call__(self, x: int, y: int, conditions: Sequence[int]) -> float:
        """Returns the p-value of "columns x and y are independent given `conditions`"."""
        key = tuple(sorted(map(int, conditions)))
        if key not in self._known:
            self._known[key] = self._p_values(key).tolist()
        return self._known[key][x][y]

    def _p_values(self, conditions: tuple[int, ...]) -> NDArray[np.float64]:
        """Returns the (r, r) p-values of all pairs given one set of conditions."""
        from scipy.special import erfc

        given = list(conditions)
        across = self._correlation[:, given]  # (r, s)
        inverse = np.linalg.pinv(self._correlation[np.ix_(given, given)], hermitian=True)
        residual = self._correlation - across @ inverse @ across.T
        spread = np.diag(residual)
        degrees = self._samples - len(given) - 3
        informative = (spread > RESIDUAL_FLOOR) & (degrees > 0)
        scale = np.sqrt(np.where(informative, spread, 1.0))
        limit = 1.0 - np.finfo(float).eps
        partial = np.clip(residual / np.outer(scale, scale), -limit, limit)
        z = math.sqrt(max(degrees, 0)) * np.abs(np.arctanh(partial))
        p: NDArray[np.float64] = np.where(np.outer(informative, informative), erfc(z / math.sqrt(2)), 1.0)
        return p
