"""What every store keeps to, in a folder and on a real S3-compatible server, and what a server that fails leaves."""

from __future__ import annotations

import os
import re
import secrets
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from austicker import results
from austicker.store import Store, Unreadable, layout
from austicker.store.bucket import ONE_PUT_BYTES, _connected
from austicker.types import AustickerError

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def address(bucket):
    """A new address in the bucket."""
    return bucket.address(f"tests/{secrets.token_hex(4)}")


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    """An empty store of each kind."""
    return Store(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("address"))


def assert_one_sentence(text: str) -> None:
    assert "\n" not in text
    assert text.endswith(".")
    assert not re.search(r"\. [A-Z]", text)


def test_an_empty_store_holds_nothing(store):
    store.reach()
    assert (store.names(), store.keys(""), store.keys("models"), store.has("job.json")) == ([], [], [], False)
    store.remove("job.json")
    for call in (store.read, store.read_json, lambda key: store.download(key, Path(os.devnull))):
        with pytest.raises(Unreadable, match=r"job\.json' is missing") as fault:
            call("job.json")
        assert_one_sentence(str(fault.value))


def test_what_is_written_is_there_until_it_is_replaced_or_removed(store):
    store.write("models/a.json", b"one")
    assert store.has("models/a.json")
    assert not store.has("models")
    assert not store.has("models/a")
    assert store.read("models/a.json") == b"one"
    store.write("models/a.json", b"two, longer")
    store.write("models/a.json", b"3")
    assert store.read("models/a.json") == b"3"
    store.remove("models/a.json")
    assert not store.has("models/a.json")
    assert store.keys("models") == []


def test_keys_are_all_below_a_folder_in_order_without_drafts(store):
    for key in ("models/b.json", "models/a/x", "models/a b é.json", "models2/c", "job.json", "models/.draft.x1"):
        store.write(key, b"x")
    assert store.keys("models") == ["models/a b é.json", "models/a/x", "models/b.json"]
    assert store.keys("models/a") == ["models/a/x"]
    assert store.keys("") == ["job.json", "models/a b é.json", "models/a/x", "models/b.json", "models2/c"]
    assert store.names() == ["job.json", "models", "models2"]


def test_more_keys_than_a_server_lists_at_once(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.write(f"verdicts/c/{n:04}", b""), range(1100)))
    assert store.keys("verdicts") == [f"verdicts/c/{n:04}" for n in range(1100)]


@pytest.mark.parametrize("length", [0, 1, ONE_PUT_BYTES, ONE_PUT_BYTES + 1, 20 * 2**20 + 3])
def test_bytes_come_back_as_they_were(store, tmp_path, length):
    content = secrets.token_bytes(length)
    store.write("models/a", content)
    assert store.read("models/a") == content
    store.download("models/a", tmp_path / "down")
    assert (tmp_path / "down").read_bytes() == content
    (tmp_path / "up").write_bytes(content[::-1])
    store.upload(tmp_path / "up", "models/a")
    assert store.read("models/a") == content[::-1]
    assert store.keys("") == ["models/a"]
    assert len(everything(store)) == 1


def everything(store: Store) -> list[str]:
    """Every object or file that is really there, drafts too."""
    if store.folder is not None:
        return [str(path) for path in store.folder.rglob("*") if path.is_file()]
    from pyarrow.fs import FileSelector

    files = store._backend._files
    found = files.get_file_info(FileSelector(store._backend._where.path, recursive=True, allow_not_found=True))
    return [info.path for info in found if info.is_file]


def test_the_first_writer_wins(store):
    assert store.create("models/a", b"first")
    assert not store.create("models/a", b"second")
    assert store.read("models/a") == b"first"
    store.write("models/a", b"third")
    assert store.read("models/a") == b"third"


