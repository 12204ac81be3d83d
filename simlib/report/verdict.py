"""The findings of a fix-impact study in plain words, each with its number and no more than its interval carries."""

import math

import numpy as np

from simlib.common.arrays import Ints
from simlib.estimate.intervals import Difference
from simlib.estimate.result import Result
from simlib.estimate.wording import overload_note, percent, points, rate_text, span
from simlib.replay.judging import KINDS
from simlib.report.finding import Finding, Share
from simlib.report.html import Html, bullets, coded, paragraphs
from simlib.search.proofs import Proofs


def verdict(result: Result, proofs: Proofs | None, what: str = "", summary: str = "") -> Html:
    """The verdict: first the baseline, then a line for each other strategy, then what the workload cannot speak of.

    What others list of it begins with `what` to do, and has the `summary`.
    """
    others = [name for name in result.strategies if name != result.baseline]
    lines = bullets([_on(result, proofs, name) + _failing(result, name) for name in others]) if others else Html("")
    overloaded = paragraphs(f"**{note}**").text if (note := overload_note(result)) else ""
    first = f"{_lead(result)} {_on_baseline(result, proofs)}{_failing(result, result.baseline)}".strip()
    rest = f"{lines.text}{paragraphs(_not_exercised(result)).text}"
    return Html(
        f'<div class="verdict">{overloaded}{paragraphs(first).text}{rest}</div>',
        _finding(result, f"{what} {first}".strip(), summary),
    )


def _finding(result: Result, verdict: str, summary: str) -> Finding:
    names = sorted(result.strategies, key=lambda name: name != result.baseline)
    rates = {name: result.best_rate(name) for name in names}
    failed = {name: result.failed_rate(name) for name in names}
    return Finding(
        verdict=verdict,
        summary=summary,
        rates={name: Share.of(rate) for name, rate in rates.items() if rate.exposures.any()},
        failed_units={name: Share.of(rate) for name, rate in failed.items() if rate.totals.any()},
    )


def _failing(result: Result, name: str) -> str:
    """A loss of another kind: what ended in an error."""
    rate = result.failed_rate(name)
    return f" **{rate_text(rate)}** of {result.case.words.units} fail." if rate.totals.any() else ""


def why(result: Result) -> Html:
    """For each strategy that clobbers: what its author meant, and how each write site fails."""
    lines = []
    for name in result.strategies:
        counts = result.clobbers(name)
        if counts.any():
            failing = [(site, counts[number]) for number, site in enumerate(result.case.sites) if counts[number].any()]
            fails = "; ".join(f"`{site}` {_kinds(seen)}" for site, seen in failing)
            lines.append(f"`{name}`: {result.case.strategy(name).about} Seen here: {fails}.")
    return bullets(lines)


def _lead(result: Result) -> str:
    return " ".join(filter(None, [result.workload.warning(), _seen(result)]))


def _seen(result: Result) -> str:
    if len(result.strategies) == 1 or not result.clobber_rate(result.baseline).exposures.any():
        return ""
    safe = [name for name in result.strategies if result.best_rate(name).estimate == 0 and result.clean(name)]
    if len(safe) == len(result.strategies):
        return "No clobber was seen with any strategy."
    return (
        f"No clobber was seen with {coded(safe)}; every other strategy clobbers." if safe else "Every strategy here clobbers."
    )


def _on_baseline(result: Result, proofs: Proofs | None) -> str:
    name = result.baseline
    rate = result.best_rate(name)
    if not rate.exposures.any():
        return f"There was no {result.case.words.unit} in this run, so there is nothing to say of any strategy."
    if rate.estimate == 0:
        return _nothing_seen(result, proofs, name)
    text = f"`{name}` clobbers at least one field in **{rate_text(rate)}** of {result.case.words.units}{_per_day(result, name)}"
    text += _counted(result, name)
    lost = result.lost_write_rate(name)
    return f"{text}, and {rate_text(lost)} of {result.case.words.outside} is lost." if lost.exposures.any() else f"{text}."


def _per_day(result: Result, name: str) -> str:
    """How many that is a day, where the workload says how many hours its traffic lasts."""
    if (hours := result.workload.hours_per_day) is None:
        return ""
    number = float(f"{result.clobbered_units_per_day(name) * hours / 24:.2g}")
    return f", some {number:,.0f} in a day of {hours:g} hours"


