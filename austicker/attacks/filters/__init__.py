"""Photo filters as an attack; their search imports no torch.

Baia, Biondi, Franzoni, Milani and Poggioni: "Lie to Me: Shield Your Emotions from Prying Software", Sensors 2022.
"""

from __future__ import annotations

from austicker.attacks.filters.evolution import Settings, attack, walk

__all__ = ["Settings", "attack", "walk"]
