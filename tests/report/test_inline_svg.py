"""Figures as part of a page, against what a reader of either scheme has to see."""

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as Xml

import pandas as pd
import pytest

from simlib.report.figure import (
    ACCENT,
    FAINT,
    INK,
    KIND_COLOURS,
    NARROW,
    SITE_COLOURS,
    SOFT,
    STRATEGY_COLOURS,
    Figure,
    draw,
)
from simlib.report.inline_svg import DARK, PAGE, inline_svg, scheme_css

EVIL = '</svg><script>"'
PALETTES = {"kinds": tuple(KIND_COLOURS.values()), "sites": SITE_COLOURS, "strategies": STRATEGY_COLOURS}


def pictures(figure: Figure) -> list[Any]:
    """The SVGs of a figure's HTML, parsed as XML."""
    parts = [part.partition("</svg>")[0] for part in figure._repr_html_().split("<svg")[1:]]
    return [Xml.fromstring(f"<svg{part}</svg>".replace(" hidden", ' hidden=""')) for part in parts]  # noqa: S314 - drawn here


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["kinds", "sites"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_side_by_side_differ_in_luminance(name: str, scheme: str) -> None:
    colours = [colour if scheme == "light" else DARK[colour] for colour in PALETTES[name]]
    assert min(contrast(*pair) for pair in pairwise(colours)) > 1.4


def test_a_colour_has_one_meaning_on_a_page() -> None:
    used = [colour for palette in PALETTES.values() for colour in palette] + [INK, SOFT, FAINT, ACCENT, PAGE]
    assert len(used) == len(set(used))
    assert set(used) == set(DARK)


@pytest.mark.parametrize("colour", [INK, SOFT, ACCENT])
def test_text_is_legible_in_both_schemes(colour: str) -> None:
    assert contrast(colour, PAGE) >= 4.5
    assert contrast(DARK[colour], DARK[PAGE]) >= 4.5


@pytest.mark.parametrize("colour", [*KIND_COLOURS.values(), *SITE_COLOURS, *STRATEGY_COLOURS])
def test_marks_stand_out_from_a_dark_page(colour: str) -> None:
    assert contrast(DARK[colour], DARK[PAGE]) >= 3


@pytest.fixture(scope="module")
def figure() -> Figure:
    def drawing(canvas):
        axes = canvas.subplots()
        axes.barh([0], [1], color=SITE_COLOURS[0])
        axes.text(0, 0, EVIL)
        axes.set_yticks([0], ["a"])

    return draw(pd.DataFrame({"a": [1]}), {"a": lambda row: "1"}, (8, 2), drawing, finding=EVIL, alt=EVIL)


def test_names_are_no_markup_and_no_style_is_left(figure: Figure) -> None:
    text = figure._repr_html_()
    assert "<script" not in text
    assert "style=" not in text
    assert all(EVIL in "".join(one.itertext()) for one in pictures(figure))


def test_the_narrow_one_is_hidden_and_its_text_reads_on_a_phone(figure: Figure) -> None:
    """Nine points of a figure as wide as the screen: at 330 CSS pixels no less than ten of them."""
    wide, narrow = pictures(figure)
    assert "hidden" in narrow.attrib
    assert "hidden" not in wide.attrib
    sizes = [float(one.attrib["font-size"]) for one in narrow.iter("text")]
    assert sizes
    assert min(sizes) * 330 / (72 * NARROW) >= 10


def test_each_colour_has_a_class_whose_rule_stands_in_the_sheet(figure: Figure) -> None:
    assert f'class="f{SITE_COLOURS[0][1:]}"' in figure._repr_html_()
    assert f".f{SITE_COLOURS[0][1:]}{{fill:{DARK[SITE_COLOURS[0]]}}}" in scheme_css()


def test_what_is_drawn_stays_where_it_was() -> None:
    """Against a picture written by hand: numbers are cut to a tenth of a point, references and what they lead to stay."""
    given = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 10 20"><metadata/>'
        '<g id="axes_1"><path id="m1" d="M 1.26 2.0 L 3 4" style="fill: #1f2933; stroke-width: 0.8"/>'
        '<use xlink:href="#m1" x="1.25"/><text style="font: bold 9px \'DejaVu Sans\'">a &amp; b</text></g></svg>'
    )
    assert inline_svg(given.encode(), "x").partition(">")[2] == (
        '<path id="m1" d="M 1.3 2 L 3 4" fill="#1f2933" stroke-width="0.8" class="f1f2933"/><use href="#m1" x="1.2"/>'
        '<text font-size="9" font-weight="bold">a &amp; b</text></svg>'
    )
