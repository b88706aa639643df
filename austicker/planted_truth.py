"""How far a found causal graph is from a planted one; discovers nothing."""

from __future__ import annotations

from collections import Counter

from austicker.types import RegionGraph

Edges = tuple[tuple[str, str], ...]


def against_truth(graph: RegionGraph, planted: Edges) -> dict[str, float | bool | None]:
    """Returns how far a found graph is from a planted one; a rate with an empty denominator is None.

    `structural_hamming_distance` counts the pairs of regions that differ from the planted DAG, one each: missing,
    extra, or `misoriented` (reversed, undirected or bidirected). The skeleton rates ask whether a pair is joined at
    all, the orientation rates compare directed edges alone. The planted winner is any region of the highest
    planted out-degree.
    """
    true_pairs = {frozenset(edge) for edge in planted}
    found_pairs = {frozenset(edge) for edge in graph.directed + graph.undirected + graph.bidirected}
    shared = true_pairs & found_pairs
    right = set(planted) & set(graph.directed)
    missing, extra = len(true_pairs - shared), len(found_pairs - shared)
    misoriented = len(shared) - len(right)
    degree = Counter(cause for cause, _ in planted)
    return {
        "structural_hamming_distance": missing + extra + misoriented,
        "missing": missing,
        "extra": extra,
        "misoriented": misoriented,
        **_rates("skeleton", len(shared), len(found_pairs), len(true_pairs)),
        **_rates("orientation", len(right), len(graph.directed), len(planted)),
        "winner_is_planted": degree[graph.winner or ""] == max(degree.values()) if degree else None,
    }


def _rates(kind: str, hits: int, found: int, true: int) -> dict[str, float | bool | None]:
    return {
        f"{kind}_precision": hits / found if found else None,
        f"{kind}_recall": hits / true if true else None,
        f"{kind}_f1": 2 * hits / (found + true) if found + true else None,
    }
