"""What is wrong with a corpus on disk, clip by clip, and how many clips each protocol finds in it; packs nothing."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from austicker.corpora import Progress, pictures, points, prepared
from austicker.corpora.preparation import Preparation
from austicker.corpora.source import Finding, Reading, SourceClip
from austicker.regions import NAMES
from austicker.types import AustickerError, Clip, Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Outcome of looking at every annotation and every frame.

    Attributes:
        reading: the annotations.
        findings: those of the annotations and those of the frames.
        outline: the clips that can be used, as a corpus without pictures, for counting.
    """

    reading: Reading = field(repr=False)
    findings: tuple[Finding, ...]
    outline: Corpus = field(repr=False)


def examine(preparation: Preparation, progress: Progress) -> Examination:
    """Decodes every frame of a corpus once and keeps none.

    Raises:
        AustickerError: nothing usable is there.
    """
    reading = preparation.read()
    unreadable: dict[str, Finding] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = pool.map(lambda clip: _look(preparation, reading, clip), reading.clips)
        for number, (clip, finding) in enumerate(zip(reading.clips, looked, strict=True), 1):
            progress(number, len(reading.clips))
            if finding is not None:
                unreadable[clip.clip] = finding
    usable = [clip for clip in reading.clips if clip.clip not in unreadable]
    findings = (
        *(one for one in reading.findings if one.kind != "repaired" or one.clip not in unreadable),
        *unreadable.values(),
    )
    return Examination(reading=reading, findings=findings, outline=outline(preparation.name, reading, usable))


def _look(preparation: Preparation, reading: Reading, clip: SourceClip) -> Finding | None:
    """Returns what is wrong with a clip's frames, and with its own landmarks where they are to be used."""
    whole = prepared.trimmed(clip)
    try:
        deque(pictures.read(whole.frames, preparation.root, reading.channels), maxlen=0)
        if preparation.landmarks == "corpus":
            points.read(preparation.root, whole.landmarks)
    except AustickerError as error:
        return Finding(clip=clip.clip, kind="unreadable", text=str(error))
    return None


def outline(name: str, reading: Reading, clips: list[SourceClip]) -> Corpus:
    """Returns a corpus of clips whose faces have no pixels: their names, labels and lengths are all that counts."""
    lengths = [clip.offset - clip.onset + 1 for clip in clips]
    return Corpus(
        name=name,
        labels=reading.labels,
        clips=tuple(
            Clip(
                corpus=name,
                clip=clip.clip,
                subject=clip.subject,
                label=clip.label,
                onset=0,
                apex=clip.apex - clip.onset,
                offset=clip.offset - clip.onset,
                split=clip.split,
            )
            for clip in clips
        ),
        fingerprint="",
        digests=tuple(
            tuple(f"{clip.clip}#{n}" for n in range(length)) for clip, length in zip(clips, lengths, strict=True)
        ),
        lacks_subjects=reading.lacks_subjects,
        frames=[np.empty((length, 1, 1, 0), np.uint8) for length in lengths],
        landmarks=[np.empty((length, 68, 2), np.float32) for length in lengths],
        motion=list(np.empty((len(clips), len(NAMES)), np.float32)),
    )
