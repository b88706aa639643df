"""Interval and tests for clips that come in subjects, as pure functions of numpy arrays; knows no table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A paired difference of two error rates; the last four are None with fewer than two subjects."""

    n_clips: int
    n_subjects: int
    difference: float | None
    low: float | None
    high: float | None
    t: float | None
    p_value: float | None


def quantile_t(freedom: int) -> float:
    """Returns the two-sided quantile of Student's t at `LEVEL`."""
    return float(stdtrit(freedom, 0.5 + LEVEL / 2))


def _cluster_variance(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    """Returns the variance of sum(sums) / sum(sizes) when clusters, not their members, are independent."""
    groups, total = len(sums), sizes.sum()
    residuals = sums - sums.sum() / total * sizes
    return float(groups / (groups - 1) * np.square(residuals).sum() / total**2)


def clustered_interval(successes_by_subject: ArrayLike, n_by_subject: ArrayLike) -> tuple[float, float] | None:
    """Returns the 95 % Wilson interval on the design-effect-adjusted n, with t(subjects - 1).

    The design effect is the cluster variance over p (1 - p) / (n - 1), at least 1. Where p is 0 or 1 the data show
    no spread to estimate it from, and every subject counts as one observation (the safe end).

    Args:
        successes_by_subject: (subject,) counts.
        n_by_subject: (subject,) numbers of clips.

    Returns:
        (low, high), or None with fewer than two subjects.
    """
    sizes = np.asarray(n_by_subject, np.float64)
    successes = np.asarray(successes_by_subject, np.float64)[sizes > 0]
    sizes = sizes[sizes > 0]
    subjects, total = len(sizes), sizes.sum()
    if subjects < 2:
        return None
    rate = successes.sum() / total
    simple = rate * (1 - rate) / (total - 1)
    effect = max(1.0, _cluster_variance(successes, sizes) / simple) if simple > 0 else total / subjects
    return wilson(float(rate), float(total / effect), quantile_t(subjects - 1))


def wilson(rate: float, n: float, quantile: float) -> tuple[float, float]:
    """Returns Wilson's score interval of a rate observed on `n` independent trials."""
    square = quantile**2
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = quantile / (1 + square / n) * np.sqrt(rate * (1 - rate) / n + square / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def paired_t(differences: ArrayLike, subjects: ArrayLike) -> Difference:
    """Tests a mean paired difference against 0 with a cluster-robust t on subjects - 1 degrees of freedom.

    Where all subjects' residuals are 0 the t is undefined: the p-value is then 1 for no difference, else that of
    the exact sign-flip test, 2 ** (1 - subjects).

    Args:
        differences: (clip,) a minus b.
        subjects: (clip,) subject of each clip.
    """
    values = np.asarray(differences, np.float64)
    _, member = np.unique(np.asarray(subjects), return_inverse=True)
    sizes = np.bincount(member).astype(np.float64)
    groups, clips = len(sizes), len(values)
    mean = float(values.mean()) if clips else None
    if mean is None or groups < 2:
        return Difference(n_clips=clips, n_subjects=groups, difference=mean, low=None, high=None, t=None, p_value=None)
    error = float(np.sqrt(_cluster_variance(np.bincount(member, weights=values).astype(np.float64), sizes)))
    if error < 1e-12:
        statistic, p_value = None, 1.0 if abs(mean) < 1e-12 else 2.0 ** (1 - groups)
    else:
        statistic = mean / error
        p_value = 2 * float(stdtr(groups - 1, -abs(statistic)))
    half = quantile_t(groups - 1) * error
    return Difference(
        n_clips=clips,
        n_subjects=groups,
        difference=mean,
        low=mean - half,
        high=mean + half,
        t=statistic,
        p_value=p_value,
    )


def mean_interval(values: ArrayLike) -> tuple[float, float] | None:
    """Returns the 95 % t interval of the mean of independent values, or None with fewer than two."""
    sample = np.asarray(values, np.float64)
    if len(sample) < 2:
        return None
    half = quantile_t(len(sample) - 1) * float(sample.std(ddof=1)) / np.sqrt(len(sample))
    return float(sample.mean() - half), float(sample.mean() + half)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Returns Holm's step-down adjusted p-values; a missing one stays missing and is not counted."""
    known = sorted((value, index) for index, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (value, index) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * value))
        adjusted[index] = running
    return adjusted
