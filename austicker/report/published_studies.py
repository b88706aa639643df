"""What the studies' papers publish, as their tables print it, and what speaks against it; measures nothing."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

_ALIASES = {"angry": "anger", "sad": "sadness", "happiness": "happy", "surprised": "surprise"}
"""Names of the same class in other corpora, to those of the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """An accuracy in percent.

    Attributes:
        half_width: of the 95 % interval of 30 repeats, as it is printed after ±; None where none is.
        doubt: what speaks against it, or "".
        table: the paper's number of the table, or "".
        classes: accuracies by class, where the table has them.
    """

    accuracy: float
    half_width: float | None = None
    doubt: str = ""
    table: str = ""
    classes: Mapping[str, float] = field(default_factory=dict)


def class_name(label: str) -> str:
    """Returns the published name of a class."""
    plain = label.strip().lower()
    return _ALIASES.get(plain, plain)


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("austicker") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def per_class() -> Mapping[tuple[str, str, str], Printed]:
    """Returns Tables I, II, IV and V of Shehu and others by (condition, poisoned class or "", architecture).

    The paper's "Proposed" is our `landmark-forest`, and its ResNet of about 281,000 parameters our `resnet20`.
    """
    known = ("table", "condition", "poisoned", "architecture", "mean", "half_width", "doubt")
    return {
        (row["condition"], row["poisoned"], row["architecture"]): Printed(
            accuracy=float(row["mean"]),
            half_width=float(row["half_width"]),
            doubt=row["doubt"],
            table=row["table"],
            classes={name: float(value) for name, value in row.items() if name not in known},
        )
        for row in _rows("published-per-class.csv")
    }


@cache
def poisoning() -> Mapping[tuple[str, str], Printed]:
    """Returns Table III of the same paper by (poisoned class, architecture)."""
    return {
        (row["poisoned"], row["architecture"]): Printed(
            accuracy=float(row["accuracy"]), half_width=float(row["half_width"]), doubt=row["doubt"], table="III"
        )
        for row in _rows("published-poisoning.csv")
    }


@cache
def fer() -> Mapping[str, Printed]:
    """Returns Table 3 of the early AU-Sticker paper by condition: "clean", "random" and "causal"."""
    return {
        row["condition"]: Printed(accuracy=100 * float(row["accuracy"]), doubt=row["doubt"], table="3")
        for row in _rows("published-fer.csv")
    }


def of_condition(paper: str | None, poisoned: str | None, architecture: str | None) -> Printed | None:
    """Returns what is published for a condition and an architecture, or None.

    Args:
        paper: the paper's name of the condition, or None for one that it has not.
        poisoned: the class whose training pictures were changed, under any of its names, or None.
        architecture: its name on our shelf.
    """
    poison = class_name(poisoned) if poisoned else ""
    whole = per_class().get((paper or "", poison, architecture or ""))
    return whole or (poisoning().get((poison, architecture or "")) if paper == "Type A" else None)


def largest_loss(architecture: str) -> float:
    """Returns the most percentage points that an attack or poison costs an architecture in the landmark paper."""
    clean = per_class()["none", "", architecture].accuracy
    attacked = [printed for key, printed in (*per_class().items(), *poisoning().items()) if key[-1] == architecture]
    return clean - min(printed.accuracy for printed in attacked)
