"""The throughput at which a strategy stops being stable: found between two loads, by bisection on the workload's traffic.

Every kind of flow comes more often by the same factor. Whether a load is served, `Result.stable` says: no lock is asked for
more than all its time, and no backlog grows. With a plain lock that is where its utilisation reaches 1; a lock file that
several processes poll, or attempts that make further attempts necessary, end earlier.
"""

import math
from dataclasses import dataclass

from simlib.case.case import Case
from simlib.common import bounds
from simlib.common.errors import InputError
from simlib.estimate.experiment import run_replicates
from simlib.estimate.levers import with_traffic
from simlib.estimate.result import Result
from simlib.estimate.totals import fold
from simlib.workload.workload import Recorded, Workload

REPLICATES = 4
"""At each load."""
MOST_LOAD = 1024.0
"""Loads from one in so many to so many times the workload's traffic are tried."""
PRECISION = 1.02
"""The two loads are no further apart than by this factor."""
MOST_TRANSACTIONS = 200_000
"""In a replicate; above that it is shorter than the workload says."""


@dataclass(frozen=True)
class Limit:
    """Units of work a second that a strategy serves.

    Attributes:
        stable: the highest throughput that was seen to be served; 0 if none was.
        unstable: the lowest that was not; inf if every load that was tried was served.
    """

    stable: float
    unstable: float

    def words(self) -> str:
        """Both, in figures.

        Examples:
            >>> Limit(9.96, 10.04).words(), Limit(0.0, 0.5).words(), Limit(3000.0, math.inf).words()
            ('9.96 to 10', 'below 0.5', 'at least 3,000')
        """
        stable, unstable = (
            f"{end:.3g}" if end < 1000 else f"{float(f'{end:.3g}'):,.0f}" for end in (self.stable, self.unstable)
        )
        if math.isinf(self.unstable):
            return f"at least {stable}"
        return f"{stable} to {unstable}" if self.stable else f"below {unstable}"

    def to_json(self) -> dict[str, float | None]:
        """Both, with null for what was not found."""
        return {"stable": self.stable or None, "unstable": self.unstable if math.isfinite(self.unstable) else None}


def find_limit(workload: Workload, case: Case, strategy: str, *, seed: int = 1, replicates: int = REPLICATES) -> Limit:
    """Look for the limit of one strategy; the loads are tried on the same random streams.

    Args:
        workload: its traffic is the load of 1.
        case: the strategy's case.
        strategy: its name.
        seed: the root of all random streams, at least 0.
        replicates: at each load, at least two.

    Raises:
        InputError: an unknown strategy, a number out of range, or recorded arrivals, of which there cannot be more.
    """
    bounds.SEED.check("seed", seed)
    bounds.GATE_REPLICATES.check("replicates", replicates)
    case.strategy(strategy)
    for name, flow in workload.traffic.items():
        if isinstance(flow.arrivals, Recorded):
            raise InputError(f"traffic.{name}.arrivals: recorded, so there is no more of it; allowed with a limit: drawn ones")
    workload.check_case(case, workload.workload)
    stable, unstable, load = 0.0, math.inf, 1.0
    while 1 / MOST_LOAD <= load <= MOST_LOAD and unstable > PRECISION * stable:
        if _serves(workload, case, strategy, load, seed, replicates):
            stable = load
        else:
            unstable = load
        load = 2 * stable if math.isinf(unstable) else unstable / 2 if not stable else math.sqrt(stable * unstable)
    units = units_per_second(workload, case)
    return Limit(stable * units, unstable * units)


def units_per_second(workload: Workload, case: Case) -> float:
    """Units of work that a second of the workload brings; where every site is a write, each write is one."""
    if "unit" in case.roles:
        units = {site for site, role in zip(case.sites, case.roles, strict=True) if role == "unit"}
        return sum(flow.rate for flow in workload.traffic.values() if units & flow.steps.keys())
    return sum(flow.rate * len(flow.steps) for flow in workload.traffic.values())


def _serves(workload: Workload, case: Case, strategy: str, load: float, seed: int, replicates: int) -> bool:
    """Whether the strategy is stable at so many times the traffic; what is beyond a workload's bounds it does not serve."""
    try:
        more = with_traffic(workload, load)
    except InputError:
        return False
    share = MOST_TRANSACTIONS / max(1.0, load * workload.expected_transactions())
    more = more.model_copy(update={"duration": workload.duration * min(1.0, share)})
    parts = list(run_replicates(more, case, (strategy,), seed, "compiled", range(replicates)))
    return Result(more, case, seed, "compiled", 0, (strategy,), strategy, fold(parts, replicates)).stable(strategy)
