"""Who may be talked to, with which token, and everything else that may stand at a cluster's address."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import pytest
from conftest import NO_SERVER, one_sentence

from austicker import grid, remote
from austicker.grid import access, knock, server
from austicker.types import AustickerError

DEMO = Path(__file__).parents[1] / "jobs" / "demo.toml"
NO_TOKEN = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": None, "RAY_AUTH_TOKEN_PATH": None}


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setattr(access, "token_headers", lambda: {"authorization": "Bearer hidden"})


def nobody(headers):
    pytest.fail("something was sent")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST", "localhost."])
def test_loopback_needs_no_token(no_token, host):
    access.admit(host, host, lambda headers: True)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "0.0.0.0", "::", "::2", "head", "localhost.example.org", "127.0.0.1.example.org", "1.127.0.0"]
)
def test_beyond_loopback_nothing_is_sent_without_a_token(no_token, host):
    with pytest.raises(AustickerError, match="no token is configured.*--insecure-cluster"):
        access.admit(host, host, nobody)
    access.admit(host, host, lambda headers: True, trust="network")


def test_beyond_loopback_a_cluster_must_demand_the_token(token):
    with pytest.raises(AustickerError, match="lets everybody in"):
        access.admit("a", "10.0.0.1", lambda headers: True)
    access.admit("a", "10.0.0.1", bool)
    access.admit("a", "10.0.0.1", lambda headers: True, trust="network")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1"])
def test_a_token_that_is_not_accepted_is_no_part_of_the_sentence(token, host):
    with pytest.raises(AustickerError, match="does not accept the token") as caught:
        access.admit("a", host, lambda headers: False)
    assert "hidden" not in str(caught.value)


def test_a_token_that_cannot_be_read_is_named_by_its_place(cli_apart, tmp_path):
    settings = NO_TOKEN | {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
    one_sentence(cli_apart("list", "--address", NO_SERVER, **settings), "RAY_AUTH_TOKEN or ~/.ray/auth_token")
    settings["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "none")
    one_sentence(cli_apart("list", "--address", NO_SERVER, **settings), str(tmp_path / "none"))


@pytest.mark.parametrize("options", [("submit", "JOB", "--store", "/s"), ("list",), ("stop", "a"), ("attach", "a")])
def test_every_command_keeps_away_from_other_machines_without_a_token(cli_here, no_token, options):
    words = [DEMO if word == "JOB" else word for word in options]
    one_sentence(cli_here(*words, "--address", "http://10.0.0.1:8265"), "'http://10.0.0.1:8265'", "no token")


class Unasked(server.JobServer):
    """A job server that was not contacted."""

    def __init__(self, address, *_):
        self.address, self._host = address, knock.job_server_host(address)


def test_a_token_over_plain_http_is_warned_of(token, monkeypatch, capsys):
    told = {}
    for address in ("http://127.0.0.1:8265", "http://10.0.0.1:8265", "https://10.0.0.1:8265"):
        monkeypatch.setattr(remote, "JobServer", Unasked)
        remote.connect(address, "token")
        told[address] = capsys.readouterr().err
    assert [bool(said) for said in told.values()] == [False, True, False]
    assert "SSH tunnel" in told["http://10.0.0.1:8265"]


# What may stand at an address.


@contextlib.contextmanager
def listening(answer):
    """A server on loopback that answers every request with a status and a text."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = answer
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, "<html>hello</html>"), ("is not Ray",)),
        ((200, "[]"), ("is not Ray",)),
        ((200, '{"ray_version": "\x1b[2J"}'), ("is not Ray",)),
        ((200, '{"ray_version": "1.8.0"}'), ("of Ray '1.8.0'", "2.40")),
        ((302, ""), ("status 302", "is not Ray")),
        ((500, "oops"), ("status 500",)),
        ((401, "who are you"), ("demands a token", "RAY_AUTH_MODE=token")),
    ],
)
def test_a_server_that_is_not_a_rays_is_one_sentence(cli_here, no_token, answer, words):
    with listening(answer) as place:
        one_sentence(cli_here("list", "--address", f"http://{place}"), place, *words)
        if answer[0] != 401:
            one_sentence(cli_here("list", "--address", f"https://{place}"), place, "TLS")
        with pytest.raises(AustickerError, match="starts with http://"):
            grid.check(grid.Site(address=place))


def test_a_port_that_says_nothing_does_not_hang(cli_here, no_token):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = f"127.0.0.1:{mute.getsockname()[1]}"
        start = time.monotonic()
        one_sentence(cli_here("list", "--address", f"http://{place}"), "no answer within 5 s")
        with pytest.raises(AustickerError, match="no answer within 5 s"):
            grid.check(grid.Site(address=place))
        assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("address", "word"),
    [
        (NO_SERVER, "Connection refused"),
        ("http://", "no job server's"),
        ("http://127.0.0.1:99999", "no job server's"),
        ("ftp://127.0.0.1", "no job server's"),
        ("127.0.0.1:8265", "no job server's"),
        ("auto", "no job server's"),
        ("http://me:secret@127.0.0.1:9", "without user, password"),
        ("http://127.0.0.1:9/?token=secret", "without user, password"),
    ],
)
def test_an_address_without_a_job_server_is_one_sentence(cli_here, no_token, address, word):
    for options in (("list",), ("stop", "a"), ("attach", "a")):
        answer = cli_here(*options, "--address", address)
        one_sentence(answer, word)
        assert "secret" not in answer.err


class TestAPrivateCluster:
    pytestmark = [
        pytest.mark.cluster,
        pytest.mark.xdist_group("cluster"),
        pytest.mark.filterwarnings("ignore::ResourceWarning"),
    ]

    def test_it_has_a_token_of_its_own_which_is_written_nowhere(self, tmp_path, monkeypatch):
        import ray

        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            monkeypatch.delenv(name, raising=False)
        folder = Path(tempfile.mkdtemp(prefix="ap"))
        monkeypatch.setenv("RAY_TMPDIR", str(folder))
        with grid.cluster(grid.Site(workers=1)):
            address = ray.get_runtime_context().gcs_address
            token = os.environ["RAY_AUTH_TOKEN"]
            assert not knock.control_store(address, {})
            assert knock.control_store(address, access.token_headers())
        assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & set(os.environ)
        assert access.token_headers() == {}
        assert not (tmp_path / "home").exists()
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert files
        assert not [path for path in files if token.encode() in path.read_bytes()]
        shutil.rmtree(folder)
