"""A store in a folder: every file is whole or not there, and a fault is one sentence; `test_store_contract.py` has both
kinds of store."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from austicker.store import Store, Unreadable, faults, layout, write_whole
from austicker.types import AustickerError


def failing(number: int):
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def assert_one_sentence(text: str) -> None:
    assert "\n" not in text
    assert text.endswith(".")
    assert not re.search(r"\. [A-Z]", text)


def test_a_file_is_written_whole_with_the_folders_that_it_needs(tmp_path):
    store = Store(tmp_path)
    store.write("deep/er/file.bin", b"one")
    store.write("deep/er/file.bin", b"two")
    path = tmp_path / "deep" / "er" / "file.bin"
    assert path.read_bytes() == b"two"
    assert everything(tmp_path) == ["file.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_outside_of_stores_is_written_the_same_way(tmp_path, monkeypatch):
    write_whole(tmp_path / "deep" / "file", b"x")
    assert (tmp_path / "deep" / "file").read_bytes() == b"x"
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(AustickerError, match="No space left on device") as refusal:
        write_whole(tmp_path / "deep" / "file", b"y")
    assert_one_sentence(str(refusal.value))
    assert (tmp_path / "deep" / "file").read_bytes() == b"x"


@pytest.mark.parametrize("verb", ["write", "create", "upload"])
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("fault", [RuntimeError("broke"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_write_that_breaks_leaves_what_was_there(tmp_path, monkeypatch, verb, old, fault):
    (tmp_path / "large").write_bytes(b"new")
    store = Store(tmp_path / "store")
    if old is not None:
        store.write("file", old)

    def broken(_: int) -> None:
        raise fault

    monkeypatch.setattr(os, "fsync", broken)
    expected = AustickerError if isinstance(fault, OSError) else type(fault)
    with pytest.raises(expected):
        store.upload(tmp_path / "large", "file") if verb == "upload" else getattr(store, verb)("file", b"new")
    assert everything(tmp_path / "store") == (["file"] if old else [])
    assert old is None or store.read("file") == old


@pytest.mark.parametrize("call", [(os, "fsync"), (Path, "write_bytes"), (Path, "replace")])
def test_a_full_disk_is_one_sentence_at_once(tmp_path, monkeypatch, call):
    store = Store(tmp_path)
    store.write("file", b"old")
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(*call, lambda *_: (asked.append(1), failing(errno.ENOSPC)()))
        with pytest.raises(AustickerError, match="No space left on device") as refusal:
            store.write("file", b"new")
    assert asked == [1]
    assert_one_sentence(str(refusal.value))
    assert str(tmp_path / "file") in str(refusal.value)
    assert everything(tmp_path) == ["file"]
    assert store.read("file") == b"old"


def test_content_and_name_are_forced_to_the_disk_in_that_order(tmp_path, monkeypatch):
    seen = []
    forced = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(everything(tmp_path)), forced(handle)))
    Store(tmp_path).write("file", b"x")
    assert len(seen) == 2
    assert "file" not in seen[0]
    assert seen[1] == ["file"]


def test_a_system_that_cannot_force_a_folder_is_no_fault(tmp_path, monkeypatch):
    forced = os.fsync
    calls = []

    def only_files(handle: int) -> None:
        calls.append(handle)
        failing(errno.EINVAL)() if len(calls) == 2 else forced(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    Store(tmp_path).write("file", b"x")
    assert len(calls) == 2
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(AustickerError, match="cannot be written") as refusal:
        Store(tmp_path).write("file/below", b"x")
    assert_one_sentence(str(refusal.value))
    assert everything(tmp_path) == ["file"]
    with pytest.raises(AustickerError, match="is a file: name a folder"):
        Store(tmp_path / "file").reach()


def test_a_folder_that_may_not_be_read_does_not_pass_for_an_empty_one(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.write("verdicts/a", b"x")
    monkeypatch.setattr(os, "scandir", failing(errno.EACCES))
    with pytest.raises(AustickerError, match="Permission denied"):
        store.keys("verdicts")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_the_first_writer_wins_without_hard_links_too(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "link", failing(number))
    store = Store(tmp_path)
    assert store.create("file", b"first")
    assert not store.create("file", b"second")
    assert store.read("file") == b"first"
    assert everything(tmp_path) == ["file"]


def test_a_link_that_a_file_server_made_but_denies_counts(tmp_path, monkeypatch):
    link = os.link

    def twice(*names: object) -> None:
        link(*names)
        link(*names)

    monkeypatch.setattr(os, "link", twice)
    assert Store(tmp_path).create("file", b"mine")
    assert everything(tmp_path) == ["file"]


# A file server that is away for a while.


class Away:
    """Makes a system call fail a number of times."""

    def __init__(self, number: int, times: int, call) -> None:
        self.left, self.number, self.call = times, number, call

    def __call__(self, *given, **named):
        if self.left:
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number))
        return self.call(*given, **named)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.EHOSTDOWN])
def test_what_passes_is_waited_for(tmp_path, monkeypatch, number):
    store = Store(tmp_path)
    with monkeypatch.context() as patch:
        away = Away(number, 2, os.fsync)
        patch.setattr(os, "fsync", away)
        store.write("models/file", b"x")
    assert away.left == 0
    for name, verb in (("read_bytes", "read"), ("stat", "has")):
        with monkeypatch.context() as patch:
            away = Away(number, 2, getattr(Path, name))
            patch.setattr(Path, name, lambda *given, away=away, **named: away(*given, **named))
            assert getattr(store, verb)("models/file")
        assert away.left == 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", Away(number, 2, os.scandir))
        assert store.keys("models") == ["models/file"]


def test_patience_ends_with_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("AUSTICKER_STORE_PATIENCE_S", "0.3")
    monkeypatch.setattr(os, "fsync", failing(errno.ESTALE))
    with pytest.raises(AustickerError, match="cannot be written") as refusal:
        Store(tmp_path).write("file", b"x")
    assert_one_sentence(str(refusal.value))
    assert everything(tmp_path) == []


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_patience_that_is_no_number_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setenv("AUSTICKER_STORE_PATIENCE_S", text)
    with pytest.raises(AustickerError, match="give a number of seconds"):
        Store(tmp_path).has("file")


def test_pauses_grow_and_stay_below_their_limit(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    times = iter(range(10**6))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with pytest.raises(OSError, match="error"):
        faults.waited_for(failing(errno.EIO), lambda _: True, 60, "store")
    assert len(slept) > 5
    assert max(slept) <= faults.LONGEST_PAUSE_S
    assert len(set(slept)) > 3  # no two processes in step


# Addresses.


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("s3://me:hunter2@bucket/x", "AWS_ACCESS_KEY_ID"),
        ("s3://hunter2@bucket/x", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?access_key=hunter2", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?secret_key=hunter2&region=a", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?SessionToken=hunter2", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?endpoint_override=me:hunter2@host", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?X-Amz-Signature=hunter2", "AWS_ACCESS_KEY_ID"),
        ("gs://me:hunter2@bucket/x", "GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(address, word):
    with pytest.raises(AustickerError, match=word) as refusal:
        Store(address)
    assert "hunter2" not in str(refusal.value)
    assert_one_sentence(str(refusal.value))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://host/x", "name a folder, or an s3:// or gs:// address"),
        ("http://host/bucket", "name a folder, or an s3:// or gs:// address"),
        ("S4://host/bucket", "is not known"),
        ("s3://", "s3://bucket/path"),
        ("s3:///x", "s3://bucket/path"),
        ("s3:/bucket/x", "s3://bucket/path"),
        ("s3://bucket/a/../b", "s3://bucket/path"),
        ("s3://bucket/x?colour=red", "unknown option 'colour'"),
        ("s3://[bucket", "cannot be read"),
        (Path("s3://bucket/x"), "s3://bucket/path"),
    ],
)
def test_an_address_that_names_no_store_is_one_sentence(address, words):
    with pytest.raises(AustickerError, match=re.escape(words)) as refusal:
        Store(address)
    assert_one_sentence(str(refusal.value))


@pytest.mark.parametrize("place", ["runs/x", "./a:b", "C:x", "a b"])
def test_every_other_name_is_a_folder(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store(place)
    assert store.folder == Path(place)
    assert store.address == str(tmp_path / place)
    assert store.shown("a") == str(Path(place) / "a")
    assert not list(tmp_path.iterdir())


def test_google_addresses_are_understood():
    """No server for them is at hand: this shows that the address reaches pyarrow as it takes it, and no more."""
    store = Store("gs://anonymous@bucket/some/where?endpoint_override=127.0.0.1:9&scheme=http")
    assert store.shown("job.json") == "gs://bucket/some/where/job.json"
    assert store.folder is None
    from pyarrow.fs import GcsFileSystem

    assert isinstance(store._backend._files, GcsFileSystem)


def test_a_folder_store_loads_no_library_of_object_stores(tmp_path):
    code = f"""
