"""A real S3-compatible server (SeaweedFS) on loopback for the tests, which can be killed and started again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BUCKET = "evaluation"
_GUARD = '("$@"; kill -9 $$) & read -r _; kill -9 0'
"""Runs a command in its process group until it ends or standard input is closed, as when the tests are killed."""
_GRPC = ("master", "volume", "filer", "s3")


def free_ports(count: int) -> list[int]:
    """Returns ports of loopback that nothing listens on."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class ObjectServer:
    """One process with one bucket, one account that may do everything and one that may do nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.secret = "tests", secrets.token_hex(20)
        self.stranger = ("stranger", secrets.token_hex(20))
        names = [*_GRPC, *(f"{name}.grpc" for name in _GRPC)]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        accounts = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for key, secret, actions in ((self.key, self.secret, ["Admin"]), (*self.stranger, []))
        ]
        (folder / "accounts.json").write_text(json.dumps({"identities": accounts}))

    @property
    def environment(self) -> dict[str, str]:
        """Returns the settings by which a client finds its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def endpoint(self) -> str:
        """Returns host and port."""
        return f"127.0.0.1:{self._ports['s3']}"

    def address(self, prefix: str, bucket: str = BUCKET) -> str:
        """Returns the address of a store."""
        return f"s3://{bucket}/{prefix}?endpoint_override={self.endpoint}&scheme=http"

    def start(self) -> None:
        """Starts the server, on the data of the last time, and returns when it answers."""
        ports = [option for name in _GRPC for option in self._port_options(name)]
        command = [str(Path(sys.executable).with_name("weed")), "-logtostderr", "server"]
        command += [f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", *ports]
        command += [f"-s3.config={self.folder / 'accounts.json'}", "-s3.autoCreateBucket=false", "-s3.iam=false"]
        command += [
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
            "-volume.max=20",
            "-master.electionTimeout=1s",
            "-master.resumeState=false",
        ]
        command += ["-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0", "-volume.minFreeSpace=0"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._wait()

    def _port_options(self, name: str) -> tuple[str, str]:
        return f"-{name}.port={self._ports[name]}", f"-{name}.port.grpc={self._ports[f'{name}.grpc']}"

    def _wait(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "log").read_text()[-3000:]
            try:
                urllib.request.urlopen(f"http://{self.endpoint}/status", timeout=1).close()
                self.make_bucket()
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the object store did not start")

    def make_bucket(self, name: str = BUCKET) -> None:
        """Makes a bucket, if it is not there, and makes sure that it takes objects."""
        from pyarrow.fs import S3FileSystem

        files = S3FileSystem(
            access_key=self.key,
            secret_key=self.secret,
            endpoint_override=self.endpoint,
            scheme="http",
            allow_bucket_creation=True,
        )
        files.create_dir(name)
        # The gateway answers before it has a volume to write to.
        with files.open_output_stream(f"{name}/.ready") as stream:
            stream.write(b"ready")

    def stop(self) -> None:
        """Kills the server, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """Kills the server and removes what it left outside of its folder."""
        self.stop()
        for name in _GRPC:
            Path(f"/tmp/seaweedfs-{name}-grpc-{self._ports[f'{name}.grpc']}.sock").unlink(missing_ok=True)
            Path(f"/tmp/seaweedfs-{name}-{self._ports[name]}.sock").unlink(missing_ok=True)
