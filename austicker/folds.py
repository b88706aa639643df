"""Divides a corpus into training and test clips by subject; only divides, trains and loads nothing."""

from __future__ import annotations

from collections.abc import Sequence

from austicker.types import AustickerError, Clip, Fold

PROTOCOLS = ("loso",)


def loso(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Returns one fold per subject, in order of the subjects' names: leave-one-subject-out.

    Raises:
        AustickerError: fewer than two subjects.
    """
    subjects = sorted({clip.subject for clip in clips})
    if len(subjects) < 2:
        raise AustickerError(f"Leave-one-subject-out needs at least two subjects; the corpus has {len(subjects)}.")
    return tuple(
        Fold(
            name=subject,
            train=tuple(i for i, clip in enumerate(clips) if clip.subject != subject),
            test=tuple(i for i, clip in enumerate(clips) if clip.subject == subject),
        )
        for subject in subjects
    )


def some(folds: Sequence[Fold], count: int | None) -> tuple[Fold, ...]:
    """Returns `count` folds spread evenly over all of them, or all where `count` is None.

    Raises:
        AustickerError: `count` is not between 1 and the number of folds.
    """
    if count is None:
        return tuple(folds)
    if not 1 <= count <= len(folds):
        raise AustickerError(
            f"'folds = {count}' is impossible: the corpus has {len(folds)} folds; use 1 to {len(folds)}."
        )
    return tuple(folds[i * len(folds) // count] for i in range(count))
