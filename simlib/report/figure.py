"""Figures with caption, alt text and the numbers behind them, all drawn in one style by one way.

A picture is an SVG in the page. There are two of them, a wide one and one for narrow screens, by the same drawing.
"""

import io
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogFormatterMathtext, NullFormatter

from simlib.common.text import code_point, visible
from simlib.report.html import safe
from simlib.report.inline_svg import inline_svg
from simlib.report.table import Columns, Table

INK, SOFT, FAINT, ACCENT = "#1f2933", "#52606d", "#9aa5b1", "#b44d12"
KIND_COLOURS = {
    "erased": "#7b2d26",
    "reverted": "#d9772b",
    "resurrected": "#e3b23c",
    "overtaken": "#3d6f9e",
    "suppressed": "#8aa5c0",
}
SITE_COLOURS = ("#1b4332", "#95d5b2", "#6a4c93", "#52b788", "#e9dff3", "#40916c")
STRATEGY_COLOURS = ("#0b5563", "#d6336c", "#7f5539", "#2a9d8f", "#9d4edd", "#495057")
"""One meaning a colour on a page; neighbours differ in luminance, which a test computes."""
NARROW = 3.6
"""Width in inches of the figure for narrow screens."""
FONT = "DejaVu Sans"
LONGEST_LINE = 160
LONGEST_NAME, LONGEST_ON_NARROW = 40, 16
LETTERS = 12
"""Of a legend, on an inch."""
LONGEST_LABEL, MOST_MARKS = 48, 4
"""On a narrow figure: characters in a line below or above it, and marks with words side by side."""
_DRAWN = ("axes.", "figure.", "font.", "legend.", "lines.", "patch.", "path.", "savefig.", "svg.", "text.", "xtick.", "ytick.")
_STYLE: Any = {
    # Not what a matplotlibrc says, which may be a stranger's: Matplotlib looks for it in the current folder.
    **{name: value for name, value in mpl.rcParamsDefault.items() if name.startswith(_DRAWN)},
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "font.family": FONT,
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


@dataclass(frozen=True, repr=False, eq=False)
class Figure:
    """A picture with what a reader needs who does not see it, or does not believe it.

    Attributes:
        frame: the numbers behind it, as they are; a row a mark or a bar.
        drawn: the Matplotlib figure.
        narrow: the same for narrow screens.
        caption: its finding, in a sentence.
        alt: what it shows, for who cannot see it.
        columns: what the table under it shows of the frame, and how.
    """

    frame: pd.DataFrame
    drawn: Canvas
    narrow: Canvas
    caption: str
    alt: str
    columns: Columns

    @cached_property
    def svg(self) -> bytes:
        """The picture, made when it is first asked for; the same bytes for the same figure."""
        return _saved(self.drawn)

    @property
    def table(self) -> Table:
        """The numbers, as the page shows them under the picture."""
        return Table(self.frame, self.columns)

    def __repr__(self) -> str:
        return f"<Figure: {visible(self.caption)}, {len(self.frame)} rows>"

    def _repr_html_(self) -> str:
        return (
            f"<figure>{inline_svg(_saved(self.drawn, 'none'), self.alt)}"
            f"{inline_svg(_saved(self.narrow, 'none'), self.alt, narrow=True)}"
            f"<figcaption>{safe(self.caption)}</figcaption>"
            f"<details><summary>The numbers</summary>{self.table._repr_html_()}</details></figure>"
        )


def _saved(drawn: Canvas, texts: str = "path") -> bytes:
    """As SVG, with its texts as shapes (`path`), or as texts (`none`)."""
    buffer = io.BytesIO()
    with mpl.rc_context({**_STYLE, "svg.fonttype": texts}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # too narrow for its names, and still readable
        drawn.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def draw(
    frame: pd.DataFrame,
    columns: Columns,
    size: tuple[float, float],
    drawing: Callable[[Canvas], None],
    *,
    finding: str,
    alt: str,
) -> Figure:
    """The one way to a figure; no global state is touched.

    Args:
        frame: the numbers.
        columns: how the table under the picture shows them.
        size: width and height in inches.
        drawing: draws on the canvas that it is given, once of that size, and once NARROW and as high.
        finding: the caption.
        alt: what the picture shows, for who cannot see it.

    Examples:
        >>> figure = draw(
        ...     pd.DataFrame({"wait_s": [0.5, 0.25]}),
        ...     {"wait": lambda row: f"{row['wait_s']} s"},
        ...     (2, 1),
        ...     lambda canvas: canvas.subplots().plot([0.5, 0.25]),
        ...     finding="Waits halve",
        ...     alt="A falling line",
        ... )
        >>> figure
        <Figure: Waits halve, 2 rows>
    """
    with mpl.rc_context(_STYLE):
        drawn, narrow = (Canvas(figsize=(width, size[1]), layout="constrained") for width in (size[0], min(NARROW, size[0])))
        for canvas, longest in ((drawn, LONGEST_NAME), (narrow, LONGEST_ON_NARROW)):
            drawing(canvas)
            _make_visible(canvas, longest)
        _fold(narrow)
    return Figure(frame, drawn, narrow, finding, alt, columns)


def legend_on_top(canvas: Canvas, handles: Sequence[Artist], names: Sequence[str]) -> None:
    """What the colours mean, above all panels, in as many columns as there is room for."""
    columns = int(canvas.get_figwidth() * LETTERS // (max(map(len, names), default=0) + 6))
    canvas.legend(handles, names, loc="outside upper center", ncols=max(1, min(6, columns)), frameon=False)


def _fold(narrow: Canvas) -> None:
    """What a narrow figure has no room for side by side stands one below the other: words of labels, and marks of an axis."""
    for axes in narrow.axes:
        grid = axes.get_subplotspec()
        room = LONGEST_LABEL // (grid.get_gridspec().ncols if grid else 1)
        axes.set_xlabel(textwrap.fill(axes.get_xlabel(), room))
        axes.set_title(textwrap.fill(axes.get_title(), room))
        if room < LONGEST_LABEL or len(axes.get_xticks()) > MOST_MARKS:
            axes.tick_params(axis="x", labelrotation=90)


def _make_visible(drawn: Canvas, longest: int) -> None:
    """Names in a picture as in a table; what the font has no picture of is named by its code point."""
    for text in drawn.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(_drawable(text.get_text(), LONGEST_LINE))
    ticks = {
        id(axis.major): axis for axes in reversed(drawn.axes) for axis in (axes.xaxis, axes.yaxis)
    }  # panels can share them
    for axis in ticks.values():
        if isinstance(axis.get_major_locator(), FixedLocator):  # its ticks have names
            axis.set_ticklabels([_drawable(label.get_text(), longest) for label in axis.get_ticklabels()])
        elif isinstance(axis.get_major_formatter(), LogFormatterMathtext):  # 10^-2 as a formula
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
            axis.set_minor_formatter(NullFormatter())


def _drawable(text: str, longest: int) -> str:
    lines = [visible(line, longest, LONGEST_NAME) for line in text.split("\n")]
    font = get_font(findfont(FontProperties(family=FONT)))
    return "\n".join("".join(sign if font.get_char_index(ord(sign)) else code_point(sign) for sign in line) for line in lines)
