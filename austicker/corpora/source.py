"""What an adapter says of a corpus before any frame is decoded: clips, where their frames lie, and what is wrong.

An adapter reads annotations and lists files, nothing more; decoding, landmarks, alignment and packing are the same for
all corpora.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["missing", "unreadable", "inconsistent", "repaired"]
Points = bytes
"""The 68 iBUG points of one picture as (x, y) in its pixels: 136 little-endian float32, because tables have many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as the corpus' description has it.

    Attributes:
        clip: the clip, or "" for the whole corpus.
        kind: "repaired" where `rule` mended it; with every other kind the clip, or the file, is left out.
        text: one sentence: what, where, and the mend where the user can do something.
        rule: name of the rule that repaired it, such as "apex-midpoint"; "" for the other kinds.
    """

    clip: str
    kind: Kind
    text: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Frames as picture files in order of time; `paths` lie below the corpus' root and are relative to it."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Frames `first` to `last` (both counted from 0, both included) of a video file below the root."""

    path: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One square gray picture as numbers in a CSV file: `length` bytes from `offset` are its text."""

    path: str
    offset: int
    length: int
    side_px: int


Frames = Files | Video | Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """The face's rectangle in a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceClip:
    """One annotated clip or picture.

    Attributes:
        clip: name, unique in the corpus; made of letters, digits and "_-./" only.
        subject: the person; where a corpus names none, the clip's own name.
        label: index in `Reading.labels`.
        onset: position among the clip's frames, like `apex` and `offset`; 0 <= onset <= apex <= offset < frames.
        action_units: as coded, in `austicker.action_units`' canonical notation.
        split: "train", "validation", "test" or "": the corpus' own division.
        crop: the face, where the annotation has it.
        landmarks: the annotation's own points of each frame: a file below the root (text with 68 lines "x y", or
            .npy), or the points themselves; () where there are none.
        repairs: names of the rules that mended it, filled in from the findings by `prepared.Preparation.read`.
    """

    clip: str
    subject: str
    label: int
    frames: Frames
    onset: int
    apex: int
    offset: int
    action_units: tuple[str, ...] = ()
    split: str = ""
    crop: Crop | None = None
    landmarks: tuple[str | Points, ...] = ()
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A corpus as its annotations describe it.

    Attributes:
        labels: every emotion of the corpus, in a fixed order that no copy changes.
        clips: the clips that can be used, in a fixed order.
        findings: what was left out or repaired.
        channels: 1 for a gray corpus, 3 for colour.
        framing: "align" brings faces to the template; "whole" keeps pictures that are faces already, resized.
        face_px: (width, height) of the packed faces.
        annotations: files that were read, relative to the root; a change of one makes a prepared copy stale.
        consented: subjects who allowed the publication of their pictures.
        refused: subjects who are on record as not allowing it.
        lacks_subjects: the corpus does not say who is who, so nothing can be split by person.
    """

    labels: tuple[str, ...]
    clips: tuple[SourceClip, ...]
    findings: tuple[Finding, ...] = ()
    channels: Literal[1, 3] = 3
    framing: Literal["align", "whole"] = "align"
    face_px: tuple[int, int] = (224, 256)
    annotations: tuple[str, ...] = ()
    consented: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    lacks_subjects: bool = False


Reader = Callable[[Path], Reading]
"""Reads the annotations below a root folder; raises AustickerError where nothing usable is there."""
