"""The paragraphs at the top of the page, computed from verdicts; each says its own denominators."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from austicker.report.measures import draw_rates, paired_difference, success_rates
from austicker.report.placements import BEST_ELSEWHERE, BEST_HERE, CAUSAL, CONTROL, best_elsewhere, is_draw, title
from austicker.report.rivals import Field, alike, fields_of

KEYS = ("corpus", "protocol", "model", "attack", "side")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """What came out for one corpus and recogniser.

    Attributes:
        of: both in words, with the attack, protocol and side where the job has several.
        text: the sentences.
    """

    of: str
    text: str


def percent(rate: float | None) -> str:
    """Returns a rate as "12.3 %", or "–" where it is missing."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


def interval(low: float | None, high: float | None) -> str:
    """Returns " [low, high]" in percent, or "" where there is none."""
    return "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"


def headlines(verdicts: pl.DataFrame) -> list[Headline]:
    """Returns a paragraph per corpus, recogniser and attack that was tried at the causal place."""
    causal = verdicts.filter(placement=CAUSAL)
    parts = verdicts.join(causal, on=KEYS, how="semi").partition_by(KEYS, as_dict=True)
    entered = {tuple(one.setting[name] for name in KEYS): one for one in fields_of(verdicts)}
    several = [name for name in KEYS if name in ("attack", "protocol", "side") and causal[name].n_unique() > 1]
    made = []
    for key in sorted(parts, key=str):
        setting = dict(zip(KEYS, key, strict=True))
        more = "".join(f", {name} {setting[name]}" for name in several)
        text = _silent(parts[key], entered[key]) if entered[key].causal is None else _told(parts[key], entered[key])
        made.append(Headline(of=f"{setting['model']} on {setting['corpus']}{more}", text=text))
    return made


def _told(part: pl.DataFrame, entered: Field) -> str:
    """Returns what the causal place reached, then its rivals."""
    causal = success_rates(part.filter(placement=CAUSAL)).row(0, named=True)
    text = (
        f"The causal sticker leaves {percent(causal['error_asr'])}{interval(causal['low'], causal['high'])} of the "
        f"emotions unrecognised for {_cost(causal['queries_mean'])} a clip; {_clean(causal)} "
        f"Of the clips recognised without a sticker it hides {percent(causal['flip_asr'])}."
    )
    if causal["n_unplaced"]:
        unplaced = percent(causal["n_unplaced"] / causal["n_clips"])
        text += f" On {unplaced} of the clips it had no answer and placed no sticker."
    return text + _fixed(part) + _searched(entered) + _controlled(entered)


def _silent(part: pl.DataFrame, entered: Field) -> str:
    """Returns that causal placement had no answer, and what was reached without it."""
    causal = part.filter(placement=CAUSAL)
    clips = causal.select("corpus", "subject", "clip").n_unique()
    every = "the one clip" if clips == 1 else f"any of {clips} clips"
    clean = _clean(success_rates(causal).row(0, named=True))
    return (
        f"Causal placement had no answer on {every}. {clean[0].upper()}{clean[1:]}{_searched(entered)}{_once(entered)}"
    )


def _clean(rates: dict[str, float]) -> str:
    return (
        f"without a sticker the recogniser errs on {percent(1 - rates['clean_accuracy'])}, and naming the commonest "
        f"class errs on {percent(1 - rates['majority_baseline'])}."
    )


def _cost(queries: float) -> str:
    return "one query" if queries == 1 else f"{queries:,.1f} queries"


def _fixed(part: pl.DataFrame) -> str:
    """Returns what the random placement and the region picked on the other subjects reach, or ""."""
    rivals = []
    draws = part.filter(is_draw())
    if not draws.is_empty():
        random = draw_rates(draws, *KEYS).row(0, named=True)
        rivals.append(f"random placement {percent(random['error_asr'])}{_difference(part, draws)}")
    elsewhere = best_elsewhere(part)
    if not elsewhere.is_empty():
        rate = success_rates(elsewhere).row(0, named=True)["error_asr"]
        rivals.append(f"the {BEST_ELSEWHERE} {percent(rate)}")
    return f" Against it: {', '.join(rivals)}." if rivals else ""


