"""The price frontier: what each strategy leaves clobbered against what it costs, and which strategies no other one beats.

A strategy beats another if it is better in clobbers or in the cost and worse in neither, as far as the experiment can tell:
shares are told apart by the interval of their paired difference, latencies by intervals that have nothing in common.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from simlib.common.arrays import Ints
from simlib.estimate.intervals import Difference, Mean
from simlib.estimate.result import Result
from simlib.estimate.wording import listed
from simlib.replay.histograms import EDGES, quantile

NEVER = 0.01
"""The share of units of work beyond a p99."""
MOST_NAMED = 5
"""Strategies that a sentence names."""
Latency = tuple[float, float, float]
"""Seconds, and the two ends of its interval."""
Order = Callable[[str, str], int]
"""Of two strategies: -1 if the first one is lower, 1 if it is higher, 0 if that cannot be told."""


def shows_price(result: Result) -> bool:
    """Whether there is a price beside the lock's: a strategy has guards or locks of its own, or a unit of work failed."""
    plain = all(result.case.is_plain(result.case.strategy(name).discipline) for name in result.strategies)
    return not plain or any(result.failed_rate(name).totals.any() for name in result.strategies)


def frontier(result: Result) -> pd.DataFrame:
    """The result's own frame, a row a strategy, with what a picture of prices needs.

    Columns beside those of `Result.to_frame`: `p99_s` (seconds from request to commit; inf where there is none) with `_low` and
    `_high`, `no_p99` (why there is none, or empty), `added_p99_s` (beside the baseline's; NaN if either is inf),
    `beaten_on_failed` and `beaten_on_p99` (a strategy that beats it in clobbers and in that cost; empty if there is none).
    """
    frame = result.to_frame()
    histograms = result.totals.sums["latencies"]
    why = [
        _no_p99(*row)
        for row in zip(frame["stable"], frame["failed_rate"], (histogram.any() for histogram in histograms), strict=True)
    ]
    p99 = [(math.inf,) * 3 if reason else _p99(histogram) for reason, histogram in zip(why, histograms, strict=True)]
    latency = dict(zip(result.strategies, p99, strict=True))
    clobbers = _by_clobbers(result)
    failed = _by_rate({name: result.failed_rate(name) for name in result.strategies})
    costs: dict[str, Order] = {"failed": failed, "p99": lambda one, other: _compared(latency[one], latency[other])}
    base, _, _ = latency[result.baseline]
    columns = dict(zip(("p99_s", "p99_s_low", "p99_s_high"), zip(*p99, strict=True), strict=True))
    return frame.assign(
        **columns,
        no_p99=why,
        added_p99_s=[one - base if math.isfinite(one + base) else math.nan for one, _, _ in p99],
        **{f"beaten_on_{cost}": [_beaten_by(name, result, clobbers, order) for name in frame["strategy"]]
           for cost, order in costs.items()},
    )  # fmt: skip


def _no_p99(stable: bool, failed: float, committed: bool) -> str:
    """Why there is no time in which 99 % of all units of work are committed; those that fail never are."""
    if not stable:
        return "not stable"
    return "over 1 % fail" if failed > NEVER else "" if committed else "none is committed"


def frontier_words(result: Result) -> str:
    """Which strategies no other one beats, by either cost, and what cannot be told of the others."""
    frame, units = frontier(result), result.case.words.units
    if not result.clobber_rate(result.baseline).exposures.any():
        return f"There were no {units}, so no price can be told."
    failed, p99 = (list(frame.loc[frame[f"beaten_on_{cost}"] == "", "strategy"]) for cost in ("failed", "p99"))
    if failed == p99:
        text = f"In clobbered {units} against failed ones, and against latency p99, {_unbeaten(failed, result)}."
    else:
        text = (
            f"In clobbered against failed {units} {_unbeaten(failed, result)}; "
            f"in clobbered {units} against latency p99 {_unbeaten(p99, result)}."
        )
    unstable = [name for name in result.strategies if not result.stable(name)]
    return text + (f" This traffic is more than {listed(unstable)} can serve." if unstable else "")


def _unbeaten(names: list[str], result: Result) -> str:
    if len(names) == len(result.strategies):
        return "no strategy is told to be beaten"
    others = [f"{len(names) - MOST_NAMED} others"] if len(names) > MOST_NAMED + 1 else names[MOST_NAMED:]
    return f"nothing beats {listed([*names[:MOST_NAMED], *others])}"


def _beaten_by(name: str, result: Result, clobbers: Order, cost: Order) -> str:
    """A strategy that beats it, of several the one with the fewest clobbers."""
    better = [
        other
        for other in result.strategies
        if (signs := (clobbers(other, name), cost(other, name))) != (0, 0) and max(signs) <= 0
    ]
    return min(better, key=lambda other: result.best_rate(other).estimate, default="")


def _by_clobbers(result: Result) -> Order:
    """By the clobber rate, of two strategies by one estimator: conditional Monte Carlo where both have it, else counting."""
    counted = _by_rate({name: result.clobber_rate(name) for name in result.strategies})
    conditional = _by_rate(result.conditional)
    return lambda one, other: (conditional if {one, other} <= set(result.conditional) else counted)(one, other)


def _by_rate(rates: Mapping[str, Mean]) -> Order:
    def order(one: str, other: str) -> int:
        interval = Difference(rates[one], rates[other]).interval()
        return int(interval.low > 0) - int(interval.high < 0) if interval else 0

    return order


def _p99(histogram: Ints) -> Latency:
    """The quantile and its 95 % interval: what shares it may stand for if units are independent, to the ends of their bins."""
    reach = 1.96 * math.sqrt(NEVER * (1 - NEVER) / max(1, int(histogram.sum())))
    low, high = (quantile(histogram, share) for share in (1 - NEVER - reach, min(1.0, 1 - NEVER + reach)))
    below, above = EDGES[np.searchsorted(EDGES, low, "right") - 1], EDGES[np.searchsorted(EDGES, high)]
    return quantile(histogram, 1 - NEVER), float(below), float(above)


def _compared(one: Latency, other: Latency) -> int:
    return int(one[1] > other[2]) - int(other[1] > one[2])
