"""The SimPy model, compiled: equal histories, bit for bit, a hundred times faster.

`simpy_model` is the specification; what a step here means is said there. A gateway alone needs no event loop (`_alone`); for
several, or where events tie, there is one (`_run`). SimPy orders events by time and then by insertion, so each insertion there
takes the next number here; the loop's heap holds events by time and number.

What allocates is apart from what loops: a function that allocates nothing need not count references to the arrays it passes on,
and so can be made of small ones (`inlined`). Numbers that change stand in arrays of one.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case import snapshots
from simlib.case.case import Case
from simlib.case.snapshots import IN_LOCK, INHERITED, NO_COMMIT, NONE, OWN
from simlib.common.compilation import compiled, inlined
from simlib.model.heap import Heap, make_heap, pop, push, replace_top
from simlib.model.history import History
from simlib.model.plan import Rows, make_history, make_plan
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

NOBODY = TIED = -1
TIED_READ = -2
STAGES = 8  # a power of two, as events are packed with it
ARRIVE, READ, QUEUE, TURN, POLL, COMMIT, RELEASE, WAIT = range(STAGES)
"""What a flow does when its event comes up."""
EVENTS = 1 << 31
"""More than there are (flow, stage); an event's number is packed above it."""

visible, committed_by = inlined(snapshots.visible), inlined(snapshots.committed_by)
cache_holds, mtime_at = inlined(snapshots.cache_holds), inlined(snapshots.mtime_at)


class Asked(NamedTuple):
    """What a row repeats of the draws, see `Traffic`."""

    kind: Any
    site: Any
    request: Any


class Settings(NamedTuple):
    """The store's settings, see `Store`."""

    cache_ttl: float
    mtime_tick: float
    lock_poll: float
    lock_poll_max: float
    lock_timeout: float
    release: float


class Flows(NamedTuple):
    """The flows, by number: at which step they are, and who is behind them in their gateway's queue. Snapshots are by step."""

    step: Any
    behind: Any
    read: Any
    queued: Any
    snapshot: Any


class File(NamedTuple):
    """The store file: newest commit by session; the commit before each row; mtime, locked, when, and the number of rows."""

    newest: Any
    previous: Any
    mtime: Any
    locked: Any
    lock: Any
    rows: Any


class Gateways(NamedTuple):
    """The gateways: queue, cache, and since when and how often its first writer has tried for the lock file."""

    busy: Any
    head: Any
    tail: Any
    seen: Any
    loaded: Any
    mtime: Any
    began: Any
    attempt: Any


class Events(NamedTuple):
    """What is going to happen, and how many events there were."""

    heap: Heap
    number: Any


def simulate(workload: Workload, case: Case, traffic: Traffic, in_lock: frozenset[str] = frozenset()) -> History:
    """Run the flows of one replicate to their end: `simpy_model.simulate`, with the same arguments and an equal history."""
    store, size = workload.store, traffic.site.size
    # In few large blocks, which the system provides faster than many small ones.
    flow, kind, site, session, gateway, snapshot, previous = np.empty((7, size), dtype=np.int64)
    read, queued, lock, end = np.empty((4, size))
    ok, request = np.empty(size, dtype=np.bool_), np.empty_like(traffic.request)
    rows = Rows(flow, kind, site, session, gateway, read, queued, lock, end, ok, snapshot, request)
    asked = Asked(traffic.kind, traffic.site, traffic.request)
    given = make_plan(case, traffic, in_lock), asked, rows, previous, workload.sessions.count
    count = one_gateway(*given, store.release) if store.gateways == 1 else TIED
    if count == TIED:
        settings = (store.cache_ttl, store.mtime_tick, store.lock_poll, store.lock_poll_max, store.lock_timeout, store.release)
        count = any_gateways(*given, Settings(*settings), store.gateways)
    columns: list[Any] = [column[:count] for column in rows]
    return make_history(workload, case, traffic, Rows(*columns))


@compiled
def one_gateway(plan: Any, asked: Any, rows: Any, previous: Any, sessions: int, release: float) -> int:
    """Fills `rows` and returns how many there are, or TIED where only the event loop knows who is first."""
    flows = _make_flows(plan)
    return _alone(plan, asked, rows, previous, flows, make_heap(plan.arrive.size), np.full(sessions, NO_COMMIT), release)


@compiled
def any_gateways(plan: Any, asked: Any, rows: Any, previous: Any, sessions: int, settings: Settings, gateways: int) -> int:
    """Fills `rows` and returns how many there are."""
    file = File(np.full(sessions, NO_COMMIT), previous, np.zeros(1), np.zeros(1, np.bool_), np.zeros(1), np.zeros(1, np.int64))
    number = np.zeros((4, gateways), np.int64)
    number[1:3] = NOBODY
    times = np.full((3, gateways), -np.inf)
    busy = np.zeros(gateways, np.bool_)
    processes = Gateways(busy, number[1], number[2], number[0], times[0], times[1], times[2], number[3])
    events = Events(make_heap(plan.arrive.size), np.zeros(1, np.int64))
    _run(plan, asked, rows, settings, _make_flows(plan), file, processes, events)
    return int(file.rows[0])


@compiled
def _make_flows(plan: Any) -> Flows:
    count = plan.arrive.size
    return Flows(
        plan.first[:-1].copy(), np.empty(count, np.int64), np.empty(count), np.empty(count), np.empty(plan.hold.size, np.int64)
    )


