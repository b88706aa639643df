from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from planted_activity import MODEL, PLANTED, planted_activity

from austicker.causal import (
    BOTH_HEADS,
    FIRST_COMES,
    METHODS,
    NOBODY,
    _search,
    discover,
    discover_fold,
    discover_per_image,
    elect,
    graph_of,
    majority,
    resampled,
    votes,
)
from austicker.independence import FisherZ, Resampled, contingency, quantile_codes
from austicker.motion import clip_motion, pixel_box
from austicker.planted_truth import against_truth
from austicker.regions import NAMES, locate
from austicker.types import AustickerError, Clip, Corpus, DiscoverySettings, RegionGraph

SUBJECTS = [f"s{row // 6:02d}" for row in range(174)]
SETTINGS = DiscoverySettings(bootstraps=10)


def found(activity: np.ndarray, regions: Sequence[str] = NAMES, **settings) -> RegionGraph:
    chosen = replace(SETTINGS, **settings)
    rng = np.random.default_rng(0)
    return discover(activity, regions, settings=chosen, subjects=SUBJECTS[: len(activity)], rng=rng)


def edge_sets(graph: RegionGraph) -> tuple[set, set, set]:
    either = ({frozenset(edge) for edge in edges} for edges in (graph.undirected, graph.bidirected))
    return (set(graph.directed), *either)


# --- planted truth


@pytest.mark.parametrize("method", ["chi-square", "g-square", "fisher-z"])
def test_the_planted_cause_wins_most_draws(method):
    winners = [found(planted_activity(np.random.default_rng(seed)), method=method).winner for seed in range(20)]
    assert winners.count(MODEL["cause"]) >= 12  # chance is 20 / 14


def test_the_planted_cause_is_the_only_leader_of_the_planted_model():
    degree = Counter(cause for cause, _ in PLANTED)
    assert degree.most_common(1)[0] == (MODEL["cause"], 8)
    assert {name for edge in PLANTED for name in edge} < set(NAMES)
    activity = planted_activity(np.random.default_rng(0), 2000)
    assert 0.2 < activity.min() < activity.max() < 1.0
    assert against_truth(found_large(activity), PLANTED)["orientation_recall"] == 1.0


def found_large(activity: np.ndarray) -> RegionGraph:
    """Returns the graph of many clips by Fisher's z, which sees the linear model without loss."""
    settings = replace(SETTINGS, method="fisher-z", alpha=0.001)
    subjects = [str(row) for row in range(len(activity))]
    return discover(activity, NAMES, settings=settings, subjects=subjects, rng=np.random.default_rng(0))


def test_independent_regions_give_hardly_an_edge():
    graphs = [found(np.random.default_rng(seed).random((174, 14))) for seed in range(5)]
    assert np.mean([len(graph.directed + graph.undirected + graph.bidirected) for graph in graphs]) < 7  # 91 pairs


def test_binary_activity_takes_action_units():
    rng = np.random.default_rng(0)
    active = (planted_activity(rng) > 0.6).astype(int)
    joined = against_truth(found(active, method="action-units"), PLANTED)
    assert joined["skeleton_recall"] > 0.5
    assert joined["skeleton_precision"] > 0.5


# --- the table is checked and cleaned


@pytest.mark.parametrize("method", METHODS[:4])
def test_constant_and_duplicate_columns_are_dropped_and_recorded(method):
    activity = (planted_activity(np.random.default_rng(3)) * 100).astype(int)
    if method == "action-units":
        activity = (activity > 60).astype(int)
    activity[:, NAMES.index("eye-left")] = 7
    activity[:, NAMES.index("lips")] = activity[:, NAMES.index("cheek-left")]
    graph = found(activity, method=method)
    assert graph.dropped == ("eye-left", "lips")
    without = [name for name in NAMES if name not in graph.dropped]
    alone = found(activity[:, [NAMES.index(name) for name in without]], without, method=method)
    assert edge_sets(graph) == edge_sets(alone)
    assert graph.winner == alone.winner


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(poison):
    activity = planted_activity(np.random.default_rng(0))
    activity[5, 8] = poison
    with pytest.raises(AustickerError, match=NAMES[8]):
        found(activity)


