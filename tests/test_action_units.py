"""Action units: the notation of the corpora, each repair by its name, and no third way beside reading and refusing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from austicker.action_units import RULES, ActionUnit, Coding, canonical, parse, parse_unit
from austicker.types import AustickerError

units = st.builds(
    ActionUnit,
    number=st.integers(1, 99),
    side=st.sampled_from(["L", "R", ""]),
    intensity=st.sampled_from(["A", "B", "C", "D", "E", ""]),
)


def written(coding: Coding) -> str:
    return "+".join(canonical(unit) for unit in coding.units)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (12, "12"),
        ("12", "12"),
        ("4+7", "4+7"),
        ("L12", "L12"),
        ("4+R10", "4+R10"),
        ("1+L2", "1+L2"),
        ("4+9+L10+14", "4+9+L10+14"),
        ("L2+26+38", "L2+26+38"),
        ("7B", "7B"),
        ("R12 + R15", "R12+R15"),
        ("au4+AU 7b", "4+7B"),
        ("AUR4", "R4"),
        (" \t", ""),
        ("4\xa0+ 7", "4+7"),
    ],
)
def test_plain_codings_need_no_repair(text, expected):
    coding = parse(text)
    assert written(coding) == expected
    assert coding.repairs == ()


@pytest.mark.parametrize(
    ("text", "expected", "repairs"),
    [
        ("4A/B", "4A", ("lower-intensity",)),
        ("4B / A", "4A", ("lower-intensity",)),
        ("A/L12", "L12", ("prefix-dropped",)),
        ("A12", "12", ("prefix-dropped",)),
        ("T23", "23", ("prefix-dropped",)),
        ("B18", "18", ("prefix-dropped",)),
        ("ref(7B)+43", "7B+43", ("reference-dropped",)),
        ("Ref (4+7) + 43", "4+7+43", ("reference-dropped",)),
        ("(R6 or R12)+R15", "R6+R15", ("first-alternative",)),
        ("L12 or L14", "L12", ("first-alternative",)),
        ("R14A or 17A or 24A", "R14A", ("first-alternative",)),
        ("soft focus", "", ("remark-dropped",)),
        ("12 (soft focus)", "12", ("remark-dropped",)),
        ("Soft focus + 12+soft  focus", "12", ("remark-dropped",)),
        ("4+soft focus+A7", "4+7", ("remark-dropped", "prefix-dropped")),
    ],
)
def test_what_is_ambiguous_is_read_by_a_named_rule(text, expected, repairs):
    coding = parse(text)
    assert written(coding) == expected
    assert coding.repairs == repairs
    assert set(coding.repairs) <= set(RULES)


@pytest.mark.parametrize("text", ["x", "0", "00", "100", "4++7", "+4", "4+", "1 2", "L", "LR12", "12F", "(6+12)"])
def test_what_is_no_action_unit_is_refused(text):
    with pytest.raises(AustickerError, match="is no action unit; write one as"):
        parse(text)


@pytest.mark.parametrize("text", ["4" + " " * 1600 + "5", "12+" * 80 + "12", "(" * 201])
def test_a_text_beyond_any_coding_is_refused_unread(text):
    for read in (parse, parse_unit):
        with pytest.raises(
            AustickerError, match=rf"have {len(text):,} characters, and at most 200 can be read"
        ) as fault:
            read(text)
        assert len(str(fault.value)) < 200


def test_the_longest_text_is_read():
    assert len(parse("+".join(["12"] * 67)).units) == 67
    assert written(parse("12" + " " * 185 + "(soft  focus)")) == "12"


@pytest.mark.parametrize("text", ["12", "L12", "R14A", "A12", "AU7B"])
def test_one_unit_is_read_alone_as_in_a_list(text):
    assert (parse_unit(text),) == parse(text).units


@pytest.mark.parametrize("text", ["4+7", "L12 or L14", "ref(7B)", "soft focus", ""])
def test_several_units_are_not_one(text):
    with pytest.raises(AustickerError, match="is no action unit"):
        parse_unit(text)


@given(st.lists(units).map(tuple))
def test_what_is_written_is_read_again(some):
    assert parse("+".join(canonical(unit) for unit in some)) == Coding(units=some)


@given(st.text() | st.text(alphabet="ABELRTUorf()+/ 0127st\n"))
def test_every_text_is_read_or_refused(text):
    try:
        coding = parse(text)
    except AustickerError:
        return
    assert parse(written(coding)).units == coding.units
    assert all(1 <= unit.number <= 99 for unit in coding.units)
