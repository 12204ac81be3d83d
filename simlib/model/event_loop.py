"""The event loop of the compiled model: any number of gateways, and events that tie.

SimPy orders events by time and then by insertion, so each insertion here takes the next number; the heap holds events by time
and number. Numbers that change stand in arrays of one.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case import snapshots
from simlib.case.snapshots import IN_LOCK, NO_COMMIT, NONE, OWN
from simlib.common.compilation import compiled, inlined
from simlib.model.flows import Flows, make_flows, record
from simlib.model.heap import Heap, make_heap, pop, push, replace_top

NOBODY = -1
STAGES = 8  # a power of two, as events are packed with it
ARRIVE, READ, QUEUE, TURN, POLL, COMMIT, RELEASE, WAIT = range(STAGES)
"""What a flow does when its event comes up."""
EVENTS = 1 << 31
"""More than there are (flow, stage); an event's number is packed above it."""

visible, cache_holds, mtime_at = inlined(snapshots.visible), inlined(snapshots.cache_holds), inlined(snapshots.mtime_at)


class Settings(NamedTuple):
    """The store's settings, see `Store`."""

    cache_ttl: float
    mtime_tick: float
    lock_poll: float
    lock_poll_max: float
    lock_timeout: float
    release: float


class File(NamedTuple):
    """The store file: newest commit by session; the commit before each row; mtime, locked, when, and the number of rows."""

    newest: Any
    previous: Any
    mtime: Any
    locked: Any
    lock: Any
    rows: Any


class Gateways(NamedTuple):
    """The gateways: queue, with who is behind each flow; cache; since when, how often the first writer has tried the lock."""

    busy: Any
    head: Any
    tail: Any
    behind: Any
    seen: Any
    loaded: Any
    mtime: Any
    began: Any
    attempt: Any


class Events(NamedTuple):
    """What is going to happen, how many events that is, and the number of the last one."""

    heap: Heap
    size: Any
    number: Any


@compiled
def any_gateways(plan: Any, book: Any, sessions: int, settings: Settings, gateways: int) -> int:
    """Fill the book; returns how many rows there are."""
    file = File(
        np.full(sessions, NO_COMMIT), book.previous, np.zeros(1), np.zeros(1, np.bool_), np.zeros(1), np.zeros(1, np.int64)
    )
    number = np.zeros((4, gateways), np.int64)
    number[1:3] = NOBODY
    times = np.full((3, gateways), -np.inf)
    busy = np.zeros(gateways, np.bool_)
    behind = np.empty(plan.arrive.size, np.int64)
    processes = Gateways(busy, number[1], number[2], behind, number[0], times[0], times[1], times[2], number[3])
    events = Events(make_heap(plan.arrive.size), np.zeros(1, np.int64), np.zeros(1, np.int64))
    _run(plan, book, settings, make_flows(plan), file, processes, events)
    return int(file.rows[0])


@inlined
def _run(
    plan: Any, book: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, events: Events
) -> None:  # fmt: skip
    """Take the first event, and put the one that its flow does next in its place."""
    heap = events.heap
    if plan.arrive.size:
        _schedule(events, plan.arrive[0], 0, ARRIVE)
    while events.size[0]:
        now, event = heap.times[0], heap.items[0] & (EVENTS - 1)
        flow = event // STAGES
        time, stage = _go_on(plan, book, settings, flows, file, gateways, events, now, flow, event % STAGES)
        if stage == WAIT:
            pop(heap, events.size[0])
            events.size[0] -= 1
        else:
            replace_top(heap, time, _numbered(events, flow, stage))


@inlined
def _go_on(
    plan: Any, book: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, events: Events,
    now: float, flow: int, stage: int,
) -> tuple[float, int]:  # fmt: skip
    """Let a flow do what it can do now; returns when it goes on and with what. WAIT: when another lets it, or never."""
    step, gateway = flows.step[flow], plan.gateway[flow]
    if stage == ARRIVE:
        _expect_next(plan, events, now, flow)
        stage = READ
    if stage == READ:
        _read(plan, settings, flows, file, gateways, now, flow, step)
        if plan.prepare[step]:
            return now + plan.prepare[step], QUEUE
        stage = QUEUE
    if stage == QUEUE:
        flows.queued[flow] = now
        if gateways.busy[gateway]:
            _join(gateways, gateway, flow)
            return now, WAIT
        gateways.busy[gateway] = True
        stage = TURN
    if stage == TURN:
        gateways.began[gateway], gateways.attempt[gateway] = now, 0
        stage = POLL
    if stage == POLL and not file.locked[0]:
        _lock(plan, settings, flows, file, gateways, now, flow, step)
        return now + plan.hold[step], COMMIT
    if stage == POLL and now - gateways.began[gateway] < settings.lock_timeout:
        gateways.attempt[gateway] += 1
        return now + min(settings.lock_poll_max, settings.lock_poll * gateways.attempt[gateway]), POLL
    # The transaction ends: it has committed, or it has given up.
    if stage != RELEASE:
        _end(plan, book, settings, flows, file, gateways, now, flow, step, stage == COMMIT)
    if stage == COMMIT and settings.release:
        return now + settings.release, RELEASE
    _leave(gateways, events, gateway, now)
    if stage == POLL:
        return now, WAIT
    file.locked[0] = False
    if step + 1 == plan.first[flow + 1]:
        return now, WAIT
    flows.step[flow] = step + 1
    return now + plan.after[step + 1], READ


