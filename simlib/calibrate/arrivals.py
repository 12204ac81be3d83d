"""Estimates of how requests arrive: their rate and burstiness, and how they spread over the sessions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from simlib.common.arrays import Floats

DOUBT = 0.001
"""Poisson arrivals and equal popularity are given up only when the data would be this unlikely under them."""


@dataclass(frozen=True)
class ArrivalFit:
    """The arrivals of one kind of flow.

    Attributes:
        rate, rate_error: a second, with its standard error (which burstiness widens).
        dispersion: variance over mean of the counts in windows; 1 for Poisson.
        busy, idle: mean lengths of the busy and idle periods, seconds; NaN where arrivals look Poisson.
    """

    count: int
    rate: float
    rate_error: float
    dispersion: float
    busy: float = np.nan
    idle: float = np.nan

    @property
    def bursty(self) -> bool:
        """Whether the arrivals are more uneven than Poisson ones."""
        return bool(np.isfinite(self.busy))

    def setting(self) -> dict[str, Any]:
        """The `arrivals` of a flow in a workload."""
        return {"kind": "bursty", "busy": float(f"{self.busy:.4g}"), "idle": float(f"{self.idle:.4g}")}

    def __str__(self) -> str:
        kind = (
            f"bursty, busy for {self.busy:.3g} s and idle for {self.idle:.3g} s on average"
            if self.bursty
            else "like Poisson arrivals"
        )
        return f"{self.rate:.4g} +/- {self.rate_error:.2g} from {self.count}; index of dispersion {self.dispersion:.2f}: {kind}"


def fit_arrivals(times: Floats, duration: float) -> ArrivalFit:
    """Rate and burstiness of `times` (ascending) in [0, duration), seconds.

    Burstiness is fitted only where the counts in some window contradict a Poisson process: the index of dispersion of an
    on/off source in windows of w seconds is 1 + 2 a (t - t^2 (1 - exp(-w / t)) / w), with a = (rate when busy) x (share
    idle) and 1/t = 1/busy + 1/idle (from its autocovariance, which is exponential); a and t follow by least squares.

    Examples:
        >>> fit = fit_arrivals(np.arange(0.5, 100.0), duration=100.0)  # one a second, as even as can be
        >>> fit.rate, fit.bursty
        (1.0, False)
    """
    rate = times.size / duration
    windows = [duration / pieces for pieces in (400, 200, 100, 50, 25) if times.size / pieces > 1]
    counts = [np.histogram(times, np.linspace(0, duration, round(duration / window) + 1))[0] for window in windows]
    indices = np.array([count.var(ddof=1) / count.mean() for count in counts])
    if not windows:
        return ArrivalFit(times.size, rate, float(np.sqrt(times.size)) / duration, np.nan)
    unlikely = [stats.chi2.sf(index * (count.size - 1), count.size - 1) for index, count in zip(indices, counts, strict=True)]
    dispersion = float(indices[-1])
    error = float(np.sqrt(times.size * max(1.0, dispersion))) / duration
    if min(unlikely) > DOUBT / len(unlikely):
        return ArrivalFit(times.size, rate, error, dispersion)
    width = np.array(windows)
    relax = np.geomspace(width[0] / 10, duration / 4, 200)[:, None]
    curve = 2 * (relax - relax**2 * -np.expm1(-width / relax) / width)
    amplitude = np.maximum(1e-9, (curve @ (indices - 1)) / (curve**2).sum(axis=1))
    best = int(np.argmin(((amplitude[:, None] * curve - (indices - 1)) ** 2).sum(axis=1)))
    share = rate / (rate + amplitude[best])
    time = float(relax[best, 0])
    return ArrivalFit(times.size, rate, error, dispersion, busy=time / (1 - share), idle=time / share)


@dataclass(frozen=True)
class PopularityFit:
    """How requests spread over sessions: the k-th busiest gets a share proportional to k**-exponent; 0: uniform."""

    exponent: float
    error: float

    def setting(self) -> dict[str, Any]:
        """Keys of `sessions` in a workload."""
        return {"popularity": "zipf", "exponent": round(self.exponent, 3)} if self.exponent else {"popularity": "uniform"}

    def __str__(self) -> str:
        if not self.exponent:
            return "Popularity: the counts do not contradict equal popularity."
        return f"Popularity: Zipf exponent {self.exponent:.2f} +/- {self.error:.2f} by maximum likelihood."


def fit_popularity(counts: NDArray[np.int64]) -> PopularityFit:
    """The Zipf exponent of `counts`, one a session in descending order, by maximum likelihood."""
    if counts.size < 2 or stats.chisquare(counts).pvalue > DOUBT:
        return PopularityFit(0.0, 0.0)
    logs = np.log(np.arange(1, counts.size + 1))

    def minus_log_likelihood(exponent: float) -> float:
        weights = np.exp(-exponent * logs)
        return float(exponent * (counts * logs).sum() + counts.sum() * np.log(weights.sum()))

    exponent = float(optimize.minimize_scalar(minus_log_likelihood, bounds=(0.0, 5.0), method="bounded").x)
    weights = np.exp(-exponent * logs)
    weights /= weights.sum()
    variance = (weights * logs**2).sum() - (weights * logs).sum() ** 2
    return PopularityFit(exponent, float(1 / np.sqrt(counts.sum() * variance)))
