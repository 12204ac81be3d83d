"""What one replicate contributes to the statistics: a strategy's clobbers and a timeline's cost, counted.

Tallies are small and add up, so an experiment folds these and drops the histories.
"""

from dataclasses import dataclass

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Bools, Floats, Ints
from simlib.model.history import History
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes

EDGES = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 721)])
"""Bins for times in seconds, some 4 % wide; under a microsecond counts as zero, over a million seconds as a million."""


@dataclass(frozen=True)
class Tally:
    """Counts of one strategy on one history. A unit of work is a flow with a committed transaction at a site of `Case.in_unit`.

    Attributes:
        units, clobbered_units: units of work, and those in which any write clobbers at least one field.
        racing_units: units with a clobber that needs concurrency.
        writes, lost: field writes by `write`-role sites, and how many were clobbered before a legitimate replacement.
        clobbers: (sites, fields, kinds, 2) clobbered fields; the last axis: not racing, racing.
        transactions, clobbering: (sites,) committed transactions, and those that clobber.
        noticed: (noticed outcomes, 2) how often each happened, and how often it could have.
        stood: (bins,) histogram over EDGES of how long wrong values stood that were replaced before the history ended.
        standing: wrong values that stood to the end.
    """

    units: int
    clobbered_units: int
    racing_units: int
    writes: int
    lost: int
    clobbers: Ints
    transactions: Ints
    clobbering: Ints
    noticed: Ints
    stood: Ints
    standing: int


def tally(case: Case, outcomes: Outcomes, serial: Outcomes) -> Tally:
    """Count one replay.

    Args:
        case: the case.
        outcomes: the replay of the strategy.
        serial: the replay of the case's reference on the same history, which shows what serial writes would have left.
    """
    history, clobbers = outcomes.history, outcomes.clobbers
    of_unit = unit_rows(case, history)
    units = np.unique(history.flow[of_unit])
    table = np.zeros((len(case.sites), len(case.fields), len(KINDS), 2), dtype=np.int64)
    np.add.at(table, (history.site[clobbers.culprit], clobbers.field, clobbers.kind, clobbers.racing.astype(np.int64)), 1)
    until_replaced = clobbers.until - history.end[clobbers.culprit]
    replaced = np.isfinite(until_replaced)
    return Tally(
        units=units.size,
        clobbered_units=_flows(history, clobbers.culprit, of_unit),
        racing_units=_flows(history, clobbers.culprit[clobbers.racing], of_unit),
        writes=int(outcomes.writes.sum()),
        lost=int(outcomes.lost.sum()),
        clobbers=table,
        transactions=_count(history.site[history.ok], case),
        clobbering=_count(history.site[np.unique(clobbers.culprit)], case),
        noticed=np.array([_noticed(case, number, outcomes, serial) for number in range(len(case.noticed))]).reshape(-1, 2),
        stood=_binned(until_replaced[replaced]),
        standing=int((~replaced).sum()),
    )


def unit_rows(case: Case, history: History) -> Bools:
    """(transactions,) the committed transactions that are part of a unit of work."""
    return case.in_unit[history.site] & history.ok


def _flows(history: History, culprits: Ints, of_unit: Bools) -> int:
    return np.unique(history.flow[culprits[of_unit[culprits]]]).size


def _count(sites: Ints, case: Case) -> Ints:
    return np.bincount(sites, minlength=len(case.sites)).astype(np.int64)


def _noticed(case: Case, number: int, outcomes: Outcomes, serial: Outcomes) -> tuple[int, int]:
    """How often the entry differs from what serial writes would have left, after the step that matters, and of how many."""
    noticed, history = case.noticed[number], outcomes.history
    kinds = [position for position, kind in enumerate(history.kinds) if kind in noticed.flows]
    rows = np.flatnonzero(np.isin(history.kind, kinds) & history.ok)
    if noticed.after >= 0:
        rows = rows[history.site[rows] == noticed.after]
    else:  # the last row of each flow: np.unique keeps the first of the reversed order
        rows = rows[::-1][np.unique(history.flow[rows[::-1]], return_index=True)[1]]
    differ = outcomes.entries[np.ix_(rows, noticed.fields)] != serial.entries[np.ix_(rows, noticed.fields)]
    return int(differ.any(axis=1).sum()), rows.size


@dataclass(frozen=True)
class Cost:
    """What one timeline costs; times in seconds.

    Attributes:
        ended, timeouts: transactions that ended, and how many of those gave up waiting for the lock.
        waited, held: sums over the transactions of the wait for the lock and of the time it was held until the commit; a
            `store.release` after it is not counted.
        waits, holds: (bins,) histograms over EDGES.
        span: from zero to the last end.
    """

    ended: int
    timeouts: int
    waited: float
    held: float
    waits: Ints
    holds: Ints
    span: float


def cost(history: History) -> Cost:
    """The cost of one timeline: waits of all its transactions, holds of those that committed."""
    waits = history.lock - history.queued
    holds = (history.end - history.lock)[history.ok]
    return Cost(
        ended=len(history),
        timeouts=int((~history.ok).sum()),
        waited=float(waits.sum()),
        held=float(holds.sum()),
        waits=_binned(waits),
        holds=_binned(holds),
        span=float(history.end.max(initial=0.0)),
    )


def _binned(times: Floats) -> Ints:
    return np.histogram(np.minimum(times, EDGES[-1]), EDGES)[0]


def quantile(histogram: Ints, share: float) -> float:
    """A quantile of times that were counted over EDGES, in seconds; interpolated inside its bin.

    Args:
        histogram: (bins,) how many times fell into each bin.
        share: of the times that are shorter, 0 to 1.

    Returns:
        NaN if the histogram is empty.

    Examples:
        >>> histogram = np.histogram([0.010] * 99 + [3.0], EDGES)[0]
        >>> round(quantile(histogram, 0.5), 2), round(quantile(histogram, 1.0), 1)
        (0.01, 3.0)
    """
    total = histogram.sum()
    if not total:
        return float("nan")
    cumulative = np.cumsum(histogram)
    position = int(np.searchsorted(cumulative, share * total))
    if position == 0:
        return 0.0
    below = cumulative[position - 1]
    within = (share * total - below) / histogram[position]
    return float(EDGES[position] + within * (EDGES[position + 1] - EDGES[position]))


def count_json(case: Case, clobbers: Ints) -> dict[str, dict[str, int]]:
    """{field: {kind: count}} of a (fields, kinds) table, without the zeros."""
    return {
        field: {kind: int(count) for kind, count in zip(KINDS, row, strict=True) if count}
        for field, row in zip(case.fields, clobbers, strict=True)
        if row.any()
    }
