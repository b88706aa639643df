"""Recognisers whose weak spot is known, trials on them, and a count that knows nothing of the oracle; tests nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from austicker.attacks.looks import Face
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.trials import Trials
from austicker.faces.alignment import template_points

SIZE = (84, 96)
STICKER = (17, 19)


class Toy:
    """Hides class 0 of each clip where what is painted on its first frame lies on the clip's weights.

    A clip's second frame is one number, which clip it is: stickers never lie on it. What truly arrives is counted.
    """

    def __init__(self, weights: np.ndarray, need: np.ndarray) -> None:
        self.weights, self.need = torch.from_numpy(weights).float(), torch.from_numpy(need)
        self.shown: list[Counter[bytes]] = [Counter() for _ in weights]

    def __call__(self, frames: Tensor) -> Tensor:
        owner = frames[:, 1, 0, 0, 0].long()
        for number, clip in zip(owner.tolist(), frames, strict=True):
            self.shown[number][clip.numpy().tobytes()] += 1
        painted = (frames[:, 0, 0] / 200).clamp(max=1)
        hit = (painted * self.weights[owner]).flatten(1).double().sum(1) / self.need[owner]
        kept = (1 - hit / 2).clamp(0.02, 0.98)
        return torch.stack([kept, (1 - kept) * 0.999, (1 - kept) * 0.001], 1).float()

    def oracle(self, **settings) -> Oracle:
        return Oracle(Asked(name="toy", scores=self), [0] * len(self.shown), **{"budget": 10**6} | settings)

    @property
    def counts(self) -> tuple[list[int], list[int]]:
        """Pictures that each clip showed, and different ones among them."""
        return [count.total() for count in self.shown], [len(count) for count in self.shown]


def trials(count: int, *, seed: int = 0, batch: int = 32, size: tuple[int, int] = SIZE) -> Trials:
    """Black faces of two frames, a white square sticker that only the first frame gets."""
    width, height = size
    frames = torch.zeros(count, 2, 1, height, width)
    frames[:, 1] = torch.arange(count).view(-1, 1, 1, 1)
    points = template_points(size)
    sticker = (round(STICKER[0] * width / SIZE[0]), round(STICKER[1] * height / SIZE[1]))
    return Trials(
        frames=frames,
        clip=np.arange(count),
        stickers=torch.cat([torch.full((1, 3, *sticker[::-1]), 255.0), torch.ones(1, 1, *sticker[::-1])], 1),
        sticker=np.zeros(count, np.int64),
        shown=np.tile([True, False], (count, 1)),
        apex=np.zeros(count, np.int64),
        faces=[
            Face(landmarks=points, size_px=size, sticker_px=sticker, label=0, rng=np.random.default_rng([seed, number]))
            for number in range(count)
        ],
        batch=batch,
    )


def bumps(spots: np.ndarray, *, width: float = 9.0, need: float = 0.995, size: tuple[int, int] = SIZE) -> Toy:
    """Weights that fall off smoothly around spots (n, 2), fractions; only a sticker right on its spot hides."""
    across, down = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    middle = np.asarray(spots) * size
    apart = (across[None, None] - middle[:, :1, None]) ** 2 + (down[None, :, None] - middle[:, 1:, None]) ** 2
    weights = np.exp(-apart / (2 * width**2))
    covers = (abs(across - middle[:, :1]) < STICKER[0] / 2)[:, None] & (abs(down - middle[:, 1:]) < STICKER[1] / 2)[
        ..., None
    ]
    return Toy(weights, need * (weights * covers).sum((1, 2)))
