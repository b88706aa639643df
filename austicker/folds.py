"""Divides a corpus into training and test clips; only divides, trains and loads nothing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from austicker.types import AustickerError, Clip, Corpus, Fold

NAMED_CLIPS = 3
"""Clips that a refusal names before it counts the rest."""


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


def grouped(clips: Sequence[Clip], *, folds: int) -> tuple[Fold, ...]:
    """Returns folds that hold whole subjects, dealt in turn by falling number of clips, then by name.

    Raises:
        AustickerError: fewer subjects than folds.
    """
    sizes = Counter(clip.subject for clip in clips)
    if len(sizes) < folds:
        raise AustickerError(f"{folds} folds of whole subjects need as many subjects; the corpus has {len(sizes)}.")
    order = sorted(sizes, key=lambda subject: (-sizes[subject], subject))
    fold_of = {subject: number % folds for number, subject in enumerate(order)}
    return tuple(
        Fold(
            name=f"group-{fold + 1:02d}",
            train=tuple(i for i, clip in enumerate(clips) if fold_of[clip.subject] != fold),
            test=tuple(i for i, clip in enumerate(clips) if fold_of[clip.subject] == fold),
        )
        for fold in range(folds)
    )


def official(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Returns the corpus' own division: trained on its training part, tested on all of its validation and test parts.

    Raises:
        AustickerError: a clip has no part, or one of the two sides is empty.
    """
    splits = _splits(clips)
    if "train" not in splits or len(splits) < 2:
        raise AustickerError(
            "The corpus' own division needs the part 'train' and the part 'test' or 'validation'; "
            f"the corpus has only {_listed(splits)}."
        )
    return (_by_split(clips, "official", ("validation", "test")),)


def official_test(clips: Sequence[Clip]) -> tuple[Fold, ...]:
    """Returns the corpus' own division without its validation part.

    A corpus that has no validation part is refused, because its test part may be both in one: the folder form of
    FER2013 is. There, `official` says the same and more plainly.

    Raises:
        AustickerError: a clip has no part, or one of the three parts is missing.
    """
    splits = _splits(clips)
    if len(splits) < 3:
        raise AustickerError(
            "A test without the validation part needs the parts 'train', 'validation' and 'test'; "
            f"the corpus has only {_listed(splits)}: use protocol 'official'."
        )
    return (_by_split(clips, "official-test", ("test",)),)


def frame_level(clips: Sequence[Clip], *, per_class: int, seed: int) -> tuple[Fold, ...]:
    """Returns one fold that tests on `per_class` clips of each class, whoever is in them, drawn at random.

    The draw does not depend on the order of the clips.

    Raises:
        AustickerError: a class has no clip left to train on.
    """
    generator = np.random.default_rng(seed)
    test: set[int] = set()
    for label in sorted({clip.label for clip in clips}):
        own = sorted((i for i, clip in enumerate(clips) if clip.label == label), key=lambda i: clips[i].clip)
        if len(own) <= per_class:
            raise AustickerError(
                f"A test of {per_class} clips of each class needs more than that many; the class of "
                f"'{clips[own[0]].clip}' has {len(own)}: complete the data."
            )
        test.update(own[choice] for choice in generator.choice(len(own), per_class, replace=False))
    train = tuple(i for i in range(len(clips)) if i not in test)
    return (Fold(name="frame-level", train=train, test=tuple(sorted(test))),)


def limited(corpus: Corpus, fold: Fold, *, train_per_class: int | None, test_per_class: int | None) -> Fold:
    """Returns the fold with at most so many clips of each class on a side; all where a number is None.

    They are drawn by the digests of the clips' names, one of each subject in turn, so that neither the order of the
    clips nor the other side changes the draw.

    Raises:
        AustickerError: a number is below 1.
    """
    for side, count in (("train", train_per_class), ("test", test_per_class)):
        if count is not None and count < 1:
            raise AustickerError(f"'{side}_per_class = {count}' leaves corpus '{corpus.name}' no clip: use 1 or more.")

    def kept(positions: tuple[int, ...], count: int | None) -> tuple[int, ...]:
        if count is None:
            return positions
        by_class: defaultdict[int, list[int]] = defaultdict(list)
        for position in positions:
            by_class[corpus.clips[position].label].append(position)
        drawn = {position for own in by_class.values() for position in _in_turn(corpus.clips, own)[:count]}
        return tuple(position for position in positions if position in drawn)

    return replace(fold, train=kept(fold.train, train_per_class), test=kept(fold.test, test_per_class))


