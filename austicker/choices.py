"""Which region a rule other than the paper's would choose on a fold's training clips; it places no sticker.

The rules are variants of the causal election ("stable", "per-class", "per-subject") and controls, which share its
query cost and lack one thing each: dependence ("permuted"), a face ("blank"), conditioning ("correlation"), any graph
("motion"), or causality altogether ("tuned", the region that worked best on the training subjects). Where the corpus
gives a rule nothing to decide by, the choice has no winner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker import causal
from austicker.independence import as_tested, chosen_test, usable
from austicker.regions import NAMES
from austicker.types import AustickerError, Bytes, Corpus, DiscoverySettings, Floats, RegionGraph

BLANK_PX = 64
"""Longer side of the blank picture; a face of 256 takes seconds, and the winner changes with the size (our choice)."""
BLANK_GREY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionChoice:
    """What one rule chose.

    Attributes:
        kind: one of `KINDS`, or "tuned".
        winner: the region, or None where the rule has no answer; always None for "per-class".
        by_class: the winner of each class of the study, for "per-class" alone.
        scores: what each region got by the rule, in table order; where graphs or classes vote, `causal.NOBODY` at the
            end got the votes of those without a directed edge. A region that takes no part is not named.
        decided_by: the last rule that was needed: the kind's own, a tie-break, "index" (table order), or what lacked.
        resamples: how many resamples voted, for "stable" alone.
    """

    kind: str
    winner: str | None
    by_class: tuple[str | None, ...] = ()
    scores: tuple[tuple[str, float], ...]
    decided_by: str
    resamples: int = 0

    def region(self, label: int | None) -> str | None:
        """Returns the region for a clip of one class; only "per-class" looks at the class.

        Raises:
            AustickerError: a choice by class was asked without a class, or for one that it does not know.
        """
        if self.kind != "per-class":
            return self.winner
        if label is None or not 0 <= label < len(self.by_class):
            raise AustickerError("Placement 'causal/per-class' needs the class of a clip; give clips of this study.")
        return self.by_class[label]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """A fold's training clips, as the rules see them."""

    corpus: Corpus
    positions: Sequence[int]
    settings: DiscoverySettings
    seed: int

    @property
    def subjects(self) -> list[str]:
        return [self.corpus.clips[position].subject for position in self.positions]

    @property
    def labels(self) -> list[int]:
        return [self.corpus.clips[position].label for position in self.positions]

    def activity(self) -> NDArray[Any]:
        return causal.activity_of(self.corpus, self.positions, self.settings)


def choose(
    kind: str, corpus: Corpus, positions: Sequence[int], settings: DiscoverySettings, *, seed: int
) -> RegionChoice:
    """Returns what the rule `kind` chooses on the clips at `positions` (a fold's training clips); reads no other clip.

    - "stable": the region that leads most resamples of the training subjects; a shared lead is split.
    - "per-class": the winner of each class' own graph. The sticker goes where the clip's own class says: the wearer
      knows which emotion they hide.
    - "per-subject": the region that leads most subjects' own graphs; a shared lead is split. A subject's few clips
      seldom give an edge.
    - "permuted": the paper's rule after every column's rows were shuffled by themselves.
    - "blank": the published script's rule on a plain grey picture with the mean training landmarks.
    - "correlation": the region of most marginal dependences, by the same test and level; then of the smallest p-values.
    - "motion": the region that moves most on average.

    Args:
        kind: one of `KINDS`.
        corpus: the study's clips.
        positions: the training clips.
        settings: how graphs are found.
        seed: of what is drawn.

    Raises:
        AustickerError: the kind is unknown or cannot be had by these settings, or the clips' motion is not finite.
    """
    check(kind, settings)
    return _RULES[kind](_Training(corpus=corpus, positions=positions, settings=settings, seed=seed))


