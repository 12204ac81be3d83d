"""The SimPy model: gateways that share one store file, and the flows that write to it.

A *gateway* is a process with a FIFO queue and a cache. Its transactions read an entry (through the cache), prepare, queue,
take the lock file, hold it while the file is rewritten, and commit. Time is in seconds. Values play no part here: which
commit a snapshot shows, and who commits when, is all that the patch strategies need to be judged afterwards (`replay`).

Not modelled: the event loop of a gateway (its own computing delays nothing else), the queue that holds back a second run
of one session, and a crash while the lock is held.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from simlib.case import Case
from simlib.history import History, Values
from simlib.traffic import Traffic
from simlib.workload import Store, Workload

Process = Generator[simpy.Event, Any, Any]
NO_COMMIT = -1


@dataclass
class StoreFile:
    """The file that all gateways write. A row is one ended transaction; a commit is known by its row.

    Invariant: `previous` links the commits of one session from the newest (`newest[session]`) to the oldest.
    """

    settings: Store
    newest: list[int]
    previous: list[int] = field(default_factory=list)
    rows: list[tuple[int, float, float, float, float, bool, int]] = field(default_factory=list)
    mtime: float = 0.0
    locked: bool = False

    def commit(self, session: int, now: float) -> None:
        """Make the next row this session's newest commit."""
        self.previous.append(self.newest[session])
        self.newest[session] = len(self.rows)
        tick = self.settings.mtime_tick
        self.mtime = now - now % tick if tick else now


@dataclass
class Gateway:
    """One process: a FIFO queue for its writers, and a cached copy of the file that holds the first `seen` rows."""

    env: simpy.Environment
    file: StoreFile
    queue: simpy.Resource
    seen: int = 0
    loaded: float = -np.inf
    mtime: float = -np.inf

    def read(self, session: int) -> int:
        """The commit of this session that a cached read shows."""
        file, now = self.file, self.env.now
        if self.mtime != file.mtime or now - self.loaded >= file.settings.cache_ttl:
            self.refresh()
        commit = file.newest[session]
        while commit >= self.seen:
            commit = file.previous[commit]
        return commit

    def refresh(self) -> None:
        """Take the file as it is now into the cache."""
        self.seen, self.loaded, self.mtime = len(self.file.rows), self.env.now, self.file.mtime

    def lock_file(self) -> Process:
        """Take the lock file, polling while another process has it; returns whether that worked in time."""
        file, settings, began, attempt = self.file, self.file.settings, self.env.now, 0
        while file.locked:
            if self.env.now - began >= settings.lock_timeout:
                return False
            attempt += 1
            yield self.env.timeout(min(settings.lock_poll_max, settings.lock_poll * attempt))
        file.locked = True
        return True


@dataclass(frozen=True)
class Plan:
    """The draws as lists (SimPy is faster on plain floats), with `compute` put before or inside the lock."""

    first: list[int]
    session: list[int]
    gateway: list[int]
    reads: list[str]
    inherits: list[int]
    after: list[float]
    prepare: list[float]
    hold: list[float]


def flow(env: simpy.Environment, gateway: Gateway, plan: Plan, number: int) -> Process:
    """One flow: its transactions, each read - prepare - queue - lock - hold - commit, one after the other."""
    file, session = gateway.file, plan.session[number]
    snapshots: list[int] = []
    for step in range(plan.first[number], plan.first[number + 1]):
        if snapshots:
            yield env.timeout(plan.after[step])
        read = env.now
        inherits = plan.inherits[step]
        snapshot = snapshots[-inherits] if inherits else gateway.read(session) if plan.reads[step] == "own" else NO_COMMIT
        if plan.prepare[step]:
            yield env.timeout(plan.prepare[step])
        queued = env.now
        with gateway.queue.request() as turn:
            yield turn
            if not (yield from gateway.lock_file()):
                file.previous.append(NO_COMMIT)
                file.rows.append((step, read, queued, env.now, env.now, False, snapshot))
                return  # the write failed loudly, and with it the rest of the flow
            lock = env.now
            if plan.reads[step] == "in_lock":
                snapshot = gateway.read(session)
            elif plan.reads[step] == "none":
                snapshot = file.newest[session]
            yield env.timeout(plan.hold[step])
            file.commit(session, env.now)
            file.rows.append((step, read, queued, lock, env.now, True, snapshot))
            gateway.refresh()
            if file.settings.release:
                yield env.timeout(file.settings.release)
            file.locked = False
        snapshots.append(snapshot)


def arrive(env: simpy.Environment, gateways: list[Gateway], plan: Plan, times: list[float]) -> Process:
    """Start every flow at its time of arrival."""
    for number, time in enumerate(times):
        yield env.timeout(time - env.now)
        env.process(flow(env, gateways[plan.gateway[number]], plan, number))


def simulate(workload: Workload, case: Case, traffic: Traffic, in_lock: frozenset[str] = frozenset()) -> History:
    """Run the flows of one replicate to their end.

    Args:
        workload: the store's settings and the names of the values.
        case: the write sites.
        traffic: the draws.
        in_lock: write sites whose computation is done while the lock is held (`Strategy.in_lock`).
    """
    plan = make_plan(case, traffic, in_lock)
    env = simpy.Environment()
    file = StoreFile(workload.store, newest=[NO_COMMIT] * workload.sessions.count)
    gateways = [Gateway(env, file, simpy.Resource(env)) for _ in range(workload.store.gateways)]
    env.process(arrive(env, gateways, plan, traffic.arrive.tolist()))
    env.run()
    return make_history(workload, case, traffic, file.rows)


def make_plan(case: Case, traffic: Traffic, in_lock: frozenset[str]) -> Plan:
    """The draws as the model uses them."""
    inside = np.isin(traffic.site, [case.sites.index(site) for site in in_lock])
    return Plan(
        first=traffic.first.tolist(),
        session=traffic.session.tolist(),
        gateway=traffic.gateway.tolist(),
        reads=[case.snapshots[site] for site in traffic.site],
        inherits=traffic.inherits.tolist(),
        after=traffic.after.tolist(),
        prepare=(traffic.prepare + np.where(inside, 0.0, traffic.compute)).tolist(),
        hold=(traffic.hold + np.where(inside, traffic.compute, 0.0)).tolist(),
    )


def make_history(workload: Workload, case: Case, traffic: Traffic, rows: list[tuple[int, float, float, float, float, bool, int]]) -> History:
    """The history of the rows (transaction, read, queued, lock, end, ok, snapshot) that a run left behind."""
    step, read, queued, lock, end, ok, snapshot = (
        np.array(column, dtype=dtype)
        for column, dtype in zip(
            zip(*rows, strict=True) if rows else [()] * 7, (np.int64, *[np.float64] * 4, np.bool_, np.int64), strict=True
        )
    )
    flows = np.repeat(np.arange(traffic.kind.size), np.diff(traffic.first))[step]
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=traffic.kinds,
        flow=flows,
        kind=traffic.kind[flows],
        site=traffic.site[step],
        session=traffic.session[flows],
        gateway=traffic.gateway[flows],
        read=read,
        queued=queued,
        lock=lock,
        end=end,
        ok=ok,
        snapshot=snapshot,
        request=traffic.request[step],
        initial=traffic.initial,
        values=Values({domain: tuple(value) if isinstance(value, list) else 0 for domain, value in workload.values.items()}),
        session_names=tuple(f"session-{number + 1}" for number in range(workload.sessions.count)),
    )