import sys
from austicker.store import Store
store = Store({str(tmp_path)!r})
store.write("a", b"x")
assert store.keys("") == ["a"]
Store("s3://bucket/x")
print(sorted({{"pyarrow", "ray", "torch", "fsspec"}} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


# Records.


def test_a_record_with_a_nan_is_never_written(tmp_path):
    store = Store(tmp_path)
    store.write_json(layout.JOB, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.write_json(layout.JOB, {"a": float("nan")})
    assert store.read_json(layout.JOB) == {"a": 1}
    assert everything(tmp_path) == ["job.json"]


def test_the_layout_of_a_store_is_the_contracts():
    keys = [layout.JOB, layout.weights("w"), layout.training_record("w"), layout.graph("g"), layout.part("c", "p")]
    keys += [layout.failure("f"), layout.PAGE, layout.corpus("f", "frames.npy"), layout.corpus("f")]
    assert keys == [
        *("job.json", "models/w.safetensors", "models/w.json", "graphs/g.json", "verdicts/c/p.parquet"),
        *("failures/f.json", "report/index.html", "corpora/f/frames.npy", "corpora/f"),
    ]
    assert [layout.stem(key) for key in keys[1:5]] == ["w", "w", "g", "p"]


def test_many_threads_make_one_file_and_one_of_them_is_told_that_it_was_first(tmp_path):
    store = Store(tmp_path)
    first = []
    threads = [
        threading.Thread(target=lambda n=n: first.append((store.create("file", b"%d" % n * 1000), n))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [n for won, n in first if won]
    assert store.read("file") == b"%d" % winner * 1000
    assert everything(tmp_path) == ["file"]


def test_a_missing_key_says_so(tmp_path):
    with pytest.raises(Unreadable, match="is missing") as fault:
        Store(tmp_path).read("models/x")
    assert_one_sentence(str(fault.value))
