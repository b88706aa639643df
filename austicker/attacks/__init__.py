"""The shelf of attacks; listing them, and checking their settings, imports no torch.

Another package adds an attack (`austicker.attacks.search.Attack`) by an entry point in the group `austicker.attacks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from austicker.registry import Registry

if TYPE_CHECKING:
    from austicker.attacks.search import Attack

_NAMES = ("sticker", "random", "exhaustive", "dense", "rhde", "dopatch", "unified", "clean", "fgsm", "filters")
_BOXES = {"eye-boxes": "austicker.attacks.boxes:eye_boxes", "jaw-box": "austicker.attacks.boxes:jaw_box"}
ATTACKS: Registry[Attack] = Registry(
    "attack", "austicker.attacks", {name: f"austicker.attacks.{name}:attack" for name in _NAMES} | _BOXES
)


def made() -> frozenset[str]:
    """Returns what verdicts call that which attacks make instead of wearing a sticker."""
    return frozenset(ATTACKS[name].makes for name in ATTACKS.names()) - {""}
