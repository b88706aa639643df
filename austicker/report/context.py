"""What the report must know besides the verdicts, as plain frozen records; reads no store itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from austicker.choices import RegionChoice
from austicker.types import Box, Bytes, RegionGraph

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusInfo:
    """A corpus in words and counts.

    Attributes:
        synthetic: one sentence to print wherever results are shown, or "" for recorded clips.
        planted: edges (cause, effect) of a planted causal model, or () where the truth is unknown.
        folds_run: folds that the job evaluates, of `folds_total` that the protocol has.
        parts: the corpora of which it consists; itself alone unless it is a composite.
        counts: sentences that set the clips found beside the published numbers.
        left_out: training clips left out because their pictures are among the test clips.
        unusable: clips or files of the corpora that were left out when they were prepared, by the reason.
        repaired: clips by the rule that mended their annotation or frames.
        consented: subjects who allowed the publication of their pictures.
        lacks_subjects: the corpus does not say who is who, so every clip counts as a person of its own.
    """

    labels: tuple[str, ...]
    synthetic: str
    fingerprint: str
    n_clips: int
    n_subjects: int
    planted: tuple[tuple[str, str], ...] = ()
    folds_run: int
    folds_total: int
    parts: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    left_out: int = 0
    unusable: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    consented: tuple[str, ...] = ()
    lacks_subjects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A recogniser's settings.

    Attributes:
        parameters: how many it has, or 0 where nobody counted them, as in a foreign recogniser.
        reduced: in words how it is smaller than published, or "".
        seconds: mean wall clock of one "training" and of "answering" one clip over its "trainings", which are counted;
            empty where nobody measured.
    """

    settings: Json
    parameters: int
    reduced: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanFace:
    """The mean of a corpus' faces at their onsets; `picture` is (h, w, 3) uint8 RGB, `boxes` the 14 regions on it."""

    picture: Bytes = field(compare=False, repr=False)
    boxes: Mapping[str, Box]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that the report prints and that no verdict holds.

    Attributes:
        name: the job's name.
        job: the canonical job.
        provenance: titles ("versions", "hardware", "git") to names to values.
        corpora: by name.
        models: by label, which is the verdicts' `model`.
        graphs: by (corpus, fold).
        truth: by (corpus, fold), scores of a graph against the planted one (`planted_truth.against_truth`).
        choices: by (corpus, fold, kind), the regions that other rules chose.
        skipped: sentences that say which attack was not run on which recogniser, and why.
        failures: one mapping per failed shard, printed as it is.
        faces: by name of the corpus, those that may be shown.
        examples: (caption, (h, w, 3) uint8 RGB) of attacked faces.
        grid: the same in rows, each of one face: as it is, and then changed by each attack that wears nothing.
    """

    name: str
    job: Json
    provenance: Mapping[str, Json]
    corpora: Mapping[str, CorpusInfo]
    models: Mapping[str, ModelInfo]
    cells_expected: int
    cells_done: int
    graphs: Mapping[tuple[str, str], RegionGraph] = field(default_factory=dict)
    truth: Mapping[tuple[str, str], Mapping[str, float | bool | None]] = field(default_factory=dict)
    choices: Mapping[tuple[str, str, str], RegionChoice] = field(default_factory=dict)
    skipped: Sequence[str] = ()
    failures: Sequence[Json] = ()
    faces: Mapping[str, MeanFace] = field(default_factory=dict)
    examples: Sequence[tuple[str, Bytes]] = field(default=(), compare=False, repr=False)
    grid: Sequence[Sequence[tuple[str, Bytes]]] = field(default=(), compare=False, repr=False)
