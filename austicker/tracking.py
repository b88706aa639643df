"""The door to MLflow, for the driver alone: mirrors a finished report, and holds nothing that the store lacks."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from austicker.store import Store, layout
from austicker.types import AustickerError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from austicker.report.context import Context

Metrics = Mapping[tuple[str, str], Mapping[str, float]]

EXPERIMENT = "austicker"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}
_LONGEST_PARAMETER = 500
_BATCH = 100


def track(context: Context, tables: Metrics, store: Store, *, uri: str | None) -> str | None:
    """Mirrors a report as one run, with a nested run for each recogniser and corpus.

    Args:
        context: the report's context.
        tables: (model, corpus) to metric names to values (`report.tables.metrics`).
        store: where the report is; its files become artifacts of the run.
        uri: tracking server; None takes MLFLOW_TRACKING_URI, else an SQLite file in the store's folder.

    Returns:
        None, or one sentence that says why nothing (or not everything) was mirrored.
    """
    named = uri or os.environ.get("MLFLOW_TRACKING_URI") or None
    home = store.folder / layout.MLFLOW if store.folder else None
    if named is None and home is None:
        return "MLflow keeps no file in an object store: name a server by MLFLOW_TRACKING_URI to mirror results there."
    with _settings():
        # Imported under the settings: MLflow reads the telemetry switch when it is imported.
        from alembic.util import CommandError
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            client, experiment = _open(named, home)
            with store.local(layout.REPORT) as report_folder:
                _mirror(client, experiment, context, tables, report_folder)
        except AustickerError as error:
            return f"MLflow did not take the results, because the report could not be read: {error}"
        except (MlflowException, SQLAlchemyError, CommandError, OSError) as error:
            # OSError includes every network error of requests.
            lines = str(error).strip().splitlines() or [type(error).__name__]
            where, reason = _shown(named or str(home)), _shown(lines[0][:200])
            return f"MLflow at '{where}' did not take the results ({reason}); the report is whole."
    return None


def _shown(uri: str) -> str:
    """Returns an address without the credentials that it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


@contextmanager
def _settings() -> Iterator[None]:
    """Switches telemetry off, bounds the wait for a server and quiets the database's migrations, for the block."""
    missing = {name: value for name, value in _QUIET.items() if name not in os.environ}
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils", "urllib3.connectionpool")]
    levels = [logger.level for logger in loggers]
    os.environ.update(missing)
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _open(named: str | None, home: Path | None) -> tuple[MlflowClient, str]:
    """Returns a client and the experiment's id; artifacts of the default store lie beside its database."""
    from mlflow import MlflowClient

    if home is not None and named is None:
        home.mkdir(parents=True, exist_ok=True)
        address, artifacts = f"sqlite:///{(home / 'mlflow.db').resolve()}", (home / "artifacts").resolve().as_uri()
        client = MlflowClient(tracking_uri=address, registry_uri=address)
    else:
        client = MlflowClient(tracking_uri=named, registry_uri=named)
        artifacts = None
        if named and named.startswith("sqlite:///"):
            artifacts = Path(named.removeprefix("sqlite:///")).resolve().with_name("artifacts").as_uri()
    found = client.get_experiment_by_name(EXPERIMENT)
    made = found.experiment_id if found else client.create_experiment(EXPERIMENT, artifact_location=artifacts)
    return client, str(made)


def _mirror(client: MlflowClient, experiment: str, context: Context, tables: Metrics, report_folder: Path) -> None:
    synthetic = any(corpus.synthetic for corpus in context.corpora.values())
    tags = {"synthetic": str(synthetic).lower(), "job": context.name}
    parent = client.create_run(experiment, run_name=context.name, tags=tags).info.run_id
    try:
        cells = {"cells_done": float(context.cells_done), "cells_expected": float(context.cells_expected)}
        _log(client, parent, cells, {"job": context.job, **context.provenance})
        client.log_artifacts(parent, str(report_folder), "report")
        for (model, corpus), values in sorted(tables.items()):
            _nested(client, experiment, parent, context, (model, corpus), values)
    except BaseException:
        client.set_terminated(parent, "FAILED")
        raise
    client.set_terminated(parent)


def _nested(
    client: MlflowClient,
    experiment: str,
    parent: str,
    context: Context,
    key: tuple[str, str],
    values: Mapping[str, float],
) -> None:
    model, corpus = key
    info, made = context.corpora.get(corpus), context.models.get(model)
    tags = {
        "mlflow.parentRunId": parent,
        "model": model,
        "corpus": corpus,
        "synthetic": str(bool(info and info.synthetic)).lower(),
        "reduced": made.reduced if made else "",
    }
    run = client.create_run(experiment, run_name=f"{model} on {corpus}", tags=tags).info.run_id
    fingerprint = {"corpus": {"fingerprint": info.fingerprint, "clips": info.n_clips}} if info else {}
    settings = {"model": {**made.settings, "parameters": made.parameters}} if made else {}
    _log(client, run, values, {**fingerprint, **settings})
    client.set_terminated(run)


def _safe(name: str) -> str:
    """Returns a name of the characters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name)[:250]


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield _safe(f"{prefix}{name}"), str(value)[:_LONGEST_PARAMETER]


def _log(client: MlflowClient, run: str, values: Mapping[str, float], parameters: Mapping[str, Any]) -> None:
    import time

    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    metrics = [Metric(_safe(name), float(value), now, 0) for name, value in sorted(values.items())]
    params = [Param(name, value) for name, value in _flat(parameters)]
    for start in range(0, max(len(metrics), len(params)), _BATCH):
        client.log_batch(run, metrics=metrics[start : start + _BATCH], params=params[start : start + _BATCH])
