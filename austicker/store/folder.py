"""Files in a folder, on a disk or NFS, each written whole or not at all; the folder's side of a store."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from austicker.types import AustickerError

_PASSING = {
    number
    for name in (
        *("EAGAIN", "EBUSY", "EINTR", "EIO", "EREMOTEIO", "ESTALE", "ETIMEDOUT", "ECONNABORTED", "ECONNREFUSED"),
        *("ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENOTCONN"),
    )
    if (number := getattr(errno, name, None)) is not None
}
"""What a file server that is away for a while answers."""
STALE_S = 86400.0
"""No writer takes so long over one file: what is older belongs to a dead one."""
_DRAFT = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTSUP}


class Folder:
    """A folder by keys; every method raises OSError as the system does."""

    def __init__(self, root: Path) -> None:
        self.folder: Path | None = root
        self._root = root
        self.address = str(root.resolve())

    def shown(self, key: str) -> str:
        """Returns a key's path in words for people."""
        return str(self._root / key)

    def reach(self) -> None:
        """Refuses a file in the folder's place.

        Raises:
            AustickerError: there is one.
        """
        if self._root.is_file():
            raise AustickerError(f"The store '{self._root}' is a file: name a folder.")

    def names(self) -> list[str]:
        """Returns what lies directly in the folder, files and folders, drafts left out; nothing where there is none."""
        try:
            return sorted(path.name for path in self._root.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    def read(self, key: str) -> bytes:
        """Returns the content of a file."""
        return (self._root / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        """Writes a file or replaces it."""
        with draft_of(self._root / key) as draft:
            draft.write_bytes(content)
            _commit(draft, self._root / key)

    def create(self, key: str, content: bytes) -> bool:
        """Writes a file unless there is one, and tells whether it did; of two writers at once one is told so."""
        path = self._root / key
        with draft_of(path) as draft:
            draft.write_bytes(content)
            return _commit_first(draft, path)

    def has(self, key: str) -> bool:
        """Tells whether there is such a file."""
        try:
            return stat.S_ISREG((self._root / key).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def keys(self, prefix: str) -> list[str]:
        """Returns the keys of every file below a folder, drafts left out."""
        return sorted(self._keys(prefix))

    def _keys(self, prefix: str) -> Iterator[str]:
        def broken(error: OSError) -> None:
            # A folder that cannot be listed must not pass for an empty one.
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise error

        for folder, folders, files in os.walk(self._root / prefix, onerror=broken):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self._root).as_posix()

    def sweep(self) -> None:
        """Removes the drafts of writers that were killed more than `STALE_S` ago."""
        for folder, _, files in os.walk(self._root):
            for path in (Path(folder) / name for name in files if _DRAFT.fullmatch(name)):
                with suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > STALE_S:
                        path.unlink()

    def remove(self, key: str) -> None:
        """Removes a file, if there is one."""
        with suppress(NotADirectoryError):
            (self._root / key).unlink(missing_ok=True)

    def upload(self, source: Path, key: str) -> None:
        """Copies a large local file to a key."""
        with draft_of(self._root / key) as draft:
            shutil.copyfile(source, draft)
            _commit(draft, self._root / key)

    def download(self, key: str, target: Path) -> None:
        """Copies a file to a local one."""
        shutil.copyfile(self._root / key, target)

    def passes(self, error: OSError) -> bool:
        """Tells whether a fault may pass by itself."""
        return error.errno in _PASSING

    def sentence(self, verb: str, key: str, error: OSError) -> str:
        """Returns a fault in words, with its mend."""
        reason = error.strerror or str(error)
        mend = "grant access to it" if verb == "read" else "free space or grant access there"
        return (
            f"'{self.shown(key)}' cannot be {verb} ({reason}): {mend}, then run the same command again; what was "
            "finished is kept."
        )


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file that belongs to no store beside its final name, forces it to the disk and renames it.

    Raises:
        AustickerError: the disk refuses; nothing is left under the final name.
    """
    root = Folder(path.parent)
    try:
        root.write(path.name, content)
    except OSError as error:
        raise AustickerError(root.sentence("written", path.name, error)) from error


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Gives an empty file beside `path` to write to, which is gone after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _commit(draft: Path, path: Path) -> None:
    _force(draft)
    draft.replace(path)
    _force_folder(path.parent)


def _commit_first(draft: Path, path: Path) -> bool:
    _force(draft)
    try:
        os.link(draft, path)
    except FileExistsError:
        # A file server may say so of a link that it made itself when it was asked twice: the draft has two names then.
        if draft.stat().st_nlink < 2:
            return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links two writers at once may both be told that they were first; the later one is kept whole.
        if path.exists():
            return False
        draft.replace(path)
    _force_folder(path.parent)
    return True


def _force(draft: Path) -> None:
    draft.chmod(0o644)
    with draft.open("rb") as written:
        os.fsync(written.fileno())


def _force_folder(folder: Path) -> None:
    """Forces a new name to the disk, where the system can do that for a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)
