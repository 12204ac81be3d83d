"""The event loop of the compiled model for any discipline; that of plain ones is `event_loop`, which is faster.

`simpy_model` is the specification. Events are ordered by time and then by insertion, as SimPy's are. A flow does one stage
after the other, at once or when its event comes up; a stage says what comes next, and after what delay.
"""

from typing import Any

import numpy as np

from simlib.common.compilation import compiled, inner
from simlib.model.event_loop import Settings
from simlib.model.flows import make_flows
from simlib.model.guarded_locks import ask, is_locked, late, let_go, poll
from simlib.model.guarded_run import (
    ARRIVE,
    ASK,
    AT_ONCE,
    BEGIN,
    COMMIT,
    COMPARE,
    END,
    EVENTS,
    EVENTS_SIZE,
    GRANTED,
    HOLD,
    LATE,
    POLL,
    READ,
    READY,
    RELEASE,
    STAGES,
    STOP,
    TURN,
    WAIT,
    Run,
    Writers,
    expect_next,
    numbered,
    schedule,
)
from simlib.model.guarded_steps import begin, commit, compare, end, grant, read
from simlib.model.guarded_store import make_file, make_gateways, make_locks
from simlib.model.heap import make_heap, pop, replace_top
from simlib.model.terms import FLOW, MERGE, NO_SPAN, SCOPES, TRANSACTION


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
        schedule(run, run.plan.arrive[0], 0, ARRIVE)
    while events[EVENTS_SIZE] and not events[STOP]:
        now, event = heap.times[0], heap.items[0] & (EVENTS - 1)
        flow, stage, delay = event // STAGES, event % STAGES, AT_ONCE
        while delay == AT_ONCE and stage != WAIT:
            delay, stage = _do(run, now, flow, run.flows.step[flow], stage)
        if stage == WAIT:
            pop(heap, events[EVENTS_SIZE])
            events[EVENTS_SIZE] -= 1
        else:
            replace_top(heap, now + delay, numbered(run, flow, stage))


@inner
def _do(run: Run, now: float, flow: int, step: int, stage: int) -> tuple[float, int]:
    """One stage of a flow; returns the next one, and after what delay it comes."""
    if stage == BEGIN:
        return begin(run, now, flow)
    if stage == ASK:
        return ask(run, flow, step)
    if stage == READ:
        return read(run, now, flow, step)
    if stage == READY:
        run.flows.queued[flow], run.writers.span[flow] = now, MERGE
        return AT_ONCE, ASK
    if stage == GRANTED:
        return grant(run, now, flow, step)
    if stage == COMPARE:
        return compare(run, now, flow, step)
    if stage == HOLD:
        locked = is_locked(run, flow)
        after = COMMIT if locked or not run.terms.attempts[run.plan.site[step]] else COMPARE
        return run.times.hold[run.writers.attempt[flow] - 1, step], after
    if stage == COMMIT:
        return commit(run, now, flow, step)
    if stage == RELEASE:
        let_go(run, now, flow, MERGE)
        return AT_ONCE, END
    if stage == END:
        return end(run, now, flow, step)
    if stage == TURN:
        run.writers.asked[flow], run.writers.tries[flow] = now, 0
        return AT_ONCE, POLL
    if stage == POLL:
        return poll(run, now, flow, step)
    if stage == LATE:
        return late(run, now, flow, step)
    if stage == ARRIVE:
        expect_next(run, now, flow)
        return AT_ONCE, BEGIN
    let_go(run, now, flow, TRANSACTION)
    let_go(run, now, flow, FLOW)
    return AT_ONCE, WAIT
