"""What one timeline comes to beside its clobbers: attempts, conflicts, units of work that failed, and how long it all took."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.common.arrays import Bools, Floats, Ints
from simlib.common.compilation import lean
from simlib.model.history import COMMITTED, CONFLICT, FAILED, SKIPPED, TIMED_OUT, History
from simlib.replay.histograms import EDGES, add_to_bin
from simlib.replay.survey import compact
from simlib.workload.traffic import Traffic


@dataclass(frozen=True)
class Effort:
    """Counts of one timeline; a row of its history is an attempt.

    Attributes:
        latencies: (bins,) histogram over EDGES of the time from a transaction's begin to its commit, in units of work. It
            begins when it reads, or begins to wait for a lock before that.
        units_begun: units of work that began a transaction at a site of `Case.in_unit`.
        units_failed: those in which one of them failed loudly (no lock in time, or rejected for the last time), or waits for
            ever.
        guarded: attempts that a guard looked at.
        conflicts: those that it rejected. A write that is made all the same when its attempts are used up is none.
        retries: attempts after the first, in units of work.
        skipped: writes that were given up silently, at any site.
        open_middle, open_end: transactions under way in the middle of the time in which flows arrive, and at its end.
        began_late: transactions that began in between.
    """

    latencies: Ints
    units_begun: int
    units_failed: int
    guarded: int
    conflicts: int
    retries: int
    skipped: int
    open_middle: int
    open_end: int
    began_late: int


def wide_sites(case: Case, discipline: Discipline) -> Bools:
    """(sites,) whether a site takes a lock before its snapshot."""
    named = {site for lock in discipline.locks if lock.span != "merge" for site in lock.sites}
    return np.array([site in named for site in case.sites])


class Stuck(NamedTuple):
    """Transactions that never end, as flows wait for each other's locks: a history has no row of their last attempt.

    Attributes:
        flow, site: of each.
        began: not later than when it began; seconds.
    """

    flow: Ints
    site: Ints
    began: Floats


NONE_STUCK = Stuck(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def stuck(traffic: Traffic, history: History) -> Stuck:
    """The transactions of a simulated history that never end; a simulation goes on until every other one has."""
    if history.attempts is None:  # one lock, which its holder always lets go of
        return NONE_STUCK
    outcome = history.attempts.outcome
    last_step = np.zeros(traffic.site.size, np.bool_)
    last_step[traffic.first[1:] - 1] = True
    is_last = (outcome == FAILED) | (outcome == TIMED_OUT) | ((outcome != CONFLICT) & last_step[history.attempts.transaction])
    if np.count_nonzero(is_last) == traffic.kind.size:
        return NONE_STUCK
    waits, reached, began = np.ones(traffic.kind.size, np.bool_), traffic.first[:-1].copy(), traffic.arrive.copy()
    waits[history.flow[is_last]] = False
    step_done = outcome != CONFLICT
    np.maximum.at(reached, history.flow[step_done], history.attempts.transaction[step_done] + 1)
    np.maximum.at(began, history.flow[step_done], history.end[step_done])
    return Stuck(np.flatnonzero(waits), traffic.site[reached[waits]], began[waits])


BEGUN, UNITS_FAILED, GUARDED, CONFLICTS, RETRIES, SKIPS, OPEN_MIDDLE, OPEN_END, LATE = range(9)


def effort(
    case: Case, history: History, discipline: Discipline, duration: float, waiting: Stuck = NONE_STUCK
) -> Effort:  # fmt: skip
    """Count one timeline.

    Args:
        case: the case.
        history: the timeline.
        discipline: under which it came about.
        duration: how long flows arrived, seconds.
        waiting: the transactions that wait for ever, as from `stuck`: they stay open, and their units of work fail.
    """
    attempts, guarded = history.attempts, np.array([guard is not None for guard in discipline.guards])
    outcome = np.logical_not(history.ok).astype(np.int64) if attempts is None else attempts.outcome
    number, began = (outcome, history.read) if attempts is None else (attempts.number, attempts.began)
    numbers, latencies = np.zeros(9, np.int64), np.zeros(EDGES.size - 1, np.int64)
    flow = compact(history.flow)
    columns = flow, history.site, outcome, number, began, history.end
    seen = np.zeros(int(flow.max(initial=0)) + 1, np.uint8)
    _count(*columns, case.in_unit, guarded, duration, EDGES, seen, numbers, latencies)
    if waiting.flow.size:
        units = waiting.flow[case.in_unit[waiting.site]]
        numbers[UNITS_FAILED] += units.size
        numbers[BEGUN] += np.setdiff1d(units, history.flow[case.in_unit[history.site]]).size
        numbers[OPEN_MIDDLE] += np.count_nonzero(waiting.began <= duration / 2)
        numbers[OPEN_END] += np.count_nonzero(waiting.began <= duration)
        numbers[LATE] += np.count_nonzero((duration / 2 < waiting.began) & (waiting.began <= duration))
    return Effort(latencies, *numbers.tolist())


@lean
def _count(
    flows: Any, sites: Any, outcomes: Any, numbers: Any, begins: Any, ends: Any, in_unit: Any, guarded: Any, duration: float,
    edges: Any, seen: Any, counts: Any, latencies: Any,
) -> None:  # fmt: skip
    """Fill `counts` and `latencies`; `seen` marks the flows that have begun (1) and failed (2)."""
    middle = duration / 2
    for row in range(sites.size):
        site, outcome, began, end, flow = sites[row], outcomes[row], begins[row], ends[row], flows[row]
        if guarded[site] and outcome != TIMED_OUT:
            counts[GUARDED] += 1
            counts[CONFLICTS] += outcome != COMMITTED
        counts[SKIPS] += outcome == SKIPPED
        if outcome != CONFLICT:  # its last attempt
            counts[OPEN_MIDDLE] += began <= middle < end
            counts[OPEN_END] += began <= duration < end
            counts[LATE] += middle < began <= duration
        if in_unit[site]:
            counts[RETRIES] += numbers[row] > 1
            counts[BEGUN] += not seen[flow] & 1
            seen[flow] |= 1
            if outcome == COMMITTED:
                add_to_bin(end - began, edges, latencies)
            elif outcome != CONFLICT and outcome != SKIPPED:
                counts[UNITS_FAILED] += not seen[flow] & 2
                seen[flow] |= 2
