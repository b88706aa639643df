"""A job as records: what it names, in canonical form and as JSON values; checks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pydantic

from austicker import foreign, models, stickers
from austicker.attacks import ATTACKS
from austicker.corpora import Landmarks
from austicker.foreign import ForeignSettings
from austicker.types import DiscoverySettings, Hides, ModelSettings, Variant

PAPER_SIDE = 0.2
"""The paper's S = (2W/10, 2H/10)."""
STRICT = pydantic.ConfigDict(extra="forbid")
Scale = Literal["published", "reduced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusChoice:
    """A corpus of the job.

    Attributes:
        root: the folder of its data; none for an embedded one.
        folds: how many folds are evaluated; all where it is None.
        landmarks: who says where a face's points are.
        train_per_class: the most clips of each class that are trained on in a fold, drawn by name; None for all.
        test_per_class: the same of those that are tested on.
    """

    __pydantic_config__ = STRICT

    name: str
    root: str | None = None
    folds: int | None = None
    landmarks: Landmarks = "mediapipe"
    train_per_class: int | None = None
    test_per_class: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackChoice:
    """One attack with its part of the grid.

    Attributes:
        label: what the verdicts call it, by default its name and whatever differs from the paper's setting.
        hides: the true class, or the recogniser's own answer to the clean clip, which is then known without a query.
        surrogate: label of the recogniser on which an attack that needs gradients makes its pictures; each on its own
            where it is None.
        placements: where an attack that does not search puts its stickers.
        side: of the sticker as a fraction of the face's width and height.
        variant: on which frames the sticker is and whether it moves (`austicker.placements.variants`).
        bend: the sticker is bent over the face.
        budget: the most queries for one clip; as many as the settings ask for where the job gives none.
        remember: a picture that is asked for again is answered from memory; otherwise it is shown again.
        settings: the attack's own parameters, with every default filled in.
    """

    __pydantic_config__ = STRICT

    name: str = "sticker"
    label: str = ""
    hides: Hides = "label"
    surrogate: str | None = None
    stickers: tuple[str, ...] = tuple(stickers.STICKERS)
    placements: tuple[str, ...] = ("causal", "random", "positions", "region/*", "centre")
    random_draws: int = 5
    side: float = PAPER_SIDE
    variant: Variant = "same-place"
    bend: bool = False
    budget: int | None = None
    remember: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def sticker_names(self) -> tuple[str, ...]:
        """Returns the stickers of its cells, as the job gives them."""
        return self.stickers or (ATTACKS[self.name].makes,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked job: every name is known and every default filled in.

    Attributes:
        only: by label of a recogniser, the corpora on which it is attacked, where these are not all.
        meets: by label of a recogniser, the labels of the attacks that it meets, where these are not all.
        scale: "reduced" where parts of the job file stand for a smaller run.
        reductions: what these parts say, and what they stand for, as sentences.
    """

    name: str
    description: str
    protocol: str
    corpora: tuple[CorpusChoice, ...]
    models: tuple[ModelSettings | ForeignSettings, ...]
    discovery: DiscoverySettings
    attacks: tuple[AttackChoice, ...]
    seeds: tuple[int, ...]
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    meets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scale: Scale = "published"
    reductions: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Returns the canonical job as JSON values; `from_record` is its inverse."""
        return asdict(self)


def from_record(record: Mapping[str, Any]) -> Job:
    """Returns the job of a canonical record."""
    return Job(
        name=record["name"],
        description=record["description"],
        protocol=record["protocol"],
        corpora=tuple(CorpusChoice(**corpus) for corpus in record["corpora"]),
        models=tuple(_model(model) for model in record["models"]),
        discovery=DiscoverySettings(**record["discovery"]),
        attacks=tuple(
            AttackChoice(**{**attack, "stickers": tuple(attack["stickers"]), "placements": tuple(attack["placements"])})
            for attack in record["attacks"]
        ),
        seeds=tuple(record["seeds"]),
        only={label: tuple(names) for label, names in record["only"].items()},
        meets={label: tuple(names) for label, names in record.get("meets", {}).items()},
        scale=record.get("scale", "published"),
        reductions=tuple(record.get("reductions", ())),
    )


def _model(record: Mapping[str, Any]) -> ModelSettings | ForeignSettings:
    return foreign.from_record(record) if record["name"] in foreign.FOREIGN.names() else models.from_record(record)
