"""Objects in a bucket through pyarrow, each put whole or not at all; the object store's side of a store.

S3 is what the tests run. `gs://` goes the same way through the same code, but no server for it is at hand here.
"""

from __future__ import annotations

import os
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from austicker.store.address import BucketAddress
from austicker.store.faults import Unanswered
from austicker.types import AustickerError

CONNECT_TIMEOUT_S = 3.0
ONE_PUT_BYTES = 4 * 2**20
"""Objects up to this size go in one request; pyarrow sends larger ones in parts."""
_CODE = re.compile(r"AWS Error (\w+)")
_WORD = re.compile(r"\b[A-Z]+(?:_[A-Z]+)*\b")
_STATUS = re.compile(r"HTTP Status (\d{3})|HTTP response code[^\d]*(\d{3})")
_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|Bucket '[^']*' not found")
_PASSING = {
    *("NETWORK_CONNECTION", "REQUEST_TIMEOUT", "INTERNAL_FAILURE", "SERVICE_UNAVAILABLE", "SLOW_DOWN", "THROTTLING"),
    *("UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "ABORTED"),
}
"""Codes of S3 and, in the second line, of Google's library for faults that may pass by themselves."""
_DENIED = {
    *("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_SIGNATURE", "UNRECOGNIZED_CLIENT"),
    *("INVALID_CLIENT_TOKEN_ID", "MISSING_AUTHENTICATION_TOKEN", "PERMISSION_DENIED", "UNAUTHENTICATED"),
    *("EXPIRED_TOKEN", "ACCESS_DENIED_EXCEPTION", "INVALID_TOKEN"),
}


class Bucket:
    """A prefix of a bucket by keys; every method raises OSError as pyarrow does."""

    folder: Path | None = None

    def __init__(self, address: BucketAddress) -> None:
        self.address = address.text
        self._where = address

    @property
    def _files(self) -> Any:
        bucket = self._where.path.partition("/")[0]
        return _connected(self._where.scheme, bucket, tuple(sorted(self._where.options.items())), self._where.anonymous)

    def _path(self, key: str) -> str:
        return f"{self._where.path}/{key}".rstrip("/")

    def shown(self, key: str) -> str:
        """Returns a key's address in words for people."""
        return f"{self._where.scheme}://{self._path(key)}"

    def reach(self) -> None:
        """Makes sure that the bucket is there and may be listed.

        Raises:
            AustickerError: it is not there.
        """
        from pyarrow.fs import FileType

        bucket = self._where.path.partition("/")[0]
        try:
            there = self._files.get_file_info(bucket).type is not FileType.NotFound
        except OSError as error:
            if not _NO_BUCKET.search(str(error)):
                raise
            there = False
        if not there:
            raise AustickerError(
                f"The bucket of the store '{self.shown('')}' does not exist: create '{bucket}' or correct the address."
            )
        self.names()

    def names(self) -> list[str]:
        """Returns the first names of all keys, drafts left out."""
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector(self._where.path, allow_not_found=True))
        return sorted(info.base_name for info in found if not info.base_name.startswith("."))

    def read(self, key: str) -> bytes:
        """Returns the content of an object."""
        with self._files.open_input_file(self._path(key)) as source:
            content: bytes = source.read()
            if len(content) != source.size():
                raise Unanswered(f"only {len(content)} of {source.size()} bytes of '{key}' came")
        return content

    def write(self, key: str, content: bytes) -> None:
        """Puts an object in the place of whatever is there."""
        self._put(key, content)

    def create(self, key: str, content: bytes) -> bool:
        """Puts an object unless there is one, and tells whether it did.

        It is looked for first: of two writers in the same moment both may be told so, and the later one's whole object
        stays. pyarrow has no conditional put.
        """
        if self.has(key):
            return False
        self._put(key, content)
        return True

    def has(self, key: str) -> bool:
        """Tells whether there is such an object."""
        return bool(self._files.get_file_info(self._path(key)).is_file)

    def keys(self, prefix: str) -> list[str]:
        """Returns the keys of every object below a prefix, drafts left out."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path(prefix), recursive=True, allow_not_found=True)
        start = len(self._where.path) + 1
        found = self._files.get_file_info(selector)
        return sorted(info.path[start:] for info in found if info.is_file and not info.base_name.startswith("."))

    def sweep(self) -> None:
        """Does nothing: only an object above `ONE_PUT_BYTES` has a draft, and a bucket can be told to expire those."""

    def remove(self, key: str) -> None:
        """Removes an object, if there is one."""
        if self.has(key):
            self._files.delete_file(self._path(key))

    def upload(self, source: Path, key: str) -> None:
        """Puts a large local file, read as it is sent."""
        import pyarrow as pa

        if not source.stat().st_size:
            return self._put(key, b"")  # nothing can be mapped
        with pa.memory_map(str(source)) as mapped:
            self._put(key, mapped.read_buffer())

    def download(self, key: str, target: Path) -> None:
        """Copies an object to a local file, a piece at a time."""
        with self._files.open_input_file(self._path(key)) as source, target.open("wb") as written:
            source.download(written)
            if written.tell() != source.size():
                raise Unanswered(f"only {written.tell()} of {source.size()} bytes of '{key}' came")

    def _put(self, key: str, content: Any) -> None:
        # What pyarrow's stream was given so far becomes the object when the stream is closed, and its destructor closes
        # it: an interrupt between open and write leaves a torn object, a large write that fails leaves an empty one.
        # So a thread does it, which no interrupt reaches, and what takes several requests gets a draft's name first.
        with ThreadPoolExecutor(1) as apart:
            put = self._put_small if memoryview(content).nbytes <= ONE_PUT_BYTES else self._put_large
            apart.submit(put, self._path(key), content).result()

    def _put_small(self, path: str, content: Any) -> None:
        stream = self._files.open_output_stream(path)
        stream.write(content)
        stream.close()

    def _put_large(self, path: str, content: Any) -> None:
        folder, _, name = path.rpartition("/")
        draft = f"{folder}/.{name[:40]}.{secrets.token_hex(8)}"
        stream = self._files.open_output_stream(draft)
        try:
            stream.write(content)
            stream.close()
            self._files.copy_file(draft, path)  # inside the server, in one request
        finally:
            with suppress(OSError):
                stream.close()
            with suppress(OSError):
                self._files.delete_file(draft)

    def passes(self, error: OSError) -> bool:
        """Tells whether a fault may pass by itself."""
        return isinstance(error, Unanswered) or bool(_codes(error) & _PASSING) or _status(error) in {"429", *_SERVER}

    def sentence(self, verb: str, key: str, error: OSError) -> str:
        """Returns a fault in words, with its mend."""
        codes = _codes(error)
        where = f"The store '{self.shown('')}'"
        if self.passes(error):
            return (
                f"{where} does not answer ({_reason(error)}): check its address and the network, then run the same "
                "command again; what was finished is kept."
            )
        if codes & _DENIED or _status(error) in {"401", "403"}:
            means = (
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if self._where.scheme == "s3" else "Google credentials"
            )
            return (
                f"{where} refuses access ({_reason(error)}): give {means} that may list, read, write and delete there."
            )
        return (
            f"'{self.shown(key)}' cannot be {verb} ({_reason(error)}): check space and rights there, then run the "
            "same command again; what was finished is kept."
        )


_ELSEWHERE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
_SERVER = {str(status) for status in range(500, 600)}


def _codes(error: OSError) -> set[str]:
    """Returns the codes of a fault: what S3 says, or the known ones among Google's words."""
    text = str(error)
    return set(_CODE.findall(text)) or set(_WORD.findall(text)) & (_PASSING | _DENIED)


def _status(error: OSError) -> str:
    found = _STATUS.search(str(error))
    return (found[1] or found[2]) if found else ""


def _reason(error: OSError) -> str:
    """Returns the code of a fault in words; never the server's text, which may be long or quote an account."""
    words = " ".join(sorted(_codes(error))[:1]).replace("_", " ").lower()
    words = words or (error.strerror if error.errno else "") or type(error).__name__
    status = _status(error)
    return f"{words}, HTTP status {status}" if status else words


@lru_cache(maxsize=8)
def _connected(scheme: str, bucket: str, options: tuple[tuple[str, str], ...], anonymous: bool) -> Any:
    """Returns pyarrow's file system for a bucket; credentials come from the library's own usual places."""
    from pyarrow import fs

    given = dict(options)
    if scheme == "gs":
        return fs.GcsFileSystem(anonymous=anonymous, **given)
    if not {"region", "endpoint_override"} & given.keys() and not any(os.environ.get(name) for name in _ELSEWHERE):
        given["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        allow_delayed_open=True,  # one put for a small object
        background_writes=False,  # a large one goes part after part, without copies of it
        connect_timeout=CONNECT_TIMEOUT_S,
        **given,
    )
