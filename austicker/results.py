"""Verdict rows to Parquet parts and back; the schema is derived from the record, and a part is whole or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from austicker.store import whole
from austicker.types import Verdict

if TYPE_CHECKING:
    import polars as pl

_ARROW = {
    str: pa.field("", pa.string(), nullable=False),
    str | None: pa.field("", pa.string()),
    int: pa.field("", pa.int32(), nullable=False),
    float: pa.field("", pa.float64(), nullable=False),
    float | None: pa.field("", pa.float64()),
}
SCHEMA = pa.schema([_ARROW[annotation].with_name(name) for name, annotation in get_type_hints(Verdict).items()])
_CELLS = b"austicker.cells"
_ROWS = b"austicker.rows"


def part_name(cells: Iterable[str]) -> str:
    """Returns the name of the part that holds these cells."""
    return hashlib.sha256("\n".join(sorted(cells)).encode()).hexdigest()[:16]


def write_part(folder: Path, cells: Sequence[str], verdicts: Iterable[Verdict]) -> Path:
    """Commits the verdicts of `cells` as one part.

    Args:
        folder: where the parts of the corpus are.
        cells: identities of the cells that the part holds, a cell without rows included.
        verdicts: their rows.

    Raises:
        AustickerError: the disk refuses.
    """
    rows = [dataclasses.asdict(verdict) for verdict in verdicts]
    metadata = {_CELLS: json.dumps(sorted(cells)), _ROWS: str(len(rows))}
    table = pa.Table.from_pylist(rows, SCHEMA.with_metadata(metadata))
    path = folder / f"{part_name(cells)}.parquet"
    with whole(path) as draft:
        pq.write_table(table, draft, compression="zstd", write_page_checksum=True)
    return path


def _read_part(part: Path) -> tuple[frozenset[str], pa.Table] | None:
    """Returns the cells and the rows of a part, or None where it is torn, damaged or of another schema."""
    # The rows are read too: a flipped bit in a page shows only in the page's checksum, one in the footer anywhere.
    try:
        with pq.ParquetFile(part, page_checksum_verification=True) as file:
            table = file.read()
        metadata = table.schema.metadata or {}
        cells, rows = frozenset(json.loads(metadata[_CELLS])), int(metadata[_ROWS])
        whole_part = table.schema.equals(SCHEMA) and rows == table.num_rows and part_name(cells) == part.stem
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
    return (cells, table.replace_schema_metadata(None)) if whole_part else None


def _whole_parts(folder: Path) -> Iterator[tuple[frozenset[str], pa.Table]]:
    """Yields the cells and the rows of every whole part below `folder`."""
    for path in sorted(folder.glob("**/*.parquet")):
        if found := _read_part(path):
            yield found


def done_cells(folder: Path) -> frozenset[str]:
    """Returns the cells that whole parts below `folder` hold."""
    return frozenset().union(*(cells for cells, _ in _whole_parts(folder)))


def read_verdicts(folder: Path, expected: frozenset[str]) -> pl.DataFrame:
    """Returns the rows of the expected cells, each cell counted once, sorted by cell and clip."""
    import polars as pl

    seen: set[str] = set()
    frames = []
    for cells, table in _whole_parts(folder):
        fresh = (cells & expected) - seen
        if fresh:
            frames.append(pl.DataFrame(table).filter(pl.col("cell").is_in(sorted(fresh))))
            seen |= fresh
    empty = pl.DataFrame(SCHEMA.empty_table())
    return pl.concat([empty, *frames]).sort("cell", "clip")
