"""A prepared corpus on disk: four files in one folder, written whole or not at all; knows no corpus' format."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from austicker.types import AustickerError, Bytes, Clip, Corpus, Floats

RECORD = "corpus.json"
FILES = ("frames.npy", "landmarks.npy", "motion.npy", RECORD)
"""What a prepared corpus consists of, the record last."""


def cache_folder() -> Path:
    """Returns the folder for prepared corpora: `AUSTICKER_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("AUSTICKER_CACHE") or platformdirs.user_cache_path("austicker")) / "corpora"


def fingerprint(clips: tuple[Clip, ...], frames: Bytes, landmarks: Floats, motion: Floats) -> str:
    """Returns the digest of everything in a corpus that can change a verdict."""
    digest = hashlib.sha256(json.dumps([dataclasses.asdict(clip) for clip in clips], sort_keys=True).encode())
    for array in (frames, landmarks, motion):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def fingerprint_of(corpus: Corpus) -> str:
    """Returns the digest of what a corpus really holds, every frame of it read."""
    return fingerprint(corpus.clips, corpus.frames, corpus.landmarks, corpus.motion)


def reserve(name: str, folder: Path) -> None:
    """Makes sure that `folder` can be written, before the work of preparing what goes there.

    Raises:
        AustickerError: the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder.parent).close()
    except OSError as error:
        raise _unwritable(name, folder, error) from error


def save(corpus: Corpus, folder: Path) -> None:
    """Writes `corpus` as `folder`; a folder that another process wrote meanwhile is kept.

    Raises:
        AustickerError: the disk refuses.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _unwritable(corpus.name, folder, error) from error
    try:
        np.save(draft / "frames.npy", corpus.frames)
        np.save(draft / "landmarks.npy", corpus.landmarks)
        np.save(draft / "motion.npy", corpus.motion)
        record = {
            field.name: getattr(corpus, field.name)
            for field in dataclasses.fields(corpus)
            if field.name not in ("frames", "landmarks", "motion", "clips")
        } | {"clips": [dataclasses.asdict(clip) for clip in corpus.clips]}
        (draft / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        draft.chmod(0o755)
        if not folder.exists():
            draft.rename(folder)
    except OSError as error:
        if not (folder / RECORD).is_file():
            raise _unwritable(corpus.name, folder, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unwritable(name: str, folder: Path, error: OSError) -> AustickerError:
    reason = error.strerror or error
    return AustickerError(
        f"Corpus '{name}' cannot be written to '{folder}' ({reason}): free space there, or point AUSTICKER_CACHE "
        "to another folder."
    )


def load(folder: Path) -> Corpus | None:
    """Opens a prepared corpus with memory-mapped frames, or returns None where there is none.

    Raises:
        AustickerError: the folder is damaged.
    """
    if not folder.exists():
        return None
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        frames = np.load(folder / "frames.npy", mmap_mode="r")
        landmarks = np.load(folder / "landmarks.npy")
        motion = np.load(folder / "motion.npy")
        corpus = Corpus(
            name=record["name"],
            labels=tuple(record["labels"]),
            clips=tuple(Clip(**{**clip, "action_units": tuple(clip["action_units"])}) for clip in record["clips"]),
            fingerprint=record["fingerprint"],
            synthetic=record["synthetic"],
            planted=tuple((cause, effect) for cause, effect in record["planted"]),
            frames=frames,
            landmarks=landmarks,
            motion=motion,
        )
        if not len(corpus.clips) == len(frames) == len(landmarks) == len(motion):
            raise ValueError("its files are of different lengths")
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise AustickerError(f"The prepared corpus in '{folder}' is damaged ({error}): delete that folder.") from error
    return corpus
