"""The search for filters: its rules by hand, its counts, and a weakness that it must find."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from austicker import visibility
from austicker.attacks.filters import Settings, attack, evolution
from austicker.attacks.filters.chains import HIGH, LOW, NAMES, START, FilterChains
from austicker.attacks.looks import Face
from austicker.attacks.oracle import Answers, Asked, Oracle
from austicker.attacks.trials import Trials
from austicker.types import AustickerError

SIZE = (20, 24)
SMALL = Settings(population=4, generations=2, inner_population=3, inner_generations=2)


def one_face(seed=0):
    return Face(
        landmarks=np.zeros((68, 2), np.float32),
        size_px=SIZE,
        sticker_px=(3, 3),
        label=0,
        rng=np.random.default_rng(seed),
    )


def faces(count, *, channels=3, batch=32):
    """Smooth pictures, lighter in red than in blue."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    pictures = torch.nn.functional.interpolate(coarse, SIZE[::-1], mode="bilinear") * 100 + 70
    pictures[:, 0] += 10
    return Trials(
        frames=pictures[:, None, :channels],
        clip=np.arange(count),
        stickers=torch.zeros(1, 4, 3, 3),
        sticker=np.zeros(count, np.int64),
        shown=np.ones((count, 1), np.bool_),
        apex=np.zeros(count, np.int64),
        faces=[one_face(seed) for seed in range(count)],
        batch=batch,
    )


def always(clips):
    """A recogniser that nothing changes."""
    return torch.tensor([[0.9, 0.1]]).repeat(len(clips), 1)


def bluish(clips):
    """Answers with the other class where the mean blue exceeds the mean red by ten."""
    lead = clips[:, :, 2].mean((1, 2, 3)) - clips[:, :, 0].mean((1, 2, 3))
    other = torch.sigmoid(lead - 10)
    return torch.stack([1 - other, other], 1)


def oracle(scores, count=1, budget=10**6):
    return Oracle(Asked(name="toy", scores=scores), [0] * count, access="label", budget=budget)


def driven(settings, judged, seed=0):
    """Walks one face to its end; `judged` gives labels and similarities of sequences. Returns what was asked."""
    walk, rounds = evolution.walk(one_face(seed), settings), []
    asked = next(walk, None)
    while asked is not None:
        rounds.append(asked)
        labels, ssim = judged(asked)
        try:
            asked = walk.send(Answers(labels=labels, scores=None, ssim=ssim))
        except StopIteration:
            asked = None
    return rounds


def by_strength(chains):
    """Hides nothing; the less is filtered, the more similar."""
    return np.zeros(len(chains), np.int64), 1 - chains.strength.mean(1)


def all_of(rounds):
    return FilterChains.joined(rounds)


@pytest.mark.parametrize(
    ("settings", "queries"),
    [
        (Settings(), 1610),
        (Settings(filters=5), 1610),
        (SMALL, 4 + 2 * 4 * 7),
        (replace(SMALL, inner_generations=0), 4 + 2 * 4),
    ],
)
def test_what_is_asked_is_counted_to_the_last_query(settings, queries):
    assert settings.queries == queries
    asked = driven(settings, by_strength)
    assert sum(map(len, asked)) == queries
    members, copies = settings.population, settings.population * settings.inner_population
    generation = [copies] * settings.inner_generations + [members]
    assert [len(chains) for chains in asked] == [members, *generation * settings.generations]
    assert {chains.filters.shape[1] for chains in asked} == {settings.filters}


def test_the_published_search_costs_1610_queries_in_41_populations_by_the_oracle():
    meter = oracle(always)
    attempts = attack(meter, faces(1), Settings())
    assert meter.ledger.queries.tolist() == [1610]
    assert meter.ledger.calls.tolist() == [1 + 10 * (3 + 1)]
    labels, _ = meter.record(0)
    assert len(labels) == 1610
    assert 1 <= attempts.at[0] <= 1610


