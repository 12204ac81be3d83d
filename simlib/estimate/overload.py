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


@dataclass(frozen=True)
class Limit:
    """How much traffic a strategy can serve without end.

    Attributes:
        stable, unstable: multiples of the workload's traffic: the highest that was found stable, 0 if none was; and the lowest
            that was found not to be, inf if there is none as far as it was looked at.
        units: units of work a second in the workload's own traffic.
    """

    stable: float
    unstable: float
    units: float

    @property
    def throughput(self) -> tuple[float, float]:
        """Both in units of work a second."""
        return self.stable * self.units, self.unstable * self.units

    def to_json(self) -> dict[str, float | None]:
        """The same; null where no traffic was found that is too much."""
        stable, unstable = self.throughput
        return {"stable": stable, "unstable": unstable if math.isfinite(unstable) else None}


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
    locks = strategy.discipline.locks
    scopes = {lock.scope for lock in locks}
    return max(
        (_asked_of([lock for lock in locks if lock.scope == scope], workload, case, strategy.discipline) for scope in scopes),
        default=0.0,
    )


def _asked_of(locks: Sequence[Lock], workload: Workload, case: Case, discipline: Discipline) -> float:
    """Of the lock of one scope, for all the spans for which it is taken; who holds it does not take it again."""
    total = 0.0
    for flow in workload.traffic.values():
        rate = workload.flow_rate(flow)
        if isinstance(flow.arrivals, Recorded):
            arrivals = sum(time < workload.duration for time in flow.arrivals.times)
            rate = arrivals * flow.flows(workload.sessions.count) / workload.duration
        if locks[0].scope == "entry":
            rate *= 1 / workload.sessions.count if flow.sessions == "all" else float(session_shares(workload).max())
        held = False
        for site in flow.steps:
            spans = {lock.span for lock in locks if site in lock.sites}
            if spans or held:
                total += rate * _taken(held, held or spans != {"merge"}, workload, case, discipline, site)
            held = held or "flow" in spans
    return total


def _taken(held: bool, wide: bool, workload: Workload, case: Case, discipline: Discipline, site: str) -> float:
    """Mean seconds that one transaction at the site takes the lock.

    `held`: its flow has it already. `wide`: it has it for all of the transaction, and not for the merge alone.
    """
    times = workload.times[site]
    inside = times.compute.expected if site in discipline.in_lock or wide else 0.0
    taken = times.hold.expected + inside + workload.store.release
    if discipline.guards[case.sites.index(site)]:
        taken += times.check.expected
    if wide:
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
