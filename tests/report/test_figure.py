"""Figures: text is text in them, whatever it holds; the same input gives the same picture."""

import re

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from simlib.report.figure import Figure, draw


def named(*names: str) -> Figure:
    """A bar for each name, on a logarithmic axis, with the names as title, legend, label and ticks."""

    def drawing(canvas):
        axes = canvas.subplots()
        bars = axes.barh(range(len(names)), [10.0**number for number in range(len(names))])
        axes.set_yticks(range(len(names)), names)
        axes.set(xscale="log", title=names[0], xlabel=names[-1])
        axes.text(1, 0, names[0])
        axes.legend([bars], [names[0]])

    frame = pd.DataFrame({"name": names})
    return draw(frame, {"name": lambda row: row["name"]}, (8, 3), drawing, finding=f"{names[0]} wins.", alt=names[0])


def texts(figure: Figure) -> set[str]:
    figure.svg  # noqa: B018 - tick labels are made when it is drawn
    return {text.get_text() for text in figure.drawn.findobj(Text)}


def test_the_same_figure_gives_the_same_bytes():
    assert named("a", "b").svg == named("a", "b").svg


def test_a_matplotlibrc_changes_no_figure():
    before = named("a", "b").svg
    with mpl.rc_context({"axes.facecolor": "red", "text.usetex": True, "font.size": 30}):
        assert named("a", "b").svg == before


@pytest.mark.parametrize("name", ["$x^$", "$\\frac$", "a_$", "$x$ and $y$", "<script>", "a|b", "_hidden"])
def test_a_name_is_drawn_as_it_is(name, monkeypatch):
    monkeypatch.setattr(MathTextParser, "parse", lambda *_: pytest.fail("taken for a formula"))
    assert name in texts(named(name, "b"))


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("gpt\u202e4", "gpt[U+202E]4"),
        ("\x1b[31m", "[U+001B][31m"),
        ("x" * 20_000, f"{'x' * 27}…{'x' * 13}"),
        ("\u4e2d", "[U+4E2D]"),  # which the font does not have
    ],
)
def test_what_cannot_be_drawn_is_named_and_what_is_long_is_shortened(name, drawn):
    assert drawn in texts(named(name, "b"))


def test_panels_that_share_their_rows_keep_the_names():
    def drawing(canvas):
        left, _ = canvas.subplots(1, 2, sharey=True)
        left.set_yticks([0, 1], ["a\u202e", "b"])

    assert {"a[U+202E]", "b"} <= texts(draw(pd.DataFrame(), {}, (6, 2), drawing, finding="x", alt="x"))


def test_a_logarithmic_axis_and_a_minus_read_well_without_formulas():
    def drawing(canvas):
        left, right = canvas.subplots(1, 2)
        left.plot([0.001, 1000], [1, 2])
        left.set_xscale("log")
        right.plot([-2, 2], [1, 2])

    figure = draw(pd.DataFrame(), {}, (6, 2), drawing, finding="x", alt="x")
    shown = texts(figure)
    assert {"−2", "0.1", "1000"} <= shown
    assert not [text for text in shown if re.search(r"[$\\{]", text)]


def test_a_figure_as_plain_text_is_short_and_names_the_finding():
    figure = named("a", "b")
    assert repr(figure) == "<Figure: a wins., 2 rows>"
    assert list(figure.table.shown["name"]) == list(figure.frame["name"]) == ["a", "b"]