def test_of_many_writers_one_content_stays_whole_at_every_moment(store):
    contents = [bytes([n]) * (3 * 2**20) for n in range(4)]
    store.write("models/a", contents[0])
    stop = threading.Event()
    seen = []

    def look() -> None:
        while not stop.is_set():
            seen.append(store.read("models/a") in contents)

    reader = threading.Thread(target=look)
    reader.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda content: [store.write("models/a", content) for _ in range(5)], contents))
    stop.set()
    reader.join()
    assert len(seen) > 2
    assert all(seen)
    assert store.read("models/a") in contents


def test_records_and_failures(store):
    record = {"b": [1, None, "é"], "a": {"y": 0.1, "x": True}}
    store.write_json(layout.JOB, record)
    before = store.read(layout.JOB)
    assert store.read_json(layout.JOB) == record
    store.write_json(layout.JOB, {"a": {"x": True, "y": 0.1}, "b": [1, None, "é"]})
    assert store.read(layout.JOB) == before
    for name in "ab":
        store.write_json(layout.failure(name), {"unit": name})
    assert [failure["unit"] for failure in store.failures()] == ["a", "b"]
    store.clear_failures()
    assert store.failures() == []


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe", b"[1]", b"null"])
def test_a_damaged_record_is_one_sentence_that_names_it(store, content):
    store.write(layout.JOB, content)
    with pytest.raises(Unreadable, match="delete it") as fault:
        store.read_json(layout.JOB)
    assert_one_sentence(str(fault.value))
    assert store.shown(layout.JOB) in str(fault.value)


def test_a_local_folder_holds_what_lies_below_a_prefix(store):
    for key in ("report/index.html", "report/deep/er.csv", "job.json"):
        store.write(key, key.encode())
    with store.local(layout.REPORT) as folder:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"index.html": b"report/index.html", "deep/er.csv": b"report/deep/er.csv"}


@pytest.mark.parametrize("damage", [lambda part: part[:-20], lambda part: b"", lambda part: flipped(part)])
def test_a_damaged_part_is_absent_and_can_be_written_again(store, damage):
    key = results.write_part(store, "faces", ["a" * 20], [])
    results.write_part(store, "faces", ["b" * 20], [])
    whole = store.read(key)
    store.write(key, damage(whole))
    assert results.done_cells(store) == {"b" * 20}
    assert results.read_part(store, "faces", ["a" * 20]) is None
    assert results.write_part(store, "faces", ["a" * 20], []) == key
    assert results.done_cells(store) == {"a" * 20, "b" * 20}
    assert store.read(key) == whole


def flipped(content: bytes) -> bytes:
    """Returns content with a bit of its footer, which holds the cells, the other way."""
    place = content.index(b"austicker.cells") + 30
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_every_address_of_a_store_leads_to_it_from_another_process(store, tmp_path, monkeypatch):
    store.write("job.json", b"x")
    monkeypatch.chdir(tmp_path)
    assert Store(store.address).read("job.json") == b"x"


# A server that refuses, or is away.


