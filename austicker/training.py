"""Fits a recogniser on one fold's training clips and asks it for scores; attacks nothing."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.memory import halving
from austicker.models.recogniser import Fitted, Recogniser, Statistics
from austicker.stickers import in_colour
from austicker.types import AustickerError, Corpus, ModelSettings

CHUNK = 64
"""Clips, or single frames, that are brought to size or scored at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch: mean loss and accuracy on the varied training clips, and correct held-out clips if any are judged."""

    loss: float
    accuracy: float
    held_out_correct: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A recogniser with its weights; `network` is in evaluation mode and `epoch` counts from 1.

    Attributes:
        curve: empty, with `epoch` 0, where the recogniser is fitted in one go.
        seconds: wall clock of its "training", and of "answering" one clip, from pixels to scores, measured on training
            clips; both with the work that this process remembered as if it had been done again.
    """

    recogniser: Recogniser
    classes: int
    network: nn.Module
    statistics: Statistics
    curve: tuple[Epoch, ...]
    seed: int
    epoch: int
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def settings(self) -> ModelSettings:
        """Returns the settings of the recogniser."""
        return self.recogniser.settings


def pixels(
    corpus: Corpus,
    positions: Sequence[int],
    indices: Sequence[Sequence[int]],
    colour: Literal["gray", "rgb"],
    device: torch.device | str,
) -> Tensor:
    """Gathers frames at the corpus' resolution as float32 (clip, frame, c, h, w) in 0..255.

    Args:
        corpus: where the frames are.
        positions: positions in `corpus.clips`.
        indices: the frames of each of these clips, equally many.
        colour: "gray" gives c = 1, from colour by BT.601 luma; "rgb" gives c = 3, from gray by repetition.
        device: where the tensor goes.
    """
    # each clip (frame, h, w, c)
    chosen = [corpus.frames[position][list(those)] for position, those in zip(positions, indices, strict=True)]
    channels = max(clip.shape[-1] for clip in chosen)  # a composite has gray and colour parts
    frames = np.stack([clip if clip.shape[-1] == channels else np.repeat(clip, channels, -1) for clip in chosen])
    gathered = torch.from_numpy(frames).to(device).movedim(-1, 2).float()
    converted = in_colour(gathered, colour)
    return converted.contiguous() if colour == "rgb" else converted


def logits(trained: Trained, frames: Tensor) -> Tensor:
    """Returns logits (clip, classes) with a gradient to `frames`, as `pixels` gives them."""
    recogniser = trained.recogniser
    answer: Tensor = trained.network(recogniser.normalise(recogniser.resize(frames), trained.statistics))
    return answer


@torch.inference_mode()
def scores(trained: Trained, frames: Tensor) -> Tensor:
    """Returns softmax probabilities, float32 (clip, classes), of frames as `pixels` gives them.

    What a recogniser answers as log-probabilities comes back as the probabilities.
    """
    chunks = halving(lambda rows: logits(trained, frames[rows]).float().softmax(1), len(frames), CHUNK)
    return torch.cat(list(chunks))


def train(
    recogniser: Recogniser, corpus: Corpus, positions: Sequence[int], *, seed: int, device: torch.device | str = "cpu"
) -> Trained:
    """Trains for the fixed number of epochs, or in one go where the recogniser is fitted.

    Args:
        recogniser: what to train.
        corpus: where the clips are.
        positions: positions of the training clips; nothing else of the corpus' clips is looked at.
        seed: decides initial weights, order, augmentation and dropout; equal threads give equal bits.
        device: where to train.

    Raises:
        AustickerError: there is nothing to train on, or the loss is no longer finite.
    """
    _demand_selection(recogniser, "fixed-epoch")
    _demand_clips(recogniser, corpus, positions)
    device, clock = torch.device(device), _Clock(recogniser)
    with _seeded(seed, device):
        if isinstance(recogniser, Fitted):
            trained = _fitted(recogniser, corpus, positions, seed=seed, device=device)
        else:
            course = _Course(recogniser, corpus, positions, seed=seed, device=device)
            curve = tuple(course.epoch(number) for number in range(recogniser.settings.epochs))
            trained = course.trained(curve, len(curve))
    return _timed(trained, corpus, positions, clock.seconds(), device)


