"""A prepared corpus on disk: a folder of Arrow shards and a record, written whole or not at all; decodes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import platformdirs
import pyarrow as pa

from austicker.corpora import shards
from austicker.corpora.lookup import Chained
from austicker.corpora.measured import Motion
from austicker.corpora.shards import SHARD_BYTES, Packed, Shard, cut, frame_bytes, row_digest
from austicker.corpora.source import Finding
from austicker.types import AustickerError, Corpus

RECORD = "corpus.json"
_SHARD = re.compile(r"[0-9a-z-]{1,80}\.arrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a packed corpus says of itself.

    Attributes:
        shards: names of its files, in order of the clips.
        findings: what was left out or repaired on the way here.
        source: whatever its maker wants to know again, such as the state of the annotations.
    """

    name: str
    labels: tuple[str, ...]
    fingerprint: str = ""
    shards: tuple[str, ...] = ()
    synthetic: str = ""
    planted: tuple[tuple[str, str], ...] = ()
    consented: tuple[str, ...] = ()
    lacks_subjects: bool = False
    findings: tuple[Finding, ...] = ()
    source: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """Returns every file of the folder, the record last."""
        return (*self.shards, RECORD)


def cache_folder() -> Path:
    """Returns the folder for prepared corpora: `AUSTICKER_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("AUSTICKER_CACHE") or platformdirs.user_cache_path("austicker")) / "corpora"


def fingerprint(labels: Sequence[str], row_digests: Iterable[str]) -> str:
    """Returns the digest of everything in a corpus that can change a verdict, from those of its rows in order."""
    return hashlib.sha256("\n".join([json.dumps(list(labels)), *row_digests]).encode()).hexdigest()


def fingerprint_of(corpus: Corpus) -> str:
    """Returns the digest of what a corpus really holds, every frame of it read."""
    rows = zip(corpus.clips, corpus.frames, corpus.landmarks, corpus.digests, strict=True)
    clips = (
        Packed(clip=clip, frames=frames, landmarks=landmarks, pictures=pictures)
        for clip, frames, landmarks, pictures in rows
    )
    return fingerprint(corpus.labels, map(row_digest, clips))


def reserve(name: str, folder: Path) -> None:
    """Makes sure that `folder` can be written, before the work of preparing what goes there.

    Raises:
        AustickerError: the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder.parent).close()
    except OSError as error:
        raise unwritable(name, folder, error) from error


def save(clips: Iterable[Packed], record: Record, folder: Path) -> None:
    """Writes clips as `folder`; a folder that another process wrote meanwhile is kept.

    Args:
        clips: in their order.
        record: what to say of them; shards and fingerprint are filled in.
        folder: where to.

    Raises:
        AustickerError: the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise unwritable(record.name, folder, error) from error
    try:
        names, rows = [], []
        for number, run in enumerate(cut(clips, frame_bytes, SHARD_BYTES)):
            names.append(f"{number:05d}.arrow")
            shards.write(draft / names[-1], run)
            rows += Shard(draft / names[-1]).row_digests()
        whole = replace(record, shards=tuple(names), fingerprint=fingerprint(record.labels, rows))
        (draft / RECORD).write_bytes(in_bytes(whole))
        draft.chmod(0o755)
        if not folder.exists():
            draft.rename(folder)
    except OSError as error:
        if not (folder / RECORD).is_file():
            raise unwritable(record.name, folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def in_bytes(record: Record) -> bytes:
    """Returns a record as it is written."""
    return json.dumps(asdict(record), indent=1).encode()


def unwritable(name: str, folder: Path, error: OSError) -> AustickerError:
    """Returns the error of a folder that the disk refuses."""
    reason = error.strerror or error
    return AustickerError(
        f"Corpus '{name}' cannot be written to '{folder}' ({reason}): free space there, or point AUSTICKER_CACHE "
        "to another folder."
    )


def read_record(folder: Path) -> Record | None:
    """Returns a folder's record, or None where there is none.

    Raises:
        AustickerError: it is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        found = Record(
            **{
                **record,
                "planted": tuple((cause, effect) for cause, effect in record["planted"]),
                "findings": tuple(Finding(**finding) for finding in record["findings"]),
                **{key: tuple(record[key]) for key in ("labels", "shards", "consented")},
            }
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from error
    if not all(_SHARD.fullmatch(name) for name in found.shards):
        raise damaged(folder, "its record names files that are no shards")
    return found


def load(folder: Path) -> Corpus | None:
    """Opens a prepared corpus with memory-mapped frames, or returns None where there is no folder.

    Raises:
        AustickerError: the folder is damaged.
    """
    if not folder.exists():
        return None
    record = read_record(folder)
    if record is None:
        raise damaged(folder, f"it has no {RECORD}")
    try:
        parts = [Shard(folder / name) for name in record.shards]
        clips = tuple(clip for shard in parts for clip in shard.clips(record.name))
        frames = Chained([shard.frames() for shard in parts])
        landmarks = Chained([shard.landmarks() for shard in parts])
        corpus = Corpus(
            name=record.name,
            labels=record.labels,
            clips=clips,
            fingerprint=record.fingerprint,
            digests=tuple(digests for shard in parts for digests in shard.pictures()),
            synthetic=record.synthetic,
            planted=record.planted,
            consented=record.consented,
            lacks_subjects=record.lacks_subjects,
            frames=frames,
            landmarks=landmarks,
            motion=Motion(folder, record.fingerprint, clips, frames, landmarks),
            folder=folder,
        )
        rows = (digest for shard in parts for digest in shard.row_digests())
        if fingerprint(record.labels, rows) != record.fingerprint:
            raise ValueError("its shards are not those of its record")
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise damaged(folder, error) from error
    return corpus


def damaged(folder: Path, reason: object) -> AustickerError:
    """Returns the error of a folder that cannot be opened."""
    return AustickerError(f"The prepared corpus in '{folder}' is damaged ({reason}): delete that folder.")
