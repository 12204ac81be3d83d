"""Fitted arrivals and popularity against the sources that drew them, and against hand computation."""

import numpy as np
import pytest
from scipy import stats

from simlib.calibrate.arrivals import ArrivalFit, PopularityFit, fit_arrivals, fit_popularity
from simlib.common.arrays import Floats
from simlib.workload.streams import Streams
from simlib.workload.traffic import arrivals
from simlib.workload.workload import Bursty, Flow


def test_burstiness_against_the_on_off_source_that_drew_it() -> None:
    flow = Flow(rate=2.0, arrivals=Bursty(kind="bursty", busy=20, idle=80), steps={"patch": []})
    fits = [fit_arrivals(*arrivals(flow, 20_000, "x", Streams(seed, 0)), 20_000) for seed in range(5)]
    assert all(fit.bursty for fit in fits)
    for name, expected in (("rate", 2.0), ("busy", 20.0), ("idle", 80.0)):
        values = np.array([getattr(fit, name) for fit in fits])
        assert abs(values.mean() - expected) < 5 * values.std(ddof=1) / np.sqrt(values.size)


def test_poisson_arrivals_and_equal_popularity_are_recognised() -> None:
    flow = Flow(rate=2.0, steps={"patch": []})
    assert not any(fit_arrivals(*arrivals(flow, 2000, "x", Streams(seed, 0)), 2000).bursty for seed in range(10))
    assert fit_popularity(np.sort(np.random.default_rng(1).multinomial(2000, [0.1] * 10))[::-1]).exponent == 0


# ---- arrivals by hand --------------------------------------------------------------------------------------------------------


def counted(*counts: int) -> Floats:
    """So many arrivals in each second, all in its middle."""
    return np.repeat(np.arange(len(counts)) + 0.5, counts)


def test_dispersion_and_the_error_of_the_rate_by_hand() -> None:
    # 100 seconds in 25 windows of four: 12 of them have 8 arrivals and 13 have none, or all have 4.
    uneven, even = (
        fit_arrivals(counted(*[2, 2, 2, 2, 0, 0, 0, 0] * 12, 0, 0, 0, 0), 100.0),
        fit_arrivals(counted(*[1] * 100), 100.0),
    )
    dispersion = float(np.var([8] * 12 + [0] * 13, ddof=1)) / 3.84
    assert (uneven.count, uneven.rate, uneven.dispersion) == (96, 0.96, pytest.approx(dispersion))
    assert uneven.rate_error == pytest.approx(np.sqrt(96 * dispersion) / 100)
    assert (even.rate, even.dispersion, even.bursty) == (1.0, 0.0, False)
    assert even.rate_error == pytest.approx(np.sqrt(100) / 100)  # evenness makes it no smaller than Poisson's


def test_a_window_needs_more_than_one_arrival_on_average() -> None:
    few, enough = (fit_arrivals(np.linspace(0, 49, count), 50.0) for count in (25, 26))
    assert np.isnan(few.dispersion)
    assert (few.count, few.rate, few.bursty) == (25, 0.5, False)
    assert few.rate_error == pytest.approx(np.sqrt(25) / 50)
    assert np.isfinite(enough.dispersion)


def test_poisson_is_given_up_only_where_it_is_as_unlikely_as_a_thousandth_divided_by_the_windows() -> None:
    # 100 arrivals in 50 seconds are tried in 25 and in 50 windows; more and more of them are moved.
    found = set()
    for moved in range(16):
        counts = np.full(50, 2)
        counts[:moved] += 2
        counts[50 - moved :] -= 2
        windows = counts, counts.reshape(25, 2).sum(axis=1)
        unlikely = min(stats.chi2.sf(((c - c.mean()) ** 2).sum() / c.mean(), c.size - 1) for c in windows)
        found.add(bool(unlikely <= 0.001 / 2))
        assert fit_arrivals(counted(*counts), 50.0).bursty == (unlikely <= 0.001 / 2)
    assert found == {False, True}


