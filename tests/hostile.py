"""Makers of files that lie, explode or break off, small on the disk and quickly made; each returns the file's path."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from austicker.corpora import manifest, pictures, source, tables
from austicker.corpora.pictures import video_length
from austicker.corpora.tables import Row
from austicker.corpora.workbook import xlsx_rows as workbook_rows
from austicker.types import AustickerError

COLUMNS = ("Subject", "Filename", "OnsetFrame")
HEADER = ",".join(COLUMNS).encode() + b"\n"
SHEET = "xl/worksheets/sheet1.xml"
_NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def png(path: Path, width: int, height: int) -> Path:
    """A PNG of one black row of pixels whose header claims any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + min(width, 1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b""))
    return path


def deep_png(path: Path, colour: int = 2) -> Path:
    """A good PNG of 16 bits a channel: RGB for colour type 2, gray for 0."""
    header = struct.pack(">IIBBBBB", 4, 4, 16, colour, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(range(4 * (6 if colour == 2 else 2)))) * 4)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b""))
    return path


def truncated_jpeg(path: Path, share: float = 0.6) -> Path:
    """The first part of a good JPEG."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, "JPEG")
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    return path


def huge_cell(path: Path, size: int = 2 << 30) -> Path:
    """A CSV whose first row is one cell of `size` NUL bytes, which take no room on the disk."""
    path.write_bytes(HEADER)
    with path.open("r+b") as file:
        file.truncate(len(HEADER) + size)
    return path


def long_cell(path: Path, digit: bytes = b"7", size: int = 64 << 20) -> Path:
    """A CSV whose first row is one cell of `size` digits, or of line breaks in quotation marks."""
    with path.open("wb") as file:
        file.write(HEADER + b'"')
        for _ in range(size >> 20):
            file.write(digit * ((1 << 20) // len(digit)))
    return path


def workbook(path: Path, rows: list[list[object]], title: str = "Sheet1") -> Path:
    """A good workbook of one sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    book.save(path)
    book.close()
    return path


