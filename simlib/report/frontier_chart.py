"""The figure of the price frontier: clobbered units of work against failed ones, and against latency, a point a strategy.

All axes are logarithmic. Where nothing was seen the point is hollow and stands at the upper bound, with a line to the axis, as
zero has no place on such an axis. A strategy that has no p99 (`frontier`) stands at the right edge.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from simlib.estimate.frontier import frontier, frontier_words
from simlib.estimate.result import Result
from simlib.estimate.wording import interval_text, seconds
from simlib.report.figure import ACCENT, FAINT, INK, SOFT, Figure, draw
from simlib.report.table import Columns, share

NEAR = 0.045
"""Points nearer than this share of both axes have one label."""
MOST_TICKS = 5
LETTER, LINE = 0.023, 0.045
"""How wide a letter of a label is, and how high its line, as shares of the axes."""


class Place(NamedTuple):
    """Where a number stands on a logarithmic axis: `mark`, from `low` to `high`; `low` is 0 where nothing was `seen`."""

    mark: float
    low: float
    high: float
    seen: bool


def frontier_chart(result: Result) -> Figure:
    """The frontier of a result with at least one unit of work; the frame is that of `frontier`, the most clobbers first.

    Strategies stand as numbers in the picture, and the key at its side says which is which.
    """
    frame = frontier(result).sort_values("best_rate", ascending=False, kind="stable").reset_index(drop=True)
    rows: list[Any] = frame.to_dict("records")
    clobbered, failed = ([_share_place(row, name) for row in rows] for name in ("best_rate", "failed_rate"))
    p99 = [Place(row["p99_s"], row["p99_s_low"], row["p99_s_high"], seen=True) for row in rows]
    units, base = result.case.words.units, float(frame.loc[frame["strategy"] == result.baseline, "p99_s"].iloc[0])

    def drawing(canvas: Canvas) -> None:
        left, right, key = canvas.subplots(1, 3, width_ratios=(1, 1, 0.62))
        for axes, costs, cost in ((left, failed, "failed"), (right, p99, "p99")):
            _scale(axes.set_xscale, axes.set_xlim, axes.set_xticks, costs, _percent if cost == "failed" else seconds)
            _scale(axes.set_yscale, axes.set_ylim, axes.set_yticks, clobbered, _percent)
            _points(axes, costs, clobbered, [not row[f"beaten_on_{cost}"] for row in rows])
        left.set_ylabel(f"clobbered {units}")
        left.set_xlabel(f"failed {units}")
        right.set_xlabel("latency p99, from request to commit")
        right.tick_params(labelleft=False)
        if math.isfinite(base):
            right.axvline(base, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
        _key(key, rows)

    columns: Columns = {
        "strategy": itemgetter("strategy"),
        f"clobbered {units} (95 %)": share("best_rate"),
        f"failed {units} (95 %)": share("failed_rate"),
        "latency p99 (95 %)": lambda row: f"- ({row['no_p99']})" if row["no_p99"] else _latency(row),
        f"beside {result.baseline}": lambda row: _added(row["added_p99_s"]),
        "beaten in clobbers and failures by": lambda row: row["beaten_on_failed"] or "none",
        "beaten in clobbers and p99 by": lambda row: row["beaten_on_p99"] or "none",
    }
    words = frontier_words(result)
    alt = f"Two scatter plots of clobbered {units}, against failed ones and against latency p99: " + "; ".join(
        f"{row['strategy']} {_told(row, 'best_rate')}, {_told(row, 'failed_rate')}, {columns['latency p99 (95 %)'](row)}"
        for row in rows
    )
    hollow = " A hollow point: none was seen, and it stands at the upper bound." if _any_hollow(clobbered, failed) else ""
    finding = f"{words} Strategies that nothing beats are coloured and joined.{hollow}"
    height = max(3.6, 0.9 + 0.18 * len(rows))
    return draw(frame, columns, (8, height), drawing, finding=finding, alt=alt)


def _share_place(row: Mapping[str, Any], name: str) -> Place:
    estimate, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if estimate == 0:
        return Place(high, 0.0, high, seen=False)
    return Place(estimate, estimate if low != low else low, estimate if high != high else high, seen=True)


def _any_hollow(*places: Sequence[Place]) -> bool:
    return any(not place.seen for several in places for place in several)


def _told(row: Mapping[str, Any], name: str) -> str:
    return interval_text(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _latency(row: Mapping[str, Any]) -> str:
    return interval_text(row["p99_s"], row["p99_s_low"], row["p99_s_high"], seconds)


def _added(value: float) -> str:
    if value != value:
        return "n/a"
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{seconds(abs(value))}"


def _percent(value: float) -> str:
    return f"{100 * value:.4g} %"


# ---- the axes ----------------------------------------------------------------------------------------------------------------


def _scale(
    set_scale: Callable[..., Any],
    set_limits: Callable[..., Any],
    set_ticks: Callable[..., Any],
    places: Sequence[Place],
    form: Callable[[float], str],
) -> None:
    """A logarithmic axis that has room for all that is finite, and some for what is not."""
    ends = [end for place in places for end in place[:3] if 0 < end < math.inf] or [1.0]
    low, high = min(ends), max(ends)
    room = max(1.45, (high / low) ** 0.09)
    low, high = low / room, high * room * (room if any(place.mark == math.inf for place in places) else 1)
    ticks = round_values(low, high)
    set_scale("log")
    set_limits(low, high)
    set_ticks(ticks, [form(tick) for tick in ticks])
    set_ticks([], minor=True)


def round_values(low: float, high: float) -> list[float]:
    """A few round values between two positive ones, for a logarithmic axis.

    >>> round_values(0.00003, 1), round_values(0.2, 3), round_values(11, 19)
    ([0.0001, 0.001, 0.01, 0.1, 1.0], [0.2, 0.5, 1.0, 2.0], [12.0, 14.0, 16.0, 18.0])
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        values = [float(f"{step}e{decade}") for decade in decades for step in steps]
        values = [value for value in values if low <= value <= high]
        if len(values) <= MOST_TICKS:
            break
    if len(values) > MOST_TICKS:
        return values[:: math.ceil(len(values) / MOST_TICKS)]
    if len(values) > 1:
        return values
    return [float(value) for value in MaxNLocator(MOST_TICKS - 1).tick_values(low, high) if low <= value <= high]


