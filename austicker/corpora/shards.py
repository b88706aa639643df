"""Packed clips as Arrow files: one row a clip, its frames one run of bytes that is read where it lies.

A shard is uncompressed Arrow IPC, so a memory-mapped one costs no copy and every process of a machine shares its pages.
It knows no folder and no corpus.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from austicker.corpora.lookup import A, Chained, View
from austicker.corpora.source import Finding
from austicker.regions import boxes
from austicker.types import Bytes, Clip, Floats

T = TypeVar("T")

BATCH_BYTES = 2 * 2**20
"""Frames of one record batch, about: small clips share one, and a long clip's frames go to it without a copy."""
SMALL_BYTES = 2**16
SHARD_BYTES = 64 * 2**20
"""Frames of one shard, about: what a worker packs in some seconds, and an object store takes in one request."""

SCHEMA = pa.schema(
    [
        pa.field("clip", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("onset", pa.int32(), nullable=False),
        pa.field("apex", pa.int32(), nullable=False),
        pa.field("offset", pa.int32(), nullable=False),
        pa.field("action_units", pa.list_(pa.string()), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("repairs", pa.list_(pa.string()), nullable=False),
        # of each picture before it was aligned, and of everything in the row
        pa.field("pictures", pa.list_(pa.string()), nullable=False),
        pa.field("row_digest", pa.string(), nullable=False),
        # (frame, h, w, c) uint8; (frame, 68, 2) x and y as fractions of the face; (frame, 14, 4) centre and half-size
        pa.field("frames", pa.large_binary(), nullable=False),
        pa.field("landmarks", pa.large_list(pa.float32()), nullable=False),
        pa.field("regions", pa.large_list(pa.float32()), nullable=False),
    ]
)
_WORDS = ("clip", "subject", "label", "onset", "apex", "offset", "action_units", "split", "repairs")
_SIZE = b"austicker.size"
_FINDINGS = b"austicker.findings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One clip, decoded and aligned.

    Attributes:
        frames: (frame, h, w, c) uint8.
        landmarks: (frame, 68, 2) float32 fractions of the face.
        pictures: `picture_digest` of each frame as it was before alignment.
    """

    clip: Clip
    frames: Bytes = field(repr=False)
    landmarks: Floats = field(repr=False)
    pictures: tuple[str, ...] = field(repr=False)


def picture_digest(picture: Bytes) -> str:
    """Returns a digest of one picture (h, w, c) uint8: equal pictures, equal digests.

    Of a large one every sixteenth row and column is looked at: no two photographs agree there that differ elsewhere.
    """
    seen = picture if picture.nbytes <= SMALL_BYTES else picture[::16, ::16]
    digest = hashlib.sha256(f"{picture.shape}".encode())
    digest.update(np.ascontiguousarray(seen).data)
    return digest.hexdigest()[:20]


def row_digest(packed: Packed) -> str:
    """Returns the digest of everything in a row that can change a verdict."""
    words = {name: getattr(packed.clip, name) for name in _WORDS} | {"pictures": packed.pictures}
    digest = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for array in (packed.frames, packed.landmarks.astype(np.float32)):
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write(path: Path, clips: Sequence[Packed], findings: Iterable[Finding] = ()) -> None:
    """Writes a shard; a file that is cut off is no shard, so nothing waits for the disk.

    Args:
        path: of the new file.
        clips: all with faces of one size.
        findings: what was found wrong with clips of this shard while they were packed.

    Raises:
        OSError: the disk refuses.
    """
    size = list(clips[0].frames.shape[1:]) if clips else []
    metadata = {_SIZE: json.dumps(size), _FINDINGS: json.dumps([asdict(finding) for finding in findings])}
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA.with_metadata(metadata)) as writer:
        for run in cut(clips, frame_bytes, BATCH_BYTES):
            writer.write_batch(_batch(run))


def cut(items: Iterable[T], weight: Callable[[T], int], size: int) -> Iterator[list[T]]:
    """Yields items in runs that weigh about so much: the one that reaches the size is a run's last."""
    run: list[T] = []
    held = 0
    for item in items:
        run.append(item)
        held += weight(item)
        if held >= size:
            yield run
            run, held = [], 0
    if run:
        yield run


def frame_bytes(packed: Packed) -> int:
    """Returns what a clip weighs."""
    return packed.frames.nbytes


def _batch(clips: Sequence[Packed]) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {name: [getattr(packed.clip, name) for packed in clips] for name in _WORDS}
    columns["pictures"] = [packed.pictures for packed in clips]
    columns["row_digest"] = [row_digest(packed) for packed in clips]
    arrays = [pa.array(columns[item.name], item.type) if item.name in columns else None for item in SCHEMA]
    frames, landmarks = [packed.frames for packed in clips], [packed.landmarks for packed in clips]
    regions = [boxes(points, aspect=one.shape[2] / one.shape[1]) for one, points in zip(frames, landmarks, strict=True)]
    offsets, data = _one_run(frames, np.uint8)
    arrays[SCHEMA.get_field_index("frames")] = pa.Array.from_buffers(
        pa.large_binary(), len(clips), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    for name, values in (("landmarks", landmarks), ("regions", regions)):
        arrays[SCHEMA.get_field_index(name)] = pa.LargeListArray.from_arrays(*_one_run(values, np.float32))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _one_run(arrays: Sequence[NDArray[Any]], kind: type[np.generic]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Returns the values of arrays one after the other, and where each begins and the last ends."""
    offsets = np.cumsum([0, *(array.size for array in arrays)], dtype=np.int64)
    values = [np.ascontiguousarray(array, kind).ravel() for array in arrays]
    return offsets, values[0] if len(values) == 1 else np.concatenate(values)


class Shard:
    """One opened shard.

    Raises:
        OSError, pa.ArrowException, ValueError, KeyError: the file is missing or damaged; its reader puts that in words.
    """

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as source:
            file = pa.ipc.open_file(source)
            self._batches = [file.get_batch(number) for number in range(file.num_record_batches)]
        if not file.schema.equals(SCHEMA):
            raise ValueError("a shard has other columns")
        metadata = file.schema.metadata
        self.findings = tuple(Finding(**record) for record in json.loads(metadata[_FINDINGS]))
        self._table = pa.Table.from_batches(self._batches, file.schema)
        self._size = tuple(json.loads(metadata[_SIZE]))

    def clips(self, corpus: str) -> Iterator[Clip]:
        """Yields the clips' records."""
        for row in self._table.select(_WORDS).to_pylist():
            lists = {name: tuple(row[name]) for name in ("action_units", "repairs")}
            yield Clip(**{**row, **lists}, corpus=corpus)

    def row_digests(self) -> list[str]:
        """Returns the digest of each row."""
        texts: list[str] = self._table["row_digest"].to_pylist()
        return texts

    def pictures(self) -> list[tuple[str, ...]]:
        """Returns the digests of each clip's pictures."""
        return [tuple(digests) for digests in self._table["pictures"].to_pylist()]

    def frames(self) -> Chained[Bytes]:
        """Returns each clip's frames (frame, h, w, c), without a copy."""
        runs = []
        for batch in self._batches:
            _, offsets, values = batch["frames"].buffers()
            places = np.frombuffer(offsets, np.int64, batch.num_rows + 1)
            runs.append(Runs(np.frombuffer(values, np.uint8), places, self._size))
        return Chained(runs)

    def landmarks(self) -> Chained[Floats]:
        """Returns each clip's landmarks (frame, 68, 2), without a copy."""
        columns = (batch["landmarks"] for batch in self._batches)
        return Chained([Runs(column.values.to_numpy(), column.offsets.to_numpy(), (68, 2)) for column in columns])


class Runs(View[A]):
    """Arrays that lie one after the other in one buffer."""

    def __init__(self, values: A, offsets: NDArray[np.int64], shape: tuple[int, ...]) -> None:
        self._values, self._offsets, self._shape = values, offsets, shape
        whole = int(np.prod(shape))
        if len(values) < offsets[-1] or (np.diff(offsets) % whole).any():
            raise ValueError("a shard's rows are cut off")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def _at(self, number: int) -> A:
        run = self._values[self._offsets[number] : self._offsets[number + 1]]
        return cast(A, run.reshape(-1, *self._shape))
