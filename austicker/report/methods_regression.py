"""Accuracy regressed on method and condition over repeats, by ordinary least squares; compares no pair of means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtr

from austicker.report.context import Context
from austicker.report.intervals import quantile_t
from austicker.report.study import FOREST, described, unworn

INTERCEPT = "intercept"
ROUNDING = 1e-5
"""Percentage points below which a number is what floating point leaves of 0: no test has a million pictures."""
_SCHEMA: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("corpus", "protocol", "term"), pl.String),
    **dict.fromkeys(("points", "standard_error", "low_points", "high_points", "t", "p_value"), pl.Float64),
    **dict.fromkeys(("df", "n_rows", "n_clusters"), pl.Int64),
    "design": pl.String,
}


def methods_ols(verdicts: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Returns the coefficients of accuracy ~ method + condition + method:condition, in percentage points.

    One row of the regression is one repeat of one fold of one method under one condition. Methods and conditions are
    treatment-coded: the reference is the forest where there is one, and no attack. A coefficient method:condition says
    how much more an attack costs that method than it costs the reference. Standard errors are robust to clusters,
    which are the repeats of a fold: all that was trained with one seed on the same people. They are null where there
    are fewer than two clusters or no more rows than coefficients, and t is null where a standard error is 0.

    A condition that not every method met is left out, and so is a corpus and protocol with one method or condition.
    """
    cells = unworn(described(verdicts, context))
    keys = ["method", "architecture", "condition", "turn", "fold", "seed"]
    rows = []
    for (corpus, protocol), part in sorted(cells.partition_by("corpus", "protocol", as_dict=True).items()):
        trained = part.group_by(*keys).agg(pl.col("right").mean().alias("accuracy")).sort(*keys)
        met = trained.filter(pl.col("method").n_unique().over("condition") == trained["method"].n_unique())
        rows += [{"corpus": corpus, "protocol": protocol, **row} for row in _regressed(met)]
    return pl.DataFrame(rows, schema=dict(_SCHEMA))


def _regressed(trained: pl.DataFrame) -> Iterator[dict[str, object]]:
    methods = _levels(trained, "method", pl.col("architecture") != FOREST)
    conditions = _levels(trained, "condition", pl.col("turn"))
    if len(methods) < 2 or len(conditions) < 2:
        return
    terms, design = _design(trained, methods, conditions)
    clusters = trained.select(pl.struct("fold", "seed").rank("dense")).to_series().to_numpy()
    found, errors = _fit(100 * trained["accuracy"].to_numpy(), design, clusters)
    points = np.where(np.abs(found) < ROUNDING, 0.0, found)
    n_clusters = len(np.unique(clusters))
    said = f"accuracy ~ method + condition + method:condition; reference {methods[0]}, {conditions[0]}"
    for term, value, error in zip(terms, points.tolist(), errors, strict=True):
        row = {"term": term, "points": value, "standard_error": error, "n_rows": len(design), "n_clusters": n_clusters}
        yield {**row, "design": said, **_tested(value, error, n_clusters - 1)}


def _levels(trained: pl.DataFrame, name: str, first: pl.Expr) -> list[str]:
    """Returns the levels of a factor, the reference before the others."""
    return trained.select(name, first.alias("first")).unique().sort("first", name)[name].to_list()


def _design(
    trained: pl.DataFrame, methods: Sequence[str], conditions: Sequence[str]
) -> tuple[list[str], NDArray[np.float64]]:
    """Returns the names of the columns and the design matrix (rows, columns), treatment-coded."""
    of_method = {f"method {name}": (trained["method"] == name).to_numpy() for name in methods[1:]}
    of_condition = {f"condition {name}": (trained["condition"] == name).to_numpy() for name in conditions[1:]}
    crossed = {
        f"{method} × {condition}": one & other
        for method, one in of_method.items()
        for condition, other in of_condition.items()
    }
    columns = {INTERCEPT: np.ones(trained.height, np.bool_), **of_method, **of_condition, **crossed}
    return list(columns), np.column_stack(list(columns.values())).astype(np.float64)


def _fit(
    outcome: NDArray[np.float64], design: NDArray[np.float64], clusters: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[float | None]]:
    """Returns the coefficients and their cluster-robust standard errors, or None where nothing is left to say so."""
    if len(design) <= design.shape[1] or len(np.unique(clusters)) < 2:
        found = np.asarray(np.linalg.lstsq(design, outcome, rcond=None)[0], np.float64)
        return found, [None] * design.shape[1]
    from statsmodels.regression.linear_model import OLS

    fitted = OLS(outcome, design).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    errors = np.sqrt(np.diag(fitted.cov_params()).clip(min=0))
    return np.asarray(fitted.params), np.where(errors < ROUNDING, 0.0, errors).tolist()


def _tested(value: float, error: float | None, freedom: int) -> dict[str, object]:
    if error is None:
        return {}
    half = quantile_t(freedom) * error
    found: dict[str, object] = {"low_points": value - half, "high_points": value + half, "df": freedom}
    if error:
        t = value / error
        found |= {"t": t, "p_value": 2 * float(stdtr(freedom, -abs(t)))}
    return found
