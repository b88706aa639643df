"""Folds: leave-one-subject-out against a brute-force twin, and an even choice of some folds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from austicker.folds import loso, some
from austicker.types import AustickerError, Clip, Fold


def clips_of(subjects: list[str]) -> tuple[Clip, ...]:
    return tuple(
        Clip(corpus="c", clip=f"clip{number}", subject=subject, label=0, onset=0, apex=1, offset=2)
        for number, subject in enumerate(subjects)
    )


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
