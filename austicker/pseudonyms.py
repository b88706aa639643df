"""Names for people of recorded corpora that say nothing of who they are, for whatever leaves the store; shows no face.

The verdicts keep the corpus' own ids, for whoever holds the licence; a report is meant to be published. The names are
drawn once for a store and kept beside its job, outside of the report.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping

from austicker.store import Store, layout

People = Iterable[tuple[str, str]]
"""(corpus, subject) pairs."""


def of_store(store: Store, people: People) -> dict[tuple[str, str], str]:
    """Returns the names of these people, drawing those that the store does not know yet.

    Raises:
        AustickerError: the store does not give or take them.
    """
    known = _read(store)
    new = sorted(set(people) - known.keys())
    if new:
        free = [f"P{number:03d}" for number in range(1, len(known) + len(new) + 1)]
        free = [name for name in free if name not in known.values()]
        secrets.SystemRandom().shuffle(free)
        known |= dict(zip(new, free, strict=False))
        store.write_json(layout.PSEUDONYMS, _nested(known))
    return known


def _read(store: Store) -> dict[tuple[str, str], str]:
    if not store.has(layout.PSEUDONYMS):
        return {}
    record = store.read_json(layout.PSEUDONYMS)
    return {(corpus, subject): str(name) for corpus, names in record.items() for subject, name in names.items()}


def _nested(names: Mapping[tuple[str, str], str]) -> dict[str, dict[str, str]]:
    record: dict[str, dict[str, str]] = {}
    for (corpus, subject), name in names.items():
        record.setdefault(corpus, {})[subject] = name
    return record


def masked(text: str, names: Mapping[str, str]) -> str:
    """Returns a text in which every one of these words, of clips and people, stands under another name."""
    if not names:
        return text
    longest_first = sorted(names, key=len, reverse=True)
    pattern = "|".join(re.escape(word) for word in longest_first)
    return re.sub(rf"(?<!\w)({pattern})(?!\w)", lambda found: names[found[1]], text)
