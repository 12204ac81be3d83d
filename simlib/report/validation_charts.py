"""The figures of the validation report: predictions in, a `Figure` with caption, alt text and table out."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from simlib.estimate.wording import milliseconds, percent, span
from simlib.report.charts import ROW
from simlib.report.figure import ACCENT, FAINT, INK, Figure, draw
from simlib.report.table import Columns, Table, whole
from simlib.validate.scores import Condition, Validation, conditions_frame

TOLERANCE = 0.2
"""How far off a predicted median wait may be, as a share of what was observed."""
_COLOURS = (INK, ACCENT)
"""Of the fields of a race, in their order."""


def diagonal(conditions: Sequence[Condition]) -> Figure:
    """Observed rates (across) against predicted ones with their 95 % intervals (up); on the diagonal they agree."""

    def drawing(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for agrees, colour, label in ((True, INK, "inside the interval"), (False, ACCENT, "outside")):
            rows = [row for row in conditions if row.inside == agrees]
            if rows:
                observed, predicted, low, high = 100 * _columns(rows)
                # A predicted rate near 0 may lie outside a count's interval by less than one count.
                bars = np.maximum([predicted - low, high - predicted], 0.0)
                axes.errorbar(observed, predicted, bars, fmt="o", ms=4, lw=1, color=colour, label=label)
        top = 105 * max((max(row.high, row.observed) for row in conditions), default=0.01)
        _square(axes, top, "predicted, with 95 % interval, %")
        if conditions:
            axes.legend(frameon=False, loc="upper left")

    inside = sum(condition.inside for condition in conditions)
    finding = f"{inside} of {len(conditions)} observed clobber rates are inside the 95 % interval of their prediction."
    alt = f"Dots of predicted over observed clobber rates, with bars for the intervals, along a diagonal. {finding}"
    return draw(conditions_frame(conditions), CONDITION, (5.6, 4.8), drawing, finding=finding, alt=alt)


def driven(conditions: Sequence[Condition]) -> Figure:
    """Observed clobber rates (across) against those of the model when it is given the very arrivals and times (up)."""
    rows = [row for row in conditions if row.driven is not None]
    observed, modelled = 100 * np.array([[row.observed, row.driven] for row in rows], dtype=np.float64).reshape(-1, 2).T

    def drawing(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.scatter(observed, modelled, s=20, color=INK, zorder=2)
        _square(axes, 1.05 * max([*observed, *modelled, 1.0]), "model, same arrivals and times, %")

    error = Validation(tuple(rows)).driven_rmse
    bias = float((modelled - observed).mean()) if rows else float("nan")
    finding = (
        f"Given the very arrivals and times that were observed, the model is off by {error * 100:.2f} percentage points (root "
        f"mean square over {len(rows)} clobber rates; {bias:+.2f} on average). Nothing is taken off."
        if rows
        else "No store recording was given."
    )
    columns: Columns = {
        "source": itemgetter("source"),
        "strategy": itemgetter("rule"),
        "observed": lambda row: percent(row["observed"]),
        "model": lambda row: percent(row["driven"]),
        "units of work": whole("n"),
    }
    alt = f"Dots of modelled over observed clobber rates, along a diagonal. {finding}"
    return draw(conditions_frame(rows), columns, (5.6, 4.8), drawing, finding=finding, alt=alt)


def _square(axes: Axes, top: float, predicted: str) -> None:
    """Observed across, predicted up, both to `top` per cent, and the diagonal."""
    axes.plot([0, top], [0, top], color=FAINT, linewidth=0.8, zorder=0)
    axes.set(xlabel="observed clobber rate, %", ylabel=predicted, xlim=(0, top), ylim=(0, top))


def condition_table(conditions: Sequence[Condition]) -> Table:
    """The conditions, whatever their unit."""
    return Table(conditions_frame(conditions), CONDITION)


def races(sources: Sequence[tuple[str, Sequence[Condition]]]) -> Figure:
    """P(lost | offset): observed share of the held-out trials by range of the offset, over the predicted interval.

    Args:
        sources: title of each panel, and the conditions of one recording of gateway races.
    """
    lines = max(1, (len(sources) + 1) // 2)

    def drawing(canvas: Canvas) -> None:
        panels = canvas.subplots(lines, 2, sharey=True, squeeze=False).ravel()
        for axes, (title, conditions) in zip(panels, sources, strict=False):
            _race_panel(axes, conditions)
            axes.set_title(title)
        for axes in panels[len(sources) :]:
            axes.set_visible(False)
        if sources:
            canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)

    everything = [row for _, conditions in sources for row in conditions]
    idle = sum(len(rows) for _, conditions in sources for rows in _by_field(conditions).values() if not _lost(rows))
    sizes = [row.n for row in everything] or [0]
    finding = (
        f"{sum(row.inside for row in everything)} of {len(everything)} shares are inside their interval; {idle} of them are of "
        f"fields that the build's rules never lose, and test no fit. A share is of {min(sizes)} to {max(sizes)} trials, so "
        "that only a gross error would show."
    )
    alt = f"Panels of the share of lost patches by range of the offset, with bars for predicted intervals. {finding}"
    return draw(conditions_frame(everything), CONDITION, (9, 2.6 * lines), drawing, finding=finding, alt=alt)


def _race_panel(axes: Axes, conditions: Sequence[Condition]) -> None:
    for number, (name, rows) in enumerate(_by_field(conditions).items()):
        place = np.arange(len(rows)) + 0.12 * (2 * number - 1)
        observed, _, low, high = 100 * _columns(rows)
        colour = _COLOURS[number % len(_COLOURS)]
        axes.vlines(place, low, high, color=colour, linewidth=5, alpha=0.3)
        axes.scatter(place, observed, s=16, color=colour, zorder=3, label=f"observed {name}; bar: predicted interval")
        axes.set_xticks(
            range(len(rows)), [row.figure.split(", ")[1].removesuffix(" ms") for row in rows], rotation=35, fontsize=7
        )
    axes.set_ylim(-5, 105)
    axes.set_ylabel("lost, %")
    axes.set_xlabel("outside write sent so many ms after the request")


def _by_field(conditions: Sequence[Condition]) -> dict[str, list[Condition]]:
    fields: dict[str, list[Condition]] = {}
    for row in conditions:
        fields.setdefault(row.figure.split(",")[0].removeprefix("lost."), []).append(row)
    return fields


def _lost(rows: Sequence[Condition]) -> bool:
    """Whether anything is predicted to be lost."""
    return any(row.predicted > 0 for row in rows)


def medians(waits: Sequence[Condition]) -> Figure:
    """Median waits for the lock, observed and predicted, with the interval of the prediction."""

    def drawing(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for place, row in enumerate(waits):
            axes.plot([1000 * row.low, 1000 * row.high], [place, place], color=FAINT, linewidth=5, solid_capstyle="butt")
            axes.scatter([1000 * row.predicted], [place], s=60, color=INK, marker="|", zorder=2)
            axes.scatter([1000 * row.observed], [place], s=26, color=ACCENT if off(row) > TOLERANCE else INK, zorder=3)
        axes.set_yticks(range(len(waits)), [row.source for row in waits])
        axes.set_ylim(max(1, len(waits)) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("median wait for the lock, ms: observed (dot), predicted (line), 95 % interval (bar)")

    near = sum(off(row) <= TOLERANCE for row in waits)
    finding = f"{near} of {len(waits)} predicted median waits are within {100 * TOLERANCE:.0f} % of the observed ones."
    frame = conditions_frame(waits).assign(off=[off(row) for row in waits])
    columns: Columns = {**CONDITION, "off": lambda row: f"{100 * row['off']:.0f} %"}
    alt = f"Dots of observed median waits over predicted intervals. {finding}"
    return draw(frame, columns, (8, 1.0 + ROW * max(1, len(waits))), drawing, finding=finding, alt=alt)


def off(row: Condition) -> float:
    """How far the prediction is from the observation, as a share of it."""
    return abs(row.predicted - row.observed) / row.observed if row.observed else float(row.predicted > 0)


def _columns(rows: Sequence[Condition]) -> np.ndarray:
    """(4, n): observed, predicted, low, high."""
    return np.array([[row.observed, row.predicted, row.low, row.high] for row in rows]).T


def _shown(row: Mapping[str, Any], value: float) -> str:
    if not row["figure"].startswith("lock_wait"):
        return percent(value)
    return f"{1000 * value:.2f} ms" if value < 0.01 else milliseconds(value)


CONDITION: Columns = {
    "source": itemgetter("source"),
    "strategy": itemgetter("rule"),
    "figure": itemgetter("figure"),
    "observed": lambda row: _shown(row, row["observed"]),
    "predicted": lambda row: _shown(row, row["predicted"]),
    "95 % interval": lambda row: span(row["low"], row["high"], lambda value: _shown(row, value)),
    "inside": lambda row: "yes" if row["inside"] else "no",
    "of": whole("n"),
}
"""How a table shows the frame of some conditions."""
