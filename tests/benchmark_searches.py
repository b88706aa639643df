"""Run as `make bench`: queries per second of a search in batched populations against one image at a time.

Both ways run in one process on the same faces, must leave the same looks, answers and counts, and are printed with
their ratio. What a recogniser computes for an image bounds the gain: the ratio is large where it is small.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from austicker import corpora, models, stickers, training
from austicker.attacks import ATTACKS
from austicker.attacks.looks import Face
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.trials import Trials
from austicker.models import MODELS
from austicker.shard import batch_size
from austicker.training import Trained
from austicker.types import Corpus

FACES = 4
BUDGET = 400
CLASSES = 3
SHARPNESS = 100
"""Untrained answers hardly differ from place to place: sharpened they differ by more than a sum's last bits."""
SEARCHES = ("rhde", "dopatch")
REDUCED = {"mmnet": {"width": 0.125, "input_px": 64}, "stcnn": {"width": 0.25}}


@dataclass(frozen=True, slots=True)
class Subject:
    """A recogniser with the frames (clip, frame, c, h, w) that it takes of each face."""

    name: str
    scores: Callable[[Tensor], Tensor]
    frames: Tensor


def micro(name: str, corpus: Corpus, positions: Sequence[int]) -> Subject:
    """Returns a reduced recogniser of micro-expressions; its weights are untrained, which costs the same."""
    torch.manual_seed(0)
    recogniser = MODELS[name](models.settings(name, **REDUCED[name]))
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in positions]
    trained = Trained(
        recogniser=recogniser,
        classes=CLASSES,
        network=recogniser.network(CLASSES).eval(),
        statistics={"mean": 127.5, "peak": 127.5},
        curve=(),
        seed=0,
        epoch=0,
    )
    frames = training.pixels(corpus, positions, indices, recogniser.colour, "cpu")
    return Subject(name, partial(training.scores, trained), frames)


def picture(corpus: Corpus, positions: Sequence[int]) -> Subject:
    """Returns a small network that looks at the apex alone, 48 x 48 gray, as pictures' recognisers do."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for fewer, more in ((1, 8), (8, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(fewer, more, 3, padding=1), nn.BatchNorm2d(more), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 9, CLASSES)).eval()

    def scores(clips: Tensor) -> Tensor:
        small = nn.functional.interpolate(clips[:, 0] / 255 - 0.5, (48, 48), mode="bilinear", antialias=True)
        answer: Tensor = (SHARPNESS * network(small)).softmax(1)
        return answer

    indices = [(corpus.clips[position].apex,) for position in positions]
    return Subject("picture", scores, training.pixels(corpus, positions, indices, "gray", "cpu"))


def trials(corpus: Corpus, positions: Sequence[int], subject: Subject, batch: int) -> Trials:
    """Returns one trial a face, with chance begun anew."""
    width, height = corpus.size
    size = stickers.size_px(0.2, face_width_px=width, face_height_px=height)
    with torch.no_grad():
        labels = subject.scores(subject.frames).argmax(1).tolist()
    return Trials(
        frames=subject.frames,
        clip=np.arange(len(positions)),
        stickers=torch.from_numpy(stickers.resized(stickers.load("sun"), *size))[None],
        sticker=np.zeros(len(positions), np.int64),
        shown=np.ones(subject.frames.shape[:2], np.bool_),
        apex=np.zeros(len(positions), np.int64),
        faces=[
            Face(
                landmarks=corpus.landmarks[position][corpus.clips[position].onset],
                size_px=corpus.size,
                sticker_px=size,
                label=label,
                rng=np.random.default_rng(position),
            )
            for position, label in zip(positions, labels, strict=True)
        ],
        batch=batch,
    )


def asked(name: str, subject: Subject, these: Trials) -> tuple[float, list[np.ndarray]]:
    """Returns the queries per second of a search, and everything that it left."""
    attack, goals = ATTACKS[name], [face.label for face in these.faces]
    oracle = Oracle(Asked(name=subject.name, scores=subject.scores), goals, access="scores", budget=BUDGET)
    start = time.perf_counter()
    attempts = attack(oracle, these, attack.settings().within(BUDGET))
    seconds = time.perf_counter() - start
    records = [values for trial in range(len(these)) for values in oracle.record(trial)]
    return float(oracle.ledger.queries.sum() / seconds), [attempts.at, attempts.looks.centres, *records]


def one_by_one(name: str, subject: Subject, these: Trials) -> tuple[float, list[list[np.ndarray]]]:
    """Returns the same of one face after the other, one image at a time."""
    rates, left = [], []
    for row in range(len(these)):
        alone = replace(these, clip=these.clip[[row]], sticker=these.sticker[[row]], shown=these.shown[[row]])
        rate, found = asked(name, subject, replace(alone, faces=[these.faces[row]], batch=1))
        rates.append(rate)
        left.append(found)
    return float(len(rates) / np.sum(1 / np.array(rates))), left


def check_same(together: list[np.ndarray], apart: list[list[np.ndarray]]) -> None:
    """Fails unless both ways asked the same looks and heard the same, to the last bits of a network's sums."""
    for row, alone in enumerate(apart):
        np.testing.assert_array_equal(alone[0][0], together[0][row])
        np.testing.assert_array_equal(alone[1][0], together[1][row])
        np.testing.assert_array_equal(alone[2], together[2 + 2 * row])
        np.testing.assert_allclose(alone[3], together[3 + 2 * row], rtol=1e-4)


def main() -> None:
    """Prints queries per second both ways, and their ratio."""
    torch.set_num_threads(1)
    corpus = corpora.open_corpus("orl-motion")
    positions = range(0, 10 * FACES, 10)
    for subject in (picture(corpus, positions), *(micro(name, corpus, positions) for name in REDUCED)):
        batch = batch_size(subject.frames)
        for name in SEARCHES:
            asked(name, subject, trials(corpus, positions, subject, batch))  # warm
            rate, together = asked(name, subject, trials(corpus, positions, subject, batch))
            single, apart = one_by_one(name, subject, trials(corpus, positions, subject, 1))
            check_same(together, apart)
            sys.stdout.write(
                f"{name} on {subject.name}: {rate:.0f} queries/s in batches of at most {batch}, {single:.0f} one image "
                f"at a time: {rate / single:.1f} times as fast, same results\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
