"""The sentences at the top of the page, computed from verdicts; each says its own denominators."""

from __future__ import annotations

import polars as pl

from austicker.report.measures import draw_rates, paired_difference, success_rates
from austicker.report.placements import BEST_ELSEWHERE, CAUSAL, CONTROL, best_elsewhere, is_draw, title
from austicker.report.rivals import Field, alike, fields_of

KEYS = ("corpus", "protocol", "model", "attack", "side")


def percent(rate: float | None) -> str:
    """Returns a rate as "12.3 %", or "–" where it is missing."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Returns " [low, high]" in percent, or "" where there is none."""
    return "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"


def headlines(verdicts: pl.DataFrame) -> list[str]:
    """Returns a few sentences per corpus, recogniser and attack that was tried at the causal place."""
    parts = verdicts.partition_by(KEYS, as_dict=True)
    rivals = {tuple(entered.setting[name] for name in KEYS): entered for entered in fields_of(verdicts)}
    several = {name for name in ("attack", "protocol", "side") if verdicts[name].n_unique() > 1}
    return [
        _sentence(parts[key], dict(zip(KEYS, key, strict=True)), several)
        + _searched(rivals[key])
        + _controlled(rivals[key])
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
    draws = part.filter(is_draw())
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


def _error(rows: pl.DataFrame) -> float:
    return float(rows.select((pl.col("attacked_pred") != pl.col("label")).mean()).item())


def _searched(entered: Field) -> str:
    """Returns what the best search reaches on the clips and stickers that the causal place was tried on, or ""."""
    if entered.causal is None:
        return ""
    pairs = {name: alike(entered.causal, entered.entries[name]) for name in sorted(entered.searches)}
    known = {name: (_error(own), pair) for name, pair in pairs.items() if not (own := pair[1]).is_empty()}
    if not known:
        return ""
    best = max(known, key=lambda name: known[name][0])
    rate, (causal, rows) = known[best]
    asked = float(rows.select(pl.col("queries").mean()).item())
    return (
        f" The best search ({title(best)}) reaches {percent(rate)} for {asked:,.1f} queries a clip on average, where "
        f"the causal sticker reaches {percent(_error(causal))} for one."
    )


def _controlled(entered: Field) -> str:
    """Returns which controls hide at least as much as the causal place over the same clips, or ""."""
    if entered.causal is None:
        return ""
    names = [name for name in entered.entries if name.startswith(CONTROL)]
    pairs = {name: alike(entered.causal, entered.entries[name]) for name in names}
    rates = {name: (_error(a), _error(b)) for name, (a, b) in pairs.items() if not a.is_empty()}
    if not rates:
        return ""
    equal = [
        f"{title(name.removeprefix(CONTROL))} {percent(other)}" for name, (own, other) in rates.items() if other >= own
    ]
    whole = f" Of {len(rates)} control{'s' * (len(rates) != 1)}"
    if not equal:
        return f"{whole} none hides as much."
    return f"{whole} {len(equal)} hide{'s' * (len(equal) == 1)} at least as much: {', '.join(equal)}."


def _difference(part: pl.DataFrame, draws: pl.DataFrame) -> str:
    found = paired_difference(part.filter(placement=CAUSAL), draws)
    if found.difference is None:
        return ""
    span = interval(found.low, found.high).strip()
    return f" (difference {100 * found.difference:+.1f} points {span})"
