"""The figures of the sensitivity report: a sweep's results in, a `Figure` with its frame, caption and alt text out."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from simlib.estimate.wording import listed, percent
from simlib.report.charts import ROW, named_rows
from simlib.report.figure import INK, SOFT, STRATEGY_COLOURS, Figure, draw, legend_on_top
from simlib.report.table import Columns, share
from simlib.sweep.sensitivity import RATE, is_number, over, strategies_of

MARKS = "osD^vP"
LEAST = 1e-6
"""The lowest rate that is told from the foot of a logarithmic axis."""
WIDE = 8.0
"""Greatest over least value of an axis from which on it is drawn logarithmic."""
PANELS = 3
"""Side by side."""


def against_axes(frame: pd.DataFrame, axes: Sequence[str], finding: str) -> Figure:
    """The rate of every strategy against each axis, averaged over the others, with 95 % bands; an open mark is a bound.

    The frame has the rows of `over` for each axis, with `axis` and `value` (as text).
    """
    tables = {axis: over(frame, [axis]) for axis in axes}
    long = [table.rename(columns={axis: "value"}).assign(axis=axis) for axis, table in tables.items()]
    numbers = pd.concat([table.assign(value=table["value"].map(quantity)) for table in long], ignore_index=True)

    def drawing(canvas: Canvas) -> None:
        for panel, axis in zip(_panels(canvas, len(axes)), axes, strict=True):
            for name in strategies_of(frame):
                _line(panel, tables[axis][tables[axis]["strategy"] == name], axis, strategies_of(frame).index(name))
            _value_axis(panel, tables[axis][axis].drop_duplicates())
            panel.set_xlabel(axis)
            rate_axis(panel, numbers)
        strategy_legend(canvas, strategies_of(frame))

    columns: Columns = {
        "axis": itemgetter("axis"),
        "value": itemgetter("value"),
        "strategy": itemgetter("strategy"),
        "clobber rate, average (95 %)": share("best_rate"),
        "least of a cell": lambda row: percent(row["least"]),
        "greatest": lambda row: percent(row["greatest"]),
    }
    alt = f"Lines of the clobber rate of {listed(strategies_of(frame))} against {listed(list(axes))}, with bands. {finding}"
    rows = -(-len(axes) // PANELS)
    return draw(numbers, columns, (8.4, 0.5 + 3.0 * rows), drawing, finding=finding, alt=alt)


def heat_maps(frame: pd.DataFrame, across: str, up: str, finding: str) -> Figure:
    """The rate of every strategy over two axes, averaged over the others, in one colour scale; `≤` marks a bound.

    The frame is that of `over`.
    """
    table, names = over(frame, [across, up]), strategies_of(frame)
    shown = table["best_rate"].where(table["best_rate"] > 0, table["best_rate_high"]).clip(lower=LEAST)
    scale = LogNorm(float(shown.min()), max(float(shown.max()), float(shown.min()) * 1.01))
    values = [list(dict.fromkeys(table[axis].sort_values())) for axis in (across, up)]

    def drawing(canvas: Canvas) -> None:
        panels = _panels(canvas, len(names))
        for panel, name in zip(panels, names, strict=True):
            mine = table[table["strategy"] == name]
            grid = np.full((len(values[1]), len(values[0])), np.nan)
            for row, rate in zip(mine.to_dict("records"), shown[mine.index], strict=True):
                place = values[1].index(row[up]), values[0].index(row[across])
                grid[place] = rate
                if row["best_rate"] == 0:
                    panel.text(place[1] + 0.5, place[0] + 0.5, "≤", ha="center", va="center", fontsize=7, color=INK)
            mesh = panel.pcolormesh(grid, norm=scale, cmap=colormaps["YlOrBr"])
            _ticks(panel, values)
            panel.set_title(name)
        canvas.supxlabel(across, fontsize=9)
        canvas.supylabel(up, fontsize=9)
        bar = canvas.colorbar(mesh, ax=panels, shrink=0.8)
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        bar.ax.yaxis.set_minor_formatter(lambda *_: "")

    columns: Columns = {
        "strategy": itemgetter("strategy"),
        across: lambda row: quantity(row[across]),
        up: lambda row: quantity(row[up]),
        "clobber rate (95 %)": share("best_rate"),
    }
    alt = f"Heat maps of the clobber rate over {across} and {up} for {listed(names)}. {finding}"
    rows = -(-len(names) // PANELS)
    return draw(table, columns, (8.4, 0.6 + 2.4 * rows), drawing, finding=finding, alt=alt)


def importance(measures: pd.DataFrame, finding: str) -> Figure:
    """How much each axis matters for each strategy: a dot with its 95 % interval; an open one is what the axis does alone.

    The frame is that of `rank_measures` or `sobol_measures`.
    """
    axes, names = list(dict.fromkeys(measures["axis"])), list(dict.fromkeys(measures["strategy"]))
    alone = "alone" in measures

    def drawing(canvas: Canvas) -> None:
        panels = canvas.subplots(1, len(axes), sharey=True, sharex=True, squeeze=False)[0]
        for panel, axis in zip(panels, axes, strict=True):
            for row in measures[measures["axis"] == axis].to_dict("records"):
                place = names.index(row["strategy"])
                panel.plot([row["importance_low"], row["importance_high"]], [place, place], color=INK, linewidth=1.4)
                panel.scatter([row["importance"]], [place], s=30, color=INK, zorder=3)
                if alone:
                    panel.scatter([row["alone"]], [place], s=30, color="white", edgecolor=INK, zorder=2)
            panel.axvline(0, color=SOFT, linewidth=0.6, zorder=0)
            panel.set_title(axis)
            panel.tick_params(left=False)
        named_rows(panels[0], names)
        canvas.supxlabel(f"{measures['measure'].iloc[0]}, with 95 % interval", fontsize=9)

    columns: Columns = {
        "axis": itemgetter("axis"),
        "strategy": itemgetter("strategy"),
        "measure": itemgetter("measure"),
        "with all others (95 %)" if alone else "value (95 %)": share("importance", _plain),
        **({"alone (95 %)": share("alone", _plain)} if alone else {}),
    }
    alt = f"Dots of how much {listed(axes)} matter for {listed(names)}. {finding}"
    return draw(measures, columns, (8.4, 1.1 + ROW * len(names)), drawing, finding=finding, alt=alt)


# ---- pieces ------------------------------------------------------------------------------------------------------------------


def quantity(value: object) -> str:
    """A value of an axis as people read it."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _plain(value: float) -> str:
    return f"{value:.2f}".replace("-", "−") if value == value else "n/a"


