"""The embedded corpus `orl-photos`: the real ORL photographs as single pictures, for recognisers that others trained.

ORL has no emotion labels. A photo is "smiling" or "not smiling" where MediaPipe's smile blendshapes say so clearly:
a machine's word and no person's judgement. Photos between, turned heads and photos without a face are left out; the
packed corpus' record says what became of each of the 400 (`Record.source`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from austicker.corpora import Progress, orl, packed
from austicker.corpora.shards import Packed, picture_digest
from austicker.faces import Detector, Face, alignment, detector, ibug_68
from austicker.types import Bytes, Clip, Corpus

LABELS = ("not smiling", "smiling")
SYNTHETIC = (
    "orl-photos: real photographs of the ORL people (AT&T Laboratories Cambridge); the labels are a machine's smile "
    "scores (MediaPipe), no person's judgement; it is none of the papers' corpora."
)
Fate = Literal["smiling", "not smiling", "in between", "turned", "no face"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that shapes the corpus; the thresholds and the limit are our choice.

    Attributes:
        smiling_above: smile score, 0 to 1, above which a photo is "smiling".
        not_smiling_below: smile score below which it is "not smiling".
        turn_limit_degrees: turn of the head to either side up to which a photo is taken. Beyond it the far brow reaches
            the aligned picture's edge, and the eyes, by whose distance faces are scaled, are foreshortened.
    """

    version: int = 1
    people: tuple[int, ...] = orl.PEOPLE
    width_px: int = 112
    height_px: int = 128
    smiling_above: float = 0.5
    not_smiling_below: float = 0.1
    turn_limit_degrees: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the detector saw in one photo, and what became of the photo.

    Attributes:
        smile: mean score of the two smile blendshapes, 0 to 1; None where no face was found.
        turn_degrees: of the head to either side; None where no face was found.
    """

    clip: str
    smile: float | None
    turn_degrees: float | None
    fate: Fate


def open_corpus(root: Path | None, progress: Progress, settings: Settings | None = None) -> Corpus:
    """Opens the corpus from the cache, making it first where it is not there; `root` is not used."""
    chosen = settings or Settings()
    return orl.opened("orl-photos", recipe_digest(chosen), lambda: make(chosen, progress))


def recipe_digest(settings: Settings) -> str:
    """Returns the digest of everything that the corpus is made from."""
    return orl.digest_of(settings)


def make(settings: Settings, progress: Progress) -> tuple[list[Packed], packed.Record]:
    """Makes the clips of all people, in their order, and the record that says what became of each photo."""
    made = orl.by_person(partial(make_person, settings=settings), settings.people, progress)
    source = json.dumps([asdict(seen) for _, all_seen in made for seen in all_seen])
    record = packed.Record(name="orl-photos", labels=LABELS, synthetic=SYNTHETIC, source=source)
    return [clip for clips, _ in made for clip in clips], record


def make_person(person: int, settings: Settings) -> tuple[list[Packed], list[Seen]]:
    """Makes one person's clips, one of each photo that is taken, and says what was seen in all of them."""
    cv2.setNumThreads(1)
    clips, all_seen = [], []
    with detector() as detect:
        for number in orl.PHOTOS:
            photo = orl.photo(person, number)
            face = _face(photo, detect)
            seen = _seen(f"s{person:02d}_{number:02d}", face, settings)
            all_seen.append(seen)
            if face is not None and seen.fate in LABELS:
                clips.append(_clip(photo, face, seen, settings))
    return clips, all_seen


def fate(smile: float, turn: float, settings: Settings) -> Fate:
    """Returns what becomes of a photo by its smile score and the head's turn in degrees."""
    if turn > settings.turn_limit_degrees:
        return "turned"
    if smile > settings.smiling_above:
        return "smiling"
    return "not smiling" if smile < settings.not_smiling_below else "in between"


def turn_degrees(rotation: NDArray[np.float64]) -> float:
    """Returns how far a head (`Face.rotation`) is turned to either side; nodding and tilting are no turns."""
    x, _, z = rotation[:, 2]
    return float(np.degrees(np.arctan2(abs(x), z)))


def _face(photo: Bytes, detect: Detector) -> Face | None:
    """Returns the face of a photo, its mesh in the photo's pixels."""
    picture = np.pad(orl.enlarged(photo), orl.BORDER_PX, mode="edge")
    face = detect(np.repeat(picture[:, :, None], 3, axis=2))
    if face is None:
        return None
    mesh = (face.mesh - orl.BORDER_PX) / orl.ENLARGED
    return Face(mesh=mesh, rotation=face.rotation, expression=face.expression)


def _seen(clip: str, face: Face | None, settings: Settings) -> Seen:
    if face is None:
        return Seen(clip=clip, smile=None, turn_degrees=None, fate="no face")
    smile = (face.expression["mouthSmileLeft"] + face.expression["mouthSmileRight"]) / 2
    turn = turn_degrees(face.rotation)
    return Seen(clip=clip, smile=smile, turn_degrees=turn, fate=fate(smile, turn, settings))


def _clip(photo: Bytes, face: Face, seen: Seen, settings: Settings) -> Packed:
    """Returns the photo on the template, as a clip of one frame; the photo's outermost pixels go on beyond it."""
    size = (settings.width_px, settings.height_px)
    picture, points = photo[:, :, None], ibug_68(face.mesh)
    affine = alignment.similarity(points, size)
    clip = Clip(
        corpus="orl-photos",
        clip=seen.clip,
        subject=seen.clip.partition("_")[0],
        label=LABELS.index(seen.fate),
        onset=0,
        apex=0,
        offset=0,
    )
    return Packed(
        clip=clip,
        frames=alignment.warp(picture, affine, size)[None],
        landmarks=alignment.moved(points, affine, size)[None],
        pictures=(picture_digest(picture),),
    )
