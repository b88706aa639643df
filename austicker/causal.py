"""The door to causal-learn: a table of region activity in, a `RegionGraph` by name out; it places no sticker.

Every graph comes from the PC algorithm (Spirtes, Glymour and Scheines, 2000) in its order-independent form: the stable
skeleton (Colombo and Maathuis, 2014), then unshielded colliders by separating set, then Meek's rules. Two colliders
that claim one edge in opposite directions make it bidirected (causal-learn's `uc_rule=0, uc_priority=1`), so that the
order of the columns decides nothing. Edges are read off the graph's matrix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker import regions as table
from austicker.independence import FisherZ, Resampled, Test, as_tested, chosen_test, correlation, statistic, usable
from austicker.motion import activity_from_action_units, pixel_box
from austicker.types import AustickerError, Bytes, Corpus, DiscoverySettings, Floats, RegionGraph

METHODS = ("chi-square", "g-square", "fisher-z", "action-units", "per-image")
BOTH_HEADS, FIRST_COMES = 1, 2
"""causal-learn's `uc_priority`: what two colliders do that claim one edge; `FIRST_COMES` is its default."""
NOBODY = "nobody"
"""Who leads a graph without a directed edge, in a count of `votes`."""
Edges = tuple[tuple[str, str], ...]


def _search(
    test: Test, names: Sequence[str], alpha: float, max_conditions: int | None, conflict: int
) -> tuple[Edges, Edges, Edges]:
    """Runs PC; returns the directed, undirected and bidirected edges by name."""
    from causallearn.utils.PCUtils import Meek, SkeletonDiscovery, UCSepset

    shape_only = np.empty((0, len(names)))  # with a ready test, the search reads only how many columns there are
    skeleton: Any = SkeletonDiscovery.skeleton_discovery(
        shape_only, alpha, test, stable=True, show_progress=False, max_k=max_conditions
    )
    skeleton.test = None  # what follows asks no test, and would copy this one deeply with every answer it knows
    matrix = Meek.meek(UCSepset.uc_sepset(skeleton, conflict)).G.graph
    directed, undirected, bidirected = [], [], []
    for i, first in enumerate(names):
        for j, second in enumerate(names[i + 1 :], i + 1):
            # causal-learn writes the mark at i's end into [i, j]: 1 is an arrow head, -1 a tail
            marks = (int(matrix[i, j]), int(matrix[j, i]))
            if marks == (-1, 1):
                directed.append((first, second))
            elif marks == (1, -1):
                directed.append((second, first))
            elif marks == (-1, -1):
                undirected.append((first, second))
            elif marks == (1, 1):
                bidirected.append((first, second))
    return tuple(directed), tuple(undirected), tuple(bidirected)


def graph_of(activity: NDArray[Any], regions: Sequence[str], settings: DiscoverySettings) -> RegionGraph:
    """Returns the graph of one table (n, r), without a winner."""
    columns = as_tested(activity, settings)
    return _graph(columns, regions, settings, lambda kept: chosen_test(columns[:, kept], settings))


def _graph(
    columns: NDArray[Any],
    names: Sequence[str],
    settings: DiscoverySettings,
    test: Callable[[list[int]], Test],
) -> RegionGraph:
    """Returns the graph of the columns that can be used, whose test `test` gives, without a winner."""
    kept = usable(columns)
    present = tuple(names[j] for j in kept)
    if len(kept) < 2:
        return _named(names, present, ((), (), ()))
    return _named(names, present, _search(test(kept), present, settings.alpha, settings.max_conditions, BOTH_HEADS))


def _named(names: Sequence[str], present: tuple[str, ...], edges: tuple[Edges, Edges, Edges]) -> RegionGraph:
    """Returns a graph without a winner whose `dropped` are the names that are not present."""
    dropped = tuple(name for name in names if name not in present)
    directed, undirected, bidirected = edges
    return RegionGraph(
        regions=present, dropped=dropped, directed=directed, undirected=undirected, bidirected=bidirected
    )


def elect(graph: RegionGraph, frequency: Callable[[], Mapping[str, float]]) -> RegionGraph:
    """Returns `graph` with its winner: the highest directed out-degree, ties broken in the order of `decided_by`.

    Args:
        graph: a graph without a winner.
        frequency: how often each region led in resamples; asked only while a tie stands.
    """
    degree = Counter(cause for cause, _ in graph.directed)
    if not degree:
        return replace(graph, winner=None, decided_by="no directed edge", tied=())
    half = Counter(region for edge in graph.undirected for region in edge)
    tied = leaders(graph.regions, degree)
    left, decided_by = tied, "out-degree"
    if len(left) > 1:
        left, decided_by = leaders(left, {name: degree[name] + half[name] / 2 for name in left}), "half-undirected"
    if len(left) > 1:
        left, decided_by = leaders(left, frequency()), "bootstrap"
    if len(left) > 1:
        left, decided_by = left[:1], "index"
    return replace(graph, winner=left[0], decided_by=decided_by, tied=tied if len(tied) > 1 else ())


