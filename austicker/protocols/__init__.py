"""Evaluation protocols by name: which clips of which corpora, in which classes, divided how; trains nothing.

A *study* is what a protocol is run on: a corpus by itself, or several as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from austicker import folds
from austicker.corpora import views
from austicker.protocols.counts import Count, counts, in_words
from austicker.protocols.shelf import Protocol, Rules, canonical_name, check, names, plain, protocol, study_names
from austicker.types import AustickerError, Corpus, Fold

__all__ = [
    "Count",
    "Limits",
    "Protocol",
    "Study",
    "canonical_name",
    "check",
    "in_words",
    "names",
    "protocol",
    "study",
    "study_names",
    "survey",
]

_BY_SUBJECT = ("loso", "grouped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is evaluated; `left_out` names training clips that were dropped because their pictures are tested on."""

    corpus: Corpus
    folds: tuple[Fold, ...]
    counts: tuple[Count, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most clips of each class that a fold trains on, and that it tests on; all where there is none."""

    train_per_class: int | None = None
    test_per_class: int | None = None


UNLIMITED = Limits()


def study(name: str, study_name: str, opened: Mapping[str, Corpus], limits: Limits = UNLIMITED) -> Study:
    """Returns a study with its folds, each of them checked.

    Args:
        name: of the protocol.
        study_name: one of `study_names`.
        opened: the corpora by the names that the job gives them.
        limits: of every fold.

    Raises:
        AustickerError: the protocol does not fit the corpora, a class is empty, or a fold tests on what it trained on.
    """
    chosen = protocol(name)
    if chosen.beside:
        return _beside([study(member, study_name, opened, limits) for member in chosen.beside], chosen)
    members = study_names(name, tuple(opened))[study_name]
    parts = {member: _part(chosen, member, opened[member]) for member in members}
    whole = views.composite(study_name, tuple(parts.values())) if chosen.composite else parts[study_name]
    _check_classes(chosen, study_name, whole)
    divided = _divided(chosen, whole)
    counted = _counted(chosen, study_name, parts, whole, divided)
    left_out: dict[str, None] = {}
    if chosen.drops_duplicates:
        cleared = [folds.without_duplicates(whole, fold) for fold in divided]
        divided = tuple(fold for fold, _ in cleared)
        left_out = dict.fromkeys(clip for _, dropped in cleared for clip in dropped)
    divided = tuple(
        folds.limited(whole, fold, train_per_class=limits.train_per_class, test_per_class=limits.test_per_class)
        for fold in divided
    )
    for fold in divided:
        folds.check_apart(whole, fold, shares_subjects=chosen.shares_subjects)
    return Study(corpus=whole, folds=divided, counts=counted, left_out=tuple(left_out))


def _beside(studies: Sequence[Study], chosen: Protocol) -> Study:
    """Returns the divisions of the same clips as one study, each fold with the name of its protocol.

    Raises:
        AustickerError: the protocols do not take the same clips, or two folds have one name.
    """
    first = studies[0]
    for name, other in zip(chosen.beside, studies, strict=True):
        if (other.corpus.clips, other.corpus.labels) != (first.corpus.clips, first.corpus.labels):
            raise AustickerError(
                f"Protocol '{chosen.name}' cannot put '{name}' beside '{chosen.beside[0]}' on '{first.corpus.name}': "
                "they take other clips; run them one by one."
            )
    divided = tuple(
        replace(fold, protocol=name) for name, one in zip(chosen.beside, studies, strict=True) for fold in one.folds
    )
    if len({fold.name for fold in divided}) < len(divided):
        raise AustickerError(f"Protocols {', '.join(chosen.beside)} name their folds alike: run them one by one.")
    return Study(
        corpus=first.corpus,
        folds=divided,
        counts=tuple(
            replace(count, corpus=f"{count.corpus}, {name}")
            for name, one in zip(chosen.beside, studies, strict=True)
            for count in one.counts
        ),
        left_out=tuple(dict.fromkeys(clip for one in studies for clip in one.left_out)),
    )


def survey(corpus: Corpus) -> dict[str, str]:
    """Returns what each protocol that knows a corpus would count in it, or why it cannot be run; reads no pixel."""
    lines = {}
    for name in names():
        chosen = protocol(name)
        if chosen.beside:
            continue  # its members are surveyed
        divided_already = any(clip.split for clip in corpus.clips) or not chosen.split.startswith("official")
        if corpus.name not in chosen.corpora and not (chosen.any_corpus and divided_already):
            continue
        try:
            part = _part(chosen, corpus.name, corpus)
            if not chosen.composite:
                _check_classes(chosen, corpus.name, part)
            divided = () if chosen.composite else _divided(chosen, part)
        except AustickerError as error:
            lines[name] = str(error)
        else:
            fold = divided[0] if len(divided) == 1 else None
            (lines[name],) = in_words(counts(corpus.name, part, chosen.rules(corpus.name).published, fold))
    return lines


def _part(chosen: Protocol, name: str, corpus: Corpus) -> Corpus:
    """Returns the clips of a corpus that take part, in the protocol's classes."""
    rules = chosen.rules(name)
    if chosen.split in _BY_SUBJECT and corpus.lacks_subjects:
        raise AustickerError(
            f"Corpus '{name}' does not say who is who, so protocol '{chosen.name}' cannot divide it by person: "
            "use protocol 'official'."
        )
    if chosen.frames == "shehu-frames":
        corpus = _shehu_frames(corpus, rules)
    classes, label_of = _classes(corpus, rules)
    positions = [
        position
        for position, clip in enumerate(corpus.clips)
        if clip.label in label_of and clip.clip not in rules.left_out
    ]
    if not positions:
        raise AustickerError(f"Corpus '{name}' has no clip for protocol '{chosen.name}': complete the data.")
    keeps_labels = classes == corpus.labels and all(old == new for old, new in label_of.items())
    if keeps_labels and len(positions) == len(corpus.clips):
        return corpus
    return views.select(corpus, positions, classes, label_of)


def _classes(corpus: Corpus, rules: Rules) -> tuple[tuple[str, ...], dict[int, int]]:
    """Returns the classes and, by label of the corpus, the place of its class among them."""
    if rules.classes:
        found = {number: rules.class_of.get(plain(label)) for number, label in enumerate(corpus.labels)}
        return rules.classes, {number: rules.classes.index(label) for number, label in found.items() if label}
    occurring = sorted({clip.label for clip in corpus.clips})
    return tuple(corpus.labels[number] for number in occurring), {old: new for new, old in enumerate(occurring)}


def _check_classes(chosen: Protocol, name: str, corpus: Corpus) -> None:
    occurring = {clip.label for clip in corpus.clips}
    empty = [label for number, label in enumerate(corpus.labels) if number not in occurring]
    if empty:
        raise AustickerError(
            f"Study '{name}' of protocol '{chosen.name}' has no clip of class {', '.join(empty)}: complete the data."
        )
    if len(corpus.labels) < 2:
        raise AustickerError(
            f"Study '{name}' of protocol '{chosen.name}' has only class {', '.join(corpus.labels)} and needs two: "
            "complete the data."
        )


def _shehu_frames(corpus: Corpus, rules: Rules) -> Corpus:
    """Returns the single frames that Shehu, Browne and Eisenbarth take, named by their number from 1.

    Of each sequence of an emotion the last half of the frames shows it, and of the first two those before that half
    are neutral. Of an odd number of frames the smaller half is taken: the paper does not say.
    """
    neutral = next((number for number, label in enumerate(corpus.labels) if plain(label) == "neutral"), None)
    if neutral is None:
        raise AustickerError(f"Corpus '{corpus.name}' has no label 'neutral' for its first frames: prepare it again.")
    picks = []
    for position, clip in enumerate(corpus.clips):
        if clip.label == neutral or plain(corpus.labels[clip.label]) not in rules.class_of:
            continue
        length = len(corpus.frames[position])
        half = length - length // 2
        for frame in (*range(min(2, half)), *range(half, length)):
            label = neutral if frame < half else clip.label
            picks.append(views.Pick(position=position, frame=frame, label=label, name=f"{clip.clip}#{frame + 1:04d}"))
    return views.frames_as_clips(corpus, picks)


def _divided(chosen: Protocol, corpus: Corpus) -> tuple[Fold, ...]:
    match chosen.split:
        case "loso":
            return folds.loso(corpus.clips)
        case "official":
            return folds.official(corpus.clips)
        case "official-test":
            return folds.official_test(corpus.clips)
        case "frame-level":
            return folds.frame_level(corpus.clips, per_class=chosen.per_class, seed=chosen.seed)
        case "grouped":
            return folds.grouped(corpus.clips, folds=chosen.folds)


def _counted(
    chosen: Protocol, name: str, parts: Mapping[str, Corpus], whole: Corpus, divided: tuple[Fold, ...]
) -> tuple[Count, ...]:
    fold = divided[0] if len(divided) == 1 else None
    if not chosen.composite:
        return counts(name, whole, chosen.rules(name).published, fold)
    each: Iterable[Count] = (
        count for member, part in parts.items() for count in counts(member, part, chosen.rules(member).published, None)
    )
    return (*each, *counts(name, whole, chosen.published, fold))