def check(kind: str, settings: DiscoverySettings) -> None:
    """Refuses a kind that these settings cannot give, before any clip is read.

    Raises:
        AustickerError: the kind is unknown, needs a table of clips or resamples.
    """
    if kind not in KINDS:
        raise AustickerError(f"Unknown region choice '{kind}'; known: {', '.join(KINDS)}.")
    if settings.method == "per-image" and kind not in ("blank", "motion"):
        raise AustickerError(
            f"Region choice '{kind}' needs a table of clips and discovery method 'per-image' has none; "
            "set the discovery method to chi-square."
        )
    if kind == "stable" and settings.bootstraps < 1:
        raise AustickerError("Region choice 'stable' needs resamples; set bootstraps in [discovery] to 1 or more.")


def _stable(training: _Training) -> RegionChoice:
    graphs = causal.resampled(
        training.activity(),
        NAMES,
        settings=training.settings,
        subjects=training.subjects,
        rng=np.random.default_rng(training.seed),
    )
    count = training.settings.bootstraps
    led = {name: share / count for name, share in causal.votes(graphs).items()}
    winner, decided_by = _most(led, "bootstrap", "no directed edge")
    return RegionChoice(kind="stable", winner=winner, scores=_with_nobody(led), decided_by=decided_by, resamples=count)


def _per_class(training: _Training) -> RegionChoice:
    activity, labels, subjects = training.activity(), np.array(training.labels), np.array(training.subjects)
    winners = []
    for label in range(len(training.corpus.labels)):
        own = labels == label
        graph = _elected(activity[own], training.settings, subjects[own], (training.seed, label)) if own.any() else None
        winners.append(graph.winner if graph else None)
    won = Counter(winner or causal.NOBODY for winner in winners)
    return RegionChoice(
        kind="per-class", winner=None, by_class=tuple(winners), scores=_with_nobody(won), decided_by="the clip's class"
    )


def _per_subject(training: _Training) -> RegionChoice:
    activity, subjects = training.activity(), np.array(training.subjects)
    led = causal.votes(
        causal.graph_of(activity[subjects == subject], NAMES, training.settings) for subject in np.unique(subjects)
    )
    winner, decided_by = _most(led, "majority of subjects", "no directed edge")
    return RegionChoice(kind="per-subject", winner=winner, scores=_with_nobody(led), decided_by=decided_by)


def _permuted(training: _Training) -> RegionChoice:
    activity = np.random.default_rng(training.seed).permuted(training.activity(), axis=0)
    return _by_degree("permuted", _elected(activity, training.settings, training.subjects, (training.seed, 1)))


def _blank(training: _Training) -> RegionChoice:
    corpus = training.corpus
    apexes = [corpus.landmarks[position][corpus.clips[position].apex] for position in training.positions]
    landmarks: Floats = np.stack(apexes).mean(axis=0)
    graph = causal.discover_per_image(_blank_picture(corpus.size), landmarks, alpha=training.settings.alpha)
    return _by_degree("blank", graph)


