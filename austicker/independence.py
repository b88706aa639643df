"""Conditional-independence tests on a table's columns, as causal-learn's PC asks for them; knows no graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from austicker.types import DiscoverySettings

COUNTS_PER_FREEDOM = 5
"""Clips that a conditional contingency test needs per degree of freedom; with fewer it is not run, the edge stays."""
RESIDUAL_FLOOR = 1e-12
"""Share of a column's variance below which the conditions count as determining it."""


class Test(Protocol):
    """What causal-learn's search asks of an independence test."""

    @property
    def method(self) -> str:
        """Returns causal-learn's name of the test."""

    def __call__(self, x: int, y: int, conditions: Sequence[int]) -> float:
        """Returns the p-value of "columns x and y are independent given `conditions`"."""


def quantile_codes(column: NDArray[Any], bins: int) -> NDArray[np.int64]:
    """Returns the quantile bin (0 .. bins-1) of every value by mid-rank, so equal values share a bin."""
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2  # mid-rank in 0 .. n
    codes: NDArray[np.int64] = np.floor(middle * bins / len(column)).astype(np.int64)[inverse]
    return codes


def as_tested(activity: NDArray[Any], settings: DiscoverySettings) -> NDArray[Any]:
    """Returns the table (n, r) as the settings' test reads it: codes 0, 1, ... or, for Fisher's z, as it was."""
    if settings.method == "fisher-z" or not activity.size:
        return activity
    columns = list(activity.T)
    if settings.method in ("chi-square", "g-square"):
        columns = [quantile_codes(column, settings.bins) for column in columns]
    return np.stack([np.unique(column, return_inverse=True)[1] for column in columns], axis=1)


def usable(columns: NDArray[Any]) -> list[int]:
    """Returns the columns that vary and repeat no earlier one."""
    kept: list[int] = []
    for j in range(columns.shape[1]):
        column = columns[:, j]
        if len(np.unique(column)) > 1 and not any(np.array_equal(column, columns[:, k]) for k in kept):
            kept.append(j)
    return kept


def chosen_test(columns: NDArray[Any], settings: DiscoverySettings) -> Test:
    """Returns the settings' test on usable columns, as `as_tested` gives them."""
    if settings.method == "fisher-z":
        return FisherZ(correlation(columns), len(columns))
    return contingency(columns, statistic(settings))


def statistic(settings: DiscoverySettings) -> str:
    """Returns causal-learn's name of the settings' contingency test."""
    return "gsq" if settings.method == "g-square" else "chisq"


