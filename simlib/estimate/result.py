"""An experiment's result: every estimate, the frame, and the JSON made from it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from simlib.case.case import Case, Noticed
from simlib.common.arrays import Ints
from simlib.estimate.intervals import Difference, Mean, Rate
from simlib.estimate.outcomes import NOTICED, OUTCOMES, Counts, counts_of, rate_of
from simlib.estimate.overload import Limit, Load, grows, requested_load
from simlib.estimate.totals import Records, Totals
from simlib.replay.counts import count_json
from simlib.replay.histograms import quantile
from simlib.workload.workload import Workload


@dataclass(frozen=True)
class Result:
    """An experiment's totals and the estimates from them. Rates are shares, from 0 to 1; times are seconds.

    Attributes:
        workload, case, seed: what was run.
        strategies: names, in the order asked for.
        baseline: the strategy that differences refer to.
        engine: which engine simulated.
        checked: transactions of the first replicate, over its timelines, that the other engine was found to give as well; see
            `experiment.check_engines`.
        totals: over its replicates, in order; strategies as in `strategies`.
        conditional: clobber rates by conditional Monte Carlo, from the same replicates, of strategies that clobbered too few
            units to be counted well.
        limits: how much traffic each strategy can serve, if it was asked for; see `limit.limits`.
    """

    workload: Workload
    case: Case
    seed: int
    engine: str
    checked: int
    strategies: tuple[str, ...]
    baseline: str
    totals: Totals
    conditional: Mapping[str, Rate] = field(default_factory=dict)
    limits: Mapping[str, Limit] = field(default_factory=dict)

    @property
    def replicates(self) -> int:
        """How many there were."""
        return int(self.totals.numbers.shape[1])

    def numbers(self, strategy: str) -> Records:
        """(replicates,) records of the numbers in a Tally and a Cost; strategies with the same timeline have the same cost."""
        return np.asarray(self.totals.numbers[self.strategies.index(strategy)])

    def _sum(self, strategy: str, name: str) -> Ints:
        return np.asarray(self.totals.sums[name][self.strategies.index(strategy)])

    def _rate(self, strategy: str, counts: Counts) -> Rate:
        return rate_of(counts, self.numbers(strategy), self.numbers(self.baseline))

    def clobber_rate(self, strategy: str) -> Rate:
        """Share of units of work in which any write clobbers at least one field, as counted."""
        return self._rate(strategy, OUTCOMES["clobber_rate"])

    def best_rate(self, strategy: str) -> Rate:
        """The same share by the better of two estimators: conditional Monte Carlo where it was needed, else counting."""
        return self.conditional.get(strategy) or self.clobber_rate(strategy)

    def racing_rate(self, strategy: str) -> Rate:
        """The same share, counting only clobbers that need concurrency."""
        return self._rate(strategy, OUTCOMES["racing_clobber_rate"])

    def lost_write_rate(self, strategy: str) -> Rate:
        """Share of field writes by `write`-role sites that are clobbered before anyone legitimately replaces them."""
        return self._rate(strategy, OUTCOMES["lost_write_rate"])

    def site_rate(self, strategy: str, site: str) -> Rate:
        """Share of the transactions at one write site that clobber."""
        number = self.case.sites.index(site)
        return self._rate(strategy, lambda each: (each["clobbering"][:, number], each["transactions"][:, number]))

    def any_loss(self, strategy: str) -> Rate:
        """Share of all transactions that clobber, at whatever site: also those that are part of no unit of work."""
        return self._rate(strategy, OUTCOMES["any_loss"])

    def clean(self, strategy: str) -> bool:
        """Whether no figure of loss is above zero: the clobber rate, the lost writes, and the losses at every site."""
        figures = (self.best_rate(strategy), self.lost_write_rate(strategy), self.any_loss(strategy))
        return not any(rate.estimate > 0 for rate in figures)

    def conflict_rate(self, strategy: str) -> Rate:
        """Share of the attempts that a guard looked at and rejected."""
        return self._rate(strategy, OUTCOMES["conflict_rate"])

    def false_conflict_rate(self, strategy: str) -> Rate:
        """Share of the same attempts that were rejected although they would have left what is right."""
        return self._rate(strategy, OUTCOMES["false_conflict_rate"])

    def failed_rate(self, strategy: str) -> Rate:
        """Share of the units of work that failed: no lock in time, rejected for the last time, or waiting for ever."""
        return self._rate(strategy, OUTCOMES["failed_rate"])

    def retries_per_unit(self, strategy: str) -> Mean:
        """Attempts after the first, for each unit of work."""
        each = self.numbers(strategy)
        return Mean(each["retries"].astype(np.float64), each["units_begun"].astype(np.float64))

    def skipped(self, strategy: str) -> int:
        """Writes that were given up silently, over all replicates."""
        return int(self.numbers(strategy)["skipped"].sum())

    def latency(self, strategy: str) -> dict[str, float]:
        """Seconds from a transaction's begin to its commit, at the sites of units of work: p50, p95 and p99.

        Where the strategy is not `stable` they only tell how long the run was.
        """
        return {f"p{percent}": quantile(self._sum(strategy, "latencies"), percent / 100) for percent in (50, 95, 99)}

    def stable(self, strategy: str) -> bool:
        """Whether the traffic is no more than the strategy can serve: no lock is overloaded, and no backlog grows."""
        each = self.numbers(strategy)
        backlog = (each[name].astype(np.float64) for name in ("open_middle", "open_end", "began_late"))
        return not self.load(strategy).overloaded and not grows(*backlog)

    def noticed_rate(self, strategy: str, noticed: Noticed) -> Rate:
        """Share of flows that end in what a person notices."""
        return self._rate(strategy, counts_of(self.case, f"{NOTICED}{noticed.name}"))

    def difference(self, strategy: str) -> Difference | None:
        """Paired difference of the clobber rate to the baseline's, by one estimator for both; None for the baseline itself."""
        if strategy == self.baseline:
            return None
        rate = self.best_rate if {strategy, self.baseline} <= set(self.conditional) else self.clobber_rate
        return Difference(rate(strategy), rate(self.baseline))

    def clobbers(self, strategy: str) -> Ints:
        """(sites, fields, kinds, 2) clobbered fields over all replicates; the last axis: not racing, racing."""
        return self._sum(strategy, "clobbers")

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

    def clobbered_units_per_day(self, strategy: str) -> float:
        """Clobbered units a day at the workload's traffic."""
        units = float(self.best_rate(strategy).totals.sum())
        return units / (self.workload.duration * self.replicates) * 86400

    def stood(self, strategy: str) -> tuple[float, float]:
        """Median seconds that a wrong value stood, and the share of them that stood to the end of the replicate.

        The median counts those that stood to the end as longer than any other; it is inf if they are more than half. It is
        interpolated inside its bin, some 4 % wide.
        """
        ended, standing = self._sum(strategy, "stood"), int(self._sum(strategy, "standing"))
        total = int(ended.sum()) + standing
        if not total:
            return math.nan, math.nan
        return quantile(ended, total / 2 / ended.sum()) if standing <= total / 2 else math.inf, standing / total

    def load(self, strategy: str) -> Load:
        """How much of the lock's time is asked for, by the workload and in the run; 1 or more: it is overloaded."""
        each, chosen = self.numbers(strategy), self.case.strategy(strategy)
        committed = each["ended"] - each["timeouts"] - each["conflicts"]
        taken = each["held"].sum() + self.workload.store.release * committed.sum()
        return Load(
            requested=requested_load(self.workload, self.case, chosen),
            observed=float(taken) / (self.workload.duration * self.replicates) if self._has_one_lock(strategy) else 0.0,
        )

    def _has_one_lock(self, strategy: str) -> bool:
        """Whether every lock is the one on the whole store, so that one can say how much it is used."""
        return {lock.scope for lock in self.case.strategy(strategy).discipline.locks} == {"store"}

    @property
    def overloaded(self) -> dict[str, Load]:
        """The strategies with which the lock is asked for more than it can give."""
        return {name: load for name in self.strategies if (load := self.load(name)).overloaded}

    def mean_wait(self, strategy: str) -> Mean:
        """Mean wait for the lock, seconds a transaction."""
        each = self.numbers(strategy)
        return Mean(each["waited"], each["ended"])

    def mean_hold(self, strategy: str) -> Mean:
        """Mean time the lock is held, seconds a transaction."""
        each = self.numbers(strategy)
        return Mean(each["held"], each["ended"] - each["timeouts"])

    def price(self, strategy: str) -> dict[str, float]:
        """Lock wait and hold in seconds (mean, p50, p95, p99), utilisation of the lock, and how many writes timed out.

        Where there is no lock on the whole store, its utilisation is NaN, and the hold is what a write takes. Waits for an
        overloaded lock are NaN: they only tell how long the run was.
        """
        each, waits, holds = self.numbers(strategy), self._sum(strategy, "waits"), self._sum(strategy, "holds")
        settled = not self.load(strategy).overloaded
        held, span = (sum(each[name].tolist()) for name in ("held", "span"))
        return (
            {"wait_mean": self.mean_wait(strategy).estimate if settled else math.nan}
            | {f"wait_p{percent}": quantile(waits, percent / 100) if settled else math.nan for percent in (50, 95, 99)}
            | {"hold_mean": self.mean_hold(strategy).estimate}
            | {f"hold_p{percent}": quantile(holds, percent / 100) for percent in (50, 95, 99)}
            | {
                "utilisation": held / span if span and self._has_one_lock(strategy) else math.nan,
                "timeouts": int(each["timeouts"].sum()),
            }
        )

    @property
    def transactions(self) -> int:
        """Transactions simulated, over all replicates and timelines."""
        timelines = {self.case.strategy(name).discipline: name for name in self.strategies}
        return sum(int(self.numbers(name)["ended"].sum()) for name in timelines.values())

    def to_frame(self) -> pd.DataFrame:
        """A row per strategy, in the order asked for; numbers as they are, NaN where there is none.

        Columns: `strategy`; `units`, `clobbered_units` (counts); of each estimate X of `clobber_rate` (counted),
        `conditional_clobber_rate`, `best_rate`, `lost_write_rate`, `difference_from_baseline`, `racing_clobber_rate` and
        `noticed.NAME`, `any_loss`, `conflict_rate`, `false_conflict_rate` and `failed_rate` its X, `X_low` and `X_high`
        (shares, 95 %); `variance_ratio`; `clobbered_units_per_day`; `racing` and `not_racing` (clobbered fields); `wait_*_s`
        and `hold_*_s` (seconds: mean, p50, p95, p99), `utilisation` of the lock and `timeouts`; `retries_per_unit`, `skipped`
        writes, `latency_*_s` (seconds: p50, p95, p99) and `stable` (bool). `attrs` has the workload, the case, the seed, the
        replicates and the baseline.

        Examples:
            >>> from simlib import load_case, load_workload, run
            >>> workload = load_workload("quiet", ["duration=60"])
            >>> frame = run(workload, load_case(workload.case), ["after-19328", "all-sites"], replicates=3).to_frame()
            >>> frame[["strategy", "clobber_rate", "wait_p99_s"]].shape
            (2, 3)
            >>> frame.attrs["workload"], frame.attrs["replicates"]
            ('quiet', 3)
        """
        frame = pd.DataFrame(self.rows())
        frame.attrs = {
            "workload": self.workload.workload,
            **({"times_from": self.workload.times_from} if self.workload.times_from else {}),
            "case": self.case.name,
            "seed": self.seed,
            "replicates": self.replicates,
            "baseline": self.baseline,
        }
        return frame

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the frame."""
        return [self._row(name) for name in self.strategies]

    def _row(self, name: str) -> dict[str, Any]:
        difference, counted = self.difference(name), self.clobber_rate(name)
        plain, racing = self.by_race(name)
        estimates: dict[str, Mean | Difference | None] = {
            "clobber_rate": counted,
            "conditional_clobber_rate": self.conditional.get(name),
            "best_rate": self.best_rate(name),
            "lost_write_rate": self.lost_write_rate(name),
            "difference_from_baseline": difference,
            "racing_clobber_rate": self.racing_rate(name),
            **{f"noticed.{noticed.name}": self.noticed_rate(name, noticed) for noticed in self.case.noticed},
            **{what: getattr(self, what)(name) for what in _EFFORT},
        }
        return (
            {"strategy": name, "units": int(counted.exposures.sum()), "clobbered_units": int(counted.totals.sum())}
            | {key: value for what, estimate in estimates.items() for key, value in estimate_columns(what, estimate).items()}
            | {
                "variance_ratio": difference.variance_ratio if difference else math.nan,
                "clobbered_units_per_day": self.clobbered_units_per_day(name),
                "racing": racing,
                "not_racing": plain,
            }
            | {key + "_s" * key.startswith(("wait", "hold")): value for key, value in self.price(name).items()}
            | {"retries_per_unit": self.retries_per_unit(name).estimate, "skipped": self.skipped(name)}
            | {f"latency_{which}_s": value for which, value in self.latency(name).items()}
            | {"stable": self.stable(name)}
        )

    def to_json(self) -> dict[str, Any]:
        """The result as `simlib run --json` prints it, made from its frame; a number that there is not is null."""
        overloaded = self.overloaded
        rows: dict[str, Any] = {row["strategy"]: row for row in self.to_frame().to_dict("records")}
        return {
            "workload": self.workload.workload,
            **({"times_from": self.workload.times_from} if self.workload.times_from else {}),
            "case": self.case.name,
            "engine": self.engine,
            "engines_agree_on": self.checked,
            "seed": self.seed,
            "replicates": self.replicates,
            "transactions": self.transactions,
            "baseline": self.baseline,
            **({"overloaded": {name: asdict(load) for name, load in overloaded.items()}} if overloaded else {}),
            "strategies": {name: self._strategy_json(name, row) for name, row in rows.items()},
            "cost": {name: {key.removesuffix("_s"): _number(row[key]) for key in _PRICE} for name, row in rows.items()},
        }

    def _strategy_json(self, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
        differs = name != self.baseline
        return {
            "clobber_rate": _estimate(row, "clobber_rate"),
            "conditional_clobber_rate": _estimate(row, "conditional_clobber_rate") if name in self.conditional else None,
            "lost_write_rate": _estimate(row, "lost_write_rate"),
            "difference_from_baseline": _estimate(row, "difference_from_baseline") if differs else None,
            "variance_ratio": _number(row["variance_ratio"]),
            "racing_clobber_rate": _estimate(row, "racing_clobber_rate"),
            "noticed": {noticed.name: _estimate(row, f"noticed.{noticed.name}") for noticed in self.case.noticed},
            "clobbered_turns_per_day": row["clobbered_units_per_day"],
            "by_field": count_json(self.case, self.by_field(name)),
            "by_site": {site: int(count) for site, count in zip(self.case.sites, self.by_site(name), strict=True)},
            "racing": row["racing"],
            "not_racing": row["not_racing"],
            **{what: _estimate(row, what) for what in _EFFORT if what != "any_loss"},
            "retries_per_unit": _number(row["retries_per_unit"]),
            "latency": {which: _number(row[f"latency_{which}_s"]) for which in ("p50", "p95", "p99")},
            "stable": bool(row["stable"]),
            "throughput_limit": self.limits[name].to_json() if name in self.limits else None,
        }


_EFFORT = ("any_loss", "conflict_rate", "false_conflict_rate", "failed_rate")
"""Estimates that are called as the methods that give them."""
_PRICE = (
    *(f"{what}_{which}_s" for what in ("wait", "hold") for which in ("mean", "p50", "p95", "p99")),
    "utilisation",
    "timeouts",
)
"""The columns of the price, in the order of the JSON."""


def estimate_columns(name: str, estimate: Mean | Difference | None) -> dict[str, float]:
    """An estimate and its 95 % interval as the columns NAME, NAME_low and NAME_high; NaN where there is none."""
    low, high = (estimate and estimate.interval()) or (math.nan, math.nan)
    return {name: estimate.estimate if estimate else math.nan, f"{name}_low": low, f"{name}_high": high}


def _estimate(row: Mapping[str, Any], name: str) -> dict[str, float | None]:
    """The three columns of an estimate, as JSON."""
    return {"estimate": _number(row[name]), "low": _number(row[f"{name}_low"]), "high": _number(row[f"{name}_high"])}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
