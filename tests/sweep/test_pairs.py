"""Comparisons of strategies cell by cell, against the results' own differences and against tables made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweeps import tiny_sweep

from simlib.common.errors import InputError
from simlib.sweep.folder import Folder
from simlib.sweep.pairs import ALIKE, FEWER, MORE, baseline_of, order, pair_frame, pair_table, threshold, thresholds, told
from simlib.sweep.plan import make_plan
from simlib.sweep.results import load_results
from simlib.sweep.sweep import run_sweep


def pairs(*states: tuple[float, int]) -> pd.DataFrame:
    """One pair: a cell at each value of x, in which it is MORE, FEWER or ALIKE."""
    rows = [(cell, x, "one", "two", state * 0.1) for cell, (x, state) in enumerate(states)]
    frame = pd.DataFrame(rows, columns=["cell", "x", "first", "second", "difference"])
    return told(frame.assign(difference_low=frame["difference"] - 0.05, difference_high=frame["difference"] + 0.05))


def test_pairs_with_the_baseline_are_the_results_own_differences(tmp_path: Path) -> None:
    plan = make_plan(tiny_sweep(tmp_path, ("[after-19328, all-sites]", "[replace, after-19328, all-sites]")))
    folder = Folder(tmp_path / "out")
    run_sweep(plan, folder, jobs=1)
    frame = load_results(folder.path)
    assert baseline_of(frame) == "after-19328"
    found = pair_frame(folder, frame, ["traffic.patch.rate"])
    assert len(found) == 4 * 3
    own = frame.set_index(["cell", "strategy"])
    for row in found.to_dict("records"):
        if row["second"] == "after-19328":
            ends = [own.loc[(row["cell"], row["first"]), f"difference_from_baseline{end}"] for end in ("", "_low", "_high")]
            assert [row["difference"], row["difference_low"], row["difference_high"]] == pytest.approx(ends, abs=1e-12)
    first = next(iter(folder.blocks.rglob("*.parquet")))
    first.write_bytes(first.read_bytes()[:-40])
    with pytest.raises(InputError, match=str(first)):
        pair_frame(folder, frame, ["traffic.patch.rate"])


def test_two_are_told_apart_where_the_interval_of_their_difference_excludes_zero() -> None:
    ends = [(0.1, 0.2), (-0.2, -0.1), (-0.1, 0.2), (0.0, 0.0), (np.nan, np.nan)]
    frame = pd.DataFrame(ends, columns=["difference_low", "difference_high"]).assign(first="one", second="two")
    assert told(frame)["told"].to_list() == [MORE, FEWER, ALIKE, ALIKE, ALIKE]
    assert pair_table(told(frame)).iloc[0].to_list() == ["one", "two", 1, 1, 3]


def test_a_threshold_is_where_the_comparison_changes_along_the_axis() -> None:
    found = threshold(pairs((1, ALIKE), (1, ALIKE), (2, ALIKE), (3, MORE), (4, MORE)), "x")
    assert found is not None
    assert found == ("x", "one", "two", 2, 3, ALIKE, MORE, ((3, 3), (2, 2)))
    turned = threshold(pairs((1, FEWER), (2, FEWER), (3, MORE), (3, MORE)), "x")
    assert turned is not None
    assert turned[3:7] == (2, 3, FEWER, MORE)


def test_a_few_cells_on_the_wrong_side_are_allowed_and_counted() -> None:
    cells = [(float(x), ALIKE if x < 20 else MORE) for x in range(40)]
    cells[5] = (5.0, MORE)
    found = threshold(pairs(*cells), "x")
    assert found is not None
    assert (found.below, found.above, found.agree) == (19, 20, ((19, 20), (20, 20)))


@pytest.mark.parametrize(
    "states",
    [
        [MORE] * 8,  # no change
        [ALIKE, MORE] * 4,  # no side
        [ALIKE, MORE, MORE, MORE],  # one cell is no side
        [ALIKE, ALIKE, MORE, MORE, ALIKE, ALIKE],  # changes back
    ],
)
def test_there_is_no_threshold_without_two_sides(states: list[int]) -> None:
    found = pairs(*((float(x), state) for x, state in enumerate(states)))
    assert threshold(found, "x") is None
    assert thresholds(found.assign(x=found["x"].map(str)), ["x"]) == []  # nor on an axis of names


def test_the_order_is_that_of_the_mean_rates_and_broken_only_where_two_are_told_apart_the_other_way_round() -> None:
    frame = pd.DataFrame(
        [(cell, name, rate) for cell in range(4) for name, rate in (("two", 0.1), ("one", 0.3))],
        columns=["cell", "strategy", "best_rate"],
    )
    found = order(frame, pairs((1, MORE), (2, ALIKE), (3, FEWER), (4, MORE)))
    assert (found.names, found.holds, found.cells) == (["one", "two"], 3, 4)
    assert found.broken["cell"].to_list() == [2]
