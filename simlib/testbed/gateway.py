"""A real gateway: one process that makes its flows' transactions against a real store.

`Gateway.flow` is the live twin of `simpy_model.flow`: read, prepare, queue, lock, hold, commit; real waits and a real store.
"""

import asyncio
import selectors
import sqlite3
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import evaluate, merge
from simlib.case.snapshots import IN_LOCK, NONE, OWN
from simlib.common.arrays import Codes, Floats, Ints
from simlib.model.plan import Plan
from simlib.testbed.stores import INITIAL, STORES, Entry, SessionStore, clock
from simlib.workload.workload import Store


@dataclass(frozen=True)
class Job:
    """What every gateway of a run is told.

    Attributes:
        store: `file` or `sqlite`.
        folder: where the store is.
        settings: the workload's section `store`.
        case, strategy: whose rules write.
        plan: the draws. Its `hold` is only the computing that is done in the lock; the rest of a hold takes what it takes.
        arrive: (flows,) seconds after the start.
        site: (transactions,) site number.
        request: (transactions, request keys) value codes.
    """

    store: str
    folder: Path
    settings: Store
    case: Case
    strategy: Strategy
    plan: Plan
    arrive: Floats
    site: Ints
    request: Codes


class Ended(NamedTuple):
    """One transaction that ended. Times on the clock, in seconds.

    `snapshot` and `fresh` are the revisions that the snapshot and the in-lock entry showed; `written`: (fields,) value codes of
    the entry committed. A transaction that gave up (not `ok`) saw no `fresh` and wrote nothing.
    """

    step: int
    read: float
    queued: float
    lock: float
    end: float
    ok: bool
    snapshot: int
    fresh: int
    written: Codes


@dataclass
class Gateway:
    """One process on the store.

    Attributes:
        number: which of the run's gateways it is.
        job: what it was told.
        store: its way to the store.
        nothing: an empty entry, for a transaction that has read nothing.
        start: when the run starts, in seconds of the clock.
        ended: the transactions that ended so far.
    """

    number: int
    job: Job
    store: SessionStore
    nothing: Entry
    start: float
    ended: list[Ended] = field(default_factory=list)

    async def arrivals(self) -> None:
        """Start every flow of this gateway at its time of arrival, and see them all to their end."""
        async with asyncio.TaskGroup() as flows:
            for number in np.flatnonzero(np.array(self.job.plan.gateway) == self.number).tolist():
                await asyncio.sleep(max(0.0, self.start + self.job.arrive[number] - clock()))
                flows.create_task(self.flow(number))

    async def flow(self, number: int) -> None:
        """One flow: its transactions, one after the other; the first that gives up ends it."""
        plan, session = self.job.plan, self.job.plan.session[number]
        snapshots: list[Entry] = []
        for step in range(plan.first[number], plan.first[number + 1]):
            if snapshots:
                await asyncio.sleep(plan.after[step])
            read = clock()
            inherits = plan.inherits[step]
            if inherits:
                snapshot = snapshots[-inherits]
            else:
                snapshot = self.store.read(session) if plan.reads[step] == OWN else self.nothing
            if plan.prepare[step]:
                await asyncio.sleep(plan.prepare[step])
            taken = await self.write(step, session, snapshot, read)
            if taken is None:
                return
            snapshots.append(taken)

    async def write(self, step: int, session: int, snapshot: Entry, read: float) -> Entry | None:
        """Queue, lock, merge the patch over the fresh entry, commit; returns the snapshot used, None if the lock timed out.

        The patch is a function of snapshot, fresh entry and request alone, so it is evaluated where all three are at hand. The
        time that computing it takes is spent before the queue or in the lock, as the strategy says.
        """
        job, plan, queued = self.job, self.job.plan, clock()
        async with self.store.queue:
            lock = await self.store.lock()
            if lock is None:
                gave_up = clock()
                self.ended.append(
                    Ended(step, read, queued, gave_up, gave_up, False, snapshot.revision, INITIAL, self.nothing.codes)
                )
                return None
            if plan.reads[step] == IN_LOCK:
                snapshot = self.store.read(session)
            fresh = self.store.fresh(session)
            if plan.reads[step] == NONE:
                snapshot = fresh
            if plan.hold[step]:
                await asyncio.sleep(plan.hold[step])
            written = patched(job, step, snapshot, fresh)
            end = await self.store.commit(session, Entry(written, step))
            self.ended.append(Ended(step, read, queued, lock, end, True, snapshot.revision, fresh.revision, written))
        return snapshot


def patched(job: Job, step: int, snapshot: Entry, fresh: Entry) -> Codes:
    """(fields,) the value codes that the strategy commits."""
    patch, entry = np.empty((2, fresh.codes.size), dtype=np.int32)
    entries = np.stack([snapshot.codes, fresh.codes])
    evaluate(job.strategy.program, job.site[step], entries, 0, 1, job.request, step, patch)
    merge(fresh.codes, patch, entry)
    return entry


def run_gateway(pipe: Connection, number: int, job: Job) -> None:
    """What the process does: say "ready", receive the start time, run, and send what ended, or one line on what went wrong."""
    try:
        # asyncio's default selector rounds every pause up to whole milliseconds, which is as long as many of ours.
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            pipe.send(runner.run(_run(number, job, pipe)))
    except* (OSError, sqlite3.Error) as group:
        pipe.send(str(_first(group)))


async def _run(number: int, job: Job, pipe: Connection) -> list[Ended]:
    store = STORES[job.store](job.folder, job.case.fields, job.settings)
    try:
        nothing = Entry(np.zeros(len(job.case.fields), dtype=np.int32), INITIAL)
        if job.site.size:
            patched(job, 0, nothing, nothing)  # compiles the evaluator before the clock starts
        store.read(0)
        pipe.send("ready")
        gateway = Gateway(number, job, store, nothing, start=pipe.recv())
        await gateway.arrivals()
        return gateway.ended
    finally:
        store.close()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
