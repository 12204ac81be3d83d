"""The table of conflicts, failed units and latency, against the result that it is made of."""

from dataclasses import replace

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.overload import Limit
from simlib.estimate.wording import rate_text
from simlib.report.efforts import efforts
from simlib.report.html import two_lines
from simlib.report.price_chart import price_finding
from simlib.workload.workload import load_workload


@pytest.fixture(scope="module")
def result():
    workload = load_workload("busy-team", ["duration=60"])
    return run(workload, load_case("openclaw-cures"), ["after-19328", "reordered-bytes", "run-lock"], replicates=4)


def test_the_table_says_what_the_result_knows_of_each_strategy(result):
    shown = efforts(result).shown.set_index("strategy")
    for name in result.strategies:
        assert shown.loc[name, "conflicts (95 %)"] == two_lines(rate_text(result.conflict_rate(name)))
        assert shown.loc[name, "false (95 %)"] == two_lines(rate_text(result.false_conflict_rate(name)))
        assert shown.loc[name, "failed agent turns (95 %)"] == two_lines(rate_text(result.failed_rate(name)))
    assert shown.loc["after-19328", "conflicts (95 %)"].text == "n/a"  # nothing is compared
    assert float(shown.loc["reordered-bytes", "retries per agent turn"].text) > 0.5


def test_latency_is_left_out_where_more_is_asked_than_can_be_served(result):
    shown = efforts(result).shown.set_index("strategy")
    for name in result.strategies:
        assert ("not stable" in shown.loc[name, "latency p99"].text) == (not result.stable(name))
    assert not result.stable("run-lock")


def test_the_throughput_limit_has_a_column_where_it_was_asked_for(result):
    heading = "limit, agent turns a second"
    assert heading not in efforts(result).shown
    found = dict.fromkeys(result.strategies, Limit(2.0, 2.1, 30.0))
    table = efforts(replace(result, limits=found))
    assert [cell.text for cell in table.shown[heading]] == ["60 to 63"] * 3


def test_skipped_writes_have_a_column_where_there_are_any(result):
    assert "skipped writes" not in efforts(result).shown
    result.totals.numbers["skipped"][1, 0] = 7
    assert [cell.text for cell in efforts(result).shown["skipped writes"]] == ["0", "7", "0"]


def test_the_price_of_locks_of_other_widths_names_who_holds_them_longest(result):
    assert price_finding(result).startswith("Locks are held longest with run-lock, ")
