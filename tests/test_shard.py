"""Clips before a recogniser that counts for itself: every attack's rows, the query ledger, and answers for tuning."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from austicker import regions, results, stickers
from austicker.attacks import ATTACKS
from austicker.attacks.looks import Face, Looks
from austicker.attacks.trials import Trials
from austicker.choices import RegionChoice
from austicker.faces.alignment import template_points
from austicker.job import AttackChoice
from austicker.job.attacks import checked_attack
from austicker.shard import Found, Given, ShardData
from austicker.store import Store
from austicker.types import Access, AustickerError, Cell, Clip, Corpus, RegionGraph, Verdict

SIZE = (40, 48)
CLIPS = 4
BUDGET = 40
HARD = (0.03, 0.2, 0.1, 3.0)
"""What share of its weak spot must be painted for a clip's class to be hidden; nothing hides the last one's."""
POINTS = template_points(SIZE)
SPOT = (POINTS[2] + POINTS[31]) / 2
"""Where every clip is weak: on the left cheek."""
PLACED = [name for name in ATTACKS.names() if ATTACKS[name].makes in ("", "plain patch")]
OTHERS = [name for name in ATTACKS.names() if name not in PLACED]
EVERY = pytest.mark.parametrize("name", PLACED)
LABELLED = pytest.mark.parametrize("name", [name for name in PLACED if ATTACKS[name].access == "label"])


def faces(subjects: Sequence[str] = ("s0", "s1") * (CLIPS // 2)) -> Corpus:
    """A clip of each subject, two frames of noise, which tells clips apart however much of it a sticker covers."""
    count = len(subjects)
    rng = np.random.default_rng(5)
    clips = tuple(
        Clip(corpus="noise", clip=f"clip {n}", subject=subject, label=n % 2, onset=0, apex=1, offset=1)
        for n, subject in enumerate(subjects)
    )
    return Corpus(
        name="noise",
        labels=("a", "b"),
        clips=clips,
        fingerprint="0" * 64,
        digests=tuple((clip.clip,) for clip in clips),
        frames=rng.integers(0, 200, (count, 2, SIZE[1], SIZE[0], 1)).astype(np.uint8),
        landmarks=np.tile(POINTS.astype(np.float32), (count, 2, 1, 1)),
        motion=rng.random((count, 14)).astype(np.float32),
    )


class Spotted:
    """A recogniser that is right about a clip until its spot is painted, and writes down every picture it is shown.

    Whose picture it sees it tells by the pixels that nothing covers. A row's answer does not depend on its batch.
    """

    label, classes, colour = "spotted", 3, "gray"

    def __init__(self, corpus: Corpus, access: Access = "scores", *, spots: Any = SPOT, hard: Any = HARD) -> None:
        self.access, self.corpus = access, corpus
        self.shown: list[Counter[bytes]] = [Counter() for _ in corpus.clips]
        self._clean = torch.from_numpy(np.stack(corpus.frames)).movedim(-1, 2).float()
        middle = np.broadcast_to(spots, (len(corpus.clips), 2)) * SIZE
        across, down = np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1])[:, None] + 0.5
        apart = (across - middle[:, :1, None]) ** 2 + (down - middle[:, 1:, None]) ** 2
        weights = np.exp(-apart / 128)
        self._weights = torch.from_numpy(weights / weights.sum((1, 2), keepdims=True))
        self._hard = torch.from_numpy(np.broadcast_to(hard, len(corpus.clips)).copy())

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        return (0, 1)

    def scores(self, frames: Tensor) -> Tensor:
        alike = (frames[:, None] == self._clean[None]).flatten(2).sum(2)
        owners = alike.argmax(1)
        for owner, picture in zip(owners.tolist(), frames, strict=True):
            self.shown[owner][picture.numpy().tobytes()] += 1
        painted = (frames - self._clean[owners]).abs().amax((1, 2)) > 20
        hit = (painted * self._weights[owners]).sum((1, 2)) / self._hard[owners]
        kept = (0.95 - hit / 2).clamp(0.02, 0.98)
        labels = torch.tensor([clip.label for clip in self.corpus.clips])[owners]
        found = torch.stack([(1 - kept) * 0.3] * 3, 1)
        found[torch.arange(len(found)), (labels + 1) % 3] = (1 - kept) * 0.7
        found[torch.arange(len(found)), labels] = kept
        answers = found.float()
        return torch.nn.functional.one_hot(answers.argmax(1), 3).float() if self.access == "label" else answers

    def logits(self, frames: Tensor) -> Tensor:
        """Brighter is more of class 0, whatever `scores` says: what gradients are for is another's test."""
        return torch.nn.functional.pad(frames.mean((1, 2, 3, 4))[:, None], (0, 2))

    def features(self, frames: Tensor) -> None:
        return None

    def asked(self) -> list[tuple[int, int]]:
        """Returns how many pictures each clip showed and how many different ones, without the first, clean look."""
        return [(count.total() - 1, len(count)) for count in self.shown]


