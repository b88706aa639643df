"""Jobs handed in to a separately started, token-protected Ray head, and logs over connections that break."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from conftest import NO_SERVER, command, one_sentence

from austicker.grid import knock, server
from austicker.types import AustickerError

# Ray's own client, of the aiohttp that it brings.
pytestmark = pytest.mark.filterwarnings("ignore:ssl=None is deprecated:DeprecationWarning")

CELLS = 2
NO_TOKEN = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN": None, "RAY_AUTH_TOKEN_PATH": None, "RAY_ADDRESS": None}


# A log over a bad line.


class Flaky:
    """A job server whose log connection drops in the middle of the text, twice, or falls silent, or which goes away."""

    LOG = "".join(f"line {number}\n" for number in range(40))

    def __init__(self, drops=(30, 101), code=0, silence_s=0.0, answers=99):
        self._drops, self._code, self._silence_s, self._answers = list(drops), code, silence_s, answers

    async def version(self, _):
        return web.json_response({"ray_version": "2.60.0"})

    async def job(self, _):
        over = not self._drops
        self._answers -= 1
        if self._answers < 0:
            return web.Response(status=503)
        state = {"status": "FAILED" if self._code else "SUCCEEDED", "driver_exit_code": self._code}
        return web.json_response(
            {"type": "SUBMISSION", "submission_id": "j", "entrypoint": "", "metadata": {"store": "/s\x1b[2J"}}
            | (state if over else {"status": "RUNNING"})
        )

    async def tail(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self._drops:
            await socket.send_str(self.LOG[: self._drops.pop(0)])
            await asyncio.sleep(self._silence_s or 0.1)
            if not self._silence_s:
                request.transport.abort()
        else:
            await socket.send_str(self.LOG[:55])
            await socket.send_str(self.LOG[55:])
        return socket

    @contextlib.contextmanager
    def serving(self):
        loop, ready, place = asyncio.new_event_loop(), threading.Event(), []

        async def serve():
            app = web.Application()
            app.add_routes(
                [
                    web.get("/api/version", self.version),
                    web.get("/api/jobs/j", self.job),
                    web.get("/api/jobs/j/logs/tail", self.tail),
                ]
            )
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            place.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
            ready.set()
            return runner

        def work():
            runner = loop.run_until_complete(serve())
            loop.run_forever()
            loop.run_until_complete(runner.cleanup())
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        ready.wait(10)
        yield place[0]
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


@pytest.mark.parametrize("code", [0, 1, -9])
def test_a_log_over_broken_connections_is_shown_once(cli_here, no_token, code):
    with Flaky(code=code).serving() as address:
        answer = cli_here("attach", "j", "--address", address)
    assert answer.err == Flaky.LOG
    assert answer.status == (128 - code if code < 0 else code)
    assert r"results: /s\x1b[2J" in answer.out


def test_a_connection_that_died_in_silence_is_made_anew(cli_here, no_token, monkeypatch):
    monkeypatch.setattr(server, "SILENCE_S", 0.3)
    with Flaky(silence_s=2).serving() as address:
        assert cli_here("attach", "j", "--address", address).err == Flaky.LOG


def test_a_server_that_goes_away_is_waited_for_and_then_named(cli_here, no_token, monkeypatch):
    monkeypatch.setattr(server, "PATIENCE_S", 0.5)
    with Flaky(answers=2).serving() as address:
        answer = cli_here("attach", "j", "--address", address)
    assert answer.status == 2
    shown, _, sentence = answer.err.partition("Error: ")
    assert Flaky.LOG.startswith(shown)
    assert address in sentence
    assert "`austicker-grid attach` comes back to it" in sentence


def test_the_environment_names_no_other_server_than_the_one_that_was_checked(no_token, monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", NO_SERVER)
    with Flaky(drops=()).serving() as address:
        assert server.JobServer(address).job("j").is_over
    assert os.environ["RAY_API_SERVER_ADDRESS"] == NO_SERVER


# A head that was started separately.


@dataclass(frozen=True)
class Head:
    """A running head and what it takes to talk to it."""

    url: str
    gcs: str
    token: str
    environment: dict[str, str]
    folder: Path

    def start(self, *arguments: object) -> subprocess.Popen:
        return subprocess.Popen(
            [command(), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self.environment,
        )


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in held]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """`ray start --head --block` with a token, on ports and in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="ah"))  # short: sockets lie in it
    token = folder / "token"
    token.write_text(secrets.token_hex(16))
    gcs, dashboard, client = free_ports(3)
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "MLFLOW_TRACKING_URI": NO_SERVER}
    bin_folder = Path(sys.executable).parent
    options = f"""--head --block --num-cpus 2 --port {gcs} --temp-dir {folder / "r"} --object-store-memory 200000000
        --include-dashboard true --dashboard-host 127.0.0.1 --dashboard-port {dashboard} --node-ip-address 127.0.0.1
        --ray-client-server-port {client} --dashboard-agent-listen-port 0 --dashboard-agent-grpc-port 0
        --metrics-export-port 0 --min-worker-port 0 --max-worker-port 0 --disable-usage-stats"""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [bin_folder / "ray", "start", *options.split()],
            stdout=log,
            stderr=log,
            env=os.environ | environment | {"PATH": f"{bin_folder}:{os.environ['PATH']}"},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for_head(url, process, folder / "log")
        yield Head(url, f"127.0.0.1:{gcs}", token.read_text(), environment, folder)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_head(url: str, process: subprocess.Popen, log: Path) -> None:
    last = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < last, log.read_text()
        with contextlib.suppress(AustickerError):
            knock.job_server(url, {})
            return
        time.sleep(0.5)


