"""What a store's address says, a folder or an object store; contacts nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from austicker.types import AustickerError

OPTIONS = {"s3": ("endpoint_override", "region", "scheme"), "gs": ("endpoint_override", "scheme")}
"""Schemes of object stores and what may stand behind the question mark, as in `pyarrow.fs.FileSystem.from_uri`."""
_URI = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")
_SECRET = re.compile(r"key|secret|token|password|credential|signature|user", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAddress:
    """An object store's address; `text` is the whole of it and holds no secret, `path` is bucket/prefix."""

    text: str
    scheme: str
    path: str
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


def parse(location: Path | str) -> Path | BucketAddress:
    """Returns what a location names.

    Raises:
        AustickerError: an unknown kind of store or option, no bucket, or credentials in the address.
    """
    text = str(location)
    found = None if isinstance(location, Path) and location.exists() else _URI.match(text)
    if not found:
        return Path(location)
    scheme = found["scheme"].lower()
    if scheme not in OPTIONS:
        raise AustickerError(f"A store at '{scheme}://' is not known: name a folder, or an s3:// or gs:// address.")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise AustickerError(
            f"The address of the store cannot be read ({error}): write {scheme}://bucket/path."
        ) from error
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    user, at, bucket = parts.netloc.rpartition("@")
    anonymous = scheme == "gs" and user == "anonymous"
    if (at and not anonymous) or any(_SECRET.search(name) or "@" in value for name, value in options.items()):
        raise AustickerError(_no_secrets(scheme))
    unknown = [name for name in options if name not in OPTIONS[scheme]]
    if unknown:
        raise AustickerError(
            f"The store's address has an unknown option '{unknown[0]}': known are {', '.join(OPTIONS[scheme])}."
        )
    path = unquote(parts.path).strip("/")
    if not bucket or parts.fragment or ".." in path.split("/"):
        raise AustickerError(f"The address '{text}' names no place for a store: write {scheme}://bucket/path.")
    return BucketAddress(
        text=text, scheme=scheme, path=f"{bucket}/{path}".rstrip("/"), options=options, anonymous=anonymous
    )


def _no_secrets(scheme: str) -> str:
    means = {
        "s3": "the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), ~/.aws/credentials or the node's role",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS or the node's service account",
    }
    return (
        f"The store's address holds credentials, which would be logged and kept: give them by {means[scheme]} instead."
    )
