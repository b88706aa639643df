"""The shelves of labelled corpora: those made here, and readers of those that lie in a folder of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from austicker.registry import Registry, nearest
from austicker.types import AustickerError, Corpus

if TYPE_CHECKING:
    from austicker.corpora.source import Reader

Progress = Callable[[int, int], None]
"""Called with (units done, units in all) while a corpus is prepared."""
Opener = Callable[[Path | None, Progress], Corpus]
"""Opens a corpus: (root folder of the data or None, progress) -> Corpus."""
Landmarks = Literal["mediapipe", "dlib", "corpus"]
LANDMARKS: tuple[Landmarks, ...] = ("mediapipe", "dlib", "corpus")
"""Who says where a face's 68 points are: a landmarker, or the corpus itself and MediaPipe where it does not."""

CORPORA: Registry[Opener] = Registry(
    "corpus",
    "austicker.corpora",
    {
        "orl-motion": "austicker.corpora.orl_motion:open_corpus",
        "orl-photos": "austicker.corpora.orl_photos:open_corpus",
        "orl-expressions": "austicker.corpora.orl_expressions:open_corpus",
    },
)
"""Corpora that are ready when they are opened."""
READERS: Registry[Reader] = Registry(
    "corpus",
    "austicker.readers",
    {
        "casme2": "austicker.corpora.casme2:read",
        "samm": "austicker.corpora.samm:read",
        "smic-hs": "austicker.corpora.smic:read_hs",
        "smic-e-hs": "austicker.corpora.smic:read_e_hs",
        "fer2013": "austicker.corpora.fer2013:read",
        "ckplus": "austicker.corpora.ckplus:read",
        "affectnet": "austicker.corpora.affectnet:read",
        "manifest": "austicker.corpora.manifest:read",
    },
)
"""Corpora that lie in a folder, and are decoded, aligned and packed once before they are opened."""
EMBEDDED = ("orl-motion", "orl-photos", "orl-expressions")
"""Corpora that need no folder."""


def silent(done: int, total: int) -> None:
    """Reports no progress."""


def names() -> tuple[str, ...]:
    """Returns the names of all corpora."""
    return tuple(dict.fromkeys([*CORPORA.names(), *READERS.names()]))


def check(name: str, root: Path | None, where: str) -> None:
    """Refuses a corpus that cannot be opened anywhere: its folder may be on another machine.

    Raises:
        AustickerError: unknown name, or no folder.
    """
    if name not in names():
        hint = nearest(name, names()) or f"; known: {', '.join(names())}"
        raise AustickerError(f"Unknown corpus '{name}' in {where}{hint}.")
    if name not in EMBEDDED and root is None:
        raise AustickerError(
            f"Corpus '{name}' in {where} needs the folder of its data: give it as 'root', or with --root or "
            "--set corpora.0.root=FOLDER."
        )


def check_folder(name: str, root: Path) -> None:
    """Refuses a folder that is not on this machine.

    Raises:
        AustickerError: it is not.
    """
    from austicker.corpora import paths

    if paths.what(root) != "folder":
        raise AustickerError(f"The folder '{root}' of corpus '{name}' is not there: correct its root.")


def check_landmarks(name: str, where: str) -> Landmarks:
    """Returns the name of a source of landmarks when it is known.

    Raises:
        AustickerError: it is not.
    """
    for known in LANDMARKS:
        if name == known:
            return known
    raise AustickerError(f"Unknown landmarks '{name}' in {where}{nearest(name, LANDMARKS)}: {', '.join(LANDMARKS)}.")


def open_corpus(
    name: str, root: Path | None = None, progress: Progress = silent, landmarks: Landmarks = "mediapipe"
) -> Corpus:
    """Opens a corpus; an embedded one is prepared on first use, another must have been.

    Raises:
        AustickerError: the corpus is unknown, not prepared, or cannot be read.
    """
    check(name, root, "the call")
    if name in CORPORA.names():
        return CORPORA[name](root, progress)
    from austicker.corpora.preparation import Preparation
    from austicker.corpora.prepared import open_prepared

    assert root is not None  # nosec B101 # `check` refused it
    check_folder(name, root)
    return open_prepared(Preparation(name=name, root=root, landmarks=landmarks))
