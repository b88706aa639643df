"""A contact sheet: clips of a corpus at onset and apex, with landmarks and regions, to be looked at by a person.

It judges nothing and shows people's faces: who may see it is the corpus' licence's to say.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from austicker.regions import locate
from austicker.registry import nearest
from austicker.store import write_whole
from austicker.types import AustickerError, Bytes, Clip, Corpus, Floats

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PANEL_PX = 224
"""Faces are enlarged to this width, or shrunk to it."""
FINE = 3
"""Lines and dots are drawn this many times larger and then shrunk, which smooths them."""
MARGIN_PX, GAP_PX, LEADING_PX = 24, 4, 5
PAPER, INK, MUTED = "#ffffff", "#1f2933", "#66727f"
BOX, DOT, WARNING = "#56b4e9", "#f0e442", "#d55e00"
"""Sky blue, yellow and vermilion of Okabe and Ito, told apart with any colour vision."""
GOLDEN = 0.6180339887498949
"""Steps of this share fall everywhere alike; so the clips that stand for people are not all their first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of text."""

    text: str
    colour: str = INK
    size_px: int = 14

    @property
    def font(self) -> Font:
        """Returns Pillow's own typeface, which is the same on every machine."""
        return ImageFont.load_default(self.size_px)


def choose(corpus: Corpus, count: int, subject: str | None = None) -> tuple[int, ...]:
    """Returns the positions of at most `count` clips, spread evenly over the people and over each one's clips.

    Raises:
        AustickerError: the corpus has no such subject.
    """
    owned: dict[str, list[int]] = {}
    for position, clip in enumerate(corpus.clips):
        owned.setdefault(clip.subject, []).append(position)
    if subject is not None:
        if subject not in owned:
            hint = nearest(subject, owned) or f"; known: {', '.join(sorted(owned)[:20])}"
            raise AustickerError(f"Unknown subject '{subject}' of corpus '{corpus.name}'{hint}.")
        owned = {subject: owned[subject]}
    people = list(owned)
    shares = dict.fromkeys(people, 0)
    left = min(count, sum(map(len, owned.values())))
    while left:
        open_people = [one for one in people if shares[one] < len(owned[one])]
        turn = open_people if left >= len(open_people) else [open_people[at] for at in _spread(len(open_people), left)]
        for one in turn:
            shares[one] += 1
        left -= len(turn)
    chosen = [
        owned[one][at]
        for number, one in enumerate(people)
        for at in _spread(len(owned[one]), shares[one], number * GOLDEN % 1)
    ]
    return tuple(sorted(chosen))


def _spread(length: int, count: int, start: float = 0.5) -> list[int]:
    """Returns `count` of the numbers below `length`, at equal distances."""
    return [int((number + start) * length / count) for number in range(count)]


def sheet(corpus: Corpus, positions: Sequence[int], columns: int = 3) -> Bytes:
    """Draws clips in rows of `columns`: onset and apex side by side, or one picture where they are the same frame.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        AustickerError: no clip is wanted.
    """
    if not positions:
        raise AustickerError(f"No clip of corpus '{corpus.name}' was chosen for the sheet: ask for at least one.")
    tiles = [_tile(corpus, position) for position in positions]
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    across = min(columns, len(tiles))
    down = -(-len(tiles) // across)
    room = across * (width + MARGIN_PX) - MARGIN_PX
    head = _header(corpus, len(tiles), room)
    top = head.height + 2 * MARGIN_PX
    paper = Image.new("RGB", (room + 2 * MARGIN_PX, top + down * (height + MARGIN_PX)), PAPER)
    paper.paste(head, (MARGIN_PX, MARGIN_PX))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, across)
        paper.paste(tile, (MARGIN_PX + column * (width + MARGIN_PX), top + row * (height + MARGIN_PX)))
    return np.asarray(paper)


def write(corpus: Corpus, positions: Sequence[int], path: Path) -> None:
    """Writes the sheet as a PNG file.

    Raises:
        AustickerError: no clip is wanted, or the file cannot be written.
    """
    buffer = io.BytesIO()
    Image.fromarray(sheet(corpus, positions)).save(buffer, format="PNG", optimize=True)
    write_whole(path, buffer.getvalue())


