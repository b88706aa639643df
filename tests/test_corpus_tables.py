"""Annotations in CSV, Parquet and Excel: every good table is read as it was written, every other gets one sentence."""

from __future__ import annotations

import csv
import datetime
import json
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import hostile
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import COLUMNS, SHEET, outcome
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from austicker.corpora import tables
from austicker.corpora.tables import LINE_LIMIT, Row, csv_rows, parquet_rows, raw_lines, refuse_duplicates
from austicker.corpora.workbook import EMPTY_ROWS_END, HEADER_ROWS, MARKUP_LIMIT, SHEETS_LIMIT, xlsx_rows
from austicker.types import AustickerError

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=12).map(str.strip)
TABLES = st.lists(st.tuples(TEXTS, TEXTS, TEXTS).filter(any), min_size=1, max_size=6)


def refused(call, *words: str) -> str:
    with pytest.raises(AustickerError) as error:
        call()
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    return sentence


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read_csv(path: Path, content: bytes | str, columns=COLUMNS, optional=()) -> list[Row]:
    return list(csv_rows(written(path / "a.csv", content), columns, optional))


def texts(rows: list[Row]) -> list[tuple[str, ...]]:
    return [tuple(row.cells.values()) for row in rows]


def one(text: str) -> Row:
    return Row(where="a.csv, row 7", cells={"Onset": text})


# A cell.


@pytest.mark.parametrize(
    ("text", "number"), [("46", 46), ("46.0", 46), ("-3", -3), ("0046", 46), ("1000000000", 10**9)]
)
def test_a_whole_number_may_have_been_stored_as_a_fraction(text, number):
    assert one(text).whole("Onset") == number


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "soon", "46.5", "1e3", "1_0", "٤٦", "1000000001", "9" * 5000, "0x1", "/"]
)
def test_what_is_no_whole_number_is_refused_with_its_place(text):
    sentence = refused(lambda: one(text).whole("Onset"), "'Onset'", "a.csv, row 7", text[:20])
    assert len(sentence) < 200


def test_a_number_is_finite():
    assert one("-1.5e2").number("Onset") == -150
    assert one(".5").number("Onset") == 0.5
    for text in ("nan", "-inf", "1e999", "12,5", "1_0", ""):
        refused(lambda text=text: one(text).number("Onset"), "'Onset'", "a.csv, row 7")


def test_an_empty_cell_is_asked_for_in_words():
    assert one("").optional("Onset") == ""
    refused(lambda: one("").text("Onset"), "empty")
    refused(lambda: one("").whole("Onset"), "empty")


@given(text=st.text(max_size=50))
def test_any_text_is_a_number_or_refused(text):
    for read in (one(text).whole, one(text).number):
        number, refusal = outcome(lambda read=read: read("Onset"))
        assert "\n" not in refusal
        assert refusal or abs(number) < float("inf")


# CSV.


def test_a_header_matches_without_its_case_blanks_and_mark(tmp_path):
    rows = read_csv(
        tmp_path, "\ufeff FILENAME , subject,Onsetframe,x\r\n EP02_01f ,01,46,y\r\n\r\n,,,\r\nEP03_02f,02\r\n"
    )
    assert texts(rows) == [("01", "EP02_01f", "46"), ("02", "EP03_02f", "")]
    assert [row.where for row in rows] == ["a.csv, row 2", "a.csv, row 5"]


def test_semicolons_separate_where_the_header_says_so(tmp_path):
    rows = read_csv(tmp_path, 'Subject;Filename;OnsetFrame\n01;"a;b";4,6\n')
    assert texts(rows) == [("01", "a;b", "4,6")]


