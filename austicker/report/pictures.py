"""Faces for a report: the mean face, and attacked faces made anew from their verdicts; measures nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from austicker import regions, stickers
from austicker.attacks.boxes import Painted
from austicker.attacks.filters.chains import FilterChains
from austicker.generate import adversarial
from austicker.report.context import MeanFace
from austicker.types import Bytes, Corpus, Placement, Point

if TYPE_CHECKING:
    import polars as pl

ENLARGE = 2
"""Example pictures are shown at this multiple of the corpus' resolution."""
GRID_ROWS = 4
"""Faces of the grid of examples."""
Names = Mapping[str, Mapping[str, str]]
"""By corpus, the names under which its people and their clips are shown."""
Shown = tuple[str, Bytes]
"""A caption and an (h, w, 3) uint8 RGB picture."""


def pictures_of(
    opened: Sequence[Corpus], verdicts: pl.DataFrame, names: Names, labels: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Returns the mean faces with their regions, a strip of faces with stickers, and a grid of faces changed else.

    Args:
        opened: corpora of which every face may be shown.
        verdicts: rows with the columns of `Verdict`.
        names: those under which people are shown; their own where there is none.
        labels: by corpus, the classes of its study.
    """
    return {
        "faces": {corpus.name: _mean_face(corpus) for corpus in opened},
        "examples": [example for corpus in opened for example in _examples(corpus, verdicts, names)],
        "grid": [row for corpus in opened for row in _grid(corpus, verdicts, labels[corpus.name])],
    }


def _mean_face(corpus: Corpus) -> MeanFace:
    landmarks = np.mean([corpus.landmarks[i][clip.onset] for i, clip in enumerate(corpus.clips)], axis=0)
    onsets = (corpus.frames[i][clip.onset].astype(np.float64) for i, clip in enumerate(corpus.clips))
    mean = np.rint(sum(onsets) / len(corpus.clips)).astype(np.uint8)
    width, height = corpus.size
    return MeanFace(picture=_rgb(mean), boxes=regions.locate(landmarks, aspect=width / height))


def _examples(corpus: Corpus, verdicts: pl.DataFrame, names: Names) -> list[Shown]:
    """Returns for each shipped sticker one attacked apex frame at the causal place, of a different person each."""
    import polars as pl

    shown = sorted({clip.subject for clip in corpus.clips})
    rows = verdicts.filter(
        (pl.col("corpus") == corpus.name)
        & (pl.col("placement") == "causal")
        & pl.col("x").is_not_null()
        & pl.col("subject").is_in(shown)
    )
    made: list[Shown] = []
    subjects = rows["subject"].unique().sort().to_list()
    for number, name in enumerate(name for name in stickers.STICKERS if name in set(rows["sticker"])):
        subject = subjects[number % len(subjects)]
        row = rows.filter((pl.col("sticker") == name) & (pl.col("subject") == subject)).row(0, named=True)
        frame = _frame(corpus, row["clip"])
        height, width = frame.shape[:2]
        size = stickers.size_px(row["side"], face_width_px=width, face_height_px=height)
        place = Placement(name="causal", region=row["region"], centre=Point(x=row["x"], y=row["y"]))
        picture = adversarial(frame, stickers.load(name), place, size)
        made.append((f"{name}, {names.get(corpus.name, {}).get(row['clip'], row['clip'])}", _large(picture)))
    return made


def _grid(corpus: Corpus, verdicts: pl.DataFrame, labels: Sequence[str]) -> list[list[Shown]]:
    """Returns one row of pictures for each of some clips, first as it is: how each filter or box attack changed it.

    The captions are answers of the recogniser. Of several recognisers the first is shown, of several clips of a class
    one that was recognised. A step of noise is not shown: what it was is not kept.
    """
    import polars as pl

    people = sorted({clip.subject for clip in corpus.clips})
    rows = verdicts.filter(
        (pl.col("corpus") == corpus.name)
        & pl.col("subject").is_in(people)
        & (pl.col("recipe").str.starts_with("[") | pl.col("recipe").str.contains('"boxes"', literal=True))
    )
    if rows.is_empty():
        return []
    first = rows.sort("protocol", "model", "seed").row(0, named=True)
    rows = rows.filter(*(pl.col(key) == first[key] for key in ("protocol", "model", "seed"))).sort("attack")
    right = (pl.col("clean_pred") == pl.col("label")).alias("right")
    wanted = (
        rows.select("clip", "label", right)
        .unique()
        .sort("right", "clip", descending=[True, False])
        .unique("label", keep="first", maintain_order=True)
        .sort("label")["clip"]
        .head(GRID_ROWS)
    )
    return [_grid_row(corpus, rows.filter(clip=clip), labels) for clip in wanted]


def _grid_row(corpus: Corpus, rows: pl.DataFrame, labels: Sequence[str]) -> list[Shown]:
    def answer(number: int) -> str:
        return labels[number] if number < len(labels) else "no face found"

    first = rows.row(0, named=True)
    frame = _frame(corpus, first["clip"])
    shown = [(f"as it is: {answer(first['clean_pred'])}", _large(frame))]
    for row in rows.iter_rows(named=True):
        shown.append((f"{row['attack']}: {answer(row['attacked_pred'])}", _large(_changed(frame, row["recipe"]))))
    return shown


def _changed(frame: Bytes, recipe: str) -> Bytes:
    """Returns a picture (h, w, 3) changed by the recipe of a verdict."""
    import torch

    edit = FilterChains.of_recipe(recipe) if isinstance(json.loads(recipe), list) else Painted.of_recipe(recipe)
    clip = torch.from_numpy(np.moveaxis(frame, 2, 0)[None, None].astype(np.float32))
    return np.asarray(np.moveaxis(edit.applied(clip)[0, 0].round().to(torch.uint8).numpy(), 0, 2), np.uint8)


def _frame(corpus: Corpus, name: str) -> Bytes:
    """Returns the apex picture of a clip, or the single frame that a view calls "clip#number"."""
    clip, _, number = name.partition("#")
    position = next(position for position, one in enumerate(corpus.clips) if one.clip == clip)
    frame = int(number) - 1 if number else corpus.clips[position].apex
    return _rgb(corpus.frames[position][frame])


def _large(picture: Bytes) -> Bytes:
    large: Bytes = np.repeat(np.repeat(picture, ENLARGE, axis=0), ENLARGE, axis=1)
    return large


def _rgb(frame: Bytes) -> Bytes:
    return np.repeat(frame, 3, axis=2) if frame.shape[2] == 1 else frame
