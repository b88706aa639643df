"""The nouns of the evaluation as frozen records; no behaviour that needs more than numpy.

Coordinates are fractions of the aligned face: `x` grows to the right of the image, `y` downwards, both 0..1.
"Left" and "right" are sides of the image, not of the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

Variant = Literal["same-place", "per-frame", "apex-only"]
Selection = Literal["fixed-epoch", "oracle-epoch"]
Hides = Literal["label", "answer"]
"""What an attack hides: the true class, or whatever a recogniser answers to the clean clip."""
LandmarkFeatures = Literal["xy", "euclid", "both"]
LandmarkFinder = Literal["mediapipe", "dlib"]
Access = Literal["label", "scores", "gradients"]
"""What a recogniser gives, or an attack needs; each gives all that those before it give."""


class AustickerError(Exception):
    """A fault that the user can mend; its text is one sentence that says what, where and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place on the aligned face."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle around `centre` on the aligned face."""

    centre: Point
    half_width: float
    half_height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One labelled clip, or a single picture; `onset`, `apex` and `offset` index the clip's packed frames.

    Attributes:
        action_units: as coded, such as "12", "L12" or "R14A".
        split: "train", "validation", "test" or "": the corpus' own division.
        repairs: names of the rules that mended its annotation or frames.
    """

    corpus: str
    clip: str
    subject: str
    label: int
    onset: int
    apex: int
    offset: int
    action_units: tuple[str, ...] = ()
    split: str = ""
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Labelled clips, decoded once and aligned.

    Attributes:
        fingerprint: digest of the labels, clips, frames and landmarks.
        digests: of each clip's pictures as they were before alignment: equal pictures have equal digests.
        frames: of each clip (frame, h, w, c) uint8, c = 1 (gray) or 3 (RGB); may be memory-mapped. All faces of a
            corpus have one size.
        landmarks: of each clip (frame, 68, 2) float32, iBUG 68 points as (x, y) fractions of the aligned face.
        motion: of each clip (14,) float32, `motion.region_motion`; may be measured when it is first asked for.
        synthetic: one sentence to print wherever results are shown, or "" for recorded clips.
        planted: edges (cause, effect) of a planted causal model, or () where the truth is unknown.
        consented: subjects who allowed the publication of their pictures.
        lacks_subjects: the corpus does not say who is who.
        folder: where its packed files lie, or None for one in memory.
    """

    name: str
    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    fingerprint: str
    digests: tuple[tuple[str, ...], ...] = field(repr=False)
    synthetic: str = ""
    planted: tuple[tuple[str, str], ...] = ()
    consented: tuple[str, ...] = ()
    lacks_subjects: bool = False
    frames: Sequence[Bytes] = field(compare=False, repr=False)
    landmarks: Sequence[Floats] = field(compare=False, repr=False)
    motion: Sequence[Floats] = field(compare=False, repr=False)
    folder: Path | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Returns (width, height) of the aligned faces in pixels."""
        height, width = self.frames[0].shape[1:3]
        return width, height


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One division of a corpus: positions of clips in `Corpus.clips`.

    `protocol` names the protocol that divides so where a study puts several side by side, and is "" elsewhere.
    """

    name: str
    train: tuple[int, ...]
    test: tuple[int, ...]
    protocol: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """Training pictures of one class that are changed before a recogniser learns from them.

    Attributes:
        attack: "eye-boxes" or "jaw-box".
        emotion: the class, by its name in the study.
        settings: every parameter of the attack, sorted by name.
    """

    attack: str
    emotion: str
    settings: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """A recogniser and its training recipe: everything declared that can change the weights, but for data and seed.

    `width` multiplies every channel count and `input_px` is the side of the square input; the published size is
    width 1.0 and the input of `austicker/models/recipes.toml`. `decay_epochs` is how many of the first epochs end
    with the learning rate times `decay`. What follows `selection` belongs to some recognisers alone.

    Attributes:
        drops: (epochs done, factor): from then on the learning rate is times the factor, which replaces earlier ones.
        trees: of a forest.
        features: of a forest: offsets of the landmarks from their centroid along both axes, as lengths, or both.
        landmarks: who finds the landmarks that a forest reads.
        poison: what is done to its training pictures.
    """

    name: str
    label: str
    width: float
    input_px: int
    frames: int
    epochs: int
    batch: int
    optimiser: str
    learning_rate: float
    weight_decay: float
    decay: float
    decay_epochs: int
    augment: bool
    selection: Selection
    drops: tuple[tuple[int, float], ...] = ()
    trees: int | None = None
    features: LandmarkFeatures | None = None
    landmarks: LandmarkFinder | None = None
    poison: Poison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoverySettings:
    """How the causal graph of the regions is found; the defaults are those of the default job.

    Attributes:
        method: one of `austicker.causal.METHODS`.
        alpha: significance level of the independence test.
        bins: quantile bins of the region motion for the discrete tests.
        max_conditions: largest conditioning set of the skeleton search.
        bootstraps: resamples of the training subjects that break a tie.
        clips: the most training clips that are looked at, drawn at random; all where it is None. The method "per-image"
            takes about a second for each.
    """

    method: str = "chi-square"
    alpha: float = 0.05
    bins: int = 3
    max_conditions: int = 2
    bootstraps: int = 100
    clips: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionGraph:
    """Outcome of causal discovery on one fold: edges by region name.

    Attributes:
        regions: the regions that took part.
        dropped: regions left out because their column was constant or equal to an earlier one (after binning).
        directed: (cause, effect) pairs.
        undirected: pairs whose direction the data do not tell, each in table order.
        bidirected: pairs with an arrow head at both ends (conflicting colliders).
        winner: region of the highest out-degree, or None where no edge is directed.
        decided_by: "out-degree", "half-undirected", "bootstrap", "index", "per-image majority" or "no directed edge".
        tied: the regions that shared the highest out-degree, in table order; () where one had it alone.
    """

    regions: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    directed: tuple[tuple[str, str], ...] = ()
    undirected: tuple[tuple[str, str], ...] = ()
    bidirected: tuple[tuple[str, str], ...] = ()
    winner: str | None = None
    decided_by: str = "no directed edge"
    tied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticker:
    """A picture to stick on a face; `rgba` is (h, w, 4) uint8 and `digest` the identity of those bytes."""

    name: str
    digest: str
    rgba: Bytes = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a sticker's centre goes on one face; `region` is None where no region names the place."""

    name: str
    region: str | None
    centre: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The unit of identity: one setting of the grid, evaluated on every test clip of one fold."""

    id: str
    corpus: str
    protocol: str
    fold: str
    model: str
    attack: str
    sticker: str
    placement: str
    side: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the outcome: one clip of one cell.

    `x` and `y` are the sticker's centre on the onset frame and `side` its width, as fractions of the aligned face.
    Predictions are class indices; scores are the softmax probability of the true class, null where the recogniser
    gives labels alone or the attack hid another class, which was the answer to the clean clip. Where the placement had
    no answer (no directed edge), `region`, `x` and `y` are null, no query was asked and the clip stays as it was. A
    search's row is that of the first picture that hid the emotion, else of the one that came closest, unless the search
    judges otherwise (`austicker.attacks.search.Judge`).

    Attributes:
        queries: pictures that the attack asked for: `unique` shown for the first time, `repeated` shown once more and
            `cached` answered from memory.
        calls: populations in which they were asked.
        success_at: number of the first query whose answer hid what the attack was to hide, or 0 where there was none.
        rotation: degrees clockwise.
        opacity: 0 to 1.
        outline: (x, y) corners one after the other of a patch without a sticker's picture.
        answers: score of the true class at every place asked, of an attack that maps the face.
        changed: share of the apex picture's pixels that the attack changed; like `ssim` and `psnr` of the aligned face
            (`austicker.visibility`), and null where nothing was asked.
        ssim: structural similarity of the attacked apex picture to the clean one, 1 for equal pictures.
        psnr: peak signal-to-noise ratio in dB; null where nothing changed.
        recipe: what was done, as JSON, by an attack that wears nothing.
        shift: what the recogniser read of the attacked pictures minus what it read of the clean ones, where it reads
            features and no pixels.
    """

    cell: str
    corpus: str
    protocol: str
    fold: str
    subject: str
    clip: str
    model: str
    attack: str
    sticker: str
    placement: str
    region: str | None
    x: float | None
    y: float | None
    side: float
    seed: int
    label: int
    clean_pred: int
    attacked_pred: int
    clean_score: float | None
    attacked_score: float | None
    queries: int
    unique: int = 0
    repeated: int = 0
    cached: int = 0
    calls: int = 0
    success_at: int = 0
    rotation: float | None = None
    opacity: float | None = None
    outline: tuple[float, ...] | None = None
    answers: tuple[float, ...] | None = None
    changed: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    recipe: str | None = None
    shift: tuple[float, ...] | None = None
