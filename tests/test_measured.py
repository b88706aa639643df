"""Motion: measured when it is asked for, once for all processes of a machine, and never taken from another corpus."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from planted_corpus import corpus as planted

from austicker.corpora import measured
from austicker.corpora.measured import Motion
from austicker.motion import clip_motion

RNG = np.random.default_rng(5)


@pytest.fixture
def clips():
    made = planted(clips=1)
    count = len(made.clips)
    frames = [RNG.integers(0, 256, (3, 40, 40, 1), np.uint8) for _ in range(count)]
    landmarks = [RNG.uniform(0.2, 0.8, (3, 68, 2)).astype(np.float32) for _ in range(count)]
    return made.clips, frames, landmarks


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """The clips whose flow was computed, in order."""
    calls: list[str] = []

    def counted(clip, frames, landmarks):
        calls.append(clip.clip)
        return clip_motion(clip, frames, landmarks)

    monkeypatch.setattr(measured, "clip_motion", counted)
    return calls


def test_it_is_measured_when_it_is_asked_for_and_only_once(tmp_path, clips, asked):
    one = Motion(tmp_path, "a" * 64, *clips)
    assert len(one) == len(clips[0])
    assert not asked
    rows = np.stack(one)
    assert asked == [clip.clip for clip in clips[0]]
    expected = [clip_motion(clip, *rest) for clip, *rest in zip(*clips, strict=True)]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(np.stack(Motion(tmp_path, "a" * 64, *clips)), rows)
    assert len(asked) == len(clips[0])


def test_processes_that_ask_at_once_measure_once(tmp_path, clips, asked):
    several = [Motion(tmp_path, "a" * 64, *clips) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(np.stack, several))
    assert all(np.array_equal(rows[0], other) for other in rows)
    assert len(asked) == len(clips[0])


def test_another_corpus_in_the_same_folder_is_measured_anew(tmp_path, clips, asked):
    np.stack(Motion(tmp_path, "a" * 64, *clips))
    np.stack(Motion(tmp_path, "b" * 64, *clips))
    assert len(asked) == 2 * len(clips[0])


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_damaged_file_is_measured_anew(tmp_path, clips, asked, content):
    rows = np.stack(Motion(tmp_path, "a" * 64, *clips))
    (path,) = tmp_path.glob("*.npy")
    if content is None:
        np.save(path, rows[:-1])
    else:
        path.write_bytes(content)
    np.testing.assert_array_equal(np.stack(Motion(tmp_path, "a" * 64, *clips)), rows)
    assert len(asked) == 2 * len(clips[0])


def test_a_single_picture_has_none_and_costs_no_flow(tmp_path, clips, asked):
    still = tuple(
        type(clip)(**{**{name: getattr(clip, name) for name in clip.__slots__}, "apex": 0}) for clip in clips[0]
    )
    assert not np.stack(Motion(tmp_path, "a" * 64, still, *clips[1:])).any()
    assert not asked


def test_a_cache_that_may_not_be_written_does_not_matter(tmp_path, clips, asked):
    (tmp_path / "file").touch()
    gone = Motion(tmp_path / "file", "a" * 64, *clips)
    assert len(np.stack(gone)) == len(clips[0])
    np.stack(gone)
    assert len(asked) == len(clips[0])
