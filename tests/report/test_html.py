"""Pieces of a page: what people read, and what must not get through."""

import numpy as np
import pandas as pd
import pytest

from simlib.estimate.wording import milliseconds, percent, points, seconds
from simlib.report.html import Html, canvas, draw, marked, paragraphs, table_html, to_svg, two_lines


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


def test_the_same_figure_gives_the_same_bytes():
    def draw() -> bytes:
        with canvas(2, 1) as figure:
            figure.subplots().plot([1, 2, 3])
            return to_svg(figure)

    assert draw() == draw()


def test_an_output_as_plain_text_is_short_and_names_the_finding():
    figure = draw(
        pd.DataFrame({"wait_p99_s": [0.5, 0.25]}),
        {"wait, p99": lambda row: f"{row['wait_p99_s']} s"},
        (2, 1),
        lambda drawn: drawn.subplots().plot([1, 2]),
        finding="Waits halve",
        alt="two points",
    )
    assert repr(figure) == "<Figure: Waits halve, 2 rows>"
    assert list(figure.table["wait, p99"]) == ["0.5 s", "0.25 s"]
    assert figure.frame["wait_p99_s"].sum() == 0.75
    assert figure.svg.startswith(b"<?xml")
    assert len(repr(Html("x" * 50_000))) < 40
