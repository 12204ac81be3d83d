"""What the tallies of all strategies on one history share: its units of work, and where to look for what is noticed."""

from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import inlined, lean
from simlib.replay.replay import Outcomes


class Rows(NamedTuple):
    """Columns of the history, and which sites are part of a unit of work."""

    flow: Ints
    kind: Ints
    site: Ints
    ok: Bools
    end: Floats
    in_unit: Bools


class Looks(NamedTuple):
    """What is looked at for each noticed outcome: `fields` of the entry after `rows`, up to `ends`; `serial` is right."""

    fields: Bools
    rows: Ints
    ends: Ints
    serial: Ints
    serial_versions: Codes


class Survey(NamedTuple):
    """What the tallies of all strategies on one history share.

    Attributes:
        rows: columns of the history.
        looks: where to look for noticed outcomes.
        units, transactions: see Tally.
        flows: more than the greatest number of a flow.
    """

    rows: Rows
    looks: Looks
    units: int
    transactions: Ints
    flows: int


def survey(case: Case, serial: Outcomes) -> Survey:
    """What all strategies' tallies share; arguments as of `tally`."""
    history = serial.history
    rows = Rows(compact(history.flow), history.kind, history.site, history.ok, history.end, case.in_unit)
    kinds = [[kind in noticed.flows for kind in history.kinds] for noticed in case.noticed]
    fields = np.zeros((len(case.noticed), len(case.fields)), np.bool_)
    for number, noticed in enumerate(case.noticed):
        fields[number, noticed.fields] = True
    asked = _Asked(
        np.array(kinds, np.bool_).reshape(-1, len(history.kinds)), np.array([one.after for one in case.noticed], np.int64)
    )
    flows, transactions = int(rows.flow.max(initial=0)) + 1, np.zeros(len(case.sites), np.int64)
    found, ends = np.empty(len(case.noticed) * len(history), np.int64), np.zeros(len(case.noticed), np.int64)
    units = _survey(rows, asked, np.zeros(flows, np.int64), transactions, found, ends)
    return Survey(rows, Looks(fields, found, ends, serial.version, serial.versions), units, transactions, flows)


_FEW = 1000
"""Flow numbers that are worth no thought."""


def compact(flow: Ints) -> Ints:
    """The numbers of the flows, or others in their place if a history from outside has very large ones."""
    return flow if flow.max(initial=0) < max(_FEW, 4 * flow.size) else np.unique(flow, return_inverse=True)[1]


class _Asked(NamedTuple):
    """The case's noticed outcomes, a row each: `kinds` of flow, and the site `after` which to look (-1: the last)."""

    kinds: Bools
    after: Ints


@lean
def _survey(rows: Rows, asked: _Asked, seen: Any, transactions: Any, found: Any, ends: Any) -> int:
    """Fill the last three; returns how many units of work there are. `seen` says what has been seen of each flow."""
    units = 0
    for row in range(rows.site.size):
        transactions[rows.site[row]] += rows.ok[row]
        if rows.ok[row] and rows.in_unit[rows.site[row]]:
            units += seen[rows.flow[row]] == 0
            seen[rows.flow[row]] = 1
    count = 0
    for number in range(asked.after.size):
        count = _look(rows, asked, number, seen, found, count)
        ends[number] = count
    return units


@inlined
def _look(rows: Rows, asked: _Asked, number: int, seen: Any, found: Any, count: int) -> int:
    """Add the rows after which one noticed outcome shows: those at the site that matters, or each flow's last.

    Backwards, so that the first row of a flow that comes up is its last.
    """
    mark = -1 - number
    for row in range(rows.site.size - 1, -1, -1):
        if not rows.ok[row] or not asked.kinds[number, rows.kind[row]]:
            continue
        if asked.after[number] >= 0:
            if rows.site[row] != asked.after[number]:
                continue
        elif seen[rows.flow[row]] == mark:
            continue
        seen[rows.flow[row]] = mark
        found[count] = row
        count += 1
    return count
