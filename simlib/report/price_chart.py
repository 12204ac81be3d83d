"""The figure of what a fix costs: how long the lock is held and waited for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

from simlib.case.discipline import Discipline
from simlib.estimate.frontier import shows_price
from simlib.estimate.intervals import Difference
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.wording import milliseconds, percent, seconds
from simlib.report.charts import named_rows
from simlib.report.figure import ACCENT, FAINT, INK, Figure, draw
from simlib.report.table import Columns, whole

QUANTILES = ("p50", "p95", "p99")


def price(result: Result) -> Figure:
    """Lock wait and hold by timeline: strategies with equal disciplines share one.

    The frame has a row per timeline: `strategies` (names), the price columns of `Result.to_frame` (seconds), and `_low` and
    `_high` of both means.
    """
    groups: dict[Discipline, list[str]] = {}
    for name in result.strategies:
        groups.setdefault(result.case.strategy(name).discipline, []).append(name)
    frame = pd.DataFrame(
        {
            "strategies": group,
            **{key + "_s" * key.startswith(("wait", "hold")): value for key, value in result.price(group[0]).items()},
            **estimate_columns("hold_mean_s", result.mean_hold(group[0])),
            **estimate_columns("wait_mean_s", None if result.load(group[0]).overloaded else result.mean_wait(group[0])),
        }
        for group in groups.values()
    )

    def drawing(figure: Canvas) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, what, title in ((left, "hold", "lock held"), (right, "wait", "wait for the lock")):
            for row, times in enumerate(frame[[f"{what}_{which}_s" for which in QUANTILES]].to_numpy()):
                axes.plot(times * 1000, [row] * 3, color=FAINT, linewidth=1, zorder=1)
                for mark, colour, size in zip(times * 1000, (INK, ACCENT, ACCENT), (36, 24, 12), strict=True):
                    axes.scatter([mark], [row], s=size, color=colour, zorder=2)
            axes.set_title(f"{title}: {', '.join(QUANTILES)}")
            axes.set_xlabel("milliseconds")
            axes.set_xlim(left=0)
        named_rows(left, [_wrapped(group) for group in groups.values()])

    columns: Columns = {
        "strategies": lambda row: ", ".join(row["strategies"]),
        "mean hold (95 %)": _mean("hold_mean_s"),
        **{f"hold {which}": _milliseconds(f"hold_{which}_s") for which in QUANTILES},
        "mean wait (95 %)": _mean("wait_mean_s"),
        **{f"wait {which}": _milliseconds(f"wait_{which}_s") for which in QUANTILES},
        "utilisation": lambda row: percent(row["utilisation"]),
        "timeouts": whole("timeouts"),
    }
    finding = price_finding(result)
    alt = f"Dots of lock hold and lock wait for {len(groups)} timelines. {finding}"
    return draw(frame, columns, (8, 1.0 + 0.5 * len(groups)), drawing, finding=finding, alt=alt)


def price_finding(result: Result) -> str:
    """What computing in the lock costs, against the baseline, in a sentence; where locks differ, who holds longest."""
    if shows_price(result):
        return _longest(result)
    dearest = max(result.strategies, key=lambda name: len(result.case.strategy(name).in_lock))
    if result.case.strategy(dearest).in_lock == result.case.strategy(result.baseline).in_lock:
        hold_mean = milliseconds(result.mean_hold(result.baseline).estimate)
        return f"Every strategy here computes in the same place and costs the same: {hold_mean} of lock a transaction."
    hold = Difference(result.mean_hold(dearest), result.mean_hold(result.baseline))
    longer = (
        f"Computing in the lock ({dearest}) lengthens the mean hold by {milliseconds(hold.estimate)} to "
        f"{milliseconds(result.mean_hold(dearest).estimate)}"
    )
    if {dearest, result.baseline} & set(result.overloaded):
        return f"{longer}; the lock is asked for more than it can give, so waits cannot be compared."
    wait = Difference(result.mean_wait(dearest), result.mean_wait(result.baseline))
    return f"{longer} and changes the mean wait by {_change(wait)}."


def _longest(result: Result) -> str:
    holds = {name: result.mean_hold(name).estimate for name in result.strategies}
    longest = max((name for name in holds if holds[name] >= 0), key=lambda name: holds[name], default=result.baseline)
    text = f"Locks are held longest with {longest}, {seconds(holds[longest])} in the mean"
    return f"{text}." if longest == result.baseline else f"{text}; with {result.baseline} {seconds(holds[result.baseline])}."


def _change(difference: Difference) -> str:
    interval = difference.interval()
    if interval is None:
        return milliseconds(difference.estimate)
    return f"{difference.estimate * 1000:+.3f} ms (95 %: {interval.low * 1000:+.3f} to {interval.high * 1000:+.3f})".replace(
        "-", "−"
    )


def _milliseconds(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: milliseconds(row[name])


def _mean(name: str) -> Callable[[Mapping[str, Any]], str]:
    """A mean of seconds in milliseconds, with its interval if there is one."""

    def form(row: Mapping[str, Any]) -> str:
        if row[name] != row[name]:
            return "- (overloaded)"
        text, low, high = f"{row[name] * 1000:.2f} ms", row[f"{name}_low"], row[f"{name}_high"]
        return text if low != low else f"{text} ({low * 1000:.2f} to {high * 1000:.2f})"

    return form


def _wrapped(names: Sequence[str]) -> str:
    pairs = [", ".join(names[start : start + 2]) for start in range(0, len(names), 2)]
    return "\n".join(pairs)
