"""Rows of annotations in CSV and Parquet files, read in bounded memory; knows no corpus and opens no workbook."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from austicker.corpora.paths import opened, shown
from austicker.registry import nearest
from austicker.types import AustickerError

LINE_LIMIT = 64 * 1024
"""Bytes of the longest line, or cell, that an annotation may have."""
ROWS_LIMIT = 2_000_000
COLUMNS_LIMIT = 1000
PARQUET_LIMIT = 512 * 1024 * 1024
"""Bytes of a Parquet file when it is unpacked."""
ROW_GROUPS_LIMIT = 10_000
WHOLE_LIMIT = 1_000_000_000
"""No frame, code or count of a corpus is larger."""
_BATCH_ROWS = 4096
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}(\.0{0,40})?")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of an annotation.

    Attributes:
        where: file and row for people, such as "file.csv, row 12", counted as a spreadsheet does.
        cells: column names, as they were asked for, to stripped texts, "" where a cell is empty.
    """

    where: str
    cells: Mapping[str, str]

    def optional(self, column: str) -> str:
        """Returns the text of a cell, "" where it is empty or the table has no such column."""
        return self.cells[column]

    def text(self, column: str) -> str:
        """Returns the text of a cell.

        Raises:
            AustickerError: it is empty.
        """
        if not self.cells[column]:
            raise AustickerError(f"Column '{column}' of {self.where} is empty: fill it in or delete the row.")
        return self.cells[column]

    def whole(self, column: str) -> int:
        """Returns the whole number in a cell; "46.0" is one.

        Raises:
            AustickerError: it holds anything else, or a number beyond plus or minus `WHOLE_LIMIT`.
        """
        text = self.text(column)
        number = int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None
        if number is None or abs(number) > WHOLE_LIMIT:
            raise self._wrong(column, "a whole number")
        return number

    def number(self, column: str) -> float:
        """Returns the finite number in a cell.

        Raises:
            AustickerError: it holds anything else.
        """
        text = self.text(column)
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(number):
            raise self._wrong(column, "a number")
        return number

    def _wrong(self, column: str, wanted: str) -> AustickerError:
        found = shown(self.cells[column])
        return AustickerError(f"Column '{column}' of {self.where} holds '{found}': write {wanted}.")


def csv_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Yields the rows of a CSV file in UTF-8 with a header; rows of empty cells only are left out.

    The header says whether "," or ";" separates; its names match in upper and lower case, blanks around them aside.
    Every line is a row: a cell cannot hold a line break.

    Raises:
        AustickerError: a wanted column is missing or there twice, a line is longer than `LINE_LIMIT` (it is not read
            to its end), is not UTF-8, or has more cells than the header, or the file holds no rows or too many.
    """
    lines = _csv_lines(path)
    first = next(lines, None)
    if first is None:
        raise _no_rows(path)
    separator = ";" if first[1].count(";") > first[1].count(",") else ","
    header = _cells(*first, separator)
    places = find_columns(header, columns, optional, f"The header of '{shown(path.name)}'")
    for where, cells in _filled(path, lines, separator):
        if len(cells) > len(header):
            raise AustickerError(
                f"{where} has {len(cells)} cells but the header has {len(header)}: put quotation marks around a cell "
                f"that holds '{separator}'."
            )
        yield Row(where=where, cells=pick(cells, places))


def headless_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a CSV file in UTF-8 whose first line is a row already, and whose columns are known.

    Raises:
        AustickerError: as `csv_rows`, or a row has not one cell for each column.
    """
    for where, cells in _filled(path, _csv_lines(path), ","):
        if len(cells) != len(columns):
            raise AustickerError(f"{where} has {len(cells)} cells instead of {len(columns)}: fetch the file again.")
        yield Row(where=where, cells=dict(zip(columns, cells, strict=True)))


