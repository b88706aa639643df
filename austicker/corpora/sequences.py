"""What the micro-expression corpora share: an annotation's frame numbers brought together with the frames on disk.

It knows no corpus and opens no picture. A clip is the frames from onset to offset; what lies around them is not used.
The rules that mend an annotation, in the order in which they are tried:

- "offset-last-frame": an offset that is not after the onset, lies before an apex that is on disk, or lies beyond the
  last frame on disk becomes the last frame on disk.
- "apex-midpoint": an apex that is missing or lies before the onset becomes the middle frame between onset and offset.
  It is not clamped to the onset, for such a clip would show no motion at all.
- "apex-clamped": an apex after the offset becomes the offset.
- "nearest-frame": an onset or apex that is missing on disk becomes the nearest frame between onset and offset, at most
  `NEAREST` numbers away; with none so near the clip is left out.
- "gap-skipped": other frames that are missing on disk are passed over.

Action units that cannot be read cost a clip its units, by the rule "action-units-unread", but not its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from austicker import action_units
from austicker.corpora import paths, tables
from austicker.corpora.source import Files, Finding, SourceClip
from austicker.types import AustickerError

NEAREST = 2
"""A frame further away shows another moment: 2 frames are 10 ms at the 200 frames a second of CASME II and SAMM."""
NO_APEX = ("", "/")
"""How a table says that a clip has no apex."""
Name = tuple[str, str]
"""A clip's subject and its own name."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One clip as its annotation has it, with frame numbers as in the names of the picture files.

    Attributes:
        name: the clip's own name, a part of its folder's.
        folder: where its frames lie, relative to the corpus' root.
        where: file and row that say so, for people.
        apex: None where the annotation has none.
        repairs: what was mended in the row already.
    """

    name: str
    subject: str
    label: int
    folder: str
    where: str
    onset: int
    apex: int | None
    offset: int
    action_units: tuple[str, ...] = ()
    repairs: tuple[Finding, ...] = ()

    @property
    def clip(self) -> str:
        """Returns the clip's name in the corpus."""
        return f"{self.subject}/{self.name}"


def annotated(
    rows: Iterable[tables.Row],
    name_of: Callable[[tables.Row], Name],
    annotate: Callable[[int, tables.Row, Name], Annotation],
) -> tuple[list[Annotation], list[Finding]]:
    """Makes an annotation of every row, counted from 0; a row that makes no sense is a finding.

    Raises:
        AustickerError: two rows describe one clip, or the table cannot be read.
    """
    annotations: list[Annotation] = []
    findings: list[Finding] = []
    named: list[tuple[str, str]] = []
    for index, row in enumerate(rows):
        clip = ""
        try:
            name = name_of(row)
            clip = "/".join(name) if _NAME.fullmatch(name[1]) else ""
            named.append(("/".join(name), row.where))
            annotations.append(annotate(index, row, name))
        except AustickerError as fault:
            findings.append(Finding(clip=clip, kind="inconsistent", text=str(fault)))
    tables.refuse_duplicates(named)
    return annotations, findings


def apex_of(row: tables.Row, column: str) -> int | None:
    """Returns the apex of a row, None where the table has none.

    Raises:
        AustickerError: what stands there is no whole number.
    """
    return None if row.optional(column) in NO_APEX else row.whole(column)


def label_of(row: tables.Row, column: str, labels: Sequence[str]) -> int:
    """Returns the index of a row's emotion, in upper or lower case and with or without a plural "s".

    Raises:
        AustickerError: the corpus knows no such emotion.
    """
    text = row.text(column)
    for index, label in enumerate(labels):
        if text.lower().removesuffix("s") == label.removesuffix("s"):
            return index
    known = ", ".join(labels)
    raise AustickerError(f"Column '{column}' of {row.where} holds '{paths.shown(text)}': write one of {known}.")


