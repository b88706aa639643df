"""The subjects who allowed the publication of their pictures, as the user lists them; decides nothing."""

from __future__ import annotations

from pathlib import Path

from austicker.corpora import paths
from austicker.types import AustickerError

FILE = "consented.txt"
SIZE_LIMIT = 1 << 20
"""Bytes of a list; that of the largest corpus has some hundred names."""


def consented(root: Path) -> tuple[str, ...]:
    """Returns the subjects that `consented.txt` names, one a line, sorted; () where there is no such file.

    What follows a "#" is a comment.

    Raises:
        AustickerError: the file cannot be read, is too large or is not UTF-8.
    """
    path = paths.inside(root, FILE)
    if not path.exists():
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
