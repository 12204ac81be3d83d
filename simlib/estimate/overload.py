"""Whether the lock is asked for more than it can give.

Then its queue grows for as long as the run lasts: a wait tells how long that was, and nothing of the system.
"""

from dataclasses import dataclass

from simlib.case.case import Case, Strategy
from simlib.workload.workload import Recorded, Workload


@dataclass(frozen=True)
class Load:
    """How much of the lock's time is asked for; 1 is all there is.

    Attributes:
        requested: by the workload: rate x mean time that the lock is taken, summed over the transactions.
        observed: in a run: the time that the lock was taken for all that arrived, over the time in which they arrived.
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
    """How much of the lock's time the workload asks for with this strategy, which may compute in the lock.

    Examples:
        >>> from simlib import load_case, load_workload
        >>> workload = load_workload("quiet")
        >>> workload = load_workload("quiet", [f"times.{site}.hold=1" for site in workload.times])
        >>> case = load_case(workload.case)
        >>> round(requested_load(workload, case, case.strategy("after-19328")), 2)  # for 0.154 transactions a second
        0.15
    """
    total = 0.0
    for flow in workload.traffic.values():
        rate = flow.rate
        if isinstance(flow.arrivals, Recorded):
            rate = sum(time < workload.duration for time in flow.arrivals.times) / workload.duration
        for site in flow.steps:
            times = workload.times[site]
            inside = times.compute.expected if site in strategy.in_lock else 0.0
            total += rate * (times.hold.expected + inside + workload.store.release)
    return total
