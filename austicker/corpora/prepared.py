"""A corpus of the user's own folder, decoded, aligned and packed once: one shard of it, the end, and opening it.

Who packs the shards, and where, is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from austicker.corpora import packed, pictures, points, shards
from austicker.corpora.preparation import Framing, Portion, Preparation, state_of, without_repairs
from austicker.corpora.shards import Packed, Shard, picture_digest
from austicker.corpora.source import Files, Finding, Reading, SourceClip, Video
from austicker.faces import Landmarker, landmarker
from austicker.faces.alignment import RULES, NoFace, aligned_clip, cut, given, whole_clip
from austicker.store import Store, draft_of
from austicker.types import AustickerError, Bytes, Clip, Corpus


def missing(preparation: Preparation, wanted: Iterable[Portion]) -> tuple[Portion, ...]:
    """Returns the shards that are not there, or damaged."""
    return tuple(portion for portion in wanted if _opened(preparation, portion) is None)


def _opened(preparation: Preparation, portion: Portion) -> Shard | None:
    try:
        return Shard(preparation.folder / portion.name)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def forget_failed(preparation: Preparation) -> None:
    """Removes shards of which a clip could not be read or showed no face: the next preparation tries them again.

    A disk that was away for a moment, or a permission, leaves no trace in a file's size and date.
    """
    for path in preparation.folder.glob("*.arrow"):
        shard = _opened(preparation, Portion(name=path.name, clips=()))
        if shard is None or any(finding.kind != "repaired" for finding in shard.findings):
            path.unlink(missing_ok=True)


def pack(preparation: Preparation, framing: Framing, portion: Portion) -> None:
    """Makes one shard and puts it into the prepared folder.

    A clip that cannot be decoded or shows no face becomes a finding in the shard, and the others go on.

    Raises:
        AustickerError: the root is not there, the landmarker is missing, or the folder cannot be written.
    """
    if not preparation.root.is_dir():
        raise AustickerError(
            f"The folder '{preparation.root}' of corpus '{preparation.name}' is not on this machine: give every node "
            "the same path, or prepare on one machine without --address."
        )
    clips: list[Packed] = []
    findings: list[Finding] = []
    with landmarker("mediapipe" if preparation.landmarks == "corpus" else preparation.landmarks) as find:
        for source in portion.clips:
            try:
                packed_clip = _packed(preparation, framing, trimmed(source), find)
            except NoFace as error:
                findings.append(Finding(clip=source.clip, kind="missing", text=str(error)))
                continue
            except AustickerError as error:
                findings.append(Finding(clip=source.clip, kind="unreadable", text=str(error)))
                continue
            clips.append(packed_clip)
            for rule in packed_clip.clip.repairs[len(source.repairs) :]:
                findings.append(Finding(clip=source.clip, kind="repaired", rule=rule, text=RULES[rule]))
    try:
        with draft_of(preparation.folder / portion.name) as draft:
            shards.write(draft, clips, findings)
            draft.chmod(0o644)
            draft.replace(preparation.folder / portion.name)
    except OSError as error:
        raise packed.unwritable(preparation.name, preparation.folder, error) from error


def _packed(preparation: Preparation, framing: Framing, source: SourceClip, find: Landmarker) -> Packed:
    """Returns one clip as faces."""
    digests: list[str] = []
    make = aligned_clip if framing.framing == "align" else whole_clip
    if preparation.landmarks == "corpus" and source.landmarks:
        find = _own_points(preparation.root, source)
    made = make(_pictures(preparation.root, framing, source, digests), find, framing.face_px)
    clip = Clip(
        corpus=preparation.name,
        clip=source.clip,
        subject=source.subject,
        label=source.label,
        onset=source.onset,
        apex=source.apex,
        offset=source.offset,
        action_units=source.action_units,
        split=source.split,
        repairs=(*source.repairs, *made.repairs),
    )
    return Packed(clip=clip, frames=made.frames, landmarks=made.landmarks, pictures=tuple(digests))


def _pictures(root: Path, framing: Framing, source: SourceClip, digests: list[str]) -> Iterator[Bytes]:
    """Yields a clip's pictures, cut to the face where the annotation says where it is, and notes their digests."""
    for picture in pictures.read(source.frames, root, framing.channels):
        crop = source.crop
        face = picture if crop is None else cut(picture, (crop.x, crop.y), (crop.width, crop.height))
        digests.append(picture_digest(face))
        yield face