@pytest.mark.parametrize("account", ["wrong secret", "account without rights", "unknown account"])
def test_credentials_that_are_wrong_are_one_sentence_at_once(bucket, address, monkeypatch, account):
    store = Store(address)
    store.write("a", b"x")
    key, secret = {"wrong secret": ("tests", "hunter2"), "unknown account": ("nobody", "hunter2")}.get(
        account, bucket.stranger
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    _connected.cache_clear()
    start = time.monotonic()
    for call in (
        store.reach,
        lambda: store.read("a"),
        lambda: store.keys(""),
        lambda: store.has("a"),
        lambda: store.write("b", b"x"),
        lambda: store.write("b", bytes(ONE_PUT_BYTES + 1)),
    ):
        with pytest.raises(AustickerError, match="refuses access") as refusal:
            call()
        assert_one_sentence(str(refusal.value))
        assert secret not in str(refusal.value)
    assert time.monotonic() - start < 5


def test_a_bucket_that_is_not_there_is_one_sentence_at_once(bucket):
    store, start = Store(bucket.address("x", bucket="nowhere")), time.monotonic()
    with pytest.raises(AustickerError, match="create 'nowhere' or correct the address") as refusal:
        store.reach()
    assert_one_sentence(str(refusal.value))
    for content in (b"x", bytes(ONE_PUT_BYTES + 1)):
        with pytest.raises(AustickerError, match="no such bucket") as refusal:
            store.write("b", content)
        assert_one_sentence(str(refusal.value))
    assert time.monotonic() - start < 5


def test_the_first_contact_with_nobody_is_short():
    start = time.monotonic()
    with pytest.raises(AustickerError, match="does not answer") as refusal:
        Store("s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http").reach()
    assert_one_sentence(str(refusal.value))
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("length", [1000, 60 * 2**20])
def test_a_server_that_dies_during_a_write_and_comes_back_is_waited_for(bucket, address, length):
    store, content = Store(address), secrets.token_bytes(length)
    store.write("before", b"x")
    killer = threading.Timer(0.15, bucket.stop)
    if length > ONE_PUT_BYTES:
        killer.start()
    else:
        bucket.stop()
    back = threading.Timer(3, bucket.start)
    back.start()
    try:
        store.write("models/a", content)
    finally:
        killer.join() if killer.ident else None
        back.join()
    assert store.read("models/a") == content
    assert store.read("before") == b"x"
    assert store.keys("models") == ["models/a"]


def test_a_read_and_a_listing_wait_too(bucket, address):
    store = Store(address)
    store.write("models/a", b"x")
    for call, expected in ((lambda: store.read("models/a"), b"x"), (lambda: store.keys(""), ["models/a"])):
        bucket.stop()
        back = threading.Timer(1, bucket.start)
        back.start()
        found = call()
        back.join()
        assert found == expected


def test_beyond_patience_is_one_sentence_and_a_write_that_failed_leaves_nothing(bucket, address, monkeypatch):
    monkeypatch.setenv("AUSTICKER_STORE_PATIENCE_S", "2")
    store = Store(address)
    store.write("old", b"old")
    bucket.stop()
    try:
        for call in (
            lambda: store.write("small", b"x"),
            lambda: store.write("large", bytes(ONE_PUT_BYTES + 1)),
            lambda: store.write("old", bytes(ONE_PUT_BYTES + 1)),
            lambda: store.read("old"),
            lambda: store.keys(""),
        ):
            start = time.monotonic()
            with pytest.raises(AustickerError, match="does not answer") as refusal:
                call()
            assert time.monotonic() - start < 12
            assert_one_sentence(str(refusal.value))
    finally:
        bucket.start()
        monkeypatch.delenv("AUSTICKER_STORE_PATIENCE_S")
    assert store.read("old") == b"old"
    assert store.keys("") == ["old"]


def test_a_large_write_whose_server_dies_never_leaves_an_empty_object(bucket, address):
    """pyarrow's stream would: its destructor commits what it has, which is nothing then."""
    store = Store(address)
    opened = store._backend._files.open_output_stream

    class Dying:
        """Files whose server dies once a stream is open, and is back when the write has failed."""

        def __getattr__(self, name):
            return getattr(_connected(*arguments), name)

        def open_output_stream(self, path):
            stream = opened(path)
            bucket.stop()
            return Stream(stream)

    class Stream:
        def __init__(self, stream):
            self.stream = stream

        def write(self, content):
            try:
                self.stream.write(content)
            finally:
                bucket.start()

        def close(self):
            self.stream.close()

    where = store._backend._where
    arguments = (where.scheme, "evaluation", tuple(sorted(where.options.items())), where.anonymous)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(store._backend), "_files", Dying())
        with pytest.raises(OSError, match="NETWORK_CONNECTION"):
            store._backend.write("models/a", bytes(ONE_PUT_BYTES * 4))
    assert not store.has("models/a")
    assert store.keys("") == []


def test_an_interrupt_leaves_a_whole_object_or_none(bucket, address):
    store, content = Store(address), secrets.token_bytes(12 * 2**20)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    interrupted = 0
    try:
        for number in range(12):
            signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.02 * number)
            try:
                store.write(f"models/{number}", content if number % 2 else b"small")
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    for key in store.keys("models"):
        assert store.read(key) in (content, b"small")
