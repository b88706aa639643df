"""How many clips a study has beside how many others published; counts and compares, and refuses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from austicker.types import Corpus, Fold

Kind = Literal["total", "class", "test class"]
Key = tuple[Kind, str]
"""What is counted: ("total", one of `TOTALS`), or a class by name in all clips or in the test part."""
TOTALS = {"clips": "clips", "subjects": "subjects", "training": "training clips", "test": "test clips"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One count of clips that others published."""

    numbers: Mapping[Key, int]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One number of a study beside the published one.

    Attributes:
        corpus: the corpus, or the study where that is several.
        kind: "total" of `what` in `TOTALS`; "class" or "test class" of the class `what`.
        published: None where nobody says.
        note: on the published variant that is compared.
    """

    corpus: str
    kind: Kind
    what: str
    found: int
    published: int | None
    note: str


def counts(name: str, corpus: Corpus, published: Sequence[Published], fold: Fold | None) -> tuple[Count, ...]:
    """Counts a corpus beside the published variant that has the most numbers equal.

    Args:
        name: stands for the corpus in the counts.
        corpus: the clips that take part.
        published: variants, the first preferred among equals.
        fold: the only fold, whose two sides are counted too, or None.
    """
    found = _found(corpus, fold)
    variant = max(published, key=lambda some: _agreeing(some, found), default=Published(numbers={}))
    keys = dict.fromkeys((*found, *variant.numbers))
    return tuple(
        Count(
            corpus=name,
            kind=kind,
            what=what,
            found=found.get((kind, what), 0),
            published=variant.numbers.get((kind, what)),
            note=variant.note,
        )
        for kind, what in keys
        if kind != "test class" or (kind, what) in variant.numbers
    )


def _agreeing(published: Published, found: Mapping[Key, int]) -> int:
    return sum(found.get(key) == number for key, number in published.numbers.items())


def _found(corpus: Corpus, fold: Fold | None) -> dict[Key, int]:
    sizes = Counter(clip.label for clip in corpus.clips)
    found: dict[Key, int] = {("total", "clips"): len(corpus.clips)}
    found |= {("class", label): sizes[number] for number, label in enumerate(corpus.labels)}
    if not corpus.lacks_subjects:
        found["total", "subjects"] = len({clip.subject for clip in corpus.clips})
    if fold:
        found["total", "training"], found["total", "test"] = len(fold.train), len(fold.test)
        tested = Counter(corpus.clips[position].label for position in fold.test)
        found |= {("test class", label): tested[number] for number, label in enumerate(corpus.labels)}
    return found


def in_words(found: Sequence[Count]) -> list[str]:
    """Returns one line per corpus: what was found, and what is published where that is known."""
    return [
        _line(corpus, [count for count in found if count.corpus == corpus])
        for corpus in dict.fromkeys(count.corpus for count in found)
    ]


def _line(corpus: str, own: Sequence[Count]) -> str:
    phrases = []
    for total in (count for count in own if count.kind == "total"):
        inside = {"clips": "class", "test": "test class"}.get(total.what)
        classes = ", ".join(_class_in_words(count) for count in own if count.kind == inside)
        phrases.append(_total_in_words(total) + (f" ({classes})" if classes else ""))
    note = f"; {own[0].note}" if own[0].note else ""
    return f"{corpus}: {', '.join(phrases)}{note}"


def _total_in_words(count: Count) -> str:
    found = f"{count.found:,} {TOTALS[count.what]}"
    if count.published is None:
        return found
    return f"{found} as published" if count.found == count.published else f"{found}, {count.published:,} published"


def _class_in_words(count: Count) -> str:
    differs = count.published is not None and count.published != count.found
    return f"{count.what} {count.found:,}" + (f" of {count.published:,}" if differs else "")