def test_an_optional_column_may_be_missing(tmp_path):
    (row,) = read_csv(tmp_path, "Subject\n01\n", ["Subject"], ["ApexFrame"])
    assert row.optional("ApexFrame") == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["holds no rows"]),
        ("\n \n", ["holds no rows"]),
        ("Subject,Filename,OnsetFrame\n\n,,\n", ["holds no rows"]),
        ("Subject,Filename,OnsetFram\n1,2,3\n", ["no column 'OnsetFrame'", "did you mean 'onsetfram'"]),
        ("Subject,Filename,OnsetFrame,subject\n1,2,3,4\n", ["'Subject' 2 times"]),
        ("Subject,Filename,OnsetFrame\n1,2,3,4\n", ["row 2", "4 cells"]),
        ('Subject,Filename,OnsetFrame\n1,"2,3\n', ["row 2", "quotation"]),
        (b"Subject,Filename,OnsetFrame\n1,2,3\n1,\xe9,3\n", ["row 3", "UTF-8"]),
        ("Subject,Filename,OnsetFrame\n1,2,3\n1,\0,3\n", ["row 3", "NUL"]),
        ("Subject,Filename,OnsetFrame\r1,2,3\r", ["cannot be split"]),
        ("x," * 1001 + "y\n1\n", ["more than 1,000 columns"]),
        (f"Subject,Filename,OnsetFrame\n1,2,{'3' * LINE_LIMIT}\n", ["row 2", "longer"]),
    ],
)
def test_a_csv_file_that_is_none_is_refused(tmp_path, content, words):
    refused(lambda: read_csv(tmp_path, content), "a.csv", *words)


@SLOW
@given(table=TABLES, separator=st.sampled_from(",;"))
def test_a_written_csv_file_is_read_as_it_was(tmp_path, table, separator):
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([COLUMNS, *table])
    assert texts(list(csv_rows(tmp_path / "a.csv", COLUMNS))) == table


@SLOW
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), header=st.booleans())
def test_any_bytes_are_a_csv_file_or_refused(tmp_path, content, header):
    rows, refusal = outcome(lambda: read_csv(tmp_path, (hostile.HEADER if header else b"") + content))
    assert bool(rows) != bool(refusal)
    assert "\n" not in refusal


# Lines.


@SLOW
@given(content=st.binary(max_size=200) | st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b"ab"])).map(b"".join))
def test_lines_are_where_they_are_said_to_be(tmp_path, content):
    lines = list(raw_lines(written(tmp_path / "a.csv", content), 1000))
    for offset, line in lines:
        assert content[offset : offset + len(line)] == line
        assert offset == 0 or content[offset - 1 : offset] == b"\n"
    assert len(lines) == content.count(b"\n") + (not content.endswith(b"\n") and bool(content))


def test_lines_are_read_fast_enough_for_fer2013(tmp_path):
    line = b"0," + b"128 " * 2303 + b"128,Training\n"
    path = written(tmp_path / "a.csv", line * 6000)
    start = time.perf_counter()
    count = sum(1 for _ in raw_lines(path, LINE_LIMIT))
    seconds = time.perf_counter() - start
    assert count == 6000
    assert path.stat().st_size / seconds > 30e6


# Parquet.


def parquet(path: Path, **columns) -> Path:
    pq.write_table(pa.table(columns), path / "a.parquet")
    return path / "a.parquet"


def test_parquet_numbers_become_the_texts_a_person_would_write(tmp_path):
    path = parquet(
        tmp_path,
        whole=pa.array([46, None], pa.int64()),
        double=[46.0, 0.5],
        single=pa.array([0.1, np.nan], pa.float32()),
        flag=[True, False],
        word=pa.array([" a ", "b"]).dictionary_encode(),
        nothing=pa.nulls(2),
        nested=[[1], [2]],
    )
    wanted = ["whole", "Double ", "SINGLE", "flag", "word", "nothing"]
    rows = list(parquet_rows(path, wanted, ["other"]))
    assert texts(rows) == [("46", "46", "0.1", "true", "a", "", ""), ("", "0.5", "nan", "false", "b", "", "")]
    assert rows[1].where == "a.parquet, row 2"
    refused(lambda: rows[1].number("SINGLE"), "'nan'")
    refused(lambda: list(parquet_rows(path, ["nested"])), "'nested'", "list")
    refused(lambda: list(parquet_rows(path, ["words"])), "no column 'words'", "did you mean 'word'")


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    path = parquet(tmp_path, a=pa.array([], pa.string()))
    refused(lambda: list(parquet_rows(path, ["a"])), "holds no rows")


