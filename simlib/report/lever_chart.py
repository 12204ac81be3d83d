"""The figure that answers "but our traffic is another": how each strategy's rate moves with three things about the workload."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from operator import itemgetter
from typing import Any

import pandas as pd
from matplotlib.figure import Figure as Canvas

from simlib.estimate.levers import Lever
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.wording import listed, percent, seconds
from simlib.report.figure import FAINT, Figure, draw
from simlib.report.html import Html, paragraphs
from simlib.report.sensitivity_charts import draw_rates, rate_axis, strategy_legend
from simlib.report.table import Columns, share
from simlib.sweep.pairs import against_order, compared, told
from simlib.sweep.sensitivity import RATE

MOST_NAMED = 3
"""Exceptions that a caption names."""


def lever_chart(result: Result, found: Sequence[Lever], results: Mapping[tuple[str, Fraction], Result]) -> Figure | Html:
    """Clobber rate of every strategy with a quarter to four times of each lever; the order of the strategies beside it.

    The frame has a row per lever, factor and strategy: `lever`, `factor`, `value` (as text), `strategy`, `best_rate` (`_low`,
    `_high`), `replicates`.

    Args:
        result: the workload as it is.
        found: its levers.
        results: what came of pulling them, as from `pull`.
    """
    frame = lever_frame(found, results)
    if frame.empty:
        return paragraphs(f"There was no {result.case.words.unit}, so there is nothing to show.")

    def drawing(canvas: Canvas) -> None:
        panels = canvas.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for panel, lever in zip(panels, found, strict=True):
            for number, name in enumerate(result.strategies):
                mine = frame[(frame["lever"] == lever.name) & (frame["strategy"] == name)]
                draw_rates(panel, mine["factor"].astype(float).to_numpy(), mine[RATE].to_numpy(float), number)
            panel.axvline(1, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
            panel.set_xscale("log")
            panel.set_xticks(
                [float(factor) for factor in lever.workloads], [value_text(lever, each) for each in lever.workloads]
            )
            panel.minorticks_off()
            panel.set_xlabel(lever.name)
            rate_axis(panel, frame)
        strategy_legend(canvas, result.strategies)

    columns: Columns = {
        "what": itemgetter("lever"),
        "value": itemgetter("value"),
        "strategy": itemgetter("strategy"),
        "clobber rate (95 %)": share("best_rate"),
    }
    finding = lever_finding(result, found, results)
    alt = f"Lines of the clobber rate of {listed(result.strategies)} against {listed([one.name for one in found])}. {finding}"
    return draw(frame, columns, (8.4, 3.4), drawing, finding=finding, alt=alt)


def lever_frame(found: Sequence[Lever], results: Mapping[tuple[str, Fraction], Result]) -> pd.DataFrame:
    """The rates that the figure shows; without those of which no unit of work was seen."""
    rows = [
        {"lever": lever.name, "factor": factor, "value": value_text(lever, factor), "strategy": name}
        | estimate_columns("best_rate", results[lever.name, factor].best_rate(name))
        | {"replicates": results[lever.name, factor].replicates}
        for lever in found
        for factor in lever.workloads
        for name in results[lever.name, factor].strategies
    ]
    return pd.DataFrame(rows).dropna(subset=RATE).reset_index(drop=True)


def lever_finding(result: Result, found: Sequence[Lever], results: Mapping[tuple[str, Fraction], Result]) -> str:
    """How far the level moves, and whether the order of the strategies at the workload's own values stays."""
    name = result.baseline
    moves = []
    for lever in found:
        ends = [min(lever.workloads), max(lever.workloads)]
        low, high = (percent(results[lever.name, end].best_rate(name).estimate) for end in ends)
        moves.append(f"{low} to {high} with {lever.name} from {value_text(lever, ends[0])} to {value_text(lever, ends[1])}")
    text = f"{_order(result, found, results)} {name} goes from {listed(moves)}."
    overloaded = [
        f"{lever.name} {value_text(lever, factor)}"
        for lever in found
        for factor in lever.workloads
        if factor != 1 and results[lever.name, factor].overloaded
    ]
    return f"{text} The lock is asked for more than it can give at {listed(overloaded)}." if overloaded else text


def _order(result: Result, found: Sequence[Lever], results: Mapping[tuple[str, Fraction], Result]) -> str:
    if len(result.strategies) < 2:
        return "The level moves."
    names = sorted(result.strategies, key=lambda name: -result.best_rate(name).estimate)
    points = [(lever, factor, results[lever.name, factor]) for lever in found for factor in lever.workloads]
    broken = [
        f"{lever.name} {value_text(lever, factor)} ({row['first']} and {row['second']})"
        for lever, factor, one in points
        for row in _against(names, one)
    ]
    if not broken:
        return "The level moves, the order of the strategies stays: nowhere are two of them told apart the other way round."
    more = f" and {len(broken) - MOST_NAMED} more" if len(broken) > MOST_NAMED else ""
    return (
        "The level moves, and so does the order of the strategies: two are the other way round at "
        f"{listed(broken[:MOST_NAMED])}{more}."
    )


def _against(names: Sequence[str], result: Result) -> list[Any]:
    """The pairs of strategies that are told apart against the order of `names`."""
    counted = {name: result.clobber_rate(name) for name in result.strategies}
    return against_order(names, told(pd.DataFrame(compared(counted, result.conditional)))).to_dict("records")


def value_text(lever: Lever, factor: Fraction) -> str:
    """The value of a lever at a factor, with its unit."""
    value = lever.value * float(factor)
    if lever.name.startswith("times."):
        return seconds(value)
    return f"{max(1, round(value)):,}" if lever.name.startswith("sessions.") else f"{value:.3g}/s"