def _header(corpus: Corpus, shown: int, room: int) -> Image.Image:
    """Returns what the sheet shows, and that it is synthetic where it is."""
    count = len({clip.subject for clip in corpus.clips})
    people = "subjects unknown" if corpus.lacks_subjects else f"{count} subject{'s' * (count != 1)}"
    facts = [people, f"faces of {corpus.size[0]} x {corpus.size[1]} px", "dots: 68 landmarks", "boxes: 14 regions"]
    lines = [Line(text=f"{corpus.name}: {shown} of {len(corpus.clips)} clips", size_px=18)]
    lines += [Line(text=text, colour=MUTED, size_px=13) for text in (" · ".join(facts), corpus.synthetic) if text]
    return _text(lines, room)


def _tile(corpus: Corpus, position: int) -> Image.Image:
    """Returns one clip with its caption."""
    clip, frames, landmarks = corpus.clips[position], corpus.frames[position], corpus.landmarks[position]
    shown = [clip.onset] if clip.apex == clip.onset else [clip.onset, clip.apex]
    panels = [_panel(frames[index], landmarks[index]) for index in shown]
    width, height = len(panels) * (PANEL_PX + GAP_PX) - GAP_PX, panels[0].height
    caption = _text(_caption(clip, corpus.labels[clip.label]), width)
    tile = Image.new("RGB", (width, height + GAP_PX + caption.height), PAPER)
    for number, panel in enumerate(panels):
        tile.paste(panel, (number * (PANEL_PX + GAP_PX), 0))
    tile.paste(caption, (0, height + GAP_PX))
    return tile


def _caption(clip: Clip, label: str) -> list[Line]:
    """Returns the lines below a clip."""
    when = f"onset {clip.onset}, apex {clip.apex}" if clip.apex != clip.onset else ""
    units = "AU " + "+".join(clip.action_units) if clip.action_units else ""
    known = [label, clip.subject if clip.subject != clip.clip else "", units, when]
    lines = [Line(text=clip.clip), Line(text=" · ".join(filter(None, known)), colour=MUTED)]
    return [*lines, Line(text="repaired: " + ", ".join(clip.repairs), colour=WARNING)] if clip.repairs else lines


def _panel(frame: Bytes, landmarks: Floats) -> Image.Image:
    """Returns one face, enlarged, with its regions and landmarks."""
    height, width = frame.shape[:2]
    face = Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame).convert("RGB")
    size = (PANEL_PX, round(PANEL_PX * height / width))
    large = face.resize((size[0] * FINE, size[1] * FINE), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(large)
    extent = np.array(large.size)
    for box in locate(landmarks, aspect=width / height).values():
        centre, half = np.array([box.centre.x, box.centre.y]), np.array([box.half_width, box.half_height])
        pen.rectangle([*((centre - half) * extent), *((centre + half) * extent)], outline=BOX, width=FINE)
    for x, y in landmarks * extent:
        for radius, colour in ((2.2 * FINE, INK), (1.4 * FINE, DOT)):
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    return large.resize(size, Image.Resampling.LANCZOS)


def _text(lines: Sequence[Line], room: int) -> Image.Image:
    """Returns lines of text, each broken where it is wider than its room."""
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    rows = [(part, line) for line in lines for part in _broken(pen, line, room)]
    paper = Image.new("RGB", (room, sum(line.size_px + LEADING_PX for _, line in rows)), PAPER)
    pen, y = ImageDraw.Draw(paper), 0
    for part, line in rows:
        pen.text((0, y), part, fill=line.colour, font=line.font)
        y += line.size_px + LEADING_PX
    return paper


def _broken(pen: ImageDraw.ImageDraw, line: Line, room: int) -> list[str]:
    """Returns a line in parts that fit: broken between words, or within a word that is wider than the room."""
    parts, rest = [], line.text
    while pen.textlength(rest, font=line.font) > room:
        fitting = next(end for end in range(len(rest) - 1, 0, -1) if end == 1 or _fits(pen, rest[:end], line, room))
        end = rest.rfind(" ", 0, fitting + 1)
        end = end if end > 0 else fitting
        parts.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*parts, rest]


def _fits(pen: ImageDraw.ImageDraw, text: str, line: Line, room: int) -> bool:
    return pen.textlength(text, font=line.font) <= room