def _in_turn(clips: Sequence[Clip], positions: Sequence[int]) -> list[int]:
    """Returns positions in a drawn order in which no subject comes again before every other has come."""

    def drawn(text: str) -> bytes:
        return hashlib.sha256(text.encode()).digest()

    turns: Counter[str] = Counter()
    ranked = []
    for position in sorted(positions, key=lambda position: drawn(clips[position].clip)):
        clip = clips[position]
        ranked.append((turns[clip.subject], drawn(f"{clip.label} {clip.subject}"), position))
        turns[clip.subject] += 1
    return [position for *_, position in sorted(ranked)]


def some(folds: Sequence[Fold], count: int | None) -> tuple[Fold, ...]:
    """Returns `count` folds spread evenly over all of them, or all where `count` is None.

    Of protocols side by side each gives so many, or all that it has.

    Raises:
        AustickerError: `count` is not between 1 and the number of folds.
    """
    if count is None:
        return tuple(folds)
    names = list(dict.fromkeys(fold.protocol for fold in folds))
    if len(names) > 1:
        parts = [[fold for fold in folds if fold.protocol == name] for name in names]
        most = max(map(len, parts))
        if not 1 <= count <= most:
            raise AustickerError(f"'folds = {count}' is impossible: no protocol has more than {most}; use 1 to {most}.")
        return tuple(fold for part in parts for fold in some(part, min(count, len(part))))
    if not 1 <= count <= len(folds):
        raise AustickerError(
            f"'folds = {count}' is impossible: the corpus has {len(folds)} folds; use 1 to {len(folds)}."
        )
    return tuple(folds[i * len(folds) // count] for i in range(count))


def check_apart(corpus: Corpus, fold: Fold, *, shares_subjects: bool) -> None:
    """Refuses a fold that tests on what it was trained on.

    Args:
        corpus: whose clips the fold divides; where it does not say who is who, only pictures are compared.
        fold: to look at.
        shares_subjects: a person may be on both sides; a picture never may.

    Raises:
        AustickerError: a subject, or the same pictures under whatever name, are on both sides.
    """
    if not (shares_subjects or corpus.lacks_subjects):
        subjects = [(clip.subject,) for clip in corpus.clips]
        _refuse_shared(corpus, fold, subjects, "people", "divide it by subject or correct its subjects")
    _refuse_shared(corpus, fold, corpus.digests, "pictures", "leave one of each pair out of the data")


def without_duplicates(corpus: Corpus, fold: Fold) -> tuple[Fold, tuple[str, ...]]:
    """Returns the fold without the training clips whose pictures are tested on, and the names of those clips.

    Raises:
        AustickerError: nothing is left to train on.
    """
    tested = {digest for i in fold.test for digest in corpus.digests[i]}
    kept = tuple(i for i in fold.train if tested.isdisjoint(corpus.digests[i]))
    if fold.train and not kept:
        raise AustickerError(
            f"Every training picture of fold '{fold.name}' of '{corpus.name}' is also in its test part: "
            "correct the division of the data."
        )
    left = set(kept)
    return replace(fold, train=kept), tuple(corpus.clips[i].clip for i in fold.train if i not in left)


def _splits(clips: Sequence[Clip]) -> set[str]:
    """Returns the parts of the corpus' own division that occur."""
    without = [i for i, clip in enumerate(clips) if not clip.split]
    if without:
        raise AustickerError(
            f"The corpus' own division does not place {_some_names(clips, without)}: give each clip its part, "
            "or use protocol 'loso'."
        )
    return {clip.split for clip in clips}


def _by_split(clips: Sequence[Clip], name: str, tested: Sequence[str]) -> Fold:
    train = tuple(i for i, clip in enumerate(clips) if clip.split == "train")
    return Fold(name=name, train=train, test=tuple(i for i, clip in enumerate(clips) if clip.split in tested))


def _refuse_shared(corpus: Corpus, fold: Fold, marks: Sequence[Sequence[str]], noun: str, mend: str) -> None:
    """Refuses a fold with a mark (several of each clip, by position) on both sides."""
    shared = {mark for i in fold.train for mark in marks[i]} & {mark for i in fold.test for mark in marks[i]}
    if shared:
        train, test = (
            _some_names(corpus.clips, [i for i in side if not shared.isdisjoint(marks[i])])
            for side in (fold.train, fold.test)
        )
        raise AustickerError(
            f"Fold '{fold.name}' of '{corpus.name}' has the same {noun} in training ({train}) and in test ({test}): "
            f"{mend}."
        )


def _some_names(clips: Sequence[Clip], positions: Sequence[int]) -> str:
    """Returns the names of the first clips, and how many more there are."""
    names = ", ".join(f"'{clips[i].clip}'" for i in positions[:NAMED_CLIPS])
    more = len(positions) - NAMED_CLIPS
    return f"{names} and {more} more" if more > 0 else names


def _listed(splits: Iterable[str]) -> str:
    return " and ".join(f"'{split}'" for split in sorted(splits)) or "no clip"
