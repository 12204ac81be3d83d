"""What a sweep's rates depend on, against frames whose answer is known, and the Ishigami function whose indices are."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from simlib.common.errors import RunError
from simlib.sweep import sensitivity
from simlib.sweep.sensitivity import axes_of, by_importance, load_complete, over, parts, rank_measures, sobol_measures
from simlib.sweep.sweep_file import Sweep

Rate = Callable[[Mapping[str, Any]], float]


def results(settings: list[dict[str, Any]], **rates: Rate) -> pd.DataFrame:
    """A frame as of a sweep with these cells, in which each strategy has the rate that its function gives, known to a tenth."""
    rows = [
        {"cell": cell, "address": "", "state": "done", "reason": "", "replicates": 10, **values, "strategy": name}
        | {"best_rate": rate(values), "best_rate_low": 0.9 * rate(values), "best_rate_high": 1.1 * rate(values) or 0.001}
        for cell, values in enumerate(settings)
        for name, rate in rates.items()
    ]
    frame = pd.DataFrame(rows)
    frame.attrs["columns"] = dict.fromkeys(settings[0], "axis: this key of the workload")
    return frame


GRID = [{"x": x, "y": y} for x in (1.0, 2.0, 4.0) for y in ("left", "right")]


def test_axes_are_the_columns_that_say_so() -> None:
    assert axes_of(results(GRID, one=lambda cell: cell["x"] / 10)) == ["x", "y"]


def test_an_average_over_the_other_axes_is_the_mean_and_its_ends_are_the_means_of_the_ends() -> None:
    frame = results(GRID, one=lambda cell: cell["x"] / 10 * (2 if cell["y"] == "right" else 1), none=lambda _: 0.0)
    found = over(frame, ["x"])
    assert list(found["strategy"]) == ["one"] * 3 + ["none"] * 3
    assert found["best_rate"].to_list() == pytest.approx([0.15, 0.3, 0.6, 0, 0, 0])
    assert found["best_rate_low"].to_list()[:3] == pytest.approx([0.135, 0.27, 0.54])
    assert found.loc[0, ["least", "greatest", "cells"]].to_list() == pytest.approx([0.1, 0.2, 2])
    assert found["best_rate_high"].to_list()[3:] == [0.001] * 3  # of a zero its bound
    assert len(over(frame, ["x", "y"])) == 12


def test_an_axis_of_many_values_is_cut_into_parts_of_equally_many_cells() -> None:
    shown = parts(pd.Series(np.arange(80.0)))
    assert sorted(shown.value_counts()) == [10] * 8
    assert shown.iloc[0] == 4.5
    assert parts(pd.Series(["a", "b"])).to_list() == ["a", "b"]


def test_a_rank_measure_is_spearmans_correlation_or_the_root_of_kruskal_and_wallis_share() -> None:
    rng = np.random.default_rng(1)
    cells = [{"x": float(x), "kind": kind} for x, kind in zip(rng.random(40), "abcd" * 10, strict=True)]
    frame = results(cells, one=lambda cell: cell["x"] ** 3 + 0.2 * ord(cell["kind"]) % 0.7)
    found = rank_measures(frame).set_index("axis")["importance"]
    assert found["x"] == pytest.approx(stats.spearmanr(frame["x"], frame["best_rate"]).statistic)
    groups = [group["best_rate"] for _, group in frame.groupby("kind")]
    assert found["kind"] ** 2 == pytest.approx(stats.kruskal(*groups).statistic / 39)


def test_a_rate_that_always_rises_has_correlation_one_and_one_that_never_changes_has_none() -> None:
    found = rank_measures(results(GRID * 5, rises=lambda cell: cell["x"] / 9, still=lambda _: 0.1)).set_index(
        ["axis", "strategy"]
    )
    assert found.loc[("x", "rises"), ["importance", "importance_low", "importance_high"]].to_list() == pytest.approx([1, 1, 1])
    assert found.loc[("x", "still"), ["importance", "importance_low"]].isna().all()
    assert by_importance(found.reset_index()) == ["x", "y"]


def test_the_interval_of_a_correlation_covers_that_of_the_population_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of independent axis and rate it is 0; tolerance: three standard errors of 200 sweeps, and 2 % for the bootstrap."""
    monkeypatch.setattr(sensitivity, "RESAMPLES", 200)
    rng, inside = np.random.default_rng(2), 0
    for sweep in range(200):
        cells = [{"x": float(x)} for x in rng.random(60)]
        low, high = rank_measures(results(cells, one=lambda _: float(rng.random())), seed=sweep).iloc[0, -2:]
        inside += low <= 0 <= high
    assert inside / 200 > 0.95 - 0.02 - 3 * np.sqrt(0.95 * 0.05 / 200)


