"""Published corpora: one copy in the store and one on each node, and a damaged copy never stands for a whole one."""

from __future__ import annotations

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
from austicker.corpora.shards import Packed
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus

pytestmark = pytest.mark.xdist_group("s3")


FRAME = np.random.default_rng(0).integers(0, 256, 16, np.uint8).tobytes()
"""How the frames of the made corpus begin."""


@pytest.fixture
def corpus(tmp_path) -> Corpus:
    rng = np.random.default_rng(0)
    made = planted()
    clips = [
        Packed(
            clip=clip,
            frames=rng.integers(0, 256, (3, 8, 8, 1), np.uint8),
            landmarks=landmarks,
            pictures=(clip.clip, "b", "c"),
        )
        for clip, landmarks in zip(made.clips, made.landmarks, strict=True)
    ]
    words = {"planted": (("lips", "chin"),), "synthetic": "It is made up.", "consented": ("ann",)}
    packed.save(clips, packed.Record(name=made.name, labels=made.labels, **words), tmp_path / "prepared")
    return packed.load(tmp_path / "prepared")


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
    arrays = all(
        np.array_equal(mine, theirs)
        for name in ("frames", "landmarks")
        for mine, theirs in zip(getattr(one, name), getattr(other, name), strict=True)
    )
    return arrays and one == other


def test_a_corpus_arrives_as_it_was_with_mapped_frames(corpus, store, cache):
    publish([corpus], store)
    found = open_published(store, corpus.fingerprint)
    assert same(found, corpus)
    assert not any(frames.flags.owndata or frames.flags.writeable for frames in found.frames)
    names = {"corpus.json", "00000.arrow"}
    assert set(store.keys(layout.CORPORA)) == {layout.corpus(corpus.fingerprint, name) for name in names}
    assert set(everything(cache)) == {f"published-{corpus.fingerprint}/{name}" for name in names}


def test_it_is_put_once_and_its_record_last(corpus, store, monkeypatch):
    put = []
    upload = Store.upload
    monkeypatch.setattr(Store, "upload", lambda self, path, key: (put.append(key), upload(self, path, key)))
    for _ in range(2):
        assert publish([corpus], store) == {corpus.name: corpus.fingerprint}
    assert [Path(key).name for key in put] == ["00000.arrow", "corpus.json"]


def test_one_that_was_half_put_is_put_again(corpus, store):
    publish([corpus], store)
    for name in ("corpus.json", "00000.arrow"):
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
    assert len(copied) == 2


def opened(address: str, fingerprint: str) -> bytes:
    return pixels_of(open_published(Store(address), fingerprint))


def pixels_of(corpus: Corpus) -> bytes:
    return b"".join(frames.tobytes() for frames in corpus.frames)


def test_workers_that_are_processes_share_the_copy_too(corpus, tmp_path, cache):
    store = Store(tmp_path / "store")
    publish([corpus], store)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        answers = pool.starmap(opened, [(store.address, corpus.fingerprint)] * 6)
    assert set(answers) == {pixels_of(corpus)}
    assert len([name for name in everything(cache) if name.endswith(".arrow")]) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("00000.arrow", lambda whole: whole[:-5]),
        ("00000.arrow", lambda whole: whole[: len(whole) // 2]),
        ("00000.arrow", lambda whole: b""),
        ("corpus.json", lambda whole: whole[:50]),
        ("corpus.json", lambda whole: json.dumps(json.loads(whole) | {"fingerprint": "0" * 64}).encode()),
        ("corpus.json", lambda whole: whole.replace(b"00000.arrow", b"../../x.arrow")),
        ("00000.arrow", None),
    ],
)
def test_a_damaged_copy_on_a_node_is_fetched_again(corpus, tmp_path, cache, name, content):
    store = Store(tmp_path / "store")
    publish([corpus], store)
    open_published(store, corpus.fingerprint)
    path = cache / f"published-{corpus.fingerprint}" / name
    path.write_bytes(content(path.read_bytes())) if content else path.unlink()
    assert same(open_published(store, corpus.fingerprint), corpus)


def flipped(text: bytes):
    """Flips a bit where a text stands first."""

    def damage(whole: bytes) -> bytes:
        place = whole.index(text)
        return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]

    return damage


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("00000.arrow", flipped(b"ann-0")),
        ("00000.arrow", flipped(FRAME)),
        ("00000.arrow", lambda whole: whole[:-9]),
        ("corpus.json", lambda whole: whole.replace(b'"a"', b'"c"')),
        ("corpus.json", lambda whole: whole.replace(b"00000.arrow", b"../../x.arrow")),
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
