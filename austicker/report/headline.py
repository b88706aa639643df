"""The sentences at the top of the page, computed from verdicts; each says its own denominators."""

from __future__ import annotations

import polars as pl

from austicker.report.measures import draw_rates, paired_difference, success_rates
from austicker.report.placements import BEST_ELSEWHERE, CAUSAL, best_elsewhere, family

KEYS = ("corpus", "protocol", "model", "attack", "side")


def percent(rate: float | None) -> str:
    """Returns a rate as "12.3 %", or "–" where it is missing."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Returns " [low, high]" in percent, or "" where there is none."""
    return "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"


def headlines(verdicts: pl.DataFrame) -> list[str]:
    """Returns one sentence per corpus, recogniser and attack that was tried at the causal place."""
    parts = verdicts.partition_by(KEYS, as_dict=True)
    several = {name for name in ("attack", "protocol", "side") if verdicts[name].n_unique() > 1}
    return [
        _sentence(parts[key], dict(zip(KEYS, key, strict=True)), several)
        for key in sorted(parts, key=str)
        if not parts[key].filter(placement=CAUSAL).is_empty()
    ]


def _sentence(part: pl.DataFrame, setting: dict[str, object], several: set[str]) -> str:
    causal = success_rates(part.filter(placement=CAUSAL)).row(0, named=True)
    words = "".join(f", {name} {setting[name]}" for name in KEYS if name in several)
    text = (
        f"{setting['model']} on {setting['corpus']}{words}: the causal sticker leaves "
        f"{percent(causal['error_asr'])}{interval(causal['low'], causal['high'])} of the emotions unrecognised"
    )
    rivals = []
    draws = part.filter(family() == "random")
    if not draws.is_empty():
        random = draw_rates(draws, *KEYS).row(0, named=True)
        rivals.append(f"random placement {percent(random['error_asr'])}{_difference(part, draws)}")
    elsewhere = best_elsewhere(part)
    if not elsewhere.is_empty():
        best = success_rates(elsewhere).row(0, named=True)
        rivals.append(f"the {BEST_ELSEWHERE} {percent(best['error_asr'])}")
    against = f", against {' and '.join(rivals)}" if rivals else ""
    unplaced = causal["n_unplaced"] / causal["n_clips"]
    missing = (
        f" On {percent(unplaced)} of the clips no edge was directed, so no sticker was placed." if unplaced else ""
    )
    return (
        f"{text}{against}. Of the clips recognised without a sticker it hides {percent(causal['flip_asr'])}. "
        f"Without a sticker the recogniser errs on {percent(1 - causal['clean_accuracy'])}; "
        f"naming the commonest class errs on {percent(1 - causal['majority_baseline'])}.{missing}"
    )


def _difference(part: pl.DataFrame, draws: pl.DataFrame) -> str:
    found = paired_difference(part.filter(placement=CAUSAL), draws)
    if found.difference is None:
        return ""
    span = interval(found.low, found.high).strip()
    return f" (difference {100 * found.difference:+.1f} points {span})"
