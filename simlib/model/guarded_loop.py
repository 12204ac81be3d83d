"""The event loop of the compiled model for any discipline; that of plain ones is `event_loop`, which is faster.

`simpy_model` is the specification. Events are ordered by time and then by insertion, as SimPy's are. A flow does one stage
after the other, at once or when its event comes up; a stage says what comes next, and after what delay.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case.snapshots import IN_LOCK, INHERITED, NO_COMMIT, NONE
from simlib.common.compilation import compiled, inner
from simlib.model.flows import Flows, make_flows, record
from simlib.model.guarded_store import (
    NOBODY,
    File,
    Gateways,
    Locks,
    Settings,
    commit_row,
    join,
    judge,
    keep_entry,
    leave,
    look,
    make_file,
    make_gateways,
    make_locks,
    refresh,
    reject_row,
)
from simlib.model.heap import Heap, make_heap, pop, push, replace_top
from simlib.model.history import COMMITTED, CONFLICT, SKIPPED, TIMED_OUT
from simlib.model.terms import (
    ENTRY,
    FIELDS_STORED,
    FLOW,
    MERGE,
    NO_LOCK,
    NO_SPAN,
    SCOPES,
    STORE,
    STORE_STORED,
    TRANSACTION,
)

STAGES = 16  # a power of two, as events are packed with it
ARRIVE, BEGIN, ASK, TURN, POLL, LATE, READ, READY, GRANTED, COMPARE, HOLD, COMMIT, RELEASE, END, END_FLOW, WAIT = range(STAGES)
"""What a flow does when its event comes up, or next. WAIT: until another lets it go on, or for ever."""
EVENTS = 1 << 31
"""More than there are (flow, stage); an event's number is packed above it."""
AT_ONCE = -1.0
"""No delay, not even that of an event that others of the same time precede."""
NEEDS_ROWS, NEEDS_ATTEMPTS = -1, -2
"""There was not room for all rows; there are not the times of enough attempts."""


class Writers(NamedTuple):
    """Of each flow what `Flows` does not say. Snapshots are by step, `seen_by` saying how many rows had ended.

    Attributes:
        attempt: which attempt it makes at its transaction.
        span: for which span it asks for a lock.
        tries: how often it has found that lock taken.
        base, seen: the commit that its patch is merged over, and how many rows had ended when that was read.
        held: (scopes, flows) for which span it holds a lock.
        began, lock, asked: when its transaction began, when its lock was granted, when it came to be first in a queue.
    """

    seen_by: Any
    attempt: Any
    span: Any
    tries: Any
    base: Any
    seen: Any
    held: Any
    began: Any
    lock: Any
    asked: Any


class Run(NamedTuple):
    """All that the stages use: what is given, what changes, and what is written down."""

    plan: Any
    terms: Any
    times: Any
    settings: Settings
    requests: Any
    book: Any
    tried: Any
    flows: Flows
    writers: Writers
    file: File
    gateways: Gateways
    locks: Locks
    heap: Heap
    events: Any
    """(3,) how many events there are, the number of the last one, and why the run stops short."""


EVENTS_SIZE, EVENTS_NUMBER, STOP = range(3)


@compiled
def guarded(
    plan: Any, terms: Any, times: Any, settings: Settings, requests: Any, initial: Any, book: Any, tried: Any, gateways: int,
    of_entries: bool, remembers: bool,
) -> int:  # fmt: skip
    """Fill the book; returns how many rows there are, or what is missing: NEEDS_ROWS, NEEDS_ATTEMPTS.

    Args:
        plan: as from `make_plan`.
        terms: as from `make_terms`.
        times: `AttemptTimes`, each (attempts, transactions).
        settings: the store's.
        requests: (transactions, keys) value codes.
        initial: (sessions, fields) value codes.
        book: room for the rows.
        tried: room for more of each.
        gateways: how many processes there are.
        of_entries: whether any lock is of an entry.
        remembers: whether any snapshot is from a process's memory.
    """
    flows, sessions = plan.arrive.size, initial.shape[0]
    numbers = np.zeros((5, flows), np.int64)
    moments = np.zeros((3, flows))
    run = Run(
        plan,
        terms,
        times,
        settings,
        requests,
        book,
        tried,
        make_flows(plan),
        Writers(
            np.zeros(plan.site.size, np.int64),
            numbers[0],
            numbers[1],
            numbers[2],
            numbers[3],
            numbers[4],
            np.full((len(SCOPES), flows), NO_SPAN),
            moments[0],
            moments[1],
            moments[2],
        ),
        make_file(initial, book.step.size, terms.evaluates),
        make_gateways(gateways, sessions, remembers),
        make_locks(gateways, 1 + sessions if of_entries else 1, flows),
        make_heap(flows),
        np.zeros(3, np.int64),
    )
    _run(run)
    return int(run.events[STOP] if run.events[STOP] else run.file.rows[0])


