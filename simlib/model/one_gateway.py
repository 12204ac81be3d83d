"""A gateway alone, compiled: it needs no event loop.

Nobody polls, and the cache always shows the last commit. So transactions commit in the order in which they queue, each once its
predecessor has let go of the lock (Lindley's recursion), and what a snapshot shows follows from when it was read.
"""

from typing import Any

import numpy as np

from simlib.case import snapshots
from simlib.case.snapshots import INHERITED, NO_COMMIT, OWN
from simlib.common.compilation import compiled, inlined
from simlib.model.flows import Flows, make_flows, record
from simlib.model.heap import Heap, make_heap, pop, push, replace_top

TIED, TIED_READ = -1, -2

committed_by = inlined(snapshots.committed_by)


@compiled
def one_gateway(plan: Any, book: Any, sessions: int, release: float) -> int:
    """Fill the book; returns how many there are, or TIED where only the event loop knows who is first."""
    flows = make_flows(plan)
    return _alone(plan, book, flows, make_heap(plan.arrive.size), np.full(sessions, NO_COMMIT), release)


@inlined
def _alone(plan: Any, book: Any, flows: Flows, heap: Heap, newest: Any, release: float) -> int:
    """The loop over transactions. The heap holds the flows that pause or prepare, by the time at which they will queue."""
    count, arrived, size, last, free = 0, 0, 0, -np.inf, -np.inf
    arrival = plan.arrive[0] if plan.arrive.size else np.inf
    while True:
        while arrived < plan.arrive.size and arrival <= heap.times[0]:
            flows.read[arrived] = arrival
            push(heap, size, arrival + plan.prepare[flows.step[arrived]], arrived)
            size += 1
            arrived += 1
            arrival += max(0.0, plan.arrive[arrived] - arrival) if arrived < plan.arrive.size else np.inf
        queued, flow = heap.times[0], heap.items[0]
        if queued == np.inf:
            return count
        step, session, read = flows.step[flow], plan.session[flow], flows.read[flow]
        shown = _shown(plan, book, flows, flow, step, read, newest[session])
        if queued == last or shown == TIED_READ:
            return TIED
        last = queued
        flows.snapshot[step] = shown
        lock = max(queued, free)
        end = lock + plan.hold[step]
        free = end + release
        record(plan, book, count, flow, step, read, queued, lock, end, True, shown)
        book.previous[count], newest[session] = newest[session], count
        count += 1
        if step + 1 < plan.first[flow + 1]:
            flows.step[flow] = step + 1
            flows.read[flow] = read = free + plan.after[step + 1]
            replace_top(heap, read + plan.prepare[step + 1], flow)
        else:
            pop(heap, size)
            size -= 1


@inlined
def _shown(plan: Any, book: Any, flows: Flows, flow: int, step: int, read: float, newest: int) -> int:
    """The commit that the snapshot of this step shows; TIED_READ where it was read as another flow committed."""
    if plan.inherits[step]:
        return flows.snapshot[step - plan.inherits[step]]  # type: ignore[no-any-return]
    if plan.reads[step] == INHERITED:
        return NO_COMMIT
    if plan.reads[step] != OWN:
        return newest
    shown = committed_by(newest, read, book.rows.end, book.previous)
    if shown != NO_COMMIT and book.rows.end[shown] == read and book.rows.flow[shown] != flow:
        return TIED_READ
    return shown
