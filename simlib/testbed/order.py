"""What the processes of a run tell, put in the order in which it happened, as the rows of a history.

The store says in which order it took the commits. A clock is read just after a commit, when its thread may have had to wait;
by then others may have been made. So an end is never later than the next commit's. An attempt that was rejected ended after
the commit that it was shown and before the next one.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from simlib.case.discipline import Scope
from simlib.common.arrays import Floats, Ints
from simlib.model.history import COMMITTED, TIMED_OUT
from simlib.testbed.entry import INITIAL, UNKNOWN
from simlib.testbed.job import Ended

SessionOf = Callable[[Ended], int]


def in_order(ended: Sequence[Ended], session: Ints, exclusive: Scope | None) -> list[Ended]:
    """The attempts in the order in which they ended, with ends that ascend.

    Args:
        ended: in any order; times in seconds.
        session: (transactions,).
        exclusive: what each writer holds an exclusive lock of, if all of them do.
    """
    commits = sorted((row for row in ended if row.outcome == COMMITTED), key=lambda row: row.order)
    ends = _ends(commits, [0 if exclusive == "store" else int(session[row.step]) for row in commits], exclusive is not None)
    place = {row.revision: number for number, row in enumerate(commits)} | {INITIAL: -1}
    of_session: dict[int, list[int]] = {}
    for number, row in enumerate(commits):
        of_session.setdefault(int(session[row.step]), []).append(number)
    keyed = [((number, 1, end), row._replace(end=end)) for number, (row, end) in enumerate(zip(commits, ends, strict=True))]
    for row in ended:
        if row.outcome != COMMITTED:
            number = _place(row, place, of_session.get(int(session[row.step]), []), ends)
            end = min(max(row.end, ends[number - 1] if number else row.end), ends[number] if number < len(ends) else np.inf)
            keyed.append(((number, 0, end), row._replace(end=end)))
    return [row._replace(compared=min(row.compared, row.end)) for _, row in sorted(keyed, key=lambda pair: pair[0])]


def _ends(commits: Sequence[Ended], group: Sequence[int], exclusive: bool) -> list[float]:
    """The ends of the commits, ascending: of those of one group also no later than the next one's lock, if it is exclusive."""
    ends = np.array([row.end for row in commits])
    if exclusive:
        number = np.argsort(np.array(group, dtype=np.int64), kind="stable").tolist()
        for one, following in pairwise(number):
            if group[one] == group[following]:
                ends[one] = min(ends[one], commits[following].lock)
    return [float(end) for end in np.minimum.accumulate(ends[::-1])[::-1]]


def _place(row: Ended, place: dict[int, int], own: list[int], ends: list[float]) -> int:
    """Before which commit an attempt ended that has none; `own` are the commits of its session."""
    if row.newest != UNKNOWN:
        return place[row.newest] + 1
    by_clock = bisect_right(ends, row.end)
    if row.outcome == TIMED_OUT:
        return max(by_clock, place[row.snapshot] + 1)
    following = bisect_right(own, place[row.base])
    return min(max(by_clock, place[row.base] + 1), own[following] if following < len(own) else len(ends))


def rows_by_revision(rows: Sequence[Ended]) -> dict[int, int]:
    """Which row made each commit; -1 made what was there before."""
    return {row.revision: number for number, row in enumerate(rows) if row.outcome == COMMITTED} | {INITIAL: -1}


def seen_by(rows: Sequence[Ended], row_of: dict[int, int]) -> list[int]:
    """How many rows had ended when each row's base was read: all up to the newest commit there was, or by the clock."""
    ends: Floats = np.array([row.end for row in rows])
    seen = []
    for number, row in enumerate(rows):
        if row.newest != UNKNOWN:
            seen.append(row_of[row.newest] + 1)
        elif row.outcome == TIMED_OUT:
            seen.append(number)
        else:
            seen.append(min(max(int(np.searchsorted(ends, row.lock, side="right")), row_of[row.base] + 1), number))
    return seen
