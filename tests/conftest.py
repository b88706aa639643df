"""Fixtures that several rooms share: the embedded corpus, and the command line as a user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from austicker import cli, corpora
from austicker.corpora import packed
from austicker.types import Corpus

NO_SERVER = "http://127.0.0.1:9"
"""An address where nothing listens: MLflow gives up there at once."""


@pytest.fixture(scope="session")
def orl_motion() -> Corpus:
    """The embedded corpus from the user's cache; the lock lets one of several test processes make it."""
    cache = packed.cache_folder()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.parent / "tests.lock"):
        return corpora.open_corpus("orl-motion")


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture
def cli_here(monkeypatch, capfd):
    """Runs the command line's own `main` in this process: fast, for what imports little."""

    def run(*arguments: object) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["austicker-grid", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        shown = capfd.readouterr()
        return Answer(status, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def cli_apart():
    """Runs the installed command in a process of its own, as a user does; a setting of None is taken away."""

    def run(*arguments: object, timeout: float = 120, cwd: Path | None = None, **settings: str | None) -> Answer:
        environment = {key: value for key, value in (os.environ | settings).items() if value is not None}
        ended = subprocess.run(
            [command(), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env=environment,
            check=False,
        )
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    return run


def command() -> str:
    """Returns the path of the installed command."""
    return str(Path(sys.executable).with_name("austicker-grid"))
