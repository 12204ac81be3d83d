"""The figure of the levers, against the results that it is made of."""

from fractions import Fraction

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.levers import levers, pull
from simlib.estimate.result import Result
from simlib.estimate.wording import percent
from simlib.report.figure import Figure
from simlib.report.html import Html
from simlib.report.lever_chart import lever_chart, lever_finding, lever_frame, value_text
from simlib.workload.workload import load_workload


def of(workload: str, *overrides: str, strategies: tuple[str, ...] = ("after-19328", "sketch-70575", "all-sites")) -> Result:
    model = load_workload(workload, overrides)
    return run(model, load_case(model.case), strategies, replicates=3)


def chart(result: Result) -> Figure | Html:
    found = levers(result.workload)
    return lever_chart(result, found, pull(result, found))


@pytest.fixture(scope="module")
def result() -> Result:
    return of("busy-team", "duration=60")


def test_the_frame_has_the_rate_of_each_strategy_at_each_factor_of_each_lever(result: Result) -> None:
    found = levers(result.workload)
    results = pull(result, found)
    frame = lever_frame(found, results)
    assert len(frame) == 3 * 5 * 3
    row = frame[(frame["lever"] == "sessions.count") & (frame["factor"] == 4) & (frame["strategy"] == "sketch-70575")].iloc[0]
    assert row["best_rate"] == results["sessions.count", Fraction(4)].best_rate("sketch-70575").estimate
    assert row["value"] == "120"


def test_the_figure_has_a_panel_a_lever_and_a_finding_of_how_far_the_level_moves(result: Result) -> None:
    figure = chart(result)
    assert isinstance(figure, Figure)
    named = ["times.run_end.after", "sessions.count", "every traffic.*.rate"]
    assert [axes.get_xlabel() for axes in figure.drawn.axes] == named
    shown = figure.frame[(figure.frame["lever"] == named[0]) & (figure.frame["strategy"] == "after-19328")]
    first, *_, last = map(percent, shown["best_rate"])
    assert f" after-19328 goes from {first} to {last} with times.run_end.after from " in figure.caption
    assert figure.svg.startswith(b"<?xml")


def test_the_order_is_said_to_stay_only_where_no_two_are_told_apart_the_other_way_round(result: Result) -> None:
    """The order is that of the result in question, so another result's rates, the strategies exchanged, turn it round."""
    found = levers(result.workload)[1:2]
    results = pull(result, found)
    assert "stays: nowhere are two of them told apart the other way round." in lever_finding(result, found, results)
    numbers = result.totals.numbers[::-1]
    exchanged = Result(**{**vars(result), "totals": type(result.totals)(numbers, result.totals.sums), "conditional": {}})
    assert "so does the order of the strategies: two are the other way round at sessions.count 8 (" in lever_finding(
        exchanged, found, results
    )


def test_values_are_said_with_their_units(result: Result) -> None:
    time, sessions, traffic = levers(result.workload)
    assert value_text(time, Fraction(4)) == "33.1 s"
    assert value_text(sessions, Fraction(1, 2)) == "15"
    assert value_text(traffic, Fraction(1)) == f"{sum(flow.rate for flow in result.workload.traffic.values()):.3g}/s"


def test_a_run_without_units_of_work_has_no_figure() -> None:
    assert isinstance(chart(of("quiet", "duration=0.001")), Html)
