"""The commands for jobs in the hands of a job server."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from austicker.cli.options import AsJson, Insecure, JobId, ServerAddress

if TYPE_CHECKING:
    from austicker.grid import Site, Trust
    from austicker.grid.server import JobServer
    from austicker.job import Job

INTERRUPTED = 130


class Left(SystemExit):
    """Ctrl-C while another machine's job was followed: what becomes of it was said."""


def hand_in(job: Job, place: str | None, site: Site, options: list[str]) -> tuple[JobServer, str]:
    """Hands a job in to the server at a site and returns the server and the job's id."""
    from austicker import parcel, remote

    store = parcel.shared_store(place)
    server = remote.connect(site.address, site.trust)
    return server, remote.hand_in(job, store, server, options)


def leave(server: JobServer, name: str, trust: Trust, as_json: bool) -> None:
    """Prints a job's id, and what to type to come back to it."""
    from austicker import remote

    words = {"job": name} | remote.commands(server, name, trust)
    typer.echo(json.dumps(words, indent=1) if as_json else "\n".join(words.values()))


def follow(server: JobServer, name: str, trust: Trust, as_json: bool) -> None:
    """Shows a job's log until it ends, and ends with its exit status."""
    from austicker import remote

    try:
        status = remote.follow(server, name, as_json=as_json)
    except KeyboardInterrupt:
        come_back = remote.commands(server, name, trust)
        sys.stderr.write(f"\nThe job goes on: `{come_back['attach']}` follows it, `{come_back['stop']}` ends it.\n")
        raise Left(INTERRUPTED) from None
    raise typer.Exit(status)


def attach(job: JobId, address: ServerAddress = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """Follow a job that was handed in to a job server; its exit status becomes this command's."""
    from austicker import remote

    trust: Trust = "network" if insecure else "token"
    follow(remote.connect(address, trust), job, trust, as_json)


def stop(job: JobId, address: ServerAddress = None, insecure: Insecure = False) -> None:
    """Stop a job that was handed in, and wait for its end; what was finished is kept."""
    from austicker import remote

    typer.echo(remote.stop(remote.connect(address, "network" if insecure else "token"), job))


def list_jobs(address: ServerAddress = None, insecure: Insecure = False, as_json: AsJson = False) -> None:
    """List the jobs that a job server knows."""
    from austicker import remote

    server = remote.connect(address, "network" if insecure else "token")
    typer.echo(remote.table(server.jobs(), as_json=as_json))