def train_oracle_epoch(
    recogniser: Recogniser,
    corpus: Corpus,
    positions: Sequence[int],
    held_out: Sequence[int],
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> Trained:
    """Trains and keeps the first epoch with most held-out clips right: selection on the test clips.

    This repeats how MMNet's number was published and is no honest estimate; see `train`.

    Raises:
        AustickerError: there is nothing to train on or to select by, or the loss is no longer finite.
    """
    _demand_selection(recogniser, "oracle-epoch")
    _demand_clips(recogniser, corpus, positions)
    if not held_out:
        raise AustickerError(f"Training '{recogniser.settings.label}' by oracle-epoch needs held-out clips.")
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in held_out]
    labels = torch.tensor([corpus.clips[position].label for position in held_out], device=device)
    frames = pixels(corpus, held_out, indices, recogniser.colour, device)
    curve: list[Epoch] = []
    best, most, weights = 0, -1, {}
    device, clock = torch.device(device), _Clock(recogniser)
    with _seeded(seed, device):
        course = _Course(recogniser, corpus, positions, seed=seed, device=device)
        for number in range(recogniser.settings.epochs):
            epoch = course.epoch(number)
            correct = int((scores(course.trained((), number + 1), frames).argmax(1) == labels).sum())
            curve.append(Epoch(loss=epoch.loss, accuracy=epoch.accuracy, held_out_correct=correct))
            if correct > most:
                best, most, weights = number + 1, correct, copy.deepcopy(course.network.state_dict())
    course.network.load_state_dict(weights)
    return _timed(course.trained(tuple(curve), best), corpus, positions, clock.seconds(), device)


def learning_rate(settings: ModelSettings, number: int) -> float:
    """Returns the learning rate of an epoch, numbered from 0."""
    factors = [factor for done, factor in settings.drops if done <= number]
    decayed = settings.learning_rate * settings.decay ** min(number, settings.decay_epochs)
    return decayed * (factors[-1] if factors else 1.0)


def _fitted(
    recogniser: Fitted, corpus: Corpus, positions: Sequence[int], *, seed: int, device: torch.device
) -> Trained:
    """Learns in one go."""
    plan = np.array([[recogniser.frame_indices(corpus.clips[position]) for position in positions]], dtype=np.int64)
    frames, rows = _resized_once(recogniser, corpus, positions, plan, device)
    # One frame of each clip lies there in the clips' order, and is not copied.
    frames = frames[:, None] if plan.shape[2] == 1 else frames[rows[0]]
    classes = len(corpus.labels)
    labels = torch.tensor([corpus.clips[position].label for position in positions], device=device)
    return Trained(
        recogniser=recogniser,
        classes=classes,
        network=recogniser.fit(frames, labels, classes, seed).to(device).eval(),
        statistics=recogniser.fit_statistics(frames),
        curve=(),
        seed=seed,
        epoch=0,
    )


def _timed(
    trained: Trained, corpus: Corpus, positions: Sequence[int], training_s: float, device: torch.device
) -> Trained:
    """Adds how long its training took, and how long it takes to answer one clip."""
    recogniser, chosen = trained.recogniser, positions[:CHUNK]
    indices = [recogniser.frame_indices(corpus.clips[position]) for position in chosen]
    frames = pixels(corpus, chosen, indices, recogniser.colour, device)
    scores(trained, frames[:1]).cpu()  # what is set up at the first call counts for no clip
    clock = _Clock(recogniser)
    scores(trained, frames).cpu()
    return replace(trained, seconds={"training": training_s, "answering": clock.seconds() / len(chosen)})