def test_the_first_members_are_random_filters_at_their_first_parameters():
    first = evolution.started(2000, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(first.parameters, START[first.filters])
    assert abs(np.bincount(first.filters.ravel(), minlength=10) - 600).max() < 120  # five standard errors


@pytest.mark.parametrize(("length", "cuts"), [(2, {1}), (3, {1}), (4, {1, 2}), (5, {1, 2, 3}), (10, set(range(1, 9)))])
def test_offspring_are_the_first_genes_of_one_parent_and_the_last_of_another(length, cuts):
    count = len(NAMES)
    filters = np.arange(count).repeat(length).reshape(count, length)
    parents = FilterChains.of(filters, LOW[filters])
    rng, seen = np.random.default_rng(2), set()
    for _ in range(40):
        for genes in (offspring := evolution.crossed(parents, rng)).filters.tolist():
            changes = [place for place in range(1, length) if genes[place] != genes[place - 1]]
            assert len(changes) <= 1
            seen |= set(changes)
        np.testing.assert_array_equal(offspring.parameters, LOW[offspring.filters])
    assert seen == cuts


def test_half_of_the_genes_mutate_to_random_filters_within_their_ranges():
    before = evolution.started(3000, 4, np.random.default_rng(0))
    after = evolution.mutated(before, np.random.default_rng(1))
    same = (after.parameters == before.parameters).all(2)
    assert abs(same.mean() - 0.5) < 0.025
    np.testing.assert_array_equal(after.filters[same], before.filters[same])
    parameters, filters = after.parameters[~same], after.filters[~same]
    assert ((parameters >= LOW[filters]) & (parameters <= HIGH[filters])).all()
    share = (parameters - LOW[filters]) / (HIGH[filters] - LOW[filters])
    np.testing.assert_allclose(share.mean(0), 0.5, atol=0.02)
    assert abs(np.bincount(filters, minlength=10) / len(filters) - 0.1).max() < 0.02


def test_the_noise_is_a_fraction_of_the_range():
    np.testing.assert_allclose(evolution.SIGMA[:, 0], 0.25 * 0.3 / 6.2)
    np.testing.assert_allclose(evolution.SIGMA[0, 1], 0.25 * 0.2 / 6.2)
    np.testing.assert_allclose(evolution.SIGMA[9, 1], 0.25 * 0.35 / 6.2)


def test_a_step_goes_down_each_parameters_own_slope():
    sigma = np.array([[[0.02, 0.01]]])
    noise = np.array([[[[0.02, 0.0]], [[-0.02, 0.0]]]])
    # Costs 3 and 1 become 1 and -1; the slope of the strength is 2 x 0.02, and there are two parameters.
    change = evolution.step(noise, np.array([[3.0, 1.0]]), sigma, 0.1)
    np.testing.assert_allclose(change, [[[-0.1 / (2 * 0.02) * 0.04, 0.0]]])
    np.testing.assert_array_equal(evolution.step(noise, np.array([[2.0, 2.0]]), sigma, 0.1), np.zeros((1, 1, 2)))


def test_parameters_move_to_where_a_picture_is_less_changed():
    settings = Settings(population=40, generations=1)
    rounds = driven(settings, by_strength)
    first, last = rounds[1], rounds[-1]
    assert last.strength.mean() < first.strength.mean() - 0.03
    middle = (first.intensity - LOW[first.filters, 1]).mean() / (HIGH - LOW)[:, 1].mean()
    assert abs((last.intensity - LOW[last.filters, 1]).mean() / (HIGH - LOW)[:, 1].mean() - middle) < 0.05


def test_everything_asked_is_within_its_range():
    asked = all_of(driven(Settings(learning_rate=5.0), by_strength))
    assert (asked.parameters >= LOW[asked.filters]).all()
    assert (asked.parameters <= HIGH[asked.filters]).all()


def test_survivors_are_the_first_fronts_and_the_least_crowded_of_the_last():
    rng = np.random.default_rng(0)
    for _ in range(20):
        objectives = rng.integers(0, 6, (14, 2)) / 5
        kept = evolution.survivors(objectives, 7, rng)
        assert len(set(kept.tolist())) == 7
        lost = np.setdiff1d(np.arange(14), kept)
        no_worse = (objectives[lost][:, None] <= objectives[kept]).all(2)
        better = (objectives[lost][:, None] < objectives[kept]).any(2)
        assert not (no_worse & better).any()
    line = np.array([[0.0, 1.0], [0.5, 0.5], [0.51, 0.49], [0.52, 0.48], [1.0, 0.0], [2.0, 2.0]])
    kept = evolution.survivors(line, 3, rng).tolist()
    assert {0, 4} < set(kept)  # the ends of a front are never crowded
    assert 5 not in kept


def test_what_is_minimised_is_failing_and_being_seen():
    asking = evolution.ask(evolution.started(3, 2, np.random.default_rng(0)), 4)
    next(asking)
    with pytest.raises(StopIteration) as ended:
        asking.send(Answers(labels=np.array([4, 0, 4]), scores=None, ssim=np.array([1.0, 0.75, -0.5])))
    np.testing.assert_allclose(ended.value.value, [[1, 0], [0, 0.25], [1, 1.5]])


def test_each_step_of_the_parameters_is_smaller_by_the_decay():
    def ended(steps, decay):
        settings = Settings(inner_generations=steps, decay=decay, learning_rate=0.01)
        tuning = evolution.tuned(evolution.started(8, 3, np.random.default_rng(0)), one_face(), settings)
        asked = next(tuning)
        while True:
            try:
                asked = tuning.send(Answers(labels=np.zeros(40, np.int64), scores=None, ssim=by_strength(asked)[1]))
            except StopIteration as end:
                return end.value.strength.mean()

    moved = 1 - ended(1, 1.0)
    assert 1 - ended(3, 1e-9) == pytest.approx(moved, abs=1e-9)
    # Where nothing is cut off, three steps of 1, 0.5 and 0.25 go less far than three whole ones.
    assert moved < 1.2 * moved < 1 - ended(3, 0.5) < 0.9 * (1 - ended(3, 1.0))


def test_what_hides_and_is_little_seen_is_bred_from():
    hudson, gingham = NAMES.index("hudson"), NAMES.index("gingham")

    def judged(chains):
        return (chains.filters[:, 0] == hudson).astype(np.int64), 0.3 + 0.2 * (chains.filters[:, 1:] == gingham).sum(1)

    last = driven(Settings(population=40, generations=12, inner_generations=0), judged)[-1].filters
    # Half of the genes are random in each generation, of which a tenth are the right ones.
    assert abs((last[:, 0] == hudson).mean() - 0.55) < 0.2
    assert (last[:, 1:] == gingham).mean() > 0.3


def test_the_cost_of_the_elite_is_the_squared_sum_of_both_objectives():
    hides, scores = np.array([True, False, False]), np.zeros(3, np.float32)
    found = evolution.cost_of_answers(hides, scores, np.array([0.8, 1.0, 0.5]))
    np.testing.assert_allclose(found, [0.2**2, 1.0, 1.5**2])
    with pytest.raises(ValueError, match="similarities"):
        evolution.cost_of_answers(hides, scores, None)


def test_blue_is_found_and_the_elite_is_the_most_similar_picture_that_hid():
    these, shown = faces(3), []

    def watched(clips):
        shown.append(clips.clone())
        return bluish(clips)

    before = these.frames.clone()
    for row in range(3):
        shown.clear()
        meter, alone = oracle(watched), replace(these, clip=np.array([row]), faces=[these.faces[row]])
        assert bluish(these.frames[[row]])[0, 1] < 0.5
        attempts = attack(meter, alone, replace(SMALL, population=6, generations=3))
        asked = torch.cat(shown)
        assert len(asked) == meter.ledger.queries[0]
        won = bluish(asked)[:, 1] > 0.5
        ssim = visibility.ssim(asked[:, 0], before[[row], 0].expand(len(asked), -1, -1, -1))
        at = attempts.at[0] - 1
        assert won.any()
        assert won[at]
        assert ssim[at] == pytest.approx(ssim[won.numpy()].max(), abs=1e-6)
        recipe = attempts.looks.columns(0)["recipe"]
        assert {name for name, _, _ in json.loads(recipe)} & {"clarendon", "hudson"}
        torch.testing.assert_close(attempts.looks.applied(before[[row]]), asked[[at]])
    assert torch.equal(these.frames, before)


def test_where_nothing_hides_the_most_similar_picture_counts():
    these, meter = faces(1), oracle(always)
    attempts = attack(meter, these, SMALL)
    assert meter.ledger.success_at.tolist() == [0]
    asked = all_of(driven_alike(these))
    ssim = visibility.ssim(
        asked.applied(these.frames.expand(len(asked), -1, -1, -1, -1))[:, 0],
        these.frames[[0], 0].expand(len(asked), -1, -1, -1),
    )
    assert attempts.at[0] - 1 == int(ssim.argmax())


def driven_alike(these):
    """The populations of a small search of the first face, which nothing hides, walked without an oracle."""

    def judged(chains):
        clips = these.frames[:1].expand(len(chains), -1, -1, -1, -1)
        return np.zeros(len(chains), np.int64), visibility.ssim(chains.applied(clips)[:, 0], clips[:, 0])

    return driven(SMALL, judged)


def test_faces_batches_and_runs_do_not_change_a_search():
    def run(rows, batch):
        whole = faces(3, batch=batch)
        these = replace(whole, clip=np.array(rows), faces=[whole.faces[row] for row in rows])
        meter = oracle(bluish, len(rows))
        attempts = attack(meter, these, SMALL)
        recipes = [attempts.looks.columns(row) for row in range(len(rows))]
        return {
            row: (at, recipes[i], meter.record(i)[0].tolist())
            for i, (row, at) in enumerate(zip(rows, attempts.at.tolist(), strict=True))
        }

    together = run([0, 1, 2], 64)
    assert run([0, 1, 2], 64) == together
    assert run([2, 1, 0], 5) == together
    assert run([1], 1)[1] == together[1]
    assert len({recipe["recipe"] for _, recipe, _ in together.values()}) == 3


@pytest.mark.parametrize("budget", [1, 4, 17, 59])
def test_a_budget_is_kept_to_the_last_query(budget):
    meter = oracle(always, 2, budget)
    attempts = attack(meter, faces(2), SMALL)
    assert meter.ledger.queries.tolist() == [budget] * 2
    assert (attempts.at <= budget).all()


def test_gray_faces_are_searched():
    meter, these = oracle(always), faces(1, channels=1)
    attempts = attack(meter, these, SMALL)
    assert meter.ledger.queries.tolist() == [SMALL.queries]
    assert attempts.looks.applied(these.frames).shape == these.frames.shape


@pytest.mark.parametrize("settings", [Settings(), SMALL, Settings(filters=5, inner_population=2)])
def test_a_smaller_budget_makes_a_smaller_search_of_the_same_shape(settings):
    for budget in range(0, settings.queries + 50, 13):
        smaller = settings.within(budget)
        assert smaller.queries <= max(budget, replace(settings, population=2, generations=1).queries)
        kept = {"population": settings.population, "generations": settings.generations}
        assert replace(smaller, **kept) == settings
        assert budget < settings.queries or smaller == settings
    assert Settings().within(800).queries > 600


@pytest.mark.parametrize(
    "given",
    [
        {"filters": 1},
        {"filters": 11},
        {"population": 1},
        {"generations": 0},
        {"inner_population": 1},
        {"inner_generations": -1},
        {"learning_rate": -0.1},
        {"learning_rate": float("nan")},
        {"decay": 0.0},
        {"decay": 1.5},
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(given):
    with pytest.raises(AustickerError, match=r"\.$") as refusal:
        Settings(**given)
    assert "\n" not in str(refusal.value)


def test_answers_without_similarities_are_a_mistake():
    with pytest.raises(ValueError, match="similarities"):
        driven(SMALL, lambda chains: (np.zeros(len(chains), np.int64), None))


def test_checking_a_job_loads_neither_torch_nor_pymoo():
    code = "import sys, austicker.attacks.filters; sys.exit('torch' in sys.modules or 'pymoo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
