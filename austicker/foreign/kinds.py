"""The kinds of recognisers trained elsewhere: what a job says of each, and who opens it; imports no torch.

A package adds a kind of its own as an entry point of the group `austicker.recognisers` that names a `Kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from austicker.foreign.packaged import DIGESTS

if TYPE_CHECKING:
    from austicker.types import Access

GENERAL = ("name", "label", "source", "digest", "version", "access", "labels", "classes")
PICTURES = ("input_px", "colour", "range", "mean", "std", "frames", "layout")
FER_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of recogniser.

    Attributes:
        source: what `ForeignSettings.source` names.
        access: the most that recognisers of this kind give.
        opener: "module:function" that takes (settings, path, device) and returns an `austicker.foreign.victim.Opened`.
        keys: what a job may say beside `GENERAL`.
        required: what a job must say beside the name.
        fixed: settings that the kind itself decides.
    """

    source: Literal["file", "module", "package"]
    access: Access
    opener: str
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)


TORCHSCRIPT = Kind(
    source="file",
    access="gradients",
    opener="austicker.foreign.network_files:torchscript",
    keys=(*PICTURES, "outputs"),
    required=("source", "labels", "input_px"),
)
ONNX = Kind(
    source="file",
    access="scores",
    opener="austicker.foreign.network_files:onnx",
    keys=(*PICTURES, "outputs"),
    required=("source", "labels", "input_px"),
)
FACTORY = Kind(
    source="module",
    access="gradients",
    opener="austicker.foreign.imported:factory",
    keys=(*PICTURES, "outputs"),
    required=("source", "labels", "input_px"),
)
CALLABLE = Kind(
    source="module",
    access="label",
    opener="austicker.foreign.imported:black_box",
    keys=("colour", "frames"),
    required=("source", "labels"),
    fixed={"outputs": "labels"},
)
WEIGHTS = Kind(
    source="file",
    access="gradients",
    opener="austicker.foreign.built_in:weights",
    keys=("architecture", "width", "input_px", "frames", "statistics", "allow_pickle"),
    required=("source", "labels"),
)
FER = Kind(
    source="package",
    access="gradients",
    opener="austicker.foreign.fer:fer",
    fixed={
        "digest": DIGESTS["fer"],
        "labels": FER_LABELS,
        "input_px": (64, 64),
        "colour": "gray",
        "range": (-1.0, 1.0),
    },
)
FACIAL_EMOTION_RECOGNITION = Kind(
    source="package",
    access="gradients",
    opener="austicker.foreign.facial_emotion_recognition:facial_emotion_recognition",
    fixed={
        "digest": DIGESTS["facial-emotion-recognition"],
        "labels": FER_LABELS,
        "input_px": (48, 48),
        "colour": "gray",
        "range": (-1.0, 1.0),
    },
)
FACEX = Kind(
    source="package",
    access="label",
    opener="austicker.foreign.facex:facex",
    fixed={
        "digest": DIGESTS["facex"],
        "labels": ("anger", "disgust", "fear", "happy", "neutral", "sadness", "surprised"),
        "input_px": (200, 200),
        "colour": "gray",
        "layout": "nhwc",
        "outputs": "probabilities",
    },
)
FACE_API = Kind(
    source="package",
    access="gradients",
    opener="austicker.foreign.face_api:face_api",
    fixed={
        "digest": DIGESTS["face-api"],
        "labels": ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"),
        "input_px": (112, 112),
        "range": (0.0, 255.0),
        "mean": (122.782, 117.001, 104.298),
        "std": (255.0,),
    },
)
