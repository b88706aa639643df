"""Text from elsewhere, made harmless for a terminal; prints nothing."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's controls, invisible format characters (bidi overrides among them), surrogates and its own line ends."""


def printable(text: str) -> str:
    r"""Returns the text with whatever could steer a terminal written out, such as \x1b; newline and tab stay."""
    return "".join(letter if letter in _KEPT or not _steers(letter) else _written(letter) for letter in text)


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in _ESCAPED


def _written(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
