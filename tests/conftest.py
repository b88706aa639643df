"""Fixtures that several rooms share: the embedded corpus, and the command line as a user meets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from object_store import ObjectServer

import austicker
from austicker import cli, corpora
from austicker.corpora import packed
from austicker.store.bucket import _connected
from austicker.types import Corpus

NO_SERVER = "http://127.0.0.1:9"
"""An address where nothing listens: MLflow gives up there at once."""
FAR_JOB = """
name = "far away"
corpora = [{ name = "orl-motion", folds = 1 }]
models = [{ name = "stcnn", label = "s", width = 0.125, input_px = 32, epochs = 1 }]
discovery = { bootstraps = 0 }
attacks = [{ stickers = ["sun", "it's mine.png"], placements = ["centre"] }]
"""


@pytest.fixture(scope="session")
def orl_motion() -> Corpus:
    """The embedded corpus from the user's cache; the lock lets one of several test processes make it."""
    cache = packed.cache_folder()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.parent / "tests.lock"):
        return corpora.open_corpus("orl-motion")


@pytest.fixture(scope="session")
def object_server(tmp_path_factory) -> Iterator[ObjectServer]:
    """A real object store on loopback; a test that kills it starts it again."""
    server = ObjectServer(tmp_path_factory.mktemp("objects"))
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def bucket(object_server, monkeypatch) -> ObjectServer:
    """The object store, with its credentials in this process' environment."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    _connected.cache_clear()
    return object_server


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


def one_sentence(answer: Answer, *words: str) -> None:
    """Fails unless a command was refused with status 2 and one sentence that holds the words."""
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    for word in words:
        assert word in answer.err


@pytest.fixture
def no_token(monkeypatch):
    """No token is configured on this side."""
    from austicker.grid import access

    monkeypatch.setattr(access, "token_headers", dict)


@pytest.fixture(scope="session")
def far_job(tmp_path_factory, orl_motion) -> Path:
    """A job with a sticker of the user's own, whose name a shell would not leave alone."""
    folder = tmp_path_factory.mktemp("far")
    shutil.copyfile(Path(austicker.__file__).parent / "data" / "sticker-heart.png", folder / "it's mine.png")
    (folder / "far.toml").write_text(FAR_JOB)
    return folder / "far.toml"
