"""Asks at an address whether a Ray cluster is there and lets one in; short, and with a limit on the time it takes."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from austicker.types import AustickerError

ANSWER_S = 5.0
"""How long a cluster may take to answer: behind a port that is not Ray's, Ray itself would wait for minutes."""
_QUESTION = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""A call of Ray's control store that takes an empty request and needs the token."""
_OLDEST = (2, 40)
"""The oldest Ray whose job server and tokens are as we expect them."""
_ANSWER_BYTES = 65536


def control_store_host(address: str) -> str:
    """Returns the host of a control store's host:port.

    Raises:
        AustickerError: it is none.
    """
    if address.startswith("ray://"):
        raise AustickerError(
            f"'--address {address}' is of Ray Client, which is not supported: name the job server, such as "
            "http://10.0.0.1:8265, or work on a machine of the cluster."
        )
    host, _, port = address.rpartition(":")
    if not host.strip("[]") or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise AustickerError(f"'--address {address}' is neither 'auto' nor host:port, such as 10.0.0.1:6379.")
    return host.strip("[]")


def is_job_server(address: str | None) -> bool:
    """Tells whether an address is a job server's, not a cluster's own."""
    return bool(address) and re.match("https?://", address or "", re.IGNORECASE) is not None


def job_server_host(address: str) -> str:
    """Returns the host of a job server's URL.

    Raises:
        AustickerError: it is none.
    """
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise AustickerError(f"'--address {address}' is no job server's, such as http://127.0.0.1:8265.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise AustickerError("Give the job server's --address without user, password or query.")
    return parts.hostname or ""


def control_store(address: str, headers: Mapping[str, str]) -> bool:
    """Tells whether a cluster's control store lets somebody with these headers in.

    Raises:
        AustickerError: there is no control store.
    """
    import grpc

    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            channel.unary_unary(_QUESTION)(b"", timeout=ANSWER_S, metadata=tuple(headers.items()))
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise no_cluster(address, _reason(error.code().name, error.details() or "")) from error
    return True


def job_server(address: str, headers: Mapping[str, str]) -> bool:
    """Tells whether a cluster's job server lets somebody with these headers in.

    Raises:
        AustickerError: there is no job server, or its Ray is too old.
    """
    import aiohttp

    try:
        status, body = asyncio.run(_version(address, headers))
    except TimeoutError as error:
        raise no_server(address, f"no answer within {ANSWER_S:.0f} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise no_server(address, "its certificate is not trusted; SSL_CERT_FILE names those that are") from error
    except aiohttp.ClientConnectorSSLError as error:
        raise no_server(address, "what listens there does not speak TLS") from error
    except aiohttp.ClientConnectorError as error:
        number = error.errno or 0
        raise no_server(address, os.strerror(number) if number > 0 else "the host is not known") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise no_server(address, "what listens there does not speak HTTP") from error
    if status in (401, 403):
        return False
    try:
        version = str(json.loads(body)["ray_version"])
        numbers = tuple(int(number) for number in version.split(".")[:2])
    except (ValueError, KeyError, TypeError) as error:
        raise no_server(address, f"what answers there, with status {status}, is not Ray") from error
    if status != 200 or numbers < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise AustickerError(f"The job server at '{address}' is of Ray {version[:20]!a}: at least {oldest} is needed.")
    return True


async def _version(address: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    import aiohttp

    limit = aiohttp.ClientTimeout(total=ANSWER_S)
    async with (
        aiohttp.ClientSession(timeout=limit, headers=headers) as session,
        session.get(f"{address}/api/version", allow_redirects=False) as answer,
    ):
        return answer.status, await answer.content.read(_ANSWER_BYTES)


def _reason(code: str, details: str) -> str:
    """Returns in words why a control store did not answer."""
    if code == "DEADLINE_EXCEEDED":
        return f"no answer within {ANSWER_S:.0f} s"
    if "Connection refused" in details:
        return "connection refused"
    return f"what is there does not speak Ray's protocol, {code}; a job server's address starts with http://"


def no_cluster(address: str, text: str) -> AustickerError:
    """Returns the refusal of a cluster that does not answer."""
    reason = text.strip().splitlines()[0].rstrip(".") if text.strip() else "no reason given"
    return AustickerError(f"No Ray cluster answers at '{address}' ({reason}): start one or leave --address out.")


def no_server(address: str, reason: str) -> AustickerError:
    """Returns the refusal of a job server that does not answer."""
    return AustickerError(
        f"No Ray job server answers at '{address}' ({reason}): give the address of the head's dashboard."
    )
