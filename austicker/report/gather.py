"""Reads a store into what the report needs; opens corpora only for pictures and computes no measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from austicker import pseudonyms, results
from austicker.corpora.views import select
from austicker.findings import read_choices, read_graphs, read_job
from austicker.foreign import ForeignSettings
from austicker.job import Job, from_record
from austicker.models import published
from austicker.plan import open_choice
from austicker.planted_truth import against_truth
from austicker.report.context import Context, CorpusInfo, ModelInfo
from austicker.report.pictures import Names, pictures_of
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Corpus, ModelSettings

if TYPE_CHECKING:
    import polars as pl


def gather(store: Store, *, faces: bool = False) -> tuple[pl.DataFrame, Context]:
    """Returns the verdicts of the cells that the store's job expects, and everything else that is printed.

    People of recorded corpora stand there under pseudonyms, and without their faces.

    Args:
        store: where the job is.
        faces: show the faces of those subjects of a recorded corpus who consented to that.

    Raises:
        AustickerError: the folder holds no job, a record in it is damaged, or faces are asked for and may not be shown.
    """
    record = read_job(store)
    job = from_record(record["job"])
    expected = frozenset(record["cells"])
    verdicts = results.read_verdicts(store, expected)
    infos = {name: _corpus_info(info) for name, info in record["corpora"].items()}
    graphs = read_graphs(store, record)
    truth = {key: against_truth(graph, planted) for key, graph in graphs.items() if (planted := infos[key[0]].planted)}
    names = _masks(store, verdicts, infos, [(corpus, fold) for corpus, fold, _ in record["graphs"]])
    opened = _opened(job, infos, faces)
    context = Context(
        name=job.name,
        job=_without_places(record["job"]),
        provenance=record["provenance"],
        corpora=infos,
        models={settings.label: _model_info(store, settings, record["weights"]) for settings in job.models},
        cells_expected=len(expected),
        cells_done=verdicts["cell"].n_unique(),
        graphs=graphs,
        truth=truth,
        choices=read_choices(store, record),
        skipped=tuple(record["skipped"]),
        failures=[_masked(failure, names) if names else failure for failure in store.failures()],
        **pictures_of(opened, verdicts, names, {name: info.labels for name, info in infos.items()}),
    )
    return verdicts, context


def _without_places(job: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the canonical job without the folders of the user's machine."""
    models = [
        {**model, "source": Path(model["source"]).name} if "source" in model else model for model in job["models"]
    ]
    return {**job, "corpora": [{**corpus, "root": None} for corpus in job["corpora"]], "models": models}


def _masks(
    store: Store,
    verdicts: pl.DataFrame,
    infos: Mapping[str, CorpusInfo],
    folds: Iterable[tuple[str, str]],
) -> Names:
    """Returns the names for the people of recorded corpora, and for clips those of their people; a fold may be one."""
    import polars as pl

    recorded = [name for name, info in infos.items() if not (info.synthetic or info.lacks_subjects)]
    shown = verdicts.filter(pl.col("corpus").is_in(recorded)).select("corpus", "subject", "clip").unique()
    people = {(corpus, subject) for corpus, subject, _ in shown.iter_rows()}
    people |= {(corpus, fold) for corpus, fold in folds if corpus in recorded}
    known = pseudonyms.of_store(store, people)
    names: dict[str, dict[str, str]] = {corpus: {} for corpus in recorded}
    for corpus, subject in people:
        names[corpus][subject] = known[corpus, subject]
    for corpus, subject, clip in shown.iter_rows():
        names[corpus][clip] = known[corpus, subject]
    return names


def _masked(failure: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Returns a failure without its text, which may name files and so people."""
    unit = str(failure.get("unit", ""))
    for corpus, known in names.items():
        if f" {corpus} " in unit:
            unit = pseudonyms.masked(unit, known)
    return {**failure, "unit": unit, "error": f"see the store's {layout.FAILURES}/, which names people"}


def _corpus_info(record: Mapping[str, Any]) -> CorpusInfo:
    return CorpusInfo(
        **{
            **record,
            **{key: tuple(record.get(key, ())) for key in ("labels", "parts", "counts", "consented")},
            "planted": tuple((cause, effect) for cause, effect in record["planted"]),
        }
    )


def _model_info(store: Store, settings: ModelSettings | ForeignSettings, weights: list[tuple[str, str]]) -> ModelInfo:
    """Returns a recogniser's settings, and in words how one that is trained here differs from the published one."""
    if isinstance(settings, ForeignSettings):
        said = {key: value for key, value in asdict(settings).items() if key != "label" and value}
        file = {"source": Path(settings.source).name} if settings.source else {}
        return ModelInfo(settings=said | file, parameters=0)
    own = {key: value for key, value in asdict(settings).items() if key != "label"}
    defaults = published(settings.name)
    recipe = {key: value for key, value in own.items() if key not in ("name", "poison")}
    differs = [f"{key} {value} (published {defaults[key]})" for key, value in recipe.items() if value != defaults[key]]
    names = [name for label, name in weights if label == settings.label]
    parameters = (_read(store, layout.training_record(name)).get("parameters") for name in names)
    return ModelInfo(
        settings=own,
        parameters=next((count for count in parameters if isinstance(count, int)), 0),
        reduced=", ".join(differs),
        seconds=_seconds([_read(store, layout.times(name)) for name in names]),
    )


def _read(store: Store, key: str) -> dict[str, Any]:
    """Returns a readable record that the report can do without, empty where it is missing or damaged."""
    try:
        record = store.read_json(key)
    except Unreadable:
        return {}
    return record if isinstance(record, dict) else {}


def _seconds(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the mean wall clock of trainings and of answers, over those that were measured."""
    measured = [record for record in records if record.keys() >= {"training", "answering"}]
    if not measured:
        return {}
    means = {key: sum(one[key] for one in measured) / len(measured) for key in ("training", "answering")}
    return {**means, "trainings": len(measured)}


def _opened(job: Job, infos: Mapping[str, CorpusInfo], faces: bool) -> list[Corpus]:
    """Returns the corpora of which every face may be shown, where this machine has them.

    Embedded ones are exempt; of a recorded corpus it is the clips of those who consented, if faces are asked for.
    """
    opened = []
    for choice in job.corpora:
        info = infos.get(choice.name)
        if info is None or not (info.synthetic or (faces and info.consented)):
            continue
        try:
            corpus = open_choice(choice)
        except AustickerError:
            continue  # this machine has not the corpus: every number comes from the verdicts
        if corpus.fingerprint == info.fingerprint:
            opened.append(corpus if corpus.synthetic else _of_consented(corpus))
    if faces and not opened:
        raise AustickerError(
            f"No subject of {', '.join(infos)} is known to have consented to publication: list their ids in "
            "'consented.txt' beside the corpus' data if its licence says so, prepare it again and submit the job again."
        )
    return [corpus for corpus in opened if corpus.clips]


def _of_consented(corpus: Corpus) -> Corpus:
    positions = [number for number, clip in enumerate(corpus.clips) if clip.subject in corpus.consented]
    same = {label: label for label in range(len(corpus.labels))}
    return select(corpus, positions, corpus.labels, same)
