"""Writes adversarial pictures to disk: a sticker on the frames of a corpus or on the photos of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from austicker import identity, stickers
from austicker.corpora import Progress
from austicker.depth import Ellipsoid, bends
from austicker.faces import detector, ibug_68
from austicker.placements import place
from austicker.placements.scene import Scene
from austicker.regions import face_width
from austicker.registry import nearest
from austicker.store import write_whole
from austicker.types import AustickerError, Bytes, Corpus, Floats, Placement, RegionGraph, Sticker
from austicker.wearing import PLAIN, Wear, worn

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the pictures are made.

    Attributes:
        side: the sticker's side as a fraction of the face's.
        size_px: (width, height) of the written pictures, or None to keep theirs.
        graphs: causal graph by subject, for the placement "causal" on a corpus.
        seed: of random places.
        subjects: people of a corpus whose clips are wanted; all where it is empty.
        rotation: of the sticker in degrees, clockwise on the screen.
        opacity: 0..1, of the sticker.
        bent: the sticker bends over the face, as it is in a clip's onset frame.
    """

    stickers: tuple[str, ...]
    placement: str
    side: float
    size_px: tuple[int, int] | None = None
    graphs: Mapping[str, RegionGraph] = field(default_factory=dict)
    seed: int = 0
    subjects: tuple[str, ...] = ()
    rotation: float = 0.0
    opacity: float = 1.0
    bent: bool = False


def adversarial(
    picture: Bytes, sticker: Sticker, placement: Placement, size: tuple[int, int], wear: Wear = PLAIN
) -> Bytes:
    """Returns an (h, w, 3) RGB picture with the sticker at its place (Eq. 2), rounded to 8 bits.

    Args:
        picture: (h, w, 3) uint8 RGB.
        sticker: the sticker.
        placement: where its centre goes, as fractions of the picture.
        size: (width, height) of the sticker in pixels.
        wear: how the sticker is turned, faded and bent.
    """
    import torch

    laid = torch.from_numpy(stickers.resized(sticker, *size))[None]
    if wear != PLAIN:
        bend = None if wear.bend is None else torch.tensor([wear.bend])
        laid = worn(laid, torch.tensor([wear.rotation]), torch.tensor([wear.opacity]), bend)
    pasted = stickers.composite(
        torch.from_numpy(np.moveaxis(picture, 2, 0)[None, None].astype(np.float32)),
        laid,
        torch.zeros(1, dtype=torch.long),
        torch.tensor([[[placement.centre.x, placement.centre.y]]]),
    )
    rounded: Bytes = np.moveaxis(pasted[0, 0].round().clamp(0, 255).to(torch.uint8).numpy(), 0, 2)
    return rounded


def from_corpus(corpus: Corpus, look: Look, folder: Path, progress: Progress) -> int:
    """Writes every frame of a corpus with every sticker: `folder/sticker/clip/frame.png`; returns the count.

    Raises:
        AustickerError: the corpus has no such subject, or a clip no place for the sticker; nothing is written then.
    """
    width, height = corpus.size
    size = stickers.size_px(look.side, face_width_px=width, face_height_px=height)
    wanted = _wanted(corpus, look.subjects)
    places = {}
    for number in wanted:
        clip = corpus.clips[number]
        landmarks = corpus.landmarks[number][clip.onset]
        scene = Scene(landmarks=landmarks, aspect=width / height, graph=look.graphs.get(clip.subject))
        found = _place(look, scene, clip.clip)
        places[number] = found, _wear(look, scene, found, size, (width, height))
    written = 0
    for done, (number, (found, wear)) in enumerate(places.items()):
        progress(done, len(wanted))
        clip = corpus.clips[number]
        for name in look.stickers:
            sticker = stickers.load(name)
            for index, frame in enumerate(corpus.frames[number]):
                picture = np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
                made = adversarial(picture, sticker, found, size, wear)
                _write(folder / Path(sticker.name).stem / clip.clip / f"{index:03d}.png", made, look)
                written += 1
    progress(len(wanted), len(wanted))
    return written


def _wanted(corpus: Corpus, subjects: Sequence[str]) -> list[int]:
    """Returns the positions of the clips of some subjects, or of all where none is named."""
    known = sorted({clip.subject for clip in corpus.clips})
    for subject in subjects:
        if subject not in known:
            hint = nearest(subject, known) or f"; known: {', '.join(known)}"
            raise AustickerError(f"Unknown subject '{subject}' of corpus '{corpus.name}'{hint}.")
    return [number for number, clip in enumerate(corpus.clips) if not subjects or clip.subject in subjects]


