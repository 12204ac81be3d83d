"""By how much each strategy differs from what there is today: paired differences on an axis of their own."""

from collections.abc import Mapping
from operator import itemgetter

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simlib.estimate.intervals import Difference
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.wording import listed, percent, points, rate_text
from simlib.report.charts import ROW, named_rows
from simlib.report.comparison_charts import told_apart
from simlib.report.figure import ACCENT, FAINT, INK, Figure, draw
from simlib.report.html import Html
from simlib.report.table import Columns, share

SMALL, SMALL_PART = 0.01, 0.1
"""A difference is too small to matter if its whole interval is within a point, and within a tenth of today's rate."""


def margin(result: Result) -> float:
    """Below which a difference is too small to matter, as a share of units of work."""
    return min(SMALL, SMALL_PART * result.best_rate(result.baseline).estimate)


def difference_chart(result: Result) -> Figure | Html:
    """A dot and a line a strategy, and a band of what is too small to matter.

    The frame has a row each: `strategy`, `difference` (a share) with `_low` and `_high`, and `size` in words.
    """
    found = {name: each for name in result.strategies if (each := result.difference(name)) and each.interval()}
    if not found or not result.best_rate(result.baseline).exposures.any():
        return Html("")
    small = margin(result)
    words = {name: size(each, small) for name, each in found.items()}
    frame = pd.DataFrame(
        {"strategy": name, "size": words[name]} | estimate_columns("difference", each) for name, each in found.items()
    )

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        axes.axvspan(-small, small, color=FAINT, alpha=0.3, linewidth=0, zorder=0)
        axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
        for row, each in enumerate(found.values()):
            colour, ends = ACCENT if told_apart(each) else INK, each.interval() or (each.estimate, each.estimate)
            axes.plot(ends, [row, row], color=colour, linewidth=1.4, solid_capstyle="butt")
            axes.scatter(
                [each.estimate], [row], s=34, color=colour if told_apart(each) else "white", edgecolor=colour, zorder=3
            )
            axes.text(1.02, row, rate_text(each), va="center", transform=axes.get_yaxis_transform())
        named_rows(axes, list(found))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.set_xlabel(
            f"difference to {result.baseline} with 95 % interval, in percentage points; shaded: too small to matter"
        )

    finding = _finding(words, result, small)
    columns: Columns = {
        "strategy": itemgetter("strategy"),
        f"against {result.baseline} (95 %)": share("difference", points),
        "which is": itemgetter("size"),
    }
    texts = "; ".join(f"{name} {rate_text(each)}" for name, each in found.items())
    alt = f"Dots of the difference of each strategy to {result.baseline} around a line at zero: {texts}"
    return draw(frame, columns, (8, 1.0 + ROW * len(found)), drawing, finding=finding, alt=alt)


def size(difference: Difference, small: float) -> str:
    """What a difference is: `fewer`, `more`, `too small to matter`, or `not told apart`."""
    low, high = difference.interval() or (-1.0, 1.0)
    if -small <= low and high <= small:
        return "too small to matter"
    if low <= 0 <= high:
        return "not told apart"
    return "fewer" if high < 0 else "more"


def _tick(value: float) -> str:
    return "0: as today" if abs(value) < 1e-12 else f"{100 * value:+.3g}".replace("-", "−")


def _finding(words: Mapping[str, str], result: Result, small: float) -> str:
    parts = []
    for word, text in (
        ("fewer", "clobber fewer"),
        ("more", "clobber more"),
        ("not told apart", "cannot be told apart from it"),
        ("too small to matter", f"differ by too little to matter (less than {points(small).lstrip('+')})"),
    ):
        names = [name for name, each in words.items() if each == word]
        if names:
            parts.append(f"{listed(names)} {text if len(names) > 1 else _one(text)}")
    rate = percent(result.best_rate(result.baseline).estimate)
    return f"Against {result.baseline}, which clobbers {rate} of {result.case.words.units}: {'; '.join(parts)}."


def _one(text: str) -> str:
    first, _, rest = text.partition(" ")
    return f"{'can' if first == 'can' else first if first == 'cannot' else first + 's'} {rest}"