def test_wrong_shape_and_wrong_method_are_refused():
    with pytest.raises(AustickerError, match="clips x regions"):
        found(np.zeros((6, 3)))
    with pytest.raises(AustickerError, match="per-image"):
        found(np.zeros((6, 14)), method="per-image")


def test_no_edge_means_no_winner():
    graph = found(np.tile([[0.2, 0.4, 0.6], [0.4, 0.2, 0.2]] * 3, 1), NAMES[:3], alpha=0.001)
    assert (graph.winner, graph.decided_by, graph.tied) == (None, "no directed edge", ())
    constant = found(np.ones((174, 14)))
    assert (constant.winner, constant.regions, constant.dropped) == (None, (), NAMES)


@pytest.mark.parametrize("method", ["chi-square", "fisher-z"])
def test_order_of_the_columns_changes_nothing_but_the_last_tie_break(method):
    activity = planted_activity(np.random.default_rng(1))
    graph = found(activity, method=method)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(14)
        shuffled = found(activity[:, order], [NAMES[k] for k in order], method=method)
        assert edge_sets(shuffled) == edge_sets(graph)
        assert set(shuffled.tied) == set(graph.tied)
        assert graph.decided_by == "index" or shuffled.winner == graph.winner


def test_quantile_bins_are_even_and_keep_ties_together():
    assert np.bincount(quantile_codes(np.random.default_rng(0).random(174), 3)).tolist() == [58, 58, 58]
    tied = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 3.0])
    assert quantile_codes(tied, 3).tolist() == [1, 1, 1, 1, 2, 2]


# --- the tests of independence are causal-learn's


@pytest.mark.parametrize("method", ["chisq", "gsq"])
def test_contingency_test_equals_causal_learn(method):
    from causallearn.search.ConstraintBased.PC import pc
    from causallearn.utils.cit import CIT

    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(levels, size=120) for levels in (2, 3, 3, 4, 2, 3)], axis=1)
    codes[:, 2] = (codes[:, 0] + codes[:, 1] + (rng.random(120) < 0.2)) % 3
    codes[:, 3] = (codes[:, 2] + (rng.random(120) < 0.3)) % 4
    ours, theirs = contingency(codes, method, counts_per_freedom=0), CIT(codes, method)
    for conditions in [(), (2,), (4,), (2, 4), (2, 4, 5)]:
        for x, y in [(0, 1), (1, 3), (3, 0)]:
            assert ours(x, y, conditions) == pytest.approx(theirs(x, y, conditions), abs=1e-12)
    for seed in range(3):
        rows = np.stack([quantile_codes(column, 3) for column in planted_activity(np.random.default_rng(seed)).T], 1)
        matrix = pc(rows, 0.05, method, uc_priority=BOTH_HEADS, max_k=2, show_progress=False).G.graph
        directed, undirected, _ = _search(contingency(rows, method, counts_per_freedom=0), NAMES, 0.05, 2, BOTH_HEADS)
        assert (set(directed), {frozenset(edge) for edge in undirected}) == matrix_edges(matrix, NAMES)


def matrix_edges(matrix: np.ndarray, names: Sequence[str]) -> tuple[set, set]:
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    directed = {(names[i], names[j]) for i, j in pairs if (matrix[i, j], matrix[j, i]) == (-1, 1)}
    undirected = {frozenset((names[i], names[j])) for i, j in pairs if (matrix[i, j], matrix[j, i]) == (-1, -1)}
    return directed, undirected


def test_a_conditional_test_on_too_few_clips_removes_no_edge():
    codes = np.random.default_rng(0).integers(3, size=(50, 4))
    test = contingency(codes, "chisq")
    assert test(0, 1, (2,)) == 0.0  # 50 clips < 5 x 12 degrees of freedom
    assert test(0, 1, ()) > 0.0


def test_fisher_z_calls_a_determined_column_independent():
    first = np.random.default_rng(0).standard_normal((100, 2))
    columns = np.column_stack([first, first.sum(axis=1)])
    test = FisherZ(np.corrcoef(columns.T), 100)
    assert test(0, 2, ()) < 0.05
    assert test(0, 2, (1,)) < 0.05
    assert FisherZ(np.corrcoef(np.column_stack([columns, first[:, 0]]).T), 100)(0, 1, (3,)) == 1.0


