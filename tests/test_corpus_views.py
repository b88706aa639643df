"""Views of corpora: other clips and labels over the same frames, single frames, and several corpora as one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_corpus import corpus

from austicker.corpora.views import Pick, composite, frames_as_clips, select
from austicker.types import AustickerError, Corpus

LENGTHS = (3, 5, 4, 6, 3, 4, 3)
RNG = np.random.default_rng(7)


def filled(**changes: object) -> Corpus:
    """Returns seven clips of unlike length whose frames are all different."""
    values = {
        "frames": [RNG.integers(0, 256, (length, 8, 6, 1), np.uint8) for length in LENGTHS],
        "landmarks": [RNG.random((length, 68, 2), np.float32) for length in LENGTHS],
        "motion": RNG.random((len(LENGTHS), 14), np.float32),
        "digests": tuple(tuple(f"{clip}.{frame}" for frame in range(length)) for clip, length in enumerate(LENGTHS)),
        "consented": ("ann",),
        "folder": Path("packed"),
    }
    return corpus(**{**values, **changes})


BASE = filled()


@given(st.lists(st.integers(0, len(LENGTHS) - 1)))
def test_a_selection_holds_the_chosen_clips_with_other_labels(positions):
    found = select(BASE, positions, ("x", "b", "a"), {0: 2, 1: 1})
    assert found.labels == ("x", "b", "a")
    assert found.fingerprint == BASE.fingerprint
    assert found.folder is None
    assert len(found.clips) == len(found.digests) == len(found.frames) == len(found.landmarks) == len(found.motion)
    for number, position in enumerate(positions):
        clip = BASE.clips[position]
        assert found.clips[number] == replace(clip, label={0: 2, 1: 1}[clip.label])
        assert found.digests[number] == BASE.digests[position]
        assert found.frames[number] is BASE.frames[position]
        assert found.landmarks[number] is BASE.landmarks[position]
        np.testing.assert_array_equal(found.motion[number], BASE.motion[position])


def test_single_frames_become_clips_that_share_the_pixels():
    picks = [
        Pick(position=1, frame=4, label=1, name="S1#0005"),
        Pick(position=0, frame=0, label=0, name="S0#0001"),
    ]
    base = replace(BASE, clips=tuple(replace(clip, action_units=("12",), split="train") for clip in BASE.clips))
    found = frames_as_clips(base, picks)
    for number, pick in enumerate(picks):
        clip, frame = found.clips[number], base.frames[pick.position][pick.frame]
        assert (clip.clip, clip.label, clip.onset, clip.apex, clip.offset) == (pick.name, pick.label, 0, 0, 0)
        assert (clip.subject, clip.split) == (base.clips[pick.position].subject, "train")
        assert clip.action_units == ()
        assert found.frames[number].shape == (1, 8, 6, 1)
        assert np.shares_memory(found.frames[number], base.frames[pick.position])
        np.testing.assert_array_equal(found.frames[number][0], frame)
        np.testing.assert_array_equal(found.landmarks[number][0], base.landmarks[pick.position][pick.frame])
        assert found.digests[number] == (f"{pick.position}.{pick.frame}",)
    motion = np.stack(found.motion)
    assert motion.shape == (2, 14)
    assert not motion.any()
    assert found.labels == base.labels


def test_several_corpora_are_one():
    gray = replace(BASE, name="gray", synthetic="Made up.")
    frames = [RNG.integers(0, 256, (length, 8, 6, 3), np.uint8) for length in LENGTHS]
    colour = filled(name="colour", frames=frames, lacks_subjects=True, fingerprint="c" * 64)
    found = composite("both", [gray, colour])
    assert found.name == "both"
    assert [clip.clip for clip in found.clips[6:8]] == ["gray/ann-more", "colour/ann-0"]
    assert {clip.subject for clip in found.clips} == {
        f"{part}/{name}" for part in ("gray", "colour") for name in ("ann", "bob", "cy")
    }
    assert [clip.label for clip in found.clips] == [clip.label for clip in gray.clips] * 2
    assert found.consented == ("gray/ann", "colour/ann")
    assert found.lacks_subjects
    assert found.synthetic == "Made up."
    assert found.digests == gray.digests + colour.digests
    assert [found.frames[i].shape[-1] for i in (0, 6, 7, 13, -1)] == [1, 1, 3, 3, 3]
    for number in range(14):
        part, position = (gray, colour)[number // 7], number % 7
        assert found.frames[number] is part.frames[position]
        assert found.landmarks[number] is part.landmarks[position]
    np.testing.assert_array_equal(found.motion, np.concatenate([gray.motion, colour.motion]))
    assert found.size == (6, 8)
    assert found.fingerprint != composite("both", [colour, gray]).fingerprint


def test_a_planted_truth_holds_for_one_part_only():
    planted = replace(BASE, planted=(("lips", "chin"),))
    assert composite("one", [planted]).planted == planted.planted
    assert composite("two", [planted, replace(planted, name="other")]).planted == ()


def test_parts_of_unlike_classes_or_size_are_refused():
    with pytest.raises(AustickerError, match=r"cannot join 'orl-motion' \(a, b\) and 'other' \(b, a\)"):
        composite("both", [BASE, replace(BASE, name="other", labels=("b", "a"))])
    wide = filled(name="wide", frames=[np.zeros((length, 8, 9, 1), np.uint8) for length in LENGTHS])
    with pytest.raises(AustickerError, match=r"\(6 x 8 pixels\) and 'wide' \(9 x 8 pixels\): prepare both"):
        composite("both", [BASE, wide])


def test_views_of_views_behave_as_sequences():
    joined = composite("both", [BASE, replace(BASE, name="again")])
    chosen = select(joined, [13, 2, 7], ("a", "b"), {0: 0, 1: 1})
    assert chosen.frames[-1] is BASE.frames[0]
    assert [len(frames) for frames in chosen.frames] == [LENGTHS[6], LENGTHS[2], LENGTHS[0]]
    assert [frames.shape for frames in chosen.frames[1:]] == [BASE.frames[i].shape for i in (2, 0)]
    assert chosen.frames[np.int64(0)] is BASE.frames[6]
    for position in (3, -4):
        with pytest.raises(IndexError):
            chosen.frames[position]
    copied = pickle.loads(pickle.dumps(chosen))
    np.testing.assert_array_equal(copied.frames[1], BASE.frames[2])
