"""The shelf of attacks; listing them imports no torch.

Another package adds an attack by an entry point in the group `austicker.attacks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from austicker.registry import Registry

if TYPE_CHECKING:
    from austicker.attacks.trials import Attack

ATTACKS: Registry[Attack] = Registry("attack", "austicker.attacks", {"sticker": "austicker.attacks.sticker:attack"})
