"""The figures of clobbers in the fix-impact report: a result in, a `Figure` with its frame, caption and alt text out."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simlib.case.case_file import WordsModel
from simlib.common.arrays import Floats, Ints
from simlib.estimate.intervals import Mean, Rate
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.wording import listed, percent, rate_text
from simlib.replay.counterfactual import Counterfactual
from simlib.replay.judging import KINDS
from simlib.report.figure import ACCENT, FAINT, INK, KIND_COLOURS, SITE_COLOURS, Figure, draw, legend_on_top
from simlib.report.table import Columns, share, whole

ROW = 0.36
"""Inches of height a row."""
PANELS = 5
"""As many stand beside each other; the others below."""


def clobber_rates(result: Result) -> Figure:
    """Clobber rate by strategy with intervals, a dot and a line each; the frame is the result's own."""
    frame, words = result.to_frame(), result.case.words
    names = result.strategies
    rates = [result.best_rate(name) for name in names]

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        for row, rate in enumerate(rates):
            _dot(axes, row, rate)
        axes.axvline(result.best_rate(result.baseline).estimate, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
        named_rows(axes, names)
        axes.set_xlabel(f"share of {words.units} in which a write clobbers at least one field, with 95 % interval")
        _percent_axis(axes, max((rate.interval() or (0, rate.estimate))[1] for rate in rates))

    columns: Columns = {
        "strategy": itemgetter("strategy"),
        f"clobbered {words.units}": whole("clobbered_units"),
        "of": whole("units"),
        "clobber rate (95 %)": share("best_rate"),
        "racing only (95 %)": share("racing_clobber_rate"),
    }
    alt = "Dot plot of clobber rates: " + "; ".join(
        f"{name} {rate_text(rate)}" for name, rate in zip(names, rates, strict=True)
    )
    return draw(frame, columns, (8, 0.9 + ROW * len(names)), drawing, finding=_rates_finding(result), alt=alt)


def _rates_finding(result: Result) -> str:
    rates = {name: result.best_rate(name).estimate for name in result.strategies}
    worst = max(rates, key=lambda name: rates[name])
    zero = [name for name, rate in rates.items() if rate == 0 and result.clean(name)]
    elsewhere = [name for name, rate in rates.items() if rate == 0 and not result.clean(name)]
    if rates[worst] > 0:
        finding = f"{worst} clobbers in {percent(rates[worst])} of {result.case.words.units}"
        finding += f"; no clobber was seen with {listed(zero)}." if zero else "; no strategy is free of clobbers."
    else:
        finding = f"There was no {result.case.words.unit}."
        if zero or elsewhere:
            finding = f"No clobber was seen with {listed(zero) if elsewhere else 'any strategy'}." if zero else ""
    if elsewhere:
        finding += f" With {listed(elsewhere)} no {result.case.words.unit} is clobbered, but other writes are."
        finding = finding.strip()
    if result.conditional:
        finding += f" Too few were seen to count {listed([*result.conditional])}: by conditional Monte Carlo."
    return finding


def by_field_and_kind(result: Result) -> Figure:
    """Clobbered fields per 1,000 units by field and kind, a panel for each strategy that clobbers.

    The frame has a row per strategy and field that it clobbers: `strategy`, `field`, `units`, and a count for each kind.
    """
    counts = {name: result.by_field(name) for name in result.strategies}
    shown = [name for name in result.strategies if counts[name].any()]
    units = {name: result.clobber_rate(name).exposures.sum() for name in shown}
    rows = np.flatnonzero(sum((counts[name].sum(axis=1) for name in shown), np.zeros(len(result.case.fields))))
    fields = [result.case.fields[row] for row in rows]
    across = min(PANELS, max(1, len(shown)))
    down = -(-max(1, len(shown)) // across)

    def drawing(figure: Canvas) -> None:
        panels = figure.subplots(down, across, sharey=True, sharex=True, squeeze=False).ravel()
        for axes in panels[max(1, len(shown)) :]:
            axes.set_visible(False)
        for axes, name in zip(panels, shown, strict=False):
            _stacked(
                axes, range(len(fields)), 1000 * counts[name][rows] / units[name], [KIND_COLOURS[kind] for kind in KINDS], 0.7
            )
            axes.set_title(name)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(left=False)
        panels[0].set_yticks(range(len(fields)), fields)
        panels[0].invert_yaxis()
        figure.supxlabel(f"clobbered fields per 1,000 {result.case.words.units}", fontsize=9)
        _legend(figure, KINDS, [KIND_COLOURS[kind] for kind in KINDS])

    frame = pd.DataFrame(
        [
            (name, result.case.fields[row], int(units[name]), *counts[name][row].tolist())
            for name in shown
            for row in rows
            if counts[name][row].any()
        ],
        columns=["strategy", "field", "units", *KINDS],
    )
    columns: Columns = {name: itemgetter(name) for name in ("strategy", "field")} | {kind: whole(kind) for kind in KINDS}
    finding = _fields_finding(result, counts[result.baseline])
    alt = f"Stacked bars of clobbered fields by field and kind for {listed(shown) or 'no strategy'}. {finding}"
    height = 1.3 + 0.24 * max(1, len(fields)) + (down - 1) * (0.5 + 0.2 * len(fields))
    return draw(frame, columns, (8, height), drawing, finding=finding, alt=alt)


def _fields_finding(result: Result, baseline: Ints) -> str:
    if not baseline.any():
        return f"With {result.baseline} no field was clobbered."
    worst, how = (int(index) for index in np.unravel_index(int(np.argmax(baseline)), baseline.shape))
    return (
        f"With {result.baseline} the largest share are {KINDS[how]} values of {result.case.fields[worst]}: "
        f"{percent(baseline[worst, how] / baseline.sum())} of {int(baseline.sum()):,}."
    )


def by_site(result: Result) -> Figure:
    """Clobbered fields per 1,000 units by the write site that did it.

    The frame has a row per strategy and site that was exercised: `strategy`, `site`, `transactions`, `clobbering_rate` (share
    of them, with `_low` and `_high`), `clobbered_fields`, `units`.
    """
    names = result.strategies
    counts = np.array([result.by_site(name) for name in names])
    units = np.array([result.clobber_rate(name).exposures.sum() for name in names])
    sites = np.flatnonzero(result.numbers(names[0])["transactions"].any(axis=0)).tolist()
    coloured = [number for number in sites if counts[:, number].any()]
    colours = [SITE_COLOURS[number % len(SITE_COLOURS)] for number in coloured]

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        totals = _stacked(axes, range(len(names)), 1000 * counts[:, coloured] / units[:, None], colours, 0.62)
        for row, total in enumerate(totals):
            axes.text(total, row, f"  {total:,.1f}" if total else "  0", va="center")
        named_rows(axes, names)
        axes.set_xlim(0, max(1e-9, float(totals.max())) * 1.1)
        axes.set_xlabel(f"clobbered fields per 1,000 {result.case.words.units}")
        _legend(figure, [result.case.sites[number] for number in coloured], colours)

    frame = pd.DataFrame(
        {
            "strategy": name,
            "site": result.case.sites[number],
            "transactions": int(rate.exposures.sum()),
            **estimate_columns("clobbering_rate", rate),
            "clobbered_fields": int(counts[row, number]),
            "units": int(units[row]),
        }
        for row, name in enumerate(names)
        for number in sites
        for rate in [result.site_rate(name, result.case.sites[number])]
    )
    columns: Columns = {
        "strategy": itemgetter("strategy"),
        "write site": itemgetter("site"),
        "transactions": whole("transactions"),
        "share that clobbers (95 %)": share("clobbering_rate"),
        "clobbered fields": whole("clobbered_fields"),
    }
    finding = _site_finding(result, counts)
    alt = f"Stacked bars of clobbered fields by write site for {listed(names)}. {finding}"
    return draw(frame, columns, (8, 1.2 + ROW * len(names)), drawing, finding=finding, alt=alt)


def _site_finding(result: Result, counts: Ints) -> str:
    """What the reader should see: which site does most of it, and what is left where some sites are fixed."""
    row = result.strategies.index(result.baseline)
    total = counts[row].sum()
    if not total:
        return f"With {result.baseline} no write site clobbers."
    worst = int(np.argmax(counts[row]))
    share = percent(counts[row, worst] / total)
    finding = f"With {result.baseline}, {share} of the clobbered fields come from {result.case.sites[worst]}"
    partly = [
        number
        for number, name in enumerate(result.strategies)
        if result.case.strategy(name).in_lock and counts[number].any() and name != result.baseline
    ]
    if partly:
        name = result.strategies[partly[0]]
        left = [site for site, count in zip(result.case.sites, counts[partly[0]], strict=True) if count]
        finding += f"; {name} leaves {listed(left)} as they were"
    return finding + "."


def counterfactual(counter: Counterfactual, words: WordsModel) -> Figure:
    """Clobber rate of every strategy on one recorded timeline; the frame is the counterfactual's own, with a bound."""
    names, rule = list(counter.clobbered), counter.recording.rule
    rates = [Rate(np.array([count]), np.array([counter.units])) for count in counter.clobbered.values()]
    bounds = pd.DataFrame([estimate_columns("clobber_rate", rate) for rate in rates])
    frame = counter.to_frame().assign(**{name: bounds[name] for name in ("clobber_rate_low", "clobber_rate_high")})
    shares = [count / counter.units for count in counter.clobbered.values()]

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        axes.barh(range(len(names)), shares, color=[ACCENT if name == rule else FAINT for name in names], height=0.62)
        for row, name in enumerate(names):
            ran = " (what the build ran)" if name == rule else ""
            axes.text(shares[row], row, f"  {rate_text(rates[row])}{ran}", va="center")
        named_rows(axes, names)
        axes.set_xlabel(f"share of the {counter.units:,} recorded {words.units} that clobber at least one field")
        _percent_axis(axes, max(shares))

    finding = (
        f"On the recorded timeline of build {counter.recording.build}, {rule} clobbered in {counter.clobbered[rule]:,} of "
        f"{counter.units:,} {words.units}; replay reproduces "
        + (f"all {counter.check.committed:,} committed entries exactly." if counter.check.exact else "it NOT exactly.")
    )
    columns: Columns = {
        "strategy": itemgetter("strategy"),
        f"clobbering {words.units}": whole("clobbered_units"),
        "of": whole("units"),
        "share": share("clobber_rate"),
        "clobbered fields": whole("clobbered_fields"),
        "lost writes": lambda row: f"{row['lost_writes']:,} of {row['writes']:,}",
    }
    alt = f"Bars of the share of recorded {words.units} that clobber: " + "; ".join(
        f"{name} {percent(share)}" for name, share in zip(names, shares, strict=True)
    )
    return draw(frame, columns, (8, 0.9 + ROW * len(names)), drawing, finding=finding, alt=alt)


# ---- pieces ------------------------------------------------------------------------------------------------------------------


def _stacked(axes: Axes, rows: Sequence[Any], widths: Floats, colours: Sequence[str], height: float) -> Floats:
    """Bars end to end, a column of `widths` (rows, parts) a colour; returns the ends."""
    left = np.zeros(len(rows))
    for width, colour in zip(widths.T, colours, strict=True):
        axes.barh(rows, width, left=left, color=colour, height=height)
        left += width
    return left


def _legend(figure: Canvas, names: Sequence[str], colours: Sequence[str]) -> None:
    legend_on_top(figure, [Patch(color=colour) for colour in colours], names)


def _dot(axes: Axes, row: int, rate: Mean) -> None:
    interval = rate.interval()
    if interval:
        axes.plot(interval, [row, row], color=INK, linewidth=1.4, solid_capstyle="butt")
    seen = rate.estimate > 0
    axes.scatter([rate.estimate], [row], s=34, color=INK if seen else "white", edgecolor=INK, zorder=3)
    axes.text(max(interval.high if interval else 0, rate.estimate), row, f"  {rate_text(rate)}", va="center")


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """A name for each row, the first one on top."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _percent_axis(axes: Axes, high: float) -> None:
    top = (high if high > 0 else 0.001) * 1.45  # room for the numbers beside the marks; there may be no number at all
    axes.set_xlim(-0.01 * top, top)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
