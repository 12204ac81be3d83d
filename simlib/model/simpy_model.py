"""The SimPy model: processes that share one store, and the flows that write to it under any discipline.

A transaction reads an entry, prepares a patch, queues, takes a lock, holds it while the store is rewritten, and commits; a
guard may reject it, and it may be tried again. Which locks it takes, how it reads and what is compared, `Discipline` says;
`Terms` are its tables. Time is in seconds. Values play no part, unless a guard looks at them: which commit a snapshot shows,
and who commits when, is all that the patch strategies need to be judged afterwards (`replay`).

A rejected write lets go of its lock at once; only one that commits holds it for `Store.release` longer.

Not modelled: the event loop of a gateway (its own computing delays nothing else), the queue that holds back a second run of one
session, and a crash while a lock is held. Flows that wait for each other's locks within a process wait for ever, and leave no
row.
"""

from dataclasses import dataclass, field

import simpy

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.case.guards import lets_through
from simlib.case.snapshots import IN_LOCK, INHERITED, LAGGED, MEMORY, NO_COMMIT, NONE, OWN
from simlib.model.history import COMMITTED, CONFLICT, FAILED, TIMED_OUT, History
from simlib.model.plan import Plan, Row, Tried, make_attempts, make_history, make_plan, make_rows
from simlib.model.simpy_store import THE_STORE, Entries, Gateway, Process, Shown, StoreFile
from simlib.model.terms import (
    FIELDS_STORED,
    FLOW,
    MERGE,
    NO_LOCK,
    NO_SPAN,
    STORE,
    STORE_STORED,
    TRANSACTION,
    AttemptTimes,
    Terms,
    Timetable,
    make_terms,
)
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload


@dataclass
class Run:
    """What all flows of a replicate share."""

    env: simpy.Environment
    file: StoreFile
    plan: Plan
    terms: Terms
    timetable: Timetable
    entries: Entries
    plain: bool
    times: list[AttemptTimes] = field(default_factory=list)

    def times_of(self, attempt: int) -> AttemptTimes:
        """How long the parts of that attempt take, from 1."""
        if attempt > len(self.times):
            self.times.append(self.timetable[attempt].plain())
        return self.times[attempt - 1]

    def write(self, row: Row, tried: Tried) -> None:
        """Write down how an attempt ended, once it has been committed or rejected."""
        self.file.rows.append(row)
        if not self.plain:
            self.file.tried.append(tried)

    def accepts(self, step: int, session: int, shown: Shown) -> bool:
        """Whether the guard of this transaction's site lets it write now."""
        file, terms, entries, site = self.file, self.terms, self.entries, self.plan.site[step]
        (snapshot, seen), newest = shown, file.newest[session]
        committed = file.last >= seen if terms.of_store[site] else newest != snapshot
        stale, fresh = entries.row_of(snapshot, session), entries.row_of(newest, session)
        ever = session in file.written
        return bool(
            lets_through(
                terms.guards, terms.program, site, committed, ever, entries.table, stale, fresh, entries.requests, step
            )
        )


