"""What a notebook shows and a report keeps: pieces of HTML, and figures with caption, alt text and the table behind them.

Everything that comes from a workload, a case or a recording is escaped here. A picture is an SVG inside an `img`, where
a browser runs no script and makes no request.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Canvas

from simlib.estimate.wording import listed

_NUMBER = re.compile(r"[+−]?[\d.,]+( (%|pp|ms|s|min|h))?")
INK, SOFT, FAINT, ACCENT = "#1f2933", "#52606d", "#9aa5b1", "#b44d12"
KIND_COLOURS = {
    "erased": "#7b2d26",
    "reverted": "#d9772b",
    "resurrected": "#e3b23c",
    "overtaken": "#3d6f9e",
    "suppressed": "#8aa5c0",
}
SITE_COLOURS = ("#3d6f9e", "#e3b23c", "#b44d12", "#6a994e", "#8e6c8a", "#4f5d75")
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "simlib",
}


Columns = Mapping[str, Callable[[Mapping[str, Any]], str]]
"""What a table shows of a frame: heading -> the text of a cell, given the row (column name -> number)."""


@dataclass(frozen=True, repr=False)
class Html:
    """A piece of a page, already escaped; notebooks display it."""

    text: str

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Html: {len(self.text):,} characters>"


@dataclass(frozen=True, repr=False, eq=False)
class Figure:
    """A picture with what a reader needs who does not see it, or does not believe it.

    Attributes:
        frame: the numbers behind it, as they are; a row a mark or a bar.
        drawn: the Matplotlib figure.
        caption: its finding, in a sentence.
        alt: what it shows, for who cannot see it.
        columns: what the table under it shows of the frame, and how.
    """

    frame: pd.DataFrame
    drawn: Canvas
    caption: str
    alt: str
    columns: Columns

    @cached_property
    def svg(self) -> bytes:
        """The picture, made when it is first asked for."""
        return to_svg(self.drawn)

    @property
    def table(self) -> pd.DataFrame:
        """The numbers as people read them."""
        return formatted(self.frame, self.columns)

    def __repr__(self) -> str:
        return f"<Figure: {self.caption}, {len(self.frame)} rows>"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.svg).decode("ascii")
        return (
            f'<figure><img src="data:image/svg+xml;base64,{data}" alt="{escape(self.alt)}">'
            f"<figcaption>{escape(self.caption)}</figcaption>"
            f"<details><summary>The numbers</summary>{table_html(self.table)}</details></figure>"
        )


def draw(
    frame: pd.DataFrame,
    columns: Columns,
    size: tuple[float, float],
    drawing: Callable[[Canvas], None],
    *,
    finding: str,
    alt: str,
) -> Figure:
    """The one way to a figure: numbers, how a table shows them, inches, and the function that draws on the canvas."""
    with canvas(*size) as drawn:
        drawing(drawn)
    return Figure(frame, drawn, finding, alt, columns)


def formatted(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The frame as texts, a column for each heading."""
    rows: list[Any] = frame.to_dict("records")
    return pd.DataFrame({heading: [form(row) for row in rows] for heading, form in columns.items()}, columns=[*columns])


@contextmanager
def canvas(width: float, height: float) -> Iterator[Canvas]:
    """A figure of that many inches in the house style; no global state is touched."""
    with mpl.rc_context(_STYLE):
        yield Canvas(figsize=(width, height), layout="constrained")


def to_svg(figure: Canvas) -> bytes:
    """The figure as SVG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def table_html(table: pd.DataFrame) -> str:
    """The table with every cell and header escaped; its index is not shown. Numbers are right-aligned."""
    head = "".join(f"<th scope='col'>{escape(str(name))}</th>" for name in table.columns)
    rows = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in table.itertuples(index=False))
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _cell(value: object) -> str:
    if isinstance(value, Html):
        return f"<td>{value.text}</td>"
    number = _NUMBER.fullmatch(str(value)) is not None
    return f"<td{' class=number' if number else ''}>{escape(str(value))}</td>"


def two_lines(text: str) -> Html:
    """`estimate (interval)` with the interval on a second line."""
    first, bracket, rest = text.partition(" (")
    return Html(escape(first) + (f"<br><small>{escape(rest.removesuffix(')'))}</small>" if bracket else ""))


def paragraphs(*texts: str) -> Html:
    """Plain sentences as paragraphs; `code` in backticks is set as code."""
    return Html("".join(f"<p>{marked(text)}</p>" for text in texts if text))


def coded(names: Sequence[str]) -> str:
    """`a`, `b` and `c`."""
    return listed([f"`{name}`" for name in names])


def bullets(texts: Sequence[str]) -> Html:
    """Plain sentences as a list."""
    return Html("<ul>" + "".join(f"<li>{marked(text)}</li>" for text in texts) + "</ul>")


def marked(text: str) -> str:
    """The text escaped, with `code` in backticks and **strong** words set as such."""
    return _between(_between(escape(text), "`", "code"), "**", "strong")


def _between(text: str, mark: str, tag: str) -> str:
    parts = text.split(mark)
    if len(parts) % 2 == 0:  # an unpaired mark stays as it is
        return text
    return "".join(f"<{tag}>{part}</{tag}>" if number % 2 else part for number, part in enumerate(parts))
