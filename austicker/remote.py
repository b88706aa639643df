"""A job in the hands of a cluster's job server: handed in, followed, stopped and listed; nothing is run here."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import austicker
from austicker import parcel
from austicker.grid import Trust, knock
from austicker.grid.server import STOPPED, JobServer, Parcel, RemoteJob
from austicker.job import Job
from austicker.progress import duration
from austicker.terminal import printable
from austicker.types import AustickerError

LOCAL = "http://127.0.0.1:8265"
"""Where Ray's own command line, too, looks for a job server that nobody names."""
INSECURE = "--insecure-cluster"


def connect(address: str | None, trust: Trust) -> JobServer:
    """Returns the job server at an address, by default that of the environment or of this machine.

    Raises:
        AustickerError: there is none, or it may not be talked to.
    """
    named = (address, os.environ.get("RAY_API_SERVER_ADDRESS"), os.environ.get("RAY_ADDRESS"))
    server = JobServer(address or next(filter(knock.is_job_server, named), None) or LOCAL, trust)
    if server.shows_token:
        sys.stderr.write(
            f"The token crosses the network to '{server.address}' unencrypted: better use an SSH tunnel, or https.\n"
        )
    return server


def hand_in(job: Job, store: str, server: JobServer, options: Sequence[str] = ()) -> str:
    """Hands a job in and returns its id.

    Args:
        job: the checked job.
        store: an address that the cluster can reach, from `parcel.shared_store`.
        server: of the cluster.
        options: more words for the far `run`.

    Raises:
        AustickerError: a sticker cannot be read, or the server does not take the job.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", job.name).strip("-") or "job"
    name = f"{readable}-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="austicker-") as folder:
        parcel.pack(job, Path(folder))
        server.submit(
            Parcel(
                id=name,
                command=parcel.command(store, tuple(options)),
                folder=Path(folder),
                package=Path(austicker.__file__).parent,
                labels={"job_name": job.name, "store": store},
            )
        )
    return name


def commands(server: JobServer, name: str, trust: Trust) -> dict[str, str]:
    """Returns what to type to come back to a job, and to stop it."""
    rest = [name, "--address", server.address, *([INSECURE] if trust == "network" else [])]
    return {verb: shlex.join(["austicker-grid", verb, *rest]) for verb in ("attach", "stop")}


def follow(server: JobServer, name: str, *, as_json: bool) -> int:
    """Shows a job's log on the error output until the job ends, then how it ended, and returns its exit status.

    Raises:
        AustickerError: there is no such job, it could not be started, or the server is gone.
    """
    job = server.follow(name, _show)
    if job.status == "FAILED" and job.exit_status is None:
        raise AustickerError(f"The cluster could not carry job '{name}' through: {job.message}")
    status = _exit_status(job)
    if as_json:
        sys.stdout.write(json.dumps(_record(job) | {"exit_status": status}, indent=1) + "\n")
    else:
        sys.stdout.write(printable(f"{name}: {_state(job)}; results: {job.labels.get('store', 'unknown')}\n"))
    return status


def _show(text: str) -> None:
    sys.stderr.write(printable(text))
    sys.stderr.flush()


def _exit_status(job: RemoteJob) -> int:
    if job.status == "STOPPED":
        return STOPPED
    return job.exit_status or 0


def _state(job: RemoteJob) -> str:
    ended = f", exit status {job.exit_status}" if job.status == "FAILED" and job.exit_status is not None else ""
    return f"{job.status.lower()}{ended}"


def stop(server: JobServer, name: str) -> str:
    """Stops a job, waits for its end, and returns in words what became of it."""
    if (job := server.job(name)).is_over:
        return printable(f"{name} had ended before: {_state(job)}")
    return printable(f"{name}: {_state(server.stop(name))}")


def table(jobs: Sequence[RemoteJob], *, as_json: bool) -> str:
    """Returns the jobs of a server as text for people or programs."""
    if as_json:
        return json.dumps([_record(job) for job in jobs], indent=1)
    head = ("job", "status", "started", "for", "name", "store")
    rows = [head, *(_row(job) for job in jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(job: RemoteJob) -> tuple[str, ...]:
    started = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started)) if job.started else "-"
    lasted = duration((job.ended or time.time()) - job.started) if job.started else "-"
    words = (job.id, _state(job), started, lasted, job.labels.get("job_name", "-"), job.labels.get("store", "-"))
    return tuple(" ".join(printable(word).split()) for word in words)


def _record(job: RemoteJob) -> dict[str, Any]:
    return asdict(job) | {"labels": dict(job.labels)}
