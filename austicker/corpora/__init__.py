"""The shelf of labelled corpora; each is opened by name, decoded, aligned and packed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from austicker.registry import Registry
from austicker.types import AustickerError, Corpus

Progress = Callable[[int, int], None]
"""Called with (units done, units in all) while a corpus is prepared."""
Opener = Callable[[Path | None, Progress], Corpus]
"""Opens a corpus: (root folder of the data or None, progress) -> Corpus."""

CORPORA: Registry[Opener] = Registry(
    "corpus",
    "austicker.corpora",
    {"orl-motion": "austicker.corpora.orl_motion:open_corpus"},
)
EMBEDDED = ("orl-motion",)
"""Corpora that need no folder."""
WITHOUT_ADAPTER = ("casme2", "samm", "smic-hs", "smic-e-hs", "fer2013", "ckplus", "affectnet")
"""Licensed corpora of the papers that this version cannot read yet."""


def silent(done: int, total: int) -> None:
    """Reports no progress."""


def check(name: str, root: Path | None, where: str) -> None:
    """Refuses a corpus that cannot be opened.

    Raises:
        AustickerError: unknown name, no adapter yet, or a folder that is not there.
    """
    missing_adapters([name], where)
    CORPORA.check(name, where)
    if name not in EMBEDDED and root is None:
        raise AustickerError(f"Corpus '{name}' in {where} needs the folder of its data: give it as 'root'.")
    if root is not None and not root.is_dir():
        raise AustickerError(f"The folder '{root}' of corpus '{name}' in {where} does not exist: correct its 'root'.")


def missing_adapters(names: Iterable[str], where: str) -> None:
    """Refuses corpora of the papers whose adapters are not written yet, all in one sentence.

    Raises:
        AustickerError: at least one of `names` has no adapter.
    """
    lacking = [name for name in names if name in WITHOUT_ADAPTER and name not in CORPORA.names()]
    if lacking:
        raise AustickerError(
            f"No adapter in this version for {', '.join(lacking)} (named in {where}): "
            f"use one of {', '.join(CORPORA.names())}."
        )


def open_corpus(name: str, root: Path | None = None, progress: Progress = silent) -> Corpus:
    """Opens a corpus, preparing and caching it on first use.

    Raises:
        AustickerError: the corpus is unknown or its data cannot be read.
    """
    check(name, root, "the call")
    return CORPORA[name](root, progress)
