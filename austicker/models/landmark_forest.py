"""A random forest over a face's 68 landmarks, which sees no pixel itself; learned in one go and not by gradients.

Shehu, Browne and Eisenbarth: landmarks against a ResNet under attack. A landmarker finds the points on the very picture
that the recogniser is shown, in training as under attack: attacked pictures have no landmarks of their own. Offsets are
not divided by the size of the face: the paper says nothing of it.

An answer has one column more than there are classes. It says "no face found", and is no class: where the landmarker
finds no face it has probability 1, and elsewhere 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from austicker.models.landmark_memory import LandmarkMemory, Search, landmark_memory
from austicker.models.recogniser import Fitted, Statistics
from austicker.types import Access, AustickerError, Clip, LandmarkFeatures, ModelSettings

NEVER = -1e4
"""Logarithm of a probability of 0: the softmax makes it exactly 0 again, and losses of it stay finite."""


def landmark_features(points: Tensor, kind: LandmarkFeatures) -> Tensor:
    """Returns where landmarks lie as seen from their centroid, the mean of all of them; in the points' unit.

    Args:
        points: (n, points, 2) floats, (x, y).
        kind: "xy" for the signed offsets in the order x, y of the first point, x, y of the second and so on, so
            (n, 136) for 68 points (Fig. 9 of the paper shows both axes); "euclid" for their lengths, (n, 68) (its
            text); "both" for the offsets and then the lengths, (n, 204).
    """
    offsets = points - points.mean(1, keepdim=True)
    parts = {"xy": [offsets.flatten(1)], "euclid": [offsets.norm(dim=2)]}
    return torch.cat(parts["xy"] + parts["euclid"] if kind == "both" else parts[kind], 1)


class Forest(nn.Module):
    """A fitted forest as tensors; all trees are walked at once, and a tree that has arrived at a leaf stays there.

    Args:
        roots: (trees,) int64, each tree's first node.
        branches: (nodes, 2) int64, where to go up to the threshold and above it; a leaf leads to itself.
        feature: (nodes,) int64, what is compared; 0 at a leaf.
        threshold: (nodes,) float32.
        shares: (nodes, classes) float64, of the training pictures that arrived at a node.
    """

    roots: Tensor
    branches: Tensor
    feature: Tensor
    threshold: Tensor
    shares: Tensor

    def __init__(self, *, roots: Tensor, branches: Tensor, feature: Tensor, threshold: Tensor, shares: Tensor) -> None:
        super().__init__()
        self.register_buffer("roots", roots)
        self.register_buffer("branches", branches)
        self.register_buffer("feature", feature)
        self.register_buffer("threshold", threshold)
        self.register_buffer("shares", shares)
        self._depth = _depth(roots, branches)

    def forward(self, features: Tensor) -> Tensor:
        """Returns log-probabilities (n, classes + 1) of features (n, f); a row of NaN has no face."""
        node = self.roots.expand(len(features), -1)  # (n, trees)
        for _ in range(self._depth):
            above = features.gather(1, self.feature[node]) > self.threshold[node]
            node = self.branches[node, above.long()]
        faceless = features.isnan().any(1, keepdim=True)
        shares = self.shares[node].mean(1).masked_fill(faceless, 0)
        answer = torch.cat([shares, faceless.to(shares)], 1)
        return answer.log().clamp(min=NEVER).float()


def as_tensors(forest: Any, classes: int) -> Forest:
    """Returns scikit-learn's fitted `RandomForestClassifier` as a `Forest`; a class that it never saw has share 0."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])
    branches, shares = [], []
    for start, tree in zip(starts[:-1], trees, strict=True):
        itself = np.arange(tree.node_count)
        pairs = np.stack([tree.children_left, tree.children_right], 1)
        branches.append(start + np.where(pairs < 0, itself[:, None], pairs))
        seen = np.zeros((tree.node_count, classes))
        seen[:, forest.classes_.astype(int)] = tree.value[:, 0]
        shares.append(seen)
    exact = np.concatenate([tree.threshold for tree in trees])
    # Features are float32: the largest float32 that is no larger parts them just as the threshold itself.
    threshold = exact.astype(np.float32)
    threshold = np.where(threshold > exact, np.nextafter(threshold, np.float32(-np.inf)), threshold)
    return Forest(
        roots=torch.from_numpy(starts[:-1].astype(np.int64)),
        branches=torch.from_numpy(np.concatenate(branches).astype(np.int64)),
        feature=torch.from_numpy(np.concatenate([tree.feature for tree in trees]).clip(min=0).astype(np.int64)),
        threshold=torch.from_numpy(threshold),
        shares=torch.from_numpy(np.concatenate(shares)),
    )


