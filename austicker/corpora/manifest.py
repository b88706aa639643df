"""Clips of the user's own: a folder with a table that names them and says who and what they show; decodes no picture.

The table is `manifest.csv`, `manifest.parquet` or `labels.csv` in the root, exactly one of them, with the columns clip,
subject and label, and any of:

- path: a folder of frames, a video, one picture, or pictures separated by ";" in order of time. Without it the clip is
  the folder, the video or the picture in the root that is called like the clip.
- onset, apex, offset: numbers of frames. For pictures that is the number in the file's name, in a video the first frame
  is 0. By default a clip is everything that is there, and its apex the middle frame (the rule "apex-midpoint").
- action_units: such as "4+L12B".
- split: train, validation or test.
- consented: yes or no, whether the subject allowed the publication of the pictures.

A cell that makes no sense is an error, for the table is the user's to mend; a clip whose files are not as the table has
it is left out and reported. Frames that are missing between onset and offset are passed over ("gap-skipped").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from austicker import action_units
from austicker.corpora import listing, paths, pictures, tables
from austicker.corpora.paths import shown
from austicker.corpora.source import Files, Finding, Reading, SourceClip, Video
from austicker.terminal import printable
from austicker.types import AustickerError

TABLES = ("manifest.csv", "manifest.parquet", "labels.csv")
COLUMNS = ("clip", "subject", "label")
OPTIONAL = ("path", "onset", "apex", "offset", "action_units", "split", "consented")
SPLITS = ("", "train", "validation", "test")
ANSWERS = {"": None, "yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
VIDEOS = frozenset({".avi", ".mp4", ".mov", ".mkv"})
_NUMBER = re.compile(r"([0-9]+)[^0-9]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A row of the table, checked; a frame that is not given is None."""

    where: str
    clip: str
    subject: str
    label: str
    path: str
    onset: int | None
    apex: int | None
    offset: int | None
    coding: action_units.Coding
    split: str
    consented: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shelf:
    """What lies below the root; every folder is listed and every video measured once."""

    root: Path
    listings: dict[str, listing.Listing] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)

    def listed(self, folder: str) -> listing.Listing:
        """Returns what lies in a folder, the root as "."."""
        if folder not in self.listings:
            self.listings[folder] = listing.listed(self.root, folder)
        return self.listings[folder]

    def length(self, path: str) -> int:
        """Returns how many frames a video has."""
        if path not in self.lengths:
            self.lengths[path] = pictures.video_length(self.root / path)
        return self.lengths[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frames:
    """The frames that a row names: their numbers in order of time, and their pictures or the video they are in."""

    numbers: Sequence[int]
    pictures: tuple[str, ...] = ()
    video: str = ""
    whole_folder: bool = False


def read(root: Path) -> Reading:
    """Reads the table of a folder of own clips.

    Raises:
        AustickerError: there is not exactly one table, a cell makes no sense, a clip is there twice, two subjects are
            hardly to be told apart, a path leads out of the folder, or no clip can be used.
    """
    table = _table(root)
    read_rows = tables.parquet_rows if table.endswith(".parquet") else tables.csv_rows
    entries = [_entry(row) for row in read_rows(paths.inside(root, table), COLUMNS, OPTIONAL)]
    tables.refuse_duplicates((entry.clip, entry.where) for entry in entries)
    _refuse_look_alikes(entries)
    answers = _answers(entries)
    labels = tuple(sorted({entry.label for entry in entries}))
    shelf = _Shelf(root=root)
    clips: list[SourceClip] = []
    findings: list[Finding] = []
    for entry in entries:
        try:
            clip, repairs = _clip(shelf, entry, labels.index(entry.label))
        except paths.Unusable as fault:
            findings.append(Finding(clip=entry.clip, kind=fault.kind, text=str(fault)))
        else:
            clips.append(clip)
            findings.extend(repairs)
    if not clips:
        raise AustickerError(f"No clip of '{root / table}' can be used; the first fault: {findings[0].text}")
    return Reading(
        labels=labels,
        clips=tuple(clips),
        findings=tuple(findings),
        annotations=(table,),
        consented=tuple(sorted(subject for subject, answer in answers.items() if answer)),
        refused=tuple(sorted(subject for subject, answer in answers.items() if not answer)),
    )


def _table(root: Path) -> str:
    there = [name for name in TABLES if paths.what(root / name)]
    if len(there) != 1:
        found = " and ".join(there) or "none"
        raise AustickerError(f"'{root}' must hold one of {', '.join(TABLES)}, but holds {found}: keep exactly one.")
    return there[0]


def _entry(row: tables.Row) -> _Entry:
    """Returns a row whose cells all make sense.

    Raises:
        AustickerError: one does not.
    """
    for column in (*COLUMNS, *OPTIONAL):
        text = row.optional(column)
        if printable(text) != text or "\n" in text or "\t" in text:
            raise AustickerError(f"Column '{column}' of {row.where} holds control characters: retype '{shown(text)}'.")
    clip = row.text("clip")
    if not listing.CLIP_NAME.fullmatch(clip) or {"", ".", ".."} & set(clip.split("/")):
        raise AustickerError(
            f"Column 'clip' of {row.where} holds '{shown(clip)}': use letters, digits, '_', '-', '.' and '/'."
        )
    try:
        coding = action_units.parse(row.optional("action_units"))
    except AustickerError as fault:
        raise AustickerError(f"Column 'action_units' of {row.where}: {fault}") from fault
    return _Entry(
        where=row.where,
        clip=clip,
        subject=row.text("subject"),
        label=row.text("label"),
        path=row.optional("path"),
        onset=_frame(row, "onset"),
        apex=_frame(row, "apex"),
        offset=_frame(row, "offset"),
        coding=coding,
        split=_choice(row, "split", SPLITS),
        consented=ANSWERS[_choice(row, "consented", tuple(ANSWERS))],
    )


def _frame(row: tables.Row, column: str) -> int | None:
    if not row.optional(column):
        return None
    number = row.whole(column)
    if number < 0:
        raise AustickerError(f"Column '{column}' of {row.where} holds {number}: write the number of a frame.")
    return number


def _choice(row: tables.Row, column: str, known: Sequence[str]) -> str:
    text = row.optional(column).lower()
    if text not in known:
        choices = ", ".join(filter(None, known))
        found = shown(text)
        raise AustickerError(f"Column '{column}' of {row.where} holds '{found}': write {choices} or nothing.")
    return text


def _refuse_look_alikes(entries: Sequence[_Entry]) -> None:
    """Lets pass subjects that are written alike everywhere: else one person would be trained on and tested as two.

    Raises:
        AustickerError: two differ in capital letters or in Unicode's form of the same letters only.
    """
    seen: dict[str, _Entry] = {}
    for entry in entries:
        form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", entry.subject).casefold())
        other = seen.setdefault(form, entry)
        if other.subject != entry.subject:
            raise AustickerError(
                f"Subjects '{shown(other.subject)}' of {other.where} and '{shown(entry.subject)}' of {entry.where} "
                "differ in capital letters or Unicode form only: write both alike, or give two people unlike names."
            )


def _answers(entries: Sequence[_Entry]) -> dict[str, bool]:
    """Returns whether a subject consented, for each whose rows say so.

    Raises:
        AustickerError: the rows of one subject say both.
    """
    said: dict[str, _Entry] = {}
    for entry in entries:
        if entry.consented is not None:
            other = said.setdefault(entry.subject, entry)
            if other.consented != entry.consented:
                raise AustickerError(
                    f"Subject '{shown(entry.subject)}' consented by one of {other.where} and {entry.where} and not by "
                    "the other: ask, and write the same in both."
                )
    return {subject: bool(entry.consented) for subject, entry in said.items()}


def _clip(shelf: _Shelf, entry: _Entry, label: int) -> tuple[SourceClip, list[Finding]]:
    """Returns the clip of a row and what was repaired.

    Raises:
        Unusable: its frames are not as the row has them.
        AustickerError: its path leads out of the root.
    """
    frames = _frames(shelf, entry)
    first = 0 if entry.onset is None else _position(frames, entry, "onset", entry.onset)
    last = len(frames.numbers) - 1 if entry.offset is None else _position(frames, entry, "offset", entry.offset)
    middle = (first + last) // 2
    apex = middle if entry.apex is None else _position(frames, entry, "apex", entry.apex)
    if not first <= apex <= last:
        text = f"The frames of {entry.where} are not in the order onset, apex, offset: correct the row; it is left out."
        raise paths.Unusable(text, "inconsistent")
    repairs = list(_repairs(frames, entry, first, last))
    clip = SourceClip(
        clip=entry.clip,
        subject=entry.subject,
        label=label,
        frames=Video(path=frames.video, first=first, last=last)
        if frames.video
        else Files(paths=frames.pictures[first : last + 1]),
        onset=0,
        apex=apex - first,
        offset=last - first,
        action_units=tuple(action_units.canonical(unit) for unit in entry.coding.units),
        split=entry.split,
        repairs=tuple(repair.rule for repair in repairs),
    )
    return clip, repairs


def _position(frames: _Frames, entry: _Entry, column: str, number: int) -> int:
    if number not in frames.numbers:
        text = f"{column} {number} of {entry.where} is none of its {len(frames.numbers)} frames: correct it or add it."
        raise paths.Unusable(f"The {text[:-1]}; the clip is left out.", "missing")
    return frames.numbers.index(number)


def _repairs(frames: _Frames, entry: _Entry, first: int, last: int) -> Iterator[Finding]:
    """Yields what it took to read a row."""
    texts = {rule: action_units.RULES[rule].rstrip(".") for rule in entry.coding.repairs}
    if entry.apex is None and first < last:
        texts["apex-midpoint"] = f"no apex, so the middle frame, {frames.numbers[(first + last) // 2]}, is used"
    lacking = frames.numbers[last] - frames.numbers[first] - (last - first)
    if frames.whole_folder and lacking:
        texts["gap-skipped"] = paths.passed_over(lacking, "onset and offset")
    for rule, text in texts.items():
        yield Finding(clip=entry.clip, kind="repaired", text=f"{entry.where}: {text}.", rule=rule)


def _frames(shelf: _Shelf, entry: _Entry) -> _Frames:
    names = _named(shelf, entry) if entry.path else [_called(shelf, entry)]
    folder = names[0]
    if len(names) == 1 and folder.name in shelf.listed(str(folder.parent)).folders:
        return _of_folder(shelf, entry, str(folder))
    for name in names:
        if name.name not in shelf.listed(str(name.parent)).files:
            text = f"'{shown(str(name), 200)}' of {entry.where} is not there: copy it there; the clip is left out."
            raise paths.Unusable(text, "missing")
    if len(names) == 1 and names[0].suffix.lower() in VIDEOS:
        try:
            return _Frames(numbers=range(shelf.length(str(names[0]))), video=str(names[0]))
        except AustickerError as fault:
            raise paths.Unusable(str(fault), "unreadable") from fault
    return _of_pictures(entry, names)


def _named(shelf: _Shelf, entry: _Entry) -> list[PurePosixPath]:
    """Returns what the row's path names, relative to the root."""
    try:
        targets = [paths.inside(shelf.root, text.strip()) for text in entry.path.split(";")]
    except AustickerError as fault:
        raise AustickerError(f"Column 'path' of {entry.where}: {fault}") from fault
    return [PurePosixPath(target.relative_to(shelf.root).as_posix()) for target in targets]


def _called(shelf: _Shelf, entry: _Entry) -> PurePosixPath:
    """Returns the folder, the video or the picture that is called like the clip."""
    clip = PurePosixPath(entry.clip)
    there = shelf.listed(str(clip.parent))
    found = [clip.parent / name for name in there.folders if name == clip.name]
    for name in map(PurePosixPath, there.files):
        if name.stem == clip.name and name.suffix.lower() in VIDEOS | paths.SUFFIXES:
            found.append(clip.parent / name)
    if not found:
        text = f"Nothing is called like '{clip}' of {entry.where}: give its files in 'path'; the clip is left out."
        raise paths.Unusable(text, "missing")
    if len(found) > 1:
        names = " and ".join(f"'{shown(str(name), 200)}'" for name in found)
        text = f"{names} are both called like a clip of {entry.where}: name one in 'path'; the clip is left out."
        raise paths.Unusable(text, "inconsistent")
    paths.inside(shelf.root, str(found[0]))
    return found[0]


def _of_folder(shelf: _Shelf, entry: _Entry, folder: str) -> _Frames:
    listing.files_in(shelf.root, folder)  # refuses links out of the root
    found = paths.pictures_in(shelf.root, shelf.root / folder)
    if not found:
        text = f"The folder '{shown(folder, 200)}' of {entry.where} holds no numbered pictures: copy them there."
        raise paths.Unusable(text, "missing")
    return _Frames(numbers=tuple(found), pictures=tuple(found.values()), whole_folder=True)


def _of_pictures(entry: _Entry, names: Sequence[PurePosixPath]) -> _Frames:
    """Returns single pictures as frames; without numbers of their own they are counted from 0."""
    strange = [name for name in names if name.suffix.lower() not in paths.SUFFIXES]
    if strange:
        text = f"'{shown(str(strange[0]), 200)}' of {entry.where} is no picture, video or folder alone: correct 'path'."
        raise paths.Unusable(text, "inconsistent")
    found = [_NUMBER.search(name.stem) for name in names]
    numbers = [int(number[1]) for number in found if number]
    if len(set(numbers)) < len(names):
        if (entry.onset, entry.apex, entry.offset) != (None, None, None):
            text = (
                f"The pictures of {entry.where} have no numbers of their own for onset, apex and offset: rename them."
            )
            raise paths.Unusable(text, "inconsistent")
        numbers = list(range(len(names)))
    return _Frames(numbers=tuple(numbers), pictures=tuple(map(str, names)))
