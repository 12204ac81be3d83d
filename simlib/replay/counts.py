"""What one replicate contributes to the statistics: a strategy's clobbers and a timeline's cost, counted.

Tallies are small and add up, so an experiment folds these and drops the histories.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import inlined, lean
from simlib.model.history import TIMED_OUT, History
from simlib.replay.histograms import EDGES, add_to_bin, binned
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes


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
    history, clobbers = outcomes.history, outcomes.clobbers
    counted = _open(case, history)
    _count(
        _Rows(compact(history.flow), history.kind, history.site, history.ok, history.end, case.in_unit),
        _Replay(outcomes.version, outcomes.versions, outcomes.writes, outcomes.lost, serial.version, serial.versions),
        _Clobbered(clobbers.culprit, clobbers.field, clobbers.kind, clobbers.racing, clobbers.until),
        _ask(case, history), EDGES, counted,
    )  # fmt: skip
    units, clobbered_units, racing_units, writes, lost, standing = counted.numbers.tolist()
    return Tally(
        units=units,
        clobbered_units=clobbered_units,
        racing_units=racing_units,
        writes=writes,
        lost=lost,
        clobbers=counted.clobbers,
        transactions=counted.transactions,
        clobbering=counted.clobbering,
        noticed=counted.noticed,
        stood=counted.stood,
        standing=standing,
        false_conflicts=0 if history.attempts is None else int(outcomes.false_conflict.sum()),
    )


def unit_rows(case: Case, history: History) -> Bools:
    """(transactions,) the committed transactions that are part of a unit of work."""
    return case.in_unit[history.site] & history.ok


class _Rows(NamedTuple):
    """Columns of the history, and which sites are part of a unit of work."""

    flow: Ints
    kind: Ints
    site: Ints
    ok: Bools
    end: Floats
    in_unit: Bools


class _Replay(NamedTuple):
    """Columns of the strategy's `Outcomes`, and of the reference's."""

    version: Ints
    versions: Codes
    writes: Ints
    lost: Ints
    serial_version: Ints
    serial_versions: Codes


class _Clobbered(NamedTuple):
    """Columns of `Clobbers`."""

    culprit: Ints
    field: Ints
    kind: Ints
    racing: Bools
    until: Floats


class _Asked(NamedTuple):
    """The case's noticed outcomes, a row each: `kinds` of flow, the site `after` which to look (-1: the last), `fields`."""

    kinds: Bools
    after: Ints
    fields: Bools


class _Counted(NamedTuple):
    """What `_count` fills in: the parts of a Tally, those of one number each in `numbers`; and what was `seen` of each flow."""

    numbers: Ints
    clobbers: Ints
    transactions: Ints
    clobbering: Ints
    noticed: Ints
    stood: Ints
    seen: Ints


UNITS, CLOBBERED_UNITS, RACING_UNITS, WRITES, LOST, STANDING = range(6)
_FEW = 1000
"""Flow numbers that are worth no thought."""


def _open(case: Case, history: History) -> _Counted:
    sites = len(case.sites)
    return _Counted(
        numbers=np.zeros(6, np.int64),
        clobbers=np.zeros((sites, len(case.fields), len(KINDS), 2), np.int64),
        transactions=np.zeros(sites, np.int64),
        clobbering=np.zeros(sites, np.int64),
        noticed=np.zeros((len(case.noticed), 2), np.int64),
        stood=np.zeros(EDGES.size - 1, np.int64),
        seen=np.zeros(max(_FEW, 4 * len(history)), np.int64),
    )


def compact(flow: Ints) -> Ints:
    """The numbers of the flows, or others in their place if a history from outside has very large ones."""
    return flow if flow.max(initial=0) < max(_FEW, 4 * flow.size) else np.unique(flow, return_inverse=True)[1]


def _ask(case: Case, history: History) -> _Asked:
    kinds = [[kind in noticed.flows for kind in history.kinds] for noticed in case.noticed]
    fields = np.zeros((len(case.noticed), len(case.fields)), np.bool_)
    for number, noticed in enumerate(case.noticed):
        fields[number, noticed.fields] = True
    after = [noticed.after for noticed in case.noticed]
    return _Asked(np.array(kinds, np.bool_).reshape(-1, len(history.kinds)), np.array(after, np.int64), fields)


@lean
def _count(rows: _Rows, replay: _Replay, found: _Clobbered, asked: _Asked, edges: Any, counted: _Counted) -> None:
    for row in range(rows.site.size):
        counted.numbers[WRITES] += replay.writes[row]
        counted.numbers[LOST] += replay.lost[row]
        counted.transactions[rows.site[row]] += rows.ok[row]
        if rows.ok[row] and rows.in_unit[rows.site[row]]:
            _once(counted, rows.flow[row], UNITS)
    last = -1
    for number in range(found.culprit.size):
        culprit = found.culprit[number]
        _count_clobber(rows, found, number, culprit, edges, counted)
        counted.clobbering[rows.site[culprit]] += culprit != last  # clobbers stand in commit order
        last = culprit
    for number in range(asked.after.size):
        _count_noticed(rows, replay, asked, number, counted)


@inlined
def _once(counted: _Counted, flow: int, number: int) -> None:
    """Count the flow, unless it has been counted there."""
    if not counted.seen[flow] >> number & 1:
        counted.seen[flow] |= 1 << number
        counted.numbers[number] += 1


@inlined
def _count_clobber(rows: _Rows, found: _Clobbered, number: int, culprit: int, edges: Any, counted: _Counted) -> None:
    racing, site = found.racing[number], rows.site[culprit]
    counted.clobbers[site, found.field[number], found.kind[number], int(racing)] += 1
    if rows.in_unit[site] and rows.ok[culprit]:
        _once(counted, rows.flow[culprit], CLOBBERED_UNITS)
        if racing:
            _once(counted, rows.flow[culprit], RACING_UNITS)
    stood = found.until[number] - rows.end[culprit]
    if np.isfinite(stood):
        add_to_bin(stood, edges, counted.stood)
    else:
        counted.numbers[STANDING] += 1


@inlined
def _count_noticed(rows: _Rows, replay: _Replay, asked: _Asked, number: int, counted: _Counted) -> None:
    """How often the entry differs from what serial writes would have left, after the step that matters, and of how many.

    Backwards, so that the first row of a flow that comes up is its last. `seen` is no longer needed for anything else.
    """
    mark = -1 - number
    for row in range(rows.site.size - 1, -1, -1):
        if not rows.ok[row] or not asked.kinds[number, rows.kind[row]]:
            continue
        if asked.after[number] >= 0:
            if rows.site[row] != asked.after[number]:
                continue
        elif counted.seen[rows.flow[row]] == mark:
            continue
        counted.seen[rows.flow[row]] = mark
        counted.noticed[number, 0] += _differ(replay, row, asked.fields, number)
        counted.noticed[number, 1] += 1


@inlined
def _differ(replay: _Replay, row: int, fields: Any, number: int) -> bool:
    """Whether what stands after this row is not what serial writes would have left, in the fields that are looked at."""
    version, serial = replay.version[row], replay.serial_version[row]
    for field in range(fields.shape[1]):
        if fields[number, field] and replay.versions[version, field] != replay.serial_versions[serial, field]:
            return True
    return False


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
