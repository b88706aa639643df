"""What is declared of a recogniser that was trained elsewhere, as one frozen record; opens nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pydantic

from austicker.types import Access

Frames = Literal["apex", "onset-apex"] | int
Layout = Literal["nchw", "nhwc", "ntchw", "nthwc", "ncthw"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSettings:
    """A recogniser trained elsewhere: where it comes from, what it is shown and what its answers mean.

    The keys of a job's table are these fields; `file` may be written for a `source` that is a file.

    Attributes:
        name: the kind, one of `FOREIGN`.
        label: what tables call it.
        source: a file's path, or "module:attribute", or "" for what a package carries.
        digest: sha256 of the file, of the module's source file where that can be found, or of the package's file.
        version: the user's own mark for what the digest cannot see, such as the version of a module's package.
        access: the most that an attack may get; at most what the kind gives.
        labels: its own outputs, in order.
        classes: class of the study by own label, "" for none of them; "*" stands for every label that is not named.
            Where it is empty, equal names and the usual synonyms meet (`austicker.foreign.labels`).
        input_px: width and height that pictures are resized to.
        colour: the order of the channels that the network takes.
        range: what the grey levels 0 and 255 become.
        mean: taken away after that, one value or one for each channel.
        std: divided by after that, likewise.
        frames: the apex alone, onset and apex, or so many frames evenly spaced from onset to offset.
        layout: the axes of its input: picture n, time t, channel c, row h, column w.
        outputs: what its answers are.
        allow_pickle: pickled weights may be read, by torch's `weights_only` reader.
        architecture: for `weights`: one of `austicker.models.MODELS`.
        width: for `weights`: the multiple of every channel count.
        statistics: for `weights`: the normalisation constants of its training clips.
    """

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str
    label: str = ""
    source: str = ""
    digest: str = ""
    version: str = ""
    access: Access = "gradients"
    labels: tuple[str, ...] = ()
    classes: dict[str, str] = field(default_factory=dict, hash=False)
    input_px: tuple[int, int] = (0, 0)
    colour: Literal["gray", "rgb", "bgr"] = "rgb"
    range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    frames: Frames = "apex"
    layout: Layout = "nchw"
    outputs: Literal["logits", "probabilities", "labels"] = "logits"
    allow_pickle: bool = False
    architecture: str = ""
    width: float = 1.0
    statistics: dict[str, float] = field(default_factory=dict, hash=False)


def from_record(record: Mapping[str, Any]) -> ForeignSettings:
    """Returns the settings of a record of JSON values: the inverse of `dataclasses.asdict`.

    Raises:
        pydantic.ValidationError: a key is unknown or a value of the wrong type.
    """
    # As JSON, because only there the strict mode, in which true is no number, takes a list for a tuple.
    text = json.dumps(record, default=lambda value: {"date or time": str(value)})
    return pydantic.TypeAdapter(ForeignSettings).validate_json(text, strict=True)
