"""A prepared corpus in a store, and its one copy on each node, by fingerprint; prepares nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from austicker.corpora import packed
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus


def publish(corpora: Iterable[Corpus], store: Store) -> dict[str, str]:
    """Puts corpora into a store, unless they are there, and returns their fingerprints by name.

    A corpus' record is put last, so that a record means that all is there.

    Raises:
        AustickerError: the store, or the cache folder for a copy on the way, does not take one.
    """
    fingerprints = {}
    for corpus in corpora:
        fingerprints[corpus.name] = corpus.fingerprint
        if not store.has(layout.corpus(corpus.fingerprint, packed.RECORD)):
            _put(corpus, store)
    return fingerprints


def _put(corpus: Corpus, store: Store) -> None:
    record = packed.read_record(corpus.folder) if corpus.folder else None
    if corpus.folder is None or record is None or record.fingerprint != corpus.fingerprint:
        raise AustickerError(
            f"The packed files of corpus '{corpus.name}' in '{corpus.folder}' are not those that were opened: submit "
            "the job again."
        )
    for name in record.files:
        store.upload(corpus.folder / name, layout.corpus(corpus.fingerprint, name))


def open_published(store: Store, fingerprint: str) -> Corpus:
    """Opens a published corpus from this node's cache, where the first who asks copies it for all.

    Raises:
        AustickerError: it is not in the store, what arrives has another fingerprint, or the cache cannot be written.
    """
    folder = packed.cache_folder() / f"published-{fingerprint}"
    packed.reserve("published", folder)
    with FileLock(folder.with_suffix(".lock")):
        corpus = _cached(folder, fingerprint)
        if corpus is None:
            _copy(store, fingerprint, folder)
            corpus = _cached(folder, fingerprint)
    if corpus is None:
        raise _damaged(store, fingerprint)
    return corpus


def _cached(folder: Path, fingerprint: str) -> Corpus | None:
    """Returns the corpus of a folder; one that is damaged or another's is removed."""
    try:
        corpus = packed.load(folder)
    except AustickerError:
        corpus = None
    if corpus is None or corpus.fingerprint != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return corpus


def _copy(store: Store, fingerprint: str, folder: Path) -> None:
    """Copies a corpus to the cache, whole or not at all; every byte of it is checked once, here."""
    with _draft(folder.name) as draft:
        store.download(layout.corpus(fingerprint, packed.RECORD), draft / packed.RECORD)
        try:
            record = packed.read_record(draft)
            for name in record.shards if record else ():
                store.download(layout.corpus(fingerprint, name), draft / name)
            corpus = packed.load(draft)
        except Unreadable:
            raise
        except AustickerError as error:
            raise _damaged(store, fingerprint) from error
        if corpus is None or packed.fingerprint_of(corpus) != fingerprint:
            raise _damaged(store, fingerprint)
        draft.chmod(0o755)
        draft.rename(folder)


@contextmanager
def _draft(name: str) -> Iterator[Path]:
    """Gives an empty folder in the cache, which is gone after the block unless it was renamed."""
    cache = packed.cache_folder()
    packed.reserve("published", cache / name)
    draft = Path(tempfile.mkdtemp(prefix=f".{name[:40]}.", dir=cache))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _damaged(store: Store, fingerprint: str) -> AustickerError:
    where = store.shown(layout.corpus(fingerprint))
    return AustickerError(f"The published corpus '{where}' is damaged: delete it and submit the job again.")
