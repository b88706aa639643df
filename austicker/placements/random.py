"""The baseline of Brown et al. 2017 as the paper uses it: a random place on the face, "random/<draw>".

The draw's number takes no part here: it is in the cell's id, and that seeds the generator.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.placements.scene import Scene
from austicker.types import AustickerError, Floats, Placement, Point

JAW = slice(0, 17)
BROWS = (slice(17, 22), slice(22, 27))
FOREHEAD = 0.5
"""Height of the forehead over the height from brows to chin: the face's thirds are about equal."""


def outline(landmarks: Floats, *, aspect: float) -> NDArray[np.float64]:
    """Returns the convex hull (m, 2) of the face, from the image-left temple round, within the picture.

    iBUG points end at the brows, so the forehead is the jaw mirrored at the brow line and flattened by `FOREHEAD`.

    Args:
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
        aspect: width / height of the aligned face in pixels.

    Raises:
        AustickerError: the landmarks span no face.
    """
    if not np.isfinite(landmarks).all():
        raise AustickerError(
            "The face's outline cannot be drawn: its landmarks are not finite; check the corpus' landmarks."
        )
    points = landmarks.astype(np.float64) * (aspect, 1.0)
    left, right = (points[brow].mean(axis=0) for brow in BROWS)
    normal = np.array([left[1] - right[1], right[0] - left[0]])
    normal /= np.linalg.norm(normal) or 1.0
    depth = np.maximum((points[JAW] - left) @ normal, 0)[:, None]
    forehead = points[JAW] - (1 + FOREHEAD) * depth * normal
    face = np.clip(np.concatenate([points, forehead]) / (aspect, 1.0), 0, 1)
    hull: NDArray[np.float64] = cv2.convexHull(face.astype(np.float32), clockwise=True)[:, 0].astype(np.float64)
    if _areas(hull, hull[0]).sum() <= 0:
        raise AustickerError(
            "The face's outline cannot be drawn: its landmarks span no area; check the corpus' landmarks."
        )
    start = int(np.square(hull - face[0]).sum(axis=1).argmin())
    return np.roll(hull, -start, axis=0)


def _areas(hull: NDArray[np.float64], middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the areas (m,) of the triangles from `middle` to each edge of the hull."""
    spokes = hull - middle
    following = np.roll(spokes, -1, axis=0)
    return np.abs(spokes[:, 0] * following[:, 1] - spokes[:, 1] * following[:, 0]) / 2


def _centroid(hull: NDArray[np.float64]) -> NDArray[np.float64]:
    # The mean of the vertices would jump where a landmark joins or leaves the hull.
    areas = _areas(hull, hull[0])[:, None]
    thirds = (hull[0] + hull + np.roll(hull, -1, axis=0)) / 3
    middle: NDArray[np.float64] = (thirds * areas).sum(axis=0) / areas.sum()
    return middle


def place(argument: str | None, scene: Scene, rng: np.random.Generator) -> Placement:
    """Returns a place that is uniform over the face, from exactly two random numbers.

    The first number walks round the outline by area, the second goes outwards from the centre. Unlike rejection
    sampling this moves smoothly with the landmarks, so one draw can follow a face through a clip.

    Raises:
        AustickerError: the landmarks span no face.
    """
    hull = outline(scene.landmarks, aspect=scene.aspect)
    middle = _centroid(hull)
    areas = _areas(hull, middle)
    around, outwards = rng.random(2)
    edges = np.concatenate([[0.0], areas.cumsum() / areas.sum()])
    edges[-1] = 1.0
    edge = int(np.searchsorted(edges, around, side="right")) - 1
    part = (around - edges[edge]) / (edges[edge + 1] - edges[edge])
    rim = hull[edge] + part * (hull[(edge + 1) % len(hull)] - hull[edge])
    x, y = middle + np.sqrt(outwards) * (rim - middle)
    return Placement(name=f"random/{argument or 1}", region=None, centre=Point(x=float(x), y=float(y)))
