"""The figure of the price frontier, against what its page promises: zeros at their bounds, a number for each strategy."""

import math

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.shipped import CASE
from simlib.estimate.experiment import run
from simlib.report.fix_impact import Impact
from simlib.report.frontier_chart import frontier_chart
from simlib.workload.workload import load_workload


def made(case, *strategies, duration=60, replicates=4):
    workload = load_workload("busy-team", [f"duration={duration}"])
    return run(workload, load_case(case), strategies, replicates=replicates)


@pytest.fixture(scope="module")
def figure():
    return frontier_chart(made("openclaw-cures", "after-19328", "all-sites", "reordered-bytes", "run-lock"))


def test_every_strategy_has_a_point_in_both_panels_and_a_name_in_the_key(figure):
    left, right, key = figure.drawn.axes
    for axes in (left, right):
        assert len(axes.collections) == len(figure.frame)
    for text, name in zip(key.texts, figure.frame["strategy"], strict=True):
        assert name in text.get_text()
        assert name in figure.alt


def test_where_nothing_was_seen_the_point_is_hollow_and_stands_at_the_upper_bound(figure):
    left, _, _ = figure.drawn.axes
    row = figure.frame.index[figure.frame["strategy"] == "all-sites"][0]
    point = left.collections[row]
    assert point.get_offsets()[0].tolist() == figure.frame.loc[row, ["failed_rate_high", "best_rate_high"]].tolist()
    assert np.allclose(point.get_facecolor()[0], 1)  # white
    assert "A hollow point: none was seen, and it stands at the upper bound." in figure.caption


def test_what_has_no_p99_stands_at_the_right_edge_and_the_table_says_why(figure):
    _, right, _ = figure.drawn.axes
    row = figure.frame.index[figure.frame["strategy"] == "reordered-bytes"][0]
    assert math.isinf(figure.frame["p99_s"][row])
    assert right.collections[row].get_offsets()[0][0] == right.get_xlim()[1]
    assert figure.table.shown["latency p99 (95 %)"][row] == "- (over 1 % fail)"


def test_the_report_of_plain_strategies_has_no_price_frontier():
    assert Impact(made(CASE), None, None, (), "busy-team", "", "").frontier().text == ""


def test_a_run_of_one_replicate_or_of_no_unit_of_work_ends_well():
    few = made("openclaw-cures", "after-19328", "run-lock", replicates=1)
    assert frontier_chart(few).svg
    none = made("openclaw-cures", "after-19328", "run-lock", duration=0.001)
    assert Impact(none, None, None, (), "busy-team", "", "").frontier().text == ""
