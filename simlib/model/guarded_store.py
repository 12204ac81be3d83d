"""The store of the compiled model for any discipline: its commits, what snapshots show of it, its locks and their queues.

`simpy_store` is the specification. Numbers that change stand in arrays of one. A lock is known by its number: 0 is the whole
store's, and 1 + session an entry's.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case import snapshots
from simlib.case.discipline import STORE_STORED
from simlib.case.evaluator import merged, written
from simlib.case.guards import lets_through
from simlib.case.snapshots import IN_LOCK, LAGGED, MEMORY, NO_COMMIT, OWN
from simlib.common.compilation import compiled, inlined, inner
from simlib.model.event_loop import NOBODY, Settings
from simlib.model.history import COMMITTED, CONFLICT

visible, visible_in_copy = inlined(snapshots.visible), inlined(snapshots.visible_in_copy)
cache_holds, mtime_at = inlined(snapshots.cache_holds), inlined(snapshots.mtime_at)


class Tried(NamedTuple):
    """What is written down of each row beside `Book`: columns of `Attempts`, and `owner` and `onto` of `visible_in_copy`."""

    number: Any
    outcome: Any
    base: Any
    seen: Any
    owner: Any
    onto: Any
    began: Any


def open_tried(size: int) -> Tried:
    """Room for that many rows, in one block."""
    block = np.empty((7, size), dtype=np.int64)
    number, outcome, base, seen, owner, onto = block[:6]
    return Tried(number, outcome, base, seen, owner, onto, block[6].view(np.float64))


class File(NamedTuple):
    """The store. Of each session the newest commit, and whether there ever was one; mtime, number of rows, the last commit.

    `entries` has the initial entries, then one for each row; they are kept only if a guard looks at values.
    """

    newest: Any
    written: Any
    mtime: Any
    rows: Any
    last: Any
    entries: Any


class Gateways(NamedTuple):
    """Of each process its cache (see `Gateway`), and of each session what it remembers: a commit, and how many rows it saw."""

    seen: Any
    loaded: Any
    mtime: Any
    memory: Any
    memory_seen: Any


class Locks(NamedTuple):
    """Whether each lock is taken; of each process and lock whether it is busy, and the queue; who is behind each flow."""

    taken: Any
    busy: Any
    head: Any
    tail: Any
    behind: Any


@compiled
def make_file(initial: Any, size: int, evaluates: bool) -> File:
    """The store before the first row."""
    sessions, fields = initial.shape
    entries = np.empty((sessions + size if evaluates else 0, fields), initial.dtype)
    for session in range(sessions if evaluates else 0):
        for field in range(fields):  # one by one, which compiles in a tenth of the time
            entries[session, field] = initial[session, field]
    numbers = np.zeros((2, 1), np.int64)
    numbers[1] = NO_COMMIT
    return File(np.full(sessions, NO_COMMIT), np.zeros(sessions, np.bool_), np.zeros(1), numbers[0], numbers[1], entries)


@compiled
def make_gateways(gateways: int, sessions: int, remembers: bool) -> Gateways:
    """Processes that have seen nothing yet; without a memory, if nobody asks it."""
    times = np.full((2, gateways), -np.inf)
    memory = np.full((2, gateways if remembers else 0, sessions), NOBODY - 1)
    return Gateways(np.zeros(gateways, np.int64), times[0], times[1], memory[0], memory[1])


@compiled
def make_locks(gateways: int, locks: int, flows: int) -> Locks:
    """All locks free."""
    ends = np.full((2, gateways, locks), NOBODY)
    return Locks(np.zeros(locks, np.bool_), np.zeros((gateways, locks), np.bool_), ends[0], ends[1], np.empty(flows, np.int64))


@inner
def shows(tried: Tried, book: Any, file: File, whole: bool, session: int, seen: int) -> int:
    """The commit of this session among the first `seen` rows."""
    if seen > file.last[0]:
        return file.newest[session]  # type: ignore[no-any-return]
    if whole:
        return visible_in_copy(session, seen, tried.owner, tried.onto)
    return visible(file.newest[session], seen, book.previous)


@inner
def look(
    settings: Settings, tried: Tried, book: Any, file: File, gateways: Gateways, whole: bool, kind: int, gateway: int,
    session: int, now: float, lag: float,
) -> tuple[int, int]:  # fmt: skip
    """Read the entry, in the way of this kind: the commit that is seen, and how many rows had ended."""
    remembers = gateways.memory.shape[0] > 0
    if kind == MEMORY and gateways.memory[gateway, session] >= NO_COMMIT:
        return gateways.memory[gateway, session], gateways.memory_seen[gateway, session]
    if kind in (OWN, IN_LOCK):
        if not cache_holds(gateways.loaded[gateway], gateways.mtime[gateway], now, file.mtime[0], settings.cache_ttl):
            refresh(file, gateways, gateway, now)
        seen = gateways.seen[gateway]
    else:
        seen = _ended_by(book, file.rows[0], now - lag) if kind == LAGGED else file.rows[0]
    commit = shows(tried, book, file, whole, session, seen)
    if remembers:
        gateways.memory[gateway, session], gateways.memory_seen[gateway, session] = commit, seen
    return commit, seen


@inner
def refresh(file: File, gateways: Gateways, gateway: int, now: float) -> None:
    """Take the store as it is now into the process's cache."""
    gateways.seen[gateway], gateways.loaded[gateway], gateways.mtime[gateway] = file.rows[0], now, file.mtime[0]


