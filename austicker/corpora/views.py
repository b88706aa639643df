"""Selections of prepared corpora that share the decoded copy: a subset, single frames, or several corpora as one.

A view looks its arrays up when they are asked for and copies no frame. It knows no protocol and belongs to no folder.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, TypeVar, cast

import numpy as np

from austicker.corpora.shards import content_digest
from austicker.regions import NAMES
from austicker.types import AustickerError, Corpus

A = TypeVar("A", bound=np.ndarray[Any, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One frame of one clip that becomes a clip of its own: `position` counts clips and `frame` the clip's frames."""

    position: int
    frame: int
    label: int
    name: str


class _View(Sequence[A]):
    """Arrays that are looked up one by one."""

    def __getitem__(self, position: Any) -> Any:
        """Returns one array, or a list of them for a slice."""
        if isinstance(position, slice):
            return [self[number] for number in range(*position.indices(len(self)))]
        number = int(position) + (len(self) if position < 0 else 0)
        if not 0 <= number < len(self):
            raise IndexError(position)
        return self._at(number)

    @abstractmethod
    def _at(self, number: int) -> A: ...


class _Chosen(_View[A]):
    """Some arrays of a sequence."""

    def __init__(self, base: Sequence[A], positions: Sequence[int]) -> None:
        self._base, self._positions = base, positions

    def __len__(self) -> int:
        return len(self._positions)

    def _at(self, number: int) -> A:
        return self._base[self._positions[number]]


class _Singled(_View[A]):
    """Single rows of the arrays of a sequence, each as an array of one row."""

    def __init__(self, base: Sequence[A], picks: Sequence[Pick]) -> None:
        self._base, self._picks = base, picks

    def __len__(self) -> int:
        return len(self._picks)

    def _at(self, number: int) -> A:
        pick = self._picks[number]
        return cast(A, self._base[pick.position][pick.frame : pick.frame + 1])


class _Chained(_View[A]):
    """Several sequences, one after the other."""

    def __init__(self, parts: Sequence[Sequence[A]]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(len(part) for part in parts)]

    def __len__(self) -> int:
        return self._starts[-1]

    def _at(self, number: int) -> A:
        part = bisect_right(self._starts, number) - 1
        return self._parts[part][number - self._starts[part]]


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
        frames=_Chosen(corpus.frames, chosen),
        landmarks=_Chosen(corpus.landmarks, chosen),
        motion=_Chosen(corpus.motion, chosen),
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
        digests=tuple(content_digest(frame) for frame in frames),
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
        digests=tuple(digest for part in parts for digest in part.digests),
        synthetic=" ".join(part.synthetic for part in parts if part.synthetic),
        planted=first.planted if len(parts) == 1 else (),
        consented=tuple(f"{part.name}/{subject}" for part in parts for subject in part.consented),
        lacks_subjects=any(part.lacks_subjects for part in parts),
        frames=_Chained([part.frames for part in parts]),
        landmarks=_Chained([part.landmarks for part in parts]),
        motion=_Chained([part.motion for part in parts]),
    )