def ishigami(cell: Mapping[str, Any]) -> float:
    """Scaled to a rate; its indices are known (Ishigami and Homma 1990, a = 7, b = 0.1)."""
    x, y, z = (2 * np.pi * (float(value) - 0.5) for value in cell.values())
    return float((np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x) + 12) / 40)


@pytest.fixture
def saltelli() -> Sweep:
    axes = {name: {"from": 0, "to": 1} for name in ("a", "b", "c")}
    return Sweep.model_validate(
        {"sweep": "s", "workload": "quiet", "axes": axes, "design": {"kind": "saltelli", "cells": 1024}}
    )


def test_sobol_indices_are_those_of_the_ishigami_function(saltelli: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensitivity, "RESAMPLES", 100)
    frame = results(list(saltelli.cells()), one=ishigami, still=lambda _: 0.5)
    found = sobol_measures(frame.sample(frac=1, random_state=1), saltelli.model_dump(mode="json", by_alias=True))
    assert found is not None
    one = found[found["strategy"] == "one"].set_index("axis")
    assert one["alone"].to_list() == pytest.approx([0.314, 0.442, 0.0], abs=0.03)
    assert one["importance"].to_list() == pytest.approx([0.558, 0.442, 0.244], abs=0.03)
    assert (one["importance_low"] < one["importance"]).all()
    assert found.loc[found["strategy"] == "still", "importance"].isna().all()


def test_there_are_no_sobol_indices_of_another_design_or_with_a_cell_left_out(saltelli: Sweep) -> None:
    """One NaN would silently make every index zero."""
    asked, frame = saltelli.model_dump(mode="json", by_alias=True), results(list(saltelli.cells()), one=ishigami)
    assert sobol_measures(frame[frame["cell"] != 7], asked) is None
    assert sobol_measures(frame, asked | {"design": {"kind": "grid"}}) is None


def test_points_of_a_list_that_fall_together_are_one_cell_and_count_at_each_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two independent fair choices that are added each has half of the variance."""
    monkeypatch.setattr(sensitivity, "RESAMPLES", 20)
    axes = {"a": [0.1, 0.2], "b": ["low", "high"]}
    sweep = Sweep.model_validate({"sweep": "s", "workload": "q", "axes": axes, "design": {"kind": "saltelli", "cells": 256}})
    cells = list(sweep.cells())
    assert len(cells) == 4
    frame = results(cells, one=lambda cell: cell["a"] + (0.1 if cell["b"] == "high" else 0))
    found = sobol_measures(frame, sweep.model_dump(mode="json", by_alias=True))
    assert found is not None
    assert found["importance"].to_list() == pytest.approx([0.5, 0.5], abs=0.05)


def stored(folder: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(folder / "results.parquet")
    (folder / "columns.json").write_text('{"x": "axis: this key of the workload"}')
    return folder


def test_a_cell_that_failed_or_has_no_rate_is_refused_by_its_number_unless_it_is_to_be_left_out(tmp_path: Path) -> None:
    frame = results(GRID, one=lambda cell: cell["x"] / 10, two=lambda _: 0.1)
    frame.loc[3, "best_rate"] = np.nan  # cell 1, strategy two
    with pytest.raises(RunError, match=r"cell 1 has no rate of two .*; 1 of 6 cells are so"):
        load_complete(stored(tmp_path, frame))
    left = load_complete(tmp_path, without_failed=True)
    assert (sorted(set(left["cell"])), left.attrs["left_out"]) == ([0, 2, 3, 4, 5], 1)
    frame.loc[frame["cell"] == 4, "state"] = "failed"
    with pytest.raises(RunError, match="1 of 6 cells failed"):
        load_complete(stored(tmp_path, frame))
    assert load_complete(tmp_path, without_failed=True).attrs["left_out"] == 2
    frame["state"] = "failed"
    with pytest.raises(RunError, match="no cell has a result"):
        load_complete(stored(tmp_path, frame), without_failed=True)