@inlined
def _schedule(events: Events, time: float, flow: int, stage: int) -> None:
    """Insert an event."""
    push(events.heap, events.size[0], time, _numbered(events, flow, stage))
    events.size[0] += 1


@inlined
def _numbered(events: Events, flow: int, stage: int) -> int:
    """An event, behind all that were inserted before for the same time."""
    events.number[0] += EVENTS
    return events.number[0] + flow * STAGES + stage  # type: ignore[no-any-return]


@inlined
def _expect_next(plan: Any, events: Events, now: float, flow: int) -> None:
    """Arrivals are in order, so that only the next one need be scheduled."""
    if flow + 1 < plan.arrive.size:
        _schedule(events, now + max(0.0, plan.arrive[flow + 1] - now), flow + 1, ARRIVE)


@inlined
def _read(
    plan: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, now: float, flow: int, step: int
) -> None:  # fmt: skip
    """Begin a step, with its snapshot if that is one of its own or inherited."""
    flows.read[flow], flows.snapshot[step] = now, NO_COMMIT
    if plan.inherits[step]:
        flows.snapshot[step] = flows.snapshot[step - plan.inherits[step]]
    elif plan.reads[step] == OWN:
        flows.snapshot[step] = _cached(settings, file, gateways, plan.gateway[flow], now, plan.session[flow])


@inlined
def _lock(
    plan: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, now: float, flow: int, step: int
) -> None:  # fmt: skip
    """Take the lock file, and the snapshot if it is read in the lock."""
    file.locked[0], file.lock[0] = True, now
    if plan.reads[step] == IN_LOCK:
        flows.snapshot[step] = _cached(settings, file, gateways, plan.gateway[flow], now, plan.session[flow])
    elif plan.reads[step] == NONE:
        flows.snapshot[step] = file.newest[plan.session[flow]]


@inlined
def _cached(settings: Settings, file: File, gateways: Gateways, gateway: int, now: float, session: int) -> int:
    """The commit of this session that a read through the gateway's cache shows."""
    if not cache_holds(gateways.loaded[gateway], gateways.mtime[gateway], now, file.mtime[0], settings.cache_ttl):
        _refresh(file, gateways, gateway, now)
    return visible(file.newest[session], gateways.seen[gateway], file.previous)


@inlined
def _refresh(file: File, gateways: Gateways, gateway: int, now: float) -> None:
    """Take the file as it is now into the gateway's cache."""
    gateways.seen[gateway], gateways.loaded[gateway], gateways.mtime[gateway] = file.rows[0], now, file.mtime[0]


@inlined
def _end(
    plan: Any, book: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, now: float, flow: int,
    step: int, ok: bool,
) -> None:  # fmt: skip
    """Write the row of a transaction that commits now, or gives up."""
    row, session = file.rows[0], plan.session[flow]
    lock = file.lock[0] if ok else now
    record(plan, book, row, flow, step, flows.read[flow], flows.queued[flow], lock, now, ok, flows.snapshot[step])
    file.previous[row] = file.newest[session] if ok else NO_COMMIT
    file.rows[0] = row + 1
    if ok:
        file.newest[session], file.mtime[0] = row, mtime_at(now, settings.mtime_tick)
        _refresh(file, gateways, plan.gateway[flow], now)


@inlined
def _join(gateways: Gateways, gateway: int, flow: int) -> None:
    """Go to the end of the gateway's queue, a linked list."""
    if gateways.head[gateway] == NOBODY:
        gateways.head[gateway] = flow
    else:
        gateways.behind[gateways.tail[gateway]] = flow
    gateways.tail[gateway], gateways.behind[flow] = flow, NOBODY


@inlined
def _leave(gateways: Gateways, events: Events, gateway: int, now: float) -> None:
    """Let the next writer in the gateway's queue go on."""
    following = gateways.head[gateway]
    if following == NOBODY:
        gateways.busy[gateway] = False
    else:
        gateways.head[gateway] = gateways.behind[following]
        _schedule(events, now, following, TURN)
