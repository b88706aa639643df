"""The names in a folder of a corpus, listed once without a look at each file; opens none."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from austicker.corpora import paths

PICTURES = (".jpg", ".jpeg", ".png")
"""Suffixes, in lower case, of the pictures in which the corpora of single faces come."""
CLIP_NAME = re.compile(r"[A-Za-z0-9_./-]+")
"""What a clip may be called: its name becomes part of file names and addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Names of the folders and of the files in a folder, sorted; hidden ones are left out.

    Attributes:
        links: those of `files` that are symlinks, which may lead out of the root.
    """

    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def listed(root: Path, folder: str) -> Listing:
    """Returns what lies in a folder below `root`, or in the root itself as "."; nothing where there is no such folder.

    Raises:
        Unusable: the folder cannot be listed.
        AustickerError: it lies out of the root.
    """
    place = root if folder == "." else paths.inside(root, folder)
    folders, files, links = list[str](), list[str](), list[str]()
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
                    if entry.is_symlink():
                        links.append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return Listing()
    except OSError as error:
        raise paths.unlisted(place, error) from error
    return Listing(folders=tuple(sorted(folders)), files=tuple(sorted(files)), links=tuple(links))


def files_in(root: Path, folder: str) -> tuple[str, ...]:
    """Returns the names of the files in a folder below `root`, none of which leads out of it.

    Raises:
        Unusable: the folder cannot be listed.
        AustickerError: the folder or a symlink in it leads out.
    """
    found = listed(root, folder)
    for name in found.links:
        paths.inside(root, f"{folder}/{name}")
    return found.files
