"""Texts from elsewhere steer no terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from austicker.terminal import printable


@given(st.text())
def test_what_is_printable_steers_no_terminal(text):
    shown = printable(text)
    steering = {letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert steering <= {"\n", "\t"}
    assert shown.count("\n") == text.count("\n")
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=("C", "Z"))))
def test_plain_text_stays_as_it_is(text):
    assert printable(f"{text} \t\n") == f"{text} \t\n"


def test_what_steers_a_terminal_is_written_out():
    assert printable("\x1b[2J\x9b\r\u202ereal\x00") == r"\x1b[2J\x9b\r\u202ereal\x00"
