"""The only way in which an attack sees a recogniser: answers to clips, every one of them counted. It chooses no clip.

For every trial the ledger keeps `queries = unique + repeated + cached`: pictures shown for the first time, shown once
more, and asked for again but answered from memory. `unique + repeated` is what the recogniser truly saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
import torch.nn.functional as F
import xxhash
from numpy.typing import NDArray
from torch import Tensor

from austicker.types import Access, AustickerError


class AccessDenied(Exception):
    """An attack asked for more than it declared."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What may be asked, and by whom.

    Attributes:
        name: the recogniser's, for messages.
        scores: (n, t, c, h, w) floats 0..255 to probabilities (n, classes).
        logits: the same with a gradient to the pixels, or None where the recogniser gives none.
        surrogate: name of another recogniser, whose logits they are and which the attacker owns, so that asking it
            counts nothing; or "".
    """

    name: str
    scores: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor] | None = None
    surrogate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ledger:
    """What each trial asked, arrays (trials,).

    Attributes:
        unique: pictures shown for the first time.
        repeated: pictures shown once more.
        cached: pictures answered from memory.
        calls: populations that were asked for at once, in however many batches the device took them.
        success_at: number of the first query whose answer was not the trial's class, or 0 where there was none.
    """

    unique: NDArray[np.int64]
    repeated: NDArray[np.int64]
    cached: NDArray[np.int64]
    calls: NDArray[np.int64]
    success_at: NDArray[np.int64]

    @property
    def queries(self) -> NDArray[np.int64]:
        """Returns everything that was asked."""
        return self.unique + self.repeated + self.cached


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Answers to m pictures.

    Attributes:
        labels: (m,) class indices.
        scores: (m, classes) float32 probabilities, or None where an attack may see labels alone.
        ssim: (m,) of the apex pictures beside the clean ones, or None where the attack does not measure it.
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32] | None = field(repr=False)
    ssim: NDArray[np.float64] | None = field(default=None, repr=False)


class Oracle:
    """Answers batches of clips within a budget.

    Args:
        asked: the recogniser.
        goals: (trials,) the class that each trial tries to hide; another answer is a success.
        access: what the attack declared that it needs.
        budget: the most queries of one trial.
        remembers: a picture that a trial asks for again is answered from memory.
    """

    def __init__(
        self, asked: Asked, goals: Sequence[int], *, access: Access, budget: int, remembers: bool = True
    ) -> None:
        if access == "gradients" and asked.logits is None:
            raise AccessDenied(f"recogniser '{asked.name}' gives no gradients")
        self.access, self.budget = access, budget
        self._asked, self._remembers = asked, remembers
        self._goals = np.asarray(goals, np.int64)
        self._counts = {item.name: np.zeros(len(self._goals), np.int64) for item in fields(Ledger)}
        self._seen: list[dict[bytes, NDArray[np.float32]] | None] = [{} for _ in self._goals]
        self._heard: list[list[tuple[NDArray[np.int64], NDArray[np.float32]]]] = [[] for _ in self._goals]

    @property
    def ledger(self) -> Ledger:
        """Returns a copy of what was asked so far."""
        return Ledger(**{name: counts.copy() for name, counts in self._counts.items()})

    @property
    def left(self) -> NDArray[np.int64]:
        """Returns how many queries each trial may still ask, (trials,)."""
        return self.budget - self._queries(np.arange(len(self._goals)))

    def record(self, trial: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns every answer to a trial in order of asking, for the evaluation: no attack may look at it.

        Returns:
            The labels (queries,) and the scores of the trial's class (queries,), 1 or 0 where a recogniser gives
            labels alone.
        """
        heard = self._heard[trial]
        nothing = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        labels, scores = zip(nothing, *heard, strict=True)
        return np.concatenate(labels), np.concatenate(scores)

    @property
    def succeeded(self) -> NDArray[np.bool_]:
        """Returns which trials had an answer that hides their class, (trials,)."""
        return self._counts["success_at"] > 0

    def ask(self, frames: Tensor, owners: NDArray[np.int64]) -> Answers:
        """Returns the recogniser's answers; what goes over a trial's budget is cut from the end and not shown.

        Args:
            frames: (m, t, c, h, w) floats 0..255.
            owners: (m,) the trial that each clip is asked for; a trial may own several.

        Returns:
            Answers to the clips that `admitted` lets through, in order.

        Raises:
            ValueError: clips without owner, or owners that are no trials.
            AustickerError: the recogniser's scores are not numbers.
        """
        rows, owners = self._let_in(frames, owners)
        keys = _digests(frames, rows)
        fresh, known = self._sorted_out(keys, owners)
        answers: dict[int, NDArray[np.float32]] = {}
        if fresh.any():
            with torch.no_grad():
                shown = self._sound(self._asked.scores(_chosen(frames, rows[fresh])), int(fresh.sum()))
            answers = dict(zip(np.flatnonzero(fresh).tolist(), shown.float().cpu().numpy(), strict=True))
        # From here on nothing fails: clips that the recogniser ran out of memory for are asked for again.
        found = [self._kept(*item, answers.get(row)) for row, item in enumerate(zip(owners, keys, strict=True))]
        scores = np.stack(found) if found else np.zeros((0, 0), np.float32)
        labels = scores.argmax(1) if found else np.zeros(0, np.int64)
        self._count(owners, fresh, known, scores)
        return Answers(labels=labels, scores=None if self.access == "label" else scores)

    def gradients(self, frames: Tensor, owners: NDArray[np.int64]) -> Tensor:
        """Returns the gradient of the cross-entropy to the trials' classes; each clip counts as one query, no success.

        The gradient of a surrogate counts none, and its answers are no record of the recogniser's.

        Args:
            frames: (m, t, c, h, w) floats 0..255.
            owners: (m,) the trial that each clip is asked for.

        Returns:
            (k, t, c, h, w) for the k clips that `admitted` lets through, in order.

        Raises:
            AccessDenied: the attack did not declare gradients.
            ValueError: clips without owner, or owners that are no trials.
            AustickerError: the recogniser's answers are not numbers.
        """
        if self.access != "gradients":
            raise AccessDenied(f"an attack that declared {self.access} asked for gradients")
        if self._asked.surrogate:
            return self._slope(frames, owners)[0]
        rows, owners = self._let_in(frames, owners)
        keys = _digests(frames, rows)
        _, known = self._sorted_out(keys, owners)
        found, logits = self._slope(_chosen(frames, rows), owners)
        scores = logits.detach().float().softmax(1).cpu().numpy()
        for owner, key, answer in zip(owners, keys, scores, strict=True):
            self._kept(owner, key, answer)
        self._count(owners, np.ones(len(rows), np.bool_), known, scores, judged=False)
        return found

    def _slope(self, frames: Tensor, owners: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Returns the gradient of the cross-entropy to the owners' classes, and the logits."""
        assert self._asked.logits is not None  # nosec B101 # refused when the oracle was made
        with torch.enable_grad():
            pixels = frames.detach().requires_grad_()
            logits = self._sound(self._asked.logits(pixels), len(frames), self._asked.surrogate)
            goals = torch.from_numpy(self._goals[owners]).to(logits.device)
            (found,) = torch.autograd.grad(F.cross_entropy(logits, goals, reduction="sum"), pixels)
        return found.detach(), logits

    def count_call(self, owners: NDArray[np.int64]) -> None:
        """Counts one call of each of these trials: whoever asks for a population says so once, however it is cut."""
        self._counts["calls"][np.unique(owners)] += 1

    def close(self, trial: int) -> None:
        """Ends a trial: it may ask nothing more, and what it was answered is let go."""
        self._seen[trial] = None

    def admitted(self, owners: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns which clips of a batch fit into the budgets of their owners, (m,)."""
        return _turns(owners) < self.budget - self._queries(owners)

    def _queries(self, owners: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns what these trials asked so far, (m,); the ledger of all is not copied for each batch."""
        counts = self._counts
        return counts["unique"][owners] + counts["repeated"][owners] + counts["cached"][owners]

    def _let_in(self, frames: Tensor, owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the rows that may be shown, and their owners."""
        if owners.shape != tuple(frames.shape[:1]):
            raise ValueError(f"{frames.shape[0]} clips need as many owners, not {owners.shape}")
        if owners.size and not 0 <= owners.min() <= owners.max() < self._goals.size:
            raise ValueError(f"owners must be trials 0 to {self._goals.size - 1}")
        rows = np.flatnonzero(self.admitted(owners))
        return rows, owners[rows]

    def _sorted_out(
        self, keys: Sequence[bytes], owners: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Returns which pictures are to be shown, and which their owner asked for before."""
        before: set[tuple[int, bytes]] = set()
        known = np.zeros(len(keys), np.bool_)
        for row, (owner, key) in enumerate(zip(owners.tolist(), keys, strict=True)):
            known[row] = key in self._memory(owner) or (owner, key) in before
            before.add((owner, key))
        return ~known if self._remembers else np.ones(len(keys), np.bool_), known

    def _memory(self, owner: int) -> dict[bytes, NDArray[np.float32]]:
        memory = self._seen[owner]
        if memory is None:
            raise ValueError(f"trial {owner} was closed and asks for more")
        return memory

    def _kept(self, owner: int, key: bytes, answer: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Returns what a picture was answered, now or before, and keeps it."""
        memory = self._memory(owner)
        if answer is None:
            return memory[key]
        memory.setdefault(key, answer)
        return answer

    def _sound(self, answers: Tensor, count: int, surrogate: str = "") -> Tensor:
        who = f"Surrogate '{surrogate}'" if surrogate else f"Recogniser '{self._asked.name}'"
        if answers.ndim != 2 or len(answers) != count or answers.shape[1] <= self._goals.max():
            raise AustickerError(
                f"{who} answered {count} clips with values of shape {tuple(answers.shape)}: "
                "it must give one row for each clip and one column for each label."
            )
        if not torch.isfinite(answers).all():
            raise AustickerError(
                f"{who} answered with values that are not numbers (NaN or infinite): check its weights and its "
                "preprocessing."
            )
        return answers

    def _count(
        self,
        owners: NDArray[np.int64],
        fresh: NDArray[np.bool_],
        known: NDArray[np.bool_],
        scores: NDArray[np.float32],
        *,
        judged: bool = True,
    ) -> None:
        """Writes down what was asked and answered; what is not judged is no success, whatever the answer was."""
        if not len(owners):
            return
        counts, trials = self._counts, len(self._goals)
        labels, own = scores.argmax(1), scores[np.arange(len(owners)), self._goals[owners]]
        order = np.argsort(owners, kind="stable")
        heard, starts = np.unique(owners[order], return_index=True)
        for trial, own_rows in zip(heard.tolist(), np.split(order, starts[1:]), strict=True):
            self._heard[trial].append((labels[own_rows], own[own_rows]))
        number = self._queries(owners) + _turns(owners) + 1
        for name, rows in (("unique", fresh & ~known), ("repeated", fresh & known), ("cached", ~fresh)):
            counts[name] += np.bincount(owners[rows], minlength=trials)
        if not judged:
            return
        won = np.flatnonzero((labels != self._goals[owners]) & (counts["success_at"][owners] == 0))
        # Backwards, so that the first success of a trial is written last.
        counts["success_at"][owners[won][::-1]] = number[won][::-1]


def _digests(frames: Tensor, rows: NDArray[np.int64]) -> list[bytes]:
    """Returns what tells the clips of these rows apart: 128 bits of their pixels."""
    here = frames.detach().cpu().contiguous().numpy()  # one transfer for all
    return [xxhash.xxh3_128_digest(here[row]) for row in rows.tolist()]


def _chosen(frames: Tensor, rows: NDArray[np.int64]) -> Tensor:
    """Returns the clips of these rows, in ascending order; not copied where they are all."""
    return frames if len(rows) == len(frames) else frames[torch.from_numpy(rows).to(frames.device)]


def _turns(owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns for each item how many earlier ones have the same owner, (m,)."""
    order = np.argsort(owners, kind="stable")
    ordered = owners[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    turns = np.empty(len(owners), np.int64)
    turns[order] = np.arange(len(owners)) - np.repeat(starts, np.diff(np.append(starts, len(owners))))
    return turns
