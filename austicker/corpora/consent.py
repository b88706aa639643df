"""The subjects who allowed the publication of their pictures, as the user lists them; decides nothing."""

from __future__ import annotations

from pathlib import Path

from austicker.corpora import paths
from austicker.corpora.source import Finding, Reading
from austicker.registry import nearest
from austicker.types import AustickerError

FILE = "consented.txt"
SIZE_LIMIT = 1 << 20
"""Bytes of a list; that of the largest corpus has some hundred names."""


def joined(root: Path, reading: Reading) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Returns who consented by a corpus' own word or by the user's list, and what is wrong with that list.

    Raises:
        AustickerError: the list cannot be read, or names somebody who is on record as not allowing it.
    """
    listed = consented(root)
    for subject in listed:
        if subject in reading.refused:
            raise AustickerError(
                f"'{FILE}' in '{root}' names '{paths.shown(subject)}', who did not consent by the corpus' own table: "
                "correct one of the two."
            )
    people = {clip.subject for clip in reading.clips}
    findings = tuple(
        Finding(
            clip="",
            kind="inconsistent",
            text=f"'{FILE}' names '{paths.shown(subject)}', who is in no usable clip{nearest(subject, people)}.",
        )
        for subject in listed
        if subject not in people
    )
    return tuple(sorted({*reading.consented, *listed} & people)), findings


def consented(root: Path) -> tuple[str, ...]:
    """Returns the subjects that `consented.txt` names, one a line, sorted; () where there is no such file.

    What follows a "#" is a comment.

    Raises:
        AustickerError: the file cannot be read, is too large or is not UTF-8.
    """
    path = paths.inside(root, FILE)
    if not paths.what(path):
        return ()
    with paths.opened(path) as source:
        content = source.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise AustickerError(f"'{path}' is larger than {SIZE_LIMIT} bytes: list one subject on each line.")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AustickerError(f"'{path}' is not UTF-8 at byte {error.start}: save it as UTF-8 text.") from error
    return tuple(sorted({line.split("#")[0].strip() for line in lines} - {""}))
