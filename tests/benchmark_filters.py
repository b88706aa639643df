"""Queries per second of the search for filters: whole populations in batches against one picture at a time."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from austicker import corpora
from austicker.attacks.filters import Settings, attack
from austicker.attacks.filters.chains import HIGH, NAMES, FilterChains
from austicker.attacks.looks import Face
from austicker.attacks.oracle import Asked, Oracle
from austicker.attacks.trials import Trials
from austicker.stickers import in_colour

HEIGHT, WIDTH, PICTURES = 128, 112, 64
SHORT = Settings(generations=2)


def network() -> nn.Module:
    """Returns a small convolutional network with three classes."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.AvgPool2d(2)]
    for fewer, more in ((1, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(fewer, more, 3, padding=1), nn.BatchNorm2d(more), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).eval()


def faces(batch: int) -> Trials:
    """Returns one gray face, with chance begun anew."""
    corpus = corpora.open_corpus("orl-motion")
    picture = torch.from_numpy(np.array(corpus.frames[0][corpus.clips[0].apex]))  # (h, w, c)
    frame = in_colour(picture.permute(2, 0, 1)[None].float(), "gray")
    sized = nn.functional.interpolate(frame, (HEIGHT, WIDTH), mode="bilinear", antialias=True)
    face = Face(
        landmarks=np.zeros((68, 2), np.float32),
        size_px=(WIDTH, HEIGHT),
        sticker_px=(3, 3),
        label=0,
        rng=np.random.default_rng(0),
    )
    return Trials(
        frames=sized[:, None],
        clip=np.zeros(1, np.int64),
        stickers=torch.zeros(1, 4, 3, 3),
        sticker=np.zeros(1, np.int64),
        shown=np.ones((1, 1), np.bool_),
        apex=np.zeros(1, np.int64),
        faces=[face],
        batch=batch,
    )


def searched(judge: nn.Module, batch: int, settings: Settings) -> tuple[float, np.ndarray, str]:
    """Returns seconds, everything answered, and the best recipe of a search."""
    these = faces(batch)

    def scores(clips: Tensor) -> Tensor:
        answer: Tensor = judge(clips[:, 0] / 255 - 0.5).softmax(1)
        return answer

    with torch.no_grad():
        label = int(scores(these.frames).argmax())
    these = replace(these, faces=[replace(these.faces[0], label=label)])
    oracle = Oracle(Asked(name="small", scores=scores), [label], access=attack.access, budget=10**6)
    start = time.perf_counter()
    attempts = attack(oracle, these, settings)
    seconds = time.perf_counter() - start
    return seconds, oracle.record(0)[0], attempts.looks.columns(0)["recipe"]


def main() -> None:
    """Prints milliseconds of each filter, the time of a published search, and what batches gain."""
    torch.set_num_threads(1)
    clips = 255 * torch.rand(PICTURES, 1, 3, HEIGHT, WIDTH)
    for number, name in enumerate(NAMES):
        filters = np.full((PICTURES, 1), number)
        chains = FilterChains.of(filters, HIGH[filters])
        chains.applied(clips)  # warm
        start = time.perf_counter()
        chains.applied(clips)
        sys.stdout.write(f"{name}: {1000 * (time.perf_counter() - start):.0f} ms for {PICTURES} pictures at once\n")
    judge = network()
    searched(judge, PICTURES, replace(SHORT, generations=1))  # warm
    (together, *found), (apart, *alone) = searched(judge, PICTURES, SHORT), searched(judge, 1, SHORT)
    np.testing.assert_array_equal(found[0], alone[0])
    if found[1] != alone[1]:
        raise SystemExit("one picture at a time found another recipe")
    whole, asked, _ = searched(judge, PICTURES, Settings())
    sys.stdout.write(
        f"{SHORT.queries / together:.0f} queries/s in populations, {SHORT.queries / apart:.0f} one picture at a time: "
        f"{apart / together:.1f} times as fast, same results; {len(asked)} queries in {whole:.1f} s\n"
    )


if __name__ == "__main__":
    main()
