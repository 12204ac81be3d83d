"""Conditional Monte Carlo against the plain estimate: exactly over every way to spread flows over sessions, and in runs."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.estimate.conditional_monte_carlo import conditional_rates, find_overlaps, unit_chances
from simlib.estimate.experiment import run
from simlib.model.compiled_model import simulate
from simlib.replay.counts import tally
from simlib.replay.replay import replay_strategy
from simlib.report.verdict import verdict
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

CASE = load_case("openclaw-70575")
SHARES = np.array([0.5, 0.3, 0.2])
CROWDED = {
    "handler-only": ["duration=0.06", "traffic.turn.rate=50", "traffic.patch.rate=50", "traffic.inbound.rate=10"],
    "busy-team": [
        "duration=24",
        *(f"traffic.{kind}.rate=0.08" for kind in ("turn", "patch", "inbound")),
        "traffic.spawn.rate=0",
    ],
}


@pytest.mark.parametrize("strategy", ["replace", "after-19328", "all-sites"])
@pytest.mark.parametrize("name", CROWDED)
def test_the_mean_over_all_sessions_against_that_of_the_plain_estimate(name: str, strategy: str) -> None:
    settings = ["sessions.count=3", "sessions.initial=[lastChannel, lastTo, label]", *CROWDED[name]]
    workload, rules = load_workload(name, settings), CASE.strategy(strategy)
    drawn = (draw(workload, CASE, 1, number) for number in range(1000))
    traffic = next(
        one
        for one in drawn
        if one.kind.size == 6 and find_overlaps(CASE, simulate(workload, CASE, one, rules.in_lock)).of.size >= 4  # type: ignore[union-attr]
    )
    plain = conditional = 0.0
    for sessions in itertools.product(range(3), repeat=6):
        history = simulate(workload, CASE, replace(traffic, session=np.array(sessions)), rules.in_lock)
        overlaps = find_overlaps(CASE, history)
        assert overlaps is not None
        weight = SHARES[list(sessions)].prod()
        outcomes = replay_strategy(CASE, rules, history)
        plain += weight * tally(CASE, outcomes, replay_strategy(CASE, CASE.reference, history)).clobbered_units
        conditional += weight * unit_chances(CASE, rules, history, overlaps, SHARES).sum()
    assert conditional == pytest.approx(plain, abs=1e-12)
    assert (plain > 0.01) == (strategy != "all-sites")


@pytest.mark.parametrize(
    "sessions", [["sessions.count=100"], ["sessions.count=400", "sessions.popularity=zipf", "sessions.exponent=0.5"]]
)
def test_the_rate_and_its_precision_against_counting_the_same_replicates(sessions: list[str]) -> None:
    workload = load_workload("handler-only", ["duration=30", *sessions])
    found = conditional_rates(workload, CASE, [CASE.strategy("after-19328")], 1, 40, simulate)["after-19328"]
    counted = run(workload, CASE, ["after-19328"], seed=1, replicates=40, jobs=1).clobber_rate("after-19328")
    assert np.array_equal(found.exposures, counted.exposures)
    paired = (found.totals - counted.totals) / counted.exposures.sum()
    assert abs(paired.sum()) < 4 * paired.std(ddof=1) * np.sqrt(paired.size)
    assert found.standard_error < counted.standard_error


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("multi-process", ["duration=20"]),  # several caches
        ("busy-team", ["duration=600"]),  # runs overlap with everything
        (
            "handler-only",  # reads and commits on one grid of times
            [
                "traffic.turn.arrivals={kind: recorded, times: [1, 3]}",
                "traffic.patch.arrivals={kind: recorded, times: [0.5, 2.5, 3]}",
                "traffic.inbound.arrivals={kind: recorded, times: [1.5]}",
                "times.handler={prepare: 1, hold: 0.25}",
                "times.patch={prepare: 0, hold: 0.5}",
                "times.inbound={prepare: 0, hold: 0.5}",
            ],
        ),
    ],
)
def test_several_gateways_crowds_and_ties_are_left_to_counting(name: str, settings: list[str]) -> None:
    workload = load_workload(name, settings)
    assert not conditional_rates(workload, CASE, [CASE.strategy("after-19328")], 1, 1, simulate)


def test_a_short_run_is_not_made_certain() -> None:
    few = load_workload("handler-only", ["sessions.count=2", "duration=0.06"])
    assert not run(few, CASE, replicates=3, jobs=1).conditional


def test_a_run_uses_it_where_too_few_clobbers_were_seen_and_nowhere_else() -> None:
    thin = load_workload("handler-only", ["sessions.count=2000", "duration=60"])
    result = run(thin, CASE, ["replace", "after-19328", "sketch-70575", "all-sites"], replicates=20, jobs=1)
    assert set(result.conditional) == {"after-19328", "sketch-70575"}  # replace is often seen, all-sites never clobbers
    assert np.array_equal(result.best_rate("replace").totals, result.clobber_rate("replace").totals)
    counted, found = result.clobber_rate("after-19328"), result.best_rate("after-19328")
    assert found.standard_error < counted.standard_error
    difference = result.difference("sketch-70575")
    assert difference is not None
    assert difference.interval().high < 0  # type: ignore[union-attr]
    assert result.to_json()["strategies"]["replace"]["conditional_clobber_rate"] is None
    assert "by conditional Monte Carlo, as only" in verdict(result, None).text
