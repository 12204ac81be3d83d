"""The throughput at which a strategy stops being stable: how much of a workload's traffic it can serve without end.

Traffics between which the answer lies are simulated, and `Result.stable` judges each run. What first attempts alone ask of a
lock is known without a run: at `1 / requested_load` times the traffic no time is left, and no strategy is stable from there on.
A queue in which nothing is rejected reaches that; so do processes that poll a lock file, each of which serves its own queue
until it is empty, although waits and time-outs grow long before. Retries ask for the lock again, so their limit is lower.
Where no lock is taken nothing queues, and there may be no limit at all.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from simlib.case.case import Case, Strategy
from simlib.case.discipline import Discipline, Guard
from simlib.common import bounds
from simlib.estimate.experiment import run_replicates
from simlib.estimate.levers import with_traffic
from simlib.estimate.overload import Limit, requested_load
from simlib.estimate.result import Result
from simlib.estimate.totals import fold
from simlib.workload.traffic import session_shares
from simlib.workload.workload import Bursty, Diurnal, Flow, Recorded, Workload

OCTAVE = 16
"""Traffics that are looked at for each doubling: a limit is told to 2 ** (1 / 16), some 4 %."""
LOWEST = 16 * OCTAVE
"""Steps below the highest traffic at which the search gives up."""
HIGHEST = 64.0
"""Times the workload's traffic."""
REPLICATES = 4
"""At each traffic."""
FLOWS = 20_000
"""In a replicate. At a load of 0.96 a queue has settled after some thousand: what grows in the second half is no beginning."""
OF_THE_BUSIEST = 500
"""Flows at least of the busiest session in a replicate, where each has a queue of its own."""
ATTEMPTS = 2_000_000
"""In a replicate at most, if every attempt were rejected."""
SETTLED = 20.0
"""A replicate is so many times as long as the slowest thing in it: a flow that waits for nothing, a busy period, a day."""


def limits(result: Result) -> dict[str, Limit]:
    """How much of the traffic each strategy of a result can serve.

    None where the traffic is recorded, which cannot be multiplied, or has no units of work to count in.

    Strategies with equal disciplines share it. The seed is the result's.
    """
    workload = result.workload
    if any(isinstance(flow.arrivals, Recorded) for flow in workload.traffic.values()) or not _units(workload, result.case):
        return {}
    found: dict[Discipline, Limit] = {}
    for name in result.strategies:
        strategy = result.case.strategy(name)
        if strategy.discipline not in found:
            found[strategy.discipline] = _limit(workload, result.case, strategy, result.seed)
    return {name: found[result.case.strategy(name).discipline] for name in result.strategies}


def with_limits(result: Result) -> Result:
    """The result with them."""
    return replace(result, limits=limits(result))


def _limit(workload: Workload, case: Case, strategy: Strategy, seed: int) -> Limit:
    slowest = SETTLED * max(_slowest(workload, flow, case, strategy.discipline) for flow in workload.traffic.values())
    tries = max(_attempts(flow, case, strategy.discipline) for flow in workload.traffic.values())
    total = sum(workload.flow_rate(flow) for flow in workload.traffic.values())

    own_queues = any(lock.scope == "entry" for lock in strategy.discipline.locks)
    flows = max(FLOWS, OF_THE_BUSIEST / float(session_shares(workload).max())) if own_queues else FLOWS

    def stable(factor: float) -> bool:
        duration = max(min(flows, ATTEMPTS / tries) / (total * factor), slowest)
        busier = with_traffic(workload.model_copy(update={"duration": duration * factor}), factor)
        totals = fold(run_replicates(busier, case, [strategy.name], seed, "compiled", range(REPLICATES)), REPLICATES)
        return Result(busier, case, seed, "compiled", 0, (strategy.name,), strategy.name, totals).stable(strategy.name)

    asked = requested_load(workload, case, strategy)
    cap = min(
        HIGHEST,
        bounds.RATE.high / max(flow.rate for flow in workload.traffic.values()),
        ATTEMPTS / (tries * total * slowest) if slowest else math.inf,
    )
    found = bracket(stable, cap) if asked * cap < 1 else bracket(stable, 1 / asked, full=True)
    return Limit(*found, _units(workload, case))


def _units(workload: Workload, case: Case) -> float:
    """Units of work a second."""
    in_unit = {site for site, counts in zip(case.sites, case.in_unit, strict=True) if counts}
    return sum(workload.flow_rate(flow) for flow in workload.traffic.values() if in_unit.intersection(flow.steps))


def bracket(stable: Callable[[float], bool], top: float, *, full: bool = False) -> tuple[float, float]:
    """The highest traffic found stable, and the lowest found not to be: one step apart, or 0 and inf where there is none.

    Args:
        stable: whether a traffic is; of any that is stable, so are all below.
        top: the highest traffic that is looked at.
        full: it is known not to be stable.

    Examples:
        >>> low, high = bracket(lambda factor: factor < 5, 1024)
        >>> low < 5 <= high, round(high / low, 3)
        (True, 1.044)
    """

    def factor(steps: int) -> float:
        return float(top * 2 ** (-steps / OCTAVE))

    if not full and stable(top):
        return top, math.inf
    above, below = 0, 1
    while not stable(factor(below)):
        above, below = below, 2 * below
        if below > LOWEST:
            return 0.0, factor(above)
    while below - above > 1:
        middle = (above + below) // 2
        above, below = (above, middle) if stable(factor(middle)) else (middle, below)
    return factor(below), factor(above)


def _guards(flow: Flow, case: Case, discipline: Discipline) -> Mapping[str, Guard | None]:
    return {site: discipline.guards[case.sites.index(site)] for site in flow.steps}


def _attempts(flow: Flow, case: Case, discipline: Discipline) -> int:
    """Rows that the flow leaves if every attempt but the last is rejected."""
    return sum(guard.attempts if guard else 1 for guard in _guards(flow, case, discipline).values())


def _slowest(workload: Workload, flow: Flow, case: Case, discipline: Discipline) -> float:
    """Seconds of a flow with all its attempts if it waits for nobody, of a period of its arrivals, or of a poll."""
    total = 0.0
    for site, guard in _guards(flow, case, discipline).items():
        times = workload.times[site]
        parts = (times.after, times.prepare, times.compute, times.check, times.gap, times.hold)
        total += sum(part.expected for part in parts) * (guard.attempts if guard else 1)
        total += sum(guard.pause.seconds(attempt, 0.5) for attempt in range(2, guard.attempts + 1)) if guard else 0.0
    poll = workload.store.lock_poll_max if workload.store.gateways > 1 else 0.0
    return max(total, _period(flow), poll)


def _period(flow: Flow) -> float:
    """Seconds after which its arrivals look the same again, in the mean."""
    match flow.arrivals:
        case Bursty(busy=busy, idle=idle):
            return busy + idle
        case Diurnal(period=period):
            return period
    return 0.0
