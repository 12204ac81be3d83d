"""The price frontier, against results whose counts are written by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.shipped import CASE
from simlib.estimate.experiment import run
from simlib.estimate.frontier import frontier, frontier_words, shows_price
from simlib.replay.histograms import EDGES
from simlib.workload.workload import load_workload

NAMES = ("after-19328", "in-mutator", "bytes-retry-once", "run-lock")
UNITS = 1000


@pytest.fixture(scope="module")
def real():
    """Of short replicates; its numbers are replaced below."""
    return run(load_workload("quiet", ["duration=5"]), load_case("openclaw-cures"), NAMES, replicates=4)


@pytest.fixture(scope="module")
def by_hand(real):
    """A result in which each strategy clobbers, fails and takes as long as the arguments say, in units of UNITS a replicate."""

    def make(clobbered, failed, seconds):
        numbers = np.zeros_like(real.totals.numbers)
        numbers["units"] = numbers["units_begun"] = UNITS
        spread = np.array([0, 1, -1, 0])  # over the replicates, so that there is a variance, and the same for all strategies
        for row in range(len(NAMES)):
            numbers["clobbered_units"][row] = clobbered[row] + spread * (clobbered[row] > 0)
            numbers["units_failed"][row] = failed[row] + spread * (failed[row] > 0)
        latencies = np.array([np.histogram([time] * 100, EDGES)[0] for time in seconds])
        totals = replace(real.totals, numbers=numbers, sums=real.totals.sums | {"latencies": latencies})
        return replace(real, totals=totals, conditional={})

    return make


def test_a_strategy_is_beaten_by_one_that_is_better_and_nowhere_worse(by_hand):
    frame = frontier(by_hand([300, 300, 50, 0], [0, 0, 5, 0], [0.1, 0.1, 0.1, 3.0]))
    assert frame["beaten_on_failed"].tolist() == ["run-lock", "run-lock", "run-lock", ""]
    assert frame["beaten_on_p99"].tolist() == ["bytes-retry-once", "bytes-retry-once", "", ""]
    assert frame["added_p99_s"].tolist() == pytest.approx([0, 0, 0, 2.9], rel=0.05)


def test_a_p99_has_the_interval_of_the_order_statistics_and_of_its_bin(by_hand):
    """Of 100 equal times the 97.05 to 100 % quantile lies in one bin, some 4 % wide."""
    row = frontier(by_hand([0, 0, 0, 0], [0, 0, 0, 0], [0.1, 0.1, 0.1, 0.1])).iloc[0]
    assert row["p99_s_low"] <= 0.1 + 1e-9
    assert 0.1 < row["p99_s_high"] < row["p99_s_low"] * 1.05


def test_what_the_intervals_leave_open_beats_nothing(by_hand):
    found = by_hand([0, 0, 0, 0], [0, 0, 0, 0], [0.1, 0.101, 0.102, 0.103])
    assert not any(frontier(found)[["beaten_on_failed", "beaten_on_p99"]].to_numpy().ravel())
    assert frontier_words(found) == (
        "In clobbered agent turns against failed ones, and against latency p99, no strategy is told to be beaten."
    )


def test_units_that_fail_are_never_committed_so_a_strategy_that_fails_often_has_no_p99(by_hand):
    frame = frontier(by_hand([300, 300, 300, 300], [0, 0, 500, 0], [0.1, 0.1, 0.001, 0.1]))
    assert frame["no_p99"].tolist() == ["", "", "over 1 % fail", ""]
    assert frame["p99_s"][2] == math.inf
    assert frame["beaten_on_p99"].tolist() == ["", "", "after-19328", ""]


def test_without_traffic_and_where_nothing_is_committed_there_is_no_p99(real, by_hand):
    nothing = run(load_workload("quiet", ["duration=0.001"]), load_case("openclaw-cures"), NAMES, replicates=2)
    assert frontier(nothing)["no_p99"].tolist() == ["none is committed"] * len(NAMES)
    assert frontier_words(nothing) == "There were no agent turns, so no price can be told."
    found = by_hand([0, 0, 0, 0], [0, 0, 0, 0], [0.1] * len(NAMES))
    found.totals.sums["latencies"][2] = 0
    assert np.isfinite(frontier(found)["p99_s"]).tolist() == [True, True, False, True]


def test_the_words_name_who_is_not_beaten_by_either_cost(by_hand):
    assert frontier_words(by_hand([300, 300, 50, 0], [0, 0, 5, 0], [0.1, 0.1, 0.1, 3.0])) == (
        "In clobbered against failed agent turns nothing beats run-lock; "
        "in clobbered agent turns against latency p99 nothing beats bytes-retry-once and run-lock."
    )


def test_a_price_is_shown_where_a_strategy_has_guards_or_locks_of_its_own_or_a_unit_failed(real):
    plain = run(load_workload("quiet", ["duration=5"]), load_case(CASE), replicates=2)
    assert shows_price(real)
    assert not shows_price(plain)
    plain.totals.numbers["units_failed"][0, 0] = 1
    assert shows_price(plain)
