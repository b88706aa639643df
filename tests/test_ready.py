"""Files of recognisers trained elsewhere: into a store once, and from there to any node, whole and the right ones."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_foreign import BLUE, CLASSES, GREEN, RED, code, entry, expected, pure, refusal, torchscript_file
from test_stages import job

from austicker import foreign, models, ready
from austicker.foreign import ForeignSettings
from austicker.store import Store, Unreadable, layout


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """What an earlier test opened is not at hand."""
    ready._opened.cache_clear()


@pytest.fixture
def colours(tmp_path) -> ForeignSettings:
    """A checked recogniser whose file lies in `tmp_path`."""
    told = entry("torchscript", file=torchscript_file(tmp_path))
    return foreign.settings(told, "job.toml", tmp_path)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, *settings) -> None:
    ready.publish(store, replace(job(), models=settings))


def asked(store: Store, settings: ForeignSettings) -> torch.Tensor:
    """Returns a recogniser's answers on a node that has nothing but the store."""
    return ready.victim(store, settings, "", CLASSES, "cpu").scores(pure(RED, GREEN, BLUE))


def test_a_file_is_published_once_by_its_content(store, colours):
    content = Path(colours.source).read_bytes()
    publish(store, colours, replace(colours, label="the same file"))
    key = layout.foreign(colours.digest)
    assert store.keys(layout.MODELS) == [key]
    assert store.read(key) == content
    written = (store.folder / key).stat().st_mtime_ns
    publish(store, colours)
    assert (store.folder / key).stat().st_mtime_ns == written


def test_only_files_are_published(store):
    module = foreign.settings(entry("factory", source="test_foreign:Colours"), "job.toml", Path())
    publish(store, models.settings("stcnn", width=0.25), module)
    assert not store.keys(layout.MODELS)
    torch.testing.assert_close(asked(store, module), code("Colours").scores(pure(RED, GREEN, BLUE)))


def test_a_node_without_the_file_reads_it_from_the_store(store, colours, tmp_path, monkeypatch):
    publish(store, colours)
    Path(colours.source).unlink()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    torch.testing.assert_close(asked(store, colours), expected(RED, GREEN, BLUE), atol=1e-5, rtol=0)
    assert not list(scratch.iterdir())


def test_a_recogniser_is_opened_once_for_shards_in_a_row(store, colours):
    publish(store, colours)
    first = ready.victim(store, colours, "", CLASSES, "cpu")
    store.remove(layout.foreign(colours.digest))
    assert ready.victim(store, colours, "", CLASSES, "cpu") is first
    with pytest.raises(Unreadable):  # in other classes it is another one
        ready.victim(store, colours, "", CLASSES[:2], "cpu")


def test_a_file_that_changed_since_the_job_was_checked_is_not_published(store, colours, tmp_path):
    Path(colours.source).write_bytes(b"something else")
    refusal(lambda: publish(store, colours), "'colours'", "colours.pt", "not what it was when the job was checked")
    Path(colours.source).unlink()
    refusal(lambda: publish(store, colours), "'colours'", "There is no file")
    assert not store.keys(layout.MODELS)


def test_what_is_published_stays_when_the_file_is_gone_or_changed(store, colours):
    publish(store, colours)
    content = store.read(layout.foreign(colours.digest))
    Path(colours.source).write_bytes(b"something else")
    publish(store, colours)
    assert store.read(layout.foreign(colours.digest)) == content


def test_a_file_that_is_damaged_or_missing_in_the_store_is_told_with_its_mend(store, colours):
    publish(store, colours)
    key = layout.foreign(colours.digest)
    store.write(key, store.read(key)[:-1])
    refusal(lambda: asked(store, colours), "'colours'", key, "delete it and submit the job again")
    store.remove(key)
    refusal(lambda: asked(store, colours), key, "is missing: submit the job again")
    publish(store, colours)
    torch.testing.assert_close(asked(store, colours), expected(RED, GREEN, BLUE), atol=1e-5, rtol=0)
