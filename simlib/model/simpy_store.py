"""What the SimPy model simulates flows on: a store, its locks, and processes with queues, a cache and a memory.

What a lock is: one in the whole store, or one for each entry; the two do not exclude each other. In a process its writers queue
for it in the order in which they ask, however long that takes. The first of them polls it while another process has it, and
gives up after the time-out; with one of 0 it is refused at once unless it is free.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from simlib.case.evaluator import evaluate, merge
from simlib.case.rules import ABSENT
from simlib.case.snapshots import NO_COMMIT, cache_holds, mtime_at, visible, visible_in_copy
from simlib.common.arrays import Codes
from simlib.model.plan import Row, Tried
from simlib.model.terms import Terms
from simlib.workload.workload import Store

Process = Generator[simpy.Event, Any, Any]
Shown = tuple[int, int]
"""What a snapshot shows: the commit, and how many rows of the history had ended."""
THE_STORE = -1
"""What the lock of the whole store is of; the others are of a session."""


@dataclass(slots=True)
class StoreFile:
    """The store that all gateways write. A row is one ended attempt; a commit is known by its row.

    Invariants: `newest[session]` is the commit that its entry shows. `previous` links the commits of one session from there to
    the oldest, unless the store is written whole; then `owner` and `onto` say what it was like, see `visible_in_copy`.
    """

    settings: Store
    whole: bool
    newest: list[int]
    previous: list[int] = field(default_factory=list)
    owner: list[int] = field(default_factory=list)
    onto: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    written: set[int] = field(default_factory=set)
    last: int = NO_COMMIT
    mtime: float = 0.0
    locked: set[int] = field(default_factory=set)

    def shows(self, session: int, seen: int) -> int:
        """The commit of this session among the first `seen` rows."""
        if seen > self.last:
            return self.newest[session]
        if self.whole:
            return visible_in_copy(session, seen, self.owner, self.onto)
        return visible(self.newest[session], seen, self.previous)

    def ended_by(self, time: float) -> int:
        """How many rows had ended by that time."""
        return bisect_right(self.rows, time, key=lambda row: row[4])

    def commit(self, session: int, now: float, seen: int) -> None:
        """Make the next row this session's newest commit; who writes the whole store found it as it was after `seen` rows."""
        row = len(self.rows)
        self.previous.append(self.newest[session])
        if self.whole:
            self.put_back(row - 1, seen - 1)
            self.owner.append(session)
            self.onto.append(seen - 1)
        self.newest[session] = self.last = row
        self.written.add(session)
        self.mtime = mtime_at(now, self.settings.mtime_tick)

    def put_back(self, now: int, then: int) -> None:
        """Of what was committed since the row `then`, nothing is left: walk back to where the two stores were one."""
        seen = then + 1
        while now != then:
            now, then = max(now, then), min(now, then)
            session = self.owner[now]
            if session != NO_COMMIT:
                self.newest[session] = visible_in_copy(session, seen, self.owner, self.onto)
            now = self.onto[now]

    def reject(self) -> None:
        """The next row is no commit."""
        self.previous.append(NO_COMMIT)
        if self.whole:
            self.owner.append(NO_COMMIT)
            self.onto.append(len(self.rows) - 1)


@dataclass(slots=True)
class Queue:
    """The writers of one process that want one lock; `busy` while one of them has it, or tries to get it."""

    env: simpy.Environment
    file: StoreFile
    lock: int
    waiting: deque[simpy.Event] = field(default_factory=deque)
    busy: bool = False

    def take(self) -> bool:
        """Take the lock if nobody is in the way; returns whether that worked."""
        locked = self.file.locked
        if self.busy or self.lock in locked:
            return False
        self.busy = True
        locked.add(self.lock)
        return True

    def wait(self, timeout: float) -> Process:
        """Queue, then take the lock, polling while another process has it; returns whether that worked in time."""
        env, locked, settings = self.env, self.file.locked, self.file.settings
        if self.busy:
            if not timeout:
                return False
            called = env.event()
            self.waiting.append(called)
            yield called
        self.busy = True
        began, tries = env.now, 0
        while self.lock in locked:
            if env.now - began >= timeout:
                self.leave()
                return False
            tries += 1
            yield env.timeout(min(settings.lock_poll_max, settings.lock_poll * tries))
        locked.add(self.lock)
        return True

    def let_go(self) -> None:
        """The lock is free."""
        self.file.locked.remove(self.lock)
        self.leave()

    def leave(self) -> None:
        """Let the next one go on."""
        if self.waiting:
            self.waiting.popleft().succeed()
        else:
            self.busy = False


@dataclass(slots=True)
class Gateway:
    """One process: a queue for each lock, a cached copy of the store as after `seen` rows, and what it remembers of entries."""

    env: simpy.Environment
    file: StoreFile
    queues: dict[int, Queue] = field(default_factory=dict)
    memory: dict[int, Shown] = field(default_factory=dict)
    seen: int = 0
    loaded: float = -np.inf
    mtime: float = -np.inf

    def queue(self, lock: int) -> Queue:
        """The queue for that lock."""
        if lock not in self.queues:
            self.queues[lock] = Queue(self.env, self.file, lock)
        return self.queues[lock]

    def cached(self) -> int:
        """How many rows a cached read shows."""
        file, now = self.file, self.env.now
        if not cache_holds(self.loaded, self.mtime, now, file.mtime, file.settings.cache_ttl):
            self.refresh()
        return self.seen

    def refresh(self) -> None:
        """Take the store as it is now into the cache."""
        self.seen, self.loaded, self.mtime = len(self.file.rows), self.env.now, self.file.mtime


@dataclass(slots=True)
class Entries:
    """The values that guards look at: the initial entries, then a row of the table for each row of the history.

    Invariant: that of a commit is the entry that it left.
    """

    terms: Terms
    requests: Codes
    table: Codes
    sessions: int

    def row_of(self, commit: int, session: int) -> int:
        """The row of the table that shows this commit, or the initial entry."""
        return session if commit == NO_COMMIT else self.sessions + commit

    def commit(self, row: int, site: int, session: int, snapshot: int, base: int, step: int) -> None:
        """Work out what the next row leaves: its patch, merged over the entry of `base`."""
        place = self.row_of(row, session)
        while place >= len(self.table):
            self.table = np.concatenate([self.table, np.zeros_like(self.table)])
        stale, fresh = self.row_of(snapshot, session), self.row_of(base, session)
        patch = np.full(self.table.shape[1], ABSENT, dtype=self.table.dtype)
        evaluate(self.terms.program, site, self.table, stale, fresh, self.requests, step, patch)
        merge(self.table[fresh], patch, self.table[place])
