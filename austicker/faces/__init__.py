"""Faces in pictures: where their 68 points are, and how they come to one template; knows no corpus."""

from austicker.faces.landmarkers import Landmarker, LandmarkerName, landmarker, versions
from austicker.faces.mesh import IBUG_68, LEFT_IRIS, RIGHT_IRIS, Detector, Face, detector, ibug_68

__all__ = [
    "IBUG_68",
    "LEFT_IRIS",
    "RIGHT_IRIS",
    "Detector",
    "Face",
    "Landmarker",
    "LandmarkerName",
    "detector",
    "ibug_68",
    "landmarker",
    "versions",
]