@inner
def _run(run: Run) -> None:
    """Take the first event, and put the one that its flow does next in its place."""
    heap, events = run.heap, run.events
    if run.plan.arrive.size:
        _schedule(run, run.plan.arrive[0], 0, ARRIVE)
    while events[EVENTS_SIZE] and not events[STOP]:
        now, event = heap.times[0], heap.items[0] & (EVENTS - 1)
        flow, stage, delay = event // STAGES, event % STAGES, AT_ONCE
        while delay == AT_ONCE and stage != WAIT:
            delay, stage = _do(run, now, flow, run.flows.step[flow], stage)
        if stage == WAIT:
            pop(heap, events[EVENTS_SIZE])
            events[EVENTS_SIZE] -= 1
        else:
            replace_top(heap, now + delay, _numbered(run, flow, stage))


@inner
def _do(run: Run, now: float, flow: int, step: int, stage: int) -> tuple[float, int]:
    """One stage of a flow; returns the next one, and after what delay it comes."""
    if stage == BEGIN:
        return _begin(run, now, flow)
    if stage == ASK:
        return _ask(run, flow, step)
    if stage == READ:
        return _read(run, now, flow, step)
    if stage == READY:
        run.flows.queued[flow], run.writers.span[flow] = now, MERGE
        return AT_ONCE, ASK
    if stage == GRANTED:
        return _base(run, now, flow, step)
    if stage == COMPARE:
        return _compare(run, now, flow, step)
    if stage == HOLD:
        locked = _locked(run, flow)
        after = COMMIT if locked or not run.terms.attempts[run.plan.site[step]] else COMPARE
        return run.times.hold[run.writers.attempt[flow] - 1, step], after
    if stage == COMMIT:
        return _commit(run, now, flow, step)
    if stage == RELEASE:
        _let_go(run, now, flow, MERGE)
        return AT_ONCE, END
    if stage == END:
        return _end(run, now, flow, step)
    if stage == TURN:
        run.writers.asked[flow], run.writers.tries[flow] = now, 0
        return AT_ONCE, POLL
    if stage == POLL:
        return _poll(run, now, flow, step)
    if stage == LATE:
        return _late(run, now, flow, step)
    if stage == ARRIVE:
        _expect_next(run, now, flow)
        return AT_ONCE, BEGIN
    _let_go(run, now, flow, TRANSACTION)
    _let_go(run, now, flow, FLOW)
    return AT_ONCE, WAIT


# ---- events ----------------------------------------------------------------------------------------------------------------


@inner
def _schedule(run: Run, time: float, flow: int, stage: int) -> None:
    """Insert an event."""
    push(run.heap, run.events[EVENTS_SIZE], time, _numbered(run, flow, stage))
    run.events[EVENTS_SIZE] += 1


@inner
def _numbered(run: Run, flow: int, stage: int) -> int:
    """An event, behind all that were inserted before for the same time."""
    run.events[EVENTS_NUMBER] += EVENTS
    return run.events[EVENTS_NUMBER] + flow * STAGES + stage  # type: ignore[no-any-return]


@inner
def _expect_next(run: Run, now: float, flow: int) -> None:
    """Arrivals are in order, so that only the next one need be scheduled."""
    if flow + 1 < run.plan.arrive.size:
        _schedule(run, now + max(0.0, run.plan.arrive[flow + 1] - now), flow + 1, ARRIVE)


# ---- locks -----------------------------------------------------------------------------------------------------------------


@inner
def _lock(run: Run, flow: int, scope: int) -> int:
    """The number of the flow's lock of that scope."""
    return 0 if scope == STORE else 1 + run.plan.session[flow]


@inner
def _locked(run: Run, flow: int) -> bool:
    """Whether the flow holds any lock."""
    return (run.writers.held[STORE, flow] | run.writers.held[ENTRY, flow]) != NO_SPAN  # type: ignore[no-any-return]


