"""Joins a Ray cluster, or starts a private one on this machine; gives it no work."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from austicker.types import AustickerError

CONNECT_TIMEOUT_S = 5.0
_ENVIRONMENT = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
}


def check_address(address: str | None) -> None:
    """Refuses the address of a cluster where nothing listens: Ray itself would try for minutes, and chatter.

    Args:
        address: "auto", host:port, or None for a private cluster.

    Raises:
        AustickerError: no connection within `CONNECT_TIMEOUT_S`, or no host:port.
    """
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise AustickerError(f"'--address {address}' is neither 'auto' nor host:port, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str | None, text: str) -> AustickerError:
    reason = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return AustickerError(
        f"No Ray cluster answers at '{address or 'local'}' ({reason}): start one or leave --address out."
    )


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Connects to a Ray cluster, or starts a private one on this machine and stops it afterwards.

    Args:
        address: "auto", an address of a running cluster, or None for a private one.
        workers: cores of the private cluster; all by default.

    Raises:
        AustickerError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": 256 * 1024**2}
        options |= {"num_cpus": workers} if workers else {}
    else:
        options["address"] = address
    try:
        ray.init(runtime_env={"env_vars": _ENVIRONMENT}, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error)) from error
    try:
        yield
    finally:
        ray.shutdown()