def attack(name: str, **given: Any) -> AttackChoice:
    """Returns an attack as a job's check leaves it."""
    worn = {"stickers": ("heart", "sun"), "side": 0.25} if ATTACKS[name].wears else {}
    placed = {} if ATTACKS[name].searches else {"placements": ("region/cheek-left", "region/chin", "random/1")}
    small = {"dense": {"stride": 1 / 6}, "rhde": {"population": 12, "iterations": 3, "outside": 0.1}}.get(name, {})
    choice = AttackChoice(**{"name": name, "settings": small, **worn, **placed, **given})
    return checked_attack(choice, BUDGET, "a test", Path())


def cells(choice: AttackChoice) -> list[Cell]:
    return [
        Cell(
            id=f"{choice.label} {sticker} {placement}",
            corpus="noise",
            protocol="loso",
            fold="s0",
            model="spotted",
            attack=choice.label,
            sticker=sticker,
            placement=placement,
            side=choice.side,
            seed=0,
        )
        for sticker in choice.sticker_names
        for placement in choice.placements
    ]


def attacked(choice: AttackChoice, corpus: Corpus, access: Access = "scores") -> tuple[list[Verdict], Spotted]:
    """Returns the rows of the attack's first cell, and the recogniser after it."""
    victim = Spotted(corpus, access)
    data = ShardData(victim, corpus, range(CLIPS), Found(), "cpu")
    return data.verdicts(choice, cells(choice)[:1]), victim


def drawn_anew(row: Verdict, choice: AttackChoice, corpus: Corpus) -> Tensor:
    """Returns the clip of a row with what the row says that the face wears."""
    position = next(n for n, clip in enumerate(corpus.clips) if clip.clip == row.clip)
    width, height = stickers.size_px(choice.side, face_width_px=SIZE[0], face_height_px=SIZE[1])
    art = np.zeros((4, 1, 1), np.float32)
    if row.sticker != "plain patch":
        art = stickers.resized(stickers.load(row.sticker), width, height)
    rng = np.random.default_rng(0)
    face = Face(landmarks=corpus.landmarks[position][0], size_px=SIZE, sticker_px=(width, height), label=0, rng=rng)
    one = Trials(
        frames=torch.from_numpy(corpus.frames[position])[None].movedim(-1, 2).float(),
        clip=np.zeros(1, np.int64),
        stickers=torch.from_numpy(art)[None],
        sticker=np.zeros(1, np.int64),
        shown=np.array([[choice.variant != "apex-only", True]]),
        apex=np.ones(1, np.int64),
        faces=[face],
        bent=choice.bend,
    )
    outline = None if row.outline is None else np.array(row.outline).reshape(1, -1, 2)
    look = Looks(
        centres=np.array([[[row.x, row.y]]]),
        rotation=np.array([row.rotation]),
        opacity=np.array([row.opacity]),
        outlines=outline,
    )
    return one.pictures(np.zeros(1, np.int64), look)


@EVERY
@pytest.mark.parametrize("budget", [1, 7, BUDGET])
def test_the_ledger_is_what_the_recogniser_counted_for_itself(name, budget):
    choice = attack(name, budget=budget)
    rows, victim = attacked(choice, faces())
    assert [(row.unique + row.repeated, row.unique + 1) for row in rows] == victim.asked()
    for row in rows:
        assert 0 < row.queries == row.unique + row.repeated + row.cached <= choice.budget <= budget
        assert 1 <= row.calls <= row.queries
        assert row.clean_pred == row.label


@EVERY
def test_a_success_is_where_the_answer_was_another_one(name):
    rows, _ = attacked(attack(name), faces())
    for row in rows:
        assert (row.success_at > 0) == (row.attacked_pred != row.label)
        assert row.success_at <= row.queries
    assert rows[3].success_at == 0
    if ATTACKS[name].searches:
        assert rows[0].success_at > 0


