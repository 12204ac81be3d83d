"""The throughput at which a strategy stops being stable: against queueing theory, and against brackets by hand."""

import math
from dataclasses import replace
from typing import Any

import pytest
from schedules import CASE

from simlib.case.case import Case
from simlib.case.discipline import Guard, Lock
from simlib.common.files import validated
from simlib.estimate.experiment import run
from simlib.estimate.limit import OCTAVE, bracket, limits, with_limits
from simlib.estimate.overload import Limit
from simlib.estimate.wording import limit_text
from simlib.model.lock_theory import make_queue
from simlib.workload.workload import Workload

SITES = frozenset(CASE.sites)
STEP = 2 ** (1 / OCTAVE)
EXPONENTIAL = {"dist": "exponential", "mean": 0.02}


def workload(**changes: Any) -> Workload:
    """Turns of one transaction on four sessions, one of them much busier than the others."""
    data = {
        "workload": "small", "about": "written for a test", "case": CASE.name, "duration": 20, "replicates": 2,
        "sessions": {"count": 4, "popularity": "zipf"}, "values": {},
        "traffic": {"turn": {"rate": 5.0, "steps": {"handler": []}}},
        "times": {"handler": {"prepare": EXPONENTIAL, "compute": 0.005, "hold": EXPONENTIAL}},
    } | changes  # fmt: skip
    return validated(Workload, data, "small workload")


def with_new(*locks: Lock, guard: Guard | None = None, **changes: Any) -> Case:
    """The case with a strategy `new`: the rules of after-19328, these locks, and a guard at the handler."""
    strategy = CASE.strategy("after-19328")
    guards = tuple(guard if site == "handler" else None for site in CASE.sites)
    discipline = replace(strategy.discipline, locks=locks, guards=guards, **changes)
    return replace(CASE, strategies={**CASE.strategies, "new": replace(strategy, name="new", discipline=discipline)})


def limit(model: Workload, case: Case) -> Limit:
    return limits(run(model, case, ["new"]))["new"]


@pytest.mark.parametrize(
    ("locks", "served", "share"),
    [
        ([Lock("store", "merge", SITES)], 0.02, 1.0),
        ([Lock("store", "transaction", SITES)], 0.045, 1.0),
        ([Lock("entry", "merge", SITES)], 0.02, 12 / 25),
        ([Lock("entry", "flow", SITES)], 0.045, 12 / 25),
    ],
)
def test_the_limit_of_a_fifo_lock_against_theory_its_utilisation_is_one(locks: list[Lock], served: float, share: float) -> None:
    model, case = workload(), with_new(*locks)
    by_theory = make_queue(model, case.strategy("new").discipline).utilisation * share
    assert by_theory == pytest.approx(5 * served * share, rel=1e-4)
    found = limit(model, case)
    assert found.unstable == pytest.approx(1 / by_theory, rel=1e-4)
    assert found.stable == pytest.approx(found.unstable / STEP)
    assert found.throughput == pytest.approx((5 * found.stable, 1 / (served * share)), rel=1e-4)


def test_the_limit_with_retries_against_a_sum_by_hand() -> None:
    """Nothing but a session's first commit is let through, and each of eight attempts takes the lock for its check."""
    guard = Guard("reordered_bytes", attempts=8)
    times = {"handler": {"hold": 0.001, "check": 0.004}}
    found = limit(workload(times=times), with_new(Lock("store", "merge", SITES), guard=guard, stores="entry"))
    assert found.stable * STEP == pytest.approx(found.unstable)
    assert found.stable / STEP < 1 / (5 * 8 * 0.004) < found.unstable * STEP
    assert found.unstable < 0.3 / (5 * 0.005)  # far from what first attempts alone ask for


def test_processes_that_poll_a_lock_file_against_theory_queues_that_are_served_until_they_are_empty() -> None:
    """Such queues are stable up to a utilisation of one, however long it takes to go from one to the other (Takagi 1986)."""
    store = {"gateways": 3, "lock_poll": 0.05, "lock_poll_max": 0.5}
    found = limit(workload(store=store), with_new(Lock("store", "merge", SITES)))
    assert 1 / STEP**2 <= found.unstable * 5 * 0.02 <= 1.0001


def test_without_a_lock_nothing_queues_and_no_limit_is_named() -> None:
    found = limit(workload(), with_new(guard=Guard("version", attempts=3)))
    assert found.unstable == math.inf
    assert found.to_json()["unstable"] is None


def test_the_limit_does_not_depend_on_how_long_the_workloads_own_replicates_are() -> None:
    case = with_new(Lock("store", "merge", SITES), guard=Guard("version", attempts=3))
    assert limit(workload(duration=2), case) == limit(workload(duration=60), case)


@pytest.mark.parametrize(
    "flow",
    [
        {"rate": 1.0, "arrivals": {"kind": "recorded", "times": [1.0, 2.0]}, "steps": {"handler": []}},
        {"rate": 0.0, "steps": {"handler": []}},
        {"rate": 1.0, "steps": {"patch": []}},
    ],
)
def test_recorded_traffic_and_traffic_without_units_of_work_have_no_limit(flow: dict[str, Any]) -> None:
    times = {"handler": {"hold": 0.01}, "patch": {"hold": 0.01}}
    assert limits(run(workload(traffic={"turn": flow}, times=times), CASE, ["all-sites"])) == {}


def test_the_json_has_the_limit_of_each_strategy_where_it_was_asked_for_and_null_else() -> None:
    result = run(workload(), CASE, ["after-19328", "in-mutator"])
    assert {name: one["throughput_limit"] for name, one in result.to_json()["strategies"].items()} == {
        "after-19328": None, "in-mutator": None,
    }  # fmt: skip
    strategies = with_limits(result).to_json()["strategies"]
    assert strategies["after-19328"]["throughput_limit"]["unstable"] == pytest.approx(1 / 0.02)
    assert strategies["in-mutator"]["throughput_limit"]["unstable"] == pytest.approx(1 / 0.025)


def test_a_limit_in_words_by_hand() -> None:
    assert limit_text(Limit(2.0, 2.1, 30.0)) == "60 to 63"
    assert limit_text(Limit(64.0, math.inf, 80.0)) == "over 5,120"
    assert limit_text(Limit(0.0, 0.01, 2.0)) == "under 0.02"


def test_two_hundred_queues_in_each_of_which_little_happens_against_the_same_theory() -> None:
    case = with_new(Lock("entry", "transaction", SITES))
    traffic = {"turn": {"rate": 80.0, "steps": {"handler": []}}}
    times = {"handler": {"prepare": {"dist": "exponential", "mean": 0.4}, "hold": 0.0005}}
    found = limit(workload(sessions={"count": 200}, traffic=traffic, times=times), case)
    assert found.unstable == pytest.approx(200 / (80 * 0.4005), rel=1e-4)
    assert found.stable == pytest.approx(found.unstable / STEP)


@pytest.mark.parametrize("edge", [0.013, 0.9, 3.0, 63.9])
def test_a_bracket_holds_the_edge_and_is_one_step_wide(edge: float) -> None:
    low, high = bracket(lambda factor: factor < edge, 64.0)
    assert low < edge <= high
    assert high / low == pytest.approx(STEP)


def test_a_bracket_ends_at_what_is_looked_at() -> None:
    assert bracket(lambda _: True, 64.0) == (64.0, math.inf)
    low, high = bracket(lambda _: False, 64.0)
    assert low == 0
    assert 0 < high < 0.01
