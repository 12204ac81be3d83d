"""The model of `gateway`, compiled: equal histories, bit for bit, a hundred times faster.

`gateway` is the specification; what a step here means is said there. A gateway alone needs no event loop (`_alone`); for
several, or where events tie, there is one (`_run`). SimPy orders events by time and then by insertion, so each insertion there
takes the next number of `inserted` here. Three facts spare SimPy's one large heap: arrivals are sorted, so only the next one is
scheduled; the lock file admits one writer, so only its commit or release is; and a gateway's queue is first come, first served,
so it is a linked list. What is left for the heap are the few transactions that pause, prepare, poll or have just been given
their turn.
"""

from typing import Any

import numpy as np

from simlib.case.case import Case
from simlib.case.snapshots import IN_LOCK, INHERITED, NO_COMMIT, NONE, OWN
from simlib.common.compilation import compiled
from simlib.model.history import History
from simlib.model.plan import Rows, make_history, make_plan
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

NOBODY = TIED = -1
STAGES = 8  # a power of two, as events are packed with it
READ, QUEUE, TURN, POLL, COMMIT, RELEASE = range(6)
"""What a transaction does when its event comes up."""


def simulate(workload: Workload, case: Case, traffic: Traffic, in_lock: frozenset[str] = frozenset()) -> History:
    """Run the flows of one replicate to their end: `gateway.simulate`, with the same arguments and an equal history."""
    store, size = workload.store, traffic.site.size
    # In few large blocks, which the system provides faster than many small ones.
    flow, kind, site, session, gateway, snapshot, previous = np.empty((7, size), dtype=np.int64)
    read, queued, lock, end = np.empty((4, size))
    ok, request = np.empty(size, dtype=np.bool_), np.empty_like(traffic.request)
    rows = Rows(flow, kind, site, session, gateway, read, queued, lock, end, ok, snapshot, request)
    given = make_plan(case, traffic, in_lock), traffic.kind, traffic.site, traffic.request, rows, previous
    count = _alone(*given, workload.sessions.count, store.release) if store.gateways == 1 else TIED
    if count == TIED:
        count = _run(
            *given, workload.sessions.count, store.gateways, store.cache_ttl, store.mtime_tick, store.lock_poll,
            store.lock_poll_max, store.lock_timeout, store.release,
        )  # fmt: skip
    columns: list[Any] = [column[:count] for column in rows]
    return make_history(workload, case, traffic, Rows(*columns))


