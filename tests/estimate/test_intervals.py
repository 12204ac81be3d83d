"""Estimates against closed forms and against clustered data whose true rate is known."""

import numpy as np
import pytest
from scipy import stats

from simlib.estimate.intervals import Difference, Mean, Rate


def rate(events: list[float], exposures: list[float], clustering: float = 1.0) -> Rate:
    return Rate(np.array(events, dtype=float), np.array(exposures, dtype=float), clustering)


def test_the_estimate_is_the_ratio_of_the_totals():
    assert rate([1, 3], [10, 40]).estimate == 4 / 50


def test_the_standard_error_of_equal_exposures_is_that_of_a_mean():
    shares = np.array([0.1, 0.3, 0.2, 0.4])
    mean = Mean(shares * 10, np.full(4, 10.0))
    assert mean.standard_error == pytest.approx(stats.sem(shares))


def test_the_mean_interval_of_equal_exposures_is_the_t_interval():
    values = np.array([1.0, 2.0, 4.0, 8.0, 3.0])
    expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert Mean(values, np.ones(5)).interval() == pytest.approx(expected)


def test_zero_seen_is_bounded_by_the_rule_of_three():
    low, high = rate([0, 0], [500, 500]).interval()
    assert low == 0
    assert high == pytest.approx(3 / 1000, rel=0.01)


def test_clustering_widens_the_bound_of_zero_in_proportion():
    plain, clustered = rate([0, 0], [500, 500]).interval(), rate([0, 0], [500, 500], 2.0).interval()
    assert clustered.high == pytest.approx(2 * plain.high, rel=0.01)


def test_all_seen_is_the_mirror_of_none_seen():
    none, every = rate([0, 0], [50, 50]).interval(), rate([50, 50], [50, 50]).interval()
    assert every.low == pytest.approx(1 - none.high)
    assert every.high == 1


def test_one_replicate_has_an_estimate_and_no_interval():
    assert rate([2], [10]).estimate == 0.2
    assert rate([2], [10]).interval() is None


def test_no_exposure_has_neither():
    assert np.isnan(rate([0, 0], [0, 0]).estimate)
    assert rate([0, 0], [0, 0]).interval() is None


def test_an_interval_stays_between_zero_and_one():
    low, high = rate([0, 1, 0], [5, 5, 5]).interval()
    assert 0 < low < 1 / 15 < high < 1


def test_a_paired_difference_does_not_pay_for_what_both_share():
    shared = np.array([5.0, 20.0, 9.0, 14.0])
    baseline, other = rate(list(shared), [100] * 4), rate(list(shared + 2), [100] * 4)
    difference = Difference(other, baseline)
    assert difference.estimate == pytest.approx(0.02)
    assert difference.standard_error == pytest.approx(0, abs=1e-12)
    assert baseline.standard_error > 0.01


def test_the_difference_of_two_zeros_is_bounded_by_their_bounds():
    zero = rate([0, 0], [500, 500])
    low, high = Difference(zero, zero).interval()
    assert -low == high == zero.interval().high


def clustered(rng: np.random.Generator, p: float, correlation: float, replicates: int) -> tuple[np.ndarray, np.ndarray]:
    """Beta-binomial events: replicates differ in their own rate, as runs of a simulation do."""
    spread = 1 / correlation - 1
    exposures = rng.poisson(300, replicates)
    events = rng.binomial(exposures, rng.beta(p * spread, (1 - p) * spread, replicates))
    return events.astype(float), exposures.astype(float)


@pytest.mark.parametrize(
    ("p", "correlation", "replicates"), [(0.3, 0.02, 24), (0.3, 0.1, 24), (0.03, 0.02, 24), (0.1, 0.02, 40), (0.3, 0.05, 8)]
)
def test_coverage_on_clustered_data_with_a_known_rate(p: float, correlation: float, replicates: int):
    """Nominal 95 %; 92 % to 97 % are demanded, and 2,000 trials tell them apart (standard error 0.5 %)."""
    rng = np.random.default_rng([24, replicates])
    intervals = [Rate(*clustered(rng, p, correlation, replicates)).interval() for _ in range(2000)]
    assert 0.92 <= np.mean([low <= p <= high for low, high in intervals]) <= 0.97


