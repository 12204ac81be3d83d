"""Conditional Monte Carlo against the plain estimate: exactly over every way to spread flows over sessions, and in runs."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generators import schedules
from hypothesis import given
from hypothesis import strategies as st
from schedules import history_of
from timelines import Row, timeline

from simlib.case.case import load_case
from simlib.estimate import conditional_monte_carlo
from simlib.estimate.conditional_monte_carlo import conditional_rates, conditional_replicate, find_overlaps, unit_chances
from simlib.estimate.experiment import run
from simlib.model.compiled_model import simulate
from simlib.model.history import History
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


def with_flows(schedule: list[Any], flow: list[int]) -> History:
    """The schedule's transactions as parts of these flows, on one session or two."""
    history = history_of(schedule, sessions=2)
    return replace(history, flow=np.array(flow[: len(history)], dtype=np.int64))


@given(schedule=schedules(most=15), flow=st.lists(st.integers(0, 6), min_size=30, max_size=30))
def test_overlaps_against_asking_of_each_unit_and_each_row(schedule: list[Any], flow: list[int]) -> None:
    history = with_flows(schedule, flow)
    # A second earlier: some reads fall on the very instant of another's commit, which then is not meanwhile.
    history = replace(history, read=history.read - np.array(flow[-len(history) :]) % 2)
    rows = range(len(history))
    units = sorted({int(history.flow[row]) for row in rows if history.ok[row] and not CASE.is_write[history.site[row]]})
    pairs, lasts = [], []
    for position, unit in enumerate(units):
        mine = [row for row in rows if history.flow[row] == unit]
        began = min(history.read[row] for row in mine)
        others = {int(history.flow[row]) for row in range(mine[-1]) if history.end[row] > began} - {unit}
        pairs += [(position, other) for other in sorted(others)]
        lasts.append(mine[-1])
    found = find_overlaps(CASE, history)
    assert found is not None
    assert (found.unit.tolist(), found.last.tolist()) == (units, lasts)
    assert list(zip(found.of.tolist(), found.other.tolist(), strict=True)) == pairs


WORKLOAD = load_workload("handler-only", ["sessions.count=3", "duration=0.01"])
AFTER = CASE.strategy("after-19328")


def replicate(*rows: Row) -> Any:
    """What conditional Monte Carlo makes of a timeline written by hand: {} where it makes nothing of it."""
    return conditional_replicate(WORKLOAD, CASE, [AFTER], 1, 0, lambda *_: timeline(*rows, sessions=3))


PATCH = Row("patch", 0.5, 1, 2, session=1, kind="patch", flow=7)
LATE = Row("patch", 5.5, 6, 7, session=1, kind="patch", flow=8)


@pytest.mark.parametrize(
    ("rows", "tied"),
    [
        ([PATCH, Row("handler", 1.9, 3, 4)], False),
        ([PATCH, Row("handler", 2.0, 3, 4)], True),  # read at the instant of another's commit
        ([PATCH, Row("handler", 2.1, 3, 4)], False),
        ([Row("handler", 0.1, 1, 4), PATCH._replace(end=4), Row("run_start", 5, 6, 7)], False),
        ([Row("handler", 0.1, 1, 2, flow=1), Row("run_start", 2, 3, 4, flow=1)], False),  # of its own, in order
        ([PATCH, Row("handler", 0.1, 1, 2, flow=1), Row("run_start", 2, 3, 4, flow=1)], True),  # of its own, and another's
        ([Row("handler", 0.1, 1, 2, flow=1), PATCH, Row("run_start", 2, 3, 4, flow=1)], True),
        ([PATCH, Row("patch", 2.0, 3, 4, kind="patch"), Row("handler", 4.5, 5, 6)], False),  # a patch reads in the lock
        ([PATCH, Row("handler", 2.0, 3, 4, kind="turn"), LATE], True),
        ([Row("handler", 0.1, 1, 2), LATE, Row("handler", 7.0, 8, 9)], True),  # the last commit before it
    ],
)
def test_a_tie_is_a_read_at_the_instant_of_another_flows_commit(rows: list[Row], tied: bool) -> None:
    assert (replicate(*rows) == {}) == tied


