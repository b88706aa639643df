"""A job packed for another machine is the same job there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NO_SERVER, one_sentence
from planted_corpus import corpus

from austicker import identity, job, parcel, stickers
from austicker.types import AustickerError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", [None, ROOT / "jobs" / "demo.toml"], ids=["own sticker", "demo"])
def test_a_packed_job_is_read_back_as_it_was(far_job, tmp_path, path):
    there = job.read(path or far_job)
    parcel.pack(there, tmp_path)
    back = job.read(tmp_path / parcel.JOB_FILE)
    looks = [
        [stickers.load(name).digest for attack in one.attacks for name in attack.stickers] for one in (there, back)
    ]
    assert looks[0] == looks[1]
    assert replace(back, attacks=()) == replace(there, attacks=())
    for mine, theirs in zip(there.attacks, back.attacks, strict=True):
        assert replace(mine, stickers=()) == replace(theirs, stickers=())
        own = [name for name in theirs.stickers if name not in stickers.STICKERS]
        assert all(Path(name).is_relative_to(tmp_path) for name in own)
        assert [Path(name).name for name in own] == [
            Path(name).name for name in mine.stickers if name not in stickers.STICKERS
        ]


WITH_FILES = """
name = "theirs"
corpora = [{ name = "orl-photos" }]
attacks = [{ stickers = ["sun"], placements = ["centre"] }]

[[models]]
name = "onnx"
file = "nets/it's mine.onnx"
labels = ["smiling", "not smiling"]
input_px = 48
frames = "onset-apex"

[[models]]
name = "torchscript"
label = "twin"
file = "nets/it's mine.onnx"
labels = ["happy", "sad"]
classes = { happy = "smiling", "*" = "not smiling" }
input_px = [48, 32]
mean = 0.5

[[models]]
name = "fer"
classes = { happy = "smiling", "*" = "not smiling" }
corpora = ["orl-photos"]
"""


@pytest.fixture
def with_files(tmp_path):
    """A job with recognisers' files, in a folder that the parcel knows nothing of."""
    folder = tmp_path / "mine"
    (folder / "nets").mkdir(parents=True)
    (folder / "nets" / "it's mine.onnx").write_bytes(b"any bytes: it is not opened")
    (folder / "theirs.toml").write_text(WITH_FILES)
    return folder


def test_recognisers_files_travel_and_are_the_same_recognisers_there(with_files, tmp_path):
    there = job.read(with_files / "theirs.toml")
    packed = tmp_path / "packed"
    packed.mkdir()
    parcel.pack(there, packed)
    assert str(with_files) not in (packed / parcel.JOB_FILE).read_text()
    arrived = packed.rename(tmp_path / "another machine")
    shutil.rmtree(with_files)
    back = job.read(arrived / parcel.JOB_FILE)
    assert replace(back, models=()) == replace(there, models=())
    faces = corpus(name="orl-photos", labels=("smiling", "not smiling"))
    for mine, theirs in zip(there.models, back.models, strict=True):
        assert replace(mine, source="") == replace(theirs, source="")
        assert identity.of_foreign(faces, mine) == identity.of_foreign(faces, theirs)
    for model in back.models[:2]:
        assert Path(model.source).is_relative_to(arrived)
        assert Path(model.source).name == "it's mine.onnx"
        assert Path(model.source).read_bytes() == b"any bytes: it is not opened"
    assert len(list((arrived / "recognisers").rglob("*.onnx"))) == 1


@pytest.mark.parametrize(("content", "words"), [(b"other bytes", "is not what it was"), (None, "There is no file")])
def test_a_file_that_changed_or_went_before_it_was_packed_is_refused(with_files, tmp_path, content, words):
    there = job.read(with_files / "theirs.toml")
    path = with_files / "nets" / "it's mine.onnx"
    path.write_bytes(content) if content else path.unlink()
    with pytest.raises(AustickerError, match=words) as raised:
        parcel.pack(there, tmp_path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_was_changed_on_the_way_is_refused_there(with_files, tmp_path):
    packed = tmp_path / "packed"
    packed.mkdir()
    parcel.pack(job.read(with_files / "theirs.toml"), packed)
    (path,) = packed.rglob("*.onnx")
    path.write_bytes(b"torn")
    with pytest.raises(AustickerError, match="is not what it was"):
        job.read(packed / parcel.JOB_FILE)


@pytest.mark.parametrize("store", [None, "runs/mine", "./s", "~/s"])
def test_a_store_that_the_cluster_cannot_see_is_refused(cli_here, far_job, store):
    words = ("--store", store) if store else ()
    one_sentence(cli_here("submit", far_job, "--address", NO_SERVER, *words), store or "--store", "s3://")


@pytest.mark.parametrize("store", ["/shared/a b", "s3://bucket/prefix", "gs://bucket/prefix"])
def test_a_store_that_the_cluster_can_see_is_taken(store):
    assert parcel.shared_store(store) == store
    assert store in parcel.command(store) or f"'{store}'" in parcel.command(store)


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"name": 3}'])
def test_a_bad_canonical_job_is_one_sentence(cli_here, tmp_path, content):
    path = tmp_path / "job.json"
    path.write_text(content)
    one_sentence(cli_here("plan", path), str(path))
