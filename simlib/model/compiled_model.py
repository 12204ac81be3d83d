"""The SimPy model, compiled: equal histories, bit for bit, a hundred times faster.

`simpy_model` is the specification; what a step means is said there. Of a plain discipline, a gateway alone needs no event loop
(`one_gateway`); for several, or where events tie, there is one (`event_loop`). All other disciplines have one that knows
everything (`guarded_loop`).
"""

from typing import Any

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.common.errors import InputError
from simlib.model.event_loop import Settings, any_gateways
from simlib.model.flows import open_book
from simlib.model.guarded_loop import guarded
from simlib.model.guarded_run import NEEDS_ATTEMPTS, NEEDS_ROWS
from simlib.model.guarded_store import open_tried
from simlib.model.history import MOST_ROWS, Attempts, History, Rows
from simlib.model.one_gateway import TIED, one_gateway
from simlib.model.plan import make_history, make_plan
from simlib.model.terms import ENTRY, Timetable, make_terms
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Store, Workload

FIRST_ATTEMPTS = 4
"""Attempts whose times are drawn at first; then twice as many, until they are enough."""


def simulate(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline | None = None) -> History:
    """Run the flows of one replicate to their end: `simpy_model.simulate`, with the same arguments and an equal history.

    Raises:
        InputError: transactions are tried again so often that the history would have more than MOST_ROWS rows.

    >>> from simlib.case.case import load_case
    >>> from simlib.workload.traffic import draw
    >>> from simlib.workload.workload import load_workload
    >>> workload = load_workload("quiet", ["duration=600"])
    >>> case = load_case(workload.case)
    >>> history = simulate(workload, case, draw(workload, case, seed=1, replicate=0))
    >>> bool((history.read <= history.lock).all() and (history.lock <= history.end).all())  # a row a transaction, in seconds
    True
    """
    discipline = discipline or case.plain()
    if case.is_plain(discipline):
        return _plain(workload, case, traffic, discipline)
    return _guarded(workload, case, traffic, discipline)


def _plain(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline) -> History:
    store, book = workload.store, open_book(traffic.site.size)
    given = make_plan(case, traffic, discipline), book, workload.sessions.count
    count = one_gateway(*given, store.release) if store.gateways == 1 else TIED
    if count == TIED:
        count = any_gateways(*given, _settings(store), store.gateways)
    return make_history(workload, case, traffic, _first(book.rows, count), book.step[:count])


def _guarded(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline) -> History:
    """With room for as many rows and attempts as it takes, which only the run itself tells."""
    store, plan, terms = workload.store, make_plan(case, traffic, discipline), make_terms(workload, case, traffic, discipline)
    timetable = Timetable(workload, case, traffic, discipline, plan)
    attempts, size = min(timetable.most, FIRST_ATTEMPTS), traffic.site.size * (1 + (timetable.most > 1))
    of_entries, remembers = bool((terms.scope == ENTRY).any()), "memory" in discipline.snapshots
    while True:
        given, room = (plan, terms, timetable.attempts(attempts), _settings(store)), (open_book(size), open_tried(size))
        count = guarded(*given, traffic.request, traffic.initial, *room, store.gateways, of_entries, remembers)
        if count == NEEDS_ATTEMPTS:
            attempts = min(timetable.most, 2 * attempts)
        elif count == NEEDS_ROWS:
            if size == MOST_ROWS:
                raise InputError(f"workload {workload.workload}: more than {size:,} attempts in a replicate; allowed: so many")
            size = min(MOST_ROWS, 2 * size)
        else:
            break
    book, tried = room
    step = book.step[:count]
    columns = tried.number, tried.outcome, tried.base, tried.seen, tried.began
    return make_history(
        workload, case, traffic, _first(book.rows, count), step, Attempts(step, *(column[:count] for column in columns))
    )


def _settings(store: Store) -> Settings:
    return Settings(**{name: getattr(store, name) for name in Settings._fields})


def _first(rows: Rows, count: int) -> Rows:
    """So many rows, which are not all if some flows gave up and their later steps left none."""
    columns: list[Any] = [column[:count] for column in rows]
    return Rows(*columns)
