"""Results: verdicts come back as they were, and a part that is not whole is not there."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from austicker import results
from austicker.store import Store
from austicker.types import AustickerError, Verdict

COLUMNS = [
    "cell", "corpus", "protocol", "fold", "subject", "clip", "model", "attack", "sticker", "placement", "region",
    "x", "y", "side", "seed", "label", "clean_pred", "attacked_pred", "clean_score", "attacked_score", "queries",
    "unique", "repeated", "cached", "calls", "success_at", "rotation", "opacity", "outline", "answers",
    "changed", "ssim", "psnr", "recipe", "shift",
]  # fmt: skip
A, B, C = "a" * 20, "b" * 20, "c" * 20


def verdict(cell: str, clip: str, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "cell": cell, "corpus": "faces", "protocol": "loso", "fold": "ann", "subject": "ann", "clip": clip,
        "model": "mmnet", "attack": "sticker", "sticker": "sun", "placement": "causal", "region": "lips", "x": 0.5,
        "y": 0.7, "side": 0.2, "seed": 0, "label": 1, "clean_pred": 1, "attacked_pred": 2, "clean_score": 0.9,
        "attacked_score": 0.1, "queries": 1,
    }  # fmt: skip
    return Verdict(**{**values, **changes})


def write(folder: Path, *cells: str, corpus: str = "faces", **changes: Any) -> Path:
    rows = [verdict(cell, f"clip{n}", **changes) for cell in cells for n in range(3)]
    return folder / results.write_part(Store(folder), corpus, cells, rows)


def read(folder: Path, *cells: str) -> list[tuple[str, str]]:
    return frame(folder, *cells).select("cell", "clip").rows()


def frame(folder: Path, *cells: str) -> pl.DataFrame:
    return results.read_verdicts(Store(folder), frozenset(cells))


def done(folder: Path) -> frozenset[str]:
    return results.done_cells(Store(folder))


def test_the_columns_are_the_contracts_in_its_order_on_disk_and_in_memory(tmp_path):
    part = write(tmp_path, A)
    assert frame(tmp_path, A).columns == COLUMNS
    schema = pq.read_schema(part)
    assert schema.names == COLUMNS
    scores, worn = ["clean_score", "attacked_score"], ["rotation", "opacity", "outline", "answers"]
    seen = ["changed", "ssim", "psnr", "recipe", "shift"]
    assert [name for name in COLUMNS if schema.field(name).nullable] == ["region", "x", "y", *scores, *worn, *seen]


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
number = st.integers(-(2**31), 2**31 - 1)
real = st.floats(allow_nan=False)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.builds(
            Verdict,
            **dict.fromkeys([*COLUMNS[:10]], text) | {"cell": st.sampled_from([A, B]), "region": st.none() | text},
            **dict.fromkeys(["x", "y"], st.none() | real),
            **dict.fromkeys(
                ["clean_score", "attacked_score", "rotation", "opacity", "changed", "ssim", "psnr"], st.none() | real
            ),
            **dict.fromkeys(["seed", "label", "clean_pred", "attacked_pred", *COLUMNS[20:26]], number),
            **dict.fromkeys(
                ["outline", "answers", "shift"], st.none() | st.lists(st.floats(width=32, allow_nan=False)).map(tuple)
            ),
            side=real,
            recipe=st.none() | text,
        ),
        max_size=5,
    )
)
def test_verdicts_come_back_as_they_were(tmp_path_factory, verdicts):
    folder = tmp_path_factory.mktemp("round")
    results.write_part(Store(folder), "faces", [A, B], verdicts)
    back = frame(folder, A, B)
    rows = [
        {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        for row in back.to_dicts()
    ]
    assert sorted(map(repr, verdicts)) == sorted(repr(Verdict(**row)) for row in rows)


def test_rows_come_sorted_by_cell_and_clip_from_every_folder(tmp_path):
    write(tmp_path, B)
    write(tmp_path, A, corpus="others/deep")
    assert read(tmp_path, A, B) == [(cell, f"clip{n}") for cell in (A, B) for n in range(3)]
    assert done(tmp_path) == {A, B}


def test_the_name_of_a_part_follows_its_cells_and_not_their_order():
    assert results.part_name([A, B]) == results.part_name([B, A]) != results.part_name([A])


def test_a_cell_without_rows_is_done(tmp_path):
    results.write_part(Store(tmp_path), "faces", [A, B], [verdict(A, "clip0")])
    assert done(tmp_path) == {A, B}
    assert read(tmp_path, A, B) == [(A, "clip0")]


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_store_has_no_cells_and_no_rows_but_all_columns(tmp_path, exists):
    folder = tmp_path if exists else tmp_path / "none"
    assert done(folder) == frozenset()
    empty = frame(folder, A)
    assert (empty.columns, len(empty)) == (COLUMNS, 0)


def test_stray_cells_are_not_read(tmp_path):
    write(tmp_path, A, B)
    write(tmp_path, C)
    assert read(tmp_path, A) == [(A, f"clip{n}") for n in range(3)]


def test_a_cell_in_two_parts_is_counted_once(tmp_path):
    write(tmp_path, A, B)
    write(tmp_path, B, C)
    write(tmp_path, A, B, corpus="again")
    assert read(tmp_path, A, B, C) == [(cell, f"clip{n}") for cell in (A, B, C) for n in range(3)]


def test_writing_the_same_cells_again_leaves_one_part(tmp_path):
    part = write(tmp_path, A, B)
    assert part == write(tmp_path, B, A)
    assert list(part.parent.iterdir()) == [part]


def absent(folder: Path, part: Path, content: bytes) -> bool:
    part.write_bytes(content)
    return done(folder) == frozenset() and read(folder, A, B) == []


def test_a_torn_part_is_absent_wherever_it_was_torn(tmp_path):
    part = write(tmp_path, A, B)
    content = part.read_bytes()
    for length in [0, 1, 4, 8, *range(12, len(content), 97), len(content) - 1]:
        assert absent(tmp_path, part, content[:length])
    assert not absent(tmp_path, part, content)


def test_a_flipped_bit_is_harmless_or_makes_the_part_absent_but_never_changes_a_row(tmp_path):
    part = write(tmp_path, A, B)
    content, whole = part.read_bytes(), frame(tmp_path, A, B)
    lost = 0
    for position in range(0, len(content), 31):
        damaged = bytearray(content)
        damaged[position] ^= 0x80 if position % 2 else 1
        part.write_bytes(damaged)
        found, there = frame(tmp_path, A, B), done(tmp_path)
        assert found.equals(whole) if there else found.is_empty()
        lost += not there
    assert lost > len(content) / 31 / 2


def test_a_damaged_page_is_not_hidden_by_a_footer_that_is_whole(tmp_path):
    part = write(tmp_path, A, B)
    content = part.read_bytes()
    column = pq.read_metadata(part).row_group(0).column(COLUMNS.index("attacked_score"))
    end = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size
    damaged = bytearray(content)
    damaged[end - 1] ^= 1
    part.write_bytes(damaged)
    assert pq.read_metadata(part).num_rows == 6
    assert done(tmp_path) == frozenset()
    assert read(tmp_path, A, B) == []


def test_a_damaged_part_does_not_hide_a_whole_one(tmp_path):
    part = write(tmp_path, A, B, corpus="damaged")
    part.write_bytes(part.read_bytes()[:-9])
    write(tmp_path, A)
    assert done(tmp_path) == {A}
    assert len(read(tmp_path, A, B)) == 3


@pytest.mark.parametrize("column", ["queries", "x"])
@pytest.mark.parametrize("change", ["drop", "type", "add"])
def test_a_part_of_another_schema_is_absent(tmp_path, column, change):
    part = write(tmp_path, A)
    table = pq.read_table(part)
    place = table.schema.get_field_index(column)
    if change == "drop":
        table = table.drop_columns([column])
    elif change == "type":
        table = table.set_column(place, column, table[column].cast(pa.float32()))
    else:
        table = table.append_column("more", table[column])
    pq.write_table(table, part)
    assert done(tmp_path) == frozenset()
    assert read(tmp_path, A) == []


@pytest.mark.parametrize("metadata", [{}, {"austicker.rows": "3"}, {"austicker.cells": f'["{A}"]'}])
def test_a_part_that_does_not_say_what_it_holds_is_absent(tmp_path, metadata):
    part = write(tmp_path, A)
    pq.write_table(pq.read_table(part).replace_schema_metadata(metadata), part)
    assert done(tmp_path) == frozenset()


@pytest.mark.parametrize("metadata", [("[1]", "3"), ("{", "3"), (f'["{A}"]', "2"), (f'["{B}"]', "3"), ("3", "3")])
def test_a_part_that_says_something_else_than_it_holds_is_absent(tmp_path, metadata):
    part = write(tmp_path, A)
    cells, rows = metadata
    wrong = {"austicker.cells": cells, "austicker.rows": rows}
    pq.write_table(pq.read_table(part).replace_schema_metadata(wrong), part)
    assert done(tmp_path) == frozenset()
    assert read(tmp_path, A, B) == []


def test_files_that_are_no_parts_and_drafts_of_a_killed_writer_are_absent(tmp_path):
    part = write(tmp_path, A)
    part.rename(part.with_name(f".{part.name}.x1y2.parquet"))
    part.with_name("notes.parquet").write_text("not Parquet")
    part.with_name("a folder.parquet").mkdir()
    assert done(tmp_path) == frozenset()


def test_a_full_disk_leaves_no_part_and_the_old_one_as_it_was(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    part = write(tmp_path, A)
    before = part.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for cells in ([A], [B]):
            with pytest.raises(AustickerError, match=r"^[^\n]*No space left on device[^\n]*\.$"):
                write(tmp_path, *cells, queries=2)
    assert list(part.parent.iterdir()) == [part]
    assert part.read_bytes() == before


def test_a_disk_that_ends_in_the_middle_of_a_part_is_one_sentence(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(AustickerError, match=r"^[^\n]*cannot be written[^\n]*\.$"):
            write(tmp_path, A)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
