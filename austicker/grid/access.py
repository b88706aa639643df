"""Who may be talked to: beyond this machine only a cluster that demands a token, with that token; connects nowhere."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from austicker.types import AustickerError

Trust = Literal["token", "network"]
"""Why a cluster beyond this machine may be talked to: it demands a token of everybody, or the network is trusted."""
Knock = Callable[[Mapping[str, str]], bool]
"""Tells whether a cluster lets somebody with these headers in."""
_MODE, _TOKEN, _TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_HOW = f"set {_MODE}=token, and {_TOKEN_PATH} to a file with the cluster's token"


def admit(address: str, host: str, knock: Knock, trust: Trust = "token") -> None:
    """Lets a cluster pass that is safe to talk to and lets us in.

    Without a token on this side, nothing is sent beyond this machine.

    Args:
        address: the cluster's, for messages.
        host: the address' host.
        knock: asks the cluster; it may raise an AustickerError of its own.
        trust: "network" lets clusters pass that are open to everybody.

    Raises:
        AustickerError: the cluster is open to everybody or lets us not in, or the token cannot be read.
    """
    headers = token_headers()
    if trust == "token" and not is_loopback(host):
        if not headers:
            raise AustickerError(
                f"The cluster at '{address}' is not on this machine's loopback interface and no token is configured: "
                f"{_HOW}, or trust everybody who can reach the cluster with --insecure-cluster."
            )
        if knock({}):
            raise AustickerError(
                f"The cluster at '{address}' lets everybody in who can reach it: start it with {_MODE}=token, or "
                "trust them with --insecure-cluster."
            )
    if knock(headers):
        return
    if headers:
        raise AustickerError(f"The cluster at '{address}' does not accept the token: {_HOW}.")
    raise AustickerError(f"The cluster at '{address}' demands a token: {_HOW}.")


def is_loopback(host: str) -> bool:
    """Tells whether a host is this machine's loopback interface, by its name alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def token_headers() -> Mapping[str, str]:
    """Returns the headers that carry the configured token; none where Ray's token authentication is off.

    Raises:
        AustickerError: it is on and there is no readable token.
    """
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled
    from ray.exceptions import AuthenticationError

    try:
        headers: dict[str, str] = get_auth_headers_if_auth_enabled({})
    except AuthenticationError as error:
        place = f"'{os.environ[_TOKEN_PATH]}'" if _TOKEN_PATH in os.environ else f"{_TOKEN} or ~/.ray/auth_token"
        raise AustickerError(f"{_MODE} is 'token', but there is no token in {place}.") from error
    return headers


def use_token_of_this_machine() -> None:
    """Turns token authentication on where a token lies ready and nothing says otherwise, as Ray does for 'auto'."""
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    if _MODE not in os.environ and AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        os.environ[_MODE] = "token"
        _read_environment_again()


@contextmanager
def own_token() -> Iterator[None]:
    """Gives a cluster that this process starts a token of its own, for as long, in the environment alone.

    Most ports of Ray are open to the network: without a token, so would be this account.
    """
    kept = {name: os.environ.get(name) for name in (_MODE, _TOKEN)}
    os.environ.update({_MODE: "token", _TOKEN: secrets.token_hex(32)})
    _read_environment_again()
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _read_environment_again()


def _read_environment_again() -> None:
    """Makes Ray forget what it read of its settings before."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
