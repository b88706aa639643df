"""Brings the faces of a clip to one template, with their landmarks as fractions of it; finds no face itself.

The first frame's transform serves the whole clip, so that what moves in it is the face and not the alignment. Every
frame's landmarks are found on the picture as it came. On four videos of 1280 x 720 that took as long as on the aligned
frame (11 ms) and trembled a tenth less; and the aligned frame, which the face fills, missed 5 of 60 faces in one.

Pixel coordinates are continuous, as in `austicker.faces.landmarkers`. A size is (width, height) in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.faces.landmarkers import Landmarker
from austicker.regions import EYE_DISTANCE
from austicker.types import AustickerError, Bytes, Floats

Affine = NDArray[np.float64]
"""(2, 3): the linear map and, in the last column, the shift, from (x, y) in the picture to (x, y) on the face."""

ASPECT = 7 / 8
"""Width / height of the face that the template is written for, as in `orl-motion`."""
EYE_HEIGHT = 0.31
"""Height of the eyes' centres as a fraction of the face's, as in `orl-motion`, which puts the pupils there.

The centre of an eye is the mean of its six landmarks. On the ORL faces the pupils lie 0.006 widths above it, and 0.429
widths apart where the centres lie 0.42 apart.
"""
NOSE_DROP = 0.278
"""From the eyes' line down to the mean of the nostrils (31-35), in widths; measured by `tools/measure_template.py`.

The tip (point 30) would do worse: it varies more between people (0.032 against 0.026 widths) and between landmarkers
(0.035 against 0.017 of the distance between the eyes).
"""
NOSE_WEIGHT = 0.1
"""Weight of the nose where an eye has 1.

People differ in it far more than landmarkers err at the eyes. As heavy as an eye it would tilt the eyes of ORL faces by
up to 2.4 degrees and set them 0.39 to 0.45 widths apart; so it is half a degree and 0.414 to 0.425.
"""
PRE_SHRINK_BELOW = 0.5
"""Scale below which a picture is first shrunk by area, because bilinear sampling would skip pixels."""

CUT_LIMIT = 64_000_000
"""Pixels of the largest rectangle that is cut, as many as the largest picture that is read has."""

RULES = {
    "first-face": "The first frame shows no face; the first frame that shows one aligns the clip.",
    "landmarks-nearest": "A frame shows no face; it has the landmarks of the nearest frame in time that shows one.",
    "template-landmarks": "No frame shows a face; the landmarks are those of the mean face.",
}
"""What was done where a face was not found."""


class NoFace(AustickerError):
    """No frame of a clip shows a face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedClip:
    """A clip on the template, or whole.

    Attributes:
        frames: (n, h, w, c) uint8, with the pictures' channels.
        landmarks: (n, 68, 2) float32, iBUG points as (x, y) fractions of the frame.
        repairs: rules of `RULES` that stood in for faces that were not found.
    """

    frames: Bytes = field(compare=False, repr=False)
    landmarks: Floats = field(compare=False, repr=False)
    repairs: tuple[str, ...] = ()


def aligned_clip(pictures: Iterable[Bytes], find: Landmarker, size: tuple[int, int]) -> AlignedClip:
    """Aligns all pictures by the first face.

    Args:
        pictures: (h, w, c) uint8 in order of time, c = 1 (gray) or 3 (RGB).
        find: asked once for each picture, in their order; a gray one is repeated to three channels for it.
        size: of the aligned face.

    Raises:
        NoFace: no picture shows a face.
    """
    affine: Affine | None = None
    early: list[Bytes] = []
    frames: list[Bytes] = []
    points: list[Floats | None] = []
    for picture in pictures:
        found = find(_rgb(picture))
        if affine is None and found is not None:
            affine = similarity(found, size)
            frames = [warp(one, affine, size) for one in early]
        points.append(None if affine is None or found is None else moved(found, affine, size))
        if affine is None:
            early.append(picture)
        else:
            frames.append(warp(picture, affine, size))
    if affine is None:
        raise NoFace(f"No face was found in any of {len(points)} pictures: try another landmarker or leave them out.")
    missing = [one is None for one in points]
    first = missing.index(False)
    repairs = (("first-face",) if first else ()) + (("landmarks-nearest",) if any(missing[first:]) else ())
    return AlignedClip(frames=np.stack(frames), landmarks=_nearest_filled(points), repairs=repairs)


