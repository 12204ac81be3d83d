"""A live flow: the twin of `simpy_model.Flow`, with real waits and a real store, for any discipline."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from simlib.case.discipline import FIELDS_STORED
from simlib.case.evaluator import evaluate, merge
from simlib.case.guards import FIELDS, OWNER, REORDERED, VERSION, lets_through
from simlib.case.snapshots import DIRECT, IN_LOCK, INHERITED, MEMORY, NONE
from simlib.common.arrays import Codes
from simlib.model.history import COMMITTED, CONFLICT, FAILED, TIMED_OUT
from simlib.model.plan import Plan
from simlib.model.terms import (
    ENTRY,
    FLOW,
    MERGE,
    NO_LOCK,
    NO_SPAN,
    SCOPES,
    STORE,
    TRANSACTION,
    AttemptTimes,
    Terms,
    Timetable,
)
from simlib.testbed.entry import INITIAL, UNKNOWN, Entry, Expected, SessionStore, Written, clock
from simlib.testbed.job import Ended, Job
from simlib.testbed.locks import THE_STORE, Locks


class Tried(NamedTuple):
    """Which attempt at which transaction it is, when the first one began, and how long its parts take."""

    step: int
    site: int
    number: int
    began: float
    times: AttemptTimes


class Verdict(NamedTuple):
    """What became of a write: the commit, or the entry that it lost against; the outcome; and when that was decided."""

    found: Written | Entry
    outcome: int
    compared: float


@dataclass
class Process:
    """What the flows of one process share.

    Attributes:
        job: what it was told.
        store, locks: its ways to the store.
        plan, terms, timetable: what the models go by too.
        nothing: an empty entry, for a transaction that has read nothing.
        memory: of each session the entry that this process last read or wrote.
        ended: the attempts that ended so far.
    """

    job: Job
    store: SessionStore
    locks: Locks
    plan: Plan
    terms: Terms
    timetable: Timetable
    nothing: Entry
    times: list[AttemptTimes] = field(default_factory=list)
    memory: dict[int, Entry] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)

    def times_of(self, attempt: int) -> AttemptTimes:
        """How long the parts of that attempt take, from 1."""
        while attempt > len(self.times):
            self.times.append(self.timetable.attempt(len(self.times) + 1).plain())
        return self.times[attempt - 1]

    def judge(self, tried: Tried, snapshot: Entry, fresh: Entry) -> int:
        """What becomes of a write whose guard is shown `fresh`: COMMITTED, if it may go on."""
        terms, site, requests = self.terms, tried.site, self.job.traffic.request
        committed = fresh.newest != snapshot.newest if terms.of_store[site] else fresh.revision != snapshot.revision
        ever, entries = fresh.revision != INITIAL, np.stack([snapshot.codes, fresh.codes])
        if lets_through(terms.guards, terms.program, site, committed, ever, entries, 0, 1, requests, tried.step):
            return COMMITTED
        return self.rejected(tried)

    def rejected(self, tried: Tried) -> int:
        """What becomes of a write that is rejected; COMMITTED: it is made all the same."""
        return CONFLICT if tried.number < self.terms.attempts[tried.site] else self.terms.used_up[tried.site]

    def patched(self, step: int, snapshot: Entry, fresh: Entry) -> Codes:
        """(fields,) the value codes that the strategy leaves."""
        job, site = self.job, self.plan.site[step]
        patch, entry = np.empty((2, fresh.codes.size), dtype=np.int32)
        entries = np.stack([snapshot.codes, fresh.codes])
        evaluate(job.strategy.program, site, entries, 0, 1, job.traffic.request, step, patch)
        merge(fresh.codes, patch, entry)
        return entry


@dataclass
class Flow:
    """One flow: its transactions, one after the other. `held` says of each scope for what span it holds the lock."""

    process: Process
    number: int
    session: int
    held: list[int] = field(default_factory=lambda: [NO_SPAN, NO_SPAN])
    shown: dict[int, Entry] = field(default_factory=dict)
    noted: int = -1  # which of the process's ended attempts is this flow's last

    async def live(self) -> None:
        """All transactions, up to one that fails loudly: each as many attempts as it takes."""
        process, plan = self.process, self.process.plan
        first = plan.first[self.number]
        for step in range(first, plan.first[self.number + 1]):
            if step > first:
                await asyncio.sleep(plan.after[step])
            began, number, outcome = clock(), 0, CONFLICT
            while outcome == CONFLICT:
                number += 1
                times = process.times_of(number)
                outcome = await self.attempt(Tried(step, plan.site[step], number, began, times))
                if outcome == CONFLICT and times.pause[step]:
                    await asyncio.sleep(times.pause[step])
            self.let_go(TRANSACTION)
            if outcome in (TIMED_OUT, FAILED):
                break
        self.let_go(FLOW)

    async def attempt(self, tried: Tried) -> int:
        """Read, prepare, queue, lock, and write or be rejected; returns the outcome.

        The patch is a function of snapshot, fresh entry and request alone, so it is evaluated where all three are at hand. The
        time that computing it takes is spent before the queue or in the lock, as the strategy says.
        """
        process, store, kind = self.process, self.process.store, self.process.plan.reads[tried.step]
        if tried.number == 1:
            for span in (FLOW, TRANSACTION):
                if not await self.takes(span, tried):
                    return self.time_out(tried, tried.began, tried.began, process.nothing)
        read = clock()
        snapshot = self.look_before(kind, tried)
        if tried.times.prepare[tried.step]:
            await asyncio.sleep(tried.times.prepare[tried.step])
        queued = clock()
        if not await self.takes(MERGE, tried):
            return self.time_out(tried, read, queued, snapshot)
        lock = clock()
        if kind == IN_LOCK:
            snapshot = self.remember(store.read(self.session))
        base = store.fresh(self.session)
        if kind == NONE:
            snapshot = base
        self.shown[tried.step] = snapshot
        write = self.write_locked if self.held[STORE] or self.held[ENTRY] else self.write_unlocked
        found, outcome, compared = await write(tried, snapshot, base, lock)
        self.note(tried, outcome, (read, queued, lock, compared), snapshot.revision, found)
        if outcome != CONFLICT or not process.terms.keeps[tried.site]:
            self.let_go(MERGE)
        return outcome

    async def write_locked(self, tried: Tried, snapshot: Entry, base: Entry, lock: float) -> Verdict:
        """Compare, hold, commit."""
        process, compared = self.process, lock
        if process.terms.attempts[tried.site]:
            outcome, compared = process.judge(tried, snapshot, base), clock()
            if outcome != COMMITTED:
                return Verdict(base, outcome, compared)
            if tried.times.gap[tried.step]:
                await asyncio.sleep(tried.times.gap[tried.step])
        if tried.times.hold[tried.step]:
            await asyncio.sleep(tried.times.hold[tried.step])
        return Verdict(await self.put(tried, snapshot, base), COMMITTED, compared)

    async def write_unlocked(self, tried: Tried, snapshot: Entry, base: Entry, lock: float) -> Verdict:
        """Hold; then compare in the moment of the write, or right before it."""
        process, compared = self.process, lock
        if tried.times.hold[tried.step]:
            await asyncio.sleep(tried.times.hold[tried.step])
        if process.terms.attempts[tried.site]:
            if process.terms.atomic[tried.site]:
                return await self.put_if(tried, snapshot, base)
            now = process.store.fresh(self.session)
            outcome, compared = process.judge(tried, snapshot, now), clock()
            if outcome != COMMITTED:
                return Verdict(now, outcome, compared)
            if tried.times.gap[tried.step]:
                await asyncio.sleep(tried.times.gap[tried.step])
        return Verdict(await self.put(tried, snapshot, base), COMMITTED, compared)

    async def put(self, tried: Tried, snapshot: Entry, base: Entry) -> Written | Entry:
        """Write, whatever the store holds by now."""
        process, step = self.process, tried.step
        if process.terms.stored == FIELDS_STORED:
            return await process.store.rework(self.session, step, lambda fresh: process.patched(step, snapshot, fresh))
        return await process.store.commit(self.session, step, base, process.patched(step, snapshot, base))

    async def put_if(self, tried: Tried, snapshot: Entry, base: Entry) -> Verdict:
        """Write if the guard lets it through in that very moment."""
        process, store, step = self.process, self.process.store, tried.step
        rejected, stores_fields = process.rejected(tried), process.terms.stored == FIELDS_STORED
        expected = self.expected(tried.site, snapshot)

        def decide(fresh: Entry) -> Codes | None:
            judged = process.judge(tried, snapshot, fresh)
            return process.patched(step, snapshot, fresh if stores_fields else base) if judged == COMMITTED else None

        found: Written | Entry
        if rejected == COMMITTED:
            found = await self.put(tried, snapshot, base)
        elif stores_fields or expected is None:
            found = await store.rework(self.session, step, decide)
        else:
            found = await store.commit(self.session, step, base, process.patched(step, snapshot, base), expected)
        if isinstance(found, Written):
            return Verdict(found if stores_fields else found._replace(base=base), COMMITTED, found.end)
        return Verdict(found, rejected, clock())

    def expected(self, site: int, snapshot: Entry) -> Expected | None:
        """What the guard lets through, as what the store must show; None: that depends on what is written."""
        terms = self.process.terms
        compared = terms.guards.compared[site]
        if compared == OWNER:
            return None
        if compared == FIELDS:
            fields = np.flatnonzero(terms.guards.fields[site]).tolist()
            return Expected(codes={field: int(snapshot.codes[field]) for field in fields})
        if compared == VERSION and terms.of_store[site]:
            return Expected(newest=snapshot.newest)
        return Expected(revision=INITIAL if compared == REORDERED else snapshot.revision)

    def look_before(self, kind: int, tried: Tried) -> Entry:
        """The snapshot that is read before the lock; nothing if it is read in the lock."""
        process, session = self.process, self.session
        if kind == INHERITED and tried.number == 1:
            back = process.plan.inherits[tried.step]
            return self.shown[tried.step - back] if back else process.nothing
        if kind in (IN_LOCK, NONE):
            return process.nothing
        if kind == MEMORY and session in process.memory:
            return process.memory[session]
        past_cache = kind in (DIRECT, INHERITED, MEMORY)
        return self.remember(process.store.direct(session) if past_cache else process.store.read(session))

    def remember(self, entry: Entry) -> Entry:
        """What this process has read last."""
        self.process.memory[self.session] = entry
        return entry

    async def takes(self, span: int, tried: Tried) -> bool:
        """Take the lock of that span, if there is one to take; returns whether the transaction may go on."""
        process = self.process
        scope = process.terms.scope[span][tried.step]
        if scope == NO_LOCK or self.held[scope]:
            return True
        if await process.locks.take(self.key(scope), process.terms.timeout[span][tried.site]):
            self.held[scope] = span
            return True
        return bool(process.terms.goes_on[span][tried.site])

    def let_go(self, span: int) -> None:
        """Let go of the locks that are held for this span, or a shorter one."""
        for scope in SCOPES:
            if NO_SPAN < self.held[scope] <= span:
                self.held[scope] = NO_SPAN
                self.process.locks.let_go(self.key(scope))
                if self.noted >= 0:
                    self.process.ended[self.noted] = self.process.ended[self.noted]._replace(released=clock())

    def key(self, scope: int) -> int:
        """Which lock of that scope this flow takes."""
        return THE_STORE if scope == STORE else self.session

    def note(
        self, tried: Tried, outcome: int, times: tuple[float, float, float, float], snapshot: int, found: Written | Entry
    ) -> None:  # fmt: skip
        """Write down what became of an attempt that was granted its locks."""
        process, begun = self.process, (tried.step, tried.number, outcome, tried.began, *times)
        if isinstance(found, Written):
            base = found.base
            newest = UNKNOWN if base.newest == UNKNOWN else found.revision
            process.memory[self.session] = Entry(found.codes, found.revision, newest)
            ended = Ended(
                *begun, found.end, snapshot, base.revision, base.newest, found.revision, found.order, found.codes, found.end
            )  # fmt: skip
        else:
            now = clock()
            ended = Ended(*begun, now, snapshot, found.revision, found.newest, INITIAL, now, process.nothing.codes, now)
        self.noted = len(process.ended)
        process.ended.append(ended)

    def time_out(self, tried: Tried, read: float, queued: float, snapshot: Entry) -> int:
        """Write down an attempt that was not granted a lock in time; returns the outcome."""
        now, nothing = clock(), self.process.nothing.codes
        times = (tried.began, read, queued, now, now, now)
        ended = Ended(
            tried.step, tried.number, TIMED_OUT, *times, snapshot.revision, UNKNOWN, UNKNOWN, INITIAL, now, nothing, now
        )  # fmt: skip
        self.process.ended.append(ended)
        return TIMED_OUT