@inner
def _ask(run: Run, flow: int, step: int) -> tuple[float, int]:
    """Take the lock of the span that the flow asks for, if there is one to take; or queue for it."""
    writers, locks, gateway, span = run.writers, run.locks, run.plan.gateway[flow], run.writers.span[flow]
    scope = run.terms.scope[span, step]
    if scope == NO_LOCK or writers.held[scope, flow]:
        return _go_on(run, flow)
    lock = _lock(run, flow, scope)
    if locks.busy[gateway, lock]:
        if run.terms.timeout[span, run.plan.site[step]] == 0:
            return AT_ONCE, LATE
        join(locks, gateway, lock, flow)
        return AT_ONCE, WAIT
    locks.busy[gateway, lock] = True
    return AT_ONCE, TURN


@inner
def _poll(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """Take the lock, or come back later; give up after the time-out."""
    writers, span = run.writers, run.writers.span[flow]
    scope = run.terms.scope[span, step]
    lock = _lock(run, flow, scope)
    if not run.locks.taken[lock]:
        run.locks.taken[lock], writers.held[scope, flow] = True, span
        return _go_on(run, flow)
    if now - writers.asked[flow] >= run.terms.timeout[span, run.plan.site[step]]:
        _leave(run, now, flow, lock)
        return AT_ONCE, LATE
    writers.tries[flow] += 1
    return min(run.settings.lock_poll_max, run.settings.lock_poll * writers.tries[flow]), POLL


@inner
def _late(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The lock was not granted in time: go on without it, or fail."""
    span = run.writers.span[flow]
    if run.terms.goes_on[span, run.plan.site[step]]:
        return _go_on(run, flow)
    if span != MERGE:
        began = run.writers.began[flow]
        run.flows.read[flow] = run.flows.queued[flow] = began
        run.flows.snapshot[step] = NO_COMMIT
    if not _reject(run, now, flow, step, now, TIMED_OUT, NO_COMMIT):
        return AT_ONCE, WAIT
    return AT_ONCE, END_FLOW


@inner
def _go_on(run: Run, flow: int) -> tuple[float, int]:
    """What comes after the lock of a span."""
    span = run.writers.span[flow]
    if span == MERGE:
        return AT_ONCE, GRANTED
    if span == TRANSACTION:
        return AT_ONCE, READ
    run.writers.span[flow] = TRANSACTION
    return AT_ONCE, ASK


@inner
def _leave(run: Run, now: float, flow: int, lock: int) -> None:
    """Let the next one in the process's queue for that lock go on."""
    following = leave(run.locks, run.plan.gateway[flow], lock)
    if following != NOBODY:
        _schedule(run, now, following, TURN)


@inner
def _let_go(run: Run, now: float, flow: int, span: int) -> None:
    """Let go of the locks that are held for this span, or a shorter one."""
    held = run.writers.held
    for scope in SCOPES:
        if NO_SPAN < held[scope, flow] <= span:
            lock = _lock(run, flow, scope)
            held[scope, flow], run.locks.taken[lock] = NO_SPAN, False
            _leave(run, now, flow, lock)


# ---- transactions ----------------------------------------------------------------------------------------------------------


@inner
def _begin(run: Run, now: float, flow: int) -> tuple[float, int]:
    """Begin a transaction, with the locks that are held for longer than a merge."""
    run.writers.began[flow], run.writers.attempt[flow], run.writers.span[flow] = now, 1, FLOW
    return AT_ONCE, ASK


@inner
def _read(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """Begin an attempt, with its snapshot unless that is read in the lock; and prepare."""
    flows, writers, kind, attempt = run.flows, run.writers, run.plan.reads[step], run.writers.attempt[flow]
    flows.read[flow] = now
    commit, seen = NO_COMMIT, 0
    if kind == INHERITED and attempt == 1:
        source = step - run.plan.inherits[step]
        if source != step:
            commit, seen = flows.snapshot[source], writers.seen_by[source]
    elif kind not in (IN_LOCK, NONE):
        commit, seen = _look(run, now, flow, kind, run.times.lag[attempt - 1, step])
    flows.snapshot[step], writers.seen_by[step] = commit, seen
    prepare = run.times.prepare[attempt - 1, step]
    return (prepare if prepare else AT_ONCE), READY


@inner
def _look(run: Run, now: float, flow: int, kind: int, lag: float) -> tuple[int, int]:
    """Read the flow's entry, in the way of this kind."""
    whole, gateway, session = run.terms.stored == STORE_STORED, run.plan.gateway[flow], run.plan.session[flow]
    return look(run.settings, run.tried, run.book, run.file, run.gateways, whole, kind, gateway, session, now, lag)


@inner
def _base(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The locks are granted: read what the patch is to be merged over."""
    flows, writers, file, kind = run.flows, run.writers, run.file, run.plan.reads[step]
    writers.lock[flow] = now
    if kind == IN_LOCK:
        flows.snapshot[step], writers.seen_by[step] = _look(run, now, flow, kind, 0.0)
    elif kind == NONE:
        flows.snapshot[step], writers.seen_by[step] = file.newest[run.plan.session[flow]], file.rows[0]
    writers.base[flow], writers.seen[flow] = file.newest[run.plan.session[flow]], file.rows[0]
    if not run.terms.attempts[run.plan.site[step]]:
        return AT_ONCE, HOLD
    check = run.times.check[writers.attempt[flow] - 1, step]
    return (check if check else AT_ONCE), (COMPARE if _locked(run, flow) else HOLD)


@inner
def _compare(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """Ask the guard: under a lock before the hold, else in the moment of the write, or right before."""
    flows, writers, terms, site, session = run.flows, run.writers, run.terms, run.plan.site[step], run.plan.session[flow]
    attempt = writers.attempt[flow]
    outcome = judge(
        terms, run.file, run.requests, site, session, step, flows.snapshot[step], writers.seen_by[step], attempt
    )  # fmt: skip
    if outcome == COMMITTED:
        gap = run.times.gap[attempt - 1, step]
        return (gap if gap else AT_ONCE), (HOLD if _locked(run, flow) else COMMIT)
    if outcome != CONFLICT or not terms.keeps[site]:
        _let_go(run, now, flow, MERGE)
    if not _reject(run, now, flow, step, writers.lock[flow], outcome, run.file.newest[session]):
        return AT_ONCE, WAIT
    if outcome != CONFLICT:
        return AT_ONCE, (END if outcome == SKIPPED else END_FLOW)
    if attempt == run.times.hold.shape[0]:
        run.events[STOP] = NEEDS_ATTEMPTS
        return AT_ONCE, WAIT
    writers.attempt[flow] = attempt + 1
    pause = run.times.pause[attempt - 1, step]
    return (pause if pause else AT_ONCE), READ


@inner
def _commit(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The entry is in the store, and in the process."""
    flows, writers, file, gateways, terms = run.flows, run.writers, run.file, run.gateways, run.terms
    row, session, gateway, snapshot = file.rows[0], run.plan.session[flow], run.plan.gateway[flow], flows.snapshot[step]
    if _is_full(run):
        return AT_ONCE, WAIT
    if terms.stored == FIELDS_STORED:
        writers.base[flow], writers.seen[flow] = file.newest[session], row
    base, seen = writers.base[flow], writers.seen[flow]
    if terms.evaluates:
        keep_entry(terms, file, run.requests, run.plan.site[step], session, step, snapshot, base)
    commit_row(run.settings, terms, run.tried, run.book, file, session, now, seen)
    _record(run, now, flow, step, writers.lock[flow], COMMITTED, base, seen)
    if gateways.memory.shape[0]:
        gateways.memory[gateway, session], gateways.memory_seen[gateway, session] = row, row + 1
    refresh(file, gateways, gateway, now)
    release = run.settings.release
    return (release if release and _locked(run, flow) else AT_ONCE), RELEASE


@inner
def _reject(run: Run, now: float, flow: int, step: int, lock: float, outcome: int, compared: int) -> bool:
    """Write down an attempt that commits nothing; returns whether there was room."""
    if _is_full(run):
        return False
    reject_row(run.terms, run.tried, run.book, run.file)
    _record(run, now, flow, step, lock, outcome, compared, run.file.rows[0])
    return True


@inner
def _is_full(run: Run) -> bool:
    """Whether there is no room for another row; then the run stops."""
    if run.file.rows[0] < run.book.step.size:
        return False
    run.events[STOP] = NEEDS_ROWS
    return True


@inner
def _record(run: Run, now: float, flow: int, step: int, lock: float, outcome: int, base: int, seen: int) -> None:
    """Write one row."""
    row, flows, tried, ok = run.file.rows[0], run.flows, run.tried, outcome == COMMITTED
    record(run.plan, run.book, row, flow, step, flows.read[flow], flows.queued[flow], lock, now, ok, flows.snapshot[step])
    tried.number[row], tried.outcome[row], tried.base[row] = run.writers.attempt[flow], outcome, base
    tried.seen[row], tried.began[row] = seen, run.writers.began[flow]
    run.file.rows[0] = row + 1


@inner
def _end(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The transaction is over, and the next one begins after its pause."""
    if step + 1 == run.plan.first[flow + 1]:
        return AT_ONCE, END_FLOW
    _let_go(run, now, flow, TRANSACTION)
    run.flows.step[flow] = step + 1
    return run.plan.after[step + 1], BEGIN
