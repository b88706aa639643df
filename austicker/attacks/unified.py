"""The unified adversarial patch (Wei and others, 2023): a white patch whose outline evolves, not its place.

As their public code has it: 12 control points around a centre, each in a sector of its own, joined by a closed spline
(Catmull-Rom). Differential evolution (rand/1, CR 1, F 0.6) on 30 patches for 200 generations, the first
included. Boundary-limited: a point keeps its old place where the new one is out of its sector, too near the centre, or
out of the box. Score-aware: the fitness is exp(2 (p0 - p) / (p0 - threshold)), and the search ends at exp(2), where the
score p is down to the threshold; a clean score p0 changes neither the order nor the end, so 1 is taken and none asked.

Adapted to faces and classes, and not published:
- One patch, 24 genes; theirs are two on a pedestrian, 48 genes. A sticker is one, and so is what it is compared with.
- p is the true class' score. Their threshold, 0.7, is where a detector gives up; a class is sure to have lost only at
  1 / classes, which is the default.
- The patch starts as large as the job's sticker: their 15 pixels are the radius of a circle of the sticker's area, and
  the 8 pixels, and the start's -3 to 2, scale with it. So all of them scale with the picture.
- Their box is the middle half of a body in width and a quarter in height; ours is the outline of the face with its
  forehead, shrunk towards the patch's centre to `reach`. The default keeps their half; 1 is the whole face.
- Where on a face the centre goes is open. It is one of the job's placements, by default the middle of the picture.
- A generation is bred from the one before it, not also from its own first members, and is so one batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from austicker import placements
from austicker.attacks.evolution import partners
from austicker.attacks.looks import Face, Looks, Reals, Walk, looks_at
from austicker.attacks.search import Search
from austicker.placements.random import outline
from austicker.placements.scene import Scene
from austicker.types import AustickerError

POINTS = 12
"""Control points of a patch."""
RADIUS_PX, NEAREST_PX = 15.0, 8.0
JITTER_PX = (-3, 2)
"""Lowest and highest whole number that is added to each coordinate of the start."""
CORNERS = 4
"""Corners of the filled polygon for each control point: a start's edge is then within a hundredth of its radius."""
LEAST_MEMBERS = 4
"""rand/1 needs three others."""
DONE = exp(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the search.

    Attributes:
        population: patches.
        generations: at most, the first included.
        factor: weight of a difference, F.
        threshold: score of the true class at which the search ends; None for 1 / classes (open in the paper).
        centre: placement of the patch's centre, such as "region/chin" or "random/1" (open in the paper).
        reach: size of the box, 1 for the whole face (open in the paper).
    """

    population: int = 30
    generations: int = 200
    factor: float = 0.6
    threshold: float | None = None
    centre: str = "centre"
    reach: float = 0.5

    def __post_init__(self) -> None:
        """Refuses values out of range."""
        if self.population < LEAST_MEMBERS or self.generations < 1:
            raise AustickerError(
                f"A search for a unified patch needs a population of at least {LEAST_MEMBERS} and a generation, not "
                f"{self.population} and {self.generations}."
            )
        if not 0 < self.factor <= 2:
            raise AustickerError(f"The factor {self.factor:g} of a unified patch is not above 0 and at most 2.")
        if self.threshold is not None and not 0 <= self.threshold < 1:
            raise AustickerError(f"The threshold {self.threshold:g} of a unified patch is not at least 0 and below 1.")
        if not 0 < self.reach <= 1:
            raise AustickerError(f"The reach {self.reach:g} of a unified patch is not above 0 and at most 1.")
        if placements.expand([self.centre], 1) != (self.centre,) or placements.needs(self.centre):
            raise AustickerError(
                f"The centre '{self.centre}' of a unified patch must be one placement that needs no causal graph, such "
                "as 'centre' or 'region/glabella'."
            )

    @property
    def queries(self) -> int:
        """Returns one query for each patch of each generation, as the paper counts them."""
        return self.population * self.generations

    def within(self, budget: int) -> Settings:
        """Returns a search of fewer patches and generations."""
        if budget >= self.queries:
            return self
        wanted = min(int(self.population * sqrt(max(budget, 0) / self.queries)), budget)
        population = max(LEAST_MEMBERS, wanted)
        return replace(self, population=population, generations=max(1, min(budget // population, self.generations)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """Where the control points of a patch may be, in pixels of the aligned face.

    Attributes:
        centre: (2,) of the patch.
        unit: pixels of this face for one published pixel.
        box: (corners, 2) convex polygon.
    """

    centre: Reals
    unit: float
    box: Reals

    @classmethod
    def of(cls, face: Face, settings: Settings) -> Limits:
        """Returns the limits on a face.

        Raises:
            AustickerError: the landmarks span no face.
        """
        scene = Scene(aspect=face.aspect, landmarks=face.landmarks)
        placement = placements.place(settings.centre, scene, face.rng)
        if placement is None:
            raise AustickerError(
                f"Placement '{settings.centre}' has no place for a unified patch: give another centre."
            )
        width, height = face.sticker_px
        centre = np.array([placement.centre.x, placement.centre.y]) * face.size_px
        hull = outline(face.landmarks, aspect=face.aspect) * face.size_px
        return cls(
            centre=centre,
            unit=sqrt(width * height / pi) / RADIUS_PX,
            box=centre + settings.reach * (hull - centre),
        )

    def start(self, rng: np.random.Generator, count: int) -> Reals:
        """Returns patches (count, POINTS, 2) around the middles of the sides of a regular polygon."""
        lowest, highest = JITTER_PX
        jitter = rng.integers(lowest, highest, size=(count, POINTS, 2), endpoint=True)
        angle = 2 * pi * (np.arange(POINTS) + 0.5) / POINTS
        sides = RADIUS_PX * np.cos(pi / POINTS) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        patches: Reals = self.centre + self.unit * (sides + jitter)
        return patches

    def hold(self, patches: Reals) -> NDArray[np.bool_]:
        """Returns which points (m, POINTS) of patches may be where they are."""
        spokes = patches - self.centre
        sector = np.floor(np.arctan2(spokes[..., 1], spokes[..., 0]) % (2 * pi) / (2 * pi / POINTS))
        far = np.hypot(spokes[..., 0], spokes[..., 1]) > NEAREST_PX * self.unit
        sides = np.roll(self.box, -1, axis=0) - self.box  # (corners, 2)
        ways = patches[:, :, None] - self.box  # (m, POINTS, corners, 2)
        turns = sides[:, 0] * ways[..., 1] - sides[:, 1] * ways[..., 0]
        inside = (turns >= 0).all(axis=2) | (turns <= 0).all(axis=2)
        held: NDArray[np.bool_] = (sector == np.arange(POINTS)) & far & inside
        return held


def splines(patches: Reals) -> Reals:
    """Returns corners (m, POINTS * CORNERS, 2) on the closed Catmull-Rom splines through control points.

    Knots are spaced by the points' distances, as in the public code; each piece is written as a cubic Hermite curve.

    Args:
        patches: (m, POINTS, 2), no point equal to its neighbour.
    """
    step = np.roll(patches, -1, axis=1) - patches  # from each point to the next
    space = np.hypot(step[..., 0], step[..., 1])[..., None]
    last, before = np.roll(step, 1, axis=1), np.roll(space, 1, axis=1)
    slope = last / before - (last + step) / (before + space) + step / space
    first, second = (space * slope)[:, :, None], (space * np.roll(slope, -1, axis=1))[:, :, None]
    along = (np.arange(CORNERS) / CORNERS)[:, None]
    back = 1 - along
    pieces = patches[:, :, None] + step[:, :, None] * along**2 * (3 - 2 * along)
    pieces = pieces + along * back * (back * first - along * second)
    corners: Reals = pieces.reshape(len(patches), -1, 2)
    return corners


def centroids(polygons: Reals) -> Reals:
    """Returns the centroids (m, 2) of the areas of polygons (m, corners, 2)."""
    middle = polygons.mean(axis=1, keepdims=True)
    ways = polygons - middle
    after = np.roll(ways, -1, axis=1)
    areas = (ways[..., 0] * after[..., 1] - ways[..., 1] * after[..., 0])[..., None]
    found: Reals = middle[:, 0] + ((ways + after) * areas).sum(axis=1) / (3 * areas.sum(axis=1))
    return found


def score_aware(scores: Reals, threshold: float, clean: float = 1.0) -> Reals:
    """Returns the fitness (m,) of scores (m,) of the true class, higher is better."""
    fitness: Reals = np.exp(2 * (clean - scores) / (clean - threshold))
    return fitness


def bred(patches: Reals, limits: Limits, factor: float, rng: np.random.Generator) -> Reals:
    """Returns rand/1 of each patch; a point that may not go to its new place keeps the old one."""
    base, one, other = partners(rng, len(patches), 3).T
    mutants = patches[base] + factor * (patches[one] - patches[other])
    trials: Reals = np.where(limits.hold(mutants)[..., None], mutants, patches)
    return trials


def looks_of(patches: Reals, size_px: tuple[int, int]) -> Looks:
    """Returns patches as looks, of which the centre is the centroid."""
    outlines = splines(patches)
    return replace(looks_at(centroids(outlines) / size_px), outlines=outlines / size_px)


def walk(face: Face, settings: Settings) -> Walk:
    """Searches one face.

    Raises:
        AustickerError: the landmarks span no face, or the centre has no place on it.
    """
    limits = Limits.of(face, settings)
    patches = trials = limits.start(face.rng, settings.population)
    fitness = np.full(settings.population, -np.inf)
    for generation in range(settings.generations):
        if generation:
            trials = bred(patches, limits, settings.factor, face.rng)
        answers = yield looks_of(trials, face.size_px)
        if answers.scores is None:
            raise ValueError("the unified patch reads scores, and was answered with labels alone")
        threshold = 1 / answers.scores.shape[1] if settings.threshold is None else settings.threshold
        found = score_aware(answers.scores[:, face.label].astype(np.float64), threshold)
        better = found > fitness
        patches, fitness = np.where(better[:, None, None], trials, patches), np.where(better, found, fitness)
        if fitness.max() >= DONE:
            return


attack = Search(access="scores", settings=Settings, walk=walk, wears=False, makes="plain patch")