@EVERY
@pytest.mark.parametrize("variant", ["same-place", "apex-only"])
@pytest.mark.parametrize("bend", [False, True])
def test_a_rows_look_is_what_the_recogniser_answered_to(name, variant, bend, tmp_path):
    """Read again from a store, whose numbers are not all as fine."""
    corpus, choice = faces(), attack(name, variant=variant, bend=bend and ATTACKS[name].wears)
    rows, _ = attacked(choice, corpus)
    results.write_part(Store(tmp_path), "noise", [rows[0].cell], rows)
    kept = results.read_verdicts(Store(tmp_path), frozenset({rows[0].cell}))
    for row in (Verdict(**values) for values in kept.iter_rows(named=True)):
        answer = Spotted(corpus).scores(drawn_anew(row, choice, corpus))[0]
        assert int(answer.argmax()) == row.attacked_pred
        assert float(answer[row.label]) == pytest.approx(row.attacked_score, abs=1e-5)
        assert row.attacked_score < row.clean_score
        assert (row.outline is None) == (name != "unified")


def test_a_bent_sticker_is_another_one_than_a_flat_one():
    """Else the test above would not tell bent from flat."""
    corpus = faces()
    flat, bent = attack("sticker"), attack("sticker", bend=True)
    row = attacked(flat, corpus)[0][0]
    assert not torch.equal(drawn_anew(row, flat, corpus), drawn_anew(row, bent, corpus))


@LABELLED
def test_a_recogniser_of_labels_alone_gives_no_scores(name):
    rows, victim = attacked(attack(name), faces(), "label")
    assert [row.unique + row.repeated for row in rows] == [shown for shown, _ in victim.asked()]
    for row in rows:
        assert (row.clean_score, row.attacked_score) == (None, None)
        assert (row.success_at > 0) == (row.attacked_pred != row.label)
        if row.answers is not None:
            assert set(row.answers) <= {0.0, 1.0}
            assert (0.0 in row.answers) == (row.success_at > 0)


def test_a_map_has_an_answer_at_every_place():
    choice = attack("dense")
    rows, _ = attacked(choice, faces())
    for row in rows:
        assert len(row.answers) == ATTACKS["dense"].settings(**choice.settings).side ** 2 == row.queries == 36
        answers = np.array(row.answers)
        down, across = divmod(int(answers.argmin()), 6)
        assert max(abs((across + 0.5) / 6 - SPOT[0]), abs((down + 0.5) / 6 - SPOT[1])) < 1 / 6
        at = row.success_at or int(answers.argmin()) + 1
        assert row.attacked_score == row.answers[at - 1]
    assert all(row.answers is None for row in attacked(attack("random"), faces())[0])


def unattacked(row: Verdict) -> bool:
    counted = (row.queries, row.unique, row.repeated, row.cached, row.calls, row.success_at)
    worn = (row.region, row.x, row.y, row.rotation, row.opacity, row.outline, row.answers)
    same = (row.attacked_pred, row.attacked_score) == (row.clean_pred, row.clean_score)
    return not any(counted) and same and set(worn) == {None}


def test_a_placement_without_an_answer_leaves_the_clip_as_it_was():
    corpus, victim = faces(), Spotted(faces())
    by_class = RegionChoice(
        kind="per-class", winner=None, by_class=("chin", None, None), scores=(), decided_by="the clip's class"
    )
    found = Found(graph=RegionGraph(regions=regions.NAMES), choices={"per-class": by_class})
    choice = attack("sticker", placements=("causal", "causal/per-class", "region/chin"), stickers=("heart",))
    rows = ShardData(victim, corpus, range(CLIPS), found, "cpu").verdicts(choice, cells(choice))
    lonely, classed, placed = rows[:CLIPS], rows[CLIPS : 2 * CLIPS], rows[2 * CLIPS :]
    assert all(map(unattacked, lonely))
    assert [unattacked(row) for row in classed] == [row.label == 1 for row in classed]
    assert {(row.region, row.queries) for row in (*placed, *classed[::2])} == {("chin", 1)}
    # Clips of class 0 showed the chin twice: each cell is a trial of its own.
    assert victim.asked() == [(2, 2), (1, 2), (2, 2), (1, 2)]
    none = ShardData(victim, corpus, range(CLIPS), found, "cpu").verdicts(choice, cells(choice)[:1])
    assert none == lonely


