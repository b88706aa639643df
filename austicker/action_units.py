"""Action units as their coders wrote them, to records; reads one text and knows no corpus.

FACS numbers its units, descriptors and head or eye positions below 100, so every number from 1 to 99 is taken for one.
L and R are FACS's: the person's own sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from austicker.types import AustickerError

Side = Literal["L", "R", ""]
Intensity = Literal["A", "B", "C", "D", "E", ""]

RULES: Mapping[str, str] = {
    "remark-dropped": "A remark that names no unit ('soft focus') is dropped.",
    "reference-dropped": "'ref(7B)' counts as 7B: the word and its brackets are dropped.",
    "first-alternative": "Of alternatives joined by 'or' the first counts.",
    "prefix-dropped": "A (asymmetry), T (top) or B (bottom) before a unit is dropped: it names no side of the face.",
    "lower-intensity": "Of two intensities, as in 4A/B, the lower counts.",
}
"""What is done to a text that says more, or less, than which units were seen; each use is recorded by its name."""
TEXT_LIMIT = 200
"""Characters; no coder named so many units."""
# All blanks are single ones when a pattern meets them, so none has to try how many belong to which of its parts.
_REMARK = re.compile(r"\(? ?soft focus ?\)?", re.IGNORECASE)
_REFERENCE = re.compile(r"ref ?\(([^()]*)\)", re.IGNORECASE)
_SEPARATORS = " +,;"
_BRACKETS = re.compile(r"\(([^()]*)\)")
_OR = re.compile("or", re.IGNORECASE)
_UNIT = re.compile(
    r"""(?:AU[ ]?)?
        (?:(?P<prefix>[ATB])(?:[ ]?/[ ]?(?=[LR]))?[ ]?)?
        (?:(?P<side>[LR])[ ]?)?
        (?P<number>[0-9]{1,2})[ ]?
        (?P<intensity>[A-E](?:[ ]?/[ ]?[A-E])?)?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionUnit:
    """One unit: its number 1..99, the person's side ("" for both) and its intensity ("" where none was coded)."""

    number: int
    side: Side = ""
    intensity: Intensity = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """The units of one text in its order; `repairs` are the names of the `RULES` that were needed to read it."""

    units: tuple[ActionUnit, ...]
    repairs: tuple[str, ...] = ()


def canonical(unit: ActionUnit) -> str:
    """Returns the one way in which this project writes a unit, such as "12", "L12" or "R14A"."""
    return f"{unit.side}{unit.number}{unit.intensity}"


def parse_unit(text: str) -> ActionUnit:
    """Returns a single unit, read by the rules for prefixes and intensities.

    Raises:
        AustickerError: the text is no action unit.
    """
    return _unit(_single_blanks(text))[0]


def parse(text: str | int) -> Coding:
    """Returns the units of a text such as "L2+26+38" or "ref(7B)+43"; a text of blanks names none.

    '+' parts units, and 'or' the alternatives for one of them.

    Raises:
        AustickerError: a part of the text is no action unit, or it has more than `TEXT_LIMIT` characters.
    """
    *remarked, plain = _REMARK.split(_single_blanks(str(text)))
    if remarked:
        plain = ("".join(part.rstrip(_SEPARATORS) for part in remarked) + plain).strip(_SEPARATORS)
    plain, references = _REFERENCE.subn(r"\1", plain)
    used = {"remark-dropped"} if remarked else set()
    used |= {"reference-dropped"} if references else set()
    units = []
    for part in plain.split("+") if plain.strip() else []:
        bracketed = _BRACKETS.fullmatch(part.strip())
        alternatives = [_unit(choice) for choice in _OR.split(bracketed[1] if bracketed else part)]
        unit, rules = alternatives[0]
        units.append(unit)
        used |= rules | ({"first-alternative"} if len(alternatives) > 1 else set())
    return Coding(units=tuple(units), repairs=tuple(rule for rule in RULES if rule in used))


def _single_blanks(text: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise AustickerError(
            f"The action units '{text[:20]}...' have {len(text):,} characters, and at most {TEXT_LIMIT} can be read: "
            "write them as 4+7."
        )
    return " ".join(text.split())


def _unit(text: str) -> tuple[ActionUnit, set[str]]:
    """Returns a single unit and the rules that it took."""
    found = _UNIT.fullmatch(text.strip())
    if found is None or int(found["number"]) == 0:
        raise AustickerError(f"'{text}' is no action unit; write one as 12, L12 or R14A, and several as 4+7.")
    letters = sorted(letter for letter in (found["intensity"] or "").upper() if letter.isalpha())
    unit = ActionUnit(
        number=int(found["number"]),
        side=cast(Side, (found["side"] or "").upper()),
        intensity=cast(Intensity, letters[0] if letters else ""),
    )
    rules = {"prefix-dropped"} if found["prefix"] else set()
    return unit, rules | ({"lower-intensity"} if len(letters) > 1 else set())
