"""A job packed for another machine is the same job there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import NO_SERVER, one_sentence

from austicker import job, parcel, stickers

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
