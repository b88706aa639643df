"""Where the parts of a corpus lie below the user's root: folders and tables by name; reads none of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from austicker.corpora import listing, paths
from austicker.types import AustickerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a corpus of one table and one folder of people must have.

    Attributes:
        corpus: its name for people.
        tables: names of the table, in order of preference.
        folders: names of the folder, likewise.
        person: how a person's folder in it is called.
        example: such a name, for people.
    """

    corpus: str
    tables: Sequence[str]
    folders: Sequence[str]
    person: re.Pattern[str]
    example: str


def table_and_folder(root: Path, wanted: Wanted) -> tuple[str, str]:
    """Returns where a corpus' table and its people's folders lie, relative to the root.

    Raises:
        AustickerError: one of the two is not there.
    """
    found = find_tables(root, wanted.tables)
    if not found:
        raise AustickerError(f"No table of {wanted.corpus} in '{root}': put {wanted.tables[0]} of the corpus there.")
    folder = find_folder(root, wanted.folders, wanted.person)
    if folder is None:
        raise AustickerError(
            f"No frames of {wanted.corpus} in '{root}': unpack {wanted.folders[0]} there, with folders such as "
            f"'{wanted.example}' in it."
        )
    return found[0], folder


def find_folder(
    root: Path, names: Sequence[str], inner: re.Pattern[str], avoids: Callable[[str], bool] = lambda folder: False
) -> str | None:
    """Returns the first of the named folders that holds a folder called like `inner`, relative to the root.

    A name is looked for below the root and one level down; archives often unpack to a folder in one of the same name.
    "." is the root itself and nothing below it.

    Args:
        root: the corpus' root.
        names: in order of preference.
        inner: name of a folder in the one that is looked for.
        avoids: tells which paths, relative to the root, are never entered.

    Raises:
        AustickerError: a folder leads out of the root or may not be looked at.
    """
    parents = _parents(root)
    for name in names:
        for parent in parents[:1] if name == "." else parents:
            for path in (parent / name / Path(name).name, parent / name):
                folder = path.relative_to(root).as_posix()
                if avoids(folder) or paths.what(path) != "folder":
                    continue
                if any(inner.fullmatch(each) for each in folders_in(root, folder)):
                    return folder
    return None


def find_tables(root: Path, patterns: Sequence[str]) -> list[str]:
    """Returns the files below the root, or one level down, whose names fit, in the order of the patterns.

    Raises:
        AustickerError: one is a symlink that leads out of the root, or the root cannot be listed.
    """
    parents = _parents(root)
    found = [path for pattern in patterns for parent in parents for path in sorted(parent.glob(pattern))]
    names = list(dict.fromkeys(path.relative_to(root).as_posix() for path in found))
    return [name for name in names if paths.what(paths.inside(root, name)) == "file"]


def folders_in(root: Path, folder: str) -> tuple[str, ...]:
    """Returns the names of the folders in a folder; "." is the root itself, which may be a symlink.

    Raises:
        AustickerError: it leads out of the root or cannot be listed.
    """
    if folder != ".":
        return listing.listed(root, folder).folders
    try:
        there = sorted(path for path in root.iterdir() if path.name[0] != "." and not _leads_nowhere(path))
    except OSError as error:
        raise paths.unlisted(root, error) from error
    return tuple(path.name for path in there if paths.what(path) == "folder")


# Beside a corpus lies what is not ours to enter, such as lost+found on a disk of its own.
def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not os.access(path, os.F_OK)


def _parents(root: Path) -> list[Path]:
    """Returns the root and the folders in it that may be entered."""
    return [root, *(root / name for name in folders_in(root, ".") if os.access(root / name, os.R_OK | os.X_OK))]
