"""The flows of the compiled model: at which step each is, and the row that a step leaves behind.

What allocates is apart from what loops: a function that allocates nothing need not count references to the arrays it passes on,
and so can be made of small ones (`inlined`).
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.common.arrays import Ints
from simlib.common.compilation import compiled, inlined
from simlib.model.history import Rows


class Flows(NamedTuple):
    """The flows, by number: at which step they are, when it began and when it queued. Snapshots are by step."""

    step: Any
    read: Any
    queued: Any
    snapshot: Any


@compiled
def make_flows(plan: Any) -> Flows:
    """All flows before their first step."""
    count = plan.arrive.size
    return Flows(plan.first[:-1].copy(), np.empty(count), np.empty(count), np.empty(plan.hold.size, np.int64))


class Book(NamedTuple):
    """What the compiled model writes down, a row an ended step: columns of the history, the step, and the commit before."""

    rows: Rows
    step: Ints
    previous: Ints


def open_book(size: int) -> Book:
    """Room for that many rows; in one large block, which the system provides faster than many small ones."""
    block = np.empty((12, size), dtype=np.int64)
    flow, kind, site, session, gateway, snapshot, step, previous = block[:8]
    read, queued, lock, end = block[8:].view(np.float64)
    ok = np.empty(size, dtype=np.bool_)
    return Book(Rows(flow, kind, site, session, gateway, read, queued, lock, end, ok, snapshot), step, previous)


@inlined
def record(
    plan: Any, book: Any, row: int, flow: int, step: int, read: float, queued: float, lock: float, end: float, ok: bool,
    snapshot: int,
) -> None:  # fmt: skip
    """Write one row."""
    rows = book.rows
    rows.flow[row], rows.kind[row], rows.site[row] = flow, plan.kind[flow], plan.site[step]
    rows.session[row], rows.gateway[row], rows.snapshot[row] = plan.session[flow], plan.gateway[flow], snapshot
    rows.read[row], rows.queued[row], rows.lock[row], rows.end[row] = read, queued, lock, end
    rows.ok[row], book.step[row] = ok, step