def test_what_costs_more_than_counting_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two handlers of one session and two patches: the first handler is overlapped by one patch, the second by two flows.

    With what came before in their session, 1 row is replayed 2 times and 2 rows 3 times: 8 for 5 rows of the history.
    """
    rows = (
        Row("patch", 0.5, 1, 2, session=1, flow=0),
        Row("handler", 0.1, 3, 4, flow=1),
        Row("patch", 4.5, 5, 6, session=2, flow=2),
        Row("handler", 3.5, 7, 8, flow=3),
        Row("handler", 9, 10, 11, session=1, flow=4),  # nothing overlaps it
    )
    for most, enough in ((8 / 5, True), (7.9 / 5, False)):
        monkeypatch.setattr(conditional_monte_carlo, "MOST", most)
        assert bool(replicate(*rows)) == enough
    # Before that, the pairs are counted: rows between each unit's first read and its last row, 1 + 2 + 0.
    for most, enough in ((3 / 5, True), (2.9 / 5, False)):
        monkeypatch.setattr(conditional_monte_carlo, "MOST", most)
        assert (find_overlaps(CASE, timeline(*rows)) is not None) == enough


def test_chances_by_hand() -> None:
    """A handler that a patch of its label overlaps: it clobbers if they share a session, whatever session was drawn."""
    before = Row("patch", 0.01, 0.02, 0.03, flow=5, kind="patch", request={"label": "A"})  # what a handler alone has read
    patch = Row("patch", 0.5, 1, 2, flow=0, kind="patch", request={"label": "B"})
    handler = Row("handler", 0.1, 3, 4, flow=1)
    alone = Row("handler", 5.1, 6, 7, flow=2)
    later = Row("handler", 7.5, 8, 9, flow=3, session=1)
    meanwhile = Row("patch", 7.6, 7.7, 7.8, flow=4, kind="patch", request={"label": "C"})
    for session in range(3):
        history = timeline(before, patch._replace(session=session), handler, alone, meanwhile, later, sessions=3)
        overlaps = find_overlaps(CASE, history)
        assert overlaps is not None
        assert unit_chances(CASE, AFTER, history, overlaps, SHARES).tolist() == pytest.approx([0.5, 0, 0.3])
    assert replicate(patch, handler, alone) == {"after-19328": (pytest.approx(1 / 3), 2)}


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_scenes_are_replayed_a_few_at_a_time_or_all_at_once(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = load_workload("handler-only", ["sessions.count=3", *CROWDED["handler-only"], "duration=0.3"])
    history = simulate(workload, CASE, draw(workload, CASE, 1, 0), AFTER.discipline)
    overlaps = find_overlaps(CASE, history)
    assert overlaps is not None
    together = unit_chances(CASE, AFTER, history, overlaps, SHARES)
    assert len(set(together.tolist())) > 3
    monkeypatch.setattr(conditional_monte_carlo, "PIECE", piece)
    assert (unit_chances(CASE, AFTER, history, overlaps, SHARES) == together).all()


def test_of_no_strategy_there_is_no_rate() -> None:
    assert conditional_rates(WORKLOAD, CASE, [], 1, 2, simulate) == {}


@pytest.mark.parametrize("strategy", ["replace", "after-19328", "all-sites"])
@pytest.mark.parametrize("name", CROWDED)
def test_the_mean_over_all_sessions_against_that_of_the_plain_estimate(name: str, strategy: str) -> None:
    settings = ["sessions.count=3", "sessions.initial=[lastChannel, lastTo, label]", *CROWDED[name]]
    workload, rules = load_workload(name, settings), CASE.strategy(strategy)
    drawn = (draw(workload, CASE, 1, number) for number in range(1000))
    traffic = next(
        one
        for one in drawn
        if one.kind.size == 6 and find_overlaps(CASE, simulate(workload, CASE, one, rules.discipline)).of.size >= 4  # type: ignore[union-attr]
    )
    plain = conditional = 0.0
    for sessions in itertools.product(range(3), repeat=6):
        history = simulate(workload, CASE, replace(traffic, session=np.array(sessions)), rules.discipline)
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


def test_sessions_that_are_no_draw_are_not_integrated_out() -> None:
    """Where every arrival is for one session there is such an estimate; where an arrival is for all there is none."""
    sparse = ["duration=60", "sessions.count=3", "traffic.turn.rate=0.5", "traffic.patch.rate=0.2", "traffic.inbound.rate=0.2"]
    workloads = [load_workload("handler-only", [*sparse, f"traffic.patch.sessions={sessions}"]) for sessions in ("one", "all")]
    given = [conditional_rates(workload, CASE, [CASE.strategy("after-19328")], 1, 1, simulate) for workload in workloads]
    assert [bool(rates) for rates in given] == [True, False]


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
