"""Whether the lock is asked for more than it can give.

Then its queue grows for as long as the run lasts: a wait tells how long that was, and nothing of the system.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simlib.case.case import Case, Strategy
from simlib.case.discipline import Discipline, Lock
from simlib.common.arrays import Floats
from simlib.workload.traffic import session_shares
from simlib.workload.workload import Recorded, Workload


@dataclass(frozen=True)
class Load:
    """How much of the lock's time is asked for; 1 is all there is.

    Attributes:
        requested: by the workload: rate x mean time that the lock is taken, summed over the transactions.
        observed: in a run: the time that the lock was taken for all that arrived, over the time in which they arrived; 0 where
            no one lock is everybody's.
    """

    requested: float
    observed: float

    @property
    def overloaded(self) -> bool:
        """Whether it is all there is, or more."""
        return self.share >= 1

    @property
    def share(self) -> float:
        """The greater of the two."""
        return max(self.requested, self.observed)


def requested_load(workload: Workload, case: Case, strategy: Strategy) -> float:
    """How much of a lock's time the workload asks for with this strategy, by first attempts alone.

    The strategy may compute in the lock. Of several locks it is the one that most is asked of; where each entry has one, that
    of the session with the most traffic. 0 where there is no lock.

    Examples:
        >>> from simlib import load_case, load_workload
        >>> workload = load_workload("quiet")
        >>> workload = load_workload("quiet", [f"times.{site}.hold=1" for site in workload.times])
        >>> case = load_case(workload.case)
        >>> round(requested_load(workload, case, case.strategy("after-19328")), 2)  # for 0.154 transactions a second
        0.15
    """
    locks = sorted(strategy.discipline.locks, key=lambda lock: ("flow", "transaction", "merge").index(lock.span))
    of_scope = [[lock for lock in locks if lock.scope == scope] for scope in ("store", "entry")]
    return max(_asked_of(one, workload, case, strategy.discipline) for one in of_scope)


def _asked_of(locks: Sequence[Lock], workload: Workload, case: Case, discipline: Discipline) -> float:
    """The same of one lock, which is taken for these spans, the widest first; who has it already takes it no more."""
    total = 0.0
    for flow in workload.traffic.values():
        rate = flow.rate
        if isinstance(flow.arrivals, Recorded):
            rate = sum(time < workload.duration for time in flow.arrivals.times) / workload.duration
        held = False
        for site in flow.steps:
            lock = next((lock for lock in locks if held or site in lock.sites), None)
            if lock:
                total += rate * _taken(lock, held, workload, case, discipline, site)
                held = held or lock.span == "flow"
    return total * float(session_shares(workload).max()) if locks and locks[0].scope == "entry" else total


def _taken(lock: Lock, held: bool, workload: Workload, case: Case, discipline: Discipline, site: str) -> float:
    """Mean seconds that one transaction at the site takes the lock; `held`: its flow has it already."""
    times = workload.times[site]
    inside = times.compute.expected if site in discipline.in_lock or lock.span != "merge" else 0.0
    taken = times.hold.expected + inside + workload.store.release
    if discipline.guards[case.sites.index(site)]:
        taken += times.check.expected
    if lock.span != "merge":
        taken += times.prepare.expected
    return taken + times.after.expected if held else taken


ROOM = 0.02
"""The share of what begins by which the transactions under way may grow in the second half of a run that is called stable."""


def grows(open_middle: Floats, open_end: Floats, began: Floats) -> bool:
    """Whether the transactions under way become more and more: a queue that grows for as long as the run lasts.

    Where a queue is stable, as many end as begin once it has warmed up. So the growth from the middle of the arrivals to their
    end, as a share of what began in between, is about zero; at a load of 1.1 it is 1 - 1/1.1, some 9 %. Locks that are given up
    after a time keep their queue short however much is asked of them: for those look at the load, and at what fails.

    Args:
        open_middle: (replicates,) transactions under way in the middle of the arrivals.
        open_end: the same at their end.
        began: (replicates,) transactions that began in between.

    Returns:
        whether the growth is above ROOM of them, and above three standard errors of counts as large as these.
    """
    before, after = float(open_middle.sum()), float(open_end.sum())
    return after - before > ROOM * float(began.sum()) + 3 * math.sqrt(before + after + 1)