@inlined
def _record(
    plan: Any, asked: Any, rows: Any, row: int, flow: int, step: int, read: float, queued: float, lock: float, end: float,
    ok: bool, snapshot: int,
) -> None:  # fmt: skip
    """Write one row of the history."""
    rows.flow[row], rows.kind[row], rows.site[row] = flow, asked.kind[flow], asked.site[step]
    rows.session[row], rows.gateway[row], rows.snapshot[row] = plan.session[flow], plan.gateway[flow], snapshot
    rows.read[row], rows.queued[row], rows.lock[row], rows.end[row] = read, queued, lock, end
    rows.ok[row] = ok
    for key in range(asked.request.shape[1]):
        rows.request[row, key] = asked.request[step, key]


# ---- a gateway alone -------------------------------------------------------------------------------------------------------


@inlined
def _alone(
    plan: Any, asked: Any, rows: Any, previous: Any, flows: Flows, heap: Heap, newest: Any, release: float
) -> int:  # fmt: skip
    """Nobody polls, and the cache always shows the last commit. So transactions commit in the order in which they queue, each
    once its predecessor has let go of the lock (Lindley's recursion), and what a snapshot shows follows from when it was read.
    The heap holds the flows that pause or prepare, by the time at which they will queue.
    """
    count, arrived, last, free = 0, 0, -np.inf, -np.inf
    arrival = plan.arrive[0] if plan.arrive.size else np.inf
    while True:
        while arrived < plan.arrive.size and (not heap.size[0] or arrival <= heap.times[0]):
            flows.read[arrived] = arrival
            push(heap, arrival + plan.prepare[flows.step[arrived]], arrived)
            arrived += 1
            arrival += max(0.0, plan.arrive[arrived] - arrival) if arrived < plan.arrive.size else np.inf
        if not heap.size[0]:
            return count
        queued, flow = heap.times[0], heap.items[0]
        step, session = flows.step[flow], plan.session[flow]
        shown = _shown(plan, rows, previous, flows, flow, step, newest[session])
        if queued == last or shown == TIED_READ:
            return TIED
        last = queued
        flows.snapshot[step] = shown
        lock = max(queued, free)
        end = lock + plan.hold[step]
        free = end + release
        _record(plan, asked, rows, count, flow, step, flows.read[flow], queued, lock, end, True, shown)
        previous[count], newest[session] = newest[session], count
        count += 1
        if step + 1 < plan.first[flow + 1]:
            flows.step[flow] = step + 1
            flows.read[flow] = free + plan.after[step + 1]
            replace_top(heap, flows.read[flow] + plan.prepare[step + 1], flow)
        else:
            pop(heap)


@inlined
def _shown(plan: Any, rows: Any, previous: Any, flows: Flows, flow: int, step: int, newest: int) -> int:
    """The commit that the snapshot of this step shows; TIED_READ where it was read as another flow committed."""
    if plan.inherits[step]:
        return flows.snapshot[step - plan.inherits[step]]  # type: ignore[no-any-return]
    if plan.reads[step] == INHERITED:
        return NO_COMMIT
    if plan.reads[step] != OWN:
        return newest
    shown = committed_by(newest, flows.read[flow], rows.end, previous)
    if shown != NO_COMMIT and rows.end[shown] == flows.read[flow] and rows.flow[shown] != flow:
        return TIED_READ
    return shown


# ---- the event loop --------------------------------------------------------------------------------------------------------


@inlined
def _run(
    plan: Any, asked: Any, rows: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, events: Events
) -> None:  # fmt: skip
    """Take the first event, and put the one that its flow does next in its place."""
    heap = events.heap
    if plan.arrive.size:
        _schedule(events, plan.arrive[0], 0, ARRIVE)
    while heap.size[0]:
        now, event = heap.times[0], heap.items[0] & (EVENTS - 1)
        flow = event // STAGES
        time, stage = _go_on(plan, asked, rows, settings, flows, file, gateways, events, now, flow, event % STAGES)
        if stage == WAIT:
            pop(heap)
        else:
            replace_top(heap, time, _numbered(events, flow, stage))


@inlined
def _go_on(
    plan: Any, asked: Any, rows: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, events: Events,
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
            _join(flows, gateways, gateway, flow)
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
        _end(plan, asked, rows, settings, flows, file, gateways, now, flow, step, stage == COMMIT)
    if stage == COMMIT and settings.release:
        return now + settings.release, RELEASE
    _leave(flows, gateways, events, gateway, now)
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
    push(events.heap, time, _numbered(events, flow, stage))


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
    plan: Any, asked: Any, rows: Any, settings: Settings, flows: Flows, file: File, gateways: Gateways, now: float, flow: int,
    step: int, ok: bool,
) -> None:  # fmt: skip
    """Write the row of a transaction that commits now, or gives up."""
    row, session = file.rows[0], plan.session[flow]
    lock = file.lock[0] if ok else now
    _record(plan, asked, rows, row, flow, step, flows.read[flow], flows.queued[flow], lock, now, ok, flows.snapshot[step])
    file.previous[row] = file.newest[session] if ok else NO_COMMIT
    file.rows[0] = row + 1
    if ok:
        file.newest[session], file.mtime[0] = row, mtime_at(now, settings.mtime_tick)
        _refresh(file, gateways, plan.gateway[flow], now)


@inlined
def _join(flows: Flows, gateways: Gateways, gateway: int, flow: int) -> None:
    """Go to the end of the gateway's queue, a linked list."""
    if gateways.head[gateway] == NOBODY:
        gateways.head[gateway] = flow
    else:
        flows.behind[gateways.tail[gateway]] = flow
    gateways.tail[gateway], flows.behind[flow] = flow, NOBODY


@inlined
def _leave(flows: Flows, gateways: Gateways, events: Events, gateway: int, now: float) -> None:
    """Let the next writer in the gateway's queue have its turn."""
    following = gateways.head[gateway]
    if following == NOBODY:
        gateways.busy[gateway] = False
    else:
        gateways.head[gateway] = flows.behind[following]
        _schedule(events, now, following, TURN)