# --- resamples


def resampling(activity: np.ndarray, **settings) -> tuple[list[RegionGraph], list[np.ndarray]]:
    """Returns the graphs of 6 resamples of people who have 3 to 9 clips, and the rows of each by the same draws."""
    people = np.repeat(np.arange(30), 3 + np.arange(30) % 7)[: len(activity)]
    chosen = replace(SETTINGS, bootstraps=6, **settings)
    subjects = [f"s{person:02d}" for person in people]
    graphs = list(resampled(activity, NAMES, settings=chosen, subjects=subjects, rng=np.random.default_rng(5)))
    count = people.max() + 1
    draws = np.random.default_rng(5).integers(count, size=(6, count))
    return graphs, [np.concatenate([np.flatnonzero(people == person) for person in drawn]) for drawn in draws]


def odd_activity() -> np.ndarray:
    """Planted activity with a region that moves in one person alone, and one that differs from another in one."""
    activity = planted_activity(np.random.default_rng(0))
    activity[:, NAMES.index("eye-left")] = np.arange(174) < 3
    activity[:, NAMES.index("lips")] = activity[:, NAMES.index("cheek-left")]
    activity[-3:, NAMES.index("lips")] = activity[:3, NAMES.index("lips")]
    return activity


def test_resamples_have_the_graphs_that_counting_their_rows_gives():
    codes = np.stack([quantile_codes(column, 3) for column in odd_activity().T], axis=1)
    graphs, rows = resampling(odd_activity())
    as_coded = replace(SETTINGS, method="action-units")  # the chi-square test on codes as they are
    assert graphs == [graph_of(codes[drawn], NAMES, as_coded) for drawn in rows]
    assert len({graph.dropped for graph in graphs}) > 1
    assert len({graph.directed for graph in graphs}) == 6
    graphs, rows = resampling(codes, method="action-units")
    assert graphs == [graph_of(codes[drawn], NAMES, as_coded) for drawn in rows]
    graphs, rows = resampling(odd_activity(), method="fisher-z")
    assert graphs == [graph_of(odd_activity()[drawn], NAMES, replace(SETTINGS, method="fisher-z")) for drawn in rows]


@pytest.mark.parametrize("method", ["chisq", "gsq"])
def test_p_values_of_resamples_are_causal_learns_on_their_rows(method):
    from causallearn.utils.cit import CIT

    rng = np.random.default_rng(2)
    people = np.repeat(np.arange(20), 3 + np.arange(20) % 5)
    codes = rng.integers(3, size=(len(people), 5))
    codes[:, 1] = (codes[:, 0] + (rng.random(len(people)) < 0.4)) % 3
    codes[:, 4] = people == 0  # not every resample has both values
    draws = rng.integers(20, size=(6, 20))
    times = np.stack([np.bincount(drawn, minlength=20) for drawn in draws])
    tables = Resampled(codes, people, times, method, counts_per_freedom=0)
    assert set(times[:, 0] > 0) == {False, True}
    for number, drawn in enumerate(draws):
        theirs = CIT(codes[np.concatenate([np.flatnonzero(people == person) for person in drawn])], method)
        for x, y, given in [(0, 1, ()), (0, 4, ()), (1, 0, (2,)), (2, 3, (0, 4)), (0, 1, (2, 3))]:
            assert tables.p_values(x, y, given)[number] == pytest.approx(theirs(x, y, given), rel=1e-9, abs=1e-15)
            assert tables.test(number, [1, 2, 0, 3, 4])(2, 0, [1]) == tables.p_values(0, 1, (2,))[number]


def test_a_resample_on_too_few_clips_is_not_tested_while_its_neighbours_are():
    codes = np.random.default_rng(0).integers(3, size=(120, 3))
    tables = Resampled(codes, np.repeat([0, 1], 60), np.array([[1, 1], [1, 0]]), "chisq", 1)
    few = Resampled(codes, np.repeat([0, 1], 60), np.array([[1, 1], [1, 0]]), "chisq", 6)
    p = tables.p_values(0, 1, (2,))
    assert (p > 0).all()
    assert few.p_values(0, 1, (2,)).tolist() == [p[0], 0.0]  # 120 and 60 clips, 72 asked
    assert (few.p_values(0, 1, ()) > 0).all()


