"""Ray's job server from the outside: hands a job in, follows its log to the end, stops it; knows not what it does."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import requests
import tenacity
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from austicker.grid import access, knock
from austicker.types import AustickerError

TRANSFER_S = 60.0
"""How long it may be silent while it takes a job or tells of one."""
PATIENCE_S = 60.0
"""How long a server may be away before a job is followed no longer."""
SILENCE_S = 60.0
"""How long a log may be silent before the connection is made anew, in case it is dead."""
AGENT_S = 30.0
"""What a head that has just been started is given until it can take jobs."""
STOP_GRACE_S = 15
"""How long a stopped job may put its things in order; Ray's own 3 s are short of what a run takes."""
STOPPED = 143
"""Exit status of a job that was stopped, as of a process that ended on SIGTERM."""
_VARIABLE = "RAY_API_SERVER_ADDRESS"
_CHATTERING = ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is handed in.

    Attributes:
        id: names it on the server.
        command: a line for the shell of the cluster's machine, run in a copy of `folder`.
        folder: files that the job reads.
        package: folder of the Python package that it imports.
        labels: words that `jobs` gives back.
    """

    id: str
    command: str
    folder: Path
    package: Path
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A job as its server tells of it; times are seconds since 1970.

    Attributes:
        exit_status: that of its process, 128 + n where signal n ended it, None where it has none (yet).
        message: what the server says of its state.
    """

    id: str
    status: str
    started: float | None
    ended: float | None
    labels: Mapping[str, str]
    exit_status: int | None
    message: str

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen to it any more."""
        return JobStatus(self.status).is_terminal()


class _PatientClient(JobSubmissionClient):
    """Ray's client, which by itself would wait for ever, and show the token to the environment's HTTP proxy."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        options |= {"timeout": (knock.ANSWER_S, TRANSFER_S), "proxies": {"http": "", "https": ""}}
        return super()._do_request(method, endpoint, **options)


