"""The locks of a guarded flow: asking, queueing, polling, giving up, and letting go."""

from simlib.case.snapshots import NO_COMMIT
from simlib.common.compilation import inner
from simlib.model.event_loop import NOBODY
from simlib.model.guarded_run import ASK, AT_ONCE, END_FLOW, GRANTED, LATE, POLL, READ, TURN, WAIT, Run, reject, schedule
from simlib.model.guarded_store import join, leave
from simlib.model.history import TIMED_OUT
from simlib.model.terms import ENTRY, MERGE, NO_LOCK, NO_SPAN, SCOPES, STORE, TRANSACTION


@inner
def _lock(run: Run, flow: int, scope: int) -> int:
    """The number of the flow's lock of that scope."""
    return 0 if scope == STORE else 1 + run.plan.session[flow]


@inner
def is_locked(run: Run, flow: int) -> bool:
    """Whether the flow holds any lock."""
    return (run.writers.held[STORE, flow] | run.writers.held[ENTRY, flow]) != NO_SPAN  # type: ignore[no-any-return]


@inner
def ask(run: Run, flow: int, step: int) -> tuple[float, int]:
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
def poll(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
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
def late(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The lock was not granted in time: go on without it, or fail."""
    span = run.writers.span[flow]
    if run.terms.goes_on[span, run.plan.site[step]]:
        return _go_on(run, flow)
    if span != MERGE:
        began = run.writers.began[flow]
        run.flows.read[flow] = run.flows.queued[flow] = began
        run.flows.snapshot[step] = NO_COMMIT
    if not reject(run, now, flow, step, now, TIMED_OUT, NO_COMMIT):
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
        schedule(run, now, following, TURN)


@inner
def let_go(run: Run, now: float, flow: int, span: int) -> None:
    """Let go of the locks that are held for this span, or a shorter one."""
    held = run.writers.held
    for scope in SCOPES:
        if NO_SPAN < held[scope, flow] <= span:
            lock = _lock(run, flow, scope)
            held[scope, flow], run.locks.taken[lock] = NO_SPAN, False
            _leave(run, now, flow, lock)