def with_part(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """A workbook with one good row, of which one part is replaced or added."""
    good = workbook(path.with_name("good-" + path.name), [list(COLUMNS), ["01", "EP02_01f", 46]])
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", compression) as target:
        for member in source.infolist():
            if member.filename != name:
                target.writestr(member.filename, source.read(member))
        target.writestr(name, content)
    good.unlink()
    return path


def sheet(rows: bytes, dimension: bytes = b"", prologue: bytes = b"") -> bytes:
    """The XML of a sheet."""
    opening = b'<?xml version="1.0" encoding="UTF-8"?>' + prologue + b'<worksheet xmlns="' + _NAMESPACE.encode() + b'">'
    return opening + dimension + b"<sheetData>" + rows + b"</sheetData></worksheet>"


def row(number: int, *texts: str) -> bytes:
    """The XML of a row of texts."""
    cells = (f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)
    return f'<row r="{number}">{"".join(cells)}</row>'.encode()


def entity_bomb(path: Path) -> Path:
    """A workbook whose one cell would unfold to 10**9 letters."""
    entities = b"".join(b'<!ENTITY e%d "%s">' % (level, b"&e%d;" % (level - 1) * 10) for level in range(1, 10))
    prologue = b'<!DOCTYPE worksheet [<!ENTITY e0 "a">' + entities + b"]>"
    return with_part(path, SHEET, sheet(row(1, "&e9;"), prologue=prologue))


def zip_bomb(path: Path, size: int = 256 << 20) -> Path:
    """A workbook with a part of blanks that nothing else names."""
    with_part(path, "xl/other.xml", b"<a/>")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
        for _ in range(size >> 20):
            part.write(b" " * (1 << 20))
    return path


def lying_zip(path: Path, claimed: int, blanks: int) -> Path:
    """A workbook whose sheet unpacks to more than `blanks` bytes and claims to unpack to `claimed`."""
    with_part(path, SHEET, sheet(b" " * blanks + row(1, *COLUMNS) + row(2, "01", "EP02_01f", "46")))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(SHEET)
    entry = content.rindex(SHEET.encode()) - 46
    struct.pack_into("<I", content, entry + 24, claimed)
    struct.pack_into("<I", content, member.header_offset + 22, claimed)
    path.write_bytes(content)
    return path


def crowded_zip(path: Path, members: int = 50_000) -> Path:
    """An archive of a great many empty parts."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}", b"")
    return path


def lying_parquet(path: Path, rows: int = 4_000_000) -> Path:
    """A Parquet file of a few hundred bytes with more rows than any corpus."""
    pq.write_table(
        pa.table({name: pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["x"]) for name in COLUMNS}), path
    )
    return path


def wide_parquet(path: Path) -> Path:
    """A small Parquet file of one long text that 2,000 rows repeat."""
    table = {name: pa.DictionaryArray.from_arrays(np.zeros(2000, np.int16), ["x" * (4 << 20)]) for name in COLUMNS}
    pq.write_table(pa.table(table), path, compression="zstd")
    return path


def outcome(read: Callable[[], object]) -> tuple[object, str]:
    """Returns what a reader gives and "", or None and its refusal; any other exception is the test's to fail by."""
    try:
        return read(), ""
    except AustickerError as error:
        return None, str(error)


NOBODY = 65534


def as_stranger(read: Callable[[], object]) -> tuple[object, str]:
    """Returns the `outcome` of a reader in a process of nobody's, whom closed folders do not let in as they do root.

    Any other exception fails the test. What the reader imports must be imported already.
    """
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            answer = (*outcome(read), "")
        except BaseException as error:
            answer = (None, "", repr(error))
        os.write(outlet, pickle.dumps(answer))
        os._exit(0)
    os.close(outlet)
    with os.fdopen(inlet, "rb") as pipe:
        value, refusal, broken = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    assert not broken, broken
    return value, refusal


@contextmanager
def public_folder() -> Iterator[Path]:
    """Gives an empty folder that everybody may enter, other than pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def closed(folder: Path, mode: int = 0) -> Iterator[None]:
    """Closes a folder in the block: nobody may enter it, nor list it unless `mode` says so."""
    before = folder.stat().st_mode
    folder.chmod(mode)
    try:
        yield
    finally:
        folder.chmod(before)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _exhaust(rows: Iterable[Row]) -> None:
    for one in rows:
        one.whole("OnsetFrame")


def _csv(path: Path) -> None:
    _exhaust(tables.csv_rows(path, COLUMNS))


def _xlsx(path: Path) -> None:
    _exhaust(workbook_rows(path, COLUMNS))


def _parquet(path: Path) -> None:
    _exhaust(tables.parquet_rows(path, COLUMNS))


def _picture(path: Path) -> None:
    list(pictures.read(source.Files(paths=(path.name,)), path.parent, 3))


def _named(text: str) -> Callable[[Path], None]:
    return lambda path: list(pictures.read(source.Files(paths=(text,)), path.parent, 3)) and None


def _written(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _linked(path: Path) -> Path:
    path.symlink_to("/etc/passwd")
    return path


def _piped(path: Path) -> Path:
    os.mkfifo(path)
    return path


GOOD_ROW = b"01,EP02_01f,"
CASES: dict[str, tuple[str, Callable[[Path], Path], Callable[[Path], None]]] = {
    "a PNG of 50,000 x 50,000": ("a.png", lambda path: png(path, 50_000, 50_000), _picture),
    "a PNG of 8,000 x 8,000 with one row": ("b.png", lambda path: png(path, 8000, 8000), _picture),
    "a PNG of 16-bit RGB": ("c.png", deep_png, _picture),
    "a PNG of 16-bit gray": ("d.png", lambda path: deep_png(path, 0), _picture),
    "a truncated JPEG": ("e.jpg", truncated_jpeg, _picture),
    "a pipe for a picture": ("f.jpg", _piped, _picture),
    "a path with ..": ("g.csv", _written(b""), _named("a/../../etc/passwd")),
    "an absolute path": ("h.csv", _written(b""), _named("/etc/passwd")),
    "a Windows path": ("i.csv", _written(b""), _named("C:\\Windows\\win.ini")),
    "a symlink out of the root": ("j.png", _linked, _picture),
    "a zip bomb": ("k.xlsx", zip_bomb, _xlsx),
    "an entity bomb": ("l.xlsx", entity_bomb, _xlsx),
    "a part that claims to be small": ("m.xlsx", lambda path: lying_zip(path, 1000, 4 << 20), _xlsx),
    "an archive of 50,000 parts": ("n.xlsx", crowded_zip, _xlsx),
    "400,000 tags": ("o.xlsx", lambda path: with_part(path, SHEET, sheet(noise(b"<c/>", 400_000))), _xlsx),
    "a sheet of 150,000 empty rows": (
        "p.xlsx",
        lambda path: with_part(path, SHEET, sheet(noise(b"<row/>", 150_000))),
        _xlsx,
    ),
    "an empty sheet": ("q.xlsx", lambda path: workbook(path, []), _xlsx),
    "a sheet without rows": ("r.xlsx", lambda path: workbook(path, [list(COLUMNS)]), _xlsx),
    "a 2-GB cell of NULs": ("s.csv", huge_cell, _csv),
    "a cell of 64 MB of digits": ("t.csv", long_cell, _csv),
    "a quoted cell of 64 MB of line breaks": ("u.csv", lambda path: long_cell(path, b"\n"), _csv),
    "NaN for a number": ("v.csv", _written(HEADER + GOOD_ROW + b"NaN\n"), _csv),
    "text for a number": ("w.csv", _written(HEADER + GOOD_ROW + b"soon\n"), _csv),
    "a Parquet file of 4,000,000 rows": ("x.parquet", lying_parquet, _parquet),
    "a Parquet file of 24 GB of text": ("y.parquet", wide_parquet, _parquet),
    "1,600 blanks in the action units": (
        "manifest.csv",
        _written(b"clip,subject,label,action_units\na,ann,joy,4" + b" " * 1600 + b"5\n"),
        lambda path: manifest.read(path.parent) and None,
    ),
    "a video of its first bytes alone": ("za.mp4", _written(b"\0\0\0\x18ftypmp42"), lambda path: video_length(path)),
    "a playlist for a video": ("z.avi", _written(b"#EXTM3U\nhttp://127.0.0.1:9/x\n"), lambda path: video_length(path)),
}


def noise(markup: bytes, count: int) -> bytes:
    """Markup that cannot be packed so tightly that the ratio alone would give it away."""
    words = np.random.default_rng(0).integers(10**9, 10**10, count)
    return b"".join(markup + b"%d" % word for word in words)


def main(folder: Path) -> None:
    """Prints, for every case, the refusal, the seconds and the megabytes above a process that reads nothing."""
    idle = _measured(lambda: None)[2]
    for name, (file, _, read) in CASES.items():
        refusal, seconds, peak = _measured(lambda read=read, file=file: read(folder / file))
        sys.stdout.write(json.dumps({"case": name, "refusal": refusal, "s": seconds, "mb": peak - idle}) + "\n")
        sys.stdout.flush()


def _measured(work: Callable[[], object]) -> tuple[str, float, float]:
    """Runs work in a fork; returns its refusal, its seconds and its peak memory in MB."""
    inlet, outlet = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            work()
            refusal = ""
        except AustickerError as error:
            refusal = str(error)
        except BaseException as error:
            refusal = f"not an AustickerError: {error!r}"
        os.write(outlet, refusal.encode()[:4000])
        os._exit(0)
    os.close(outlet)
    _, _, usage = os.wait4(child, 0)
    seconds = time.monotonic() - start
    with os.fdopen(inlet, "rb") as answer:
        return answer.read().decode(), seconds, usage.ru_maxrss / 1024


if __name__ == "__main__":
    import cv2  # noqa: F401 - so that its import is not measured

    main(Path(sys.argv[1]))
