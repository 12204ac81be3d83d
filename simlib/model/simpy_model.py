"""The SimPy model: processes that share one store, and the flows that write to it under any discipline.

A transaction reads an entry, prepares a patch, queues, takes a lock, holds it while the store is rewritten, and commits; a
guard may reject it, and it may be tried again. Which locks it takes, how it reads and what is compared, `Discipline` says;
`Terms` are its tables. Time is in seconds. Values play no part, unless a guard looks at them: which commit a snapshot shows,
and who commits when, is all that the patch strategies need to be judged afterwards (`replay`).

A rejected write lets go of its lock at once; only one that commits holds it for `Store.release` longer.

Not modelled: the event loop of a gateway (its own computing delays nothing else), the queue that holds back a second run of one
session, and a crash while a lock is held. Flows that wait for each other's locks within a process wait for ever, and leave no
row; `efforts.stuck` finds them, and their units of work count as failed.
"""

from dataclasses import dataclass, field

import simpy

from simlib.case.case import Case
from simlib.case.discipline import FIELDS_STORED, STORE_STORED, Discipline
from simlib.case.guards import lets_through
from simlib.case.snapshots import IN_LOCK, INHERITED, LAGGED, MEMORY, NO_COMMIT, NONE, OWN
from simlib.model.history import COMMITTED, CONFLICT, FAILED, TIMED_OUT, History
from simlib.model.plan import Plan, make_attempts, make_history, make_plan, make_rows
from simlib.model.simpy_store import THE_STORE, Entries, Gateway, Process, Shown, StoreFile
from simlib.model.terms import (
    ENTRY,
    FLOW,
    MERGE,
    NO_LOCK,
    NO_SPAN,
    STORE,
    TRANSACTION,
    AttemptTimes,
    Terms,
    Timetable,
    make_terms,
)
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

CACHED = OWN, IN_LOCK
"""Snapshots that are read through the cache."""
IN_THE_LOCK = IN_LOCK, NONE
"""Those that are read when the lock is granted."""
NOTHING = NO_COMMIT, 0
"""What a snapshot shows that has not been read."""


@dataclass(slots=True)
class Run:
    """What all flows of a replicate share."""

    env: simpy.Environment
    file: StoreFile
    plan: Plan
    terms: Terms
    timetable: Timetable
    entries: Entries
    plain: bool
    wider: tuple[int, ...]
    """Spans wider than a merge for which anybody takes a lock, the widest first."""
    times: list[AttemptTimes] = field(default_factory=list)

    def times_of(self, attempt: int) -> AttemptTimes:
        """How long the parts of that attempt take, from 1."""
        if attempt > len(self.times):
            self.times.append(self.timetable.attempt(attempt).plain())
        return self.times[attempt - 1]

    def judge(self, step: int, session: int, shown: Shown, attempt: int) -> int:
        """What becomes of a transaction that its site's guard looks at now: COMMITTED, if it may go on."""
        file, terms, entries, site = self.file, self.terms, self.entries, self.plan.site[step]
        (snapshot, seen), newest, ever = shown, file.newest[session], session in file.written
        committed = file.last >= seen if terms.of_store[site] else newest != snapshot
        rows = entries.table, entries.row_of(snapshot, session), entries.row_of(newest, session), entries.requests, step
        if lets_through(terms.guards, terms.program, site, committed, ever, *rows):
            return COMMITTED
        return CONFLICT if attempt < terms.attempts[site] else terms.used_up[site]