def _own_points(root: Path, source: SourceClip) -> Landmarker:
    corner = (source.crop.x, source.crop.y) if source.crop else (0, 0)
    return given([found - np.array(corner, np.float32) for found in points.read(root, source.landmarks)])


def trimmed(source: SourceClip) -> SourceClip:
    """Returns a clip whose first frame is its onset and whose last its offset: nothing else is decoded."""
    kept = slice(source.onset, source.offset + 1)
    frames = source.frames
    if isinstance(frames, Files):
        frames = Files(paths=frames.paths[kept])
    elif isinstance(frames, Video):
        frames = replace(frames, first=frames.first + source.onset, last=frames.first + source.offset)
    return replace(
        source,
        frames=frames,
        landmarks=source.landmarks[kept],
        onset=0,
        apex=source.apex - source.onset,
        offset=source.offset - source.onset,
    )


def conclude(preparation: Preparation, reading: Reading, made: Sequence[Portion], annotations: str) -> packed.Record:
    """Writes the record of a corpus whose shards are all there, which makes it ready, and drops shards of before.

    Args:
        preparation: which corpus.
        reading: its annotations.
        made: its shards, in order.
        annotations: `state_of` them when they were read.

    Raises:
        AustickerError: a shard is damaged, or no clip at all could be packed.
    """
    rows: list[str] = []
    findings = list(reading.findings)
    for portion in made:
        shard = _opened(preparation, portion)
        if shard is None:
            raise packed.damaged(preparation.folder, f"{portion.name} cannot be read")
        rows += shard.row_digests()
        findings += shard.findings
    gone = {finding.clip for finding in findings if finding.kind != "repaired" and finding.clip}
    if not rows:
        first = next((finding.text for finding in findings if finding.clip in gone), "no clip is named there")
        raise AustickerError(f"No clip of corpus '{preparation.name}' in '{preparation.root}' can be used: {first}")
    record = packed.Record(
        name=preparation.name,
        labels=reading.labels,
        fingerprint=packed.fingerprint(reading.labels, rows),
        shards=tuple(portion.name for portion in made),
        consented=reading.consented,
        lacks_subjects=reading.lacks_subjects,
        findings=tuple(without_repairs(findings, gone)),
        source=annotations,
    )
    if record != packed.read_record(preparation.folder):
        store = Store(preparation.folder)
        store.write(packed.RECORD, packed.in_bytes(record))
        for key in store.keys(""):
            if key.endswith(".arrow") and key not in record.files:
                store.remove(key)
        store.sweep()
    return record


State = Literal["missing", "stale", "ready"]


def state(preparation: Preparation) -> State:
    """Tells whether a corpus is prepared, and whether its annotations are still those it was prepared from.

    Raises:
        AustickerError: the record is damaged.
    """
    record = packed.read_record(preparation.folder)
    if record is None:
        return "missing"
    known = [name for name, *_ in json.loads(record.source)]
    return "ready" if state_of(preparation.root, known) == record.source else "stale"


def open_prepared(preparation: Preparation) -> Corpus:
    """Opens a prepared corpus.

    Raises:
        AustickerError: it is not prepared, its annotations have changed since, or it is damaged.
    """
    found = state(preparation)
    corpus = packed.load(preparation.folder) if found == "ready" else None
    if corpus is None:
        reason = "is not prepared" if found == "missing" else "has other annotations than when it was prepared"
        landmarks = "" if preparation.landmarks == "mediapipe" else f" --landmarks {preparation.landmarks}"
        raise AustickerError(
            f"Corpus '{preparation.name}' in '{preparation.root}' {reason}: run `austicker-grid data prepare "
            f"{preparation.name} --root {preparation.root}{landmarks}`."
        )
    return corpus