def expected_fit(times: Floats, duration: float, relax: float) -> tuple[float, float]:
    """Busy and idle periods for a given relaxation time, by least squares on the indices of dispersion (see the docstring)."""
    excess, curve = [], []
    for pieces in (400, 200, 100, 50, 25):
        counts = np.bincount((times * pieces / duration).astype(int), minlength=pieces)
        w = duration / pieces
        excess.append(counts.var(ddof=1) / counts.mean() - 1)
        curve.append(2 * (relax - relax**2 * (1 - np.exp(-w / relax)) / w))
    amplitude = np.dot(curve, excess) / np.dot(curve, curve)
    idle_share = amplitude / (amplitude + times.size / duration)  # a = rate when busy x share idle
    return relax / idle_share, relax / (1 - idle_share)


def test_bursts_as_short_as_the_finest_window_are_taken_for_a_tenth_of_it() -> None:
    # On for one window and off for one: in all wider windows the counts are equal.
    times = counted(*[20, 0] * 200)
    fit = fit_arrivals(times, 400.0)
    assert (fit.busy, fit.idle) == pytest.approx(expected_fit(times, 400.0, 0.1))


def test_a_rate_that_changed_once_is_taken_for_periods_that_relax_in_a_quarter_of_the_time() -> None:
    times = counted(*[8] * 200, *[4] * 200)
    fit = fit_arrivals(times, 400.0)
    assert 1 / (1 / fit.busy + 1 / fit.idle) == pytest.approx(100.0)
    assert (fit.busy, fit.idle) == pytest.approx(expected_fit(times, 400.0, 100.0))


def test_what_a_fit_says() -> None:
    poisson, bursty = ArrivalFit(400, 2.0, 0.1, 1.0), ArrivalFit(400, 2.0, 0.3, 9.0, busy=20.12345, idle=80.0)
    assert str(poisson) == "2 +/- 0.1 from 400; index of dispersion 1.00: like Poisson arrivals"
    assert str(bursty).endswith("dispersion 9.00: bursty, busy for 20.1 s and idle for 80 s on average")
    assert bursty.setting() == {"kind": "bursty", "busy": 20.12, "idle": 80.0}
    assert str(PopularityFit(0.0, 0.0)) == "Popularity: the counts do not contradict equal popularity."
    assert str(PopularityFit(1.0, 0.1)) == "Popularity: Zipf exponent 1.00 +/- 0.10 by maximum likelihood."
    assert PopularityFit(0.0, 0.0).setting() == {"popularity": "uniform"}
    assert PopularityFit(1.23456, 0.1).setting() == {"popularity": "zipf", "exponent": 1.235}


# ---- popularity --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(90, 10), (800, 200)])
def test_the_exponent_of_two_sessions_in_closed_form(counts: tuple[int, int]) -> None:
    # Shares 1 and 2^-s: the exponent is the binary logarithm of their ratio, its error that of a logit over log 2.
    fit = fit_popularity(np.array(counts))
    assert fit.exponent == pytest.approx(np.log2(counts[0] / counts[1]), abs=1e-4)
    assert fit.error == pytest.approx(np.sqrt(1 / counts[0] + 1 / counts[1]) / np.log(2), rel=1e-3)


def test_the_exponent_of_many_sessions_against_the_law_that_drew_them() -> None:
    shares = np.arange(1.0, 21.0) ** -0.8
    rng = np.random.default_rng(1)
    fits = [fit_popularity(rng.multinomial(20_000, shares / shares.sum())) for _ in range(20)]
    deviations = np.array([(fit.exponent - 0.8) / fit.error for fit in fits])
    assert abs(deviations.mean()) < 4 / np.sqrt(20)
    assert 0.4 < deviations.std(ddof=1) < 1.7  # four standard errors of the deviation of 20


def test_an_exponent_is_sought_up_to_five_and_only_against_the_odds() -> None:
    assert fit_popularity(np.array([100_000, 1])).exponent == pytest.approx(5.0, abs=1e-3)
    assert fit_popularity(np.array([7])) == PopularityFit(0.0, 0.0)
    # Two counts that differ by 3.2 and by 3.4 of their standard deviations: probabilities 0.0013 and 0.0006.
    assert fit_popularity(np.array([551, 449])).exponent == 0.0
    assert fit_popularity(np.array([554, 446])).exponent > 0.0
