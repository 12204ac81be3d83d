"""How the lock and the caches of a store work, inferred from a history.

A history says when a snapshot was read, when the lock was had, and when a commit was noted. What it does not say is inferred
from pairs of transactions:

- `gap`: from a noted commit to the next transaction's lock, when that one had been waiting.
- `acquire`: from the moment when the lock could be taken to the moment when the transaction noted that it had it.
- `early`: how long before its noted time a commit is seen by readers (a build notes it after the rename, and after what
  follows). The lock is free `early + gap - acquire` after readers see the commit.
- `poll` and `tick`, where several processes share the store: how long one waits that finds the lock taken, and how coarse the
  mtime is by which a cache notices another one's commit.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from simlib.case.case import Case
from simlib.common.arrays import Bools, Floats
from simlib.model.history import History
from simlib.workload.workload import Store

ENOUGH = 20
"""Fewer pairs than this say nothing."""
FEW = 5
"""Fewer waits for another process than this say nothing: they are long, and much alike."""
COARSEST = 0.1
"""Seconds; no file system that is in use notes mtimes more coarsely, but for FAT, which is ten times as bad and more."""

WAITED = 0.25
"""Share of the usual hold: one that began so long before the last commit was noted has waited for it. Who came later may have
found the lock free already, as a commit is noted late. In the shipped recordings 0.05 to 0.5 give one gap to 1.5 %."""
EARLIEST = 0.5
"""Share of the usual hold: no commit is seen earlier before its noted time. More would be the doing of a few odd reads; in the
shipped recordings it is 0.4 at most, so this bounds nothing there."""
LAST_MOMENT = 0.25
"""Share of the median wait: who waited less for another process came in the last moment of its hold, and tells nothing of the
poll. In the shipped recordings nobody did; 0 to 0.75 all give the same."""
SHORTEST = 0.1
"""Quantile of the other waits that stands for a single try: the least of them is an outlier, and from the middle on there are
waits of two tries. In the shipped recordings 0.05 to 0.3 give one poll to 1 %."""


@dataclass(frozen=True)
class Locking:
    """How the lock works in a history of n transactions. Times in seconds.

    Attributes:
        known: (sites,) whether the history tells when a transaction of that site began to wait.
        acquire: (n,) from the moment when the lock was free and the transaction wanted it until it noted that it had it.
        gap: from a noted commit to the next lock, somebody waiting.
        early: how long before its noted time a commit is seen.
        release: from the commit (as seen by readers) until the lock is free.
        poll: how long a process waits before it tries again for a lock that another process has; None: hardly ever seen.
        tick: the resolution of the mtime by which caches notice another process's commit; None: hardly ever put to the test.
    """

    known: tuple[bool, ...]
    acquire: Floats
    gap: float
    early: float
    release: float
    poll: float | None
    tick: float | None

    def began_in(self, history: History) -> Floats:
        """(n,) when each transaction began to wait; where its site does not tell, when it read."""
        return np.where(np.array(self.known)[history.site], history.queued, history.read)

    def hold_in(self, history: History) -> Floats:
        """(n,) the model's hold: from the moment when the lock could be taken until readers see the commit."""
        return np.maximum(history.end - history.lock - self.early, 0.0) + self.acquire


def find_locking(history: History, case: Case) -> Locking:
    """Infer how the lock works; see the top of this file."""
    sites = range(len(history.sites))
    known = tuple(bool((history.queued > history.read)[history.site == site].any()) for site in sites)
    began = np.where(np.array(known)[history.site], history.queued, history.read)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(history.end)[:-1]])
    alone = history.ok & (began > before)
    same = np.concatenate([[False], history.gateway[1:] == history.gateway[:-1]])
    waited = history.ok & same & (began < before - WAITED * np.median(history.end - history.lock))
    free = float(np.median((history.lock - began)[alone])) if alone.any() else 0.0
    gap = float(np.median((history.lock - before)[waited])) if waited.sum() >= ENOUGH else free
    # A waiting process polls the lock file of another one: how long it then takes to get the lock is the poll's doing.
    acquire = history.lock - np.maximum(began, before + gap - free)
    acquire = np.where(alone | same, np.maximum(acquire, 0.0), free)
    own = case.reads_own[history.site]
    early = min(EARLIEST * float(np.median(history.end - history.lock)), _early(history, own))
    first_in_line = history.ok & (_last_end_of_own_gateway(history) <= began)
    poll = _poll(history, began, first_in_line & ~same & (began < before - free), free)
    free_at = _free_for_others(history, began, first_in_line, poll) if poll else None
    return Locking(
        known=known,
        acquire=acquire,
        gap=gap,
        early=early,
        release=max(0.0, early + (gap - free if free_at is None else free_at)),
        poll=poll,
        tick=_tick(history, own),
    )


