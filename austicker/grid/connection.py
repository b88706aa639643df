"""Joins a Ray cluster, or starts a private one on this machine; gives it no work."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from austicker.grid import knock
from austicker.grid.access import Trust, admit, own_token, use_token_of_this_machine
from austicker.grid.flights import Demand

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Which Ray cluster does the work.

    Attributes:
        address: "auto", host:port, or None for a private one on this machine.
        workers: cores of the private cluster; all by default.
        trust: why a cluster beyond this machine may be talked to.
        demand: what one task takes of it.
    """

    address: str | None = None
    workers: int | None = None
    trust: Trust = "token"
    demand: Demand = Demand()


def check(site: Site) -> None:
    """Refuses a cluster that is not there, is none, or may not be talked to.

    Raises:
        AustickerError: no Ray cluster answers within `knock.ANSWER_S`, or `access.admit` refuses it.
    """
    if site.address is not None:
        _checked(site.address, site.trust)


def _checked(address: str, trust: Trust) -> str:
    """Returns the host:port of a cluster that may be joined."""
    found = _automatic() if address == "auto" else address
    admit(found, knock.control_store_host(found), lambda headers: knock.control_store(found, headers), trust)
    return found


def _automatic() -> str:
    """Returns the address of the cluster that this process or machine belongs to; a token is used if it demands one.

    A driver with a token in an open cluster would let no worker ask it for anything.
    """
    from ray._private import services

    try:
        found = str(services.canonicalize_bootstrap_address_or_die("auto"))
    except (ConnectionError, ValueError) as error:
        raise knock.no_cluster("auto", str(error)) from error
    if not knock.control_store(found, {}):
        use_token_of_this_machine()
    return found


@contextmanager
def cluster(site: Site) -> Iterator[None]:
    """Connects to a Ray cluster, or starts a private one on this machine and stops it afterwards.

    Raises:
        AustickerError: there is no cluster at the address, or it may not be talked to.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if site.address is None:
        options: dict[str, Any] = {"address": "local", "include_dashboard": False, "object_store_memory": 256 * 1024**2}
        with own_token(), _connected(options | ({"num_cpus": site.workers} if site.workers else {}), site.demand):
            yield
    else:
        with _connected({"address": _checked(site.address, site.trust)}, site.demand):
            yield


@contextmanager
def _connected(options: dict[str, Any], demand: Demand) -> Iterator[None]:
    import ray

    threads = {"env_vars": dict.fromkeys(_THREADS, str(demand.cpus))}
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR, runtime_env=threads)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_termination)  # Ray puts a handler of its own there
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise knock.no_cluster(options["address"], str(error)) from error
    try:
        with _notices_logged():
            yield
    finally:
        ray.shutdown()


@contextmanager
def _notices_logged() -> Iterator[None]:
    """Sends to the log what nodes say of dead workers, which Ray prints to stdout, amid the JSON for programs."""
    from ray._private import worker

    def log(notice: Mapping[str, Any], **_: object) -> None:
        logging.getLogger(__name__).info("%s", "\n".join(notice["lines"]))

    printed = worker.print_to_stdstream
    worker.print_to_stdstream = log  # type: ignore[assignment]
    try:
        yield
    finally:
        worker.print_to_stdstream = printed
