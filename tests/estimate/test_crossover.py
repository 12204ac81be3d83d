"""Where a guard becomes worse than a lock: against curves written by hand, against `run`, and against theory."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from simlib.case.case import load_case
from simlib.common.errors import InputError
from simlib.estimate.crossover import LOADS, Crossing, Crossover, crossover, first_above, possible_loads, rivals
from simlib.estimate.experiment import run
from simlib.estimate.levers import with_traffic
from simlib.model.conflict_theory import guarded
from simlib.workload.workload import load_workload

CASE = load_case("atlas-prisma")
GUARD, LOCK = "predicate-retry", "row-lock"
WORKLOAD = load_workload(CASE.name)


@pytest.fixture(scope="module")
def found() -> Crossover:
    return crossover(WORKLOAD, CASE, GUARD, LOCK, loads=[4, 0.125, 1], replicates=6)


def by_hand(stable: tuple[bool, ...] = (True, True, True)) -> Crossover:
    """Failures cross between the second and the third load, a quarter of the way; p99 between the first and the second."""
    columns: dict[str, Any] = {"conflict_rate": [0.01, 0.05, 0.25], "stable": list(stable)}
    for name, middle, reach in (("failed_difference", [0.0, 0.0, 0.004], 0.0005), ("p99_longer", [0.0, 0.2, 0.3], 0.15)):
        columns |= {name + end: np.array(middle) + way * reach for end, way in (("", 0), ("_low", -1), ("_high", 1))}
    return Crossover("w", "g", "l", pd.DataFrame(columns))


def test_a_crossing_and_its_ends_against_straight_lines_by_hand() -> None:
    failed, p99 = by_hand().crossing("failed"), by_hand().crossing("p99")
    assert (failed.estimate, failed.low, failed.high) == pytest.approx((0.05 + 0.2 / 4, 0.05 + 0.2 / 8, 0.05 + 0.2 * 3 / 8))
    assert (p99.estimate, p99.low, p99.high) == pytest.approx((0.03, 0.0, 0.05 + 0.2 / 2))


def test_loads_at_which_a_lock_is_overloaded_do_not_count() -> None:
    assert by_hand((True, True, False)).crossing("failed") == Crossing(np.inf, np.inf, np.inf)


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 1], 0), ([-1, 1], 1.5), ([-1, -1], np.inf), ([0, 2], 1), ([-1, np.nan], np.inf)]
)
def test_the_first_rise_above_zero_by_hand(values: list[float], expected: float) -> None:
    assert first_above(np.array([1.0, 2.0]), np.array(values)) == expected


def test_each_load_is_what_run_gives_for_so_much_traffic(found: Crossover) -> None:
    assert found.frame["load"].tolist() == [0.125, 1, 4]
    assert found.frame["arrivals"].tolist() == [12.5, 100, 400]
    result = run(with_traffic(WORKLOAD, 4), CASE, [GUARD, LOCK], replicates=6, jobs=1)
    row = found.frame.iloc[-1]
    rate, failed = result.conflict_rate(GUARD), result.failed_rate(GUARD)
    assert (row["conflict_rate"], row["guard_failed"], row["lock_failed"]) == (rate.estimate, failed.estimate, 0)
    assert (row["conflict_rate_low"], row["conflict_rate_high"]) == rate.interval()
    seconds = [result.latency(name)["p99"] for name in (GUARD, LOCK)]
    assert [row["guard_p99_s"], row["lock_p99_s"]] == pytest.approx(seconds)
    assert row["p99_longer"] == pytest.approx(seconds[0] / seconds[1] - 1)
    assert row["p99_longer_low"] < row["p99_longer"] < row["p99_longer_high"]


def test_conflicts_against_theory(found: Crossover) -> None:
    """Attempts meet each other and follow at once, so that theory is some percent above."""
    for row in found.frame.to_dict("records"):
        theory = guarded(with_traffic(WORKLOAD, row["load"]), CASE, CASE.strategy(GUARD).discipline, "claim")
        assert row["conflict_rate_low"] < theory.conflict < 1.1 * row["conflict_rate_high"]


def test_with_few_conflicts_the_guard_fails_no_more_than_the_lock_and_with_many_it_does(found: Crossover) -> None:
    crossing = found.crossing("failed")
    assert 0.02 < crossing.low <= crossing.estimate <= crossing.high < 0.3


@pytest.mark.parametrize(
    ("guard", "lock", "more", "says"),
    [
        (LOCK, GUARD, {}, "row-lock of case atlas-prisma has no guard"),
        (GUARD, GUARD, {}, "predicate-retry of case atlas-prisma has a guard"),
        (GUARD, "nobody", {}, "strategy 'nobody' is not in case"),
        (GUARD, LOCK, {"loads": [1, 0]}, "loads: 1, 0; allowed"),
        (GUARD, LOCK, {"loads": []}, "loads: none; allowed"),
        (GUARD, LOCK, {"replicates": 1}, "replicates"),
        (GUARD, LOCK, {"loads": [1e300]}, "1e\\+300 times its traffic"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_what_is_allowed(guard: str, lock: str, more: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        crossover(WORKLOAD, CASE, guard, lock, **more)


def test_the_rivals_of_a_result_are_its_guard_with_most_attempts_and_its_lock() -> None:
    result = run(WORKLOAD, CASE, replicates=4)
    assert rivals(result) == (GUARD, LOCK)
    assert rivals(run(WORKLOAD, CASE, [GUARD, CASE.baseline], replicates=2)) is None


def test_loads_are_those_at_which_the_workload_is_within_its_bounds() -> None:
    assert possible_loads(WORKLOAD) == list(LOADS)
    rare = [f"traffic.{name}.rate=0.001" for name in WORKLOAD.traffic]
    longest = load_workload(CASE.name, ["duration=500000000", *rare])  # with half the traffic it is run for twice that
    assert possible_loads(longest) == [load for load in LOADS if load >= 0.5]
