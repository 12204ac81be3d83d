"""The frame of a result against its estimates and its JSON."""

import math

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.workload.workload import load_workload


@pytest.fixture(scope="module")
def result():
    model = load_workload("quiet", ["duration=60"])
    return run(model, load_case(model.case), seed=1, replicates=3)


def test_the_frame_has_a_row_per_strategy_whose_rate_is_the_ratio_of_its_counts(result):
    frame = result.to_frame()
    assert tuple(frame["strategy"]) == result.strategies
    assert (frame["clobber_rate"] == frame["clobbered_units"] / frame["units"]).all()
    for row in frame.to_dict("records"):
        assert row["racing"] + row["not_racing"] == result.by_site(row["strategy"]).sum()
        assert row["wait_p50_s"] <= row["wait_p99_s"]


def test_the_frame_and_the_json_say_the_same_and_only_the_baseline_has_no_difference(result):
    data, frame = result.to_json(), result.to_frame().set_index("strategy")
    for name, row in frame.iterrows():
        assert data["strategies"][name]["clobber_rate"]["low"] == row["clobber_rate_low"]
        assert data["cost"][name]["wait_p99"] == row["wait_p99_s"]
        assert math.isnan(row["difference_from_baseline"]) == (name == result.baseline)
        assert (data["strategies"][name]["difference_from_baseline"] is None) == (name == result.baseline)


@pytest.fixture(scope="module")
def busy():
    fixed = [f"times.{site}.{part}" for site in ("handler", "patch", "inbound") for part in ("hold=0.01", "prepare=0.01")]
    model = load_workload("handler-only", ["duration=50", *fixed])
    return run(model, load_case(model.case), seed=1, replicates=4)


def test_the_price_against_the_utilisation_and_holds_that_the_workload_says(busy):
    price = busy.price("after-19328")
    rate = sum(flow.rate for flow in busy.workload.traffic.values())
    # Each transaction holds the lock for 10 ms: the count is Poisson, so four of its standard errors.
    assert abs(price["utilisation"] - rate * 0.01) < 4 * 0.01 * math.sqrt(rate / (50 * 4))
    assert price["hold_mean"] == pytest.approx(0.01)
    assert price["hold_p50"] == pytest.approx(0.01, rel=0.05)  # a bin's width
    # Pollaczek and Khinchine for a constant hold: rho h / 2 (1 - rho).
    load = price["utilisation"]
    assert price["wait_mean"] == pytest.approx(load * 0.01 / (2 * (1 - load)), rel=0.1)
    assert price["timeouts"] == 0


def test_clobbers_a_day_are_the_share_of_the_units_of_a_day(busy):
    units_a_day = busy.workload.traffic["turn"].rate * 24 * 3600
    for name in ("replace", "after-19328"):
        rate = busy.best_rate(name).estimate
        assert rate > 0.01
        # What was drawn is the workload's rate within four standard errors of 4000 units.
        assert busy.clobbered_units_per_day(name) == pytest.approx(rate * units_a_day, rel=4 / math.sqrt(4000))