def _last_end_of_own_gateway(history: History) -> Floats:
    """(n,) when the last transaction before it of the same gateway had ended."""
    ends = np.full(len(history), -np.inf)
    for gateway in np.unique(history.gateway):
        rows = np.flatnonzero(history.gateway == gateway)
        ends[rows[1:]] = np.maximum.accumulate(history.end[rows])[:-1]
    return ends


def _poll(history: History, began: Floats, found_taken: Bools, free: float) -> float | None:
    """The shortest usual wait of those who found the lock with another process, and nobody before them in their own.

    Not the median, as most need more than one try where the lock is held for long; without those who came in its last moment
    and hardly waited at all.
    """
    waits = (history.lock - began)[found_taken]
    if waits.size < FEW:
        return None
    return float(np.quantile(waits[waits >= LAST_MOMENT * np.median(waits)], SHORTEST)) - free


def _free_for_others(history: History, began: Floats, first_in_line: Bools, poll: float) -> float | None:
    """From a noted commit until another process that asks then finds the lock free; may be negative. None: too few asked."""
    commits, asks = np.flatnonzero(history.ok), np.flatnonzero(first_in_line)
    # Who had the lock last before somebody asked: not the asker, who may get it in the same instant.
    holder = commits[np.maximum(np.searchsorted(history.lock[commits], began[asks]) - 1, 0)]
    other = (history.gateway[holder] != history.gateway[asks]) & (history.lock[holder] < began[asks])
    after = (began[asks] - history.end[holder])[other]
    polled = (history.lock - began)[asks][other] > poll / 2
    return _threshold(after, polled) if polled.sum() >= ENOUGH else None


def _early(history: History, own: Bools) -> float:
    """The time before a noted commit from which on readers saw it: the threshold that most reads during a hold agree with."""
    ahead, seen = [], []
    for session in range(history.initial.shape[0]):
        rows = np.flatnonzero((history.session == session) & history.ok)
        reads = rows[own[rows]]
        holder = rows[np.searchsorted(history.end[rows], history.read[reads])]  # at the latest the one that reads
        during = (holder != reads) & (history.lock[holder] < history.read[reads])
        ahead.append((history.end[holder] - history.read[reads])[during])
        seen.append((history.snapshot[reads] >= holder)[during])
    return max(0.0, _threshold(np.concatenate(ahead), np.concatenate(seen)))


def _tick(history: History, own: Bools) -> float | None:
    """The resolution of the store's mtime, 0 if no commit ever went unnoticed; None if hardly any could have.

    A cache that was loaded after one commit does not notice another process's next one if both are in the same tick, which has
    probability 1 - gap / tick. The tick is the one for which that adds up to the reads that were seen to be behind.
    """
    commits, reads = np.flatnonzero(history.ok), np.flatnonzero(own)
    last = np.searchsorted(history.end[commits], history.read[reads], side="right") - 1
    reads, last = reads[last >= 1], last[last >= 1]
    newest, one_before = commits[last], commits[last - 1]
    foreign = (history.session[newest] == history.session[reads]) & (history.gateway[newest] != history.gateway[reads])
    reads, newest, one_before = reads[foreign], newest[foreign], one_before[foreign]
    knew = history.gateway[one_before] == history.gateway[reads]
    for gateway in np.unique(history.gateway):
        loads = np.sort(history.read[own & (history.gateway == gateway)])
        loaded = np.searchsorted(loads, history.end[newest]) > np.searchsorted(loads, history.end[one_before])
        knew |= loaded & (history.gateway[reads] == gateway)
    gaps = np.maximum((history.end[newest] - history.end[one_before])[knew], 1e-9)
    behind = int((history.snapshot[reads] < newest)[knew].sum())

    def expected(tick: float) -> float:
        return float(np.maximum(0.0, 1 - gaps / tick).sum())

    if max(behind, expected(Store().mtime_tick)) < FEW:
        return None
    if not behind:
        return 0.0
    return (
        float(optimize.brentq(lambda tick: expected(tick) - behind, 1e-9, COARSEST))
        if behind < expected(COARSEST)
        else COARSEST
    )


def _threshold(values: Floats, below: Bools) -> float:
    """The threshold with which most agree that `values` are below it where `below` says so; -inf where none of them is.

    Of several that are equally good, the middle of the lowest.
    """
    order = np.argsort(values)
    values, below = values[order], below[order]
    # wrong[i]: how many disagree if the first i values are below.
    wrong = np.concatenate([[0], np.cumsum(~below)]) + np.concatenate([np.cumsum(below[::-1])[::-1], [0]])
    best = int(np.argmin(wrong))
    if best == 0:
        return -np.inf
    return float((values[best - 1] + values[min(best, values.size - 1)]) / 2)