def _panels(canvas: Canvas, count: int) -> list[Axes]:
    """So many panels, PANELS a row, that share their rates."""
    rows = -(-count // PANELS)
    panels = canvas.subplots(rows, min(count, PANELS), sharey=True, squeeze=False).ravel()
    for panel in panels[count:]:
        panel.set_visible(False)
    return list(panels[:count])


def _line(panel: Axes, table: pd.DataFrame, axis: str, number: int) -> None:
    """A strategy's rates along an axis: a line with its band; where nothing was seen an open mark at the bound."""
    places = np.arange(len(table)) if not is_number(table[axis]) else table[axis].to_numpy(float)
    draw_rates(panel, places, table[RATE].to_numpy(float), number)


def draw_rates(panel: Axes, places: Any, rates: Any, number: int) -> None:
    """The `number`-th strategy's rates (values, 3: with low and high) at these places; a zero is an open mark at its bound."""
    colour, seen = STRATEGY_COLOURS[number % len(STRATEGY_COLOURS)], rates[:, 0] > 0
    shown = np.where(seen, rates[:, 0], rates[:, 2])
    panel.plot(places, shown, color=colour, linewidth=1.2, linestyle="-" if seen.any() else ":")
    panel.fill_between(places, np.where(seen, rates[:, 1], np.nan), rates[:, 2], color=colour, alpha=0.2, linewidth=0)
    for mask, fill in ((seen, colour), (~seen, "white")):
        panel.scatter(
            places[mask], shown[mask], s=16, marker=MARKS[number % len(MARKS)], color=fill, edgecolor=colour, zorder=3
        )


def _value_axis(panel: Axes, values: "pd.Series[Any]") -> None:
    if not is_number(values):
        panel.set_xticks(range(len(values)), [str(value) for value in values])
    elif values.min() > 0 and values.max() / values.min() >= WIDE:
        panel.set_xscale("log")


def rate_axis(panel: Axes, rates: pd.DataFrame) -> None:
    """Rates on a logarithmic axis in per cent, down to LEAST."""
    low = rates["best_rate"].where(rates["best_rate"] > 0, rates["best_rate_high"]).clip(lower=LEAST).min()
    panel.set_yscale("log")
    panel.set_ylim(low / 2, min(1.0, 1.5 * float(rates["best_rate_high"].max())))
    panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
    panel.yaxis.set_minor_formatter(lambda *_: "")


def strategy_legend(canvas: Canvas, names: Sequence[str]) -> None:
    """The strategies with their colours and marks, on top."""
    lines = [
        Line2D([], [], color=STRATEGY_COLOURS[number % len(STRATEGY_COLOURS)], marker=MARKS[number % len(MARKS)], markersize=4)
        for number in range(len(names))
    ]
    legend_on_top(canvas, lines, names)


def _ticks(panel: Axes, values: Sequence[Sequence[object]]) -> None:
    """At most five of the values named along each axis."""
    for axis, of in zip((panel.xaxis, panel.yaxis), values, strict=True):
        places = sorted({round(place) for place in np.linspace(0, len(of) - 1, min(5, len(of)))})
        axis.set_ticks([place + 0.5 for place in places], labels=[quantity(of[place]) for place in places])
