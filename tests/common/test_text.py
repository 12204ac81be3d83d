"""Text of strangers: on one line, with nothing hidden in it, and never too long."""

import io
import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlib.common.text import LONGEST, LONGEST_WORD, PLAIN_SIGNS, visible


@given(st.text(max_size=60))
def test_what_is_shown_has_only_signs_that_print_and_loses_no_other(text):
    shown = visible(text)
    assert shown.isprintable()
    assert shown == "".join(sign if sign.isprintable() else f"[U+{ord(sign):04X}]" for sign in text)


def test_every_control_and_direction_mark_of_unicode_is_named():
    marks = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert len(marks) > 2000
    assert {visible(mark) for mark in marks} == {f"[U+{ord(mark):04X}]" for mark in marks}


def test_plain_text_is_left_alone():
    assert visible(string.ascii_letters + " é 中 −2 pp – …") == string.ascii_letters + " é 中 −2 pp – …"


@pytest.mark.parametrize("text", ["x" * 20_000, "x y " * 5_000, "\n" * 20_000, "\u202e" * 20_000])
def test_what_is_long_is_shortened_and_says_so(text):
    assert len(visible(text)) < 9 * LONGEST
    assert visible(text).count("…") == 1


def test_long_names_that_differ_at_their_ends_do_so_when_shortened():
    first, second = visible("x" * 1000 + "1"), visible("x" * 1000 + "2")
    assert first != second
    assert len(first) == LONGEST_WORD + 1


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "-2 [U+00E9]"), ("latin-1", "-2 é"), ("utf-8", "−2 é")])
def test_a_terminal_gets_other_signs_for_those_it_has_not(encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=PLAIN_SIGNS)
    stream.write("−2 é")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == shown
