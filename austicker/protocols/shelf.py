"""The protocols as `data/protocols.toml` describes them, read into records; opens no corpus."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from austicker.protocols.counts import TOTALS, Key, Published
from austicker.registry import nearest
from austicker.types import AustickerError

Split = Literal["loso", "official", "official-test", "frame-level", "grouped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a protocol makes of one corpus.

    Attributes:
        classes: in their order; () for every label that occurs.
        class_of: emotion (as `plain` writes it) -> class; an emotion that is not there is left out.
        left_out: clips that do not take part, by name.
        published: variants of the counts.
    """

    classes: tuple[str, ...] = ()
    class_of: Mapping[str, str]
    left_out: frozenset[str] = frozenset()
    published: tuple[Published, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One protocol.

    Attributes:
        summary: one line.
        aliases: other names that are understood.
        corpora: those it has rules for, in the order of a composite.
        any_corpus: others are taken too, with every label that occurs.
        composite: its corpora are one study, all of them.
        shares_subjects: one person may be trained on and tested on.
        frames: "clips", or "shehu-frames" for the single frames that `study` picks.
        drops_duplicates: training clips with pictures that are tested on are left out; otherwise they are refused.
        per_class: test clips of each class of "frame-level", drawn with `seed`.
        folds: number of folds of "grouped".
        published: variants of the counts of a composite.
        beside: other protocols, whose divisions of the same clips stand side by side; then nothing else is said here
            but what they have in common.
    """

    name: str
    summary: str
    aliases: tuple[str, ...]
    corpora: Mapping[str, Rules]
    any_corpus: bool
    composite: bool
    split: Split
    shares_subjects: bool
    frames: Literal["clips", "shehu-frames"]
    drops_duplicates: bool
    per_class: int
    seed: int
    folds: int
    published: tuple[Published, ...]
    beside: tuple[str, ...] = ()

    def rules(self, corpus: str) -> Rules:
        """Returns the rules for a corpus that `check` accepts."""
        return self.corpora.get(corpus) or Rules(class_of={})


def names() -> tuple[str, ...]:
    """Returns the names of the protocols, without aliases."""
    return tuple(_shipped())


def canonical_name(name: str) -> str:
    """Returns the name that an alias stands for, or any other name as it is."""
    return next((known.name for known in _shipped().values() if name in known.aliases), name)


def protocol(name: str, where: str = "the call") -> Protocol:
    """Returns a protocol by its name or alias.

    Raises:
        AustickerError: there is none.
    """
    found = _shipped().get(canonical_name(name))
    if found is None:
        hint = nearest(name, names()) or f"; known: {', '.join(names())}"
        raise AustickerError(f"Unknown protocol '{name}' in {where}{hint}.")
    return found


def check(name: str, corpora: Sequence[str], where: str) -> None:
    """Refuses a protocol that cannot be run on these corpora.

    Raises:
        AustickerError: unknown protocol, a corpus that it has no rules for, or a part of a composite is missing.
    """
    chosen = protocol(name, where)
    strange = [corpus for corpus in corpora if corpus not in chosen.corpora and not chosen.any_corpus]
    if strange:
        raise AustickerError(
            f"Protocol '{chosen.name}' in {where} has no rules for {', '.join(strange)}: use it on "
            f"{', '.join(chosen.corpora)}, or use protocol 'loso' or 'official'."
        )
    missing = [corpus for corpus in chosen.corpora if chosen.composite and corpus not in corpora]
    if missing:
        raise AustickerError(
            f"Protocol '{chosen.name}' in {where} joins {', '.join(chosen.corpora)}: add {', '.join(missing)}."
        )


def study_names(name: str, corpora: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns study -> its corpora: each by itself, or the one study of a composite, in the composite's own order.

    Raises:
        AustickerError: as `check`.
    """
    check(name, corpora, "the call")
    chosen = protocol(name)
    return {chosen.name: tuple(chosen.corpora)} if chosen.composite else {corpus: (corpus,) for corpus in corpora}


def plain(emotion: str) -> str:
    """Returns an emotion without the differences of spelling between corpora."""
    word = emotion.strip().lower()
    return "others" if word == "other" else word


@cache
def _shipped() -> dict[str, Protocol]:
    text = files("austicker").joinpath("data", "protocols.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    found = {name: _protocol(name, table) for name, table in tables.items() if "beside" not in table}
    return {name: found.get(name) or _several(name, table, found) for name, table in tables.items()}


def _several(name: str, table: Mapping[str, Any], known: Mapping[str, Protocol]) -> Protocol:
    """Returns a protocol that puts others side by side: it has rules for what all of them have rules for."""
    members = [known[member] for member in table["beside"]]
    first = members[0]
    shared = {corpus: rules for corpus, rules in first.corpora.items() if all(corpus in one.corpora for one in members)}
    return replace(
        first,
        name=name,
        summary=table["summary"],
        aliases=tuple(table.get("aliases", ())),
        corpora=shared,
        any_corpus=all(one.any_corpus for one in members),
        beside=tuple(one.name for one in members),
    )


def _protocol(name: str, table: Mapping[str, Any]) -> Protocol:
    classes = tuple(table.get("classes", ()))
    return Protocol(
        name=name,
        summary=table["summary"],
        aliases=tuple(table.get("aliases", ())),
        corpora={corpus: _rules(rules, classes) for corpus, rules in table.get("corpora", {}).items()},
        any_corpus=table.get("any_corpus", False),
        composite=table.get("composite", False),
        split=table["split"],
        shares_subjects=table.get("shares_subjects", False),
        frames=table.get("frames", "clips"),
        drops_duplicates=table.get("duplicates", "refuse") == "drop-from-training",
        per_class=table.get("per_class", 0),
        seed=table.get("seed", 0),
        folds=table.get("folds", 0),
        published=_published(table),
    )


def _rules(table: Mapping[str, Any], classes: tuple[str, ...]) -> Rules:
    by_class: Mapping[str, Sequence[str]] = table.get("emotions", {})
    return Rules(
        classes=classes or tuple(by_class),
        class_of={plain(emotion): label for label, emotions in by_class.items() for emotion in emotions},
        left_out=frozenset(table.get("left_out", ())),
        published=_published(table),
    )


def _published(table: Mapping[str, Any]) -> tuple[Published, ...]:
    variants = []
    for variant in table.get("published", ()):
        numbers: dict[Key, int] = {("total", what): variant[what] for what in TOTALS if what in variant}
        numbers |= {("class", label): number for label, number in variant.get("classes", {}).items()}
        numbers |= {("test class", label): number for label, number in variant.get("test_classes", {}).items()}
        variants.append(Published(numbers=numbers, note=variant.get("note", "")))
    return tuple(variants)