@compiled
def _alone(
    plan: Any, kind: Any, site: Any, request: Any, rows: Any, previous: Any, sessions: int, release: float
) -> int:  # fmt: skip
    """One gateway alone: fills `rows` and returns how many there are, or TIED where only the event loop knows who is first.

    Nobody polls, and the cache always shows the last commit. So transactions commit in the order in which they queue, each
    once its predecessor has let go of the lock (Lindley's recursion), and what a snapshot shows follows from when it was read.
    The heap holds the transactions that pause or prepare, by the time at which they will queue.
    """
    flows = plan.arrive.size
    # What is behind the heap's end is infinite, so that each place has two children.
    times, flow_at, size = np.full(2 * flows + 2, np.inf), np.empty(flows, np.int64), 0
    step_of, read, snapshot = plan.first.copy(), np.empty(flows), np.empty(plan.hold.size, np.int64)
    newest, count = np.full(sessions, NO_COMMIT), 0
    arrived, arrival, last, free = 0, plan.arrive[0] if flows else np.inf, -np.inf, -np.inf
    while True:
        while arrived < flows and (not size or arrival <= times[0]):
            read[arrived] = arrival
            place, time = size, arrival + plan.prepare[step_of[arrived]]
            while place > 0 and time < times[(place - 1) // 2]:
                times[place], flow_at[place] = times[(place - 1) // 2], flow_at[(place - 1) // 2]
                place = (place - 1) // 2
            times[place], flow_at[place] = time, arrived
            size += 1
            arrived += 1
            if arrived < flows:
                arrival += max(0.0, plan.arrive[arrived] - arrival)
        if not size:
            return count
        queued, flow = times[0], flow_at[0]
        step, session = step_of[flow], plan.session[flow]
        if queued == last:
            return TIED
        last = queued

        shown = newest[session]
        if plan.inherits[step]:
            shown = snapshot[step - plan.inherits[step]]
        elif plan.reads[step] == OWN:
            while shown != NO_COMMIT and rows.end[shown] > read[flow]:
                shown = previous[shown]
            if shown != NO_COMMIT and rows.end[shown] == read[flow] and rows.flow[shown] != flow:
                return TIED
        elif plan.reads[step] == INHERITED:
            shown = NO_COMMIT
        snapshot[step] = shown
        lock = max(queued, free)
        end = lock + plan.hold[step]
        free = end + release

        rows.flow[count], rows.kind[count], rows.site[count] = flow, kind[flow], site[step]
        rows.session[count], rows.gateway[count], rows.snapshot[count] = session, plan.gateway[flow], shown
        rows.read[count], rows.queued[count], rows.lock[count], rows.end[count] = read[flow], queued, lock, end
        rows.ok[count] = True
        for key in range(request.shape[1]):
            rows.request[count, key] = request[step, key]
        previous[count], newest[session] = newest[session], count
        count += 1

        # The flow's next step takes its place in the heap, or else the heap's last one does.
        step += 1
        if step < plan.first[flow + 1]:
            step_of[flow] = step
            read[flow] = free + plan.after[step]
            time = read[flow] + plan.prepare[step]
        else:
            size -= 1
            time, flow = times[size], flow_at[size]
            times[size] = np.inf
        place = 0
        while True:
            child = 2 * place + 1
            child += times[child + 1] < times[child]  # no branch: nobody could predict it
            if time <= times[child]:
                break
            times[place], flow_at[place] = times[child], flow_at[child]
            place = child
        times[place], flow_at[place] = time, flow


@compiled
def _run(
    plan: Any, kind: Any, site: Any, request: Any, rows: Any, previous: Any, sessions: int, gateways: int,
    cache_ttl: float, tick: float, poll: float, poll_max: float, timeout: float, release: float,
) -> int:  # fmt: skip
    """The event loop; fills `rows` and returns how many there are."""
    flows, steps = plan.arrive.size, plan.hold.size
    # The flows under way, by slot, with their number and step. `behind` links those that queue at a gateway, and the slots that
    # are free again. Snapshots are kept by step, as later steps may inherit them. Memory costs nothing until it is used.
    flow_of, step_of, behind = np.empty(flows, np.int64), np.empty(flows, np.int64), np.empty(flows, np.int64)
    read, queued, snapshot = np.empty(flows), np.empty(flows), np.empty(steps, np.int64)
    slots, free = 0, NOBODY
    # The store file; `previous` is by row.
    newest, count = np.full(sessions, NO_COMMIT), 0
    file_mtime, locked = 0.0, False
    # The gateways: queue, cache, and how its first writer fares with the lock file.
    busy, head, tail = np.zeros(gateways, np.bool_), np.full(gateways, NOBODY), np.full(gateways, NOBODY)
    seen, loaded, mtime = np.zeros(gateways, np.int64), np.full(gateways, -np.inf), np.full(gateways, -np.inf)
    began, attempt = np.empty(gateways), np.empty(gateways, np.int64)
    # The schedule: the next arrival, what the one writer does next (commit, then release), and the heap of all else.
    arrived, arrival, arrival_order = 0, plan.arrive[0] if flows else np.inf, 0
    writer, lock, writes_at, writes_order, writes = NOBODY, 0.0, np.inf, 0, COMMIT
    times, orders, events, size = np.empty(flows), np.empty(flows, np.int64), np.empty(flows, np.int64), 0
    inserted = 0
    while True:
        # Infinite is what is not scheduled.
        writer_first = writes_at < arrival or (writes_at == arrival < np.inf and writes_order < arrival_order)
        now, order = (writes_at, writes_order) if writer_first else (arrival, arrival_order)
        if size and (times[0] < now or (times[0] == now and orders[0] < order)):
            now = times[0]
            slot, stage = events[0] // STAGES, events[0] % STAGES
            size = _pop(times, orders, events, size)
        elif writer_first:
            slot, stage, writes_at = writer, writes, np.inf
        elif arrived < flows:
            stage, slot = READ, free
            if free == NOBODY:
                slot = slots
                slots += 1
            else:
                free = behind[free]
            flow_of[slot], step_of[slot] = arrived, plan.first[arrived]
            arrived += 1
            inserted += 1
            arrival, arrival_order = now + max(0.0, plan.arrive[arrived] - now) if arrived < flows else np.inf, inserted
        else:
            return count
        flow, step = flow_of[slot], step_of[slot]
        session, gateway = plan.session[flow], plan.gateway[flow]
        inserted += 1  # each pass inserts one event at most, and one more where it says so

        if stage == READ:
            read[slot], snapshot[step] = now, NO_COMMIT
            if plan.inherits[step]:
                snapshot[step] = snapshot[step - plan.inherits[step]]
            elif plan.reads[step] == OWN:
                if mtime[gateway] != file_mtime or now - loaded[gateway] >= cache_ttl:
                    seen[gateway], loaded[gateway], mtime[gateway] = count, now, file_mtime
                snapshot[step] = _cached(newest[session], seen[gateway], previous)
            if plan.prepare[step]:
                size = _push(times, orders, events, size, now + plan.prepare[step], inserted, slot * STAGES + QUEUE)
                continue
            stage = QUEUE
        if stage == QUEUE:
            queued[slot] = now
            if busy[gateway]:
                if head[gateway] == NOBODY:
                    head[gateway] = slot
                else:
                    behind[tail[gateway]] = slot
                tail[gateway], behind[slot] = slot, NOBODY
                continue
            busy[gateway] = True
            stage = TURN
        if stage == TURN:
            began[gateway], attempt[gateway] = now, 0
        if stage < COMMIT and not locked:
            locked, lock, writer = True, now, slot
            if plan.reads[step] == IN_LOCK:
                if mtime[gateway] != file_mtime or now - loaded[gateway] >= cache_ttl:
                    seen[gateway], loaded[gateway], mtime[gateway] = count, now, file_mtime
                snapshot[step] = _cached(newest[session], seen[gateway], previous)
            elif plan.reads[step] == NONE:
                snapshot[step] = newest[session]
            writes_at, writes_order, writes = now + plan.hold[step], inserted, COMMIT
            continue
        if stage < COMMIT and now - began[gateway] < timeout:
            attempt[gateway] += 1
            pause = min(poll_max, poll * attempt[gateway])
            size = _push(times, orders, events, size, now + pause, inserted, slot * STAGES + POLL)
            continue

        # The transaction ends: it has committed, or it has given up.
        ok = stage >= COMMIT
        if stage != RELEASE:
            rows.flow[count], rows.kind[count], rows.site[count] = flow, kind[flow], site[step]
            rows.session[count], rows.gateway[count], rows.snapshot[count] = session, gateway, snapshot[step]
            rows.read[count], rows.queued[count], rows.end[count] = read[slot], queued[slot], now
            rows.lock[count], rows.ok[count] = lock if ok else now, ok
            for key in range(request.shape[1]):
                rows.request[count, key] = request[step, key]
            previous[count] = newest[session] if ok else NO_COMMIT
            count += 1
        if stage == COMMIT:
            newest[session], file_mtime = count - 1, np.floor(now / tick) * tick if tick else now
            seen[gateway], loaded[gateway], mtime[gateway] = count, now, file_mtime
            if release:
                writes_at, writes_order, writes = now + release, inserted, RELEASE
                continue
        if ok:
            locked = False
        following = head[gateway]
        if following == NOBODY:
            busy[gateway] = False
        else:
            head[gateway] = behind[following]
            size = _push(times, orders, events, size, now, inserted, following * STAGES + TURN)
        if ok and step + 1 < plan.first[flow + 1]:
            inserted += 1
            step_of[slot] = step + 1
            size = _push(times, orders, events, size, now + plan.after[step + 1], inserted, slot * STAGES + READ)
        else:
            behind[slot], free = free, slot


@compiled
def _cached(commit: int, seen: int, previous: Any) -> int:
    """The newest commit of a session that is among the first `seen` rows."""
    while commit >= seen:
        commit = previous[commit]
    return commit


@compiled
def _push(times: Any, orders: Any, events: Any, size: int, time: float, order: int, event: int) -> int:
    """Put an event into the binary heap; returns its new size."""
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if times[parent] < time or (times[parent] == time and orders[parent] < order):
            break
        times[place], orders[place], events[place] = times[parent], orders[parent], events[parent]
        place = parent
    times[place], orders[place], events[place] = time, order, event
    return size + 1


@compiled
def _pop(times: Any, orders: Any, events: Any, size: int) -> int:
    """Take the first event out of the binary heap; returns its new size."""
    size -= 1
    time, order, event, place = times[size], orders[size], events[size], 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        right = child + 1
        if right < size and (times[right] < times[child] or (times[right] == times[child] and orders[right] < orders[child])):
            child = right
        if time < times[child] or (time == times[child] and order < orders[child]):
            break
        times[place], orders[place], events[place] = times[child], orders[child], events[child]
        place = child
    times[place], orders[place], events[place] = time, order, event
    return size
