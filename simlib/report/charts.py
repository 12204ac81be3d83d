"""The figures of the fix-impact report: a result in, a `Figure` with caption, alt text and table out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from simlib.common.arrays import Ints
from simlib.estimate.intervals import Difference, Mean, Rate
from simlib.estimate.result import Result
from simlib.estimate.wording import listed, milliseconds, percent, rate_text
from simlib.replay.counterfactual import Counterfactual
from simlib.replay.replay import KINDS
from simlib.report.html import ACCENT, FAINT, INK, KIND_COLOURS, SITE_COLOURS, Figure, canvas, to_svg

ROW = 0.36
"""Inches of height a row."""


def clobber_rates(result: Result) -> Figure:
    """Clobber rate by strategy with intervals, a dot and a line each."""
    names = result.strategies
    rates = [result.best_rate(name) for name in names]
    with canvas(8, 0.9 + ROW * len(names)) as figure:
        axes = figure.subplots()
        for row, rate in enumerate(rates):
            _dot(axes, row, rate)
        axes.axvline(result.best_rate(result.baseline).estimate, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
        _rows(axes, names)
        axes.set_xlabel("share of agent units in which a write clobbers at least one field, with 95 % interval")
        _percent_axis(axes, max((rate.interval() or (0, rate.estimate))[1] for rate in rates))
        svg = to_svg(figure)
    worst = max(range(len(names)), key=lambda row: rates[row].estimate)
    zero = [name for name, rate in zip(names, rates, strict=True) if rate.estimate == 0]
    if rates[worst].estimate > 0:
        finding = f"{names[worst]} clobbers in {percent(rates[worst].estimate)} of units"
        finding += f"; no clobber was seen with {listed(zero)}." if zero else "; no strategy is free of clobbers."
    else:
        finding = "No clobber was seen with any strategy." if zero else "There was no agent turn."
    if result.conditional:
        finding += f" Too few were seen to count {listed([*result.conditional])}: by conditional Monte Carlo."
    table = pd.DataFrame(
        {
            "strategy": names,
            "clobbered units": [f"{int(result.clobber_rate(name).totals.sum()):,}" for name in names],
            "of units": [f"{int(rate.exposures.sum()):,}" for rate in rates],
            "clobber rate (95 %)": [rate_text(rate) for rate in rates],
            "racing only (95 %)": [rate_text(result.racing_rate(name)) for name in names],
        }
    )
    alt = "Dot plot of clobber rates: " + "; ".join(
        f"{name} {rate_text(rate)}" for name, rate in zip(names, rates, strict=True)
    )
    return Figure(svg, finding, alt, table)


def by_field_and_kind(result: Result) -> Figure:
    """Clobbered fields per 1,000 units by field and kind, a panel for each strategy that clobbers."""
    counts = {name: result.by_field(name) for name in result.strategies}
    shown = [name for name in result.strategies if counts[name].any()]
    units = {name: result.clobber_rate(name).exposures.sum() for name in shown}
    rows = np.flatnonzero(sum((counts[name].sum(axis=1) for name in shown), np.zeros(len(result.case.fields))))
    fields = [result.case.fields[row] for row in rows]
    with canvas(8, 1.3 + 0.24 * max(1, len(fields))) as figure:
        panels = figure.subplots(1, max(1, len(shown)), sharey=True, sharex=True, squeeze=False)[0]
        for axes, name in zip(panels, shown, strict=False):
            left = np.zeros(len(fields))
            for number, kind in enumerate(KINDS):
                width = 1000 * counts[name][rows, number] / units[name]
                axes.barh(fields, width, left=left, color=KIND_COLOURS[kind], height=0.7)
                left += width
            axes.set_title(name)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(left=False)
        panels[0].invert_yaxis()
        figure.supxlabel("clobbered fields per 1,000 units", fontsize=9)
        handles = [Patch(color=KIND_COLOURS[kind]) for kind in KINDS]
        figure.legend(handles, KINDS, loc="outside upper center", ncols=len(KINDS), frameon=False)
        svg = to_svg(figure)
    table = pd.DataFrame(
        [
            (name, result.case.fields[row], *(f"{int(count):,}" for count in counts[name][row]))
            for name in shown
            for row in rows
            if counts[name][row].any()
        ],
        columns=["strategy", "field", *KINDS],
    )
    baseline = counts[result.baseline]
    if baseline.any():
        worst, how = (int(index) for index in np.unravel_index(int(np.argmax(baseline)), baseline.shape))
        finding = (
            f"With {result.baseline} the largest share are {KINDS[how]} values of {result.case.fields[worst]}: "
            f"{percent(baseline[worst, how] / baseline.sum())} of {int(baseline.sum()):,}."
        )
    else:
        finding = f"With {result.baseline} no field was clobbered."
    return Figure(
        svg,
        finding,
        f"Stacked bars of clobbered fields by field and kind for {listed(shown) or 'no strategy'}. {finding}",
        table,
    )


def by_site(result: Result) -> Figure:
    """Clobbered fields per 1,000 units by the write site that did it."""
    names = result.strategies
    counts = np.array([result.by_site(name) for name in names])
    units = np.array([result.clobber_rate(name).exposures.sum() for name in names])
    sites = np.flatnonzero(result.numbers(names[0])["transactions"].any(axis=0)).tolist()
    coloured = [number for number in sites if counts[:, number].any()]
    with canvas(8, 1.2 + ROW * len(names)) as figure:
        axes = figure.subplots()
        left = np.zeros(len(names))
        for number in coloured:
            width = 1000 * counts[:, number] / units
            colour = SITE_COLOURS[number % len(SITE_COLOURS)]
            axes.barh(range(len(names)), width, left=left, color=colour, height=0.62)
            left += width
        for row, total in enumerate(left):
            axes.text(total, row, f"  {total:,.1f}" if total else "  0", va="center")
        _rows(axes, names)
        axes.set_xlim(0, max(1e-9, float(left.max())) * 1.1)
        axes.set_xlabel("clobbered fields per 1,000 units")
        handles = [Patch(color=SITE_COLOURS[number % len(SITE_COLOURS)]) for number in coloured]
        figure.legend(
            handles, [result.case.sites[number] for number in coloured], loc="outside upper center", ncols=6, frameon=False
        )
        svg = to_svg(figure)
    table = pd.DataFrame(
        [
            (
                name,
                result.case.sites[number],
                f"{int(result.site_rate(name, result.case.sites[number]).exposures.sum()):,}",
                rate_text(result.site_rate(name, result.case.sites[number])),
                f"{int(counts[row, number]):,}",
            )
            for row, name in enumerate(names)
            for number in sites
        ],
        columns=["strategy", "write site", "transactions", "share that clobbers (95 %)", "clobbered fields"],
    )
    finding = _site_finding(result, counts)
    alt = f"Stacked bars of clobbered fields by write site for {listed(names)}. {finding}"
    return Figure(svg, finding, alt, table)


def _site_finding(result: Result, counts: Ints) -> str:
    """What the reader should see: which site does most of it, and what is left when the handler is fixed."""
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


def price(result: Result) -> Figure:
    """Lock wait and hold by timeline: strategies that compute in the same place share one."""
    groups: dict[frozenset[str], list[str]] = {}
    for name in result.strategies:
        groups.setdefault(result.case.strategy(name).in_lock, []).append(name)
    labels = [_wrapped(group) for group in groups.values()]
    prices = [result.price(group[0]) for group in groups.values()]
    with canvas(8, 1.0 + 0.5 * len(groups)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, what, title in ((left, "hold", "lock held"), (right, "wait", "wait for the lock")):
            for row, values in enumerate(prices):
                marks = [values[f"{what}_p{share}"] * 1000 for share in (50, 95, 99)]
                axes.plot(marks, [row] * 3, color=FAINT, linewidth=1, zorder=1)
                for mark, colour, size in zip(marks, (INK, ACCENT, ACCENT), (36, 24, 12), strict=True):
                    axes.scatter([mark], [row], s=size, color=colour, zorder=2)
            axes.set_title(f"{title}: p50, p95, p99")
            axes.set_xlabel("milliseconds")
            axes.set_xlim(left=0)
        _rows(left, labels)
        svg = to_svg(figure)
    rows = []
    for group, values in zip(groups.values(), prices, strict=True):
        hold, wait = result.mean_hold(group[0]), result.mean_wait(group[0])
        rows.append(
            (
                ", ".join(group),
                _mean_text(hold),
                *(milliseconds(values[f"hold_p{share}"]) for share in (50, 95, 99)),
                _mean_text(wait),
                *(milliseconds(values[f"wait_p{share}"]) for share in (50, 95, 99)),
                percent(values["utilisation"]),
                f"{values['timeouts']:.0f}",
            )
        )
    quantiles = ("p50", "p95", "p99")
    columns = ["strategies", "mean hold (95 %)", *(f"hold {q}" for q in quantiles), "mean wait (95 %)"]
    table = pd.DataFrame(rows, columns=[*columns, *(f"wait {q}" for q in quantiles), "utilisation", "timeouts"])
    finding = price_finding(result)
    return Figure(svg, finding, f"Dots of lock hold and lock wait for {len(groups)} timelines. {finding}", table)


def price_finding(result: Result) -> str:
    """What computing in the lock costs, against the baseline, in a sentence."""
    dearest = max(result.strategies, key=lambda name: len(result.case.strategy(name).in_lock))
    if result.case.strategy(dearest).in_lock == result.case.strategy(result.baseline).in_lock:
        hold_mean = milliseconds(result.mean_hold(result.baseline).estimate)
        return f"Every strategy here computes in the same place and costs the same: {hold_mean} of lock a transaction."
    hold = Difference(result.mean_hold(dearest), result.mean_hold(result.baseline))
    wait = Difference(result.mean_wait(dearest), result.mean_wait(result.baseline))
    return (
        f"Computing in the lock ({dearest}) lengthens the mean hold by {milliseconds(hold.estimate)} to "
        f"{milliseconds(result.mean_hold(dearest).estimate)} and changes the mean wait by {_change(wait)}."
    )


def _change(difference: Difference) -> str:
    interval = difference.interval()
    if interval is None:
        return milliseconds(difference.estimate)
    return f"{difference.estimate * 1000:+.3f} ms (95 %: {interval.low * 1000:+.3f} to {interval.high * 1000:+.3f})".replace(
        "-", "−"
    )


def _mean_text(mean: Mean) -> str:
    interval = mean.interval()
    text = f"{mean.estimate * 1000:.2f} ms"
    return text if interval is None else f"{text} ({interval.low * 1000:.2f} to {interval.high * 1000:.2f})"


def counterfactual(counter: Counterfactual) -> Figure:
    """Clobber rate of every strategy on one recorded timeline."""
    names = list(counter.clobbered)
    shares = [counter.clobbered[name] / counter.units for name in names]
    texts = [rate_text(Rate(np.array([counter.clobbered[name]]), np.array([counter.units]))) for name in names]
    with canvas(8, 0.9 + ROW * len(names)) as figure:
        axes = figure.subplots()
        colours = [ACCENT if name == counter.recording.rule else FAINT for name in names]
        axes.barh(range(len(names)), shares, color=colours, height=0.62)
        for row, name in enumerate(names):
            ran = " (what the build ran)" if name == counter.recording.rule else ""
            axes.text(shares[row], row, f"  {texts[row]}{ran}", va="center")
        _rows(axes, names)
        axes.set_xlabel(f"share of the {counter.units:,} recorded agent requests that clobber at least one field")
        _percent_axis(axes, max(shares))
        svg = to_svg(figure)
    rule = counter.recording.rule
    finding = (
        f"On the recorded timeline of build {counter.recording.build}, {rule} clobbered in {counter.clobbered[rule]:,} of "
        f"{counter.units:,} agent requests; replay reproduces "
        + (f"all {counter.check.committed:,} committed entries exactly." if counter.check.exact else "it NOT exactly.")
    )
    table = pd.DataFrame(
        {
            "strategy": names,
            "clobbering requests": [f"{counter.clobbered[name]:,}" for name in names],
            "of": f"{counter.units:,}",
            "share": texts,
            "clobbered fields": [f"{int(counter.fields[name].sum()):,}" for name in names],
            "lost writes": [f"{counter.lost[name]:,} of {counter.writes:,}" for name in names],
        }
    )
    alt = "Bars of the share of recorded requests that clobber: " + "; ".join(
        f"{name} {percent(share)}" for name, share in zip(names, shares, strict=True)
    )
    return Figure(svg, finding, alt, table)


# ---- pieces ------------------------------------------------------------------------------------------------------------------


def _dot(axes: Axes, row: int, rate: Mean) -> None:
    interval = rate.interval()
    if interval:
        axes.plot(interval, [row, row], color=INK, linewidth=1.4, solid_capstyle="butt")
    seen = rate.estimate > 0
    axes.scatter([rate.estimate], [row], s=34, color=INK if seen else "white", edgecolor=INK, zorder=3)
    axes.text(max(interval.high if interval else 0, rate.estimate), row, f"  {rate_text(rate)}", va="center")


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _percent_axis(axes: Axes, high: float) -> None:
    top = (high if high > 0 else 0.001) * 1.45  # room for the numbers beside the marks; there may be no number at all
    axes.set_xlim(-0.01 * top, top)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))


def _wrapped(names: Sequence[str]) -> str:
    pairs = [", ".join(names[start : start + 2]) for start in range(0, len(names), 2)]
    return "\n".join(pairs)
