"""The gate, against the rates that it is allowed to be wrong at, and against runs of the same replicates."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from simlib.case.case import Case, load_case
from simlib.common.arrays import Floats
from simlib.estimate.experiment import run
from simlib.estimate.gate import decide, gate, interval_at_a_look, looks
from simlib.estimate.intervals import Rate
from simlib.workload.workload import Workload, load_workload

MOST = 512
Draw = Callable[[np.random.Generator, int], Floats]
SHARES: dict[str, Draw] = {
    "all replicates alike": lambda rng, count: np.full(count, 0.01),
    "gamma, as spread out as its mean": lambda rng, count: rng.gamma(1, 0.01, count),
    "gamma, twice as spread out": lambda rng, count: rng.gamma(0.25, 0.04, count),
    "lognormal, sigma 1": lambda rng, count: 0.01 * rng.lognormal(-0.5, 1, count),
}


def wrong_at_the_limit(draw: Draw, gates: int, seed: int, limits: int = 1) -> tuple[int, int]:
    """How many of so many gates whose rate is at the limit, one of so many, pass, and how many fail."""
    rng, sizes = np.random.default_rng(seed), looks(MOST)
    level, decisions = 1 - 2 * 0.05 / len(sizes), []
    for _ in range(gates):
        units = rng.poisson(300, MOST).astype(float)
        clobbered = rng.binomial(units.astype(int), np.minimum(1, draw(rng, MOST))).astype(float)
        said = (decide(Rate(clobbered[:size], units[:size]), 0.01, level, limits)[0] for size in sizes)
        decisions.append(next((one for one in said if one != "undecided"), "undecided"))
    return decisions.count("pass"), decisions.count("fail")


def check_errors(draw: Draw, gates: int, seed: int, limits: int = 1) -> None:
    passed, failed = wrong_at_the_limit(draw, gates, seed, limits)
    assert passed <= stats.binom.ppf(0.9999, gates, 0.05)  # so many by chance, if the error is 5 %
    assert failed <= stats.binom.ppf(0.9999, gates, 0.05 / limits)


@pytest.mark.parametrize("draw", SHARES.values(), ids=list(SHARES))
def test_a_rate_at_the_limit_is_decided_no_more_often_than_the_confidence_allows_although_it_is_looked_at_often(
    draw: Draw,
) -> None:
    check_errors(draw, 200, seed=1)


def test_one_of_five_limits_is_failed_wrongly_with_a_fifth_of_the_error_and_passed_wrongly_with_all_of_it() -> None:
    check_errors(SHARES["gamma, as spread out as its mean"], 200, seed=3, limits=5)


@pytest.mark.slow
@pytest.mark.parametrize("draw", SHARES.values(), ids=list(SHARES))
def test_the_same_of_ten_thousand_gates(draw: Draw) -> None:
    check_errors(draw, 10_000, seed=2)


def test_it_looks_at_twice_as_many_each_time_and_at_the_most_at_last() -> None:
    assert looks(200) == [32, 64, 128, 200]
    assert looks(20) == [20]


def test_no_event_is_held_against_the_bound_for_none() -> None:
    """A rate at the bound shows no event with the probability that one end of the interval may err with."""
    rate = Rate(np.zeros(32), np.full(32, 100.0))
    bound = 1 - (1 - 0.975) ** (1 / 3200)
    assert stats.binom.pmf(0, 3200, bound) == pytest.approx(0.025)
    assert decide(rate, bound * 1.01, 0.95)[0] == "pass"
    assert decide(rate, bound * 0.99, 0.95)[0] == "undecided"


def test_an_interval_from_fewer_than_five_replicates_with_an_event_is_not_believed() -> None:
    totals = np.zeros(40)
    totals[:4] = 1
    assert interval_at_a_look(Rate(totals, np.full(40, 100.0)), 0.95) is None
    totals[4] = 1
    assert interval_at_a_look(Rate(totals, np.full(40, 100.0)), 0.95) is not None


def test_totals_that_are_not_skewed_have_the_interval_that_they_have_everywhere() -> None:
    rate = Rate(np.tile([30.0, 40.0, 50.0], 20), np.full(60, 100.0))
    assert interval_at_a_look(rate, 0.95) == pytest.approx(rate.interval(0.95), rel=0.02)


@pytest.fixture(scope="module")
def busy() -> tuple[Workload, Case]:
    workload = load_workload("busy-team", ["duration=30"])
    return workload, load_case(workload.case)


@pytest.mark.parametrize(("limit", "decision"), [(0.9, "pass"), (0.02, "fail")])
def test_its_rate_is_that_of_a_run_of_as_many_replicates(busy: tuple[Workload, Case], limit: float, decision: str) -> None:
    found = gate(*busy, "after-19328", {"clobber_rate": limit}, most=64)
    assert (found.decision, found.replicates) == (decision, 32)
    result = run(*busy, ["after-19328"], replicates=32)
    assert found.held[0].rate.estimate == result.clobber_rate("after-19328").estimate
    assert found.to_json()["rate"]["low"] < found.held[0].rate.estimate < found.to_json()["rate"]["high"]


def test_a_rate_that_cannot_be_told_from_its_limit_is_undecided_after_the_most_replicates(
    busy: tuple[Workload, Case],
) -> None:
    rate = run(*busy, ["after-19328"], replicates=40).clobber_rate("after-19328").estimate
    found = gate(*busy, "after-19328", {"clobber_rate": rate}, most=40)
    assert (found.decision, found.replicates) == ("undecided", 40)
    assert "cannot be told from the limit" in found.reason


@pytest.mark.parametrize(
    ("limits", "decisions"),
    [
        ((0.9, 0.9, 0.99), ("pass", "pass", "pass")),
        ((0.9, 0.01, 0.99), ("pass", "fail", "pass")),
        ((0.9, None, 0.99), ("pass", "undecided", "pass")),
    ],
)
def test_it_passes_if_every_rate_is_below_its_limit_and_fails_if_one_is_above(
    busy: tuple[Workload, Case], limits: tuple[float | None, ...], decisions: tuple[str, ...]
) -> None:
    """The rates are those of a run of as many replicates; without a limit it is the rate itself, which cannot be told."""
    result = run(*busy, ["after-19328"], replicates=32)
    rates = {
        "clobber_rate": result.clobber_rate("after-19328"),
        "lost_write_rate": result.lost_write_rate("after-19328"),
        "noticed.wrong_model": result.noticed_rate("after-19328", busy[1].noticed[0]),
    }
    asked = {name: limit or rate.estimate for limit, (name, rate) in zip(limits, rates.items(), strict=True)}
    found = gate(*busy, "after-19328", asked, most=32)
    assert [one.rate.estimate for one in found.held] == [rate.estimate for rate in rates.values()]
    assert tuple(one.decision for one in found.held) == decisions
    assert found.decision == min(decisions, key=["fail", "undecided", "pass"].index)
    assert [one["outcome"] for one in found.to_json()["limits"]] == [*rates]
    assert found.to_json()["rate"] == found.to_json()["limits"][0]["rate"]
    assert found.reason.count(";") == 2
    assert "a wrong-model rate of " in found.reason


def test_what_could_never_happen_is_undecided_and_has_no_rate(busy: tuple[Workload, Case]) -> None:
    workload = load_workload(
        "busy-team", ["duration=30", "traffic.patch.rate=0", "traffic.inbound.rate=0", "traffic.spawn.rate=0"]
    )
    found = gate(workload, busy[1], "after-19328", {"lost_write_rate": 0.1}, most=2)
    assert found.decision == "undecided"
    assert found.to_json()["rate"] == {"estimate": None, "low": None, "high": None}
    assert "a lost-write rate of n/a after 2 replicates cannot be told" in found.reason


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"limits": {}}, "check: no limit; give --max-clobber-rate, --max-lost-write-rate, --max-failed-rate or --max-noticed"),
        ({"limits": {"lost_write_rate": 7.0}}, "max-lost-write-rate: 7.0 is too large; allowed: 1e-09 to 0.999999999"),
        ({"limits": {"noticed.x": 7.0}}, "max-noticed x: 7.0 is too large; allowed: 1e-09 to 0.999999999"),
        ({"limits": {"clobber_rate": 0.0}}, "max-clobber-rate: 0.0 is too small; allowed: 1e-09 to 0.999999999"),
        ({"limits": {"clobber_rate": 0.1}, "confidence": 1.0}, "confidence: 1.0 is too large; allowed: 0.5 to 0.999999"),
        ({"limits": {"clobber_rate": 0.1}, "most": 1}, "most: 1 is too small; allowed: 2 to 1,000,000"),
    ],
)
def test_numbers_out_of_range_are_refused(
    busy: tuple[Workload, Case], refused: Callable[..., str], options: dict[str, Any], says: str
) -> None:
    assert refused(lambda: gate(*busy, "all-sites", **options)) == says