@inner
def _ended_by(book: Any, rows: int, time: float) -> int:
    """How many rows had ended by that time."""
    low, high = 0, rows
    while low < high:
        middle = (low + high) >> 1
        if book.rows.end[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def judge(
    terms: Any, file: File, requests: Any, site: int, session: int, step: int, snapshot: int, seen: int, attempt: int
) -> int:  # fmt: skip
    """What becomes of a transaction that its site's guard looks at now: COMMITTED, if it may go on."""
    newest = file.newest[session]
    committed = file.last[0] >= seen if terms.of_store[site] else newest != snapshot
    stale, fresh = _row_of(file, snapshot, session), _row_of(file, newest, session)
    ever = file.written[session]
    if lets_through(terms.guards, terms.program, site, committed, ever, file.entries, stale, fresh, requests, step):
        return COMMITTED
    return CONFLICT if attempt < terms.attempts[site] else terms.used_up[site]


@inner
def _row_of(file: File, commit: int, session: int) -> int:
    """The row of the entries that shows this commit, or the initial entry."""
    return session if commit == NO_COMMIT else file.newest.size + commit


@inner
def keep_entry(
    terms: Any, file: File, requests: Any, site: int, session: int, step: int, snapshot: int, base: int
) -> None:  # fmt: skip
    """Work out what the next row leaves: its patch, merged over the entry of `base`."""
    entries, program = file.entries, terms.program
    stale, fresh, place = _row_of(file, snapshot, session), _row_of(file, base, session), file.newest.size + file.rows[0]
    for field in range(entries.shape[1]):
        entries[place, field] = entries[fresh, field]
    for rule in range(program.first[site], program.first[site + 1]):
        field = program.field[rule]
        patch, _ = written(program, rule, entries, stale, fresh, requests, step)
        entries[place, field] = merged(entries[fresh, field], patch)


@inner
def commit_row(
    settings: Settings, terms: Any, tried: Tried, book: Any, file: File, session: int, now: float, seen: int
) -> None:  # fmt: skip
    """Make the next row, which is written down afterwards, this session's newest commit."""
    row = file.rows[0]
    book.previous[row] = file.newest[session]
    if terms.stored == STORE_STORED:
        _put_back(tried, file, row - 1, seen - 1)
        tried.owner[row], tried.onto[row] = session, seen - 1
    file.newest[session] = file.last[0] = row
    file.written[session] = True
    file.mtime[0] = mtime_at(now, settings.mtime_tick)


@inner
def _put_back(tried: Tried, file: File, now: int, then: int) -> None:
    """Of what was committed since the row `then`, nothing is left: walk back to where the two stores were one."""
    seen = then + 1
    while now != then:
        now, then = max(now, then), min(now, then)
        session = tried.owner[now]
        if session != NO_COMMIT:
            file.newest[session] = visible_in_copy(session, seen, tried.owner, tried.onto)
        now = tried.onto[now]


@inner
def reject_row(terms: Any, tried: Tried, book: Any, file: File) -> None:
    """The next row is no commit."""
    row = file.rows[0]
    book.previous[row] = NO_COMMIT
    if terms.stored == STORE_STORED:
        tried.owner[row], tried.onto[row] = NO_COMMIT, row - 1


@inner
def join(locks: Locks, gateway: int, lock: int, flow: int) -> None:
    """Go to the end of the process's queue for a lock, a linked list."""
    if locks.head[gateway, lock] == NOBODY:
        locks.head[gateway, lock] = flow
    else:
        locks.behind[locks.tail[gateway, lock]] = flow
    locks.tail[gateway, lock], locks.behind[flow] = flow, NOBODY


@inner
def leave(locks: Locks, gateway: int, lock: int) -> int:
    """Who is next in that queue; NOBODY, if it is empty."""
    following = locks.head[gateway, lock]
    if following == NOBODY:
        locks.busy[gateway, lock] = False
    else:
        locks.head[gateway, lock] = locks.behind[following]
    return following  # type: ignore[no-any-return]
