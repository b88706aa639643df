"""Verdict rows to Parquet parts and back; the schema is derived from the record, and a part is whole or absent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from austicker.store import Store, Unreadable, layout
from austicker.types import Verdict

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

READERS = 8
"""Parts that are read at once: an object store answers each one late, but many at a time."""
ROW_GROUP = 2**17
"""Rows of a group, as many as a reader takes at a time; most parts are one group."""
_ARROW = {
    str: pa.field("", pa.string(), nullable=False),
    str | None: pa.field("", pa.string()),
    int: pa.field("", pa.int32(), nullable=False),
    float: pa.field("", pa.float64(), nullable=False),
    float | None: pa.field("", pa.float64()),
    tuple[float, ...] | None: pa.field("", pa.list_(pa.float32())),
}
SCHEMA = pa.schema([_ARROW[annotation].with_name(name) for name, annotation in get_type_hints(Verdict).items()])
_CELLS = b"austicker.cells"
_ROWS = b"austicker.rows"


def part_name(cells: Iterable[str]) -> str:
    """Returns the name of the part that holds these cells."""
    return hashlib.sha256("\n".join(sorted(cells)).encode()).hexdigest()[:16]


def write_part(store: Store, corpus: str, cells: Sequence[str], verdicts: Iterable[Verdict]) -> str:
    """Commits the verdicts of `cells` as one part and returns its key; a part that is there is replaced by its equal.

    Args:
        store: where the results go.
        corpus: name of the corpus that the cells are of.
        cells: identities of the cells that the part holds, a cell without rows included.
        verdicts: their rows.

    Raises:
        AustickerError: the store does not take it.
    """
    rows = tuple(verdicts)
    metadata = {_CELLS: json.dumps(sorted(cells)), _ROWS: str(len(rows))}
    # By columns: a record of each row would cost a worker more than writing it.
    columns = {name: [getattr(row, name) for row in rows] for name in SCHEMA.names}
    table = pa.Table.from_pydict(columns, SCHEMA.with_metadata(metadata))
    key = layout.part(corpus, part_name(cells))
    store.write(key, _serialised(table))
    return key


def _serialised(table: pa.Table) -> bytes:
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd", write_page_checksum=True, row_group_size=ROW_GROUP)
    serialised: bytes = content.getvalue().to_pybytes()
    return serialised


def read_part(store: Store, corpus: str, cells: Iterable[str]) -> pa.Table | None:
    """Returns the rows of the part that holds exactly these cells, or None where there is no whole one.

    Raises:
        AustickerError: the store does not give it.
    """
    found = _read_part(store, layout.part(corpus, part_name(cells)))
    return found[1] if found else None


def _read_part(store: Store, key: str) -> tuple[frozenset[str], pa.Table] | None:
    """Returns the cells and the rows of a part, or None where it is missing, torn, damaged or of another schema."""
    # The rows are read too: a flipped bit in a page shows only in the page's checksum, one in the footer anywhere.
    try:
        with pq.ParquetFile(pa.BufferReader(store.read(key)), page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        metadata = table.schema.metadata or {}
        cells, rows = frozenset(json.loads(metadata[_CELLS])), int(metadata[_ROWS])
        whole_part = table.schema.equals(SCHEMA) and rows == table.num_rows and part_name(cells) == layout.stem(key)
    except (Unreadable, OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
    return (cells, table.replace_schema_metadata(None)) if whole_part else None


def _each_part(store: Store, take: Callable[[frozenset[str], pa.Table], T]) -> Iterator[T]:
    """Yields what `take` makes of every whole part, in order of their keys; few parts are in memory at once."""

    def taken(key: str) -> T | None:
        found = _read_part(store, key)
        return take(*found) if found else None

    keys = [key for key in store.keys(layout.VERDICTS) if key.endswith(".parquet")]
    with ThreadPoolExecutor(READERS) as pool:
        for made in pool.map(taken, keys):
            if made is not None:
                yield made


def done_cells(store: Store) -> frozenset[str]:
    """Returns the cells that a store's whole parts hold.

    Raises:
        AustickerError: the store does not give them.
    """
    return frozenset().union(*_each_part(store, lambda cells, _: cells))


def read_verdicts(store: Store, expected: frozenset[str]) -> pl.DataFrame:
    """Returns the rows of the expected cells, each cell counted once, sorted by cell and clip.

    Raises:
        AustickerError: the store does not give them.
    """
    import polars as pl

    def wanted(cells: frozenset[str], table: pa.Table) -> tuple[frozenset[str], pl.DataFrame]:
        rows = pl.DataFrame(table)
        return cells & expected, rows if cells <= expected else rows.filter(pl.col("cell").is_in(sorted(expected)))

    seen: set[str] = set()
    frames = [pl.DataFrame(SCHEMA.empty_table())]
    for cells, rows in _each_part(store, wanted):
        fresh = cells - seen
        if fresh:
            frames.append(rows if fresh == cells else rows.filter(pl.col("cell").is_in(sorted(fresh))))
            seen |= fresh
    return pl.concat(frames).sort("cell", "clip")
