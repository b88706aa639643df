#!/usr/bin/env python3
"""Compares training recipes of a job's recogniser on people who are held out of its *training* clips.

`python tools/choose_recipe.py JOB LABEL 'KEY=VALUE|VALUE' ...` trains the recogniser LABEL of a job file with every
combination of the values, which are set as `austicker-grid submit --set KEY=VALUE` does, and prints how many of the
held-out clips it reads right. Only clips that every fold of the job trains on take part: no test clip is looked at, and
none decides a recipe. A fifth of their people is held out, and each recipe is trained with two seeds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import mean

import torch

from austicker import job as jobs
from austicker import plan, training
from austicker.models import MODELS
from austicker.plan import Plan
from austicker.types import AustickerError, Corpus, ModelSettings

HELD_OUT = 5
"""One person in so many is held out."""
SEEDS = (0, 1)


def combinations(alternatives: Sequence[str]) -> Iterator[list[str]]:
    """Yields every choice of one value for each of `KEY=VALUE|VALUE`, as `KEY=VALUE`."""
    pairs = [alternative.partition("=")[::2] for alternative in alternatives]
    for chosen in product(*([f"{key}={value}" for value in values.split("|")] for key, values in pairs)):
        yield list(chosen)


def divided(laid_out: Plan, label: str) -> tuple[Corpus, list[int], list[int]]:
    """Returns a study's corpus and its clips to learn from and to judge by, none of which any fold tests.

    Raises:
        AustickerError: the job has no such recogniser, or no clips that every fold trains on.
    """
    names = {shard.corpus for shard in laid_out.shards if shard.settings.label == label}
    if len(names) != 1:
        raise AustickerError(f"Recogniser '{label}' must take part in one study of the job, not in {len(names)}.")
    (name,) = names
    corpus = laid_out.studies[name].corpus
    positions = sorted(set.intersection(*(set(fold.train) for fold in laid_out.folds[name])))
    people = sorted({corpus.clips[position].subject for position in positions})
    held_out = set(people[::HELD_OUT])
    judges = [position for position in positions if corpus.clips[position].subject in held_out]
    learned = [position for position in positions if corpus.clips[position].subject not in held_out]
    if not learned:
        raise AustickerError(f"No two people of '{name}' are trained on in every fold: nothing to choose a recipe by.")
    return corpus, learned, judges


def accuracy(settings: ModelSettings, corpus: Corpus, learned: list[int], judges: list[int], seed: int) -> float:
    """Returns the share of the held-out clips that a recogniser reads right."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recogniser = MODELS[settings.name](settings)
    trained = training.train(recogniser, corpus, learned, seed=seed, device=device)
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in judges]
    frames = training.pixels(corpus, judges, indices, recogniser.colour, device)
    answers = training.scores(trained, frames).argmax(1).tolist()
    return mean(answer == corpus.clips[position].label for answer, position in zip(answers, judges, strict=True))


def main(path: Path, label: str, alternatives: Sequence[str]) -> None:
    """Prints a line for each combination, after all of them were read: a wrong one costs no training."""
    for chosen, job in [(chosen, jobs.read(path, chosen)) for chosen in combinations(alternatives)]:
        settings = next((one for one in job.models if one.label == label), None)
        if not isinstance(settings, ModelSettings):
            raise AustickerError(f"Job '{job.name}' trains no recogniser '{label}'.")
        corpus, learned, judges = divided(plan.expand(job), label)
        start = time.perf_counter()
        found = [accuracy(settings, corpus, learned, judges, seed) for seed in SEEDS]
        took_s = (time.perf_counter() - start) / len(SEEDS)
        sys.stdout.write(
            f"{mean(found):.3f} {found} of {len(judges)} clips, {len(learned)} learned, {took_s:.0f} s: "
            f"{' '.join(chosen)}\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    except AustickerError as error:
        sys.exit(f"Error: {error}")
