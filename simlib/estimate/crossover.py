"""At which conflict rate a guard with attempts becomes worse than a lock: a curve over traffic, and where it crosses.

The folk rule says: optimistic below 1 % conflicts, locks above 10 %. Both strategies are run on the same draws with more and
more of the workload's traffic. The guard can become worse in two ways, each with a crossing of its own: more units of work fail
than with the lock, and the latency's p99 is longer; in each case by more than is tolerated.

A p99 is of all replicates together; its interval, and that of the ratio of both, is by the jackknife that leaves out one
replicate at a time (Efron and Stein 1981), on the logarithm, so that the replicate is the unit here too.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from simlib.case.case import Case
from simlib.common import bounds
from simlib.common.arrays import Floats, Ints
from simlib.common.errors import InputError
from simlib.estimate.experiment import run_replicates
from simlib.estimate.intervals import LEVEL, Difference
from simlib.estimate.levers import with_traffic
from simlib.estimate.result import Result, estimate_columns
from simlib.estimate.totals import fold
from simlib.replay.histograms import quantile
from simlib.workload.workload import Recorded, Workload

FOLK_RULE = (0.01, 0.10)
"""Conflict rates up to which people say "optimistic", and from which on "a lock"."""
LOADS = tuple(float(2 ** (step / 2)) for step in range(-8, 5))
"""Multiples of the workload's traffic: a sixteenth to four times."""
Measure = Literal["failed", "p99"]
MEASURES: tuple[Measure, ...] = ("failed", "p99")
TOLERATED: Mapping[Measure, float] = {"failed": 0.001, "p99": 0.1}
"""Share of the units of work that may fail with the guard beyond those that fail with the lock; part of the lock's p99 by which
the guard's may be longer."""
REPLICATES = 20
"""At each load."""