def leaders(names: Sequence[str], score: Mapping[str, float]) -> tuple[str, ...]:
    """Returns the names of the highest score; who has none has 0."""
    best = max(score.get(name, 0) for name in names)
    return tuple(name for name in names if score.get(name, 0) == best)


def votes(graphs: Iterable[RegionGraph]) -> dict[str, float]:
    """Returns how many graphs each region leads by directed out-degree; `NOBODY` leads those without a directed edge.

    A graph in which several regions lead is shared out between them.
    """
    shares: dict[str, Fraction] = {}
    for graph in graphs:
        degree = Counter(cause for cause, _ in graph.directed)
        leading = leaders(graph.regions, degree) if degree else (NOBODY,)
        for name in leading:
            shares[name] = shares.get(name, Fraction(0)) + Fraction(1, len(leading))
    return {name: float(share) for name, share in shares.items()}


def resampled(
    activity: NDArray[Any],
    regions: Sequence[str],
    *,
    settings: DiscoverySettings,
    subjects: Sequence[str],
    rng: np.random.Generator,
) -> Iterator[RegionGraph]:
    """Yields the graph of each of `settings.bootstraps` resamples of whole subjects, drawn with replacement.

    The quantile bins stay those of the whole table, so that the resamples answer one question, and so that
    contingency tables are counted once per subject for all of them.
    """
    columns = as_tested(activity, settings)
    _, owners = np.unique(subjects, return_inverse=True)
    groups = [np.flatnonzero(owners == owner) for owner in range(owners.max() + 1)]
    draws = rng.integers(len(groups), size=(settings.bootstraps, len(groups)))
    if settings.method == "fisher-z":
        for drawn in draws:
            yield graph_of(columns[np.concatenate([groups[owner] for owner in drawn])], regions, settings)
        return
    times = (draws[:, :, None] == np.arange(len(groups))).sum(axis=1)
    tables = Resampled(columns, owners, times, statistic(settings))
    for number, drawn in enumerate(draws):
        rows = np.concatenate([groups[owner] for owner in drawn])
        yield _graph(columns[rows], regions, settings, partial(tables.test, number))


def discover(
    activity: NDArray[Any],
    regions: Sequence[str],
    *,
    settings: DiscoverySettings,
    subjects: Sequence[str],
    rng: np.random.Generator,
) -> RegionGraph:
    """Returns the causal graph of the regions and its winner.

    A column that is constant, or equals an earlier one (after binning, for the binned tests), is dropped and named.

    Args:
        activity: (n, r) region motion, or 0 and 1 for "action-units"; one row per clip.
        regions: the r names, in table order.
        settings: any method but "per-image".
        subjects: the person of each row; a tie is broken by resampling persons.
        rng: drawn from only where a tie needs it.

    Raises:
        AustickerError: the table is not (n, r), holds NaN or infinity, or the method works on no table.
    """
    _check_method(settings)
    if activity.shape != (len(subjects), len(regions)):
        raise AustickerError(
            f"Region activity is {activity.shape}; it must be clips x regions, {len(subjects)} x {len(regions)}."
        )
    check_finite(activity, regions)
    again = partial(resampled, activity, regions, settings=settings, subjects=subjects, rng=rng)
    return elect(graph_of(activity, regions, settings), lambda: votes(again()))


def _check_method(settings: DiscoverySettings) -> None:
    if settings.method not in METHODS[:4]:
        raise AustickerError(f"Discovery method '{settings.method}' works on no table; use one of {METHODS[:4]}.")


def check_finite(activity: NDArray[Any], regions: Sequence[str]) -> None:
    """Refuses a table with NaN or infinity, and names its regions.

    Raises:
        AustickerError: there is one.
    """
    bad = [name for name, column in zip(regions, activity.T, strict=True) if not np.isfinite(column).all()]
    if bad:
        raise AustickerError(f"Region activity of {', '.join(bad)} is not finite; check the clips' landmarks.")


