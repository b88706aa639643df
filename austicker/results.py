"""Verdict rows to Parquet parts and back; the schema is derived from the record, and a part is whole or absent."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
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


def cells_of(part: Path) -> frozenset[str]:
    """Returns the cells of a part, or none where the part is torn or of another schema."""
    try:
        schema = pq.read_schema(part)
        metadata = pq.read_metadata(part)
    except (OSError, pa.ArrowInvalid):
        return frozenset()
    if not schema.equals(SCHEMA) or str(metadata.num_rows).encode() != (schema.metadata or {}).get(_ROWS):
        return frozenset()
    return frozenset(json.loads(schema.metadata[_CELLS]))


def parts(folder: Path) -> dict[Path, frozenset[str]]:
    """Returns every whole part below `folder` with its cells."""
    found = {path: cells_of(path) for path in sorted(folder.glob("**/*.parquet")) if not path.name.startswith(".")}
    return {path: cells for path, cells in found.items() if cells}


def done_cells(folder: Path) -> frozenset[str]:
    """Returns the cells that whole parts below `folder` hold."""
    return frozenset().union(*parts(folder).values())


def read_verdicts(folder: Path, expected: frozenset[str]) -> pl.DataFrame:
    """Returns the rows of the expected cells, each cell counted once, sorted by cell and clip."""
    import polars as pl

    seen: set[str] = set()
    frames = []
    for path, cells in parts(folder).items():
        fresh = (cells & expected) - seen
        if fresh:
            frame = pl.DataFrame(pq.read_table(path, page_checksum_verification=True))
            frames.append(frame.filter(pl.col("cell").is_in(sorted(fresh))))
            seen |= fresh
    empty = pl.DataFrame(SCHEMA.empty_table())
    return pl.concat([empty, *frames]).sort("cell", "clip")