@dataclass(frozen=True)
class Crossing:
    """The conflict rate at which the guard becomes worse; 0: it is so at the lowest load; inf: nowhere in the range.

    Attributes:
        estimate: where the estimates cross.
        low, high: where it may first be worse, and where it is for certain, by the 95 % intervals of the loads; the error of
            the conflict rate itself is not in it.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Crossover:
    """Guard and lock over traffic.

    Attributes:
        workload: its name.
        guard, lock: the strategies.
        frame: a row per load, ascending: `load` (multiple of the traffic), `arrivals` (flows a second), `stable` (bool, both),
            and each with `_low` and `_high` (95 %): `conflict_rate` of the guard's attempts, `guard_failed`, `lock_failed`
            and `failed_difference` (shares of the units of work; guard minus lock), `guard_p99_s`, `lock_p99_s` (seconds) and
            `p99_longer` (guard over lock, less 1).
    """

    workload: str
    guard: str
    lock: str
    frame: pd.DataFrame

    def crossing(self, measure: Measure) -> Crossing:
        """Where the guard becomes worse, among the loads at which both are stable."""
        at = self._stable["conflict_rate"].to_numpy(float)
        return Crossing(*(first_above(at, self._excess(measure, end).to_numpy(float)) for end in ("", "_high", "_low")))

    def is_worse(self, measure: Measure) -> pd.Series:
        """Whether the guard is worse, at each load at which both are stable."""
        return self._excess(measure) > 0

    @property
    def _stable(self) -> pd.DataFrame:
        return self.frame[self.frame["stable"]]

    def _excess(self, measure: Measure, end: str = "") -> pd.Series:
        """By how much the guard is worse than is tolerated."""
        return self._stable[{"failed": "failed_difference", "p99": "p99_longer"}[measure] + end] - TOLERATED[measure]


def rivals(result: Result) -> tuple[str, str] | None:
    """A guard and a lock that are worth comparing, among the strategies of a result; None if there is no such pair.

    The guard is the one with the most attempts that was seen to reject any; the lock is the first strategy with no guard and
    another lock than the usual one. Both must serve the workload's own traffic, which must be one that can be multiplied.
    """
    case = result.case
    if any(isinstance(flow.arrivals, Recorded) for flow in result.workload.traffic.values()):
        return None
    disciplines = {name: case.strategy(name).discipline for name in result.strategies if result.stable(name)}
    attempts = {
        name: max(guard.attempts for guard in one.guards if guard)
        for name, one in disciplines.items()
        if any(one.guards) and 0 < result.conflict_rate(name).estimate < 1
    }
    locks = [name for name, one in disciplines.items() if not any(one.guards) and one.locks not in ((), case.plain().locks)]
    return (max(attempts, key=attempts.__getitem__), locks[0]) if attempts and locks else None


def possible_loads(workload: Workload) -> list[float]:
    """Those of LOADS at which the workload is still within its bounds."""
    found = []
    for load in LOADS:
        with suppress(InputError):
            with_traffic(workload, load)
            found.append(load)
    return found


def first_above(at: Floats, values: Floats) -> float:
    """Where values first rise above zero: between two of them on a straight line; 0 if the first one is above, inf if none is.

    >>> first_above(np.array([1.0, 2.0, 4.0]), np.array([-1.0, -1.0, 1.0]))
    3.0
    """
    above = np.flatnonzero(values > 0)
    if not above.size:
        return float("inf")
    if not (first := int(above[0])):
        return 0.0
    way = -values[first - 1] / (values[first] - values[first - 1])
    return float(at[first - 1] + way * (at[first] - at[first - 1]))


def crossover(
    workload: Workload,
    case: Case,
    guard: str,
    lock: str,
    *,
    loads: Sequence[float] = LOADS,
    seed: int = 1,
    replicates: int = REPLICATES,
) -> Crossover:
    """Compare a guarded strategy with one that locks, over traffic.

    Args:
        workload: its traffic is the load of 1.
        case: the strategies' case.
        guard: a strategy with a guard.
        lock: one without.
        loads: multiples of the traffic; each is run for as many arrivals.
        seed: the root of all random streams, at least 0.
        replicates: at each load, at least two.

    Raises:
        InputError: an unknown strategy, one that is not of its kind, no load, or a number out of range.
    """
    bounds.SEED.check("seed", seed)
    bounds.GATE_REPLICATES.check("replicates", replicates)
    for name, wanted in ((guard, True), (lock, False)):
        if any(case.strategy(name).discipline.guards) != wanted:
            kind = (
                "no guard; allowed as the guard: one that has" if wanted else "a guard; allowed as the lock: one that has none"
            )
            raise InputError(f"strategy {name} of case {case.name} has {kind}")
    if not loads or not all(0 < load < np.inf for load in loads):
        raise InputError(f"loads: {', '.join(map(str, loads)) or 'none'}; allowed: multiples of the traffic above 0")
    workload.check_case(case, workload.workload)
    rows = [
        _row(with_traffic(workload, load), case, (guard, lock), seed, replicates) | {"load": load} for load in sorted(loads)
    ]
    return Crossover(workload.workload, guard, lock, pd.DataFrame(rows))


def _row(workload: Workload, case: Case, names: tuple[str, str], seed: int, replicates: int) -> dict[str, Any]:
    """One load."""
    parts = list(run_replicates(workload, case, names, seed, "compiled", range(replicates)))
    result = Result(workload, case, seed, "compiled", 0, names, names[0], fold(parts, replicates))
    guard, lock = (result.failed_rate(name) for name in names)
    left_out = [_logs(np.stack([part.sums["latencies"][number] for part in parts])) for number in range(2)]
    return (
        {"arrivals": sum(map(workload.flow_rate, workload.traffic.values())), "stable": all(map(result.stable, names))}
        | estimate_columns("conflict_rate", result.conflict_rate(names[0]))
        | estimate_columns("guard_failed", guard)
        | estimate_columns("lock_failed", lock)
        | estimate_columns("failed_difference", Difference(guard, lock))
        | _jackknife("guard_p99_s", left_out[0], np.exp)
        | _jackknife("lock_p99_s", left_out[1], np.exp)
        | _jackknife("p99_longer", left_out[0] - left_out[1], np.expm1)
    )


def _logs(histograms: Ints) -> Floats:
    """(1 + replicates,) logarithm of the p99 of all, then of all but each one; histograms: (replicates, bins)."""
    whole = histograms.sum(axis=0)
    return np.log([quantile(counts, 0.99) for counts in (whole, *(whole - histograms))])


def _jackknife(name: str, values: Floats, form: Callable[[float], float]) -> dict[str, float]:
    """The first value with its t interval, by what it is without each replicate; `form` of each, as columns of an estimate."""
    whole, without = values[0], values[1:]
    reach = stats.t.ppf(0.5 + LEVEL / 2, without.size - 1) * np.sqrt((without.size - 1) * without.var())
    numbers = {name: whole, f"{name}_low": whole - reach, f"{name}_high": whole + reach}
    return {key: float(form(number)) for key, number in numbers.items()}
