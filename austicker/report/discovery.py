"""Tables of what causal discovery found over folds, beside the planted truth where there is one; runs no discovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import polars as pl

from austicker.regions import NAMES
from austicker.report.context import Context
from austicker.types import RegionGraph

Edge = tuple[str, str]


def graphs_of(context: Context, corpus: str) -> list[RegionGraph]:
    """Returns one corpus' graphs in order of the folds' names."""
    return [context.graphs[key] for key in sorted(context.graphs) if key[0] == corpus]


def corpora_with_graphs(context: Context) -> list[str]:
    """Returns the corpora on which discovery ran."""
    return sorted({corpus for corpus, _ in context.graphs})


def out_degrees(edges: tuple[Edge, ...]) -> Counter[str]:
    """Returns how many directed edges leave each region."""
    return Counter(cause for cause, _ in edges)


def planted_winners(edges: tuple[Edge, ...]) -> frozenset[str]:
    """Returns the regions of highest out-degree in a planted model; none without edges."""
    degrees = out_degrees(edges)
    return frozenset(name for name, degree in degrees.items() if degree == max(degrees.values()))


def edge_shares(graphs: list[RegionGraph]) -> tuple[Mapping[Edge, float], Mapping[Edge, float]]:
    """Returns the share of folds that hold each directed edge, and each undirected or bidirected one."""
    directed = Counter(edge for graph in graphs for edge in graph.directed)
    other = Counter(edge for graph in graphs for edge in (*graph.undirected, *graph.bidirected))
    return (
        {edge: count / len(graphs) for edge, count in sorted(directed.items())},
        {edge: count / len(graphs) for edge, count in sorted(other.items())},
    )


def mean(values: list[float]) -> float | None:
    """Returns the mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def _corpus_row(context: Context, corpus: str) -> dict[str, object]:
    graphs = graphs_of(context, corpus)
    info = context.corpora.get(corpus)
    targets = planted_winners(info.planted) if info else frozenset()
    undecided = sum(not graph.directed for graph in graphs)
    winners = Counter(graph.winner for graph in graphs if graph.winner is not None)
    winner = min(winners, key=lambda name: (-winners[name], name)) if winners else None
    scores = [context.truth[key] for key in sorted(context.truth) if key[0] == corpus]
    names = sorted({name for score in scores for name in score})
    return {
        "corpus": corpus,
        "folds": len(graphs),
        "no_directed_edge": undecided,
        "share_no_directed_edge": undecided / len(graphs),
        "most_frequent_winner": winner,
        "winner_share": winners[winner] / len(graphs) if winner else None,
        "truth_hit_rate": sum(graph.winner in targets for graph in graphs) / len(graphs) if targets else None,
        "chance": len(targets) / len(NAMES) if targets else None,
        "tied_share": sum(len(graph.tied) > 1 for graph in graphs) / len(graphs),
        "planted_winners": ", ".join(sorted(targets)) or None,
        **{
            f"{name}_mean": mean([float(value) for score in scores if (value := score.get(name)) is not None])
            for name in names
        },
    }


def discovery(context: Context) -> pl.DataFrame:
    """Returns one row per corpus: agreement of the folds, undecided folds, and hits of the planted truth.

    A hit is a winner among the planted regions of highest out-degree; a fold without a winner is a miss.
    """
    rows = [_corpus_row(context, corpus) for corpus in corpora_with_graphs(context)]
    return pl.DataFrame(rows, infer_schema_length=None)


def discovery_regions(context: Context) -> pl.DataFrame:
    """Returns one row per corpus and region: folds won, mean out-degree, and the planted out-degree."""
    rows = []
    for corpus in corpora_with_graphs(context):
        graphs = graphs_of(context, corpus)
        info = context.corpora.get(corpus)
        planted = out_degrees(info.planted) if info and info.planted else None
        degrees = [out_degrees(graph.directed) for graph in graphs]
        rows += [
            {
                "corpus": corpus,
                "region": name,
                "folds": len(graphs),
                "folds_won": sum(graph.winner == name for graph in graphs),
                "winner_share": sum(graph.winner == name for graph in graphs) / len(graphs),
                "folds_dropped": sum(name in graph.dropped for graph in graphs),
                "out_degree_mean": sum(degree[name] for degree in degrees) / len(graphs),
                "planted_out_degree": planted[name] if planted is not None else None,
            }
            for name in NAMES
        ]
    return pl.DataFrame(rows, infer_schema_length=None)