def _on(result: Result, proofs: Proofs | None, name: str) -> str:
    rate, difference = result.best_rate(name), result.difference(name)
    if difference is None or not rate.exposures.any():
        return f"`{name}`: no {result.case.words.units}."
    if rate.estimate == 0:
        return _nothing_seen(result, proofs, name)
    text = f"`{name}`: {rate_text(rate)}{_counted(result, name)}; {compared(difference, result.baseline)}."
    counts = result.by_site(name)
    if not counts.any():
        return text
    order = [number for number in np.argsort(-counts, kind="stable") if counts[number]]
    shares = ", ".join(f"`{result.case.sites[number]}` {percent(counts[number] / counts.sum())}" for number in order)
    text += f" What clobbers: {shares}."
    plain, racing = result.by_race(name)
    if plain:
        fields = result.clobbers(name)[..., 0].sum(axis=(0, 2))
        named = coded([field for field, count in zip(result.case.fields, fields, strict=True) if count])
        text += f" {percent(plain / (plain + racing))} of its clobbered fields need no race at all: {named}."
    return text


def _nothing_seen(result: Result, proofs: Proofs | None, name: str) -> str:
    rate = result.clobber_rate(name)
    if not result.clean(name):
        return _lost_elsewhere(result, name)
    text = (
        f"`{name}`: no clobber in {rate.exposures.sum():,.0f} {result.case.words.units} {rate_text(rate).removeprefix('0 ')}."
    )
    if proofs is None or name not in proofs.strategies:
        return text
    known = {"cannot": "Proved: ", "unreachable": "Searched exhaustively: ", "no schedule found": "Searched: "}
    return f"{text} {known.get(proofs.absence(name), 'But ')}{proofs.verdict(name)}."


def _lost_elsewhere(result: Result, name: str) -> str:
    """That no unit of work is clobbered, but other writes are, and where."""
    counts = result.by_site(name)
    sites = coded([site for site, count in zip(result.case.sites, counts, strict=True) if count])
    lost = result.lost_write_rate(name)
    return (
        f"`{name}` clobbers none of {result.clobber_rate(name).exposures.sum():,.0f} {result.case.words.units}, "
        f"and yet it loses writes: {rate_text(result.any_loss(name))} of all transactions clobber, at {sites}"
        + (f", and {rate_text(lost)} of {result.case.words.outside} is lost." if lost.estimate > 0 else ".")
    )


def _counted(result: Result, name: str) -> str:
    """How the rate is known, where it is not simply counted."""
    if name not in result.conditional:
        return ""
    seen = int(result.clobber_rate(name).totals.sum())
    return f" (by conditional Monte Carlo, as only {seen} of them were seen)"


def compared(difference: Difference, baseline: str) -> str:
    """More or fewer than the baseline, by how much, or that it cannot be told."""
    interval = difference.interval()
    if interval is None:
        return f"{points(difference.estimate)} against `{baseline}`, with too few replicates for an interval"
    if difference.estimate == 0 and math.isclose(difference.standard_error, 0, abs_tol=1e-15):
        return f"as many as `{baseline}` in every replicate"
    if interval.low <= 0 <= interval.high:
        return f"no difference to `{baseline}` that this experiment can tell ({rate_text(difference)})"
    size = sorted(abs(end) for end in interval)
    unsigned = f"{points(abs(difference.estimate)).lstrip('+')}, 95 %: {span(size[0], size[1])}".replace(" %,", ",")
    word = "more" if difference.estimate > 0 else "fewer"
    return f"{word} than `{baseline}` by {unsigned.removesuffix(' %')} pp"


def _not_exercised(result: Result) -> str:
    """The sites of units of work that this workload leaves out: what it cannot speak of."""
    case = result.case
    used = {site for flow in result.workload.traffic.values() for site in flow.steps}
    missing = [site for site, role in zip(case.sites, case.roles, strict=True) if role == "unit" and site not in used]
    if not missing:
        return ""
    return (
        f"**Not in this workload**: {coded(missing)}. A strategy that is clean here may still clobber there; compare a "
        "workload that has them."
    )


def _kinds(counts: Ints) -> str:
    """`12 reverted, 3 erased with no race`, from (fields, kinds, 2)."""
    return ", ".join(
        f"{int(counts[:, kind, racing].sum()):,} {KINDS[kind]}{'' if racing else ' with no race'}"
        for kind in range(len(KINDS))
        for racing in (1, 0)
        if counts[:, kind, racing].any()
    )