def _points(axes: Axes, across: Sequence[Place], up: Sequence[Place], unbeaten: Sequence[bool]) -> None:
    """Points with both intervals, the unbeaten ones on top and joined."""
    (left, right), (bottom, _) = axes.get_xlim(), axes.get_ylim()
    spots: list[tuple[float, float]] = []
    for x, y, best in zip(across, up, unbeaten, strict=True):
        colour, mark = ACCENT if best else SOFT, "o"
        spot = (x.mark, y.mark)
        if x.mark == math.inf:
            spot, mark = (right, y.mark), ">"
        else:
            axes.plot([x.low or left, x.high], [y.mark] * 2, color=colour, linewidth=0.9, zorder=2)
        axes.plot([spot[0]] * 2, [y.low or bottom, y.high], color=colour, linewidth=0.9, zorder=2)
        face = colour if x.seen and y.seen else "white"
        axes.scatter(*spot, s=30, marker=mark, color=face, edgecolor=colour, zorder=3 + best, clip_on=False)
        spots.append(spot)
    joined = sorted((y, x) for (x, y), best in zip(spots, unbeaten, strict=True) if best)
    axes.plot([x for _, x in joined], [y for y, _ in joined], color=ACCENT, linewidth=0.9, linestyle="--", zorder=1)
    _labels(axes, spots)


def _labels(axes: Axes, spots: Sequence[tuple[float, float]]) -> None:
    """The numbers of the points; those that lie together have one label, on the side where there is room."""
    into = axes.transAxes.inverted()
    there = [tuple(into.transform(axes.transData.transform(spot))) for spot in spots]
    groups: list[list[int]] = []
    for number, (x, y) in enumerate(there):
        if not math.isfinite(x + y):
            continue
        near = [group for group in groups if max(abs(x - there[group[0]][0]), abs(y - there[group[0]][1])) < NEAR]
        if near:
            near[0].append(number)
        else:
            groups.append([number])
    taken: list[tuple[float, float, float]] = []
    for group in groups:
        (x, y), text = there[group[0]], ranges([number + 1 for number in group])
        side, up = 1 if x < 0.5 else -1, 0
        left, right = sorted((x, x + side * LETTER * (len(text) + 2)))
        while any(left < end and begin < right and abs(y + up * LINE - at) < LINE for begin, end, at in taken):
            up += 1
        taken.append((left, right, y + up * LINE))
        axes.annotate(
            text,
            (x, y),
            (5 * side, 4 + 10 * up),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="left" if side == 1 else "right",
            va="bottom",
            fontsize=7.5,
            zorder=5,
            annotation_clip=False,
        )


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers as people write them.

    >>> ranges([1, 2, 3, 5, 8, 9])
    '1–3, 5, 8, 9'
    """
    runs = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) != 1) + 1)
    texts = [f"{run[0]}–{run[-1]}" if run.size > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts)


def _key(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Which number is which strategy; coloured if nothing beats it by either cost."""
    axes.set_axis_off()
    axes.set_ylim(max(len(rows), 17) - 0.5, -0.5)
    for number, row in enumerate(rows):
        best = not row["beaten_on_failed"] and not row["beaten_on_p99"]
        why = f" ({row['no_p99']})" if row["no_p99"] else ""
        text = f"{number + 1}  {row['strategy']}{why}"
        axes.text(0.05, number, text, fontsize=8, va="center", color=ACCENT if best else INK)
