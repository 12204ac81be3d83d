"""The figure of a guard against a lock over traffic: where the guard becomes worse, with the folk rule drawn in."""

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from simlib.estimate.crossover import FOLK_RULE, MEASURES, TOLERATED, Crossing, Crossover, Measure
from simlib.estimate.wording import interval_text, milliseconds, percent, points
from simlib.report.figure import ACCENT, FAINT, INK, SOFT, Figure, draw
from simlib.report.table import Columns, share

TITLES: Mapping[Measure, str] = {"failed": "units of work that fail", "p99": "p99 of the latency"}
LEAST = 1e-5
"""Shares below this are drawn at the foot of their axis."""


def crossover_chart(found: Crossover) -> Figure:
    """Failed units of work and p99 of both strategies against the guard's conflict rate, each crossing marked.

    The frame is the crossover's own.
    """
    frame = found.frame[found.frame["conflict_rate"] > 0]

    def drawing(canvas: Canvas) -> None:
        for panel, measure in zip(canvas.subplots(1, 2), MEASURES, strict=True):
            column, scale = {"failed": ("failed", 100.0), "p99": ("p99_s", 1000.0)}[measure]
            for who, colour in (("guard", ACCENT), ("lock", INK)):
                middle, *ends = (frame[f"{who}_{column}{end}"].clip(lower=LEAST) * scale for end in ("", "_low", "_high"))
                at = frame["conflict_rate"] * 100
                panel.plot(at, middle, color=colour, marker="o", markersize=3, linewidth=1.2, label=getattr(found, who))
                panel.fill_between(at, *ends, color=colour, alpha=0.15, linewidth=0)
            panel.set(xscale="log", yscale="log", title=TITLES[measure], xlabel="attempts that are rejected, %")
            panel.set_ylabel("% (none seen: at the foot)" if measure == "failed" else "milliseconds")
            panel.set_xlim(left=min(panel.get_xlim()[0], FOLK_RULE[0] * 100 / 3))
            _folk_rule(panel)
            _mark(panel, found.crossing(measure))
        panel.legend(loc="upper left", frameon=False)

    columns: Columns = {
        "traffic": lambda row: f"{row['load']:.3g} x",
        "conflict rate (95 %)": share("conflict_rate"),
        f"{found.guard}: failed": share("guard_failed"),
        f"{found.lock}: failed": share("lock_failed"),
        "difference": share("failed_difference", points),
        f"{found.guard}: p99": share("guard_p99_s", milliseconds),
        f"{found.lock}: p99": share("lock_p99_s", milliseconds),
        "longer by": share("p99_longer"),
        "stable": lambda row: "yes" if row["stable"] else "no",
    }
    finding = crossover_finding(found)
    alt = f"Lines of failed units and p99 of {found.guard} and {found.lock} against the conflict rate. {finding}"
    return draw(found.frame, columns, (8.4, 3.6), drawing, finding=finding, alt=alt)


def _folk_rule(panel: Axes) -> None:
    """The two conflict rates that people name."""
    for rate, text, side in zip(FOLK_RULE, ("optimistic", "locks"), ("right", "left"), strict=True):
        panel.axvline(rate * 100, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
        panel.text(rate * 100, 0.01, f" {text} ", transform=panel.get_xaxis_transform(), ha=side, color=SOFT, fontsize=7)


def _mark(panel: Axes, crossing: Crossing) -> None:
    """Where the guard becomes worse, if it does between the loads."""
    if 0 < crossing.estimate < math.inf:
        panel.axvline(crossing.estimate * 100, color=ACCENT, linewidth=1)
        low, high = (end * 100 for end in (crossing.low, crossing.high))
        left, right = panel.get_xlim()
        panel.axvspan(max(low, left), min(high, right), color=ACCENT, alpha=0.1, linewidth=0)
        panel.set_xlim(left, right)


def crossover_finding(found: Crossover) -> str:
    """At which conflict rates the guard becomes worse, in sentences."""
    says: Mapping[Measure, str] = {
        "failed": f"fails more units of work than {found.lock} by over {points(TOLERATED['failed']).removeprefix('+')}",
        "p99": f"has a p99 over {percent(TOLERATED['p99'])} longer",
    }
    parts = [f"{says[measure]} {_where(found, measure)}" for measure in MEASURES]
    low, high = map(percent, FOLK_RULE)
    return f"{found.guard} {' and '.join(parts)}; the folk rule says optimistic below {low}, locks above {high}."


def _where(found: Crossover, measure: Measure) -> str:
    crossing, rates = found.crossing(measure), found.frame["conflict_rate"]
    if crossing.estimate == 0:
        return f"already at the lowest load, where {percent(rates.iloc[0])} of its attempts are rejected"
    if crossing.estimate == math.inf:
        return f"nowhere up to {percent(rates[found.frame['stable']].max())} of conflicts"
    known = crossing.low > 0 and crossing.high < math.inf
    ends = (crossing.low, crossing.high) if known else (math.nan, math.nan)
    passing = "" if found.is_worse(measure).iloc[-1] else ", though not at the highest load"
    return f"from {interval_text(crossing.estimate, *ends)} of conflicts on{passing}"