def test_a_value_that_a_resample_lacks_asks_no_clips_of_it():
    codes = np.random.default_rng(0).integers(2, size=(120, 3))
    codes[60:64, 0] = 2  # the second person alone
    tables = Resampled(codes, np.repeat([0, 1], 60), np.array([[1, 1], [2, 0]]), "chisq", 40)
    both, first = tables.p_values(0, 1, (2,))
    assert both == 0.0  # 120 clips, 160 asked
    assert first == contingency(np.tile(codes[:60], (2, 1)), "chisq", 40)(0, 1, (2,)) > 0  # 80 asked


def test_votes_share_a_lead_and_count_who_has_none():
    alone = RegionGraph(regions=("a", "b", "c"), directed=(("a", "b"), ("a", "c"), ("b", "c")))
    shared = replace(alone, directed=(("a", "c"), ("b", "c")))
    none = replace(alone, directed=(), undirected=(("a", "b"),))
    assert votes([alone, shared, none, none]) == {"a": 1.5, "b": 0.5, NOBODY: 2.0}


# --- the winner


def never() -> Mapping[str, float]:
    raise AssertionError("no tie stands")


@pytest.mark.parametrize(
    ("directed", "undirected", "frequency", "winner", "decided_by", "tied"),
    [
        ([("c", "a"), ("c", "b"), ("a", "b")], [], never, "c", "out-degree", ()),
        ([("b", "a"), ("c", "a")], [("c", "d")], never, "c", "half-undirected", ("b", "c")),
        ([("b", "a"), ("c", "a")], [], lambda: {"b": 2.0, "c": 5.0}, "c", "bootstrap", ("b", "c")),
        ([("b", "a"), ("c", "a")], [], lambda: {"b": 5.0, "c": 5.0}, "b", "index", ("b", "c")),
        ([], [("a", "b")], never, None, "no directed edge", ()),
    ],
)
def test_ties_are_broken_in_the_documented_order(directed, undirected, frequency, winner, decided_by, tied):
    graph = RegionGraph(regions=("a", "b", "c", "d"), directed=tuple(directed), undirected=tuple(undirected))
    chosen = elect(graph, frequency)
    assert (chosen.winner, chosen.decided_by, chosen.tied) == (winner, decided_by, tied)


def test_a_bootstrap_depends_on_the_seed_alone():
    activity = planted_activity(np.random.default_rng(0))[:60]
    assert found(activity) == found(activity)


def test_the_majority_of_pictures_decides_a_fold():
    left = RegionGraph(regions=("lips", "chin"), directed=(("chin", "lips"),), winner="chin", decided_by="out-degree")
    right = replace(left, directed=(("lips", "chin"),), winner="lips")
    none = replace(left, directed=(), winner=None, decided_by="no directed edge")
    assert majority([left, left, right]).winner == "chin"
    assert majority([left, left, right]).directed == (("chin", "lips"),)
    even = majority([left, right])
    assert (even.winner, even.tied, even.decided_by) == ("lips", ("lips", "chin"), "per-image majority")
    assert (majority([none]).winner, majority([none]).decided_by) == (None, "no directed edge")


# --- pictures and folds


def landmarks() -> np.ndarray:
    points = np.full((68, 2), 0.5, np.float32)
    points[:17] = [(0.12 + 0.76 * k / 16, 0.35 + 0.57 * np.sin(np.pi * k / 16)) for k in range(17)]
    points[17:27] = [(x, 0.28) for x in np.linspace(0.2, 0.8, 10)]
    points[36:42], points[42:48] = (0.33, 0.37), (0.67, 0.37)
    points[48:68] = [(x, 0.7) for x in np.linspace(0.38, 0.62, 20)]
    return points


def picture(seed: int, side: int = 32) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((side, side, 3)).astype(np.float32)
    return np.clip(128 + 300 * cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)