def raw_lines(path: Path, limit: int) -> Iterator[tuple[int, bytes]]:
    """Yields each line's offset in bytes from the file's start, and the line without its end.

    Args:
        path: the file.
        limit: bytes that no line may exceed, its end included.

    Raises:
        AustickerError: a line is longer; it is not read to its end.
    """
    with opened(path) as file:
        offset = 0
        for number, line in enumerate(_bounded(file, limit), 1):
            if len(line) > limit:
                raise AustickerError(
                    f"{shown(path.name)}, row {number} is longer than {limit:,} bytes: fetch the file again."
                )
            yield offset, line.removesuffix(b"\n").removesuffix(b"\r")
            offset += len(line)


def parquet_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Yields the rows of a Parquet file; of its columns only the wanted ones are unpacked.

    The file's footer is believed about sizes: a page that contradicts it can cost up to 2 GB.

    Raises:
        AustickerError: it is no Parquet file, claims to be absurdly large, a wanted column is missing, nested or of a
            type that is no text or number, or there are no rows or too many.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened(path) as file:
        try:
            table = pq.ParquetFile(file)
            names = [str(name) for name in table.schema_arrow.names]
            places = find_columns(names, columns, optional, f"The header of '{shown(path.name)}'")
            wanted = {column: names[place] for column, place in places.items() if place >= 0}
            _check_parquet(path, table, set(wanted.values()))
            # Texts that repeat stay references to one copy, so that a small file cannot unfold to a large one.
            texts = [name for name in wanted.values() if _is_text(table.schema_arrow.field(name).type)]
            table = pq.ParquetFile(file, metadata=table.metadata, read_dictionary=texts)
            number = 0
            for batch in table.iter_batches(_BATCH_ROWS, columns=sorted(set(wanted.values()))):
                batch.validate(full=True)  # pages may hold indices and texts that point beyond what is there
                found = {column: _texts(batch.column(name)) for column, name in wanted.items()}
                for index in range(batch.num_rows):
                    number += 1
                    cells = {column: found[column][index] if column in found else "" for column in places}
                    where = f"{shown(path.name)}, row {number}"
                    _check_length(where, cells.values())
                    yield Row(where=where, cells=cells)
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise AustickerError(
                f"'{shown(path.name)}' cannot be read as Parquet ({shown(str(error))}): fetch it again."
            ) from error


def refuse_duplicates(items: Iterable[tuple[str, str]]) -> None:
    """Lets pass clips that are named once.

    Args:
        items: (clip, where it is named).

    Raises:
        AustickerError: a clip is named twice; the sentence says where.
    """
    seen: dict[str, str] = {}
    for clip, where in items:
        if clip in seen:
            raise AustickerError(f"Clip '{shown(clip)}' is in {seen[clip]} and again in {where}: delete one.")
        seen[clip] = where


def find_columns(header: Sequence[str], columns: Sequence[str], optional: Sequence[str], place: str) -> dict[str, int]:
    """Returns where each column stands in a header, -1 for an optional one that is not there.

    Raises:
        AustickerError: a column is missing (the sentence offers the nearest one) or there twice.
    """
    names = [name.strip().casefold() for name in header]
    if len(names) > COLUMNS_LIMIT:
        raise AustickerError(f"{place} has more than {COLUMNS_LIMIT:,} columns: delete those without a name.")
    for column in (*columns, *optional):
        count = names.count(column.strip().casefold())
        if count > 1:
            raise AustickerError(f"{place} has column '{column}' {count} times: rename one.")
        if count == 0 and column in columns:
            hint = nearest(column, [shown(name) for name in names if name])
            raise AustickerError(f"{place} has no column '{column}'{hint}: add it or rename the one that holds it.")
    wanted = {column: column.strip().casefold() for column in (*columns, *optional)}
    return {column: names.index(name) if name in names else -1 for column, name in wanted.items()}