def units_of(
    row: tables.Row, column: str, clip: str, known: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Returns the action units of a row and what it took to read them.

    Args:
        row: the row.
        column: where its units stand.
        clip: the clip's name.
        known: what public code reads a text as, by that text without blanks.
    """
    text = row.optional(column)
    shown = paths.shown(text)
    repairs: list[Finding] = []
    if published := known.get("".join(text.split())):
        repairs.append(repaired(clip, row.where, "published-alternative", f"'{shown}' counts as '{published}'"))
        text = published
    try:
        coding = action_units.parse(text)
    except AustickerError as fault:
        unread = (
            f"the action units '{shown}' cannot be read ({paths.shown(str(fault), 120).rstrip('.')}), so none count"
        )
        return (), (repaired(clip, row.where, "action-units-unread", unread),)
    for rule in coding.repairs:
        repairs.append(repaired(clip, row.where, rule, f"the action units '{shown}' are read by the rule '{rule}'"))
    return tuple(action_units.canonical(unit) for unit in coding.units), tuple(repairs)


def clips_of(root: Path, annotations: Iterable[Annotation]) -> tuple[list[SourceClip], list[Finding]]:
    """Brings annotations together with the pictures in their folders.

    Raises:
        AustickerError: a name is absolute or a folder leaves the root.
    """
    clips: list[SourceClip] = []
    findings: list[Finding] = []
    for annotation in annotations:
        # Within the folder's path an absolute name would pass for a harmless one.
        paths.inside(root, annotation.name)
        folder = paths.inside(root, annotation.folder)
        if not _NAME.fullmatch(annotation.name):
            name = paths.shown(annotation.name)
            text = f"{annotation.where} names the clip '{name}': use letters, digits, '_', '-' and '.' only."
            findings.append(Finding(clip="", kind="inconsistent", text=text))
            continue
        try:
            clip, found = place(annotation, paths.pictures_in(root, folder))
        except paths.Unusable as fault:
            clip, found = None, (Finding(clip=annotation.clip, kind=fault.kind, text=str(fault)),)
        findings += found
        if clip is not None:
            clips.append(clip)
    return clips, findings


def place(annotation: Annotation, pictures: Mapping[int, str]) -> tuple[SourceClip | None, tuple[Finding, ...]]:
    """Finds onset, apex and offset among the frames on disk.

    Args:
        annotation: the clip.
        pictures: path of each frame on disk by its number.

    Returns:
        The clip, or None where it cannot be used, and what was mended or why it is left out.
    """
    if len(pictures) < 2:
        return None, (_missing(annotation, f"holds {len(pictures)} picture{'' if pictures else 's'}"),)
    offset, offset_repairs = _offset(annotation, pictures)
    used = sorted(number for number in pictures if annotation.onset <= number <= offset)
    if len(used) < 2 or used[0] - annotation.onset > NEAREST:
        return None, (_missing(annotation, f"lacks the frames from onset {annotation.onset} on"),)
    apex, apex_repairs = _apex(annotation, offset, used)
    if apex not in used:
        return None, (_missing(annotation, f"lacks the frames near apex {apex}"),)
    clip = SourceClip(
        clip=annotation.clip,
        subject=annotation.subject,
        label=annotation.label,
        frames=Files(paths=tuple(pictures[number] for number in used)),
        onset=0,
        apex=used.index(apex),
        offset=len(used) - 1,
        action_units=annotation.action_units,
    )
    return clip, (*annotation.repairs, *offset_repairs, *apex_repairs, *_gaps(annotation, offset, used))


def repaired(clip: str, where: str, rule: str, text: str) -> Finding:
    """Returns what a rule mended."""
    return Finding(clip=clip, kind="repaired", text=f"{where}: {text}.", rule=rule)


def _missing(annotation: Annotation, what: str) -> Finding:
    folder = paths.shown(annotation.folder, 200)
    text = f"'{folder}' {what} for {annotation.where}: copy the clip's frames there, or go on without it."
    return Finding(clip=annotation.clip, kind="missing", text=text)


def _offset(annotation: Annotation, pictures: Mapping[int, str]) -> tuple[int, tuple[Finding, ...]]:
    last = max(pictures)
    before_apex = annotation.apex in pictures and annotation.apex is not None and annotation.offset < annotation.apex
    if annotation.onset < annotation.offset <= last and not before_apex:
        return annotation.offset, ()
    text = f"offset {annotation.offset} cannot be, so the last frame on disk, {last}, is used"
    return last, (repaired(annotation.clip, annotation.where, "offset-last-frame", text),)


def _apex(annotation: Annotation, offset: int, used: Sequence[int]) -> tuple[int, tuple[Finding, ...]]:
    """Returns the apex, which is not among the frames used where none of them is near it."""

    def nearest(wanted: int) -> int:
        return min(used, key=lambda number: (abs(number - wanted), number))

    clip, where, apex = annotation.clip, annotation.where, annotation.apex
    if apex is None or apex < annotation.onset:
        middle = nearest((annotation.onset + offset) // 2)
        shown = "no apex" if apex is None else f"apex {apex} lies before onset {annotation.onset}"
        return middle, (repaired(clip, where, "apex-midpoint", f"{shown}, so the middle frame, {middle}, is used"),)
    repairs: list[Finding] = []
    wanted = apex
    if apex > offset:
        wanted = offset
        text = f"apex {apex} lies after offset {offset}, which is used"
        repairs.append(repaired(clip, where, "apex-clamped", text))
    near = nearest(wanted)
    if abs(near - wanted) > NEAREST:
        return wanted, ()
    if near != wanted:
        text = f"apex {wanted} is not on disk, so the nearest frame, {near}, is used"
        repairs.append(repaired(clip, where, "nearest-frame", text))
    return near, tuple(repairs)


def _gaps(annotation: Annotation, offset: int, used: Sequence[int]) -> tuple[Finding, ...]:
    """Tells which frames are not on disk."""
    findings: list[Finding] = []
    if used[0] != annotation.onset:
        text = f"onset {annotation.onset} is not on disk, so the nearest frame, {used[0]}, is used"
        findings.append(repaired(annotation.clip, annotation.where, "nearest-frame", text))
    lacking = offset - used[0] + 1 - len(used)
    if lacking:
        text = paths.passed_over(lacking, f"onset {used[0]} and offset {offset}")
        findings.append(repaired(annotation.clip, annotation.where, "gap-skipped", text))
    return tuple(findings)


def refuse_none(clips: Sequence[SourceClip], findings: Sequence[Finding], what: str) -> None:
    """Refuses a corpus without a usable clip.

    Raises:
        AustickerError: there is none; the sentence tells the first reason.
    """
    if not clips:
        first = findings[0].text.rstrip(".") if findings else "there are no clips"
        raise AustickerError(f"No clip of {what} can be used; the first of {len(findings)} findings: {first}.")
