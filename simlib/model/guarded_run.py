"""What the stages of a guarded flow share: all that changes while it runs, its events, and the rows that it leaves behind."""

from typing import Any, NamedTuple

from simlib.common.compilation import inner
from simlib.model.event_loop import Settings
from simlib.model.flows import Flows, record
from simlib.model.guarded_store import File, Gateways, Locks, reject_row
from simlib.model.heap import Heap, push
from simlib.model.history import COMMITTED

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


@inner
def schedule(run: Run, time: float, flow: int, stage: int) -> None:
    """Insert an event."""
    push(run.heap, run.events[EVENTS_SIZE], time, numbered(run, flow, stage))
    run.events[EVENTS_SIZE] += 1


@inner
def numbered(run: Run, flow: int, stage: int) -> int:
    """An event, behind all that were inserted before for the same time."""
    run.events[EVENTS_NUMBER] += EVENTS
    return run.events[EVENTS_NUMBER] + flow * STAGES + stage  # type: ignore[no-any-return]


@inner
def expect_next(run: Run, now: float, flow: int) -> None:
    """Arrivals are in order, so that only the next one need be scheduled."""
    if flow + 1 < run.plan.arrive.size:
        schedule(run, now + max(0.0, run.plan.arrive[flow + 1] - now), flow + 1, ARRIVE)


@inner
def reject(run: Run, now: float, flow: int, step: int, lock: float, outcome: int, compared: int) -> bool:
    """Write down an attempt that commits nothing; returns whether there was room."""
    if is_full(run):
        return False
    reject_row(run.terms, run.tried, run.book, run.file)
    note(run, now, flow, step, lock, outcome, compared, run.file.rows[0])
    return True


@inner
def is_full(run: Run) -> bool:
    """Whether there is no room for another row; then the run stops."""
    if run.file.rows[0] < run.book.step.size:
        return False
    run.events[STOP] = NEEDS_ROWS
    return True


@inner
def note(run: Run, now: float, flow: int, step: int, lock: float, outcome: int, base: int, seen: int) -> None:
    """Write one row."""
    row, flows, tried, ok = run.file.rows[0], run.flows, run.tried, outcome == COMMITTED
    record(run.plan, run.book, row, flow, step, flows.read[flow], flows.queued[flow], lock, now, ok, flows.snapshot[step])
    tried.number[row], tried.outcome[row], tried.base[row] = run.writers.attempt[flow], outcome, base
    tried.seen[row], tried.began[row] = seen, run.writers.began[flow]
    run.file.rows[0] = row + 1
