"""Run as `make bench`: what batching the grid gains over one trial at a time, as a ratio measured in one run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from austicker import models, stickers
from austicker.attacks.looks import looks_at
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.sticker import Settings, attack
from austicker.attacks.trials import Trials
from austicker.models import MODELS
from austicker.shard import batch_size
from austicker.training import Trained, scores

CLIPS, PLACES, SIZE = 6, 26, (112, 128)
REDUCED = {"mmnet": {"width": 0.125, "input_px": 64}, "stcnn": {"width": 0.25}}


def shard(name: str) -> tuple[Trained, Trials]:
    """Returns an untrained reduced recogniser and one fold's trials: every sticker at every place on every clip."""
    rng = np.random.default_rng(0)
    recogniser = MODELS[name](models.settings(name, **REDUCED[name]))
    frames = 2 if name == "mmnet" else 18
    channels = 3 if recogniser.colour == "rgb" else 1
    size = stickers.size_px(0.2, face_width_px=SIZE[0], face_height_px=SIZE[1])
    bank = np.stack([stickers.resized(stickers.load(sticker), *size) for sticker in stickers.STICKERS])
    combinations = np.indices((len(bank), PLACES, CLIPS)).reshape(3, -1)
    count = combinations.shape[1]
    places = rng.uniform(0.2, 0.8, (count, 2))
    trials = Trials(
        frames=torch.from_numpy(rng.uniform(0, 255, (CLIPS, frames, channels, SIZE[1], SIZE[0])).astype(np.float32)),
        clip=combinations[2],
        stickers=torch.from_numpy(bank),
        sticker=combinations[0],
        shown=np.ones((count, frames), np.bool_),
        apex=np.zeros(CLIPS, np.int64),
        faces=[],
        looks=looks_at(places),
    )
    statistics = {"mean": 127.5, "peak": 127.5}
    network = recogniser.network(3).eval()
    trained = Trained(
        recogniser=recogniser, classes=3, network=network, statistics=statistics, curve=(), seed=0, epoch=0
    )
    return trained, trials


def seconds(work: Callable[[], object]) -> float:
    """Returns how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Prints trials per second in batches and one by one, and their ratio."""
    torch.set_num_threads(1)
    for name in REDUCED:
        trained, trials = shard(name)

        def run(batch: int, trained: Trained = trained, trials: Trials = trials) -> None:
            asked = Asked(name=trained.settings.label, scores=partial(scores, trained))
            oracle = Oracle(asked, [0] * len(trials), access="scores", budget=1)
            attack(oracle, replace(trials, batch=batch), Settings())

        batch = batch_size(trials.frames)
        run(batch)
        batched, single = seconds(lambda run=run, batch=batch: run(batch)), seconds(lambda run=run: run(1))
        sys.stdout.write(
            f"{name}: {len(trials) / batched:.0f} trials/s in batches of {batch}, "
            f"{len(trials) / single:.0f} one by one: {single / batched:.1f} times as fast\n"
        )


if __name__ == "__main__":
    main()
