"""A job and its corpora to a plan: who meets whom, and the identity of every cell; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from austicker import choices, corpora, folds, foreign, identity, placements, protocols, stickers
from austicker.attacks import ATTACKS
from austicker.corpora import Progress
from austicker.foreign import ForeignSettings
from austicker.job import AttackChoice, CorpusChoice, Job
from austicker.plan.record import Plan, Shard
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
    studies = {name: protocols.study(job.protocol, name, opened) for name in parts}
    divided, shards = {}, []
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
        for fold in divided[name]:
            for settings, chosen, _ in meetings:
                for seed in job.seeds if chosen else ():
                    bare = _shard(job, study.corpus, fold, settings, seed)
                    shards.append(replace(bare, attacks=_cells(job, study.corpus, bare, chosen, art)))
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
    given = settings.access if isinstance(settings, ForeignSettings) else "gradients"
    order = get_args(Access)
    fitting, refused = [], []
    for choice in job.attacks:
        needed = ATTACKS[choice.name].access
        if order.index(needed) <= order.index(given):
            fitting.append(choice)
        else:
            refused.append(f"{choice.label} needs {needed}, and {settings.label} gives no more than {given}.")
    return tuple(fitting), refused


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


def open_choice(choice: CorpusChoice, progress: Progress = corpora.silent) -> Corpus:
    """Opens a corpus as a job names it.

    Raises:
        AustickerError: it cannot be opened.
    """
    root = Path(choice.root) if choice.root else None
    return corpora.open_corpus(choice.name, root, progress, choice.landmarks)


def _shard(job: Job, corpus: Corpus, fold: Fold, settings: ModelSettings | ForeignSettings, seed: int) -> Shard:
    """Returns a shard whose cells are still to be named."""
    return Shard(
        corpus=corpus.name,
        fold=fold,
        settings=settings,
        seed=seed,
        weights=weights_identity(corpus, fold, settings, seed),
        graph=identity.of_graph(corpus, fold, job.discovery),
        choices={kind: identity.of_choice(corpus, fold, job.discovery, kind) for kind in choices.KINDS},
        attacks={},
    )


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
            protocol=job.protocol,
            test=test,
            attack=attack.name,
            label=attack.label,
            settings=attack.settings,
            budget=attack.budget,
            side=attack.side,
            variant=attack.variant,
            bend=attack.bend,
            remember=attack.remember,
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
                protocol=job.protocol,
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
