"""Published corpora: one copy in the store and one on each node, and a damaged copy never stands for a whole one."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import secrets
import threading
from pathlib import Path

import numpy as np
import pytest
from planted_corpus import corpus as planted

from austicker.corpora import packed
from austicker.corpora.published import open_published, publish
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    made = planted()
    frames = rng.integers(0, 256, made.frames.shape, np.uint8)
    made = dataclasses.replace(made, frames=frames, planted=(("lips", "chin"),), synthetic="It is made up.")
    return dataclasses.replace(made, fingerprint=packed.fingerprint_of(made))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path / "node"))
    return tmp_path / "node" / "corpora"


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path) -> Store:
    if request.param == "folder":
        return Store(tmp_path / "store")
    return Store(request.getfixturevalue("bucket").address(f"published/{secrets.token_hex(4)}"))


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def same(one: Corpus, other: Corpus) -> bool:
    arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("frames", "landmarks", "motion"))
    return arrays and one == other


def test_a_corpus_arrives_as_it_was_with_mapped_frames(corpus, store, cache):
    publish([corpus], store)
    found = open_published(store, corpus.fingerprint)
    assert same(found, corpus)
    assert isinstance(found.frames, np.memmap)
    names = {"corpus.json", "frames.npy", "landmarks.npy", "motion.npy"}
    assert set(store.keys(layout.CORPORA)) == {layout.corpus(corpus.fingerprint, name) for name in names}
    assert set(everything(cache)) == {f"published-{corpus.fingerprint}/{name}" for name in names}


def test_it_is_put_once_and_its_record_last(corpus, store, monkeypatch):
    put = []
    upload = Store.upload
    monkeypatch.setattr(Store, "upload", lambda self, path, key: (put.append(key), upload(self, path, key)))
    for _ in range(2):
        assert publish([corpus], store) == {corpus.name: corpus.fingerprint}
    assert [Path(key).name for key in put] == ["frames.npy", "landmarks.npy", "motion.npy", "corpus.json"]


def test_one_that_was_half_put_is_put_again(corpus, store):
    publish([corpus], store)
    for name in ("corpus.json", "frames.npy"):
        store.remove(layout.corpus(corpus.fingerprint, name))
    with pytest.raises(Unreadable, match="is missing"):
        open_published(store, corpus.fingerprint)
    publish([corpus], store)
    assert same(open_published(store, corpus.fingerprint), corpus)


def test_a_node_copies_it_once_for_all_its_workers(corpus, store, monkeypatch):
    publish([corpus], store)
    copied = []
    download = Store.download
    monkeypatch.setattr(Store, "download", lambda self, key, path: (copied.append(key), download(self, key, path)))
    found: list[Corpus] = []
    workers = [
        threading.Thread(target=lambda: found.append(open_published(store, corpus.fingerprint))) for _ in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 6
    assert all(same(one, corpus) for one in found)
    assert len(copied) == 4


def opened(address: str, fingerprint: str) -> bytes:
    return open_published(Store(address), fingerprint).frames.tobytes()


def test_workers_that_are_processes_share_the_copy_too(corpus, tmp_path, cache):
    store = Store(tmp_path / "store")
    publish([corpus], store)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        answers = pool.starmap(opened, [(store.address, corpus.fingerprint)] * 6)
    assert set(answers) == {corpus.frames.tobytes()}
    assert len([name for name in everything(cache) if name.endswith("frames.npy")]) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("frames.npy", lambda whole: whole[:-5]),
        ("frames.npy", lambda whole: b""),
        ("corpus.json", lambda whole: whole[:50]),
        ("corpus.json", lambda whole: json.dumps(json.loads(whole) | {"fingerprint": "0" * 64}).encode()),
        ("landmarks.npy", None),
    ],
)
def test_a_damaged_copy_on_a_node_is_fetched_again(corpus, tmp_path, cache, name, content):
    store = Store(tmp_path / "store")
    publish([corpus], store)
    open_published(store, corpus.fingerprint)
    path = cache / f"published-{corpus.fingerprint}" / name
    path.write_bytes(content(path.read_bytes())) if content else path.unlink()
    assert same(open_published(store, corpus.fingerprint), corpus)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("frames.npy", lambda whole: whole[:-1] + bytes([whole[-1] ^ 1])),
        ("frames.npy", lambda whole: whole[:-9]),
        ("motion.npy", lambda whole: whole[:-1] + bytes([whole[-1] ^ 1])),
        ("corpus.json", lambda whole: whole.replace(b"ann-0", b"ann-9")),
        ("corpus.json", lambda whole: b"{"),
    ],
)
def test_what_is_damaged_in_the_store_never_reaches_the_cache(corpus, store, cache, name, damage):
    publish([corpus], store)
    key = layout.corpus(corpus.fingerprint, name)
    store.write(key, damage(store.read(key)))
    with pytest.raises(AustickerError, match=r"^The published corpus '[^\n]*' is damaged: delete it[^\n]*\.$"):
        open_published(store, corpus.fingerprint)
    assert everything(cache) == {}
    for part in store.keys(layout.CORPORA):
        store.remove(part)
    publish([corpus], store)
    assert same(open_published(store, corpus.fingerprint), corpus)


def test_a_cache_that_cannot_be_written_is_one_sentence(corpus, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    publish([corpus], store)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("AUSTICKER_CACHE", str(tmp_path / "file"))
    with pytest.raises(AustickerError, match="AUSTICKER_CACHE"):
        open_published(store, corpus.fingerprint)
