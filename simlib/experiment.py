"""Replicates x strategies: every strategy over the same timelines, on one process or many.

Strategies with the same `in_lock` share one timeline; others run on their own timeline with the same draws. The result does
not depend on how many processes worked on it.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np

from simlib import gateway, kernel
from simlib.case import Case, Noticed
from simlib.errors import InputError, RunError, allowed
from simlib.estimate import Difference, Interval, Mean, Rate
from simlib.history import History, same
from simlib.replay import KINDS, Outcomes, replay
from simlib.tally import Cost, Tally, cost, quantile, tally
from simlib.traffic import Ints, draw
from simlib.workload import MOST_REPLICATES, Workload

ENGINES = {"compiled": kernel.simulate, "simpy": gateway.simulate}
"""Two implementations of one model; their histories are equal, bit for bit. SimPy's is the specification."""
WORTH_A_POOL = {"compiled": 10_000_000, "simpy": 300_000}
"""Transactions below which starting further processes takes longer than it saves."""


@dataclass(frozen=True)
class Replicate:
    """What one replicate leaves: a tally and a cost for each strategy."""

    tallies: dict[str, Tally]
    costs: dict[str, Cost]


@dataclass(frozen=True)
class Result:
    """An experiment's tallies and the estimates from them.

    Attributes:
        workload, case, seed: what was run.
        strategies: names, in the order asked for.
        baseline: the strategy that differences refer to.
        engine: which of ENGINES simulated.
        checked: transactions of the first replicate, over its timelines, that the other engine was found to give as well.
        replicates: in order.
    """

    workload: Workload
    case: Case
    seed: int
    engine: str
    checked: int
    strategies: tuple[str, ...]
    baseline: str
    replicates: tuple[Replicate, ...]

    def tallies(self, strategy: str) -> list[Tally]:
        """One a replicate."""
        return [replicate.tallies[strategy] for replicate in self.replicates]

    def costs(self, strategy: str) -> list[Cost]:
        """One a replicate; strategies with the same timeline have the same."""
        return [replicate.costs[strategy] for replicate in self.replicates]

    def _rate(self, strategy: str, counts: Callable[[Tally], tuple[int, int]]) -> Rate:
        """The share with its bound for zero widened by the clustering that the baseline shows in the same replicates."""

        def totals(name: str) -> Any:
            return np.array([counts(tally) for tally in self.tallies(name)], dtype=np.float64).reshape(-1, 2).T

        events, exposures = totals(strategy)
        return Rate(events, exposures, Rate(*totals(self.baseline)).design_effect)

    def clobber_rate(self, strategy: str) -> Rate:
        """Share of agent turns in which any write of the turn clobbers at least one field."""
        return self._rate(strategy, lambda tally: (tally.clobbered_turns, tally.turns))

    def racing_rate(self, strategy: str) -> Rate:
        """The same share, counting only clobbers that need concurrency."""
        return self._rate(strategy, lambda tally: (tally.racing_turns, tally.turns))

    def lost_write_rate(self, strategy: str) -> Rate:
        """Share of field writes by `write`-role sites that are clobbered before anyone legitimately replaces them."""
        return self._rate(strategy, lambda tally: (tally.lost, tally.writes))

    def site_rate(self, strategy: str, site: str) -> Rate:
        """Share of the transactions at one write site that clobber."""
        number = self.case.sites.index(site)
        return self._rate(strategy, lambda tally: (int(tally.clobbering[number]), int(tally.transactions[number])))

    def noticed_rate(self, strategy: str, noticed: Noticed) -> Rate:
        """Share of flows that end in what a person notices."""
        number = self.case.noticed.index(noticed)
        return self._rate(strategy, lambda tally: (int(tally.noticed[number, 0]), int(tally.noticed[number, 1])))

    def difference(self, strategy: str) -> Difference | None:
        """Paired difference of the clobber rate to the baseline's; None for the baseline itself."""
        if strategy == self.baseline:
            return None
        return Difference(self.clobber_rate(strategy), self.clobber_rate(self.baseline))

    def clobbers(self, strategy: str) -> Ints:
        """(sites, fields, kinds, 2) clobbered fields over all replicates; the last axis: not racing, racing."""
        return np.asarray(sum(tally.clobbers for tally in self.tallies(strategy)), dtype=np.int64)

    def by_field(self, strategy: str) -> Ints:
        """(fields, kinds) clobbered fields over all replicates."""
        return np.asarray(self.clobbers(strategy).sum(axis=(0, 3)), dtype=np.int64)

    def by_site(self, strategy: str) -> Ints:
        """(sites,) clobbered fields over all replicates, by the culprit's write site."""
        return np.asarray(self.clobbers(strategy).sum(axis=(1, 2, 3)), dtype=np.int64)

    def by_race(self, strategy: str) -> tuple[int, int]:
        """Clobbered fields over all replicates that happen with no concurrency, and that need it."""
        plain, racing = self.clobbers(strategy).sum(axis=(0, 1, 2))
        return int(plain), int(racing)

    def clobbered_turns_per_day(self, strategy: str) -> float:
        """Clobbered turns a day at the workload's traffic."""
        seconds = self.workload.duration * len(self.replicates)
        return sum(tally.clobbered_turns for tally in self.tallies(strategy)) / seconds * 86400

    def stood(self, strategy: str) -> tuple[float, float]:
        """Median seconds that a wrong value stood, and the share of them that stood to the end of the replicate.

        The median counts those that stood to the end as longer than any other; it is inf if they are more than half.
        """
        ended = np.concatenate([tally.stood for tally in self.tallies(strategy)])
        standing = sum(tally.standing for tally in self.tallies(strategy))
        total = ended.size + standing
        if not total:
            return math.nan, math.nan
        durations = np.sort(np.concatenate([ended, np.full(standing, np.inf)]))
        return float(durations[(total - 1) // 2]), standing / total

    def mean_wait(self, strategy: str) -> Mean:
        """Mean wait for the lock, seconds a transaction."""
        costs = self.costs(strategy)
        return Mean(np.array([cost.waited for cost in costs]), np.array([float(cost.transactions) for cost in costs]))

    def mean_hold(self, strategy: str) -> Mean:
        """Mean time the lock is held, seconds a transaction."""
        costs = self.costs(strategy)
        return Mean(
            np.array([cost.held for cost in costs]), np.array([float(cost.transactions - cost.timeouts) for cost in costs])
        )

    def price(self, strategy: str) -> dict[str, float]:
        """Lock wait and hold in seconds (mean, p50, p95, p99), utilisation of the lock, and how many writes timed out."""
        costs = self.costs(strategy)
        waits, holds = (sum(getattr(cost, name) for cost in costs) for name in ("waits", "holds"))
        span = sum(cost.span for cost in costs)
        return (
            {"wait_mean": self.mean_wait(strategy).estimate}
            | {f"wait_p{percent}": quantile(waits, percent / 100) for percent in (50, 95, 99)}
            | {"hold_mean": self.mean_hold(strategy).estimate}
            | {f"hold_p{percent}": quantile(holds, percent / 100) for percent in (50, 95, 99)}
            | {
                "utilisation": sum(cost.held for cost in costs) / span if span else math.nan,
                "timeouts": sum(cost.timeouts for cost in costs),
            }
        )

    @property
    def transactions(self) -> int:
        """Transactions simulated, over all replicates and timelines."""
        timelines = {self.case.strategy(name).in_lock: name for name in self.strategies}
        return sum(cost.transactions for name in timelines.values() for cost in self.costs(name))

    def to_json(self) -> dict[str, Any]:
        """The result as `simlib run --json` prints it; a number that there is not is null."""
        return {
            "workload": self.workload.workload,
            "case": self.case.name,
            "engine": self.engine,
            "engines_agree_on": self.checked,
            "seed": self.seed,
            "replicates": len(self.replicates),
            "transactions": self.transactions,
            "baseline": self.baseline,
            "strategies": {name: self._strategy_json(name) for name in self.strategies},
            "cost": {name: {key: _number(value) for key, value in self.price(name).items()} for name in self.strategies},
        }

    def _strategy_json(self, name: str) -> dict[str, Any]:
        difference = self.difference(name)
        plain, racing = self.by_race(name)
        return {
            "clobber_rate": estimate_json(self.clobber_rate(name)),
            "lost_write_rate": estimate_json(self.lost_write_rate(name)),
            "difference_from_baseline": estimate_json(difference) if difference else None,
            "variance_ratio": _number(difference.variance_ratio) if difference else None,
            "racing_clobber_rate": estimate_json(self.racing_rate(name)),
            "noticed": {noticed.name: estimate_json(self.noticed_rate(name, noticed)) for noticed in self.case.noticed},
            "clobbered_turns_per_day": self.clobbered_turns_per_day(name),
            "by_field": count_json(self.case, self.by_field(name)),
            "by_site": {site: int(count) for site, count in zip(self.case.sites, self.by_site(name), strict=True)},
            "racing": racing,
            "not_racing": plain,
        }


def count_json(case: Case, clobbers: Ints) -> dict[str, dict[str, int]]:
    """{field: {kind: count}} of a (fields, kinds) table, without the zeros."""
    return {
        field: {kind: int(count) for kind, count in zip(KINDS, row, strict=True) if count}
        for field, row in zip(case.fields, clobbers, strict=True)
        if row.any()
    }


def estimate_json(estimate: Mean | Difference) -> dict[str, float | None]:
    """An estimate with its 95 % interval."""
    interval = estimate.interval() or Interval(math.nan, math.nan)
    return {"estimate": _number(estimate.estimate), "low": _number(interval.low), "high": _number(interval.high)}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def timelines(
    workload: Workload, case: Case, strategies: Sequence[str], seed: int, replicate: int, engine: str
) -> dict[str, History]:
    """The history on which each strategy is judged in one replicate; equal `in_lock`, same history."""
    traffic = draw(workload, case, seed, replicate)
    histories = {
        in_lock: ENGINES[engine](workload, case, traffic, in_lock)
        for in_lock in dict.fromkeys(case.strategy(name).in_lock for name in strategies)
    }
    return {name: histories[case.strategy(name).in_lock] for name in strategies}


def check_engines(workload: Workload, case: Case, strategies: Sequence[str], seed: int) -> int:
    """Run the first replicate on both engines; returns how many transactions they agree on.

    Raises:
        RunError: the histories differ, which would be a bug.
    """
    one, other = (timelines(workload, case, strategies, seed, 0, engine) for engine in ENGINES)
    distinct = {case.strategy(name).in_lock: name for name in strategies}
    for name in distinct.values():
        if not same(one[name], other[name]):
            raise RunError(f"the engines {' and '.join(ENGINES)} disagree on the timeline of {name}, seed {seed}, replicate 0")
    return sum(len(one[name]) for name in distinct.values())


def run_replicate(
    workload: Workload, case: Case, strategies: Sequence[str], seed: int, engine: str, replicate: int
) -> Replicate:
    """Simulate, replay and count one replicate."""
    histories = timelines(workload, case, strategies, seed, replicate, engine)
    distinct = {id(history): history for history in histories.values()}
    serial = {key: replay(case, case.reference, history) for key, history in distinct.items()}
    costs = {key: cost(history) for key, history in distinct.items()}
    tallies = {
        name: tally(case, replay(case, case.strategy(name), history), serial[id(history)])
        for name, history in histories.items()
    }
    return Replicate(tallies, {name: costs[id(history)] for name, history in histories.items()})


def run(
    workload: Workload,
    case: Case,
    strategies: Sequence[str] = (),
    *,
    seed: int = 1,
    replicates: int | None = None,
    engine: str = "compiled",
    jobs: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Result:
    """Run an experiment.

    Args:
        workload: the traffic.
        case: the strategies' case.
        strategies: names; none means all of the case. Differences refer to the case's baseline, or to the first name if the
            baseline is not among them.
        seed: the root of all random streams, at least 0.
        replicates: how many; the workload's own number if not given.
        engine: one of ENGINES. With the compiled one, the first replicate is run on SimPy as well and compared.
        jobs: processes; as many as are worth their start if not given.
        progress: called after each replicate.

    Raises:
        InputError: an unknown strategy or engine, a workload that does not fit the case, or a number out of range.
        RunError: the two engines disagree.
    """
    names = tuple(dict.fromkeys(strategies)) or tuple(case.strategies)
    count = workload.replicates if replicates is None else replicates
    for label, value, least in (("seed", seed, 0), ("replicates", count, 1), ("jobs", 1 if jobs is None else jobs, 1)):
        if value < least:
            raise InputError(f"{label}: {value} is too small; allowed: {least} or more")
    if count > MOST_REPLICATES:
        raise InputError(f"replicates: {count} is too many; allowed: 1 to {MOST_REPLICATES:,}")
    for name in names:
        case.strategy(name)
    if engine not in ENGINES:
        raise InputError(f"engine '{engine}' is not known; {allowed(list(ENGINES))}")
    workload.check_case(case, workload.workload)
    checked = check_engines(workload, case, names, seed) if engine == "compiled" else 0
    task = partial(run_replicate, workload, case, names, seed, engine)
    done = []
    for replicate in _replicates(task, count, jobs or _worthwhile_jobs(workload, count, engine)):
        done.append(replicate)
        progress()
    return Result(
        workload=workload,
        case=case,
        seed=seed,
        engine=engine,
        checked=checked,
        strategies=names,
        baseline=case.baseline if case.baseline in names else names[0],
        replicates=tuple(done),
    )


def _replicates(task: Callable[[int], Replicate], count: int, jobs: int) -> Iterator[Replicate]:
    if jobs == 1:
        yield from map(task, range(count))
        return
    with ProcessPoolExecutor(min(jobs, count), mp_context=get_context("spawn")) as pool:
        chunk = max(1, count // (4 * jobs))
        yield from pool.map(task, range(count), chunksize=chunk)


def _worthwhile_jobs(workload: Workload, replicates: int, engine: str) -> int:
    expected = sum(flow.rate * len(flow.steps) for flow in workload.traffic.values()) * workload.duration * replicates
    return (os.cpu_count() or 1) if expected > WORTH_A_POOL[engine] else 1


def find_example(result: Result, strategy: str) -> tuple[Outcomes, int] | None:
    """A clobber of the commonest sort: site, field and kind, among races if there are any. None if there is no clobber.

    Returns:
        the replay it is from, and its number among the clobbers there.
    """
    counts = result.clobbers(strategy)
    if not counts.any():
        return None
    racing = int(counts[..., 1].any())
    sort = np.unravel_index(int(np.argmax(counts[..., racing])), counts.shape[:3])
    replicate = next(number for number, tally in enumerate(result.tallies(strategy)) if tally.clobbers[(*sort, racing)])
    history = timelines(result.workload, result.case, [strategy], result.seed, replicate, result.engine)[strategy]
    outcomes = replay(result.case, result.case.strategy(strategy), history)
    clobbers = outcomes.clobbers
    made_by = (history.site[clobbers.culprit], clobbers.field, clobbers.kind, clobbers.racing)
    fits = np.logical_and.reduce([column == wanted for column, wanted in zip(made_by, (*sort, racing), strict=True)])
    return outcomes, int(np.flatnonzero(fits)[0])