class Flow:
    """One flow: its transactions, one after the other.

    By scope, `queues` are where it gets its locks, and `held` says for what span it has them. `shown`: its snapshots, by step.
    """

    def __init__(self, run: Run, gateway: Gateway, number: int) -> None:
        self.run, self.gateway, self.number, self.session = run, gateway, number, run.plan.session[number]
        self.queues = gateway.queue(THE_STORE), gateway.queue(self.session)
        self.held = [NO_SPAN, NO_SPAN]
        self.shown: dict[int, Shown] = {}

    def live(self) -> Process:
        """All transactions, up to one that fails loudly: each as many attempts as it takes."""
        run, env = self.run, self.run.env
        first = run.plan.first[self.number]
        for step in range(first, run.plan.first[self.number + 1]):
            if step > first:
                yield env.timeout(run.plan.after[step])
            began, attempt, outcome = env.now, 0, CONFLICT
            while outcome == CONFLICT:
                attempt += 1
                times = run.times_of(attempt)
                outcome = yield from self.attempt(step, (attempt, began), times)
                if outcome == CONFLICT and times.pause[step]:
                    yield env.timeout(times.pause[step])
            if run.wider:
                self.let_go(TRANSACTION)
            if outcome in (TIMED_OUT, FAILED):
                break
        if run.wider:
            self.let_go(FLOW)

    def attempt(self, step: int, tried: tuple[int, float], times: AttemptTimes) -> Process:
        """Read - prepare - queue - lock - compare - hold - commit; returns the outcome.

        `tried` is which attempt it is, and when the first one began.
        """
        run, env, file, terms = self.run, self.run.env, self.run.file, self.run.terms
        site, kind, guarded = run.plan.site[step], run.plan.reads[step], terms.attempts[run.plan.site[step]]
        if tried[0] == 1:
            for span in run.wider:
                if not (self.takes(span, step) or (yield from self.wait_for(span, step))):
                    return self.reject(step, TIMED_OUT, (tried[1], tried[1], env.now), NO_COMMIT, tried)
        read = env.now
        if kind in IN_THE_LOCK:
            shown = NOTHING
        else:
            shown = self.inherited(step) if kind == INHERITED and tried[0] == 1 else self.look(kind, times.lag[step])
        if times.prepare[step]:
            yield env.timeout(times.prepare[step])
        queued = env.now
        if not (self.takes(MERGE, step) or (yield from self.wait_for(MERGE, step))):
            return self.reject(step, TIMED_OUT, (read, queued, env.now), shown[0], tried)
        lock = env.now
        if kind in IN_THE_LOCK:
            shown = self.look(kind, 0.0)
        self.shown[step] = shown
        base, seen, locked = file.newest[self.session], len(file.rows), self.held[STORE] or self.held[ENTRY]
        if guarded and times.check[step]:
            yield env.timeout(times.check[step])
        if not locked:  # nobody is kept from writing, so that it is compared in the moment of the write, or right before
            yield env.timeout(times.hold[step])
        if guarded:
            outcome = run.judge(step, self.session, shown, tried[0])
            if outcome != COMMITTED:
                if outcome != CONFLICT or not terms.keeps[site]:
                    self.let_go(MERGE)
                return self.reject(step, outcome, (read, queued, lock), shown[0], tried)
            if times.gap[step]:
                yield env.timeout(times.gap[step])
        if locked:
            yield env.timeout(times.hold[step])
        if terms.stored == FIELDS_STORED:
            base, seen = file.newest[self.session], len(file.rows)
        self.commit(step, (read, queued, lock), shown[0], base, seen, tried)
        if locked and file.settings.release:
            yield env.timeout(file.settings.release)
        self.let_go(MERGE)
        return COMMITTED

    def commit(
        self, step: int, times: tuple[float, float, float], snapshot: int, base: int, seen: int, tried: tuple[int, float]
    ) -> None:  # fmt: skip
        """The entry is in the store, and in this process."""
        run, file, gateway, session = self.run, self.run.file, self.gateway, self.session
        row, end, (attempt, began) = len(file.rows), run.env.now, tried
        if run.terms.evaluates:
            run.entries.commit(row, run.plan.site[step], session, snapshot, base, step)
        file.commit(session, end, seen)
        file.rows.append((step, times[0], times[1], times[2], end, True, snapshot))
        if not run.plain:
            file.tried.append((attempt, COMMITTED, base, seen, began))
            gateway.memory[session] = row, row + 1
        gateway.refresh()

    def reject(
        self, step: int, outcome: int, times: tuple[float, float, float], snapshot: int, tried: tuple[int, float]
    ) -> int:  # fmt: skip
        """Write down an attempt that commits nothing; returns its outcome."""
        file, end, (attempt, began) = self.run.file, self.run.env.now, tried
        compared = NO_COMMIT if outcome == TIMED_OUT else file.newest[self.session]
        file.tried.append((attempt, outcome, compared, len(file.rows), began))
        file.reject()
        file.rows.append((step, *times, end, False, snapshot))
        return outcome

    def inherited(self, step: int) -> Shown:
        """The snapshot of an earlier step; none, if that is not there."""
        back = self.run.plan.inherits[step]
        return self.shown[step - back] if back else NOTHING

    def look(self, kind: int, lag: float) -> Shown:
        """Read the entry, in the way of this kind."""
        gateway, file, session = self.gateway, self.run.file, self.session
        if kind == NONE:
            return file.newest[session], len(file.rows)
        if kind == MEMORY and session in gateway.memory:
            return gateway.memory[session]
        if kind in CACHED:
            seen = gateway.cached()
        else:
            seen = file.ended_by(self.run.env.now - lag) if kind == LAGGED else len(file.rows)
        shown = file.shows(session, seen), seen
        if not self.run.plain:
            gateway.memory[session] = shown
        return shown

    def takes(self, span: int, step: int) -> bool:
        """Take the lock of that span if there is one to take, and it is free; returns whether the transaction can go on."""
        scope = self.run.terms.scope[span][step]
        if scope == NO_LOCK or self.held[scope]:
            return True
        if self.queues[scope].take():
            self.held[scope] = span
            return True
        return False

    def wait_for(self, span: int, step: int) -> Process:
        """Wait for that lock; returns whether the transaction may go on."""
        terms, site = self.run.terms, self.run.plan.site[step]
        scope = terms.scope[span][step]
        if (yield from self.queues[scope].wait(terms.timeout[span][site])):
            self.held[scope] = span
            return True
        return terms.goes_on[span][site]

    def let_go(self, span: int) -> None:
        """Let go of the locks that are held for this span, or a shorter one."""
        for scope, until in enumerate(self.held):
            if NO_SPAN < until <= span:
                self.held[scope] = NO_SPAN
                self.queues[scope].let_go()


def arrive(run: Run, gateways: list[Gateway]) -> Process:
    """Start every flow at its time of arrival."""
    env, plan = run.env, run.plan
    for number, time in enumerate(plan.arrive):
        yield env.timeout(max(0.0, time - env.now))  # `now` may be past a tied arrival by a rounding error
        env.process(Flow(run, gateways[plan.gateway[number]], number).live())


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
    run = start(workload, case, traffic, discipline or case.plain())
    run.env.run()
    rows, step = make_rows(traffic, run.file.rows)
    return make_history(workload, case, traffic, rows, step, None if run.plain else make_attempts(step, run.file.tried))


def start(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline) -> Run:
    """A run whose environment stands before its first event; arguments as of `simulate`."""
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
        wider=tuple(span for span in (FLOW, TRANSACTION) if (terms.scope[span] != NO_LOCK).any()),
    )
    gateways = [Gateway(env, file) for _ in range(workload.store.gateways)]
    env.process(arrive(run, gateways))
    return run
