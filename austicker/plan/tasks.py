"""The unit of scheduling as a record that travels; plans nothing and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, Literal

from austicker import results
from austicker.corpora.source import SourceClip
from austicker.types import Cell

Stage = Literal["prepare", "train", "discover", "attack"]

_CELL_FIELDS = tuple(item.name for item in fields(Cell))
_values = attrgetter(*_CELL_FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The unit of scheduling, as ids and records; `needs` are the ids of the tasks that must end before.

    Attributes:
        corpus: name of the study, or in stage "prepare" of the corpus.
        fold: the fold's name, or "" in stage "prepare".
        model: label of the recogniser, or "" in stages "prepare" and "discover".
        weights: identity of the trained weights, or "" in stages "prepare" and "discover".
        graph: identity of the fold's causal graph, or "" in stages "prepare" and "train".
        attack: label of the attack, or "" in other stages.
        surrogate: identity of the weights of the recogniser on which the attack makes its pictures, or "".
        kinds: in stage "discover", the graph ("graph") and choices that are wanted.
        cells: what an attack shard still has to do.
        clips: how many test clips each cell is evaluated on.
        sources: what stage "prepare" packs.
    """

    id: str
    stage: Stage
    corpus: str
    fold: str = ""
    model: str = ""
    seed: int = 0
    weights: str = ""
    graph: str = ""
    attack: str = ""
    surrogate: str = ""
    kinds: tuple[str, ...] = ()
    cells: tuple[Cell, ...] = ()
    clips: int = 0
    needs: tuple[str, ...] = ()
    sources: tuple[SourceClip, ...] = ()

    @property
    def rows(self) -> int:
        """Returns the number of verdict rows that the task writes."""
        return len(self.cells) * self.clips

    @property
    def title(self) -> str:
        """Returns a short name for progress and failures."""
        return " ".join(part for part in (self.stage, self.attack, self.model, self.corpus, self.fold) if part)

    def with_cells(self, cells: tuple[Cell, ...]) -> Task:
        """Returns the attack on these cells alone, named after them."""
        return replace(self, id=f"attack-{results.part_name(cell.id for cell in cells)}", cells=cells)

    def __reduce__(self) -> tuple[Any, ...]:
        """Packs the cells in columns: one by one they are most of what a task costs a run with many workers."""
        columns = tuple(zip(*map(_values, self.cells), strict=True))
        rest = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "cells"}
        return _unpacked, (rest, columns)


def _unpacked(rest: dict[str, Any], columns: tuple[tuple[Any, ...], ...]) -> Task:
    cells = (Cell(**dict(zip(_CELL_FIELDS, values, strict=True))) for values in zip(*columns, strict=True))
    return Task(**rest, cells=tuple(cells))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What a task did: verdict rows written, clips shown to a recogniser, and those of them that an attack asked."""

    rows: int = 0
    evaluations: int = 0
    queries: int = 0
