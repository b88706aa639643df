"""The store: every file is whole or not there, and a fault is one sentence."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from austicker.store import Store, whole, write_whole
from austicker.types import AustickerError


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_one_sentence(text: str) -> None:
    assert "\n" not in text
    assert text.endswith(".")
    assert not re.search(r"\. [A-Z]", text)


def test_a_file_is_written_whole_with_the_folders_that_it_needs(tmp_path):
    path = tmp_path / "deep" / "er" / "file.bin"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert everything(tmp_path) == ["file.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_final_name_does_not_exist_before_the_content_is_whole(tmp_path):
    with whole(tmp_path / "part.parquet") as draft:
        draft.write_bytes(b"half")
        assert everything(tmp_path) == [draft.name]
        assert draft.name.startswith(".")
        assert draft.suffix == ".parquet"
        file = draft.stat().st_ino
    assert everything(tmp_path) == ["part.parquet"]
    assert (tmp_path / "part.parquet").stat().st_ino == file  # renamed, not copied


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("fault", [RuntimeError("broke"), KeyboardInterrupt()])
def test_a_write_that_breaks_leaves_what_was_there(tmp_path, old, fault):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)

    def half_a_write() -> None:
        with whole(path) as draft:
            draft.write_bytes(b"half")
            raise fault

    with pytest.raises(type(fault)):
        half_a_write()
    assert everything(tmp_path) == (["file"] if old else [])
    assert old is None or path.read_bytes() == old


@pytest.mark.parametrize("call", ["fsync", "write"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, monkeypatch, call, old):
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "write_bytes", full)
        with pytest.raises(AustickerError, match="No space left on device") as refusal:
            write_whole(path, b"new")
    assert_one_sentence(str(refusal.value))
    assert str(path) in str(refusal.value)
    assert everything(tmp_path) == (["file"] if old else [])
    assert old is None or path.read_bytes() == old


def test_the_content_is_forced_to_the_disk_before_the_name_is_given(tmp_path, monkeypatch):
    seen = []
    forced = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(everything(tmp_path)), forced(handle)))
    write_whole(tmp_path / "file", b"x")
    assert len(seen) == 1
    assert "file" not in seen[0]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(AustickerError, match="cannot be written") as refusal:
        write_whole(tmp_path / "file" / "below", b"x")
    assert_one_sentence(str(refusal.value))
    assert everything(tmp_path) == ["file"]


def test_a_record_comes_back_and_its_bytes_do_not_depend_on_the_order_of_its_keys(tmp_path):
    store = Store(tmp_path)
    record = {"b": [1, None, "é"], "a": {"y": 0.1, "x": True}}
    store.write_json(store.job, record)
    assert store.read_json(store.job) == record
    before = store.job.read_bytes()
    store.write_json(store.job, {"a": {"x": True, "y": 0.1}, "b": [1, None, "é"]})
    assert store.job.read_bytes() == before


def test_a_record_with_a_nan_is_never_written(tmp_path):
    store = Store(tmp_path)
    store.write_json(store.job, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(store.job, {"a": float("nan")})
    assert store.read_json(store.job) == {"a": 1}
    assert everything(tmp_path) == ["job.json"]


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe", b"[1]", b"null"])
def test_a_missing_or_damaged_record_is_one_sentence_that_names_it(tmp_path, content):
    store = Store(tmp_path)
    if content is not None:
        store.job.write_bytes(content)
    with pytest.raises(AustickerError, match="delete it") as refusal:
        store.read_json(store.job)
    assert_one_sentence(str(refusal.value))
    assert str(store.job) in str(refusal.value)


def test_the_layout_of_a_store_is_the_contracts(tmp_path):
    store = Store(str(tmp_path))
    paths = [store.job, store.models, store.graph("g"), store.verdicts, store.failure("f"), store.report]
    names = ["job.json", "models", "graphs/g.json", "verdicts", "failures/f.json", "report"]
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == names
