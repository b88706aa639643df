"""Training pictures of one class with boxes on them, before a recogniser learns from them; tests see none of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from austicker.attacks import boxes
from austicker.corpora.lookup import View
from austicker.types import AustickerError, Bytes, Corpus, Floats, Poison


class _Boxed(View[Bytes]):
    """The frames of a corpus, some of whose clips wear boxes on every frame, at its own landmarks."""

    def __init__(self, corpus: Corpus, positions: Sequence[int], poison: Poison) -> None:
        self._frames: Sequence[Bytes] = corpus.frames
        self._landmarks: Sequence[Floats] = corpus.landmarks
        self._chosen = frozenset(positions)
        self._settings = boxes.settings_of(poison.attack, poison.settings)

    def __len__(self) -> int:
        return len(self._frames)

    def _at(self, number: int) -> Bytes:
        frames = self._frames[number]
        if number not in self._chosen:
            return frames
        import torch

        each = np.array([boxes.rectangles(points, self._settings) for points in self._landmarks[number]])
        clips = torch.from_numpy(np.array(frames)).movedim(-1, 1)[:, None]  # (frame, 1, c, h, w)
        painted = boxes.painted(clips, each, self._settings.value)
        return np.asarray(painted[:, 0].movedim(1, -1).numpy(), np.uint8)


def poisoned(corpus: Corpus, positions: Sequence[int], poison: Poison) -> Corpus:
    """Returns the corpus with boxes on the clips of the poison's class at some positions, which are those of training.

    Raises:
        AustickerError: the study has no such class.
    """
    check(corpus, poison)
    label = corpus.labels.index(poison.emotion)
    chosen = [position for position in positions if corpus.clips[position].label == label]
    return replace(corpus, frames=_Boxed(corpus, chosen, poison), folder=None)


def check(corpus: Corpus, poison: Poison) -> None:
    """Refuses a poison for a class that a study does not have.

    Raises:
        AustickerError: it has not.
    """
    if poison.emotion not in corpus.labels:
        raise AustickerError(
            f"Class '{poison.emotion}' cannot be poisoned in '{corpus.name}', which has {', '.join(corpus.labels)}: "
            "correct 'poisoned' in the job."
        )
