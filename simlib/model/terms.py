"""A discipline as the tables that both models go by, and how long each part of each attempt takes.

Locks are known by their scope: of a flow's two possible ones, the store's and its entry's, each is free or held for a span.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.case.discipline import STORES, Discipline, Guard
from simlib.case.guards import Guards, tabulate_guards
from simlib.case.rules import Program
from simlib.common.arrays import Bools, Floats, Ints
from simlib.model.history import COMMITTED, FAILED, SKIPPED
from simlib.model.plan import Plan
from simlib.workload.attempts import MIDDLE, PAUSE, Strand, draw_part, strands
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

NO_LOCK = -1
SCOPES = STORE, ENTRY = (0, 1)
"""Scopes of a lock."""
NO_SPAN, MERGE, TRANSACTION, FLOW = range(4)
"""What a lock is held for; who lets go of one lets go of all that are held for no longer."""
SPANS = {"merge": MERGE, "transaction": TRANSACTION, "flow": FLOW}
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
        stored=STORES.index(discipline.stores),
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
    """How long each part of an attempt takes: (transactions,) in seconds each, or (attempts, transactions); see `Times`.

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
    """How long the parts of any attempt at the transactions of a replicate take, drawn when they are asked for."""

    def __init__(self, workload: Workload, case: Case, traffic: Traffic, discipline: Discipline, plan: Plan) -> None:
        self.workload, self.traffic, self.plan = workload, traffic, plan
        self.in_lock = discipline.in_lock
        self.guards = {site: guard for site, guard in zip(case.sites, discipline.guards, strict=True) if guard}
        self.lagged = {site for site, word in zip(case.sites, discipline.snapshots, strict=True) if word == "lagged"}
        self.most = max((guard.attempts for guard in self.guards.values()), default=1)
        """The attempts that a transaction can need."""
        self.strands = [part for part in strands(workload, traffic) if part.site in self.guards.keys() | self.lagged]

    def attempt(self, number: int) -> AttemptTimes:
        """The times of that attempt, from 1; (transactions,) each."""
        times = AttemptTimes(*(np.zeros(self.traffic.site.size) for _ in AttemptTimes._fields))
        self._fill(times, number)
        return times

    def attempts(self, count: int) -> AttemptTimes:
        """The times of the first so many attempts; (attempts, transactions) each."""
        times = AttemptTimes(*(np.zeros((count, self.traffic.site.size)) for _ in AttemptTimes._fields))
        for number in range(count):
            self._fill(AttemptTimes(*(part[number] for part in times)), number + 1)
        return times

    def _fill(self, times: AttemptTimes, attempt: int) -> None:
        """Write in what is not zero."""
        if attempt == 1:
            times.prepare[:], times.hold[:] = self.plan.prepare, self.plan.hold
        for strand in self.strands:
            for name, part in self._drawn(strand, attempt).items():
                if np.any(part):
                    getattr(times, name)[strand.rows] = part

    def _drawn(self, strand: Strand, attempt: int) -> dict[str, Floats | float]:
        """The parts that the sites of these transactions need."""

        def drawn(part: str) -> Floats | float:
            return draw_part(self.workload, self.traffic, strand, part, attempt)

        parts, guard = {"lag": drawn("lag")} if strand.site in self.lagged else {}, self.guards.get(strand.site)
        if guard is None or guard.attempts < attempt:
            return parts
        if attempt > 1:
            inside = strand.site in self.in_lock
            parts["prepare"] = (drawn("prepare") if guard.again == "all" else 0.0) + (0.0 if inside else drawn("compute"))
            parts["hold"] = drawn("hold") + (drawn("compute") if inside else 0.0)
        if attempt < guard.attempts:
            parts["pause"] = guard.pause.seconds(attempt + 1, drawn(PAUSE) if guard.pause.jitter else MIDDLE)
        return parts | {"check": drawn("check"), "gap": 0.0 if guard.atomic else drawn("gap")}