class _Clock:
    """Wall clock since it was made; work that was remembered counts as if it had been done again."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._start_s = time.perf_counter() + recogniser.spared_s()

    def seconds(self) -> float:
        """Returns the seconds since the start."""
        return time.perf_counter() + self._recogniser.spared_s() - self._start_s


class _Course:
    """One training under way; randomness beyond the generators here comes from the seeded global one."""

    def __init__(
        self, recogniser: Recogniser, corpus: Corpus, positions: Sequence[int], *, seed: int, device: torch.device
    ) -> None:
        self._recogniser, self._seed, self._device, self._classes = recogniser, seed, device, len(corpus.labels)
        self._generator = torch.Generator().manual_seed(seed)
        self._labels = torch.tensor([corpus.clips[position].label for position in positions], device=device)
        plan = _frame_plan(recogniser, corpus, positions, np.random.default_rng(seed))
        self._frames, self._rows = _resized_once(recogniser, corpus, positions, plan, device)
        self._statistics = recogniser.fit_statistics(self._frames[self._rows[-1]])
        self.network = recogniser.network(self._classes).to(device)
        self._optimiser = _optimiser(recogniser, self.network)

    def epoch(self, number: int) -> Epoch:
        """Shows every training clip once."""
        settings = self._recogniser.settings
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(settings, number)
        order = torch.randperm(len(self._labels), generator=self._generator)
        self.network.train()
        # (loss, correct) stay on the device: one synchronisation an epoch.
        steps = [self._step(self._rows[number], batch) for batch in torch.split(order, settings.batch)]
        loss, correct = torch.stack(steps).sum(0).tolist()
        if not math.isfinite(loss):
            raise AustickerError(
                f"Training '{settings.label}' diverged in epoch {number + 1}: lower its learning_rate."
            )
        return Epoch(loss=loss / len(order), accuracy=correct / len(order))

    def trained(self, curve: tuple[Epoch, ...], epoch: int) -> Trained:
        """Returns the present state, in evaluation mode; the network is not copied."""
        return Trained(
            recogniser=self._recogniser,
            classes=self._classes,
            network=self.network.eval(),
            statistics=self._statistics,
            curve=curve,
            seed=self._seed,
            epoch=epoch,
        )

    def _step(self, rows: Tensor, batch: Tensor) -> Tensor:
        """Learns one batch; returns summed loss and correct answers (2,)."""
        settings, batch = self._recogniser.settings, batch.to(self._device)
        frames, labels = self._frames[rows[batch]], self._labels[batch]
        if settings.augment:
            frames = self._recogniser.augment(frames, self._generator)
        inputs = self._recogniser.normalise(frames, self._statistics)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            answer = self.network(inputs)
        loss = F.cross_entropy(answer.float(), labels)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        correct = (answer.argmax(1) == labels).sum()
        return torch.stack([loss.detach() * len(batch), correct])


def _optimiser(recogniser: Recogniser, network: nn.Module) -> torch.optim.Optimizer:
    """Builds the optimiser of the recipe; weight decay is decoupled in "adamw" and a part of the gradient elsewhere."""
    settings = recogniser.settings
    spared = {id(parameter) for parameter in recogniser.undecayed(network)}
    decayed = [parameter for parameter in network.parameters() if id(parameter) not in spared]
    groups: list[dict[str, Any]] = [{"params": decayed}]
    if spared:
        rest = [parameter for parameter in network.parameters() if id(parameter) in spared]
        groups.append({"params": rest, "weight_decay": 0.0})
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)
    if settings.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(groups, lr=rate, weight_decay=decay, fused=True)


def _frame_plan(
    recogniser: Recogniser, corpus: Corpus, positions: Sequence[int], generator: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Returns the frames (epoch + 1, clip, frame) of every epoch, and last those of the evaluation."""
    clips = [corpus.clips[position] for position in positions]
    epochs = [
        [recogniser.jittered_frame_indices(clip, generator) for clip in clips]
        for _ in range(recogniser.settings.epochs)
    ]
    return np.array([*epochs, [recogniser.frame_indices(clip) for clip in clips]], dtype=np.int64)


def _resized_once(
    recogniser: Recogniser,
    corpus: Corpus,
    positions: Sequence[int],
    plan: np.ndarray[Any, np.dtype[np.int64]],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Brings every frame of the plan to size once; returns frames (n, c, px, px) and the plan as rows of them."""
    length = int(plan.max()) + 1
    keys = plan + length * np.arange(len(positions))[:, None]
    wanted, rows = np.unique(keys, return_inverse=True)
    resized: Tensor | None = None  # made at the first chunk, which tells its shape: a list of chunks would double it
    for start in range(0, len(wanted), CHUNK):
        clips, frames = np.divmod(wanted[start : start + CHUNK], length)
        gathered = pixels(
            corpus, np.asarray(positions)[clips].tolist(), frames[:, None].tolist(), recogniser.colour, device
        )
        chunk = recogniser.resize(gathered).squeeze(1)
        if resized is None:
            resized = chunk.new_empty((len(wanted), *chunk.shape[1:]))
        resized[start : start + CHUNK] = chunk
    assert resized is not None  # nosec B101 # there are clips
    return resized, torch.from_numpy(rows.reshape(plan.shape)).to(device)


def _demand_clips(recogniser: Recogniser, corpus: Corpus, positions: Sequence[int]) -> None:
    if not positions:
        raise AustickerError(f"Training '{recogniser.settings.label}' on '{corpus.name}' needs training clips.")


def _demand_selection(recogniser: Recogniser, selection: str) -> None:
    if recogniser.settings.selection != selection:
        raise ValueError(f"settings ask for {recogniser.settings.selection}, this trains by {selection}")


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the global generators that initialisation and dropout draw from, and gives the caller's back."""
    cards = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cards):
        # `torch.manual_seed` would also reseed the generators of devices that are not forked.
        torch.default_generator.manual_seed(seed)
        for card in cards:
            with torch.cuda.device(card):
                torch.cuda.manual_seed(seed)
        yield
