"""Levers, against the workloads that they are to make, written by hand; and their results against experiments of those."""

from fractions import Fraction

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.levers import FACTORS, levers, pull, with_windows
from simlib.workload.distributions import Constant, Empirical, Exponential, Gamma, Lognormal, scaled
from simlib.workload.workload import load_workload

HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    "distribution",
    [
        Constant(value=2),
        Exponential(dist="exponential", mean=2),
        Lognormal(dist="lognormal", median=2, sigma=0.7),
        Gamma(dist="gamma", mean=2, shape=3),
        Empirical(dist="empirical", values=[1, 2, 6]),
    ],
)
def test_a_scaled_distribution_has_every_quantile_so_many_times_as_long(distribution):
    import numpy as np

    uniform = np.linspace(0.01, 0.99, 9)
    assert scaled(distribution, 4).quantile(uniform) == pytest.approx(4 * distribution.quantile(uniform))


def test_the_levers_are_the_longest_time_the_sessions_and_the_traffic():
    workload = load_workload("busy-team")
    time, sessions, traffic = levers(workload)
    assert time.name == "times.run_end.after"
    assert time.workloads[HALF] == load_workload("busy-team", ["times.run_end.after.median=3"])
    assert (sessions.name, sessions.value) == ("sessions.count", 30)
    assert sessions.workloads[HALF] == load_workload("busy-team", ["sessions.count=15"])
    overrides = [f"traffic.{name}.rate={flow.rate * 2}" for name, flow in workload.traffic.items()]
    assert traffic.workloads[Fraction(2)] == load_workload("busy-team", overrides)
    for lever in (time, sessions, traffic):
        assert list(lever.workloads) == list(FACTORS)
        assert lever.workloads[Fraction(1)] == workload


def test_where_no_step_waits_for_an_earlier_one_the_longest_preparation_is_the_time():
    assert levers(load_workload("handler-only"))[0].name == "times.handler.prepare"


def test_what_would_be_no_workload_is_left_out_and_recorded_arrivals_are_not_scaled():
    workload = load_workload("quiet", ["sessions.count=400000"])
    assert list(levers(workload)[1].workloads) == list(FACTORS[:4])
    recorded = [f"traffic.{name}.arrivals={{kind: recorded, times: [1, 2]}}" for name in workload.traffic]
    assert [lever.name for lever in levers(load_workload("quiet", recorded))][1:] == ["sessions.count"]


def test_a_result_of_a_lever_is_that_of_its_workload():
    workload = load_workload("quiet", ["duration=30"])
    result = run(workload, load_case(workload.case), ["after-19328", "all-sites"], seed=3, replicates=3)
    found = pull(result, levers(workload)[:1])
    name = "times.run_end.after"
    assert set(found) == {(name, factor) for factor in FACTORS}
    again = run(levers(workload)[0].workloads[HALF], result.case, result.strategies, seed=3, replicates=3)
    assert found[name, HALF].to_frame().equals(again.to_frame())


def test_wider_windows_are_every_pause_and_preparation_and_nothing_else():
    workload = load_workload("busy-team")
    wider = with_windows(workload, 2)
    for site, times in workload.times.items():
        for part in ("after", "prepare"):
            assert getattr(wider.times[site], part).expected == pytest.approx(2 * getattr(times, part).expected)
    back = with_windows(wider, 0.5)
    assert back.model_dump() == workload.model_dump()
