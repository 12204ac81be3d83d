"""Rates with intervals, paired differences, and bounds for zero counts.

The transactions of one run are not independent, so the replicate is the unit: every interval comes from replicate totals.
A rate is a ratio estimator (Cochran, Sampling Techniques, 3rd ed., ch. 6): sum of events over sum of exposures, whose
variance is that of the residuals e_r = x_r - p n_r between replicates.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from simlib.common.arrays import Floats

LEVEL = 0.95


class Interval(NamedTuple):
    """A two-sided confidence interval, both ends included."""

    low: float
    high: float


@dataclass(frozen=True)
class Mean:
    """Sum of `totals` over sum of `exposures`, from independent replicates: seconds per transaction, for example.

    Attributes:
        totals, exposures: (replicates,).

    Examples:
        >>> Mean(np.array([1.0, 3.0]), np.array([10.0, 10.0])).estimate
        0.2
    """

    totals: Floats
    exposures: Floats

    @property
    def estimate(self) -> float:
        """The ratio of the sums; NaN without exposure."""
        total = float(self.exposures.sum())
        return float(self.totals.sum()) / total if total else float("nan")

    @cached_property
    def residuals(self) -> Floats:
        """(replicates,) each replicate's contribution to the error of the estimate; they sum to zero."""
        total = float(self.exposures.sum())
        if not total:
            return np.full(self.totals.shape, np.nan)
        return np.asarray((self.totals - self.estimate * self.exposures) / total, dtype=np.float64)

    @property
    def standard_error(self) -> float:
        """Between-replicate standard error; NaN with fewer than two replicates."""
        return _standard_error(self.residuals)

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The t interval that covers the truth with probability `level`; None with fewer than two replicates or no exposure."""
        if self.totals.size < 2 or np.isnan(self.estimate):
            return None
        reach = _quantile(self.totals.size, level) * self.standard_error
        return Interval(self.estimate - reach, self.estimate + reach)


@dataclass(frozen=True)
class Rate(Mean):
    """A share: `totals` are events, of which there are at most as many as `exposures`.

    Attributes:
        clustering: design effect used for the bound when no event was seen at all, at least 1.
    """

    clustering: float = 1.0

    @property
    def design_effect(self) -> float:
        """Between-replicate variance over that of independent events; at least 1."""
        p, total = self.estimate, float(self.exposures.sum())
        binomial = p * (1 - p) / total if total else 0.0
        return max(1.0, self.standard_error**2 / binomial) if binomial > 0 and self.totals.size > 1 else 1.0

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The confidence interval, on the logit scale so that it stays inside [0, 1]; None without exposure.

        Of one replicate there is none either, unless nothing or everything was seen.
        Zero seen is not zero: with no event at all, `high` is the one-sided bound 1 - (1 - level)^(deff / n) that n
        independent exposures would give, n divided by the design effect `clustering`. All seen is treated alike.

        Examples:
            >>> low, high = Rate(np.array([2.0, 4.0, 3.0]), np.array([100.0, 100.0, 100.0])).interval()
            >>> round(low, 4), round(high, 4)
            (0.013, 0.0677)
            >>> round(Rate(np.array([0.0]), np.array([300.0])).interval().high, 4)  # none of 300
            0.0099
        """
        p, total = self.estimate, float(self.exposures.sum())
        if not total:
            return None
        bound = float(1 - (1 - level) ** (self.clustering / total))
        if p == 0:
            return Interval(0.0, bound)
        if p == 1:
            return Interval(1 - bound, 1.0)
        if self.totals.size < 2:
            return None
        reach = _quantile(self.totals.size, level) * self.standard_error / (p * (1 - p))
        return Interval(float(special.expit(special.logit(p) - reach)), float(special.expit(special.logit(p) + reach)))


@dataclass(frozen=True)
class Difference:
    """The paired difference of two rates over the same replicates, `rate` minus `baseline`.

    Examples:
        >>> of = np.array([100.0, 100.0, 100.0])
        >>> difference = Difference(Rate(np.array([2.0, 4.0, 3.0]), of), Rate(np.array([5.0, 7.0, 6.0]), of))
        >>> round(difference.estimate, 4), round(difference.standard_error, 4)  # always three fewer: no error at all
        (-0.03, 0.0)
    """

    rate: Mean
    baseline: Mean

    @property
    def estimate(self) -> float:
        """Difference of the two estimates."""
        return self.rate.estimate - self.baseline.estimate

    @property
    def standard_error(self) -> float:
        """From the paired residuals; what the two have in common cancels."""
        return _standard_error(self.rate.residuals - self.baseline.residuals)

    @property
    def variance_ratio(self) -> float:
        """How many times more replicates independent runs would need for the same precision; NaN where there is no error."""
        paired = self.standard_error**2
        return (self.rate.standard_error**2 + self.baseline.standard_error**2) / paired if paired > 0 else float("nan")

    def interval(self, level: float = LEVEL) -> Interval | None:
        """The t interval of the paired difference; if neither rate saw an event, what the two bounds leave open."""
        if isinstance(self.rate, Rate) and self.rate.estimate == self.baseline.estimate == 0:
            mine, theirs = self.rate.interval(level), self.baseline.interval(level)
            return Interval(-theirs.high, mine.high) if mine and theirs else None
        if self.rate.totals.size < 2 or np.isnan(self.estimate):
            return None
        reach = _quantile(self.rate.totals.size, level) * self.standard_error
        return Interval(self.estimate - reach, self.estimate + reach)


def _standard_error(residuals: Floats) -> float:
    size = residuals.size
    return float(np.sqrt(np.sum(residuals**2) * size / (size - 1))) if size > 1 else float("nan")


def _quantile(replicates: int, level: float) -> float:
    # Equal to scipy.stats.t.ppf, whose import takes a third of a second, of each worker too.
    return float(special.stdtrit(replicates - 1, 0.5 + level / 2))
