"""The table of what guards and locks come to beside the clobbers: rejected attempts, failed units of work, latency."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from operator import itemgetter
from typing import Any

from simlib.estimate.result import Result
from simlib.estimate.wording import limit_text, seconds
from simlib.report.html import Html, paragraphs, two_lines
from simlib.report.table import Columns, Table, share, whole

QUANTILES = ("p50", "p95", "p99")


def effort_columns(result: Result, quantiles: Sequence[str] = QUANTILES) -> Columns:
    """What a table shows of it, from the columns of `Result.to_frame`; skipped writes only where there are any."""
    words, skipped = result.case.words, any(result.skipped(name) for name in result.strategies)
    return {
        "conflicts (95 %)": share("conflict_rate"),
        "false (95 %)": share("false_conflict_rate"),
        f"retries per {words.unit}": lambda row: "n/a" if isnan(row["retries_per_unit"]) else f"{row['retries_per_unit']:.3g}",
        f"failed {words.units} (95 %)": share("failed_rate"),
        **({"skipped writes": whole("skipped")} if skipped else {}),
        **{f"latency {which}": _latency(which) for which in quantiles},
    }


def limit_columns(result: Result) -> Columns:
    """How much each strategy can serve, where that was asked for."""
    heading = f"limit, {result.case.words.units} a second"
    return {heading: lambda row: limit_text(result.limits[row["strategy"]])} if result.limits else {}


def efforts(result: Result) -> Table:
    """A row a strategy; the frame is that of `Result.to_frame`."""
    words = result.case.words
    meant = (
        "Conflicts: attempts that a guard rejected, of all that it looked at; false: those of them all that would have been "
        f"right. Failed {words.units}: no lock in time, rejected for the last time, or waiting for ever; they are no clobbers, "
        "and stand beside. "
        "Latency: from a transaction's begin, or when it began to wait for a lock before its snapshot, to its commit, over all "
        f"attempts, at the sites of {words.units}. Not stable: more is asked of the strategy than it can serve, so that a time "
        "would only tell how long the run was."
    )
    if result.limits:
        meant += (
            " Limit: all traffic is multiplied, and the limit lies between what was stable and what was not; beyond it the "
            "queue for a lock grows without end. What fails below it is another matter."
        )
    columns = {heading: _lines(form) for heading, form in {**effort_columns(result), **limit_columns(result)}.items()}
    return Table(result.to_frame(), {"strategy": itemgetter("strategy"), **columns}, after=paragraphs(meant))


def _lines(form: Callable[[Mapping[str, Any]], str | Html]) -> Callable[[Mapping[str, Any]], Html]:
    """The interval, or why there is no number, on a second line."""
    return lambda row: two_lines(str(form(row)))


def _latency(which: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: seconds(row[f"latency_{which}_s"]) if row["stable"] else "- (not stable)"