def test_per_image_equals_causal_learn_on_the_flattened_pixels():
    from causallearn.search.ConstraintBased.PC import pc

    image, boxes = picture(0), locate(landmarks(), aspect=1.0)
    masked = np.zeros((14, *image.shape))
    for copy, name in zip(masked, NAMES, strict=True):
        window = pixel_box(boxes[name], 32, 32)
        copy[window] = image[window]
    theirs = pc(masked.reshape(14, -1).T, 0.05, "fisherz", uc_priority=FIRST_COMES, show_progress=False)
    graph = discover_per_image(image, landmarks())
    assert edge_sets(graph)[:2] == matrix_edges(theirs.G.graph, NAMES)
    degrees = [sum(cause == name for cause, _ in graph.directed) for name in NAMES]
    assert graph.winner == NAMES[int(np.argmax(degrees))]


def test_a_gray_picture_counts_as_three_equal_channels():
    gray = picture(0)[:, :, :1]
    assert discover_per_image(gray, landmarks()) == discover_per_image(gray.repeat(3, axis=2), landmarks())


def toy_corpus(units: tuple[str, ...] = ()) -> Corpus:
    frames = np.stack([np.stack([picture(2 * k, 48), picture(2 * k + 1, 48)]) for k in range(14)])
    points = np.broadcast_to(landmarks(), (14, 2, 68, 2)).copy()
    clips = tuple(
        Clip(
            corpus="toy",
            clip=str(k),
            subject=str(k // 2),
            label=0,
            onset=0,
            apex=1,
            offset=1,
            action_units=units[: k % 4],
        )
        for k in range(14)
    )
    motion = np.stack([clip_motion(clip, *pair) for clip, *pair in zip(clips, frames, points, strict=True)])
    return Corpus(
        name="toy",
        labels=("a",),
        clips=clips,
        fingerprint="",
        digests=tuple((clip.clip,) for clip in clips),
        frames=frames,
        landmarks=points,
        motion=motion,
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_fold_never_reads_its_test_clips(method):
    corpus = toy_corpus(units=("4", "12", "L6"))
    train = range(3) if method == "per-image" else range(12)
    settings = DiscoverySettings(method=method, bootstraps=3)
    clean = discover_fold(corpus, train, settings, seed=1)
    corpus.frames[len(train) :] = 0
    corpus.landmarks[len(train) :] = np.nan
    corpus.motion[len(train) :] = np.nan
    clips = corpus.clips[: len(train)] + tuple(
        replace(clip, action_units=("poison",)) for clip in corpus.clips[len(train) :]
    )
    assert discover_fold(replace(corpus, clips=clips), train, settings, seed=1) == clean
    with pytest.raises(AustickerError):
        discover_fold(replace(corpus, clips=clips), range(14), settings, seed=1)


def test_action_units_need_clips_that_list_some():
    with pytest.raises(AustickerError, match="chi-square"):
        discover_fold(toy_corpus(), range(14), DiscoverySettings(method="action-units"), seed=0)


# --- against a planted graph


def test_distance_to_a_planted_graph_by_hand():
    planted = (("a", "b"), ("a", "c"), ("d", "c"), ("a", "d"))
    graph = RegionGraph(
        regions=("a", "b", "c", "d", "e"),
        directed=(("a", "b"), ("c", "a")),
        undirected=(("c", "d"), ("b", "e")),
        winner="a",
    )
    assert against_truth(graph, planted) == {
        "structural_hamming_distance": 4,
        "missing": 1,  # a - d
        "extra": 1,  # b - e
        "misoriented": 2,  # a - c reversed, c - d undirected
        "skeleton_precision": 3 / 4,
        "skeleton_recall": 3 / 4,
        "skeleton_f1": 3 / 4,
        "orientation_precision": 1 / 2,
        "orientation_recall": 1 / 4,
        "orientation_f1": 1 / 3,
        "winner_is_planted": True,
    }


def test_an_empty_graph_has_rates_of_none():
    rates = against_truth(RegionGraph(regions=("a", "b")), (("a", "b"),))
    assert (rates["skeleton_precision"], rates["skeleton_recall"]) == (None, 0)
    assert rates["winner_is_planted"] is False
    assert against_truth(RegionGraph(regions=()), ())["winner_is_planted"] is None