class JobServer:
    """The job server of a Ray cluster.

    Args:
        address: such as http://10.0.0.1:8265.
        trust: why a cluster beyond this machine may be talked to.

    Raises:
        AustickerError: there is no such server, or it may not be talked to.
    """

    def __init__(self, address: str, trust: access.Trust = "token") -> None:
        self.address = address.rstrip("/")
        self._host = knock.job_server_host(self.address)
        access.admit(self.address, self._host, lambda headers: knock.job_server(self.address, headers), trust)
        for name in _CHATTERING:
            logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)
        with self._plainly(), _preferred_by_ray(self.address):
            self._client = _PatientClient(self.address, verify=os.environ.get("SSL_CERT_FILE") or True)

    @property
    def shows_token(self) -> bool:
        """Whether the token crosses a network where others can read it."""
        return (
            self.address.startswith("http://") and not access.is_loopback(self._host) and bool(access.token_headers())
        )

    def submit(self, parcel: Parcel) -> None:
        """Hands a job in; its process starts by itself.

        Raises:
            AustickerError: the server does not take it.
        """
        environment = {
            "working_dir": str(parcel.folder),
            "py_modules": [str(parcel.package)],
            "excludes": ["__pycache__"],
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_GRACE_S)},
        }
        # A head that has just been started answers before its agent, which starts jobs, is there.
        soon = tenacity.Retrying(
            retry=tenacity.retry_if_exception_message(match="(?s).*No available agent"),
            stop=tenacity.stop_after_delay(AGENT_S),
            wait=tenacity.wait_fixed(1),
            reraise=True,
        )
        with self._plainly():
            soon(
                self._client.submit_job,
                entrypoint=parcel.command,
                submission_id=parcel.id,
                runtime_env=environment,
                metadata=dict(parcel.labels),
            )

    def job(self, name: str) -> RemoteJob:
        """Returns a job.

        Raises:
            AustickerError: the server knows none of this id, or does not answer.
        """
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):  # it becomes part of a URL
            raise self._no_job(name)
        with self._plainly(name):
            return _remote_job(self._client.get_job_info(name))

    def jobs(self) -> list[RemoteJob]:
        """Returns the jobs that were handed in, the newest first."""
        with self._plainly():
            found = [_remote_job(details) for details in self._client.list_jobs() if details.submission_id]
        return sorted(found, key=lambda job: job.started or 0.0, reverse=True)

    def stop(self, name: str) -> RemoteJob:
        """Stops a job and waits until it has ended.

        Raises:
            AustickerError: there is no such job, or it does not end.
        """
        if (job := self.job(name)).is_over:
            return job
        with self._plainly(name):
            self._client.stop_job(name)
        last = time.monotonic() + STOP_GRACE_S + PATIENCE_S
        while not (job := self.job(name)).is_over:
            if time.monotonic() > last:
                raise AustickerError(f"Job '{name}' was told to stop, and has not ended since: look at `list`.")
            time.sleep(0.5)
        return job

    def follow(self, name: str, show: Callable[[str], None]) -> RemoteJob:
        """Shows a job's log from its beginning until the job ends, over as many connections as it takes.

        Args:
            name: the job's id.
            show: is given each new piece of the log once.

        Raises:
            AustickerError: there is no such job, or the server was away for `PATIENCE_S`.
        """
        shown = 0

        async def tail() -> bool:
            nonlocal shown
            seen = 0
            try:
                async for text in _alive(self._client.tail_job_logs(name)):
                    show(text[max(0, shown - seen) :])
                    seen += len(text)
                    shown = max(shown, seen)
            except (aiohttp.ClientError, OSError, RuntimeError, TimeoutError):
                return False
            return True

        was_over = self.job(name).is_over
        while True:
            complete = asyncio.run(tail())
            job = self._patiently(lambda: self.job(name))
            if job.is_over and (complete or was_over):
                return job
            was_over = job.is_over
            time.sleep(1.0)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Asks until there is an answer."""
        last = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ask()
            except AustickerError as error:
                if time.monotonic() > last:
                    raise AustickerError(
                        f"{error} The job may go on: `austicker-grid attach` comes back to it."
                    ) from error
                time.sleep(2.0)

    @contextmanager
    def _plainly(self, name: str = "") -> Iterator[None]:
        """Makes one sentence of what goes wrong between Ray's client and the server."""
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError as error:
            raise AustickerError(f"The job server at '{self.address}' does not accept the token.") from error
        except requests.Timeout as error:
            raise knock.no_server(self.address, "no answer in time") from error
        except (requests.RequestException, ConnectionError) as error:
            raise knock.no_server(self.address, "the connection failed") from error
        except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
            if name and ("status code 404" in str(error) or "does not exist" in str(error)):
                raise self._no_job(name) from error
            raise AustickerError(f"The job server at '{self.address}' refused: {_told(str(error))}") from error

    def _no_job(self, name: str) -> AustickerError:
        return AustickerError(f"The job server at '{self.address}' has no job '{name}': see `austicker-grid list`.")


async def _alive(pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yields the pieces of a log; a silence longer than `SILENCE_S` is a TimeoutError."""
    while True:
        try:
            yield await asyncio.wait_for(anext(pieces), SILENCE_S)
        except StopAsyncIteration:
            return


@contextmanager
def _preferred_by_ray(address: str) -> Iterator[None]:
    """Puts an address where Ray looks first, before what it is given: else the environment could name another."""
    there = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = address
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE)
        if there is not None:
            os.environ[_VARIABLE] = there


def _remote_job(details: JobDetails) -> RemoteJob:
    code = details.driver_exit_code
    return RemoteJob(
        id=details.submission_id or "",
        status=str(details.status),
        started=details.start_time / 1000 if details.start_time else None,
        ended=details.end_time / 1000 if details.end_time else None,
        labels=details.metadata or {},
        exit_status=128 - code if code is not None and code < 0 else code,
        message=_told(details.message or ""),
    )


def _told(text: str) -> str:
    """Returns the line of a server's words that says most: the first one, or a traceback's last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    return lines[-1] if "Traceback" in text else lines[0]
