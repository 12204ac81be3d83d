"""What a sweep says, in sentences: how far a rate moves, in which order the strategies stand, where a conclusion changes."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import pandas as pd

from simlib.common.text import counted
from simlib.estimate.wording import listed, percent
from simlib.report.html import coded
from simlib.report.sensitivity_charts import quantity
from simlib.sweep.pairs import ALIKE, FEWER, MORE, Order, Threshold, pair_table
from simlib.sweep.sensitivity import is_number, over

MOST_NAMED = 3
"""Cells that a sentence names."""
CHANCE = 0.025
"""How often two that are alike are told apart in one of the two directions."""


def moves(frame: pd.DataFrame, axis: str, strategy: str) -> str:
    """How far the rate of a strategy moves along an axis, the others averaged."""
    rows: list[Any] = over(frame[frame["strategy"] == strategy], [axis]).to_dict("records")
    if not any(row["best_rate"] for row in rows):
        bound = percent(max(row["best_rate_high"] for row in rows))
        if (loss := _any_loss(frame[frame["strategy"] == strategy])) > 0:
            text = f"`{strategy}` clobbers no unit of work at any value of `{axis}` (at most {bound})"
            return f"{text}, but it loses other writes: up to {percent(loss)} of all transactions clobber."
        return f"`{strategy}` shows no clobber at any value of `{axis}` (at most {bound})."
    if not is_number(frame[axis]):
        rows.sort(key=itemgetter("best_rate"))
    first, last = rows[0], rows[-1]
    ends = [f"{_rate(row)} at {quantity(row[axis])}" for row in (first, last)]
    text = f"Along `{axis}`, `{strategy}` goes from {ends[0]} to {ends[1]}"
    low, high = sorted((first["best_rate"], last["best_rate"]))
    return (
        text
        + (f", a factor of {quantity(float(f'{high / low:.2g}'))}" if low else "")
        + (", the others averaged." if first["cells"] > 1 else ".")
    )


def _any_loss(frame: pd.DataFrame) -> float:
    """The greatest share of transactions that clobber, in any cell; results of older versions do not tell."""
    return float(frame["any_loss"].max()) if "any_loss" in frame else 0.0


def _rate(row: Mapping[str, Any]) -> str:
    return percent(row["best_rate"]) if row["best_rate"] else f"none seen (at most {percent(row['best_rate_high'])})"


def matters(measures: pd.DataFrame, axes: Sequence[str]) -> str:
    """Which axis matters most; `axes` in the order of their importance."""
    if measures["importance"].isna().all():
        return "No rate changes over the cells, so no axis matters."
    size = measures.assign(size=measures["importance"].abs()).groupby("axis")["size"].mean()
    kind = measures["measure"].iloc[0]
    named = listed([f"{axis} ({size[axis]:.2f})" for axis in axes])
    return (
        f"By {kind}, averaged over the strategies: {named}."
        if len(axes) > 1
        else f"The {kind} of {axes[0]}: {size[axes[0]]:.2f}."
    )


def order_holds(order: Order, cells: pd.DataFrame, axes: Sequence[str]) -> str:
    """In how many cells the order holds, and in which it does not.

    Args:
        order: of the strategies.
        cells: the results, for the settings of a cell.
        axes: of the sweep.
    """
    names = f"{coded(order.names)} (most clobbers first)"
    if len(order.names) < 2:
        return ""
    text = f"The order {names} holds in {_of(order.holds, order.cells)}"
    if order.broken.empty:
        return f"{text}: nowhere are two of them told apart the other way round."
    rows: list[Any] = cells.drop_duplicates("cell").to_dict("records")
    settings = {row["cell"]: row for row in rows}
    named = [
        f"{_setting(settings[number], axes)} ({listed(_turned(order, broken))})"
        for number, broken in list(order.broken.groupby("cell", sort=False))[:MOST_NAMED]
    ]
    more = order.cells - order.holds - len(named)
    return f"{text}; not at {'; '.join(named)}{f'; and {more:,} more' if more else ''}."


def _turned(order: Order, broken: pd.DataFrame) -> list[str]:
    """Each comparison that came out the other way round."""
    pairs = [sorted(pair, key=order.names.index) for pair in zip(broken["first"], broken["second"], strict=True)]
    return [f"`{higher}` clobbers less than `{lower}`" for higher, lower in pairs]


def _setting(row: Mapping[str, Any], axes: Sequence[str]) -> str:
    return ", ".join(f"{axis}={quantity(row[axis])}" for axis in axes)


def not_told_apart(pairs: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """For each pair that cannot be told apart somewhere: in how many cells, and within which values of the axes."""
    sentences = []
    for row in pair_table(pairs).to_dict("records"):
        cells = pairs[(pairs["first"] == row["first"]) & (pairs["second"] == row["second"])]
        alike = cells[cells["told"] == ALIKE]
        if alike.empty:
            continue
        text = f"`{row['first']}` and `{row['second']}` cannot be told apart in {_of(len(alike), len(cells))}"
        inside = [
            f"`{axis}` {quantity(alike[axis].min())} to {quantity(alike[axis].max())}"
            for axis in axes
            if is_number(cells[axis]) and (alike[axis].min() > cells[axis].min() or alike[axis].max() < cells[axis].max())
        ]
        sentences.append(f"{text}{', all within ' if inside else ''}{listed(inside) if inside else ''}.")
    return sentences


_SAYS = {
    ALIKE: "cannot be told apart",
    MORE: "`{first}` clobbers more than `{second}`",
    FEWER: "`{first}` clobbers less than `{second}`",
}


def changes(found: Threshold) -> str:
    """Where the comparison of two strategies changes along an axis."""
    (right_below, below), (right_above, above) = found.agree
    sides = []
    for state, right, of in ((found.before, right_below, below), (found.after, right_above, above)):
        says = _SAYS[state].format(first=found.first, second=found.second)
        if state == ALIKE:
            says = f"`{found.first}` and `{found.second}` {says}"
        sides.append(f"{says} ({right:,} of {counted(of, 'cell')})")
    return f"Up to {quantity(found.below)} of `{found.axis}`, {sides[0]}; from {quantity(found.above)} on, {sides[1]}."


def by_chance(pairs: pd.DataFrame) -> str:
    """What the comparisons, each at 95 %, may get wrong."""
    cells = int(pairs["cell"].nunique())
    return (
        f"Two strategies count as told apart in a cell where the 95 % interval of their paired difference excludes zero. There "
        f"are {len(pairs):,} such comparisons and nothing is corrected for that: two that are truly alike would still stand "
        f"in the wrong order in some {CHANCE * cells:.2g} of {counted(cells, 'cell')}. "
        "More replicates would tell more of them apart."
    )


def _of(some: int, every: int) -> str:
    cells = counted(every, "cell")
    return f"all {cells}" if some == every and every > 1 else f"{some:,} of {cells}"
