"""A lock that is asked for more than it can give: by hand sums of the workload, and from a run; its waits are left out."""

import math

import pytest
from schedules import CASE

from simlib.estimate.experiment import run
from simlib.estimate.overload import requested_load
from simlib.estimate.wording import overload_note
from simlib.workload.workload import Workload

SPANS = {"hold": {"dist": "exponential", "mean": 0.02}, "compute": {"dist": "gamma", "mean": 0.05, "shape": 2.0}}


def workload(**changes: object) -> Workload:
    data = {
        "workload": "hot", "about": "", "case": "openclaw-70575", "duration": 30.0, "replicates": 3, "sessions": {"count": 3},
        "store": {"release": 0.005}, "values": {"label": 4},
        "traffic": {"patch": {"rate": 8.0, "steps": {"patch": [{"ask": ["label"]}]}},
                    "turn": {"rate": 10.0, "steps": {"handler": []}}},
        "times": {"patch": {"hold": 0.01}, "handler": SPANS},
    } | changes  # fmt: skip
    return Workload.model_validate(data)


def test_the_requested_load_against_a_sum_by_hand() -> None:
    outside = 8 * (0.01 + 0.005) + 10 * (0.02 + 0.005)
    assert requested_load(workload(), CASE, CASE.strategy("after-19328")) == pytest.approx(outside)
    assert requested_load(workload(), CASE, CASE.strategy("in-mutator")) == pytest.approx(outside + 10 * 0.05)
    recorded = {"patch": {"rate": 99.0, "arrivals": {"kind": "recorded", "times": [1, 2, 3, 31]}, "steps": {"patch": []}}}
    spans = {"patch": {"hold": {"dist": "empirical", "values": [4.0, 0.0, 1.0]}}}
    # Linear between the sorted values: the mean of 0.5 and 2.5.
    load = requested_load(workload(traffic=recorded, times=spans), CASE, CASE.strategy("after-19328"))
    assert load == pytest.approx(3 * (1.5 + 0.005) / 30)


def test_the_observed_load_of_a_run_against_the_requested_one() -> None:
    result = run(workload(replicates=20), CASE, ["after-19328"])
    load = result.load("after-19328")
    # A compound Poisson process: its variance is rate x second moment of the hold.
    variance = (8 * 0.015**2 + 10 * (2 * 0.02**2 + 2 * 0.02 * 0.005 + 0.005**2)) / (30 * 20)
    assert abs(load.observed - load.requested) < 4 * math.sqrt(variance)
    assert not result.overloaded
    assert overload_note(result) == ""
    assert "overloaded" not in result.to_json()


def test_waits_for_an_overloaded_lock_are_left_out_and_the_reason_comes_first() -> None:
    times = {"patch": {"hold": 0.01}, "handler": {"hold": 0.02, "compute": 0.08}}
    result = run(workload(times=times), CASE, ["after-19328", "in-mutator"])
    assert list(result.overloaded) == ["in-mutator"]
    price = result.price("in-mutator")
    assert all(math.isnan(price[f"wait_{which}"]) for which in ("mean", "p50", "p95", "p99"))
    assert math.isfinite(price["hold_p99"])
    assert math.isfinite(result.price("after-19328")["wait_p99"])
    data = result.to_json()
    assert data["overloaded"]["in-mutator"]["requested"] == pytest.approx(8 * 0.015 + 10 * 0.105)
    assert data["cost"]["in-mutator"]["wait_p99"] is None
    assert "asked for more than it can give with in-mutator (1." in overload_note(result)
