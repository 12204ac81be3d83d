"""The figures that a prediction is judged by, counted on one history: clobbered units, lost writes, stale snapshots."""

from collections.abc import Sequence

import numpy as np

from simlib.case.case import Case
from simlib.case.snapshots import previous_commits
from simlib.common.arrays import Bools
from simlib.model.history import History
from simlib.replay.counts import unit_rows
from simlib.replay.replay import NOBODY, Outcomes

Count = tuple[int, int]
"""How many, out of how many."""


def tally(case: Case, outcomes: Sequence[Outcomes], counted: Bools) -> dict[tuple[str, str], Count]:
    """Counts by (strategy, figure) over the `counted` rows (of all replays of one history).

    `clobber_rate` is the share of units in which any write clobbers, `clobber_rate.FIELD` a field; `lost_write_rate` the share
    of field writes by `write` sites that are clobbered later, `lost_write_rate.FIELD` that are in this field. `stale_snapshots`
    is the share of transactions with a snapshot of their own that some other commit overtook; it has no strategy.
    """
    history = outcomes[0].history
    units = counted & unit_rows(case, history)
    total = int(np.unique(history.flow[units]).size)
    counts = {("", "stale_snapshots"): _stale(case, history, counted)}
    for outcome in outcomes:
        clobbers = outcome.clobbers
        by_unit = units[clobbers.culprit]
        lost = (clobbers.victim != NOBODY) & counted[clobbers.victim]
        writes = int(outcome.writes[counted].sum())

        def clobbered(chosen: Bools, history: History = history, culprit: np.ndarray = clobbers.culprit) -> int:
            return int(np.unique(history.flow[culprit[chosen]]).size)

        counts[outcome.strategy, "clobber_rate"] = clobbered(by_unit), total
        counts[outcome.strategy, "lost_write_rate"] = int(lost.sum()), writes
        for number, field in enumerate(case.fields):
            here = clobbers.field == number
            counts[outcome.strategy, f"clobber_rate.{field}"] = clobbered(by_unit & here), total
            counts[outcome.strategy, f"lost_write_rate.{field}"] = int((lost & here).sum()), writes
    return counts


def _stale(case: Case, history: History, counted: Bools) -> Count:
    rows = counted & history.ok & case.reads_own[history.site]
    return int((history.snapshot != previous_commits(history.session, history.ok))[rows].sum()), int(rows.sum())
