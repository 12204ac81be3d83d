"""What both models share: the plan of a replicate, made of its draws, and the history that their rows make up."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.case.discipline import Discipline
from simlib.case.snapshots import kinds, sources, steps_back
from simlib.common.arrays import Floats, Ints
from simlib.model.history import Attempts, History, Rows, Values
from simlib.workload.traffic import Traffic
from simlib.workload.workload import Workload

Row = tuple[int, float, float, float, float, bool, int]
"""One ended transaction: its number in `Traffic`, read, queued, lock, end, ok, snapshot."""
ROW = np.dtype(
    [
        ("step", np.int64),
        *((name, np.float64) for name in ("read", "queued", "lock", "end")),
        ("ok", np.bool_),
        ("snapshot", np.int64),
    ]
)

Tried = tuple[int, int, int, int, float]
"""More of an ended attempt: its number, outcome, base, seen, began; see `Attempts`."""
TRIED = np.dtype([*((name, np.int64) for name in ("number", "outcome", "base", "seen")), ("began", np.float64)])


class Plan(NamedTuple):
    """The draws as the model uses them, `compute` put before or in the lock; shapes as in `Traffic`, times as in `Times`."""

    arrive: Floats
    first: Ints
    kind: Ints
    session: Ints
    gateway: Ints
    site: Ints
    reads: Ints
    """(transactions,) kind of the snapshot, see `simlib.case.snapshots`."""
    inherits: Ints
    after: Floats
    prepare: Floats
    hold: Floats

    def plain(self) -> "Plan":
        """The plan as lists of plain numbers, which are faster where Python looks at them one by one."""
        return Plan(*(column.tolist() for column in self))


def make_plan(case: Case, traffic: Traffic, discipline: Discipline) -> Plan:
    """The plan of one replicate, as arrays."""
    before: Floats | float = traffic.compute
    inside: Floats | float = 0.0
    if discipline.in_lock:
        is_inside = np.array([site in discipline.in_lock for site in case.sites])[traffic.site]
        before, inside = np.where(is_inside, 0.0, traffic.compute), np.where(is_inside, traffic.compute, 0.0)
    return Plan(
        arrive=traffic.arrive,
        first=traffic.first,
        kind=traffic.kind,
        session=traffic.session,
        gateway=traffic.gateway,
        site=traffic.site,
        reads=_kinds(discipline.snapshots)[traffic.site],
        inherits=_inherits(case, traffic, discipline),
        after=traffic.after,
        prepare=traffic.prepare + before,
        hold=traffic.hold + inside,
    )


def make_rows(traffic: Traffic, rows: list[Row]) -> tuple[Rows, Ints]:
    """The rows that a run left behind, as columns; and the step of each."""
    table = np.array(rows, dtype=ROW)
    step, read, queued, lock, end, ok, snapshot = (np.ascontiguousarray(table[name]) for name in ROW.names or ())
    flow_of = np.repeat(np.arange(traffic.kind.size), np.diff(traffic.first))[step]
    columns = Rows(
        flow=flow_of,
        kind=traffic.kind[flow_of],
        site=traffic.site[step],
        session=traffic.session[flow_of],
        gateway=traffic.gateway[flow_of],
        read=read,
        queued=queued,
        lock=lock,
        end=end,
        ok=ok,
        snapshot=snapshot,
    )
    return columns, step


def make_attempts(step: Ints, tried: list[Tried]) -> Attempts:
    """What else such a run left behind of each row, as columns."""
    table = np.array(tried, dtype=TRIED)
    return Attempts(step, *(np.ascontiguousarray(table[name]) for name in TRIED.names or ()))


def make_history(
    workload: Workload, case: Case, traffic: Traffic, rows: Rows, step: Ints, attempts: Attempts | None = None
) -> History:  # fmt: skip
    """The history of these rows, given the step of each."""
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=traffic.kinds,
        initial=traffic.initial,
        values=Values({domain: tuple(value) if isinstance(value, list) else 0 for domain, value in workload.values.items()}),
        session_names=_session_names(workload.sessions.count),
        request=np.take(traffic.request, step, axis=0, mode="clip"),  # faster than an index, as nothing is checked
        attempts=attempts,
        **rows._asdict(),
    )


def _inherits(case: Case, traffic: Traffic, discipline: Discipline) -> Ints:
    """How many steps back each snapshot comes from; `traffic` says it of the case's own snapshots."""
    if discipline.snapshots == case.snapshots:
        return traffic.inherits
    return steps_back(traffic.site, traffic.first, sources(discipline.snapshots, case.sites))


@lru_cache(maxsize=8)
def _kinds(snapshots: tuple[str, ...]) -> Ints:
    return kinds(snapshots)


@lru_cache(maxsize=8)
def _session_names(count: int) -> tuple[str, ...]:
    return tuple(f"session-{number + 1}" for number in range(count))
