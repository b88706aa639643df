"""The table of what other rules than the paper's chose on each fold, beside the causal winner; chooses nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from austicker.choices import RegionChoice
from austicker.report.context import Context
from austicker.report.discovery import mean, planted_winners

VOTED = ("stable", "per-subject")
"""Rules whose scores are votes, so that the winner has a share of them."""


def choices(context: Context) -> pl.DataFrame:
    """Returns one row per corpus and rule: folds with an answer, the commonest winner, agreement and planted hits.

    "per-class" gives an answer per class, and each counts as one. An answer agrees if it is the fold's causal winner;
    no answer agrees with none, and a fold whose graph is not known is left out. Where no fold has a causal winner there
    is nothing to agree with, and the rate is null. A hit is an answer among the planted regions of highest out-degree,
    and no answer is a miss.
    """
    groups = sorted({(corpus, kind) for corpus, _, kind in context.choices})
    return pl.DataFrame([_row(context, *group) for group in groups], schema=_SCHEMA)


_SCHEMA: dict[str, type[pl.DataType]] = {
    "corpus": pl.String,
    "kind": pl.String,
    "folds": pl.Int64,
    "folds_with_answer": pl.Int64,
    "most_frequent_winner": pl.String,
    "winner_share": pl.Float64,
    "vote_share_mean": pl.Float64,
    "agreement_rate": pl.Float64,
    "truth_hit_rate": pl.Float64,
    "resamples": pl.Int64,
}


def _answers(choice: RegionChoice) -> Sequence[str | None]:
    return choice.by_class or (choice.winner,)


def _row(context: Context, corpus: str, kind: str) -> dict[str, object]:
    keys = [key for key in sorted(context.choices) if (key[0], key[2]) == (corpus, kind)]
    made = {fold: context.choices[corpus, fold, kind] for _, fold, _ in keys}
    answers = [answer for choice in made.values() for answer in _answers(choice)]
    won = Counter(answer for answer in answers if answer is not None)
    winner = min(won, key=lambda name: (-won[name], name)) if won else None
    info = context.corpora.get(corpus)
    targets = planted_winners(info.planted) if info else frozenset()
    causal = [context.graphs[corpus, fold].winner for fold in made if (corpus, fold) in context.graphs]
    agreed = [
        float(answer is not None and answer == context.graphs[corpus, fold].winner)
        for fold, choice in made.items()
        if (corpus, fold) in context.graphs
        for answer in _answers(choice)
    ]
    return {
        "corpus": corpus,
        "kind": kind,
        "folds": len(made),
        "folds_with_answer": sum(any(answer is not None for answer in _answers(choice)) for choice in made.values()),
        "most_frequent_winner": winner,
        "winner_share": won[winner] / len(answers) if winner else None,
        "vote_share_mean": mean([share for choice in made.values() if (share := _vote_share(choice)) is not None]),
        "agreement_rate": mean(agreed) if any(causal) else None,
        "truth_hit_rate": mean([float(answer in targets) for answer in answers]) if targets else None,
        "resamples": max(choice.resamples for choice in made.values()) or None,
    }


def _vote_share(choice: RegionChoice) -> float | None:
    """Returns the winner's share of the votes, or None where there is no winner or nothing voted."""
    scores = dict(choice.scores)
    if choice.kind not in VOTED or choice.winner is None or not sum(scores.values()):
        return None
    return scores[choice.winner] / sum(scores.values())
