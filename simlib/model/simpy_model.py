"""The SimPy model: gateways that share one store file, and the flows that write to it.

A *gateway* is a process with a FIFO queue and a cache. Its transactions read an entry (through the cache), prepare, queue,
take the lock file, hold it while the file is rewritten, and commit. Time is in seconds. Values play no part here: which
commit a snapshot shows, and who commits when, is all that the patch strategies need to be judged afterwards (`replay`).

Not modelled: the event loop of a gateway (its own computing delays nothing else), the queue that holds back a second run
of one session, and a crash while the lock is held.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.case.snapshots import IN_LOCK, NO_COMMIT, NONE, OWN, cache_holds, mtime_at, visible
from simlib.model.history import History
from simlib.model.plan import Plan, Row, make_history, make_plan, make_rows
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Store, Workload

Process = Generator[simpy.Event, Any, Any]


@dataclass
class StoreFile:
    """The file that all gateways write. A row is one ended transaction; a commit is known by its row.

    Invariant: `previous` links the commits of one session from the newest (`newest[session]`) to the oldest.
    """

    settings: Store
    newest: list[int]
    previous: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    mtime: float = 0.0
    locked: bool = False

    def commit(self, session: int, now: float) -> None:
        """Make the next row this session's newest commit."""
        self.previous.append(self.newest[session])
        self.newest[session] = len(self.rows)
        self.mtime = mtime_at(now, self.settings.mtime_tick)


@dataclass
class Gateway:
    """One process: a FIFO queue for its writers, and a cached copy of the file that holds the first `seen` rows."""

    env: simpy.Environment
    file: StoreFile
    queue: deque[simpy.Event] = field(default_factory=deque)
    busy: bool = False
    seen: int = 0
    loaded: float = -np.inf
    mtime: float = -np.inf

    def read(self, session: int) -> int:
        """The commit of this session that a cached read shows."""
        file, now = self.file, self.env.now
        if not cache_holds(self.loaded, self.mtime, now, file.mtime, file.settings.cache_ttl):
            self.refresh()
        return visible(file.newest[session], self.seen, file.previous)

    def refresh(self) -> None:
        """Take the file as it is now into the cache."""
        self.seen, self.loaded, self.mtime = len(self.file.rows), self.env.now, self.file.mtime

    def take_lock(self) -> bool:
        """Take the lock if nobody is in the way; returns whether that worked."""
        if self.busy or self.file.locked:
            return False
        self.busy = self.file.locked = True
        return True

    def wait_for_lock(self) -> Process:
        """Queue, then take the lock file, polling while another process has it; returns whether that worked in time."""
        if self.busy:
            turn = self.env.event()
            self.queue.append(turn)
            yield turn
        self.busy = True
        file, settings, began, attempt = self.file, self.file.settings, self.env.now, 0
        while file.locked:
            if self.env.now - began >= settings.lock_timeout:
                return False
            attempt += 1
            yield self.env.timeout(min(settings.lock_poll_max, settings.lock_poll * attempt))
        file.locked = True
        return True

    def leave(self) -> None:
        """Let the next writer in the queue have its turn."""
        if self.queue:
            self.queue.popleft().succeed()
        else:
            self.busy = False


def flow(env: simpy.Environment, gateway: Gateway, plan: Plan, number: int) -> Process:
    """One flow: its transactions, each read - prepare - queue - lock - hold - commit, one after the other."""
    file, session = gateway.file, plan.session[number]
    snapshots: list[int] = []
    for step in range(plan.first[number], plan.first[number + 1]):
        if snapshots:
            yield env.timeout(plan.after[step])
        read = env.now
        inherits = plan.inherits[step]
        snapshot = snapshots[-inherits] if inherits else gateway.read(session) if plan.reads[step] == OWN else NO_COMMIT
        if plan.prepare[step]:
            yield env.timeout(plan.prepare[step])
        queued = env.now
        if not (gateway.take_lock() or (yield from gateway.wait_for_lock())):
            file.previous.append(NO_COMMIT)
            file.rows.append((step, read, queued, env.now, env.now, False, snapshot))
            gateway.leave()
            return  # the write failed loudly, and with it the rest of the flow
        lock = env.now
        if plan.reads[step] == IN_LOCK:
            snapshot = gateway.read(session)
        elif plan.reads[step] == NONE:
            snapshot = file.newest[session]
        yield env.timeout(plan.hold[step])
        end = env.now
        file.commit(session, end)
        file.rows.append((step, read, queued, lock, end, True, snapshot))
        gateway.refresh()
        if file.settings.release:
            yield env.timeout(file.settings.release)
        file.locked = False
        gateway.leave()
        snapshots.append(snapshot)


def arrive(env: simpy.Environment, gateways: list[Gateway], plan: Plan) -> Process:
    """Start every flow at its time of arrival."""
    for number, time in enumerate(plan.arrive):
        yield env.timeout(max(0.0, time - env.now))  # `now` may be past a tied arrival by a rounding error
        env.process(flow(env, gateways[plan.gateway[number]], plan, number))


def simulate(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline | None = None) -> History:
    """Run the flows of one replicate to their end.

    Args:
        workload: the store's settings and the names of the values.
        case: the write sites.
        traffic: the draws.
        discipline: when it reads and commits (`Strategy.discipline`); the usual one if None.
    """
    plan = make_plan(case, traffic, discipline or case.plain()).plain()
    env = simpy.Environment()
    file = StoreFile(workload.store, newest=[NO_COMMIT] * workload.sessions.count)
    gateways = [Gateway(env, file) for _ in range(workload.store.gateways)]
    env.process(arrive(env, gateways, plan))
    env.run()
    return make_history(workload, case, traffic, *make_rows(traffic, file.rows))