def pick(cells: Sequence[str], places: Mapping[str, int]) -> dict[str, str]:
    """Returns the wanted columns' texts; a row may end before its last columns."""
    return {column: cells[place] if 0 <= place < len(cells) else "" for column, place in places.items()}


def as_text(value: object) -> str:
    """Returns a cell's value as its text: 46.0 becomes "46", nothing "", a date its ISO form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip()


def _no_rows(path: Path) -> AustickerError:
    return AustickerError(f"'{shown(path.name)}' holds no rows: fetch it again or fill it in.")


def _bounded(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """Yields lines with their ends; one of more than `limit` bytes comes cut, as `limit` + 1 bytes."""
    while line := file.readline(limit + 1):
        yield line


def _csv_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields where a line stands, and the line; empty ones are left out."""
    for number, (offset, line) in enumerate(raw_lines(path, LINE_LIMIT), 1):
        where = f"{shown(path.name)}, row {number}"
        try:
            text = line.decode("utf-8-sig" if offset == 0 else "utf-8")
        except UnicodeDecodeError as error:
            raise AustickerError(f"{where} is not UTF-8 text: save the file as UTF-8.") from error
        if "\0" in text:
            raise AustickerError(f"{where} holds NUL bytes, so it is no text: fetch the file again.")
        if text.strip():
            yield where, text


def _filled(path: Path, lines: Iterable[tuple[str, str]], separator: str) -> Iterator[tuple[str, list[str]]]:
    """Yields where a row stands, and its cells, one of which is not empty at least."""
    rows = 0
    for where, line in lines:
        cells = _cells(where, line, separator)
        if not any(cells):
            continue
        rows += 1
        if rows > ROWS_LIMIT:
            raise AustickerError(f"'{shown(path.name)}' has more than {ROWS_LIMIT:,} rows: split it.")
        yield where, cells
    if not rows:
        raise _no_rows(path)


def _cells(where: str, line: str, separator: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=separator, strict=True)
    except (csv.Error, ValueError) as error:
        raise AustickerError(f"{where} cannot be split into cells: close its quotation marks.") from error
    return [cell.strip() for cell in cells]


def _check_parquet(path: Path, table: Any, names: set[str]) -> None:
    metadata = table.metadata
    if metadata.num_rows > ROWS_LIMIT or metadata.num_row_groups > ROW_GROUPS_LIMIT:
        raise AustickerError(f"'{shown(path.name)}' has more than {ROWS_LIMIT:,} rows or too many groups: split it.")
    if not metadata.num_rows:
        raise _no_rows(path)
    for name in names:
        if not _is_plain(table.schema_arrow.field(name).type):
            raise AustickerError(
                f"Column '{shown(name)}' of '{shown(path.name)}' is of type "
                f"'{shown(str(table.schema_arrow.field(name).type))}': make it text or numbers."
            )
    # pyarrow ends the whole process where a damaged footer is asked for the size of a single column.
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if not 0 <= size <= PARQUET_LIMIT:
        raise AustickerError(f"'{shown(path.name)}' unpacks to more than {PARQUET_LIMIT >> 20} MiB: split it.")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: Any) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return _is_text(kind) or any(test(kind) for test in tests)


def _texts(column: Any) -> list[str]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        words = [as_text(word) for word in column.dictionary.to_pylist()]
        return ["" if index is None else words[index] for index in column.indices.to_pylist()]
    if pa.types.is_float16(column.type) or pa.types.is_float32(column.type):
        # The shortest text that names the same number: 0.1, not 0.10000000149011612.
        column = column.cast(pa.string()).to_pylist()
        return [as_text(None if text is None else float(text)) for text in column]
    return [as_text(value) for value in column.to_pylist()]


def _check_length(where: str, cells: Iterable[str]) -> None:
    if any(len(cell) > LINE_LIMIT for cell in cells):
        raise AustickerError(f"{where} has a cell of more than {LINE_LIMIT:,} characters: check the file.")
