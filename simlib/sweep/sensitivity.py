"""What the rates of a finished sweep depend on: against each axis, over two axes, and which axes matter.

All of it is made of the frame that `load_results` gives. A rate here is `best_rate`: by the better of two estimators.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from scipy import stats

from simlib.common.arrays import Floats
from simlib.common.errors import RunError
from simlib.sweep.results import load_results, meaning
from simlib.sweep.sweep_file import Axis, Saltelli

RATE = ["best_rate", "best_rate_low", "best_rate_high"]
MOST_VALUES = 24
"""An axis with more distinct values than this is cut into PARTS parts of equally many cells, each shown at its median."""
PARTS = 8
RESAMPLES = 1000
"""Of the cells, for the interval of a measure."""
LEVEL = 0.95


def load_complete(folder: Path, without_failed: bool = False) -> pd.DataFrame:
    """The results of a sweep, every rate a number.

    Args:
        folder: of the sweep.
        without_failed: leave out cells that failed, and cells in which a strategy has no rate.

    Returns:
        as `load_results`; `attrs["left_out"]` is how many cells are not in it.

    Raises:
        InputError: there are no results, or they cannot be read.
        RunError: a cell failed or has no rate, and it was not said to leave it out; or no cell is left.
    """
    frame = load_results(folder, without_failed=without_failed)
    known = pd.read_parquet(folder / "results.parquet", columns=["cell"])["cell"].nunique()
    missing = frame.loc[frame[RATE].isna().any(axis=1), ["cell", "strategy"]]
    if len(missing) and not without_failed:
        first = missing.iloc[0]
        raise RunError(
            f"{folder}: cell {first['cell']} has no rate of {first['strategy']} (no unit of work, or one replicate); "
            f"{missing['cell'].nunique()} of {known} cells are so; say that they are to be left out, or change the sweep"
        )
    left = frame.loc[~frame["cell"].isin(missing["cell"])].reset_index(drop=True)
    if left.empty:
        raise RunError(f"{folder}: no cell has a result, so there is nothing to compare")
    left.attrs = frame.attrs | {"left_out": known - left["cell"].nunique()}
    return left


def axes_of(frame: pd.DataFrame) -> list[str]:
    """The axes of the sweep that the results are of, in its order."""
    columns: Mapping[str, str] = frame.attrs["columns"]
    return [name for name in map(str, frame) if columns.get(name) == meaning(name, (name,))]


def strategies_of(frame: pd.DataFrame) -> list[str]:
    """The strategies, in the sweep's order."""
    return list(dict.fromkeys(frame["strategy"]))


def is_number(values: "pd.Series[Any]") -> bool:
    """Whether an axis is one of numbers; else it is one of names."""
    return pd.api.types.is_numeric_dtype(values)


