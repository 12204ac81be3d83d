"""A gate: is each rate below its limit? As few replicates as the evidence needs; its errors hold although it looks often.

The rates are looked at after FIRST replicates, then after twice as many, and so on up to the most that are allowed; so there
are few looks, and each may err with its share of the error that is allowed in all (Bonferroni's inequality, so it holds however
the looks depend on each other). At a look the replicate is the unit, as in every interval here.

With several limits, it passes if every rate is below its own, and fails as soon as one is above. To pass wrongly it has to pass
one certain rate wrongly, so each rate may err so with all of the error (an intersection-union test: Berger, Technometrics 24,
1982). To fail wrongly, any of them will do, so they share that error (Bonferroni again).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from simlib.case.case import Case
from simlib.common import bounds
from simlib.common.errors import InputError
from simlib.estimate.experiment import run_replicates
from simlib.estimate.intervals import Interval, Rate
from simlib.estimate.outcomes import NOTICED, counts_of, rate_of
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
class Held:
    """A rate held against its limit.

    Attributes:
        outcome: what it is a rate of, as in `counts_of`.
        limit: a share.
        decision: `pass`: the rate is below the limit; `fail`: it is above; `undecided`.
        rate: the estimate, from all replicates that were needed.
        interval: what was held against the limit, at the level of one look; None if there is none.
    """

    outcome: str
    limit: float
    decision: str
    rate: Rate
    interval: Interval | None

    @property
    def words(self) -> str:
        """The rate, its interval and the limit."""
        known = f" ({span(*self.interval, percent)})" if self.interval else ""
        says = {"pass": "is below", "fail": "is above", "undecided": "cannot be told from"}[self.decision]
        name = self.outcome.removeprefix(NOTICED).removesuffix("_rate").replace("_", "-")
        after = f"after {self.rate.totals.size:,} replicates"
        return f"a {name} rate of {percent(self.rate.estimate)}{known} {after} {says} the limit of {percent(self.limit)}"

    def to_json(self) -> dict[str, Any]:
        """The rate as JSON."""
        low, high = self.interval or (None, None)
        estimate = self.rate.estimate
        return {"estimate": None if math.isnan(estimate) else estimate, "low": low, "high": high}


@dataclass(frozen=True)
class Decision:
    """What a gate decided.

    Attributes:
        decision: `pass`: every rate is below its limit; `fail`: one is above; `undecided`.
        held: every rate, in the order asked for.
        reason: in one line.
    """

    decision: str
    held: tuple[Held, ...]
    reason: str

    @property
    def replicates(self) -> int:
        """How many were needed."""
        return max(int(one.rate.totals.size) for one in self.held)

    def to_json(self) -> dict[str, Any]:
        """As `simlib check --json` prints it; `rate` is the first one."""
        limits = [
            {"outcome": one.outcome, "limit": one.limit, "decision": one.decision, "rate": one.to_json()} for one in self.held
        ]
        return {
            "decision": self.decision,
            "rate": self.held[0].to_json(),
            "replicates": self.replicates,
            "reason": self.reason,
            "limits": limits,
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
    if rate.estimate in (0, 1):
        return rate.interval(0.5 + level / 2)  # it has one end only, which must not err more often than each of two
    interval, size = rate.interval(level), rate.totals.size
    if interval is None:
        return None
    if np.count_nonzero(rate.totals) < FEWEST:
        return None
    error, t = rate.standard_error, float(stats.t.ppf(0.5 + level / 2, size - 1))
    skewness = max(0.0, SKEWED * float(stats.skew(rate.residuals)))
    high = rate.estimate + error * (t + skewness * (1 + 2 * t**2) / (6 * math.sqrt(size)))
    return Interval(interval.low, max(interval.high, high))


def decide(rate: Rate, limit: float, level: float, limits: int = 1) -> tuple[str, Interval | None]:
    """What a look at the rate says: `pass`, `fail` or `undecided`, and the interval that says so.

    Args:
        rate: so far.
        limit: a share.
        level: of the interval at a look.
        limits: how many share the error of failing; its lower end is at the level that this leaves.
    """
    interval, lower = (interval_at_a_look(rate, each) for each in (level, 1 - (1 - level) / limits))
    if interval is None or lower is None:
        return "undecided", None
    interval = Interval(lower.low, interval.high)
    decision = "pass" if interval.high < limit else "fail" if interval.low > limit else "undecided"
    return decision, interval


def gate(
    workload: Workload,
    case: Case,
    strategy: str,
    limits: Mapping[str, float],
    *,
    seed: int = 1,
    confidence: float = 0.95,
    most: int = 1024,
    progress: Callable[[], None] = lambda: None,
) -> Decision:
    """Whether a strategy's rates are below their limits.

    Args:
        workload: the traffic.
        case: the strategy's case.
        strategy: its name.
        limits: outcome -> a share between 0 and 1; outcomes as in `counts_of`; at least one.
        seed: the root of all random streams.
        confidence: one minus the probability that a strategy with a rate at its limit is passed, and that one with no rate
            above its limit is failed.
        most: replicates at which it gives up.
        progress: called after each replicate.

    Raises:
        InputError: the strategy or an outcome is unknown, the workload does not fit the case, there is no limit, or a number
            is out of range.
    """
    if not limits:
        raise InputError("check: no limit; give --max-clobber-rate, --max-lost-write-rate, --max-failed-rate or --max-noticed")
    for outcome, limit in limits.items():
        bounds.GATE_LIMIT.check(option(outcome), limit)
    bounds.GATE_CONFIDENCE.check("confidence", confidence)
    bounds.GATE_REPLICATES.check("most", most)
    bounds.SEED.check("seed", seed)
    case.strategy(strategy)
    counts = {outcome: counts_of(case, outcome) for outcome in limits}
    workload.check_case(case, workload.workload)
    names = tuple(dict.fromkeys((strategy, case.baseline)))
    each = partial(run_replicates, workload, case, names, seed, "compiled")
    sizes = looks(most)
    level, seen, held = 1 - 2 * (1 - confidence) / len(sizes), list[Records](), dict[str, Held]()
    for size in sizes:
        for totals in each(range(len(seen), size)):
            seen.append(totals.numbers)
            progress()
        numbers = np.concatenate(seen, axis=1)
        for outcome, limit in limits.items():
            if outcome not in held or held[outcome].decision != "pass":  # what was passed stays so: its error is spent
                rate = rate_of(counts[outcome], numbers[0], numbers[-1])
                said, interval = decide(rate, limit, level, len(limits))
                held[outcome] = Held(outcome, limit, said, rate, interval)
        if (decision := together([one.decision for one in held.values()])) != "undecided":
            break
    reason = f"{strategy}: {'; '.join(one.words for one in held.values())}"
    if (load := requested_load(workload, case, case.strategy(strategy))) >= 1:
        reason += f"; but the lock is asked for {load:.2f} times what it can give: it holds for {workload.duration:g} s only"
    return Decision(decision, tuple(held.values()), reason)


def option(outcome: str) -> str:
    """The option of `simlib check` that limits it."""
    noticed = outcome.removeprefix(NOTICED)
    return f"max-noticed {noticed}" if noticed != outcome else f"max-{outcome.replace('_', '-')}"


def together(decisions: Sequence[str]) -> str:
    """Fail if one fails, pass if all pass."""
    return next((said for said in ("fail", "undecided") if said in decisions), "pass")