def correlation(columns: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the correlations (r, r) of a table's columns."""
    return np.asarray(np.corrcoef(columns, rowvar=False, dtype=np.float64))


def contingency(codes: NDArray[np.int64], method: str, counts_per_freedom: float = COUNTS_PER_FREEDOM) -> Test:
    """Returns the contingency test on one table: one group of rows, drawn once."""
    once = Resampled(codes, np.zeros(len(codes), np.int64), np.ones((1, 1)), method, counts_per_freedom)
    return once.test(0, range(codes.shape[1]))


class Resampled:
    """Pearson's chi-square or the G-square test, summed over the strata of the conditions, on many resamples at once.

    A resample draws groups of rows. Counts are additive, so a table is counted once for every group and summed by how
    often each resample drew it; the p-values are those of counting the resampled rows.

    The statistic and the degrees of freedom (empty rows and columns of a stratum do not count) are causal-learn's;
    its slow `scipy.stats` tail and its cache keys are not. With p = 0 for a conditional test on too few clips, a test
    without power cannot remove an edge (README, Decisions).

    Args:
        codes: (n, r) whole numbers from 0 on.
        groups: (n,) the group of each row, 0 to g - 1.
        times: (b, g) how often each resample drew each group.
        method: "chisq" or "gsq".
        counts_per_freedom: see `COUNTS_PER_FREEDOM`.
    """

    def __init__(
        self,
        codes: NDArray[np.int64],
        groups: NDArray[np.int64],
        times: NDArray[Any],
        method: str,
        counts_per_freedom: float = COUNTS_PER_FREEDOM,
    ) -> None:
        self.method = method
        self._counts_per_freedom = counts_per_freedom
        self._codes, self._groups, self._times = codes, groups, times.astype(np.float64)
        self._levels = [int(level) + 1 for level in codes.max(axis=0)]
        self._rows = self._summed(np.zeros_like(groups), 1)[:, 0]
        present = [(self._summed(codes[:, j], level) > 0).sum(axis=1) for j, level in enumerate(self._levels)]
        self._freedom = np.stack(present, axis=1) - 1  # (b, r) of each column in each resample
        self._strata: dict[tuple[int, ...], tuple[NDArray[np.int64], int, NDArray[np.int64]]] = {}
        self._known: dict[tuple[int, int, tuple[int, ...]], NDArray[np.float64]] = {}

    def test(self, resample: int, columns: Sequence[int]) -> Test:
        """Returns the test on these columns of one resample."""
        return _OneResample(of=self, resample=resample, columns=columns)

    def p_values(self, x: int, y: int, conditions: Sequence[int]) -> NDArray[np.float64]:
        """Returns the p-value (b,) of "columns x and y are independent given `conditions`" in each resample."""
        key = (min(int(x), int(y)), max(int(x), int(y)), tuple(sorted(map(int, conditions))))
        if key not in self._known:
            self._known[key] = self._p_values(*key)
        return self._known[key]

    def _summed(self, cell: NDArray[np.int64], cells: int, resamples: Any = slice(None)) -> NDArray[np.float64]:
        """Returns how many rows of each resample are in each cell, (b, cells)."""
        groups = self._times.shape[1]
        counts = np.bincount(self._groups * cells + cell, minlength=groups * cells).reshape(groups, cells)
        summed: NDArray[np.float64] = self._times[resamples] @ counts
        return summed

    def _stratify(self, conditions: tuple[int, ...]) -> tuple[NDArray[np.int64], int, NDArray[np.int64]]:
        """Returns the stratum of each row, how many there are, and how many in each resample (b,)."""
        if conditions not in self._strata:
            stratum = np.zeros(len(self._codes), np.int64)
            for column in conditions:
                stratum = stratum * self._levels[column] + self._codes[:, column]
            present, stratum = np.unique(stratum, return_inverse=True)
            inside = (self._summed(stratum, len(present)) > 0).sum(axis=1)
            self._strata[conditions] = stratum, len(present), inside
        return self._strata[conditions]

    def _p_values(self, x: int, y: int, conditions: tuple[int, ...]) -> NDArray[np.float64]:
        stratum, strata, inside = self._stratify(conditions)
        nominal = inside * self._freedom[:, x] * self._freedom[:, y]
        asked = self._rows >= self._counts_per_freedom * nominal * bool(conditions)
        p = np.zeros(len(self._times))
        if asked.any():
            shape = (strata, self._levels[x], self._levels[y])
            cell = (stratum * shape[1] + self._codes[:, x]) * shape[2] + self._codes[:, y]
            p[asked] = self._tail(self._summed(cell, math.prod(shape), asked).reshape(-1, *shape))
        return p

    def _tail(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the p-value (b,) of each table; counts are (b, stratum, x, y)."""
        from scipy.special import chdtrc, xlogy

        rows, columns = counts.sum(axis=3), counts.sum(axis=2)
        total = rows.sum(axis=2)
        ranks = [np.maximum((side > 0).sum(axis=2) - 1, 0) for side in (rows, columns)]
        freedom = (ranks[0] * ranks[1]).sum(axis=1)
        expected = rows[:, :, :, None] * columns[:, :, None, :] / np.maximum(total, 1)[:, :, None, None]
        expected[expected == 0] = 1  # where nothing is counted either
        if self.method == "gsq":
            statistic = 2 * xlogy(counts, counts / expected).sum(axis=(1, 2, 3))
        else:
            statistic = (counts * counts / expected).sum(axis=(1, 2, 3)) - total.sum(axis=1)
        return np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), np.maximum(statistic, 0.0)), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OneResample:
    """Some columns of one resample, numbered anew."""

    of: Resampled = field(repr=False)
    resample: int
    columns: Sequence[int]

    @property
    def method(self) -> str:
        """Returns causal-learn's name of the test."""
        return self.of.method

    def __call__(self, x: int, y: int, conditions: Sequence[int]) -> float:
        """Returns the p-value of "columns x and y are independent given `conditions`"."""
        given = [self.columns[condition] for condition in conditions]
        return float(self.of.p_values(self.columns[x], self.columns[y], given)[self.resample])


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
