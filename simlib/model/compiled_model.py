"""The SimPy model, compiled: equal histories, bit for bit, a hundred times faster.

`simpy_model` is the specification; what a step means is said there. A gateway alone needs no event loop (`one_gateway`); for
several, or where events tie, there is one (`event_loop`).
"""

from typing import Any

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.model.event_loop import Settings, any_gateways
from simlib.model.flows import open_book
from simlib.model.history import History, Rows
from simlib.model.one_gateway import TIED, one_gateway
from simlib.model.plan import make_history, make_plan
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload


def simulate(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline | None = None) -> History:
    """Run the flows of one replicate to their end: `simpy_model.simulate`, with the same arguments and an equal history.

    >>> from simlib.case.case import load_case
    >>> from simlib.workload.traffic import draw
    >>> from simlib.workload.workload import load_workload
    >>> workload = load_workload("quiet", ["duration=600"])
    >>> case = load_case(workload.case)
    >>> history = simulate(workload, case, draw(workload, case, seed=1, replicate=0))
    >>> bool((history.read <= history.lock).all() and (history.lock <= history.end).all())  # a row a transaction, in seconds
    True
    """
    store, book = workload.store, open_book(traffic.site.size)
    given = make_plan(case, traffic, discipline or case.plain()), book, workload.sessions.count
    count = one_gateway(*given, store.release) if store.gateways == 1 else TIED
    if count == TIED:
        settings = (store.cache_ttl, store.mtime_tick, store.lock_poll, store.lock_poll_max, store.lock_timeout, store.release)
        count = any_gateways(*given, Settings(*settings), store.gateways)
    rows = book.rows
    if count < traffic.site.size:  # some flows gave up, and their later steps left no rows
        columns: list[Any] = [column[:count] for column in rows]
        rows = Rows(*columns)
    return make_history(workload, case, traffic, rows, book.step[:count])
