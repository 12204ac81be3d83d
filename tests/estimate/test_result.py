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
