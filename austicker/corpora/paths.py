"""What an annotation may name: files below the corpus' root, and numbered pictures in a folder. Decodes nothing."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Literal

from austicker.corpora.source import Kind
from austicker.terminal import printable
from austicker.types import AustickerError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm"})
GAPS_LIMIT = 1000
"""More missing numbers than these are not listed."""
TEXT_LIMIT = 1024
"""Characters of the longest path that an annotation may name."""
_DRIVE = re.compile(r"[A-Za-z]:")
_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")


class Unusable(AustickerError):
    """Why one folder or file cannot be used, though the rest of its corpus can; `kind` is its finding's."""

    def __init__(self, text: str, kind: Kind = "unreadable") -> None:
        super().__init__(text)
        self.kind: Kind = kind


def shown(text: str, length: int = 60) -> str:
    """Returns a text from elsewhere for a sentence: on one line, harmless, and cut after `length` characters."""
    cut = f"{text[: length - 3]}..." if len(text) > length else text
    return printable(cut).replace("\n", "\\n").replace("\t", "\\t")


def inside(root: Path, text: str) -> Path:
    r"""Returns the path below `root` that an annotation names; there need not be such a file.

    A backslash separates like a slash, so that annotations made on Windows can be read.

    Raises:
        AustickerError: the text is empty, absolute (also as on Windows), holds `..` or control characters, is longer
            than any file system allows, or leads out of the root through a symlink.
    """
    parts = [part for part in text.replace("\\", "/").split("/") if part not in {"", "."}]
    reason = _unfit(text, parts)
    if reason:
        raise AustickerError(f"The annotation names '{shown(text)}', which {reason}: name a file below '{root}'.")
    path = root.joinpath(*parts)
    if not _below(root, path):
        raise AustickerError(
            f"The annotation names '{shown(text)}', which leads out of '{root}' or nowhere: replace the symlink by the "
            "file itself."
        )
    return path


def what(path: Path) -> Literal["folder", "file", "other", ""]:
    """Returns what lies at a path when symlinks are followed; "" where nothing does, or they lead nowhere.

    Raises:
        Unusable: a folder on the way may not be entered, so nobody can tell.
    """
    mode = _mode(path, follow_symlinks=True)
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other" if mode else ""


def opened(path: Path) -> BinaryIO:
    """Opens a regular file for reading.

    Raises:
        AustickerError: there is none, it is a pipe or another device, or may not be read.
    """
    try:
        # Opening a pipe would wait for its writer for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise AustickerError(f"'{shown(str(path), 200)}' is no regular file: put the file itself there.")
        return path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise AustickerError(
            f"'{shown(str(path), 200)}' cannot be read ({reason}): check that it is there and may be read."
        ) from error


def pictures_in(root: Path, folder: Path, pattern: str = "*") -> dict[int, str]:
    """Returns frame numbers, in their order, to the pictures directly in a folder, as paths relative to `root`.

    The last digits of a name are its number: img46 is 46, 006_05562 is 5562. Hidden files, other files and pictures
    without a number are no frames. There is nothing in a folder that does not exist.

    Args:
        root: the corpus' root.
        folder: a folder below the root, its path beginning as the root's does.
        pattern: of the file names, such as "reg_img*", in upper or lower case.

    Raises:
        Unusable: two pictures have one number, or the folder may not be read.
        AustickerError: the folder or a symlink in it leads out of the root.
    """
    if what(folder) != "folder":
        return {}
    if not folder.is_relative_to(root) or not _below(root, folder):
        raise AustickerError(f"The folder '{shown(str(folder), 200)}' leads out of '{root}': copy it there.")
    found: dict[int, Path] = {}
    clash = ""
    for path in _listed(folder):
        number = _NUMBER.search(path.stem)
        fits = path.suffix.lower() in SUFFIXES and fnmatchcase(path.name.lower(), pattern.lower())
        if number is None or not fits or path.name.startswith("."):
            continue
        if stat.S_ISLNK(_mode(path, follow_symlinks=False)) and not _below(root, path):
            raise AustickerError(f"'{shown(str(path), 200)}' is a symlink out of '{root}': copy the file there.")
        if what(path) != "file":
            continue
        other = found.setdefault(int(number[1]), path)
        if other != path and not clash:
            clash = f"'{shown(other.name)}' and '{shown(path.name)}' in '{shown(str(folder), 200)}' are both frame "
            clash += f"{int(number[1])}: leave one there."
    # Only now, so that a symlink out of the root is never overlooked.
    if clash:
        raise Unusable(clash, "inconsistent")
    return {number: found[number].relative_to(root).as_posix() for number in sorted(found)}


def gaps(numbers: Collection[int], first: int, last: int) -> tuple[int, ...]:
    """Returns which numbers of `first` to `last`, both included, are not there: the first `GAPS_LIMIT` of them.

    It looks at no more than the numbers there are and those it returns, however far apart the ends lie.
    """
    there = frozenset(numbers)
    missing: list[int] = []
    for number in range(first, last + 1):
        if len(missing) == GAPS_LIMIT:
            break
        if number not in there:
            missing.append(number)
    return tuple(missing)


def passed_over(count: int, span: str) -> str:
    """Returns in words that a number of frames, one or more, are missing in a span such as "3 and 9"."""
    return f"{count} of the frames between {span} {'is' if count == 1 else 'are'} not on disk and passed over"


def _unfit(text: str, parts: list[str]) -> str:
    """Returns why a text cannot name a file below the root, or ""."""
    if not parts:
        return "is no file's name"
    if text[0] in "/\\" or _DRIVE.match(text):
        return "is an absolute path"
    if ".." in parts:
        return "climbs out by '..'"
    if printable(text) != text or "\n" in text or "\t" in text:
        return "holds control characters"
    if len(text) > TEXT_LIMIT or any(len(part.encode()) > 255 for part in parts):
        return "is longer than a file's name can be"
    return ""


def _below(root: Path, path: Path) -> bool:
    """Tells whether a path stays below the root when every symlink is followed."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a loop of symlinks
        return False


def _mode(path: Path, follow_symlinks: bool) -> int:
    """Returns what the system says of a path's kind, 0 where nothing is there."""
    try:
        return path.stat(follow_symlinks=follow_symlinks).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        if error.errno == errno.ELOOP:
            return 0
        raise Unusable(
            f"'{shown(str(path), 200)}' cannot be looked at ({error.strerror}): grant access to its folder."
        ) from error


def unlisted(folder: Path, error: OSError) -> Unusable:
    """Returns the refusal of a folder that may not be listed."""
    return Unusable(f"The folder '{shown(str(folder), 200)}' cannot be listed ({error.strerror}): grant access to it.")


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unlisted(folder, error) from error
