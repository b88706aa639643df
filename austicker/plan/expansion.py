"""A job and its corpora to a plan: who meets whom, and the identity of every cell; runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

from austicker import choices, corpora, folds, foreign, identity, placements, poisoning, protocols, stickers
from austicker.attacks import ATTACKS
from austicker.corpora import Progress
from austicker.foreign import ForeignSettings
from austicker.job import AttackChoice, CorpusChoice, Job, access_of
from austicker.plan.record import Plan, Shard, Surrogate
from austicker.types import Access, AustickerError, Cell, Corpus, Fold, ModelSettings, Sticker


def expand(job: Job, progress: Progress = corpora.silent) -> Plan:
    """Opens the job's corpora and lays out its grid.

    Raises:
        AustickerError: a corpus cannot be opened or does not fit the protocol, a number of folds is impossible, or the
            labels of a recogniser trained elsewhere do not fit a study's classes.
    """
    art = {name: stickers.load(name) for attack in job.attacks for name in attack.stickers}
    opened = {choice.name: open_choice(choice, progress) for choice in job.corpora}
    parts = protocols.study_names(job.protocol, tuple(opened))
    studies = {name: study_of(job.protocol, name, job.corpora, opened) for name in parts}
    divided: dict[str, tuple[Fold, ...]] = {}
    shards: list[Shard] = []
    skipped: dict[str, None] = {}
    for name, study in studies.items():
        counts = [choice.folds for choice in job.corpora if choice.name in parts[name] and choice.folds is not None]
        divided[name] = folds.some(study.folds, min(counts, default=None))
        meetings = [
            (settings, *_fitting(job, settings, study.corpus))
            for settings in job.models
            if set(parts[name]) <= set(job.only.get(settings.label, parts[name]))
        ]
        skipped |= {sentence: None for *_, refused in meetings for sentence in refused}
        meets = [(settings, chosen) for settings, chosen, _ in meetings if chosen]
        for settings, _ in meets:
            if isinstance(settings, ModelSettings) and settings.poison is not None:
                poisoning.check(study.corpus, settings.poison)
        shards += [shard for fold in divided[name] for shard in _shards(job, study.corpus, fold, meets, art)]
    _check_met(job, shards)
    return Plan(
        job=job,
        corpora=opened,
        studies=studies,
        parts=parts,
        art=art,
        folds=divided,
        shards=tuple(shards),
        skipped=tuple(skipped),
    )


def _fitting(
    job: Job, settings: ModelSettings | ForeignSettings, corpus: Corpus
) -> tuple[tuple[AttackChoice, ...], list[str]]:
    """Returns the attacks that a recogniser can meet, and a sentence for each other one.

    Raises:
        AustickerError: its labels do not fit the classes of the study.
    """
    if isinstance(settings, ForeignSettings):
        foreign.columns(settings, corpus.labels)  # refused before anybody trains or attacks
    given = access_of(settings)
    order = get_args(Access)
    fitting, refused = [], []
    met = job.meets.get(settings.label, tuple(choice.label for choice in job.attacks))
    for choice in (choice for choice in job.attacks if choice.label in met):
        # Of a recogniser that gets pictures made on another, nothing but its answer is asked.
        needed: Access = "label" if choice.surrogate else ATTACKS[choice.name].access
        if order.index(needed) <= order.index(given):
            fitting.append(choice)
        else:
            refused.append(f"{choice.label} needs {needed}, and {settings.label} gives no more than {given}.")
    return tuple(fitting), refused


def _shards(
    job: Job,
    corpus: Corpus,
    fold: Fold,
    meets: Sequence[tuple[ModelSettings | ForeignSettings, Sequence[AttackChoice]]],
    art: Mapping[str, Sticker],
) -> Iterator[Shard]:
    """Yields the shards of a fold: each recogniser with each seed before the attacks that it meets."""
    known = {settings.label: settings for settings in job.models}
    read = _read_by_placements(job, corpus, fold)

    @cache  # a surrogate is a recogniser of the job too, and naming one hashes its training clips
    def weights(label: str, seed: int) -> str:
        return weights_identity(corpus, fold, known[label], seed)

    for settings, chosen in meets:
        made_on = {
            attack.label: attack.surrogate for attack in chosen if attack.surrogate not in (None, settings.label)
        }
        for seed in job.seeds:
            bare = Shard(
                corpus=corpus.name,
                fold=fold,
                settings=settings,
                seed=seed,
                weights=weights(settings.label, seed),
                attacks={},
                surrogates={
                    attack: Surrogate(settings=known[label], weights=weights(label, seed))
                    for attack, label in made_on.items()
                },
                **read,
            )
            yield replace(bare, attacks=_cells(job, corpus, bare, chosen, art))


def _check_met(job: Job, shards: Sequence[Shard]) -> None:
    """Refuses a job in which a recogniser takes part in nothing.

    Raises:
        AustickerError: one does.
    """
    met = {shard.settings.label for shard in shards}
    for settings in job.models:
        if settings.label not in met:
            raise AustickerError(
                f"Recogniser '{settings.label}' of job '{job.name}' meets no attack on any corpus: check its 'corpora' "
                "and what the attacks need of it, or leave it out."
            )


def study_of(protocol: str, name: str, chosen: Sequence[CorpusChoice], opened: Mapping[str, Corpus]) -> protocols.Study:
    """Returns a study as a job limits it: the plan and every task must see the same clips.

    Args:
        protocol: its name.
        name: of the study.
        chosen: the job's corpora.
        opened: corpora by name, of which those of the study are there.

    Raises:
        AustickerError: what `protocols.study` refuses.
    """
    parts = protocols.study_names(protocol, tuple(opened))[name]
    limits = [choice for choice in chosen if choice.name in parts]
    fewest = protocols.Limits(
        train_per_class=min((one.train_per_class for one in limits if one.train_per_class), default=None),
        test_per_class=min((one.test_per_class for one in limits if one.test_per_class), default=None),
    )
    return protocols.study(protocol, name, opened, fewest)


def open_choice(choice: CorpusChoice, progress: Progress = corpora.silent) -> Corpus:
    """Opens a corpus as a job names it.

    Raises:
        AustickerError: it cannot be opened.
    """
    root = Path(choice.root) if choice.root else None
    return corpora.open_corpus(choice.name, root, progress, choice.landmarks)


def _read_by_placements(job: Job, corpus: Corpus, fold: Fold) -> dict[str, Any]:
    """Returns what placements may read of a fold, as a shard names it; the same for all recognisers and seeds."""
    chosen = {kind: identity.of_choice(corpus, fold, job.discovery, kind) for kind in choices.KINDS}
    return {"graph": identity.of_graph(corpus, fold, job.discovery), "choices": chosen}


def weights_identity(corpus: Corpus, fold: Fold, settings: ModelSettings | ForeignSettings, seed: int) -> str:
    """Returns the identity of a recogniser with its weights, trained on a fold or elsewhere."""
    if isinstance(settings, ForeignSettings):
        return identity.of_foreign(corpus, settings)
    return identity.of_model(corpus, fold, settings, seed)


def _cells(
    job: Job, corpus: Corpus, shard: Shard, attacks: Sequence[AttackChoice], art: Mapping[str, Sticker]
) -> dict[str, tuple[Cell, ...]]:
    """Names every cell of a shard by attack; `art` holds the job's stickers by the names that it gives them."""
    test = identity.named(corpus.clips, shard.fold.test)
    protocol = shard.fold.protocol or job.protocol
    ids = {"graph": shard.graph, "tuned": identity.named(corpus.clips, shard.fold.train), **shard.choices}
    reads = {
        placement: {kind: ids[kind] for kind in placements.needs(placement)}
        for attack in attacks
        for placement in attack.placements
    }
    cells: dict[str, tuple[Cell, ...]] = {}
    for attack in attacks:
        # Hashed once: a shard may have thousands of cells.
        shared = identity.digest(
            "attack",
            weights=shard.weights,
            seed=shard.seed,
            model=shard.settings.label,
            protocol=protocol,
            test=test,
            attack=attack.name,
            label=attack.label,
            settings=attack.settings,
            budget=attack.budget,
            side=attack.side,
            variant=attack.variant,
            bend=attack.bend,
            remember=attack.remember,
            **({"hides": attack.hides} if attack.hides != "label" else {}),
            **({"surrogate": on.weights} if (on := shard.surrogates.get(attack.label)) else {}),
        )
        known = {key: (art[key].name, art[key].digest) if key in art else (key, "") for key in attack.sticker_names}
        cells[attack.label] = tuple(
            Cell(
                id=identity.digest(
                    "cell",
                    attack=shared,
                    sticker=digest,
                    sticker_name=sticker,
                    placement=placement,
                    reads=reads[placement],
                ),
                corpus=shard.corpus,
                protocol=protocol,
                fold=shard.fold.name,
                model=shard.settings.label,
                attack=attack.label,
                sticker=sticker,
                placement=placement,
                side=attack.side,
                seed=shard.seed,
            )
            for sticker, digest in known.values()
            for placement in attack.placements
        )
    return cells
