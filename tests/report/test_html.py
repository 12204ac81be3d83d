"""Pieces of a page: what people read, and what must not get through."""

import numpy as np
import pandas as pd
import pytest

from simlib.estimate.wording import milliseconds, percent, points, seconds
from simlib.report.html import Html, marked, paragraphs, table_html, two_lines


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.3130, "31.3 %"),
        (0.0956, "9.56 %"),
        (0.00756, "0.76 %"),
        (0.007, "0.70 %"),
        (0.000052, "0.0052 %"),
        (0, "0 %"),
        (-0.02, "−2.00 %"),
        (1, "100.0 %"),
        (0.5, "50.0 %"),
    ],
)
def test_a_share_reads_with_a_sensible_number_of_digits(share, text):
    assert percent(share) == text


def test_a_number_that_there_is_not_reads_as_such():
    assert percent(np.nan) == milliseconds(np.nan) == seconds(np.nan) == "n/a"


def test_a_difference_shows_its_sign():
    assert points(0.02) == "+2.00 pp"
    assert points(-0.02) == "−2.00 pp"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0123, "12.3 ms"), (2.5, "2.5 s"), (600, "10 min"), (7200, "2.0 h"), (np.inf, "to the end")]
)
def test_a_time_reads_in_the_unit_that_fits(value, text):
    assert seconds(value) == text


EVIL = "<script>alert('x')</script>\"&"


def test_untrusted_text_is_escaped_in_every_piece():
    table = pd.DataFrame({EVIL: [EVIL], "number": [1]})
    for piece in (paragraphs(EVIL).text, marked(EVIL), table_html(table), two_lines(EVIL + " (" + EVIL + ")").text):
        assert "<script" not in piece
        assert "&lt;script&gt;" in piece


def test_backticks_become_code_and_an_odd_one_stays():
    assert marked("a `b` c") == "a <code>b</code> c"
    assert marked("a ` b") == "a ` b"


def test_html_made_here_is_not_escaped_twice():
    assert "<code>x</code>" in table_html(pd.DataFrame({"a": [Html("<code>x</code>")]}))


def test_a_piece_of_a_page_as_plain_text_is_short():
    assert len(repr(Html("x" * 50_000))) < 40


HOSTILE = ["\u202egpt", "\x1b[31mred", "two\nlines", "zero\u200bwidth", "x" * 20_000, "\u2028"]


@pytest.mark.parametrize("name", HOSTILE, ids=["right-to-left", "escape", "newline", "invisible", "long", "separator"])
def test_a_name_of_a_stranger_is_one_visible_line_that_can_be_written(name):
    for piece in (table_html(pd.DataFrame({name: [name]})), paragraphs(f"`{name}`").text, two_lines(name).text):
        assert len(piece.encode()) < 1000
        assert piece.isprintable()