def test_a_face_without_a_place_for_the_sticker_is_not_attacked_and_the_others_are():
    corpus = faces()
    landmarks = corpus.landmarks.copy()
    landmarks[1] = 0.5 + (landmarks[1] - 0.5) * 0.25  # a face far smaller than the sticker
    rows, victim = attacked(attack("rhde"), replace(corpus, landmarks=landmarks))
    assert [unattacked(row) for row in rows] == [False, True, False, False]
    assert victim.asked()[1] == (0, 1)


@EVERY
def test_rows_depend_on_neither_the_cut_nor_the_order_of_cells(name):
    corpus, choice = faces(), attack(name)
    whole = cells(choice)

    def rows(*shards: list[Cell]) -> dict[tuple[str, str], Verdict]:
        found = {}
        for shard in shards:
            data = ShardData(Spotted(corpus), corpus, range(CLIPS), Found(), "cpu")
            found |= {(row.cell, row.clip): row for row in data.verdicts(choice, shard)}
        return found

    together = rows(whole)
    assert len(together) == len(whole) * CLIPS
    assert rows(whole[::-1]) == together
    assert rows(*([cell] for cell in whole)) == together
    assert rows([]) == {}


class Fickle(Spotted):
    """Answers a little differently by how a batch is made up, as networks do; here far more than in the last bits."""

    def scores(self, frames: Tensor) -> Tensor:
        answers = super().scores(frames)
        tilt = 0.02 * torch.sin(torch.arange(len(frames)) + len(frames))[:, None] * torch.tensor([1.0, -1.0, 0.0])
        return answers + tilt


@pytest.mark.parametrize("name", [name for name in PLACED if ATTACKS[name].searches])
def test_a_search_goes_the_same_way_however_its_shard_is_cut(name):
    corpus, choice = faces(), attack(name)
    whole = cells(choice)
    data = ShardData(Fickle(corpus), corpus, range(CLIPS), Found(), "cpu")
    apart = [row for cell in whole for row in data.verdicts(choice, [cell])]
    assert data.verdicts(choice, whole) == apart


def test_cells_of_one_place_draw_different_chance():
    corpus, choice = faces(), attack("random")
    data = ShardData(Spotted(corpus), corpus, range(CLIPS), Found(), "cpu")
    heart, sun = (data.verdicts(choice, [cell]) for cell in cells(choice))
    assert len({(row.x, row.y) for row in (*heart, *sun)}) == 2 * CLIPS


def test_tuning_tells_each_regions_error_and_score():
    corpus, choice = faces(), attack("sticker")
    victim = Spotted(corpus)
    answers = ShardData(victim, corpus, range(1, CLIPS), Found(), "cpu").tuning(choice, "sun")
    assert list(answers) == [clip.clip for clip in corpus.clips[1:]]
    assert victim.asked() == [(-1, 0), *[(14, 15)] * 3]
    for position, clip in enumerate(corpus.clips[1:], 1):
        for name, (error, score) in zip(regions.NAMES, answers[clip.clip], strict=True):
            one = replace(choice, placements=(f"region/{name}",), stickers=("sun",))
            (row,) = ShardData(Spotted(corpus), corpus, [position], Found(), "cpu").verdicts(one, cells(one))
            assert (error, score) == (float(row.attacked_pred != row.label), row.attacked_score)
    assert sum(error for own in answers.values() for error, _ in own) > 0


def test_tuning_a_recogniser_of_labels_alone_scores_what_was_right():
    corpus = faces()
    answers = ShardData(Spotted(corpus, "label"), corpus, range(CLIPS), Found(), "cpu").tuning(
        attack("sticker"), "heart"
    )
    pairs = [tuple(pair) for own in answers.values() for pair in own]
    assert set(pairs) == {(0.0, 1.0), (1.0, 0.0)}


def test_a_tuned_place_is_that_of_the_cells_own_sticker():
    corpus, choice = faces(), attack("sticker", placements=("control/tuned",))
    tuned = {
        name: RegionChoice(kind="tuned", winner=winner, scores=(), decided_by="error rate")
        for name, winner in (("heart", "chin"), ("sun", "glabella"))
    }
    rows = ShardData(Spotted(corpus), corpus, range(CLIPS), Found(), "cpu").verdicts(
        choice, cells(choice), Given(tuned=tuned)
    )
    assert {(row.sticker, row.region) for row in rows} == {("heart", "chin"), ("sun", "glabella")}


