"""How the rates of a workload move when one thing about it is another: a lever.

There are three, of every workload: the longest time that a step takes without the lock, the number of sessions, and all traffic
together. They are what people doubt first, and what differs most between two places that run the same program.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from simlib.common import bounds
from simlib.common.files import validated
from simlib.estimate.experiment import run
from simlib.estimate.result import Result
from simlib.workload.distributions import scaled
from simlib.workload.workload import Recorded, Workload

FACTORS = (Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2), Fraction(4))
REPLICATES = 40
"""At each factor, at most."""
TRANSACTIONS = {"compiled": 1_000_000, "simpy": 50_000}
"""Expected over all factors and replicates of a timeline: some seconds."""


@dataclass(frozen=True)
class Lever:
    """One thing about a workload, and its workloads with other values of it.

    Attributes:
        name: the key of the workload, or what it is.
        value: the workload's own; seconds (a mean), sessions, or arrivals a second.
        workloads: factor -> the workload; without those that are no workload.
    """

    name: str
    value: float
    workloads: Mapping[Fraction, Workload]


def levers(workload: Workload) -> list[Lever]:
    """The levers that a workload has."""
    found = []
    used = dict.fromkeys(site for flow in workload.traffic.values() for site in flow.steps)
    times = {(site, part): getattr(workload.times[site], part) for site in used for part in ("after", "prepare")}
    (site, part), longest = max(times.items(), key=lambda item: item[1].expected)
    if longest.expected > 0:

        def longer(data: dict[str, Any], factor: float) -> None:
            data["times"][site][part] = scaled(longest, factor).model_dump()

        found.append(_lever(workload, f"times.{site}.{part}", longest.expected, longer))
    found.append(_lever(workload, "sessions.count", workload.sessions.count, _more_sessions))
    rates = [flow.rate for flow in workload.traffic.values() if not isinstance(flow.arrivals, Recorded)]
    if sum(rates):
        found.append(_lever(workload, "every traffic.*.rate", sum(rates), _more_traffic))
    return found


def _more_sessions(data: dict[str, Any], factor: float) -> None:
    data["sessions"]["count"] = max(1, round(data["sessions"]["count"] * factor))


def _more_traffic(data: dict[str, Any], factor: float) -> None:
    for flow in data["traffic"].values():
        flow["rate"] *= factor


def with_traffic(workload: Workload, factor: float) -> Workload:
    """The workload with so many times its traffic, of every kind, and run for as many arrivals: so much less long.

    Raises:
        InputError: it is beyond what a workload may have.
    """
    data = workload.model_dump()
    _more_traffic(data, factor)
    data["duration"] /= factor
    return validated(Workload, data, f"workload {workload.workload} with {factor:.3g} times its traffic")


def with_windows(workload: Workload, factor: float) -> Workload:
    """The workload with so many times every time that a step takes without the lock: its pauses and preparations.

    Raises:
        InputError: it is beyond what a workload may have.
    """
    data = workload.model_dump()
    for site, times in workload.times.items():
        for part in ("after", "prepare"):
            data["times"][site][part] = scaled(getattr(times, part), factor).model_dump()
    return validated(Workload, data, f"workload {workload.workload} with {factor:.3g} times its windows")


def _lever(workload: Workload, name: str, value: float, change: Callable[[dict[str, Any], float], None]) -> Lever:
    found = {}
    for factor in FACTORS:
        data = workload.model_dump()
        if factor != 1:
            change(data, float(factor))
        try:
            found[factor] = Workload.model_validate(data)
        except ValidationError:  # beyond what a workload may have
            continue
    return Lever(name, value, found)


def pull(result: Result, chosen: Sequence[Lever]) -> dict[tuple[str, Fraction], Result]:
    """The strategies of a result under each workload of the levers.

    Returns:
        (name of the lever, factor) -> a result with the same seed and strategies, of as many replicates as take some seconds in
        all. At the factor 1 it is one for all levers.

    Raises:
        InputError: a workload cannot fit this machine.
    """
    expected = sum(workload.expected_transactions() for lever in chosen for workload in lever.workloads.values())
    affordable = int(TRANSACTIONS[result.engine] / max(1.0, expected))
    replicates = max(bounds.GATE_REPLICATES.low, min(REPLICATES, affordable, result.replicates))

    def at(workload: Workload) -> Result:
        return run(
            workload, result.case, result.strategies, seed=result.seed, replicates=int(replicates), engine=result.engine, jobs=1
        )

    own = at(result.workload)
    return {
        (lever.name, factor): own if factor == 1 else at(workload)
        for lever in chosen
        for factor, workload in lever.workloads.items()
    }
