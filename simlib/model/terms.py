"""A discipline as the tables that both models go by, and how long each part of each attempt takes.

Locks are known by their scope: of a flow's two possible ones, the store's and its entry's, each is free or held for a span.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.case.discipline import Discipline, Guard
from simlib.case.guards import Guards, tabulate_guards
from simlib.case.rules import Program
from simlib.common.arrays import Bools, Floats, Ints
from simlib.model.history import COMMITTED, FAILED, SKIPPED
from simlib.model.plan import Plan
from simlib.workload.attempts import PAUSE, draw_part
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

NO_LOCK = -1
SCOPES = STORE, ENTRY = (0, 1)
"""Scopes of a lock."""
NO_SPAN, MERGE, TRANSACTION, FLOW = range(4)
"""What a lock is held for; who lets go of one lets go of all that are held for no longer."""
SPANS = {"merge": MERGE, "transaction": TRANSACTION, "flow": FLOW}
FIELDS_STORED, ENTRY_STORED, STORE_STORED = range(3)
_STORED = {"fields": FIELDS_STORED, "entry": ENTRY_STORED, "store": STORE_STORED}
_USED_UP = {"fail": FAILED, "skip": SKIPPED, "write": COMMITTED}


class Terms(NamedTuple):
    """The tables.

    Attributes:
        scope: (spans, transactions) scope of the lock that the transaction takes for that span, or NO_LOCK. One for the whole
            flow is taken by the first of its transactions that asks for it.
        timeout: (spans, sites) seconds after which waiting for it is given up.
        goes_on: (spans, sites) whether the transaction then goes on without it.
        attempts: (sites,) how often a transaction is tried; where nothing is compared, 0.
        used_up: (sites,) outcome of the last attempt, if it is rejected.
        atomic: (sites,) whether comparison and write are one step.
        keeps: (sites,) whether the lock of the merge is kept during a pause.
        of_store: (sites,) whether the version that is compared is the whole store's.
        stored: what a commit puts into the store: FIELDS_STORED, ENTRY_STORED or STORE_STORED.
        evaluates: whether a guard looks at values, so that the model keeps them.
        guards: what is compared.
        program: the rules of the strategy whose guards look at values; else those of the reference, which are not used.
    """

    scope: Ints
    timeout: Floats
    goes_on: Bools
    attempts: Ints
    used_up: Ints
    atomic: Bools
    keeps: Bools
    of_store: Bools
    stored: int
    evaluates: bool
    guards: Guards
    program: Program

    def plain(self) -> "Terms":
        """The same with what both models look up as lists of plain numbers."""
        columns = {name: part.tolist() for name, part in self._asdict().items() if isinstance(part, np.ndarray)}
        return self._replace(**columns)


def make_terms(workload: Workload, case: Case, traffic: Traffic, discipline: Discipline) -> Terms:
    """The tables of one discipline for one replicate."""
    scope, timeout, goes_on = _locks(workload.store.lock_timeout, case.sites, traffic, discipline)
    guards = discipline.guards
    return Terms(
        scope=scope,
        timeout=timeout,
        goes_on=goes_on,
        attempts=_of_guards(guards, lambda guard: guard.attempts, np.int64),
        used_up=_of_guards(guards, lambda guard: _USED_UP[guard.used_up], np.int64),
        atomic=_of_guards(guards, lambda guard: guard.atomic, np.bool_),
        keeps=_of_guards(guards, lambda guard: guard.pause.in_lock, np.bool_),
        of_store=_of_guards(guards, lambda guard: guard.scope == "store", np.bool_),
        stored=_STORED[discipline.stores],
        evaluates=bool(discipline.rules_of),
        guards=tabulate_guards(case, discipline),
        program=(case.strategies[discipline.rules_of] if discipline.rules_of else case.reference).program,
    )


def _of_guards(guards: tuple[Guard | None, ...], what: Callable[[Guard], Any], kind: type[np.generic]) -> Any:
    """(sites,) what the guard of each site says; 0 where there is none."""
    return np.array([what(guard) if guard else 0 for guard in guards], dtype=kind)


def _locks(usual: float, sites: tuple[str, ...], traffic: Traffic, discipline: Discipline) -> tuple[Ints, Floats, Bools]:
    """`scope`, `timeout` and `goes_on` of `Terms`; `usual` is the time-out of a lock that names none."""
    scope = np.full((len(SPANS) + 1, traffic.site.size), NO_LOCK, dtype=np.int64)
    timeout = np.zeros((len(SPANS) + 1, len(sites)))
    goes_on = np.zeros(timeout.shape, dtype=np.bool_)
    flow = np.repeat(np.arange(traffic.kind.size), np.diff(traffic.first))
    for lock in discipline.locks:
        named, span = np.array([site in lock.sites for site in sites]), SPANS[lock.span]
        timeout[span, named] = usual if lock.timeout is None else lock.timeout
        goes_on[span, named] = lock.late == "go_on"
        asks = np.flatnonzero(named[traffic.site])
        if span == FLOW:
            asks = asks[np.diff(flow[asks], prepend=-1) > 0]
        scope[span, asks] = STORE if lock.scope == "store" else ENTRY
    return scope, timeout, goes_on


class AttemptTimes(NamedTuple):
    """How long each part of one attempt takes, (transactions,) in seconds each; see `Times`.

    Attributes:
        prepare: from the read until the patch is ready, with its computation if that is done before the lock.
        hold: with the computation if that is done in the lock.
        check, gap, lag: see `Times`.
        pause: after this attempt, if it is rejected and not the last.
    """

    prepare: Floats
    hold: Floats
    check: Floats
    gap: Floats
    lag: Floats
    pause: Floats

    def plain(self) -> "AttemptTimes":
        """The times as lists of plain numbers."""
        return AttemptTimes(*(column.tolist() for column in self))


class Timetable:
    """The times of one attempt after the other at the transactions of a replicate, drawn when they are asked for first."""

    def __init__(self, workload: Workload, case: Case, traffic: Traffic, discipline: Discipline, plan: Plan) -> None:
        self.given = workload, case, traffic, discipline, plan
        self.attempts: list[AttemptTimes] = []
        self.most = max((guard.attempts for guard in discipline.guards if guard), default=1)
        """The attempts that a transaction can need."""

    def __getitem__(self, attempt: int) -> AttemptTimes:
        """Of that attempt, from 1."""
        while len(self.attempts) < attempt:
            self.attempts.append(_attempt_times(*self.given, len(self.attempts) + 1))
        return self.attempts[attempt - 1]


def _attempt_times(
    workload: Workload, case: Case, traffic: Traffic, discipline: Discipline, plan: Plan, attempt: int
) -> AttemptTimes:  # fmt: skip
    guards = {site: guard for site, guard in zip(case.sites, discipline.guards, strict=True) if guard}
    tried = {site: guard for site, guard in guards.items() if guard.attempts >= attempt}

    def drawn(part: str, sites: Iterable[str]) -> Floats:
        return draw_part(workload, traffic, part, attempt, set(sites))

    prepare, hold = plan.prepare, plan.hold
    if attempt > 1:
        prepare = drawn("prepare", (site for site, guard in tried.items() if guard.again == "all"))
        prepare += drawn("compute", tried.keys() - discipline.in_lock)
        hold = drawn("hold", tried) + drawn("compute", tried.keys() & discipline.in_lock)
    uniform, pause = drawn(PAUSE, (site for site, guard in tried.items() if guard.pause.jitter)), np.zeros(traffic.site.size)
    for site, guard in tried.items():
        rows = traffic.site == case.sites.index(site)
        pause[rows] = guard.pause.seconds(attempt + 1, uniform[rows])
    return AttemptTimes(
        prepare=prepare,
        hold=hold,
        check=drawn("check", tried),
        gap=drawn("gap", (site for site, guard in tried.items() if not guard.atomic)),
        lag=drawn("lag", (site for site, word in zip(case.sites, discipline.snapshots, strict=True) if word == "lagged")),
        pause=pause,
    )
