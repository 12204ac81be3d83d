"""The transactions of a guarded flow: reading, comparing, committing, and trying again."""

from simlib.case.discipline import FIELDS_STORED, STORE_STORED
from simlib.case.snapshots import IN_LOCK, INHERITED, NO_COMMIT, NONE
from simlib.common.compilation import inner
from simlib.model.guarded_locks import is_locked, let_go
from simlib.model.guarded_run import (
    ASK,
    AT_ONCE,
    BEGIN,
    COMMIT,
    COMPARE,
    END,
    END_FLOW,
    HOLD,
    NEEDS_ATTEMPTS,
    READ,
    READY,
    RELEASE,
    STOP,
    WAIT,
    Run,
    is_full,
    note,
    reject,
)
from simlib.model.guarded_store import commit_row, judge, keep_entry, look, refresh
from simlib.model.history import COMMITTED, CONFLICT, SKIPPED
from simlib.model.terms import FLOW, MERGE, TRANSACTION


@inner
def begin(run: Run, now: float, flow: int) -> tuple[float, int]:
    """Begin a transaction, with the locks that are held for longer than a merge."""
    run.writers.began[flow], run.writers.attempt[flow], run.writers.span[flow] = now, 1, FLOW
    return AT_ONCE, ASK


@inner
def read(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
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
def grant(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
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
    return (check if check else AT_ONCE), (COMPARE if is_locked(run, flow) else HOLD)


@inner
def compare(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """Ask the guard: under a lock before the hold, else in the moment of the write, or right before."""
    flows, writers, terms, site, session = run.flows, run.writers, run.terms, run.plan.site[step], run.plan.session[flow]
    attempt = writers.attempt[flow]
    outcome = judge(
        terms, run.file, run.requests, site, session, step, flows.snapshot[step], writers.seen_by[step], attempt
    )  # fmt: skip
    if outcome == COMMITTED:
        gap = run.times.gap[attempt - 1, step]
        return (gap if gap else AT_ONCE), (HOLD if is_locked(run, flow) else COMMIT)
    if outcome != CONFLICT or not terms.keeps[site]:
        let_go(run, now, flow, MERGE)
    if not reject(run, now, flow, step, writers.lock[flow], outcome, run.file.newest[session]):
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
def commit(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The entry is in the store, and in the process."""
    flows, writers, file, gateways, terms = run.flows, run.writers, run.file, run.gateways, run.terms
    row, session, gateway, snapshot = file.rows[0], run.plan.session[flow], run.plan.gateway[flow], flows.snapshot[step]
    if is_full(run):
        return AT_ONCE, WAIT
    if terms.stored == FIELDS_STORED:
        writers.base[flow], writers.seen[flow] = file.newest[session], row
    base, seen = writers.base[flow], writers.seen[flow]
    if terms.evaluates:
        keep_entry(terms, file, run.requests, run.plan.site[step], session, step, snapshot, base)
    commit_row(run.settings, terms, run.tried, run.book, file, session, now, seen)
    note(run, now, flow, step, writers.lock[flow], COMMITTED, base, seen)
    if gateways.memory.shape[0]:
        gateways.memory[gateway, session], gateways.memory_seen[gateway, session] = row, row + 1
    refresh(file, gateways, gateway, now)
    release = run.settings.release
    return (release if release and is_locked(run, flow) else AT_ONCE), RELEASE


@inner
def end(run: Run, now: float, flow: int, step: int) -> tuple[float, int]:
    """The transaction is over, and the next one begins after its pause."""
    if step + 1 == run.plan.first[flow + 1]:
        return AT_ONCE, END_FLOW
    let_go(run, now, flow, TRANSACTION)
    run.flows.step[flow] = step + 1
    return run.plan.after[step + 1], BEGIN
