"""A gate: is a rate below its limit? As few replicates as the evidence needs; its error rates hold although it looks often.

The rate is looked at after FIRST replicates, then after twice as many, and so on up to the most that are allowed; so there are
few looks, and each may err with its share of the error that is allowed in all (Bonferroni's inequality, so it holds however the
looks depend on each other). At a look the replicate is the unit, as in every interval here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from simlib.case.case import Case
from simlib.common import bounds
from simlib.estimate.experiment import run_replicates
from simlib.estimate.intervals import Interval, Rate
from simlib.estimate.overload import requested_load
from simlib.estimate.totals import Records
from simlib.estimate.wording import percent, span
from simlib.workload.workload import Workload

FIRST = 32
"""Replicates before the first look: with fewer, an interval from skewed totals is too narrow."""
FEWEST = 5
"""Replicates with an event before an interval that is made of their differences is believed."""
SKEWED = 3.0
"""How many times the skewness that was seen is reckoned with: in a few dozen replicates the rare bad one has not been seen."""


@dataclass(frozen=True)
class Decision:
    """What a gate decided.

    Attributes:
        decision: `pass`: the rate is below the limit; `fail`: it is above; `undecided`.
        rate: the estimate, from all replicates that were needed.
        interval: at the level of one look, which is what was held against the limit; None if there is none.
        reason: in one line.
    """

    decision: str
    rate: Rate
    interval: Interval | None
    reason: str

    @property
    def replicates(self) -> int:
        """How many were needed."""
        return int(self.rate.totals.size)

    def to_json(self) -> dict[str, Any]:
        """As `simlib check --json` prints it."""
        low, high = self.interval or (None, None)
        return {
            "decision": self.decision,
            "rate": {"estimate": self.rate.estimate, "low": low, "high": high},
            "replicates": self.replicates,
            "reason": self.reason,
        }


def looks(most: int) -> list[int]:
    """After how many replicates the rate is looked at; the last look is after `most`."""
    sizes = [min(FIRST, most)]
    while sizes[-1] < most:
        sizes.append(min(sizes[-1] * 2, most))
    return sizes


def interval_at_a_look(rate: Rate, level: float) -> Interval | None:
    """The interval of `rate`, reaching further up if the replicates' totals are skewed; None if there are too few events.

    Up by Johnson's correction of the t interval (J. Am. Stat. Assoc. 73, 1978, p. 536), with SKEWED times the skewness g of the
    residuals: estimate + s.e. (t + g (1 + 2 t^2) / (6 sqrt(n))).
    """
    interval, size = rate.interval(level), rate.totals.size
    if rate.estimate in (0, 1) or interval is None:
        return interval
    if np.count_nonzero(rate.totals) < FEWEST:
        return None
    error, t = rate.standard_error, float(stats.t.ppf(0.5 + level / 2, size - 1))
    skewness = max(0.0, SKEWED * float(stats.skew(rate.residuals)))
    high = rate.estimate + error * (t + skewness * (1 + 2 * t**2) / (6 * math.sqrt(size)))
    return Interval(interval.low, max(interval.high, high))


def decide(rate: Rate, limit: float, level: float) -> tuple[str, Interval | None]:
    """What a look at the rate says: `pass`, `fail` or `undecided`, and the interval of that level that says so."""
    interval = interval_at_a_look(rate, level)
    if interval and interval.high < limit:
        return "pass", interval
    if interval and interval.low > limit:
        return "fail", interval
    return "undecided", interval


def gate(
    workload: Workload,
    case: Case,
    strategy: str,
    limit: float,
    *,
    seed: int = 1,
    confidence: float = 0.95,
    most: int = 1024,
    progress: Callable[[], None] = lambda: None,
) -> Decision:
    """Whether a strategy's clobber rate is below a limit.

    Args:
        workload: the traffic.
        case: the strategy's case.
        strategy: its name.
        limit: a share between 0 and 1.
        seed: the root of all random streams.
        confidence: one minus the probability that a rate at the limit is passed, and that it is failed.
        most: replicates at which it gives up.
        progress: called after each replicate.

    Raises:
        InputError: the strategy is unknown, the workload does not fit the case, or a number is out of range.
    """
    bounds.GATE_LIMIT.check("max-clobber-rate", limit)
    bounds.GATE_CONFIDENCE.check("confidence", confidence)
    bounds.GATE_REPLICATES.check("most", most)
    bounds.SEED.check("seed", seed)
    case.strategy(strategy)
    workload.check_case(case, workload.workload)
    names = tuple(dict.fromkeys((strategy, case.baseline)))
    each = partial(run_replicates, workload, case, names, seed, "compiled")
    sizes = looks(most)
    level, seen = 1 - 2 * (1 - confidence) / len(sizes), list[Records]()
    for size in sizes:
        for totals in each(range(len(seen), size)):
            seen.append(totals.numbers)
            progress()
        rate = _rate(np.concatenate(seen, axis=1))
        decision, interval = decide(rate, limit, level)
        if decision != "undecided":
            break
    reason = _reason(decision, rate, interval, strategy, limit, size)
    if (load := requested_load(workload, case, case.strategy(strategy))) >= 1:
        reason += f"; but the lock is asked for {load:.2f} times what it can give: it holds for {workload.duration:g} s only"
    return Decision(decision, rate, interval, reason)


def _rate(numbers: Records) -> Rate:
    """Of the first strategy; where it has no clobber, its bound reckons with the clustering that the baseline shows."""
    mine, baselines = (
        Rate(each["clobbered_units"].astype(float), each["units"].astype(float)) for each in (numbers[0], numbers[-1])
    )
    return replace(mine, clustering=baselines.design_effect)


def _reason(decision: str, rate: Rate, interval: Interval | None, strategy: str, limit: float, replicates: int) -> str:
    known = f" ({span(*interval, percent)})" if interval else ""
    says = {
        "pass": f"is below the limit of {percent(limit)}",
        "fail": f"is above the limit of {percent(limit)}",
        "undecided": f"cannot be told from the limit of {percent(limit)}",
    }[decision]
    return f"{strategy}: a clobber rate of {percent(rate.estimate)}{known} after {replicates:,} replicates {says}"