def discover_per_image(image: Bytes, landmarks: Floats, *, alpha: float = 0.05) -> RegionGraph:
    """Returns the graph of a single picture as the AU-Sticker repository's code makes it; kept for comparison only.

    The deleted `main_au.py` blackens the picture outside each region, takes the values of the 14 copies as samples
    and runs causal-learn's default PC with Fisher's z: no cap on the conditions. Pixels of one picture are no
    independent samples: the graph is dense whatever the picture shows. Ties fall to the lowest index; where no edge
    is directed there is no winner.

    Args:
        image: (h, w, c) uint8; a gray picture counts as three equal channels, as it did there.
        landmarks: (68, 2) iBUG points as (x, y) fractions of the aligned face.
        alpha: significance level.
    """
    height, width, channels = image.shape
    boxes = table.locate(landmarks, aspect=width / height)
    masked = np.zeros((len(table.NAMES), height, width, channels))
    for copy, name in zip(masked, table.NAMES, strict=True):
        window = pixel_box(boxes[name], height, width)
        copy[window] = image[window]
    columns = masked.reshape(len(table.NAMES), -1).T  # (pixel slot, region)
    kept = usable(columns)
    present = tuple(table.NAMES[j] for j in kept)
    edges: tuple[Edges, Edges, Edges] = ((), (), ())
    if len(kept) > 1:
        samples = height * width * max(channels, 3)
        edges = _search(FisherZ(correlation(columns[:, kept]), samples), present, alpha, None, FIRST_COMES)
    graph = _named(table.NAMES, present, edges)
    degree = Counter(cause for cause, _ in graph.directed)
    if not degree:
        return graph
    tied = leaders(present, degree)
    if len(tied) == 1:
        return replace(graph, winner=tied[0], decided_by="out-degree")
    return replace(graph, winner=tied[0], decided_by="index", tied=tied)


def majority(graphs: Sequence[RegionGraph]) -> RegionGraph:
    """Returns the one graph of a fold of per-image graphs: the most frequent winner, the lowest index among equals.

    An edge is kept, with its mark, where more than half of the pictures have it; `tied` are the winners of equal
    count; a region is dropped where no picture could use it.
    """

    def common(kind: str) -> Edges:
        count = Counter(edge for graph in graphs for edge in getattr(graph, kind))
        return tuple(sorted((edge for edge in count if 2 * count[edge] > len(graphs)), key=_table_order))

    present = tuple(name for name in table.NAMES if any(name in graph.regions for graph in graphs))
    merged = _named(table.NAMES, present, (common("directed"), common("undirected"), common("bidirected")))
    winners = Counter(graph.winner for graph in graphs if graph.winner is not None)
    if not winners:
        return merged
    tied = leaders(present, winners)
    return replace(merged, winner=tied[0], decided_by="per-image majority", tied=tied if len(tied) > 1 else ())


def _table_order(edge: tuple[str, str]) -> tuple[int, int]:
    return table.NAMES.index(edge[0]), table.NAMES.index(edge[1])


def discover_fold(corpus: Corpus, positions: Sequence[int], settings: DiscoverySettings, *, seed: int) -> RegionGraph:
    """Returns the graph that the clips at `positions` (a fold's training clips) give; no other clip is read.

    Raises:
        AustickerError: "action-units" on clips that list none, or what `discover` raises.
    """
    if settings.clips is not None and settings.clips < len(positions):
        drawn = np.random.default_rng([seed, settings.clips]).choice(len(positions), settings.clips, replace=False)
        positions = [positions[number] for number in sorted(drawn)]
    if settings.method == "per-image":
        return majority([_apex_graph(_apex_face(corpus, position), settings.alpha) for position in positions])
    activity = activity_of(corpus, positions, settings)
    subjects = [corpus.clips[position].subject for position in positions]
    rng = np.random.default_rng(seed)
    return discover(activity, table.NAMES, settings=settings, subjects=subjects, rng=rng)


def activity_of(corpus: Corpus, positions: Sequence[int], settings: DiscoverySettings) -> NDArray[Any]:
    """Returns the table (n, 14) that the settings' method reads of the clips at `positions`.

    Raises:
        AustickerError: "action-units" on clips that list none, a method that works on no table, or motion that is
            not finite.
    """
    _check_method(settings)
    clips = [corpus.clips[position] for position in positions]
    if settings.method != "action-units":
        activity: NDArray[Any] = np.stack([corpus.motion[position] for position in positions])
    elif any(clip.action_units for clip in clips):
        activity = activity_from_action_units(clips)
    else:
        raise AustickerError(f"No clip of '{corpus.name}' lists action units; set the discovery method to chi-square.")
    check_finite(activity, table.NAMES)
    return activity


@dataclass(frozen=True, slots=True, kw_only=True)
class _ApexFace:
    """One clip's apex frame with its landmarks; `fingerprint` and `clip` name it."""

    fingerprint: str
    clip: str
    picture: Bytes = field(compare=False)
    landmarks: Floats = field(compare=False)


def _apex_face(corpus: Corpus, position: int) -> _ApexFace:
    clip = corpus.clips[position]
    return _ApexFace(
        fingerprint=corpus.fingerprint,
        clip=clip.clip,
        picture=corpus.frames[position][clip.apex],
        landmarks=corpus.landmarks[position][clip.apex],
    )


@lru_cache(maxsize=4096)
def _apex_graph(face: _ApexFace, alpha: float) -> RegionGraph:
    """Returns one clip's own graph, kept because every fold but one asks for it again."""
    return discover_per_image(face.picture, face.landmarks, alpha=alpha)
