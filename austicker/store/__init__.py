"""Results by keys in a folder or an object store, each written whole or not at all; knows nothing of what they hold."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from austicker.store import layout
from austicker.store.address import BucketAddress, parse
from austicker.store.bucket import Bucket
from austicker.store.faults import FIRST_PATIENCE_S, Unreadable, patience_s, waited_for
from austicker.store.folder import Folder, draft_of, write_whole
from austicker.types import AustickerError

__all__ = ["Store", "Unreadable", "draft_of", "layout", "write_whole"]

T = TypeVar("T")


class Store:
    """The results of one job, by the keys of `layout`.

    Faults that pass by themselves are waited for (`faults.PATIENCE_S`); every other one is an AustickerError at once.

    Attributes:
        address: where it is, for a process on any machine.
        folder: where it is on this machine, or None for an object store.
    """

    def __init__(self, location: Path | str) -> None:
        where = parse(location)
        self._backend: Folder | Bucket = Bucket(where) if isinstance(where, BucketAddress) else Folder(where)
        self.address = self._backend.address
        self.folder = self._backend.folder

    def __str__(self) -> str:
        return self.shown("")

    def shown(self, key: str) -> str:
        """Returns where a key is, in words for people."""
        return self._backend.shown(key)

    def reach(self) -> None:
        """Makes the first contact, with little patience.

        Raises:
            AustickerError: the store does not answer, refuses access, or is not there and cannot be made by writing.
        """
        patience = min(FIRST_PATIENCE_S, patience_s())
        self._try("read", "", self._backend.reach, patience)

    def names(self) -> list[str]:
        """Returns what lies directly in the store; unfinished writes are none."""
        return self._try("read", "", self._backend.names)

    def has(self, key: str) -> bool:
        """Tells whether something lies at a key."""
        return self._try("read", key, lambda: self._backend.has(key))

    def keys(self, prefix: str) -> list[str]:
        """Returns every key below a folder of the store, in order; unfinished writes are none."""
        return self._try("read", prefix, lambda: self._backend.keys(prefix))

    def read(self, key: str) -> bytes:
        """Returns what lies at a key.

        Raises:
            Unreadable: nothing does.
            AustickerError: the store does not give it.
        """
        return self._try("read", key, lambda: self._backend.read(key))

    def write(self, key: str, content: bytes) -> None:
        """Puts content at a key, in the place of what was there.

        Raises:
            AustickerError: the store does not take it; what was there stays.
        """
        self._try("written", key, lambda: self._backend.write(key, content))

    def create(self, key: str, content: bytes) -> bool:
        """Puts content at a key unless something lies there, and tells whether it did: the first writer wins.

        On an object store two writers in the same moment may both be told so; one of the two, whole, stays.

        Raises:
            AustickerError: the store does not take it.
        """
        return self._try("written", key, lambda: self._backend.create(key, content))

    def sweep(self) -> None:
        """Removes what writers left unfinished that were killed a day ago or earlier.

        Raises:
            AustickerError: the store does not let it go.
        """
        self._try("removed", "", self._backend.sweep)

    def remove(self, key: str) -> None:
        """Removes what lies at a key, if anything does.

        Raises:
            AustickerError: the store does not let it go.
        """
        self._try("removed", key, lambda: self._backend.remove(key))

    def upload(self, source: Path, key: str) -> None:
        """Puts a large local file at a key.

        Raises:
            AustickerError: the store does not take it; what was there stays.
        """
        self._try("written", key, lambda: self._backend.upload(source, key))

    def download(self, key: str, target: Path) -> None:
        """Copies what lies at a key to a local file, which is torn where this fails.

        Raises:
            Unreadable: nothing lies there.
            AustickerError: the store does not give it, or the local disk is full.
        """
        self._try("copied here", key, lambda: self._backend.download(key, target))

    @contextmanager
    def local(self, prefix: str) -> Iterator[Path]:
        """Gives a local folder with what lies below a prefix: the folder itself, or a copy for the block."""
        if self.folder is not None:
            yield self.folder / prefix
            return
        with tempfile.TemporaryDirectory() as copy:
            for key in self.keys(prefix):
                target = Path(copy) / key.removeprefix(f"{prefix}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                self.download(key, target)
            yield Path(copy)

    def write_json(self, key: str, record: Mapping[str, Any]) -> None:
        """Writes a record as JSON, whole or not at all."""
        self.write(key, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())

    def read_json(self, key: str) -> dict[str, Any]:
        """Reads a record.

        Raises:
            Unreadable: it is missing or damaged.
            AustickerError: the store does not give it.
        """
        content = self.read(key)
        try:
            record = json.loads(content.decode())
        except ValueError as error:
            raise self.unreadable(key, str(error)) from error
        if not isinstance(record, dict):
            raise self.unreadable(key, "it holds no record")
        return record

    def write_sealed(self, key: str, record: Mapping[str, Any]) -> None:
        """Writes a record as JSON with a checksum of it."""
        self.write_json(key, {**record, "sha256": _checksum(record)})

    def read_sealed(self, key: str) -> dict[str, Any]:
        """Reads what `write_sealed` wrote, without its checksum.

        Raises:
            Unreadable: it is missing or damaged.
            AustickerError: the store does not give it.
        """
        record = self.read_json(key)
        if record.pop("sha256", None) != _checksum(record):
            raise self.unreadable(key, "it does not match its checksum")
        return record

    def failures(self) -> list[dict[str, Any]]:
        """Returns the records of the tasks that failed.

        Raises:
            AustickerError: a record is damaged.
        """
        return [self.read_json(key) for key in self.keys(layout.FAILURES) if key.endswith(".json")]

    def clear_failures(self) -> None:
        """Forgets the failures of earlier runs: what failed is missing and will be tried again."""
        for key in self.keys(layout.FAILURES):
            self.remove(key)

    def unreadable(self, key: str, reason: str) -> Unreadable:
        """Returns the fault of a key whose content is missing or damaged."""
        return Unreadable(f"'{self.shown(key)}' cannot be read ({reason}): delete it and submit the job again.")

    def _try(self, verb: str, key: str, call: Callable[[], T], patience: float | None = None) -> T:
        seconds = patience_s() if patience is None else patience
        try:
            return waited_for(call, self._backend.passes, seconds, self.shown(""))
        except FileNotFoundError as error:
            if verb in ("read", "copied here"):
                raise Unreadable(f"'{self.shown(key)}' is missing: submit the job again.") from error
            raise AustickerError(self._backend.sentence(verb, key, error)) from error
        except OSError as error:
            raise AustickerError(self._backend.sentence(verb, key, error)) from error


def _checksum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