def test_coverage_of_the_paired_difference_on_clustered_data():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(2000):
        events, exposures = clustered(rng, 0.2, 0.03, 24)
        fewer = rng.binomial(events.astype(int), 0.6).astype(float)
        low, high = Difference(Rate(fewer, exposures), Rate(events, exposures)).interval()
        hits += low <= -0.08 <= high
    assert 0.92 <= hits / 2000 <= 0.97


def test_a_pooled_binomial_interval_would_not_cover():
    """Why the replicate is the unit: on the same data the binomial interval covers less than three quarters."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(500):
        events, exposures = clustered(rng, 0.3, 0.1, 24)
        estimate, total = events.sum() / exposures.sum(), exposures.sum()
        hits += abs(estimate - 0.3) < 1.96 * np.sqrt(estimate * (1 - estimate) / total)
    assert hits / 500 < 0.75


# ---- each formula by hand, on replicates of unequal size -------------------------------------------------------------------

EVENTS, EXPOSURES = [3.0, 9.0, 4.0], [20.0, 30.0, 50.0]
SHARE = 16 / 100
BY_HAND = [(3 - 0.16 * 20) / 100, (9 - 0.16 * 30) / 100, (4 - 0.16 * 50) / 100]  # -0.002, 0.042, -0.04
ERROR = (3 / 2 * (0.002**2 + 0.042**2 + 0.04**2)) ** 0.5
T = 4.302652729911275  # the 97.5 % point of t with two degrees of freedom, from a printed table: 4.303


def test_residuals_and_standard_error_of_a_ratio_by_hand():
    one = rate(EVENTS, EXPOSURES)
    assert one.residuals == pytest.approx(BY_HAND)
    assert one.standard_error == pytest.approx(ERROR)


def test_the_t_interval_of_a_ratio_by_hand_also_of_two_replicates():
    low, high = Mean(np.array(EVENTS), np.array(EXPOSURES)).interval()
    assert (low, high) == pytest.approx((SHARE - T * ERROR, SHARE + T * ERROR))
    low, high = Mean(np.array([1.0, 3.0]), np.ones(2)).interval()
    assert (low, high) == pytest.approx((2 - 12.706204736, 2 + 12.706204736))  # t with one degree; the error of the mean is 1


def test_another_level_has_the_quantile_of_that_level():
    values = np.array([1.0, 2.0, 4.0, 8.0, 3.0])
    assert Mean(values, np.ones(5)).interval(0.8) == pytest.approx(stats.t.interval(0.8, 4, values.mean(), stats.sem(values)))
    assert rate([0, 0], [50, 50]).interval(0.99).high == pytest.approx(1 - 0.01 ** (1 / 100))
    difference = Difference(Mean(values, np.ones(5)), Mean(np.zeros(5), np.ones(5)))
    assert difference.interval(0.8) == pytest.approx(stats.t.interval(0.8, 4, values.mean(), stats.sem(values)))


def test_the_interval_of_a_rate_is_the_t_interval_of_its_logit():
    low, high = rate(EVENTS, EXPOSURES).interval()
    logit, reach = np.log(SHARE / (1 - SHARE)), T * ERROR / (SHARE * (1 - SHARE))  # the delta method
    assert (low, high) == pytest.approx((1 / (1 + np.exp(reach - logit)), 1 / (1 + np.exp(-reach - logit))))


def test_the_design_effect_is_the_variance_over_that_of_independent_events_and_never_less_than_one():
    assert rate(EVENTS, EXPOSURES).design_effect == pytest.approx(ERROR**2 / (SHARE * (1 - SHARE) / 100))
    assert rate([10, 90], [100, 100]).design_effect == pytest.approx(0.4**2 / (0.25 / 200))
    assert rate([5, 5], [10, 10]).design_effect == 1
    for nothing in (rate([0, 0], [9, 9]), rate([9, 9], [9, 9]), rate([0, 0], [0, 0]), rate([3], [9])):
        assert nothing.design_effect == 1


def test_the_bound_of_zero_is_what_as_many_independent_exposures_would_give_by_hand():
    assert Rate(np.zeros(3), np.array(EXPOSURES, dtype=float)).interval() == rate([0, 0, 0], EXPOSURES, 1.0).interval()
    for clustering in (1.0, 4.0):
        bound = rate([0, 0, 0], EXPOSURES, clustering).interval().high
        assert (1 - bound) ** (100 / clustering) == pytest.approx(0.05)  # so many exposures without one event


def test_one_replicate_with_no_event_or_with_nothing_else_has_its_bound():
    assert rate([0], [20]).interval() == pytest.approx((0, 1 - 0.05 ** (1 / 20)))
    assert rate([20], [20]).interval() == pytest.approx((0.05 ** (1 / 20), 1))


def test_without_exposure_nothing_is_a_number():
    nothing = Mean(np.zeros(2), np.zeros(2))
    assert np.isnan(nothing.residuals).all()
    assert nothing.residuals.shape == (2,)
    assert nothing.interval() is None
    assert np.isnan(Mean(np.ones(1), np.ones(1)).standard_error)


def test_a_paired_difference_by_hand():
    other = rate([5.0, 8.0, 3.0], [25.0, 25.0, 50.0])  # again 16 of 100
    difference = Difference(rate([4.0, 12.0, 4.0], EXPOSURES), other)
    mine = [(4 - 0.2 * 20) / 100, (12 - 0.2 * 30) / 100, (4 - 0.2 * 50) / 100]
    theirs = [(5 - 0.16 * 25) / 100, (8 - 0.16 * 25) / 100, (3 - 0.16 * 50) / 100]
    error = (3 / 2 * sum((a - b) ** 2 for a, b in zip(mine, theirs, strict=True))) ** 0.5
    assert difference.estimate == pytest.approx(0.04)
    assert difference.standard_error == pytest.approx(error)
    assert difference.interval() == pytest.approx((0.04 - T * error, 0.04 + T * error))
    apart = 3 / 2 * (sum(a**2 for a in mine) + sum(b**2 for b in theirs))
    assert difference.variance_ratio == pytest.approx(apart / error**2)


def test_a_difference_without_error_has_no_variance_ratio():
    assert np.isnan(Difference(rate(EVENTS, EXPOSURES), rate(EVENTS, EXPOSURES)).variance_ratio)


def test_the_bounds_of_two_zeros_each_stand_on_their_own_side():
    narrow, wide = rate([0, 0], [500, 500]), rate([0, 0], [500, 500], 3.0)
    assert Difference(narrow, wide).interval() == (-wide.interval().high, narrow.interval().high)
    assert Difference(wide, narrow).interval() == (-narrow.interval().high, wide.interval().high)


def test_a_difference_to_a_zero_is_a_t_interval():
    difference = Difference(rate(EVENTS, EXPOSURES), rate([0, 0, 0], EXPOSURES))
    assert difference.interval() == pytest.approx((SHARE - T * ERROR, SHARE + T * ERROR))
    difference = Difference(rate([0, 0, 0], EXPOSURES), rate(EVENTS, EXPOSURES))
    assert difference.interval() == pytest.approx((-SHARE - T * ERROR, -SHARE + T * ERROR))


def test_a_difference_of_means_that_are_zero_has_no_bound_but_its_error():
    zero = Mean(np.array([1.0, -1.0]), np.ones(2))
    assert Difference(zero, Mean(np.zeros(2), np.ones(2))).interval() == pytest.approx((-12.706204736, 12.706204736))


def test_a_difference_of_one_replicate_or_without_exposure_has_no_interval():
    assert Difference(rate([2], [9]), rate([3], [9])).interval() is None
    nothing = rate([0, 0], [0, 0])
    assert Difference(nothing, nothing).interval() is None
    assert Difference(rate([1, 2], [9, 9]), nothing).interval() is None
