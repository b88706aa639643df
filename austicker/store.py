"""A folder of results in which every file is written whole or not at all; knows nothing of what the files hold."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from austicker.types import AustickerError


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file beside its final name, forces it to the disk and renames it.

    Raises:
        AustickerError: the disk refuses; nothing is left under the final name.
    """
    with whole(path) as draft:
        draft.write_bytes(content)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a draft beside `path` to write to, and renames it to `path` when the block ends well.

    Raises:
        AustickerError: the disk refuses; nothing is left under the final name.
    """
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        draft = Path(name)
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        raise AustickerError(
            f"'{path}' cannot be written ({error.strerror or error}): free space or grant access there, then run the "
            "same command again; what was finished is kept."
        ) from error
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


class Store:
    """The result folder of one job; see README "Read a result" for what lies where."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    @property
    def job(self) -> Path:
        """Returns the path of the canonical job."""
        return self.root / "job.json"

    @property
    def models(self) -> Path:
        """Returns the folder of trained weights."""
        return self.root / "models"

    @property
    def verdicts(self) -> Path:
        """Returns the folder of Parquet parts."""
        return self.root / "verdicts"

    @property
    def report(self) -> Path:
        """Returns the folder of tables, figures and the page."""
        return self.root / "report"

    def graph(self, identity: str) -> Path:
        """Returns the path of one causal graph."""
        return self.root / "graphs" / f"{identity}.json"

    def failure(self, identity: str) -> Path:
        """Returns the path of the record of one failed task."""
        return self.root / "failures" / f"{identity}.json"

    def failures(self) -> list[dict[str, Any]]:
        """Returns the records of the tasks that failed.

        Raises:
            AustickerError: a record is damaged.
        """
        return [self.read_json(path) for path in sorted((self.root / "failures").glob("*.json"))]

    def clear_failures(self) -> None:
        """Forgets the failures of earlier runs: what failed is missing and will be tried again."""
        for path in (self.root / "failures").glob("*.json"):
            path.unlink(missing_ok=True)

    def write_json(self, path: Path, record: Mapping[str, Any]) -> None:
        """Writes a record as JSON, whole or not at all."""
        write_whole(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())

    def read_json(self, path: Path) -> dict[str, Any]:
        """Reads a record.

        Raises:
            AustickerError: the file is missing or damaged.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AustickerError(f"'{path}' cannot be read ({error}): delete it and submit the job again.") from error
        if not isinstance(record, dict):
            raise AustickerError(f"'{path}' holds no record: delete it and submit the job again.")
        return record