class LandmarkForest(Fitted):
    """The landmarks of the apex picture, in pixels of the aligned face.

    Args:
        settings: with `trees`, `features` and `landmarks`.
        memory: who finds the landmarks; by default this process' landmarker of that name.
    """

    access: Access = "scores"
    colour: Literal["gray", "rgb"] = "rgb"

    def __init__(self, settings: ModelSettings, memory: LandmarkMemory | None = None) -> None:
        super().__init__(settings)
        if settings.trees is None or settings.features is None or settings.landmarks is None:
            raise ValueError(f"settings '{settings.label}' lack trees, features or landmarks")
        self._trees, self._kind = settings.trees, settings.features
        self._memory = memory or landmark_memory(settings.landmarks)
        self._spared_s = 0.0

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns the apex."""
        return (clip.apex,)

    def resize(self, pixels: Tensor) -> Tensor:
        """Returns the pixels as they are: landmarks are sought, and measured, on the aligned face."""
        return pixels

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Returns the landmarks' features (n, f), float32, in pixels of the aligned face; NaN where no face is found.

        The picture is rounded and clipped to 8 bits for the landmarker, and gray is repeated to RGB.
        """
        search = self._search(resized)
        self._spared_s += search.spared_s
        return landmark_features(torch.from_numpy(search.points), self._kind).to(resized.device)

    def features(self, pixels: Tensor) -> Tensor | None:
        """Returns the rows of `normalise`."""
        return self.normalise(self.resize(pixels), {})

    def fit_statistics(self, pixels: Tensor) -> Statistics:
        """Returns how many of the training pictures have a face and were learned from, and how many have none."""
        # This counts what `fit` found: it is no work of the training, and so its memory spares none.
        faceless = int(np.isnan(self._search(pixels).points).any((1, 2)).sum())
        return {"pictures_with_face": len(pixels) - faceless, "pictures_without_face": faceless}

    def fit(self, pixels: Tensor, labels: Tensor, classes: int, seed: int) -> nn.Module:
        """Grows the forest on the pictures in which a face is found, with scikit-learn's other defaults.

        Raises:
            AustickerError: a class has pictures, but none with a face.
        """
        from sklearn.ensemble import RandomForestClassifier

        features, targets = self.normalise(pixels, {}).cpu().numpy(), labels.cpu().numpy()
        found = ~np.isnan(features).any(1)
        faceless = sorted(set(targets.tolist()) - set(targets[found].tolist()))
        if faceless:
            raise AustickerError(
                f"Training '{self.settings.label}' finds a face in no training picture of class {faceless[0]} (counted "
                "from 0): choose the other landmarks, or leave that class out."
            )
        forest = RandomForestClassifier(n_estimators=self._trees, random_state=seed, n_jobs=1)
        return as_tensors(forest.fit(features[found], targets[found]), classes)

    def restored(self, classes: int, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Builds the forest that has these tensors.

        Raises:
            TypeError: one is missing or there is one too many.
            ValueError: they belong to another number of classes, or are no trees.
        """
        forest = Forest(**tensors)
        if forest.shares.shape[1] != classes:
            raise ValueError(f"the forest tells {forest.shares.shape[1]} classes apart, not {classes}")
        return forest

    def spared_s(self) -> float:
        """Returns how long the landmarks would have taken that were remembered."""
        return self._spared_s

    def _search(self, resized: Tensor) -> Search:
        # (n, 1, c, h, w) -> (h, w, 3), one after the other: thousands of pictures at once would be copied
        pictures = (
            picture[0].round().clamp(0, 255).byte().movedim(0, -1).expand(-1, -1, 3).cpu().numpy()
            for picture in resized
        )
        return self._memory.search(pictures)


def _depth(roots: Tensor, branches: Tensor) -> int:
    """Returns the steps after which every walk is at a leaf.

    Raises:
        ValueError: some walk never ends.
    """
    nodes, here = torch.arange(len(branches), device=branches.device)[:, None], roots
    inner = (branches != nodes).any(1)
    for depth in range(len(branches)):
        here = here[inner[here]]
        if not len(here):
            return depth
        here = branches[here].flatten()
    raise ValueError("the forest has a walk that never ends")