def test_absurd_parquet_sizes_are_refused_from_the_footer(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PARQUET_LIMIT", 1 << 20)
    path = parquet(tmp_path, a=[f"{number:065536}" for number in range(20)], b=["1"] * 20)
    refused(lambda: list(parquet_rows(path, ["b"])), "unpacks to more than 1 MiB")


@SLOW
@given(table=TABLES)
def test_a_written_parquet_file_is_read_as_it_was(tmp_path, table):
    path = parquet(tmp_path, **dict(zip(COLUMNS, map(list, zip(*table, strict=True)), strict=True)))
    assert texts(list(parquet_rows(path, COLUMNS))) == table


@pytest.fixture(scope="module")
def good_parquet(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("parquet")
    return parquet(folder, Subject=["01"] * 20, Filename=["a"] * 20, OnsetFrame=[46.0] * 20).read_bytes()


@SLOW
@given(data=st.data())
def test_any_damage_to_a_parquet_file_is_read_or_refused(tmp_path, good_parquet, data):
    damaged(data, good_parquet, tmp_path / "b.parquet", lambda path: parquet_rows(path, COLUMNS))


def damaged(data, good: bytes, path: Path, read) -> None:
    """Fails unless a file, after a few bytes were overwritten or its end cut off, is read or refused in a sentence."""
    content = bytearray(good)
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = byte
    written(path, bytes(content[: data.draw(st.integers(0, len(good)) | st.just(len(good)))]))
    _, refusal = outcome(lambda: list(read(path)))
    assert "\n" not in refusal


# Workbooks.


def read_xlsx(path: Path, columns=COLUMNS, optional=()) -> list[Row]:
    return list(xlsx_rows(path, columns, optional))


def test_a_header_below_prose_and_on_a_later_sheet_is_found(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["Read me first", None, "Subject"])
    sheet = book.create_sheet("Codes")
    for _ in range(13):
        sheet.append(["Some prose about the subject"])
    sheet.append([None, " subject", "FILENAME ", "OnsetFrame", "Action Units", "Day"])
    sheet.append([None, 1, "006_1_2", 46.0, 12, datetime.date(2024, 7, 4)])
    sheet.append([])
    sheet.append([None, "02", "007_1_2", "/", "4+7", None])
    book.save(tmp_path / "a.xlsx")
    rows = read_xlsx(tmp_path / "a.xlsx", COLUMNS, ["Action Units", "Day", "Notes"])
    assert texts(rows) == [
        ("1", "006_1_2", "46", "12", "2024-07-04 00:00:00", ""),
        ("02", "007_1_2", "/", "4+7", "", ""),
    ]
    assert rows[1].where == "a.xlsx, sheet 'Codes', row 17"


def test_a_header_that_comes_too_late_or_lacks_a_column_is_refused(tmp_path):
    late = hostile.workbook(tmp_path / "a.xlsx", [["prose"]] * HEADER_ROWS + [list(COLUMNS), [1, 2, 3]])
    refused(lambda: read_xlsx(late), "a.xlsx", "no column 'Subject'")
    short = hostile.workbook(tmp_path / "b.xlsx", [["prose"], ["Subject", "File name", "OnsetFrame"], [1, 2, 3]])
    refused(lambda: read_xlsx(short), "no column 'Filename'", "did you mean 'file name'")
    twice = hostile.workbook(tmp_path / "c.xlsx", [[*COLUMNS, "subject"], [1, 2, 3, 4]])
    refused(lambda: read_xlsx(twice), "'Subject' 2 times")


@pytest.mark.parametrize("rows", [[], [[None]], [list(COLUMNS)], [list(COLUMNS), ["  ", None, ""]]])
def test_an_empty_sheet_is_refused(tmp_path, rows):
    refused(lambda: read_xlsx(hostile.workbook(tmp_path / "a.xlsx", rows)), "holds no rows")


def test_a_sheet_that_lies_about_its_size_is_read_to_its_end(tmp_path):
    rows = hostile.row(1, *COLUMNS) + hostile.row(2, "01", "EP02_01f", "46")
    for claim in (b"A1:XFD1048576", b"A1:A1"):
        content = hostile.sheet(rows, dimension=b'<dimension ref="%s"/>' % claim)
        path = hostile.with_part(tmp_path / "a.xlsx", SHEET, content)
        start = time.perf_counter()
        assert texts(read_xlsx(path)) == [("01", "EP02_01f", "46")]
        assert time.perf_counter() - start < 5


def test_a_sheet_ends_where_its_rows_have_been_empty_for_long(tmp_path):
    rows = hostile.row(1, *COLUMNS) + hostile.row(2, "01", "a", "1")
    near = rows + hostile.row(2 + EMPTY_ROWS_END, "02", "b", "2")
    far = rows + hostile.row(10**9, "02", "b", "2")
    assert len(read_xlsx(hostile.with_part(tmp_path / "a.xlsx", SHEET, hostile.sheet(near)))) == 2
    assert len(read_xlsx(hostile.with_part(tmp_path / "b.xlsx", SHEET, hostile.sheet(far)))) == 1


@pytest.mark.parametrize(
    "prologue",
    [
        b"<!DOCTYPE worksheet>",
        b" " * 65_520 + b"<!DOCTYPE worksheet>",  # across the border of what is read at once
        b'<!DOCTYPE worksheet SYSTEM "file:///etc/passwd">',
    ],
)
def test_no_part_may_declare_anything(tmp_path, prologue):
    content = hostile.sheet(hostile.row(1, *COLUMNS) + hostile.row(2, "1", "2", "3"), prologue=prologue)
    path = hostile.with_part(tmp_path / "a.xlsx", SHEET, content, zipfile.ZIP_STORED)
    refused(lambda: read_xlsx(path), "declares XML entities")


@pytest.mark.parametrize("code", ["utf-16", "utf-16-be", "cp037"])
def test_another_encoding_hides_nothing(tmp_path, code):
    rows = hostile.row(1, *COLUMNS) + hostile.row(2, "1", "2", "3")
    text = hostile.sheet(rows, prologue=b'<!DOCTYPE worksheet [<!ENTITY a "b">]>').decode()
    if code == "cp037":
        declaration, _, rest = text.partition("?>")
        content = (declaration.replace("UTF-8", code) + "?>").encode() + rest.encode(code)
    else:
        content = text.replace("UTF-8", "UTF-16").encode(code)
    refused(lambda: read_xlsx(hostile.with_part(tmp_path / "a.xlsx", SHEET, content)), "a.xlsx")


def test_more_than_a_workbook_of_annotations_is_refused(tmp_path):
    def sheet_of(rows: bytes) -> Path:
        return hostile.with_part(tmp_path / "a.xlsx", SHEET, hostile.sheet(rows), zipfile.ZIP_STORED)

    refused(lambda: read_xlsx(sheet_of(b"<c/>" * MARKUP_LIMIT)), "unpacks to more")
    refused(lambda: read_xlsx(sheet_of(b"<c " + b" ".join(b'a%d=""' % n for n in range(20_000)) + b"/>")), "unpacks")
    refused(lambda: read_xlsx(sheet_of(b" " * (17 << 20))), "unpacks to more")
    sheets = b"".join(b'<sheet name="%d" sheetId="%d" r:id="rId1"/>' % (n, n) for n in range(SHEETS_LIMIT + 1))
    refused(lambda: read_xlsx(hostile.with_part(tmp_path / "b.xlsx", "xl/workbook.xml", sheets)), "sheets")
    refused(lambda: read_xlsx(sheet_of(hostile.row(1, *COLUMNS, "x" * (LINE_LIMIT + 1)))), "row 1", "a cell of more")


@pytest.mark.parametrize("claimed", [0, 1000, 3_000_000_000])
def test_what_an_archive_claims_of_its_sizes_is_not_believed(tmp_path, claimed):
    rows, refusal = outcome(lambda: read_xlsx(hostile.lying_zip(tmp_path / "a.xlsx", claimed, 1000)))
    assert "\n" not in refusal
    assert refusal or texts(rows) == [("01", "EP02_01f", "46")]
    refused(lambda: read_xlsx(hostile.lying_zip(tmp_path / "b.xlsx", claimed, 4 << 20)), "b.xlsx")


def test_a_locked_or_strangely_packed_workbook_is_refused(tmp_path):
    odd = hostile.with_part(tmp_path / "a.xlsx", "x", b"y", zipfile.ZIP_BZIP2)
    refused(lambda: read_xlsx(odd), "packed in an unknown way")
    locked = bytearray(hostile.workbook(tmp_path / "b.xlsx", [list(COLUMNS), [1, 2, 3]]).read_bytes())
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    refused(lambda: read_xlsx(written(tmp_path / "c.xlsx", bytes(locked))), "password")
    refused(lambda: read_xlsx(written(tmp_path / "d.xlsx", b"\xd0\xcf\x11\xe0" + bytes(600))), "d.xlsx", ".xls")


def test_without_defusedxml_no_workbook_is_opened(tmp_path, monkeypatch):
    path = hostile.workbook(tmp_path / "a.xlsx", [list(COLUMNS), [1, 2, 3]])
    monkeypatch.setattr(openpyxl, "DEFUSEDXML", False)
    refused(lambda: read_xlsx(path), "defusedxml")


@SLOW
@given(table=TABLES)
def test_a_written_workbook_is_read_as_it_was(tmp_path, table):
    # openpyxl itself takes a text that begins with "=" for a formula, and "_x0041_" for an escaped letter.
    table = [tuple(text.lstrip("=").replace("_", "").strip() for text in row) for row in table]
    table = [row for row in table if any(row)] or [("a", "b", "c")]
    path = hostile.workbook(tmp_path / "a.xlsx", [list(COLUMNS), *map(list, table)])
    assert texts(read_xlsx(path)) == table


@pytest.fixture(scope="module")
def good_workbook(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("workbook") / "a.xlsx"
    return hostile.workbook(path, [list(COLUMNS), ["01", "a", 46]]).read_bytes()


@SLOW
@given(data=st.data())
def test_any_damage_to_a_workbook_is_read_or_refused(tmp_path, good_workbook, data):
    damaged(data, good_workbook, tmp_path / "b.xlsx", lambda path: xlsx_rows(path, COLUMNS))


@SLOW
@given(data=st.data())
def test_any_damage_to_a_sheet_is_read_or_refused(tmp_path, data):
    content = bytearray(
        hostile.sheet(
            hostile.row(1, *COLUMNS) + b'<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" s="1"><v>3</v></c></row>'
        )
    )
    edits = st.tuples(
        st.integers(60, len(content)), st.sampled_from([b"<", b">", b'"', b"9", b"-", b"n", b"e", b"/", b"\xff"])
    )
    for at, letter in data.draw(st.lists(edits, max_size=3)):
        content[at : at + 1] = letter
    path = hostile.with_part(tmp_path / "a.xlsx", SHEET, bytes(content))
    _, refusal = outcome(lambda: read_xlsx(path))
    assert "\n" not in refusal


@pytest.mark.parametrize("read", [csv_rows, xlsx_rows, parquet_rows])
@given(content=st.binary(max_size=100))
@SLOW
def test_any_bytes_are_no_table_of_any_kind(tmp_path, read, content):
    with pytest.raises(AustickerError):
        list(read(written(tmp_path / "a", content), COLUMNS))


# Clips, and everything at once.


def test_a_clip_that_is_named_twice_is_refused_with_both_places():
    refuse_duplicates([("a", "x.csv, row 2"), ("b", "x.csv, row 3")])
    refused(lambda: refuse_duplicates([("a", "x.csv, row 2"), ("a", "x.csv, row 9")]), "'a'", "row 2", "row 9")


def test_hostile_files_are_refused_quickly_in_little_memory_and_write_nothing(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make, _ in hostile.CASES.values():
            make(folder / name)
    before = sorted(tmp_path.rglob("*"))
    ended = subprocess.run(
        [sys.executable, hostile.__file__, folder],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        check=True,
    )
    answers = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [answer["case"] for answer in answers] == list(hostile.CASES)
    for answer in answers:
        assert answer["refusal"], answer
        assert "not an AustickerError" not in answer["refusal"]
        assert "\n" not in answer["refusal"]
        assert answer["mb"] < 200, answer
        # The demand is one second; other work on this machine may take the rest.
        assert answer["s"] < 5, answer
    assert ended.stderr == ""
    assert sorted(tmp_path.rglob("*")) == before