def from_folder(source: Path, look: Look, folder: Path, progress: Progress) -> tuple[int, tuple[str, ...]]:
    """Writes every photo below a folder with every sticker: `folder/sticker/<same path>.png`.

    Photos that differ in their suffix alone keep it before the new one.

    Returns:
        How many pictures were written, and a sentence for each photo that was not.

    Raises:
        AustickerError: there is no such folder or no photo in it.
    """
    if not source.is_dir():
        raise AustickerError(f"There is no folder '{source}': name a folder of photos.")
    photos = sorted(path for path in source.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not photos:
        raise AustickerError(f"The folder '{source}' holds no photo ({', '.join(PICTURES)}): name another.")
    targets = Counter(path.with_suffix(".png") for path in photos)
    written, skipped = 0, []
    on_face = look.placement != "centre"
    needs_face = on_face or look.bent
    for number, (path, picture, landmarks) in enumerate(_photos(photos, look, needs_face)):
        progress(number, len(photos))
        if picture is None or (needs_face and landmarks is None):
            faceless = "no face was found in it" + ("" if on_face else ", over which the sticker could bend")
            reason = "it cannot be read as a picture" if picture is None else faceless
            skipped.append(f"'{path}' was skipped: {reason}.")
            continue
        points = np.zeros((68, 2), np.float32) if landmarks is None else landmarks
        relative = path.relative_to(source)
        height, width = picture.shape[:2]
        scene = Scene(landmarks=points, aspect=width / height)
        found = _place(look, scene, str(relative))
        face_px = width * (face_width(points, aspect=scene.aspect) if on_face else 1)
        size = stickers.size_px(look.side, face_width_px=round(face_px), face_height_px=round(face_px))
        wear = _wear(look, scene, found, size, (width, height))
        alone = targets[path.with_suffix(".png")] == 1
        final = relative.with_suffix(".png") if alone else relative.with_name(f"{relative.name}.png")
        for name in look.stickers:
            sticker = stickers.load(name)
            target = folder / Path(sticker.name).stem / final
            _write(target, adversarial(picture, sticker, found, size, wear), look)
            written += 1
    progress(len(photos), len(photos))
    return written, tuple(skipped)


def _photos(paths: Sequence[Path], look: Look, needs_face: bool) -> Iterator[tuple[Path, Bytes | None, Floats | None]]:
    """Yields each photo with its 68 landmarks as fractions; None where it cannot be read or has no face."""
    if not needs_face:
        for path in paths:
            yield path, _read(path), None
        return
    with detector() as detect:
        for path in paths:
            picture = _read(path)
            face = detect(picture) if picture is not None else None
            if picture is None or face is None:
                yield path, picture, None
            else:
                height, width = picture.shape[:2]
                yield path, picture, ibug_68(face.mesh / np.array([width, height]))


def _place(look: Look, scene: Scene, name: str) -> Placement:
    found = place(look.placement, scene, identity.generator(str(look.seed), look.placement, name))
    if found is None:
        raise AustickerError(f"The placement '{look.placement}' has no answer for '{name}': name a region instead.")
    return found


def _wear(look: Look, scene: Scene, place: Placement, size: tuple[int, int], picture: tuple[int, int]) -> Wear:
    """Returns how the sticker is worn at a place; `size` and `picture` are (width, height) in pixels."""
    if not look.bent:
        return Wear(rotation=look.rotation, opacity=look.opacity)
    centre = np.array([[place.centre.x, place.centre.y]])
    curve, top, pitch = bends(Ellipsoid.of(scene.landmarks, scene.aspect), centre, size, picture)[0].tolist()
    return Wear(rotation=look.rotation, opacity=look.opacity, bend=(curve, top, pitch))


def _read(path: Path) -> Bytes | None:
    try:
        decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # OpenCV raises on an empty file and on a picture of more than 2**30 pixels
        return None
    return None if decoded is None else np.ascontiguousarray(decoded[:, :, ::-1])


def _write(path: Path, picture: Bytes, look: Look) -> None:
    final: Any = picture
    if look.size_px is not None:
        final = cv2.resize(picture, look.size_px, interpolation=cv2.INTER_LANCZOS4)
    encoded: Any = cv2.imencode(".png", np.ascontiguousarray(final[:, :, ::-1]))[1]
    write_whole(path, encoded.tobytes())


def parse_size(text: str) -> tuple[int, int]:
    """Reads "WIDTHxHEIGHT" in pixels.

    Raises:
        AustickerError: the text is something else.
    """
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and 0 < int(width) <= 8192 and 0 < int(height) <= 8192):
        raise AustickerError(f"The size '{text}' is not WIDTHxHEIGHT in pixels, such as 256x256.")
    return int(width), int(height)