def whole_clip(pictures: Iterable[Bytes], find: Landmarker, size: tuple[int, int]) -> AlignedClip:
    """Resizes pictures that are faces already; where none shows a face, their landmarks are the template's.

    Args:
        pictures: as in `aligned_clip`.
        find: as in `aligned_clip`.
        size: of the resized pictures.
    """
    frames: list[Bytes] = []
    points: list[Floats | None] = []
    for picture in pictures:
        found = find(_rgb(picture))
        points.append(None if found is None else (found / np.array(picture.shape[1::-1])).astype(np.float32))
        frames.append(resized(picture, size))
    missing = [one is None for one in points]
    if all(missing):
        landmarks = np.repeat(template_points(size)[None], len(points), axis=0)
        return AlignedClip(frames=np.stack(frames), landmarks=landmarks, repairs=("template-landmarks",))
    repairs = ("landmarks-nearest",) if any(missing) else ()
    return AlignedClip(frames=np.stack(frames), landmarks=_nearest_filled(points), repairs=repairs)


def given(points: Sequence[Floats | None]) -> Landmarker:
    """Returns a landmarker that answers the n-th question with the n-th of a corpus' own points (68, 2)."""
    answers: Iterator[Floats | None] = iter(points)

    def find(_: Bytes) -> Floats | None:
        try:
            return next(answers)
        except StopIteration:
            raise AustickerError(
                f"There are landmarks for {len(points)} pictures and more pictures than that: give each its own."
            ) from None

    return find


def similarity(points: Floats, size: tuple[int, int]) -> Affine:
    """Returns the map to the template that turns, scales and shifts, by weighted least squares (Umeyama, 1991).

    Args:
        points: (68, 2) iBUG points in pixels.
        size: of the aligned face.

    Raises:
        AustickerError: the points are not finite, or the eyes and the nose lie in one spot.
    """
    seen, wanted = _anchors(points.astype(np.float64)), _template(size)
    weight = np.array([1.0, 1.0, NOSE_WEIGHT])[:, None] / (2 + NOSE_WEIGHT)
    centre, target = (weight * seen).sum(axis=0), (weight * wanted).sum(axis=0)
    a, b = seen - centre, wanted - target
    spread = (weight * a * a).sum()
    if not np.isfinite(spread) or spread < 1e-6:
        raise AustickerError("The landmarks of a face are not finite or lie in one spot: find them again.")
    # In the plane the best turn has a closed form without the singular values, and it cannot mirror.
    cosine = (weight * a * b).sum() / spread
    sine = (weight[:, 0] * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])).sum() / spread
    linear = np.array([[cosine, -sine], [sine, cosine]])
    affine: Affine = np.c_[linear, target - linear @ centre]
    return affine


def warp(picture: Bytes, affine: Affine, size: tuple[int, int]) -> Bytes:
    """Returns the aligned face (h, w, c); beyond the picture's border its outermost pixels go on."""
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    source: Any = picture
    linear = affine[:, :2]
    if scale < PRE_SHRINK_BELOW:
        height, width = picture.shape[:2]
        shrunk = (max(1, round(width * scale)), max(1, round(height * scale)))
        source = cv2.resize(picture, shrunk, interpolation=cv2.INTER_AREA)
        linear = linear * (np.array([width, height]) / shrunk)
    # OpenCV counts from the centres of pixels.
    shift = affine[:, 2] + linear @ [0.5, 0.5] - 0.5
    kind = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    made: Any = cv2.warpAffine(source, np.c_[linear, shift], size, flags=kind, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.uint8).reshape(size[1], size[0], picture.shape[2])


