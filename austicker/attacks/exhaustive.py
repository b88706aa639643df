"""Every one of the 14 regions, and the best of them: the most that a fixed region can reach on a clip."""

from __future__ import annotations

from dataclasses import dataclass

from austicker import regions
from austicker.attacks.looks import Face, Walk, looks_at
from austicker.attacks.search import Search


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The regions are those of `austicker.regions.TABLE`; there is nothing to set."""

    @property
    def queries(self) -> int:
        """Returns one query for each region."""
        return len(regions.NAMES)

    def within(self, budget: int) -> Settings:
        """Returns the same search; the budget cuts it after the first regions of the table."""
        return self


def walk(face: Face, settings: Settings) -> Walk:
    """Tries the centres of all regions at once, in table order, with the sticker upright and opaque."""
    yield looks_at(regions.boxes(face.landmarks[None], aspect=face.aspect)[0, :, :2])


attack = Search(access="label", settings=Settings, walk=walk, stops=False)
