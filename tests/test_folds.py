"""Folds: each division against a brute-force twin, and the guard against testing on what was trained on."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_corpus import corpus

from austicker.folds import (
    check_apart,
    frame_level,
    grouped,
    limited,
    loso,
    official,
    official_test,
    some,
    without_duplicates,
)
from austicker.types import AustickerError, Clip, Corpus, Fold


def clips_of(subjects: list[str]) -> tuple[Clip, ...]:
    return tuple(
        Clip(corpus="c", clip=f"clip{number}", subject=subject, label=0, onset=0, apex=1, offset=2)
        for number, subject in enumerate(subjects)
    )


def clips_in(splits: list[str]) -> tuple[Clip, ...]:
    return tuple(replace(clip, split=split) for clip, split in zip(clips_of(splits), splits, strict=True))


subjects = st.lists(st.sampled_from(["s1", "s10", "s2", "Ann", "ann", "é"]), min_size=2).filter(
    lambda names: len(set(names)) > 1
)


@given(subjects)
def test_leaving_one_subject_out_equals_its_definition(names):
    clips = clips_of(names)
    folds = loso(clips)
    assert len(folds) == len(set(names))
    for number, name in enumerate(names):
        holding = [fold for fold in folds if number in fold.test]
        assert [fold.name for fold in holding] == [name]
    for fold in folds:
        assert sorted(fold.train + fold.test) == list(range(len(names)))
        assert not {names[i] for i in fold.train} & {names[i] for i in fold.test}
        assert len({names[i] for i in fold.test}) == 1
        assert fold.train
        assert list(fold.train) == sorted(fold.train)
        assert list(fold.test) == sorted(fold.test)


@given(subjects, st.randoms(use_true_random=False))
def test_the_order_of_the_clips_does_not_change_who_is_in_which_fold(names, random):
    clips = list(clips_of(names))
    before = {fold.name: {clips[i].clip for i in fold.test} for fold in loso(clips)}
    random.shuffle(clips)
    assert [(fold.name, {clips[i].clip for i in fold.test}) for fold in loso(clips)] == list(before.items())


@pytest.mark.parametrize("names", [[], ["only"], ["only", "only"]])
def test_fewer_than_two_subjects_are_refused(names):
    with pytest.raises(AustickerError, match=f"at least two subjects; the corpus has {len(set(names))}"):
        loso(clips_of(names))


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1), st.integers(2, 5))
def test_groups_hold_whole_subjects_and_are_dealt_in_turn(names, count):
    clips = clips_of(names)
    if len(set(names)) < count:
        with pytest.raises(AustickerError, match=f"{count} folds of whole subjects .* has {len(set(names))}"):
            grouped(clips, folds=count)
        return
    folds = grouped(clips, folds=count)
    assert len(folds) == len({fold.name for fold in folds}) == count
    order = sorted(sorted(set(names)), key=names.count, reverse=True)
    for number, fold in enumerate(folds):
        assert {names[i] for i in fold.test} == set(order[number::count])
        assert sorted(fold.train + fold.test) == list(range(len(names)))
        assert not {names[i] for i in fold.train} & {names[i] for i in fold.test}


splits = st.lists(st.sampled_from(["train", "validation", "test"]))


@given(splits)
def test_the_official_division_tests_on_all_that_is_not_for_training(parts):
    clips = clips_in(parts)
    if "train" not in parts or len(set(parts)) < 2:
        with pytest.raises(AustickerError, match="the corpus has only"):
            official(clips)
        return
    (fold,) = official(clips)
    assert fold.name == "official"
    assert [parts[i] for i in fold.train] == [part for part in parts if part == "train"]
    assert set(fold.test) == set(range(len(parts))) - set(fold.train)


@given(splits)
def test_the_official_test_leaves_the_validation_part_out(parts):
    clips = clips_in(parts)
    if len(set(parts)) < 3:
        with pytest.raises(AustickerError, match="the corpus has only .*: use protocol 'official'"):
            official_test(clips)
        return
    (fold,) = official_test(clips)
    assert {parts[i] for i in fold.train} == {"train"}
    assert {parts[i] for i in fold.test} == {"test"}
    assert len(fold.train) + len(fold.test) == len(parts) - parts.count("validation")


@pytest.mark.parametrize("divide", [official, official_test])
def test_a_clip_without_a_part_is_named(divide):
    with pytest.raises(AustickerError, match=r"does not place 'clip1': give each clip its part"):
        divide(clips_in(["train", "", "test", "validation"]))


labels = st.lists(st.integers(0, 3), min_size=1, max_size=40)


@given(labels, st.integers(1, 3), st.integers(0, 5), st.randoms(use_true_random=False))
def test_a_frame_level_test_has_as_many_of_each_class_in_any_order(numbers, per_class, seed, random):
    clips = [replace(clip, label=label) for clip, label in zip(clips_of(["s"] * len(numbers)), numbers, strict=True)]
    if min(Counter(numbers).values()) <= per_class:
        with pytest.raises(AustickerError, match=f"{per_class} clips of each class needs more"):
            frame_level(clips, per_class=per_class, seed=seed)
        return
    (fold,) = frame_level(clips, per_class=per_class, seed=seed)
    assert Counter(numbers[i] for i in fold.test) == dict.fromkeys(set(numbers), per_class)
    assert sorted(fold.train + fold.test) == list(range(len(clips)))
    tested = {clips[i].clip for i in fold.test}
    random.shuffle(clips)
    assert {clips[i].clip for i in frame_level(clips, per_class=per_class, seed=seed)[0].test} == tested


def test_another_seed_draws_another_test():
    clips = clips_of(["s"] * 100)
    drawn = {frame_level(clips, per_class=50, seed=seed)[0].test for seed in range(5)}
    assert len(drawn) == 5


def folds_of(count: int) -> tuple[Fold, ...]:
    return tuple(Fold(name=str(number), train=(), test=(number,)) for number in range(count))


@given(st.integers(1, 60).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total))))
def test_some_folds_are_spread_evenly_over_all(numbers):
    total, count = numbers
    chosen = [fold.test[0] for fold in some(folds_of(total), count)]
    assert len(chosen) == count
    gaps = [after - before for before, after in zip(chosen, [*chosen[1:], chosen[0] + total], strict=True)]
    assert set(gaps) <= {total // count, -(-total // count)}


def test_all_folds_are_taken_without_a_count():
    assert some(folds_of(7), None) == folds_of(7) == some(folds_of(7), 7)


@pytest.mark.parametrize("count", [0, -1, 8])
def test_an_impossible_count_is_refused_with_what_is_possible(count):
    with pytest.raises(AustickerError, match=rf"^'folds = {count}' is impossible: .* use 1 to 7\.$"):
        some(folds_of(7), count)


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12))
def test_of_protocols_side_by_side_each_gives_so_many_or_all(first, second, count):
    one, other = (
        tuple(replace(fold, protocol=name) for fold in folds_of(total)) for name, total in (("a", first), ("b", second))
    )
    if count > max(first, second):
        with pytest.raises(AustickerError, match=f"'folds = {count}' is impossible: .* use 1 to {max(first, second)}"):
            some(one + other, count)
        return
    assert some(one + other, count) == some(one, min(count, first)) + some(other, min(count, second))


sides = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("stuv"), st.booleans()), min_size=1, max_size=40)


@given(sides, st.none() | st.integers(1, 9), st.none() | st.integers(1, 9), st.randoms(use_true_random=False))
def test_limits_keep_so_many_of_each_class_spread_over_the_people(rows, train, test, random):
    base = corpus(clips=1)
    clips = [
        replace(base.clips[0], clip=f"clip{i}", subject=who, label=label) for i, (label, who, _) in enumerate(rows)
    ]
    tested = {clips[i].clip for i, row in enumerate(rows) if row[2]}

    def kept():
        positions = [
            tuple(i for i, clip in enumerate(clips) if (clip.clip in tested) is side) for side in (False, True)
        ]
        whole = replace(base, clips=tuple(clips))
        fold = Fold(name="f", train=positions[0], test=positions[1], protocol="p")
        return positions, limited(whole, fold, train_per_class=train, test_per_class=test)

    positions, fold = kept()
    assert (fold.name, fold.protocol) == ("f", "p")
    for own, found, most in zip(positions, (fold.train, fold.test), (train, test), strict=True):
        assert found == tuple(i for i in own if i in set(found))
        assert most is not None or found == own
        for label in range(3):
            there = Counter(clips[i].subject for i in own if clips[i].label == label)
            taken = Counter(clips[i].subject for i in found if clips[i].label == label)
            assert taken.total() == (there.total() if most is None else min(most, there.total()))
            # Nobody gives a second clip before everybody who has one left gave as many.
            assert all(taken[who] >= max(taken.values(), default=0) - 1 for who in there if taken[who] < there[who])
    names = [{clips[i].clip for i in side} for side in (fold.train, fold.test)]
    random.shuffle(clips)
    _, again = kept()
    assert [{clips[i].clip for i in side} for side in (again.train, again.test)] == names


def test_the_other_side_does_not_change_a_limited_draw():
    base = corpus(clips=1)
    clips = tuple(replace(base.clips[0], clip=f"clip{i}", subject=f"s{i % 5}") for i in range(40))
    whole, fold = replace(base, clips=clips), Fold(name="f", train=tuple(range(30)), test=tuple(range(30, 40)))
    first = limited(whole, fold, train_per_class=7, test_per_class=2)
    assert first.train == limited(whole, replace(fold, test=(39,)), train_per_class=7, test_per_class=None).train
    assert first.test == limited(whole, replace(fold, train=(0,)), train_per_class=None, test_per_class=2).test
    assert first.train != fold.train[:7]


@pytest.mark.parametrize(("train", "test", "named"), [(0, None, "train_per_class = 0"), (1, -2, "test_per_class = -2")])
def test_a_limit_below_one_is_refused(train, test, named):
    with pytest.raises(AustickerError, match=f"'{named}' leaves corpus 'orl-motion' no clip: use 1 or more"):
        limited(corpus(), Fold(name="f", train=(0,), test=(1,)), train_per_class=train, test_per_class=test)


def divided(people: str, pictures: str, cut: int, **changes: bool) -> tuple[Corpus, Fold]:
    """Returns a corpus with a person and a picture per letter, trained on before `cut` and tested on from there."""
    base = corpus(clips=len(people))
    clips = tuple(replace(base.clips[i], clip=f"clip{i}", subject=person) for i, person in enumerate(people))
    whole = replace(base, clips=clips, digests=tuple((name, f"own{i}") for i, name in enumerate(pictures)), **changes)
    return whole, Fold(name="f", train=tuple(range(cut)), test=tuple(range(cut, len(people))))


letters = st.text("abcd", min_size=6, max_size=6)


@given(letters, st.text("uvwxyz", min_size=6, max_size=6), st.integers(1, 5), st.booleans(), st.booleans())
def test_the_guard_refuses_exactly_the_leaks(people, pictures, cut, shares, lacking):
    whole, fold = divided(people, pictures, cut, lacks_subjects=lacking)
    same_person = not shares and not lacking and any(a == b for a in people[:cut] for b in people[cut:])
    same_picture = any(a == b for a in pictures[:cut] for b in pictures[cut:])
    if same_person or same_picture:
        with pytest.raises(AustickerError, match="the same people" if same_person else "the same pictures"):
            check_apart(whole, fold, shares_subjects=shares)
    else:
        check_apart(whole, fold, shares_subjects=shares)


def test_a_leak_is_named_on_both_sides():
    whole, fold = divided("aaaaabab", "stuvwxyz", 5)
    with pytest.raises(AustickerError) as refusal:
        check_apart(whole, fold, shares_subjects=False)
    assert str(refusal.value) == (
        "Fold 'f' of 'orl-motion' has the same people in training ('clip0', 'clip1', 'clip2' and 2 more) and in test "
        "('clip6'): divide it by subject or correct its subjects."
    )


@given(st.text("uvwxyz", min_size=6, max_size=6), st.integers(1, 5))
def test_duplicates_leave_the_training_side_alone(pictures, cut):
    whole, fold = divided("abcdef", pictures, cut)
    repeated = [i for i in range(cut) if pictures[i] in pictures[cut:]]
    if len(repeated) == cut:
        with pytest.raises(AustickerError, match="Every training picture"):
            without_duplicates(whole, fold)
        return
    cleared, dropped = without_duplicates(whole, fold)
    assert dropped == tuple(f"clip{i}" for i in repeated)
    assert cleared == replace(fold, train=tuple(i for i in range(cut) if i not in repeated))
    check_apart(whole, cleared, shares_subjects=False)


def test_the_guard_is_fast_on_the_largest_corpus():
    size = 290_000
    clip = Clip(corpus="c", clip="x", subject="s", label=0, onset=0, apex=0, offset=0)
    digests = tuple((str(number),) for number in range(size))
    whole = replace(corpus(), clips=(clip,) * size, digests=digests, lacks_subjects=True)
    fold = Fold(name="f", train=tuple(range(size - 4000)), test=tuple(range(size - 4000, size)))
    began = time.perf_counter()
    check_apart(whole, fold, shares_subjects=False)
    assert without_duplicates(whole, fold) == (fold, ())
    assert time.perf_counter() - began < 5
