"""From a recogniser's own labels to the classes of a study; asks no recogniser."""

from __future__ import annotations

from austicker.foreign.record import ForeignSettings
from austicker.registry import nearest
from austicker.types import AustickerError

SYNONYMS = (
    {"happy", "happiness"},
    {"sad", "sadness"},
    {"angry", "anger"},
    {"surprise", "surprised"},
    {"fear", "fearful"},
    {"disgust", "disgusted"},
)
REST = "*"
"""In `ForeignSettings.classes`: every label that is not named."""


def columns(settings: ForeignSettings, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Returns the class of each own label as a column: its position in `classes`, or their number for none of them.

    Raises:
        AustickerError: a label is mapped to a class that the study lacks, or a class has no label.
    """
    for own, name in settings.classes.items():
        if name and name not in classes:
            hint = nearest(name, classes) or f"; known: {', '.join(classes)}"
            raise AustickerError(
                f"The recogniser '{settings.label}' maps '{own}' to '{name}', which is no class of the study{hint}."
            )
    found = tuple(_column(settings, own, classes) for own in settings.labels)
    for column, name in enumerate(classes):
        if column not in found:
            own = settings.labels[0]
            raise AustickerError(
                f"No label of the recogniser '{settings.label}' ({', '.join(settings.labels)}) stands for the class "
                f'\'{name}\' of the study: map one, such as classes = {{ "{own}" = "{name}" }}.'
            )
    return found


def _column(settings: ForeignSettings, own: str, classes: tuple[str, ...]) -> int:
    """Returns the column of one own label."""
    if settings.classes:
        name = settings.classes.get(own, settings.classes.get(REST, ""))
        return classes.index(name) if name else len(classes)
    meanings = [_meaning(name) for name in classes]
    return meanings.index(_meaning(own)) if _meaning(own) in meanings else len(classes)


def _meaning(name: str) -> str:
    """Returns one word for all synonyms of a label."""
    word = name.strip().lower()
    return next((min(group) for group in SYNONYMS if word in group), word)
