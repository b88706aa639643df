"""The door to dlib: 68 points by its face detector and shape predictor, as in the papers; an optional extra."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from austicker.faces.landmarkers import Landmarker
from austicker.types import AustickerError, Bytes, Floats

DETECTION_PX = 1000
"""Faces are sought on a copy no longer than this: 38 ms a picture instead of the 166 ms at 2040 pixels."""
MODEL = "shape_predictor_68_face_landmarks.dat"
_MISSING = (
    "The landmarker 'dlib' needs dlib-bin and face-recognition-models: install both with "
    '`pip install "austicker[dlib]"`.'
)


def dlib_points() -> Landmarker:
    """Returns dlib's landmarker; it holds memory alone, so there is nothing to close.

    Raises:
        AustickerError: dlib or its model file is not installed.
    """
    try:
        import dlib
    except ModuleNotFoundError:
        raise AustickerError(_MISSING) from None
    detect: Any = dlib.get_frontal_face_detector()
    predict: Any = dlib.shape_predictor(str(_model()))

    def find(picture: Bytes) -> Floats | None:
        rgb = np.ascontiguousarray(picture)
        boxes = _boxes(rgb, detect)
        if not boxes:
            return None
        # The first of equals: detections come in a fixed order.
        left, top, right, bottom = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
        parts = predict(rgb, dlib.rectangle(left, top, right, bottom)).parts()
        return np.array([(part.x, part.y) for part in parts], np.float32) + 0.5  # dlib counts from pixels' centres

    return find


def _boxes(rgb: Bytes, detect: Any) -> list[tuple[int, ...]]:
    """Returns the faces' boxes (left, top, right, bottom) in pixels; small faces only where there is no other."""
    import cv2

    shrink = max(1.0, max(rgb.shape[:2]) / DETECTION_PX)
    small: Any = rgb
    if shrink > 1:
        size = (max(1, round(rgb.shape[1] / shrink)), max(1, round(rgb.shape[0] / shrink)))
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    # The detector sees faces from 80 pixels on; enlarged twice, from 40 on, at four times the cost.
    found = detect(small, 0) or detect(small, 1)
    sides = [(box.left(), box.top(), box.right(), box.bottom()) for box in found]
    return [tuple(round(side * shrink) for side in box) for box in sides]


def _model() -> Path:
    # Found, not imported: importing face_recognition_models needs pkg_resources, which setuptools no longer has.
    spec = find_spec("face_recognition_models")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "models" / MODEL
        if path.is_file():
            return path
    raise AustickerError(_MISSING)