def test_what_is_not_remembered_is_shown_again():
    corpus, choice = faces(), attack("rhde")
    (kept, first), (again, second) = (
        attacked(dataclasses.replace(choice, remember=remember), corpus) for remember in (True, False)
    )
    assert sum(row.cached for row in kept) == sum(row.repeated for row in again) > 0
    assert {row.repeated for row in kept} == {row.cached for row in again} == {0}
    assert all(shown + 1 == new for shown, new in first.asked())  # the clean look is new, too
    assert [shown for shown, _ in second.asked()] == [row.unique + row.repeated for row in again]
    assert [row.queries for row in kept] == [row.queries for row in again]


class Shaded:
    """A recogniser of how dark a clip is beside how it was, and of which half is darker: any change is an answer."""

    label, classes, colour, access = "shaded", 2, "gray", "gradients"

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        return (0, 1)

    def scores(self, frames: Tensor) -> Tensor:
        return self.logits(frames).softmax(1)

    def logits(self, frames: Tensor) -> Tensor:
        light = frames.mean((1, 2, 3, 4)) / 255
        return torch.stack([light * 0, (0.4 - light) * 50], 1)

    def features(self, frames: Tensor) -> np.ndarray:
        read = frames.mean((2, 3, 4)).numpy()
        return np.where(read < 60, np.nan, read).astype(np.float32)


@pytest.mark.parametrize("name", OTHERS)
def test_an_attack_that_wears_nothing_says_what_it_did_and_what_it_changed(name, tmp_path):
    small = {"filters": {"population": 4, "generations": 1, "inner_population": 2, "inner_generations": 1}}
    corpus, victim = faces(), Shaded()
    choice = replace(attack(name, settings=small.get(name, {})), variant="apex-only")
    data = ShardData(victim, corpus, range(CLIPS), Found(), "cpu")
    results.write_part(Store(tmp_path), "noise", [cells(choice)[0].id], data.verdicts(choice, cells(choice)))
    kept = results.read_verdicts(Store(tmp_path), frozenset({cells(choice)[0].id}))
    assert set(kept["sticker"]) == {ATTACKS[name].makes}
    for row in (Verdict(**values) for values in kept.iter_rows(named=True)):
        assert 1 <= row.queries <= choice.budget
        assert (row.region, row.x, row.outline) == (None, None, None)
        if name == "clean":
            assert (row.changed, row.ssim, row.psnr, row.recipe) == (0, pytest.approx(1), None, None)
            assert list(row.shift) == [0, 0]
        else:
            assert 0 < row.changed <= 1
            assert row.ssim < 1
            assert row.psnr > 0
            assert row.recipe
            assert row.shift[0] == 0  # the first frame is not attacked
            assert row.shift[1] != 0


def test_pictures_made_on_a_surrogate_are_shown_to_the_recogniser():
    corpus, victim, other = faces(), Shaded(), Shaded()
    other.logits = lambda frames: -Shaded().logits(frames)  # its gradient points the other way
    choice = attack("fgsm")
    data = ShardData(victim, corpus, range(CLIPS), Found(), "cpu")
    own = data.verdicts(choice, cells(choice))
    lent = data.verdicts(choice, cells(choice), Given(surrogate=other))
    for mine, theirs in zip(own, lent, strict=True):
        assert (mine.queries, theirs.queries) == (2, 1)
        assert mine.attacked_score < mine.clean_score < theirs.attacked_score
    other.frame_indices = lambda clip: (1,)
    with pytest.raises(AustickerError, match="looks at other frames"):
        data.verdicts(choice, cells(choice), Given(surrogate=other))


def test_a_feature_that_was_not_found_has_no_shift():
    corpus = faces()
    dark = dataclasses.replace(corpus, frames=np.asarray(corpus.frames) // 3)
    choice = attack("jaw-box")
    rows = ShardData(Shaded(), dark, range(CLIPS), Found(), "cpu").verdicts(choice, cells(choice))
    assert {row.shift for row in rows} == {None}


def test_an_attack_may_hide_the_answer_instead_of_the_truth():
    corpus, victim = faces(), Shaded()
    wrong = victim.scores(torch.from_numpy(np.stack(corpus.frames)).movedim(-1, 2).float()).argmax(1).tolist()
    assert wrong != [clip.label for clip in corpus.clips]
    choice = attack("eye-boxes", hides="answer", settings={"value": 255})
    assert choice.label == "eye-boxes hides the answer"
    rows = ShardData(victim, corpus, range(CLIPS), Found(), "cpu").verdicts(choice, cells(choice))
    assert [row.clean_pred for row in rows] == wrong
    for row in rows:
        assert (row.success_at > 0) == (row.attacked_pred != row.clean_pred)
        assert (row.attacked_score is None) == (row.clean_pred != row.label)
