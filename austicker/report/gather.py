"""Reads a store into what the report needs; opens corpora only for pictures and computes no measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import corpora, regions, results, stickers
from austicker.generate import adversarial
from austicker.job import Job, from_record
from austicker.models import published
from austicker.planted_truth import against_truth
from austicker.report.context import Context, CorpusInfo, ModelInfo
from austicker.stages import read_graphs, read_job
from austicker.store import Store, Unreadable, layout
from austicker.types import AustickerError, Box, Bytes, Corpus, ModelSettings, Placement, Point

if TYPE_CHECKING:
    import polars as pl

ENLARGE = 2
"""Example pictures are shown at this multiple of the corpus' resolution."""


def gather(store: Store) -> tuple[pl.DataFrame, Context]:
    """Returns the verdicts of the cells that the store's job expects, and everything else that is printed.

    Raises:
        AustickerError: the folder holds no job, or a record in it is damaged.
    """
    record = read_job(store)
    job = from_record(record["job"])
    expected = frozenset(record["cells"])
    verdicts = results.read_verdicts(store, expected)
    infos = {name: _corpus_info(info) for name, info in record["corpora"].items()}
    graphs = read_graphs(store, record)
    truth = {key: against_truth(graph, planted) for key, graph in graphs.items() if (planted := infos[key[0]].planted)}
    opened = _opened(job, infos)
    context = Context(
        name=job.name,
        job=record["job"],
        provenance=record["provenance"],
        corpora=infos,
        models={settings.label: _model_info(store, settings, record["weights"]) for settings in job.models},
        cells_expected=len(expected),
        cells_done=verdicts["cell"].n_unique(),
        graphs=graphs,
        truth=truth,
        failures=store.failures(),
        **_pictures(opened, verdicts),
    )
    return verdicts, context


def _corpus_info(record: Mapping[str, Any]) -> CorpusInfo:
    return CorpusInfo(
        **{
            **record,
            "labels": tuple(record["labels"]),
            "planted": tuple((cause, effect) for cause, effect in record["planted"]),
        }
    )


def _model_info(store: Store, settings: ModelSettings, weights: list[tuple[str, str]]) -> ModelInfo:
    """Returns a recogniser's settings, and in words how they differ from the published ones."""
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


def _opened(job: Job, infos: Mapping[str, CorpusInfo]) -> Corpus | None:
    """Returns a corpus whose faces may be shown, where this machine has one: only synthetic motion is exempt."""
    for choice in job.corpora:
        if infos[choice.name].synthetic:
            try:
                corpus = corpora.open_corpus(choice.name, Path(choice.root) if choice.root else None)
            except AustickerError:
                continue  # the report does without pictures; every number comes from the verdicts
            if corpus.fingerprint == infos[choice.name].fingerprint:
                return corpus
    return None


def _pictures(corpus: Corpus | None, verdicts: pl.DataFrame) -> dict[str, Any]:
    """Returns the mean face with its regions, and a strip of attacked apex frames."""
    if corpus is None:
        return {}
    landmarks = np.stack([corpus.landmarks[i][clip.onset] for i, clip in enumerate(corpus.clips)])
    onsets = np.stack([corpus.frames[i][clip.onset] for i, clip in enumerate(corpus.clips)])
    mean = np.rint(onsets.mean(axis=0)).astype(np.uint8)
    height, width = mean.shape[:2]
    boxes: Mapping[str, Box] = regions.locate(landmarks.mean(axis=0), aspect=width / height)
    return {"face": _rgb(mean), "boxes": boxes, "examples": _examples(corpus, verdicts)}


def _examples(corpus: Corpus, verdicts: pl.DataFrame) -> list[tuple[str, Bytes]]:
    """Returns for each shipped sticker one attacked apex frame at the causal place, of a different person each."""
    import polars as pl

    rows = verdicts.filter(
        (pl.col("corpus") == corpus.name) & (pl.col("placement") == "causal") & pl.col("x").is_not_null()
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
        made.append((f"{name}, {row['clip']}", large))
    return made


def _rgb(frame: Bytes) -> Bytes:
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