@pytest.fixture(scope="module")
def finished(head, far_job, cli_apart, tmp_path_factory):
    """A job that was handed in and followed to its end, its store, and what the command said."""
    store = tmp_path_factory.mktemp("stores") / "it's a $store"
    return store, cli_apart("submit", far_job, "--address", head.url, "--store", store, **head.environment)


@pytest.fixture
def broken(finished, tmp_path) -> Path:
    """A copy of the finished store in which training can only fail."""
    store = Path(shutil.copytree(finished[0], tmp_path / "store"))
    for weights in (store / "models").glob("*.safetensors"):
        weights.unlink()
        weights.mkdir()
    for part in (store / "verdicts").rglob("*.parquet"):
        part.unlink()
    return store


def jobs(head, cli_apart) -> dict[str, dict]:
    answer = cli_apart("list", "--address", head.url, "--json", **head.environment)
    return {found["id"]: found for found in json.loads(answer.out)}


def wait_until(condition, process=None):
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.2)


cluster = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


class TestAHead:
    pytestmark = cluster

    def test_a_job_is_handed_in_followed_and_done(self, finished):
        store, answer = finished
        assert answer.status == 0, answer.err
        assert "Traceback" not in answer.err
        assert f"{CELLS} of {CELLS} cells done" in answer.err
        assert f"report: {store}/report/index.html" in answer.err
        name = answer.out.partition(":")[0]
        assert name.startswith("far-away-")
        assert answer.out == f"{name}: succeeded; results: {store}\n"
        record = json.loads((store / "job.json").read_text())
        assert "it's mine.png" in record["job"]["attacks"][0]["stickers"][1]
        assert record["provenance"]["git"]["commit"] == "installed"  # the code that was sent, not this checkout
        assert (store / "report" / "index.html").is_file()

    def test_without_the_token_everything_is_refused(self, head, finished, far_job, cli_apart, tmp_path):
        for settings, word in (
            (NO_TOKEN, "demands a token"),
            (NO_TOKEN | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "wrong"}, "does not accept the token"),
        ):
            store = ("--store", tmp_path / "store")
            one_sentence(cli_apart("submit", far_job, "--address", head.url, *store, **settings), head.url, word)
            one_sentence(cli_apart("submit", far_job, "--address", head.gcs, *store, **settings), head.gcs, word)
        one_sentence(cli_apart("list", "--address", head.url, **NO_TOKEN), "demands a token")
        assert not (tmp_path / "store").exists()

    def test_a_job_outlives_its_client_and_keeps_its_exit_status(self, head, broken, far_job, cli_apart):
        client = head.start("submit", far_job, "--address", head.url, "--store", broken)
        assert client.stderr.readline()
        client.kill()
        client.communicate()
        (name,) = (name for name, found in jobs(head, cli_apart).items() if found["labels"]["store"] == str(broken))
        answer = cli_apart("attach", name, "--address", head.url, "--json", **head.environment)
        assert answer.status == 1
        assert f"0 of {CELLS} cells done, 2 tasks run, 2 failed" in answer.err
        record = json.loads(answer.out)
        assert (record["status"], record["exit_status"]) == ("FAILED", 1)

    def test_a_job_is_left_listed_and_stopped(self, head, far_job, cli_apart, tmp_path):
        address, settings = ("--address", head.url), head.environment
        long = ("--set", "models.0.epochs=100000")
        answer = cli_apart("submit", far_job, *address, "--store", tmp_path / "s", "--detach", *long, **settings)
        assert (answer.status, answer.err) == (0, "")
        name, *commands = answer.out.splitlines()
        assert commands == [f"austicker-grid {verb} {name} --address {head.url}" for verb in ("attach", "stop")]
        client = head.start("attach", name, *address)
        wait_until(lambda: list((tmp_path / "s").glob("job.json")), client)
        time.sleep(1)
        client.send_signal(signal.SIGINT)
        _, err = client.communicate(timeout=20)
        assert client.returncode == 130
        assert err.endswith(f"The job goes on: `{commands[0]}` follows it, `{commands[1]}` ends it.\n")
        assert jobs(head, cli_apart)[name]["status"] == "RUNNING"
        answer = cli_apart("stop", name, *address, **settings)
        assert (answer.status, answer.out) == (0, f"{name}: stopped\n")
        answer = cli_apart("stop", name, *address, **settings)
        assert (answer.status, answer.out) == (0, f"{name} had ended before: stopped\n")
        assert cli_apart("attach", name, *address, **settings).status == server.STOPPED
        table = cli_apart("list", *address, **settings).out.splitlines()
        assert table[0].split() == ["job", "status", "started", "for", "name", "store"]
        assert table[1].startswith(name)
        assert "stopped" in table[1]

    def test_an_unknown_job_is_one_sentence(self, head, cli_apart):
        for verb in ("attach", "stop"):
            one_sentence(cli_apart(verb, "nobody", "--address", head.url, **head.environment), "has no job 'nobody'")
        one_sentence(cli_apart("stop", "../version", "--address", head.url, **head.environment), "has no job")

    def test_run_joins_the_cluster_with_the_token(self, head, finished, far_job, cli_apart, tmp_path):
        store = Path(shutil.copytree(finished[0], tmp_path / "store"))
        for part in (store / "verdicts").rglob("*.parquet"):
            part.unlink()
        alone = NO_TOKEN | {"RAY_ADDRESS": head.gcs, "HOME": str(tmp_path)}  # no token lies in this home
        port = head.gcs.rpartition(":")[2]
        one_sentence(cli_apart("run", far_job, "--store", store, **alone), f":{port}'", "token", "RAY_AUTH_MODE=token")
        ready = head.environment | {
            "RAY_AUTH_MODE": None,
            "RAY_ADDRESS": head.gcs,
        }  # as for Ray, a token at hand is used
        answer = cli_apart("run", far_job, "--store", store, **ready)
        assert answer.status == 0, answer.err
        assert f"{CELLS} of {CELLS} cells done, 1 tasks run, 0 failed" in answer.out

    def test_the_token_is_written_nowhere(self, head, finished):
        store, answer = finished
        assert head.token not in answer.out + answer.err
        secret = head.token.encode()
        for folder in (store, head.folder / "r"):
            files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size < 2**24]
            assert files
            assert not [path for path in files if secret in path.read_bytes()]
        for arguments in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                assert secret not in arguments.read_bytes()