def _blank_picture(size: tuple[int, int]) -> Bytes:
    """Returns a plain grey picture in the shape of a corpus' faces, at most `BLANK_PX` long."""
    scale = min(1.0, BLANK_PX / max(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return np.full((height, width, 1), BLANK_GREY, np.uint8)


def _correlation(training: _Training) -> RegionChoice:
    columns = as_tested(training.activity(), training.settings)
    kept = usable(columns)
    degree, strength = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    if len(kept) > 1:
        test = chosen_test(columns[:, kept], training.settings)
        for x, first in enumerate(kept):
            for y, second in enumerate(kept[:x]):
                p = test(x, y, ())
                if p <= training.settings.alpha:
                    degree[[first, second]] += 1
                    strength[[first, second]] -= np.log10(max(p, np.finfo(float).tiny))
    scores = _in_order(dict(zip(NAMES, degree, strict=True)))
    winner, decided_by = _most(dict(scores), "degree", "no dependence")
    if decided_by == "index":
        tied = causal.leaders(NAMES, dict(scores))
        winner, decided_by = _most({name: strength[NAMES.index(name)] for name in tied}, "strength", "no dependence")
    return RegionChoice(kind="correlation", winner=winner, scores=scores, decided_by=decided_by)


def _motion(training: _Training) -> RegionChoice:
    motion = np.stack([training.corpus.motion[position] for position in training.positions])
    causal.check_finite(motion, NAMES)
    means = dict(zip(NAMES, motion.mean(axis=0, dtype=np.float64), strict=True))
    winner, decided_by = _most(means, "motion", "no motion")
    return RegionChoice(kind="motion", winner=winner, scores=_in_order(means), decided_by=decided_by)


def tuned(errors: Mapping[str, float], confidence: Mapping[str, float]) -> RegionChoice:
    """Returns the region whose sticker cost a recogniser most on the training subjects.

    Args:
        errors: error rate by region, with the sticker there.
        confidence: mean score of the true class by region; the lowest breaks a tie, table order the next.
    """
    scores = _in_order({name: errors[name] for name in NAMES if name in errors})
    if not scores:
        return RegionChoice(kind="tuned", winner=None, scores=(), decided_by="no training clip")
    tied = causal.leaders([name for name, _ in scores], errors)
    winner, decided_by = tied[0], "error rate"
    if len(tied) > 1:
        left = causal.leaders(tied, {name: -confidence[name] for name in tied})
        winner, decided_by = left[0], "true-class score" if len(left) == 1 else "index"
    return RegionChoice(kind="tuned", winner=winner, scores=scores, decided_by=decided_by)


def to_record(choice: RegionChoice) -> dict[str, Any]:
    """Returns a choice as JSON values."""
    lists = {"by_class": list(choice.by_class), "scores": [list(score) for score in choice.scores]}
    return asdict(choice) | lists


def from_record(record: Mapping[str, Any]) -> RegionChoice:
    """Returns the choice that `to_record` wrote.

    Raises:
        KeyError: something of a choice lacks.
        TypeError: something is not of its type, or is no part of a choice.
        ValueError: a region is unknown.
    """
    scores = tuple((str(name), float(score)) for name, score in record["scores"])
    choice = RegionChoice(**{**record, "scores": scores, "by_class": tuple(record["by_class"])})
    named = {choice.winner, *choice.by_class, *(name for name, _ in scores)} - {None, causal.NOBODY, *NAMES}
    if named:
        raise ValueError(f"a choice names regions that do not exist: {sorted(map(str, named))}")
    return choice


def _elected(
    activity: NDArray[Any], settings: DiscoverySettings, subjects: Sequence[str], seed: tuple[int, int]
) -> RegionGraph:
    """Returns the graph of a table with the paper's winner."""
    rng = np.random.default_rng(seed)
    return causal.discover(activity, NAMES, settings=settings, subjects=subjects, rng=rng)


def _by_degree(kind: str, graph: RegionGraph) -> RegionChoice:
    """Returns a graph's winner as a choice whose scores are directed out-degrees."""
    degree = Counter(cause for cause, _ in graph.directed)
    scores = _in_order({name: degree[name] for name in graph.regions})
    return RegionChoice(kind=kind, winner=graph.winner, scores=scores, decided_by=graph.decided_by)


def _most(scores: Mapping[str, float], own: str, lacking: str) -> tuple[str | None, str]:
    """Returns the region of the highest score and what decided: the rule's own name, "index", or what lacked."""
    tied = causal.leaders(NAMES, scores)
    if not any(scores.get(name, 0) for name in NAMES):
        return None, lacking
    return tied[0], own if len(tied) == 1 else "index"


def _in_order(scores: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(scores[name])) for name in NAMES if name in scores)


def _with_nobody(led: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(led.get(name, 0))) for name in (*NAMES, causal.NOBODY))


_RULES: Mapping[str, Callable[[_Training], RegionChoice]] = {
    "stable": _stable,
    "per-class": _per_class,
    "per-subject": _per_subject,
    "permuted": _permuted,
    "blank": _blank,
    "correlation": _correlation,
    "motion": _motion,
}
KINDS: tuple[str, ...] = tuple(_RULES)
