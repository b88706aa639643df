"""Rows of annotations in Excel workbooks, weighed before they are unpacked; computes no formula and keeps no style."""

from __future__ import annotations

import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

from austicker.corpora.paths import opened, shown
from austicker.corpora.tables import LINE_LIMIT, Row, as_text, find_columns, pick
from austicker.types import AustickerError

HEADER_ROWS = 40
"""The header is one of so many first rows; SAMM's follows some thirteen rows of prose."""
COLUMNS_LIMIT = 1000
"""What stands further to the right is not looked at."""
EMPTY_ROWS_END = 10_000
"""A sheet ends where so many empty rows follow each other: formats alone can reach to its millionth row."""
MEMBERS_LIMIT = 1000
PART_LIMIT = 16 * 1024 * 1024
TOTAL_LIMIT = 64 * 1024 * 1024
MARKUP_LIMIT = 300_000
"""Tags and attributes of all parts together, about seven a cell; openpyxl reads so many in a second."""
ATTRIBUTES_LIMIT = 20
"""Attributes to a tag on the average of a chunk, beyond the first thousand; parsers slow down as one tag has more."""
SHEETS_LIMIT = 20
RATIO_LIMIT = 200
RATIO_FROM = 1024 * 1024
"""Parts that unpack to less may be packed as tightly as they like."""
_Rows = Iterator[tuple[int, Sequence[object]]]
_CHUNK = 64 * 1024
_CENTRAL = b"PK\x01\x02"
_DECLARATIONS = tuple(
    mark.encode(code) for mark in ("<!DOCTYPE", "<!ENTITY") for code in ("ascii", "utf-16-le", "utf-16-be")
)
_SHEET = re.compile(rb"<(?:[\w.-]{1,20}:)?sheet[\s/>]")
_OVERLAP = 32
"""Bytes of a chunk that are looked at again with the next, longer than any mark that is looked for."""
_ENCODING = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s{0,9}=\s{0,9}["']([^"']{0,40})""")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")


def xlsx_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Yields the rows below the header of the first sheet that has the wanted columns; empty rows are left out.

    Of a formula the value that was stored with it is taken. A whole number that was stored as 46.0 becomes "46".

    Raises:
        AustickerError: it is no workbook, is built to unpack to absurd sizes, declares XML entities, is encrypted, no
            sheet has the columns, or there are no rows.
    """
    with opened(path) as file:
        _weigh(path, file)
        try:
            with warnings.catch_warnings():
                # openpyxl warns of styles and extensions that it leaves out.
                warnings.simplefilter("ignore")
                rows = _read(path, file, columns, optional)
        except AustickerError:
            raise
        except Exception as error:  # openpyxl raises whatever a broken workbook makes of its code
            raise AustickerError(
                f"'{shown(path.name)}' is no workbook that can be read ({shown(str(error))}): save it again as .xlsx."
            ) from error
    yield from rows


def _read(path: Path, file: BinaryIO, columns: Sequence[str], optional: Sequence[str]) -> list[Row]:
    import openpyxl

    if not openpyxl.DEFUSEDXML or openpyxl.LXML:
        raise AustickerError(
            "Workbooks are read by defusedxml alone: set OPENPYXL_DEFUSEDXML=True, OPENPYXL_LXML=False."
        )
    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    place, number, header, rows = _likeliest_header(path, book, columns)
    if not header:
        raise AustickerError(
            f"'{shown(path.name)}' holds no rows, or none among the first {HEADER_ROWS} of a sheet: fetch it again or "
            "fill it in."
        )
    places = find_columns(header, columns, optional, f"Row {number} of {place}")
    return _below_header(place, rows, places)


def _likeliest_header(path: Path, book: Any, columns: Sequence[str]) -> tuple[str, int, list[str], _Rows]:
    """Returns sheet, number and texts of the row that holds most of the columns, and the rows below if it has all."""
    wanted = {column.strip().casefold() for column in columns}
    best: tuple[str, int, list[str], _Rows] = ("", 0, [], iter(()))
    most = -1
    for sheet in book.worksheets:
        place = f"{shown(path.name)}, sheet '{shown(sheet.title)}'"
        rows = _filled(sheet)
        for number, values in rows:
            if number > HEADER_ROWS:
                break
            header = _trimmed(place, number, values)
            has = len(wanted & {name.casefold() for name in header})
            if has > most:
                most, best = has, (place, number, header, rows)
            if has == len(wanted):
                return best
    return best


def _below_header(place: str, rows: _Rows, places: dict[str, int]) -> list[Row]:
    found = []
    last = max(places.values()) + 1
    for number, values in rows:
        cells = pick(_trimmed(place, number, values[:last]), places)
        if any(cells.values()):
            found.append(Row(where=f"{place}, row {number}", cells=cells))
    if not found:
        raise AustickerError(f"{place} holds no rows below its header: fetch it again or fill it in.")
    return found


def _filled(sheet: Any) -> _Rows:
    """Yields the rows that are not empty with their numbers, whatever size the sheet claims to have."""
    sheet.reset_dimensions()
    last = 0
    for number, values in enumerate(sheet.iter_rows(max_col=COLUMNS_LIMIT, values_only=True), 1):
        if values.count(None) < len(values):
            last = number
            yield number, values
        elif number - last > EMPTY_ROWS_END:
            return


def _trimmed(place: str, number: int, values: Sequence[object]) -> list[str]:
    """Returns a row's texts up to its last filled cell."""
    texts = [as_text(value) for value in values]
    if any(len(text) > LINE_LIMIT for text in texts):
        raise AustickerError(
            f"{place}, row {number} has a cell of more than {LINE_LIMIT:,} characters: check the file."
        )
    while texts and not texts[-1]:
        texts.pop()
    return texts


class _Scale:
    """Adds up what a workbook's parts unpack to; what the archive claims about their sizes is not asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = self.markup = self.sheets = 0

    def weigh(self, part: IO[bytes], packed: int) -> None:
        size, tail = 0, b""
        while chunk := part.read(_CHUNK):
            seen = tail + chunk
            if not size:
                self._check_encoding(chunk)
            if any(mark in seen for mark in _DECLARATIONS):
                raise AustickerError(f"'{self.name}' declares XML entities, which no workbook does: save it again.")
            tags, attributes = chunk.count(b"<"), chunk.count(b"=")
            crowded = attributes > 1000 + ATTRIBUTES_LIMIT * tags
            self.markup += tags + attributes
            self.sheets += len(_SHEET.findall(seen)) - len(_SHEET.findall(tail))
            size += len(chunk)
            self.total += len(chunk)
            self._check(crowded or (size > RATIO_FROM and size > RATIO_LIMIT * packed), size)
            tail = seen[-_OVERLAP:]

    def _check(self, bomb: bool, size: int) -> None:
        if bomb or size > PART_LIMIT or self.total > TOTAL_LIMIT or self.markup > MARKUP_LIMIT:
            raise AustickerError(
                f"'{self.name}' unpacks to more than a workbook of annotations can: save only its table, as a new file."
            )
        if self.sheets > SHEETS_LIMIT:
            raise AustickerError(
                f"'{self.name}' has more than {SHEETS_LIMIT} sheets: save only the one that is needed."
            )

    def _check_encoding(self, head: bytes) -> None:
        named = _ENCODING.search(head[:1024])
        other = named is not None and named[1].lower() not in {b"utf-8", b"us-ascii"}
        if other or head.startswith(_UTF_16):
            raise AustickerError(f"'{self.name}' has parts that are not in UTF-8: save it again as .xlsx.")


def _weigh(path: Path, file: BinaryIO) -> None:
    """Unpacks every part of the archive to nowhere, before anything else looks at it."""
    name = shown(path.name)
    if os.fstat(file.fileno()).st_size > TOTAL_LIMIT or _members(file) > MEMBERS_LIMIT:
        raise AustickerError(
            f"'{name}' is larger than {TOTAL_LIMIT >> 20} MiB or has more than {MEMBERS_LIMIT:,} parts: save only its "
            "table, as a new file."
        )
    scale = _Scale(name)
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1 or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise AustickerError(
                        f"'{name}' is encrypted or packed in an unknown way: save it without a password."
                    )
                with archive.open(member) as part:
                    scale.weigh(part, member.compress_size)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, struct.error) as error:
        raise AustickerError(
            f"'{name}' is no whole workbook ({shown(str(error))}): fetch it again, or save an old .xls as .xlsx."
        ) from error
    file.seek(0)


def _members(file: BinaryIO) -> int:
    """Returns how many entries the archive's directory can have at most, without making a record of each."""
    count, tail = 0, b""
    while chunk := file.read(_CHUNK):
        count += (tail + chunk).count(_CENTRAL)
        tail = chunk[-len(_CENTRAL) + 1 :]
    file.seek(0)
    return count