def moved(points: Floats, affine: Affine, size: tuple[int, int]) -> Floats:
    """Returns points (n, 2) in pixels of a picture as fractions of the aligned face."""
    placed: Floats = ((points @ affine[:, :2].T + affine[:, 2]) / np.array(size)).astype(np.float32)
    return placed


def cut(picture: Bytes, corner: tuple[int, int], size: tuple[int, int]) -> Bytes:
    """Returns the rectangle at a corner (x, y); where it leaves the picture, the outermost pixels go on.

    Raises:
        AustickerError: the rectangle is empty, lies beside the picture or has more than `CUT_LIMIT` pixels.
    """
    height, width = picture.shape[:2]
    right, bottom = corner[0] + size[0], corner[1] + size[1]
    columns, rows = slice(max(0, corner[0]), min(width, right)), slice(max(0, corner[1]), min(height, bottom))
    if columns.start >= columns.stop or rows.start >= rows.stop:
        raise AustickerError(
            f"The face's rectangle {(*corner, *size)} has no part in a picture of {width} x {height} pixels: mend it."
        )
    if size[0] * size[1] > CUT_LIMIT:
        raise AustickerError(
            f"The face's rectangle {(*corner, *size)} has more than {CUT_LIMIT // 10**6} million pixels: mend it."
        )
    border = (rows.start - corner[1], bottom - rows.stop), (columns.start - corner[0], right - columns.stop), (0, 0)
    return np.pad(picture[rows, columns], border, mode="edge")


def resized(picture: Bytes, size: tuple[int, int]) -> Bytes:
    """Returns the picture (h, w, c) at a size, itself where it has it: by area when shrunk, by Lanczos otherwise."""
    height, width, channels = picture.shape
    if (width, height) == size:
        return picture
    kind = cv2.INTER_AREA if size[0] <= width and size[1] <= height else cv2.INTER_LANCZOS4
    made: Any = cv2.resize(picture, size, interpolation=kind)
    return np.asarray(made, np.uint8).reshape(size[1], size[0], channels)


def template_points(size: tuple[int, int]) -> Floats:
    """Returns the mean shape (68, 2) of the aligned ORL faces as fractions of a picture of some size.

    In a picture of another shape than 7:8 the face has its own, as large as fits and in the middle.
    """
    record = json.loads((files("austicker") / "data" / "template-68.json").read_text(encoding="utf-8"))
    aspect = size[0] / size[1]
    share = np.array([min(1.0, ASPECT / aspect), min(1.0, aspect / ASPECT)])
    placed: Floats = (0.5 + (np.array(record["points"]) - 0.5) * share).astype(np.float32)
    return placed


def _template(size: tuple[int, int]) -> Affine:
    """Returns where the eyes' centres and the nose belong, (3, 2) in pixels."""
    width, height = size
    half, eyes = EYE_DISTANCE / 2 * width, EYE_HEIGHT * height
    middle = width / 2
    return np.array([[middle - half, eyes], [middle + half, eyes], [middle, eyes + NOSE_DROP * width]])


def _anchors(points: NDArray[np.float64]) -> Affine:
    return np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[31:36].mean(axis=0)])


def _rgb(picture: Bytes) -> Bytes:
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _nearest_filled(points: Sequence[Floats | None]) -> Floats:
    """Returns (n, 68, 2): each frame without points has those of the nearest frame in time, the earlier of two."""
    known = [(index, one) for index, one in enumerate(points) if one is not None]
    times = np.array([index for index, _ in known])
    nearest = np.abs(times[None] - np.arange(len(points))[:, None]).argmin(axis=1)
    filled: Floats = np.stack([one for _, one in known])[nearest]
    return filled