@dataclass
class Flow:
    """One flow: its transactions, one after the other. `held` says of each scope for what span it holds the lock."""

    run: Run
    gateway: Gateway
    number: int
    session: int
    held: list[int] = field(default_factory=lambda: [NO_SPAN, NO_SPAN])
    shown: dict[int, Shown] = field(default_factory=dict)

    def live(self) -> Process:
        """All transactions, up to one that fails loudly."""
        plan, env = self.run.plan, self.run.env
        first = plan.first[self.number]
        for step in range(first, plan.first[self.number + 1]):
            if step > first:
                yield env.timeout(plan.after[step])
            outcome = yield from self.transaction(step)
            if outcome in (TIMED_OUT, FAILED):
                break
        self.let_go(FLOW)

    def transaction(self, step: int) -> Process:
        """As many attempts as it takes, between the locks that are held for longer than one; returns the last one's outcome."""
        env, scope = self.run.env, self.run.terms.scope
        began, attempt, outcome = env.now, 1, CONFLICT
        for span in (FLOW, TRANSACTION):
            if scope[span][step] != NO_LOCK and not (yield from self.take(span, step)):
                return self.time_out(step, 1, began, began, began, NO_COMMIT)
        while True:
            times = self.run.times_of(attempt)
            outcome = yield from self.attempt(step, attempt, times, began)
            if outcome != CONFLICT:
                break
            if times.pause[step]:
                yield env.timeout(times.pause[step])
            attempt += 1
        self.let_go(TRANSACTION)
        return outcome

    def attempt(self, step: int, attempt: int, times: AttemptTimes, began: float) -> Process:
        """Read - prepare - queue - lock - compare - hold - commit; returns the outcome."""
        run, env, file, session = self.run, self.run.env, self.run.file, self.session
        terms, site, kind = run.terms, run.plan.site[step], run.plan.reads[step]
        read = env.now
        shown = self.look_before(step, kind, attempt, times)
        if times.prepare[step]:
            yield env.timeout(times.prepare[step])
        queued = env.now
        if terms.scope[MERGE][step] != NO_LOCK and not (yield from self.take(MERGE, step)):
            return self.time_out(step, attempt, began, read, queued, shown[0])
        lock = env.now
        if kind == IN_LOCK:
            shown = self.look(kind, 0.0)
        elif kind == NONE:
            shown = file.newest[session], len(file.rows)
        self.shown[step] = shown
        base, seen, guarded = file.newest[session], len(file.rows), terms.attempts[site] > 0
        locked = self.held != [NO_SPAN, NO_SPAN]
        if guarded and times.check[step]:
            yield env.timeout(times.check[step])
        if not locked:  # the comparison is made as the write is, or right before
            yield env.timeout(times.hold[step])
        if guarded:
            outcome = COMMITTED
            if not run.accepts(step, session, shown):
                outcome = CONFLICT if attempt < terms.attempts[site] else terms.used_up[site]
            if outcome != COMMITTED:
                end = env.now
                file.reject()
                run.write(
                    (step, read, queued, lock, end, False, shown[0]),
                    (attempt, outcome, file.newest[session], len(file.rows), began),
                )
                if outcome != CONFLICT or not terms.keeps[site]:
                    self.let_go(MERGE)
                return outcome
            if times.gap[step]:
                yield env.timeout(times.gap[step])
        if locked:
            yield env.timeout(times.hold[step])
        end = env.now
        if terms.stored == FIELDS_STORED:
            base, seen = file.newest[session], len(file.rows)
        if terms.evaluates:
            run.entries.commit(len(file.rows), site, session, shown[0], base, step)
        self.gateway.memory[session] = len(file.rows), len(file.rows) + 1
        file.commit(session, end, seen)
        run.write((step, read, queued, lock, end, True, shown[0]), (attempt, COMMITTED, base, seen, began))
        self.gateway.refresh()
        if locked and file.settings.release:
            yield env.timeout(file.settings.release)
        self.let_go(MERGE)
        return COMMITTED

    def time_out(self, step: int, attempt: int, began: float, read: float, queued: float, snapshot: int) -> int:
        """The transaction has waited too long for a lock, and fails loudly."""
        file, now = self.run.file, self.run.env.now
        file.reject()
        self.run.write((step, read, queued, now, now, False, snapshot), (attempt, TIMED_OUT, NO_COMMIT, len(file.rows), began))
        return TIMED_OUT

    def look_before(self, step: int, kind: int, attempt: int, times: AttemptTimes) -> Shown:
        """The snapshot that is read before the lock; nothing if it is read in the lock."""
        if kind == INHERITED and attempt == 1:
            back = self.run.plan.inherits[step]
            return self.shown[step - back] if back else (NO_COMMIT, 0)
        if kind in (IN_LOCK, NONE):
            return NO_COMMIT, 0
        return self.look(kind, times.lag[step])

    def look(self, kind: int, lag: float) -> Shown:
        """Read the entry, in the way of this kind."""
        gateway, file, session = self.gateway, self.run.file, self.session
        if kind == MEMORY and session in gateway.memory:
            return gateway.memory[session]
        if kind in (OWN, IN_LOCK):
            seen = gateway.cached()
        else:
            seen = file.ended_by(self.run.env.now - lag) if kind == LAGGED else len(file.rows)
        shown = file.shows(session, seen), seen
        gateway.memory[session] = shown
        return shown

    def take(self, span: int, step: int) -> Process:
        """Take the lock of that span, unless the flow has it; returns whether the transaction may go on."""
        terms, site = self.run.terms, self.run.plan.site[step]
        scope = terms.scope[span][step]
        if self.held[scope] != NO_SPAN:
            return True
        lock = THE_STORE if scope == STORE else self.session
        if self.gateway.take(lock) or (yield from self.gateway.wait_for(lock, terms.timeout[span][site])):
            self.held[scope] = span
            return True
        return terms.goes_on[span][site]

    def let_go(self, span: int) -> None:
        """Let go of the locks that are held for this span, or a shorter one."""
        for scope, until in enumerate(self.held):
            if NO_SPAN < until <= span:
                self.held[scope] = NO_SPAN
                self.gateway.let_go(THE_STORE if scope == STORE else self.session)


def arrive(run: Run, gateways: list[Gateway]) -> Process:
    """Start every flow at its time of arrival."""
    env, plan = run.env, run.plan
    for number, time in enumerate(plan.arrive):
        yield env.timeout(max(0.0, time - env.now))  # `now` may be past a tied arrival by a rounding error
        env.process(Flow(run, gateways[plan.gateway[number]], number, plan.session[number]).live())


def simulate(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline | None = None) -> History:
    """Run the flows of one replicate to their end.

    Args:
        workload: the store's settings, the times of later attempts, and the names of the values.
        case: the write sites.
        traffic: the draws.
        discipline: when it reads and commits (`Strategy.discipline`); the usual one if None.

    Returns:
        The history: a row for each attempt, in the order in which they ended; `attempts` is None if the discipline is plain.
    """
    discipline = discipline or case.plain()
    plan = make_plan(case, traffic, discipline)
    terms, env = make_terms(workload, case, traffic, discipline), simpy.Environment()
    file = StoreFile(workload.store, terms.stored == STORE_STORED, newest=[NO_COMMIT] * workload.sessions.count)
    run = Run(
        env=env,
        file=file,
        plan=plan.plain(),
        terms=terms.plain(),
        timetable=Timetable(workload, case, traffic, discipline, plan),
        entries=Entries(terms, traffic.request, traffic.initial, workload.sessions.count),
        plain=case.is_plain(discipline),
    )
    gateways = [Gateway(env, file) for _ in range(workload.store.gateways)]
    env.process(arrive(run, gateways))
    env.run()
    rows, step = make_rows(traffic, file.rows)
    return make_history(workload, case, traffic, rows, step, None if run.plain else make_attempts(step, file.tried))