def parts(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The values of an axis, a row each; if they are many, the median of the part that each is in."""
    if not is_number(values) or values.nunique() <= MOST_VALUES:
        return values
    return values.groupby(pd.qcut(values, PARTS, duplicates="drop"), observed=True).transform("median")


def over(frame: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The rates of each strategy at each value of some axes, averaged over what else varies.

    Errors of cells may be common, as they share their random streams: the ends of an average are the averages of the ends, as
    wide as if all cells erred together. Where no cell shows a clobber the average is zero, and its high end is a bound.

    Returns:
        a row per strategy and value: `strategy`, the axes, `best_rate` with `_low` and `_high`, `least` and `greatest` (of the
        cells' rates), `cells`; in the order of strategies and values.
    """
    names = strategies_of(frame)
    keys = [frame["strategy"].map(names.index).rename("number"), *(parts(frame[axis]) for axis in axes)]
    groups = frame.groupby(keys, sort=True)
    found = (
        groups[RATE]
        .mean()
        .assign(least=groups["best_rate"].min(), greatest=groups["best_rate"].max(), cells=groups["cell"].nunique())
    )
    found = found.reset_index()
    found.insert(0, "strategy", [names[number] for number in found.pop("number")])
    return found


def rank_measures(frame: pd.DataFrame, *, seed: int = 1) -> pd.DataFrame:
    """How strongly the rate of each strategy follows each axis, by ranks.

    Of an axis of numbers it is Spearman's correlation, from -1 (always falls) to 1 (always rises). Of an axis of names it is
    the correlation ratio of the ranks, from 0 (all alike) to 1. Intervals are bootstrap ones over cells (percentiles).

    Returns:
        a row per axis and strategy: `axis`, `strategy`, `measure`, `importance` with `_low` and `_high`; NaN where a rate never
        changes.
    """
    rows = []
    for axis in axes_of(frame):
        ordered = is_number(frame[axis])
        for name in strategies_of(frame):
            cells = frame.loc[frame["strategy"] == name, [axis, "best_rate"]]
            values = cells[axis].to_numpy(float) if ordered else pd.factorize(cells[axis])[0].astype(float)
            found = _with_interval(values, cells["best_rate"].to_numpy(), ordered, np.random.default_rng(seed))
            measure = "rank correlation" if ordered else "rank correlation ratio"
            rows.append((axis, name, measure, *found))
    return pd.DataFrame(rows, columns=["axis", "strategy", "measure", "importance", "importance_low", "importance_high"])


def _with_interval(values: Floats, rates: Floats, ordered: bool, rng: np.random.Generator) -> tuple[float, float, float]:
    """The measure, and the ends of its interval."""
    measure = _correlation if ordered else _correlation_ratio
    every = np.arange(len(rates))
    drawn = np.vstack([every, rng.integers(len(rates), size=(RESAMPLES, len(rates)))])
    found = measure(values[drawn], stats.rankdata(rates[drawn], axis=1))
    if np.isnan(found[0]):
        return (np.nan,) * 3
    low, high = np.nanquantile(found[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(found[0]), float(low), float(high)


def _correlation(values: Floats, ranks: Floats) -> Floats:
    """(samples,) Spearman's correlation; arguments (samples, cells)."""
    x, y = (each - each.mean(axis=1, keepdims=True) for each in (stats.rankdata(values, axis=1), ranks))
    return _ratio((x * y).sum(axis=1), np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)))


def _correlation_ratio(groups: Floats, ranks: Floats) -> Floats:
    """(samples,) root of the share of the ranks' variance that lies between groups; arguments (samples, cells)."""
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    between = np.zeros(len(ranks))
    for group in np.unique(groups):
        inside = groups == group
        between += _ratio((centred * inside).sum(axis=1) ** 2, inside.sum(axis=1), nothing=0.0)
    return np.sqrt(_ratio(between, (centred**2).sum(axis=1)))


def _ratio(above: Floats, below: Any, nothing: float = np.nan) -> Floats:
    found = np.full(len(above), nothing)
    np.divide(above, below, out=found, where=below > 0)
    return found


def sobol_measures(frame: pd.DataFrame, asked: Mapping[str, Any], *, seed: int = 1) -> pd.DataFrame | None:
    """Sobol' indices of each axis: the share of the variance of a rate that it explains (`scipy.stats.sobol_indices`).

    Args:
        frame: the results.
        asked: `axes` and `design` of the sweep file, as `remembered` keeps them.
        seed: of the bootstrap, whose intervals are over the base points of the design.

    Returns:
        as `rank_measures`: `importance` is the total index (what the axis does, by itself and together with others), and
        `alone` the first-order one, with its ends. None if the design is not Saltelli's, or a cell of it is missing: one NaN
        would make all wrong.
    """
    design = asked.get("design", {})
    if design.get("kind") != "saltelli":
        return None
    axes = {name: TypeAdapter[Any](Axis).validate_python(axis) for name, axis in asked["axes"].items()}
    names, texts = strategies_of(frame), [name for name in axes if not is_number(frame[name])]
    table = frame.assign(**{name: frame[name].map(str) for name in texts})
    wide = table.pivot_table(index=list(axes), columns="strategy", values="best_rate")[names]
    wanted = pd.DataFrame(Saltelli.model_validate(design).settings(axes))
    wanted = wanted.assign(**{name: wanted[name].map(str) for name in texts})
    keys = pd.MultiIndex.from_frame(wanted) if len(axes) > 1 else pd.Index(wanted.iloc[:, 0])
    rates = wide.reindex(keys).to_numpy(float)
    if np.isnan(rates).any():
        return None
    points = design["cells"]
    blocks = rates.reshape(len(axes) + 2, points, len(names)).transpose(0, 2, 1)  # (A, B, AB_1, ...), strategies, points
    return _indices(blocks, list(axes), names, seed)


def _indices(blocks: Floats, axes: Sequence[str], names: Sequence[str], seed: int) -> pd.DataFrame:
    """The frame; `blocks` is (A, B, one with each axis from B; strategies; points)."""
    points = blocks.shape[2]
    rng = np.random.default_rng(seed)  # `SobolResult.bootstrap` takes none
    drawn = np.vstack([np.arange(points), rng.integers(points, size=(RESAMPLES, points))])
    found = np.array([_total_and_alone(blocks[:, :, places]) for places in drawn])
    numbers = np.full((3, *found.shape[1:]), np.nan)  # (estimate, low, high; index; strategy; axis)
    known = ~np.isnan(found[0])
    numbers[0] = found[0]
    numbers[1:, known] = np.nanquantile(found[1:, known], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    rows = [
        (axis, name, "Sobol' index", *numbers[:, 0, row, column], *numbers[:, 1, row, column])
        for column, axis in enumerate(axes)
        for row, name in enumerate(names)
    ]
    ends_of = [f"{index}{end}" for index in ("importance", "alone") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["axis", "strategy", "measure", *ends_of])


def _total_and_alone(blocks: Floats) -> Floats:
    """(2, strategies, axes) the total and the first-order indices; NaN (0 / 0) of a rate that is the same at all points."""
    found = np.full((2, blocks.shape[1], len(blocks) - 2), np.nan)
    varies = np.ptp(blocks[:2], axis=(0, 2)) > 0
    if varies.any():
        mine = blocks[:, varies]
        functions: Any = {"f_A": mine[0], "f_B": mine[1], "f_AB": mine[2:]}
        indices = stats.sobol_indices(func=functions, n=blocks.shape[2])
        found[0, varies], found[1, varies] = indices.total_order, indices.first_order
    return found


def by_importance(measures: pd.DataFrame) -> list[str]:
    """The axes, the one that matters most first: by the mean size of the measure over the strategies."""
    size = measures.assign(size=measures["importance"].abs().fillna(0)).groupby("axis", sort=False)["size"].mean()
    return [str(axis) for axis in size.sort_values(ascending=False, kind="stable").index]
