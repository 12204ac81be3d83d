"""The figures that a prediction is judged by, counted on one history: clobbered units, lost writes, stale snapshots."""

from collections.abc import Sequence

import numpy as np

from simlib.case.case import Case
from simlib.case.snapshots import previous_commits
from simlib.common.arrays import Bools
from simlib.model.history import History
from simlib.replay.books import NOBODY
from simlib.replay.counts import unit_rows
from simlib.replay.replay import Outcomes

Count = tuple[int, int]
"""How many, out of how many."""


def tally(case: Case, outcomes: Sequence[Outcomes], counted: Bools) -> dict[tuple[str, str], Count]:
    """Count what the figures are shares of.

    Args:
        case: the case.
        outcomes: replays of one history of n transactions, one for each strategy.
        counted: (n,) the rows that count.

    Returns:
        (strategy, figure) -> how many, out of how many. The figures:

        - `clobber_rate`: units of work in which any write clobbers a field, of all units; `clobber_rate.FIELD`: this field.
        - `lost_write_rate`: field writes by sites of role `write` that are clobbered later, of all such field writes;
          `lost_write_rate.FIELD`: those of this field, again of all.
        - `stale_snapshots`: snapshots that another commit had overtaken by the time of their own, of the snapshots that
          transactions read for themselves. It does not depend on the strategy, whose name is empty here.
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
