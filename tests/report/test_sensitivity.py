"""Every sentence and figure of the sensitivity report, against frames whose answer is known; and the page of a sweep."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from sweeps import tiny_sweep
from typer.testing import CliRunner

from simlib.cli import app
from simlib.common.errors import RunError
from simlib.report.figure import Figure
from simlib.report.sensitivity import Sensitivity
from simlib.report.sensitivity_words import by_chance, changes, matters, moves, not_told_apart, order_holds
from simlib.sweep.pairs import ALIKE, MORE, Order, Threshold, order, told
from simlib.sweep.sensitivity import rank_measures

XS = [0.1, 0.2, 0.4, 0.8]


def cells(rates: Mapping[str, list[float]], y: int = 1) -> pd.DataFrame:
    """A cell at each of XS (and each of `y` values of y): of each strategy the rates there."""
    rows = [
        {"cell": place * y + other, "x": x, "y": float(other), "strategy": name, "state": "done", "replicates": 10}
        | {"best_rate": of[place], "best_rate_low": of[place] * 0.9, "best_rate_high": of[place] * 1.1 or 1e-6}
        | {"difference_from_baseline": None if name == "old" else of[place] - rates["old"][place]}
        for place, x in enumerate(XS)
        for other in range(y)
        for name, of in rates.items()
    ]
    frame = pd.DataFrame(rows).astype({"difference_from_baseline": float})
    frame.attrs |= {"columns": dict.fromkeys(["x", "y"][: 1 + (y > 1)], "axis: this key of the workload"), "left_out": 0}
    return frame


def compared(frame: pd.DataFrame, least: float = 0.01) -> pd.DataFrame:
    """`old` against `new` in each cell; told apart where they differ by more than `least`."""
    wide = frame.pivot_table(index=["cell", "x", "y"], columns="strategy", values="best_rate").reset_index()
    difference = wide["old"] - wide["new"]
    ends = {"difference": difference, "difference_low": difference - least, "difference_high": difference + least}
    return told(wide[["cell", "x", "y"]].assign(first="old", second="new", **ends))


FRAME = cells({"old": [0.001, 0.002, 0.2, 0.4], "new": [0.001, 0.002, 0.1, 0.1], "none": [0.0] * 4}, y=2)


def test_how_far_a_rate_moves_is_from_its_first_to_its_last_value() -> None:
    text = "Along `x`, `old` goes from 0.10 % at 0.1 to 40.0 % at 0.8, a factor of 400, the others averaged."
    assert moves(FRAME, "x", "old") == text
    assert moves(FRAME, "x", "none") == "`none` shows no clobber at any value of `x` (at most 0.00010 %)."
    loses = moves(FRAME.assign(any_loss=0.007), "x", "none")
    assert loses == (
        "`none` clobbers no unit of work at any value of `x` (at most 0.00010 %), "
        "but it loses other writes: up to 0.70 % of all transactions clobber."
    )
    rises = cells({"old": [0.0, 0.1, 0.1, 0.1]})
    assert moves(rises, "x", "old") == "Along `x`, `old` goes from none seen (at most 0.00010 %) at 0.1 to 10.0 % at 0.8."
    named = rises.assign(x=["c", "b", "a", "d"])
    assert moves(named, "x", "old").startswith("Along `x`, `old` goes from none seen (at most 0.00010 %) at c to 10.0 % at ")


def test_the_order_is_said_to_hold_in_the_cells_in_which_no_two_are_told_apart_the_other_way_round() -> None:
    pairs = compared(FRAME)
    holds = order_holds(order(FRAME, pairs), FRAME, ["x", "y"])
    assert holds == (
        "The order `old`, `new` and `none` (most clobbers first) holds in all 8 cells: nowhere are two of them told apart the "
        "other way round."
    )
    turned = cells({"old": [0.3, 0.2, 0.2, 0.4], "new": [0.1, 0.1, 0.3, 0.1]})
    assert order_holds(order(turned, compared(turned)), turned, ["x"]) == (
        "The order `old` and `new` (most clobbers first) holds in 3 of 4 cells; not at x=0.4 (`old` clobbers less than `new`)."
    )


def test_of_many_cells_out_of_order_three_are_named() -> None:
    frame = pd.concat([FRAME.assign(cell=FRAME["cell"] + 8 * number) for number in range(3)])
    broken = compared(frame[frame["strategy"] != "none"]).query("told == 1").iloc[:5]
    text = order_holds(Order(["new", "old"], 24, broken), frame, ["x"])
    assert "holds in 19 of 24 cells" in text
    assert text.endswith("; and 2 more.")
    assert text.count("`new` clobbers less than `old`") == 3


def test_pairs_that_cannot_be_told_apart_are_said_with_their_number_and_where() -> None:
    assert not_told_apart(compared(FRAME), ["x", "y"]) == [
        "`old` and `new` cannot be told apart in 4 of 8 cells, all within `x` 0.1 to 0.2."
    ]
    assert not_told_apart(compared(FRAME, least=1), ["x"]) == ["`old` and `new` cannot be told apart in all 8 cells."]
    assert not_told_apart(compared(FRAME, least=0).query("x > 0.2"), ["x"]) == []


def test_a_threshold_is_said_with_the_values_on_both_of_its_sides_and_their_cells() -> None:
    assert changes(Threshold("x", "old", "new", 0.2, 0.4, ALIKE, MORE, ((4, 4), (19, 20)))) == (
        "Up to 0.2 of `x`, `old` and `new` cannot be told apart (4 of 4 cells); from 0.4 on, `old` clobbers more than `new` "
        "(19 of 20 cells)."
    )


def test_what_may_be_chance_is_one_cell_in_forty() -> None:
    pairs = pd.concat([compared(FRAME).assign(cell=range(8 * number, 8 * number + 8)) for number in range(5)])
    assert "40 such comparisons" in by_chance(pairs)
    assert "in some 1 of 40 cells" in by_chance(pairs)


def test_the_axis_that_a_rate_follows_is_named_first() -> None:
    measures = rank_measures(FRAME)
    assert matters(measures, ["x", "y"]) == "By rank correlation, averaged over the strategies: x (0.97) and y (0.00)."
    still = measures.assign(importance=float("nan"))
    assert matters(still, ["x", "y"]) == "No rate changes over the cells, so no axis matters."


@pytest.fixture(scope="module")
def study() -> Sensitivity:
    return Sensitivity(FRAME, compared(FRAME), {"sweep": "s", "about": "x and <y>"})


def test_the_verdict_has_the_order_the_change_and_the_threshold(study: Sensitivity) -> None:
    verdict = study.verdict()
    assert verdict.finding
    assert "holds in all 8 cells" in verdict.finding.verdict
    text = re.sub("<[^>]+>", "", verdict.text)
    assert "holds in all 8 cells" in text
    assert "Along x, old goes from" in text
    assert "Up to 0.2 of x, old and new cannot be told apart (4 of 4 cells); from 0.4 on" in text


def test_the_figures_show_the_numbers_of_the_frame_and_a_zero_at_its_bound(study: Sensitivity) -> None:
    for figure in (study.against(), study.heat(), study.importance()):
        assert isinstance(figure, Figure)
        assert figure.caption.endswith(".")
        assert len(figure.alt) > 40
        assert figure.svg.startswith(b"<?xml")
    shown = study.against().table.shown
    assert set(shown.loc[shown["strategy"] == "none", "clobber rate, average (95 %)"]) == {"0 (at most 0.00010 %)"}
    panel = study.against().drawn.axes[0]
    assert panel.get_yscale() == "log"
    lowest = min(line.get_ydata().min() for line in panel.lines)
    assert lowest == pytest.approx(1e-6)
    assert panel.get_ylim()[0] < lowest


def test_the_heading_says_what_was_varied_and_escapes_it(study: Sensitivity) -> None:
    assert "x and &lt;y&gt;" in study.heading().text
    assert "0.1 to 0.8, 4 values" in study.heading().text
    assert "left out" not in study.heading().text


@pytest.mark.slow
def test_a_finished_sweep_has_its_page_and_one_with_a_cell_that_has_no_rate_only_without_it(tmp_path: Path) -> None:
    """A cell without a unit of work has no rate: one NaN would make a mean of it all."""
    axis = ("traffic.patch.rate: [0.2, 0.5]", "traffic.turn.rate: [0, 0.5]")
    name, out = tiny_sweep(tmp_path, axis, ("[0.02, 0.05]", "[0.02]")), tmp_path / "out"

    def called(*options: str) -> Result:
        return CliRunner().invoke(app, ["sweep", name, "--out", str(out), "--jobs", "1", "--json", "--report", *options])

    refused = called()
    assert isinstance(refused.exception, RunError)
    assert "cell 0 has no rate of after-19328" in str(refused.exception)
    assert not (out / "sensitivity.html").exists()
    found = json.loads(called("--leave-out-failed").stdout)
    assert found["report"] == str(out / "sensitivity.html")
    page = (out / "sensitivity.html").read_text()
    assert "1 cell (1 more failed or have no rate, and are left out)" in page
    assert page.count("<figure>") == 3
    assert "<script" not in page
