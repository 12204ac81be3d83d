"""The figure of a comparison: paired differences with intervals on an axis whose zero is labelled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter

import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simlib.estimate.intervals import Difference, Interval
from simlib.estimate.result import estimate_columns
from simlib.estimate.wording import interval_text, points
from simlib.report.charts import ROW, named_rows
from simlib.report.figure import ACCENT, FAINT, INK, Figure, draw
from simlib.report.table import Columns, share


@dataclass(frozen=True)
class Quantity:
    """What differs.

    Attributes:
        of, all_of: what a row is of, one and many.
        axis: what is subtracted, with its unit.
        form: a difference as text.
    """

    of: str
    all_of: str
    axis: str
    form: Callable[[float], str] = points


def per_hundred(difference: float) -> str:
    """A difference of counts a unit of work, for a hundred of them, with its sign."""
    return points(difference).removesuffix(" pp")


RATES = Quantity("strategy", "strategies", "share of units of work that clobber, in percentage points")
FIELDS = Quantity("field", "fields", "clobbers per 100 units of work", per_hundred)
SITES = Quantity("write site", "write sites", "share of its transactions that clobber, in percentage points")
OUTCOMES = Quantity("outcome", "outcomes", "shares, in percentage points")


def told_apart(difference: Difference) -> bool:
    """Whether the interval leaves out zero."""
    interval = difference.interval()
    return interval is not None and not interval.low <= 0 <= interval.high


def differences(found: Mapping[str, Difference], what: Quantity) -> Figure:
    """A dot and a line a row; filled where the interval leaves out zero.

    The frame has a row each: its name, the estimates `one` and `other`, and `difference` with `_low` and `_high`.
    """
    frame = pd.DataFrame(
        {what.of: name, "one": each.rate.estimate, "other": each.baseline.estimate} | estimate_columns("difference", each)
        for name, each in found.items()
    )

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
        for row, each in enumerate(found.values()):
            colour = ACCENT if told_apart(each) else INK
            axes.plot(_interval(each), [row, row], color=colour, linewidth=1.4, solid_capstyle="butt")
            fill = colour if told_apart(each) else "white"
            axes.scatter([each.estimate], [row], s=34, color=fill, edgecolor=colour, zorder=3)
            axes.text(1.02, row, _text(each, what), va="center", transform=axes.get_yaxis_transform())
        named_rows(axes, list(found))
        ends = [0.0, *(end for each in found.values() for end in _interval(each))]
        room = 0.08 * (max(ends) - min(ends)) or 0.001
        axes.set_xlim(min(ends) - room, max(ends) + room)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
        axes.set_xlabel(f"A minus B, with 95 % interval: {what.axis}")

    columns: Columns = {
        what.of: itemgetter(what.of),
        "A": lambda row: what.form(row["one"]).lstrip("+"),
        "B": lambda row: what.form(row["other"]).lstrip("+"),
        "A minus B (95 %)": share("difference", what.form),
    }
    alt = f"Dots of A minus B around a line at zero, by {what.of}: " + "; ".join(
        f"{name} {_text(each, what)}" for name, each in found.items()
    )
    return draw(frame, columns, (8, 1.0 + ROW * len(found)), drawing, finding=_finding(found, what), alt=alt)


def _interval(difference: Difference) -> Interval:
    return difference.interval() or Interval(difference.estimate, difference.estimate)


def _text(difference: Difference, what: Quantity) -> str:
    return interval_text(difference.estimate, *(difference.interval() or (float("nan"), float("nan"))), what.form)


def _tick(value: float) -> str:
    return "0: no difference" if abs(value) < 1e-12 else f"{100 * value:+.3g}".replace("-", "−")


def _finding(found: Mapping[str, Difference], what: Quantity) -> str:
    told = {name: each for name, each in found.items() if told_apart(each)}
    if not told:
        return f"A and B cannot be told apart by any {what.of}."
    most = max(told, key=lambda name: abs(told[name].estimate))
    more = "more" if told[most].estimate > 0 else "fewer"
    if what is OUTCOMES:
        text = f"A has {more} {most} than B"
    else:
        text = (
            f"A has {more} clobbers than B at {most}" if what is not RATES else f"A clobbers in {more} units than B with {most}"
        )
    text += f": {_text(told[most], what)}"
    text += " per 100 units of work" if what is FIELDS else ""
    return f"{text}. {len(told)} of {len(found)} {what.all_of} are told apart." if len(found) > 1 else f"{text}."
