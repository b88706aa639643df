"""Reads a store into what the report needs; opens corpora only for pictures and computes no measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import pseudonyms, regions, results, stickers
from austicker.corpora.views import select
from austicker.foreign import ForeignSettings
from austicker.generate import adversarial
from austicker.job import Job, from_record
from austicker.models import published
from austicker.plan import open_choice
from austicker.planted_truth import against_truth
from austicker.report.context import Context, CorpusInfo, MeanFace, ModelInfo
from austicker.stages import read_choices, read_graphs, read_job
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Bytes, Corpus, ModelSettings, Placement, Point

if TYPE_CHECKING:
    import polars as pl

ENLARGE = 2
"""Example pictures are shown at this multiple of the corpus' resolution."""


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
        **_pictures(opened, verdicts, names),
    )
    return verdicts, context


def _without_places(job: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the canonical job without the folders of the user's machine."""
    models = [
        {**model, "source": Path(model["source"]).name} if "source" in model else model for model in job["models"]
    ]
    return {**job, "corpora": [{**corpus, "root": None} for corpus in job["corpora"]], "models": models}


Names = Mapping[str, Mapping[str, str]]
"""By corpus, the names under which its people and their clips are shown."""


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
    names = {key: getattr(settings, key) for key in settings.__slots__ if key not in ("name", "label")}
    defaults = published(settings.name)
    differs = [f"{key} {value} (published {defaults[key]})" for key, value in names.items() if value != defaults[key]]
    kept = (identity for label, identity in weights if label == settings.label)
    return ModelInfo(
        settings={"name": settings.name, **names},
        parameters=next((count for identity in kept if (count := _parameters(store, identity))), 0),
        reduced=", ".join(differs),
    )


def _parameters(store: Store, identity: str) -> int:
    """Returns the size of a trained recogniser, or 0 where its record is missing or damaged."""
    try:
        return int(store.read_json(layout.training_record(identity))["parameters"])
    except (Unreadable, KeyError, TypeError, ValueError):
        return 0


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


def _pictures(opened: Sequence[Corpus], verdicts: pl.DataFrame, names: Names) -> dict[str, Any]:
    """Returns the mean faces with their regions, and a strip of attacked apex frames."""
    return {
        "faces": {corpus.name: _mean_face(corpus) for corpus in opened},
        "examples": [example for corpus in opened for example in _examples(corpus, verdicts, names)],
    }


def _mean_face(corpus: Corpus) -> MeanFace:
    landmarks = np.mean([corpus.landmarks[i][clip.onset] for i, clip in enumerate(corpus.clips)], axis=0)
    onsets = (corpus.frames[i][clip.onset].astype(np.float64) for i, clip in enumerate(corpus.clips))
    mean = np.rint(sum(onsets) / len(corpus.clips)).astype(np.uint8)
    width, height = corpus.size
    return MeanFace(picture=_rgb(mean), boxes=regions.locate(landmarks, aspect=width / height))


def _examples(corpus: Corpus, verdicts: pl.DataFrame, names: Names) -> list[tuple[str, Bytes]]:
    """Returns for each shipped sticker one attacked apex frame at the causal place, of a different person each."""
    import polars as pl

    shown = sorted({clip.subject for clip in corpus.clips})
    rows = verdicts.filter(
        (pl.col("corpus") == corpus.name)
        & (pl.col("placement") == "causal")
        & pl.col("x").is_not_null()
        & pl.col("subject").is_in(shown)
    )
    positions = {clip.clip: number for number, clip in enumerate(corpus.clips)}
    made: list[tuple[str, Bytes]] = []
    subjects = rows["subject"].unique().sort().to_list()
    for number, name in enumerate(name for name in stickers.STICKERS if name in set(rows["sticker"])):
        subject = subjects[number % len(subjects)]
        row = rows.filter((pl.col("sticker") == name) & (pl.col("subject") == subject)).row(0, named=True)
        position = positions[row["clip"]]
        frame = _rgb(corpus.frames[position][corpus.clips[position].apex])
        height, width = frame.shape[:2]
        size = stickers.size_px(row["side"], face_width_px=width, face_height_px=height)
        place = Placement(name="causal", region=row["region"], centre=Point(x=row["x"], y=row["y"]))
        picture = adversarial(frame, stickers.load(name), place, size)
        large: Bytes = np.repeat(np.repeat(picture, ENLARGE, axis=0), ENLARGE, axis=1)
        made.append((f"{name}, {names.get(corpus.name, {}).get(row['clip'], row['clip'])}", large))
    return made


def _rgb(frame: Bytes) -> Bytes:
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