def _error(rows: pl.DataFrame) -> float:
    return float(rows.select((pl.col("attacked_pred") != pl.col("label")).mean()).item())


def _mean_queries(rows: pl.DataFrame) -> float:
    return float(rows.select(pl.col("queries").mean()).item())


def _searched(entered: Field) -> str:
    """Returns what the best search reaches, on the clips and stickers of the causal place where that was placed."""
    found = {name: entered.entries[name] for name in sorted(entered.searches)}
    causal, beside = entered.causal, {}
    if causal is not None:
        pairs = {name: alike(causal, rows) for name, rows in found.items()}
        found = {name: own for name, (_, own) in pairs.items() if not own.is_empty()}
        beside = {name: one for name, (one, _) in pairs.items() if one.height < causal.height}
    if not found:
        return ""
    rate, cost, best = max((_error(rows), -_mean_queries(rows), name) for name, rows in found.items())
    first = f"The best of {len(found)} searches ({title(best)})" if len(found) > 1 else f"The search {title(best)}"
    text = f" {first} reaches {percent(rate)} for {_cost(-cost)} a clip"
    if best in beside:
        one = beside[best]
        text += f"; on the same clips the causal sticker reaches {percent(_error(one))} for {_cost(_mean_queries(one))}"
    return f"{text}."


def _once(entered: Field) -> str:
    """Returns which of the placements that ask once reaches most, or ""."""
    names = sorted(set(entered.entries) - entered.searches - {BEST_HERE, BEST_ELSEWHERE})
    if not names:
        return ""
    rates = {name: _error(entered.entries[name]) for name in names}
    best = max(names, key=lambda name: rates[name])
    ties = sum(rate == rates[best] for rate in rates.values()) - 1
    others = f" and {ties} more" if ties else ""
    if len(names) == 1:
        return f" The one placement that asked once ({title(best)}) reaches {percent(rates[best])}."
    verb = "reach" if ties else "reaches"
    return (
        f" Of {len(names)} placements that asked once, seen with hindsight, {title(best)}{others} {verb} most: "
        f"{percent(rates[best])}."
    )


def _controlled(entered: Field) -> str:
    """Returns which controls hide at least as much as the causal place over the same clips, or ""."""
    if entered.causal is None:
        return ""
    names = [name for name in entered.entries if name.startswith(CONTROL)]
    pairs = {name: alike(entered.causal, entered.entries[name]) for name in names}
    rates = {name: (_error(a), _error(b)) for name, (a, b) in pairs.items() if not a.is_empty()}
    silent = [_short(name) for name in sorted(entered.silent) if name.startswith(CONTROL)]
    total = len(rates) + len(silent)
    if not total:
        return ""
    equal = [f"{_short(name)} {percent(other)}" for name, (own, other) in rates.items() if other >= own]
    whole = f" Of {total} control{'s' * (total != 1)}"
    if silent:
        whole += f" {', '.join(silent)} had no answer" + (" and" if rates else ".")
    if not rates:
        return whole
    if not equal:
        return f"{whole} none hides as much."
    return f"{whole} {len(equal)} hide{'s' * (len(equal) == 1)} at least as much: {', '.join(equal)}."


def _short(control: str) -> str:
    return title(control.removeprefix(CONTROL))


def _difference(part: pl.DataFrame, draws: pl.DataFrame) -> str:
    found = paired_difference(part.filter(placement=CAUSAL), draws)
    if found.difference is None:
        return ""
    span = interval(found.low, found.high).strip()
    return f" (causal minus random {100 * found.difference:+.1f} points {span})"
