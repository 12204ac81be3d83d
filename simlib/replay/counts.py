"""What one replicate contributes to the statistics: a strategy's clobbers and a timeline's cost, counted.

Tallies are small and add up, so an experiment folds these and drops the histories.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlib.case.case import Case
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import inlined, lean
from simlib.model.history import TIMED_OUT, History
from simlib.replay.histograms import EDGES, add_to_bin, binned
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes
from simlib.replay.survey import Looks, Rows, Survey, survey


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
        false_conflicts: writes that a guard rejected although they would have been right.
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
    false_conflicts: int = 0


def tally(case: Case, outcomes: Outcomes, serial: Outcomes) -> Tally:
    """Count one replay.

    Args:
        case: the case.
        outcomes: the replay of the strategy.
        serial: the replay of the case's reference on the same history, which shows what serial writes would have left.
    """
    return tally_on(survey(case, serial), outcomes)


def unit_rows(case: Case, history: History) -> Bools:
    """(transactions,) the committed transactions that are part of a unit of work."""
    return case.in_unit[history.site] & history.ok


class _Replay(NamedTuple):
    """Columns of the strategy's `Outcomes`, and of its `Clobbers`."""

    version: Ints
    versions: Codes
    writes: Ints
    lost: Ints
    culprit: Ints
    field: Ints
    kind: Ints
    racing: Bools
    until: Floats


class _Counted(NamedTuple):
    """What `_count` fills in: the parts of a Tally, those of one number each in `numbers`; and what was `seen` of each flow."""

    numbers: Ints
    clobbers: Ints
    clobbering: Ints
    noticed: Ints
    stood: Ints
    seen: NDArray[np.uint8]


CLOBBERED_UNITS, RACING_UNITS, WRITES, LOST, STANDING = range(5)


def tally_on(survey: Survey, outcomes: Outcomes) -> Tally:
    """The tally of a replay of the history that was surveyed."""
    found, sites = outcomes.clobbers, survey.transactions.size
    counted = _Counted(
        numbers=np.zeros(5, np.int64),
        clobbers=np.zeros((sites, outcomes.versions.shape[1], len(KINDS), 2), np.int64),
        clobbering=np.zeros(sites, np.int64),
        noticed=np.zeros((survey.looks.ends.size, 2), np.int64),
        stood=np.zeros(EDGES.size - 1, np.int64),
        seen=np.zeros(survey.flows, np.uint8),
    )
    replay = _Replay(
        outcomes.version, outcomes.versions, outcomes.writes, outcomes.lost,
        found.culprit, found.field, found.kind, found.racing, found.until,
    )  # fmt: skip
    _count(survey.rows, survey.looks, replay, EDGES, counted)
    clobbered_units, racing_units, writes, lost, standing = counted.numbers.tolist()
    return Tally(
        units=survey.units,
        clobbered_units=clobbered_units,
        racing_units=racing_units,
        writes=writes,
        lost=lost,
        clobbers=counted.clobbers,
        transactions=survey.transactions,
        clobbering=counted.clobbering,
        noticed=counted.noticed,
        stood=counted.stood,
        standing=standing,
        false_conflicts=0 if outcomes.history.attempts is None else int(outcomes.false_conflict.sum()),
    )


@lean
def _count(rows: Rows, looks: Looks, replay: _Replay, edges: Any, counted: _Counted) -> None:
    for row in range(rows.site.size):
        counted.numbers[WRITES] += replay.writes[row]
        counted.numbers[LOST] += replay.lost[row]
    last = -1
    for number in range(replay.culprit.size):
        culprit = replay.culprit[number]
        _count_clobber(rows, replay, number, culprit, edges, counted)
        counted.clobbering[rows.site[culprit]] += culprit != last  # clobbers stand in commit order
        last = culprit
    place = 0
    for number in range(looks.ends.size):
        counted.noticed[number, 1] = looks.ends[number] - place
        for look in range(place, looks.ends[number]):
            counted.noticed[number, 0] += _differ(replay, looks, looks.rows[look], number)
        place = looks.ends[number]


@inlined
def _once(counted: _Counted, flow: int, number: int) -> None:
    """Count the flow, unless it has been counted there."""
    if not counted.seen[flow] >> number & 1:
        counted.seen[flow] |= 1 << number
        counted.numbers[number] += 1


@inlined
def _count_clobber(rows: Rows, replay: _Replay, number: int, culprit: int, edges: Any, counted: _Counted) -> None:
    racing, site = replay.racing[number], rows.site[culprit]
    counted.clobbers[site, replay.field[number], replay.kind[number], int(racing)] += 1
    if rows.in_unit[site] and rows.ok[culprit]:
        _once(counted, rows.flow[culprit], CLOBBERED_UNITS)
        if racing:
            _once(counted, rows.flow[culprit], RACING_UNITS)
    stood = replay.until[number] - rows.end[culprit]
    if np.isfinite(stood):
        add_to_bin(stood, edges, counted.stood)
    else:
        counted.numbers[STANDING] += 1


@inlined
def _differ(replay: _Replay, looks: Looks, row: int, number: int) -> bool:
    """Whether what stands after this row is not what serial writes would have left, in the fields that are looked at."""
    version, serial, differ = replay.version[row], looks.serial[row], False
    for field in range(looks.fields.shape[1]):
        differ |= looks.fields[number, field] & (replay.versions[version, field] != looks.serial_versions[serial, field])
    return differ


@dataclass(frozen=True)
class Cost:
    """What one timeline costs; times in seconds.

    Attributes:
        ended, timeouts: transactions (where there are attempts, those) that ended, and how many of those gave up waiting for a
            lock.
        waited, held: sums over the transactions of the wait for locks and of the time one was held until the commit, or the
            conflict; a `store.release` after it is not counted.
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


def cost(history: History, wide: Bools | None = None) -> Cost:
    """The cost of one timeline: waits of all its transactions, holds of those that had the lock.

    Args:
        history: the timeline.
        wide: (sites,) whether a lock is held there from before the snapshot; None: nowhere.
    """
    waits, since, timed_out = history.lock - history.queued, history.lock, ~history.ok
    if (attempts := history.attempts) is not None:
        waits = waits + np.where(attempts.number == 1, history.read - attempts.began, 0.0)
        since = history.lock if wide is None else np.where(wide[history.site], history.read, history.lock)
        timed_out = attempts.outcome == TIMED_OUT
    holds = (history.end - since)[~timed_out]
    return Cost(
        ended=len(history),
        timeouts=int(timed_out.sum()),
        waited=float(waits.sum()),
        held=float(holds.sum()),
        waits=binned(waits),
        holds=binned(holds),
        span=float(history.end.max(initial=0.0)),
    )


def count_json(case: Case, clobbers: Ints) -> dict[str, dict[str, int]]:
    """{field: {kind: count}} of a (fields, kinds) table, without the zeros."""
    return {
        field: {kind: int(count) for kind, count in zip(KINDS, row, strict=True) if count}
        for field, row in zip(case.fields, clobbers, strict=True)
        if row.any()
    }
