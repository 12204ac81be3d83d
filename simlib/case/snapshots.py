"""Snapshots: what a transaction read before it writes. The one place that says what kinds there are and what each one shows.

A commit is known by its row in the history, whose rows stand in the order in which they ended. All here are plain functions of
numbers and arrays: SimPy's model calls them as they are, and the compiled model compiles the very same ones.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simlib.common.arrays import Bools, Floats, Ints

OWN, IN_LOCK, NONE, INHERITED, DIRECT, LAGGED, MEMORY = range(7)
"""The kinds. OWN: read before the lock, through the cache. IN_LOCK: read through the cache when the lock is granted. NONE: no
read, so that the snapshot is the fresh entry. INHERITED: the snapshot of an earlier step of the flow. DIRECT: read before the
lock, past the cache. LAGGED: read before the lock from a replica, which is `Times.lag` behind. MEMORY: the copy that the
process has kept since it last read or committed this entry."""
WORDS: Mapping[str, int] = {
    "own": OWN, "in_lock": IN_LOCK, "none": NONE, "direct": DIRECT, "lagged": LAGGED, "memory": MEMORY,
}  # fmt: skip
READ_BEFORE = (OWN, DIRECT, LAGGED, MEMORY)
"""Those that are the transaction's own, from before the lock."""
"""What a case file calls them; any other word names the site whose snapshot is inherited."""
NO_COMMIT = -1
"""The snapshot shows the entry that the session had before the first row."""


def kinds(words: Sequence[str]) -> Ints:
    """(sites,) the kind of each site's snapshot, given what the case file says of it."""
    return np.array([WORDS.get(word, INHERITED) for word in words], dtype=np.int64)


# ---- which commit a snapshot shows -----------------------------------------------------------------------------------------


def visible(newest: int, seen: int, previous: Any) -> int:
    """What a cache shows that holds the first `seen` rows: the newest of a session's commits that is among them.

    `newest` is the session's newest commit, and `previous` links each commit to the one before it.
    """
    commit = newest
    while commit >= seen:
        commit = previous[commit]
    return commit


def visible_in_copy(session: int, seen: int, owner: Any, onto: Any) -> int:
    """The same where each commit writes the whole store as its transaction found it, and so undoes what was committed since.

    `owner` is the session that each row committed to, NO_COMMIT if it is no commit; `onto` the row up to which the store was as
    the transaction found it: for a row that is no commit, the one before.
    """
    commit = seen - 1
    while commit != NO_COMMIT and owner[commit] != session:
        commit = onto[commit]
    return commit


def committed_by(newest: int, time: float, end: Any, previous: Any) -> int:
    """What a read shows where one process is alone, and its cache therefore up to date: the newest commit by that time."""
    commit = newest
    while commit != NO_COMMIT and end[commit] > time:
        commit = previous[commit]
    return commit


def ended_by(end: Floats, time: Floats) -> Ints:
    """How many rows had ended by each time; `visible` with as many rows seen is `committed_by`. `end` ascends."""
    return np.asarray(np.searchsorted(end, time, side="right"), dtype=np.int64)


def cache_holds(loaded: float, mtime: float, now: float, file_mtime: float, ttl: float) -> bool:
    """Whether a copy loaded at that time is still used: the file's mtime is the copy's, and the copy is younger than `ttl`."""
    return mtime == file_mtime and now - loaded < ttl


def mtime_at(now: float, tick: float) -> float:
    """The mtime of a file that is written now: the clock in whole ticks; a tick of 0 is exact."""
    return float(np.floor(now / tick)) * tick if tick else now


def previous_commits(session: Ints, ok: Bools) -> Ints:
    """(n,) the commit of the row's session before each row, which is what an up-to-date snapshot shows; else NO_COMMIT.

    >>> previous_commits(session=np.array([0, 1, 0, 0]), ok=np.array([True, True, False, True])).tolist()
    [-1, -1, 0, 0]
    """
    newest: dict[int, int] = {}
    rows = np.empty(session.size, dtype=np.int64)
    for row, (number, committed) in enumerate(zip(session.tolist(), ok.tolist(), strict=True)):
        rows[row] = newest.get(number, NO_COMMIT)
        if committed:
            newest[number] = row
    return rows


# ---- whose snapshot it is --------------------------------------------------------------------------------------------------


def sources(words: Sequence[str], sites: Sequence[str]) -> Ints:
    """(sites,) number of the site whose snapshot each site inherits; -1: none."""
    return np.array([sites.index(word) if word in sites else -1 for word in words], dtype=np.int64)


def steps_back(site: Ints, first: Ints, source: Ints) -> Ints:
    """How many steps back in its flow each transaction finds the step whose snapshot it inherits.

    Args:
        site: (transactions,) site number, flow by flow and in order.
        first: (flows + 1,) where each flow begins.
        source: (sites,) as from `sources`.

    Returns:
        (transactions,), 0 where nothing is inherited, or that step is not there.
    """
    place = np.arange(site.size)
    begins = np.repeat(first[:-1], np.diff(first))
    back = np.zeros(site.size, dtype=np.int64)
    for number in np.flatnonzero(source >= 0):
        latest = np.maximum.accumulate(np.where(site == source[number], place, -1))
        takes = (site == number) & (latest >= begins)
        back[takes] = (place - latest)[takes]
    return back


def readers(site: Ints, flow: Ints, source: Ints) -> Ints:
    """(n,) the row that read the snapshot which each row of a history uses: itself, or the step it inherits from, however far.

    -1 where that step is not there. `site` and `flow` are columns of the history, `source` is as from `sources`.
    """
    order = np.argsort(flow, kind="stable")
    first = np.append(np.flatnonzero(np.diff(flow[order], prepend=-1)), order.size)
    reader = np.arange(order.size) - steps_back(site[order], first, source)
    while (reader[reader] != reader).any():
        reader = reader[reader]
    rows = np.empty(order.size, dtype=np.int64)
    rows[order] = np.where(source[site[order][reader]] < 0, order[reader], -1)
    return rows
