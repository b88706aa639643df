"""Selections of prepared corpora that share the decoded copy: a subset, single frames, or several corpora as one.

A view looks its arrays up when they are asked for and copies no frame. It knows no protocol and belongs to no folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from austicker.corpora.lookup import A, Chained, Chosen, View
from austicker.regions import NAMES
from austicker.types import AustickerError, Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One frame of one clip that becomes a clip of its own: `position` counts clips and `frame` the clip's frames."""

    position: int
    frame: int
    label: int
    name: str


class _Singled(View[A]):
    """Single rows of the arrays of a sequence, each as an array of one row."""

    def __init__(self, base: Sequence[A], picks: Sequence[Pick]) -> None:
        self._base, self._picks = base, picks

    def __len__(self) -> int:
        return len(self._picks)

    def _at(self, number: int) -> A:
        pick = self._picks[number]
        return cast(A, self._base[pick.position][pick.frame : pick.frame + 1])


def select(corpus: Corpus, positions: Sequence[int], labels: tuple[str, ...], label_of: Mapping[int, int]) -> Corpus:
    """Returns some clips of a corpus with other labels; the fingerprint stays that of the corpus.

    Args:
        corpus: where the clips are.
        positions: of the clips, in the order of the result.
        labels: of the result.
        label_of: position in `corpus.labels` -> position in `labels`, for every label of the clips.
    """
    chosen = tuple(positions)
    clips = [corpus.clips[position] for position in chosen]
    return replace(
        corpus,
        labels=labels,
        clips=tuple(replace(clip, label=label_of[clip.label]) for clip in clips),
        digests=tuple(corpus.digests[position] for position in chosen),
        frames=Chosen(corpus.frames, chosen),
        landmarks=Chosen(corpus.landmarks, chosen),
        motion=Chosen(corpus.motion, chosen),
        folder=None,
    )


def frames_as_clips(corpus: Corpus, picks: Sequence[Pick]) -> Corpus:
    """Returns a corpus of clips of one frame each, of the same people; the fingerprint stays that of the corpus.

    A single frame does not move, so its motion is 0, and the action units of its clip are not its own, so it lists
    none. Labels are those of the corpus.
    """
    chosen = tuple(picks)
    clips = tuple(
        replace(
            corpus.clips[pick.position], clip=pick.name, label=pick.label, onset=0, apex=0, offset=0, action_units=()
        )
        for pick in chosen
    )
    frames = _Singled(corpus.frames, chosen)
    return replace(
        corpus,
        clips=clips,
        digests=tuple((corpus.digests[pick.position][pick.frame],) for pick in chosen),
        frames=frames,
        landmarks=_Singled(corpus.landmarks, chosen),
        motion=list(np.zeros((len(chosen), len(NAMES)), np.float32)),
        folder=None,
    )


def composite(name: str, parts: Sequence[Corpus]) -> Corpus:
    """Returns several corpora as one; each clip and subject is called "part/name", and channels may differ.

    Args:
        name: of the whole.
        parts: corpora with different names, at least one clip each.

    Raises:
        AustickerError: the parts differ in their labels or in the size of their faces.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.labels != first.labels:
            raise AustickerError(
                f"'{name}' cannot join '{first.name}' ({', '.join(first.labels)}) and '{part.name}' "
                f"({', '.join(part.labels)}): give both the same classes."
            )
        if part.size != first.size:
            raise AustickerError(
                f"'{name}' cannot join '{first.name}' ({first.size[0]} x {first.size[1]} pixels) and '{part.name}' "
                f"({part.size[0]} x {part.size[1]} pixels): prepare both with faces of one size."
            )
    clips = (
        replace(clip, clip=f"{part.name}/{clip.clip}", subject=f"{part.name}/{clip.subject}")
        for part in parts
        for clip in part.clips
    )
    return Corpus(
        name=name,
        labels=first.labels,
        clips=tuple(clips),
        fingerprint=hashlib.sha256("\n".join(part.fingerprint for part in parts).encode()).hexdigest(),
        digests=tuple(digests for part in parts for digests in part.digests),
        synthetic=" ".join(part.synthetic for part in parts if part.synthetic),
        planted=first.planted if len(parts) == 1 else (),
        consented=tuple(f"{part.name}/{subject}" for part in parts for subject in part.consented),
        lacks_subjects=any(part.lacks_subjects for part in parts),
        frames=Chained([part.frames for part in parts]),
        landmarks=Chained([part.landmarks for part in parts]),
        motion=Chained([part.motion for part in parts]),
    )
