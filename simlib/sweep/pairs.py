"""Each pair of strategies in each cell of a sweep: which of them clobbers more, if that can be told; and where that changes.

A comparison is the paired difference of two rates over the same replicates. Two are told apart where its 95 % interval does not
include zero; so of two that are truly alike some would be told apart in one cell of twenty.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from simlib.estimate.intervals import Difference, Rate
from simlib.estimate.result import estimate_columns
from simlib.sweep.block import Block
from simlib.sweep.folder import Folder
from simlib.sweep.sensitivity import is_number, strategies_of

PURE = 0.9
"""Share of the cells on each side of a threshold that agree with it."""
MORE, FEWER, ALIKE = 1, -1, 0
"""The first of a pair clobbers more than the second, fewer, or they cannot be told apart."""


def pair_frame(folder: Folder, frame: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The paired difference of every two strategies in every cell, from the blocks of the cell.

    Args:
        folder: of the sweep.
        frame: its results.
        axes: its axes.

    Returns:
        a row per cell and pair: `cell`, the axes, `first`, `second`, `difference` (of `first` minus `second`) with `_low` and
        `_high`, `told` (MORE, FEWER or ALIKE).

    Raises:
        InputError: a block is missing or damaged.
    """
    names, stored = strategies_of(frame), folder.stored()
    baseline = names.index(baseline_of(frame))
    rows = []
    for number, cell in frame.groupby("cell", sort=False):
        one = cell.iloc[0]
        firsts = sorted(first for first in stored.get(one["address"], ()) if first < one["replicates"])
        blocks = [folder.read_block(one["address"], first) for first in firsts or [0]]
        counted, expected = (dict(zip(names, rates, strict=True)) for rates in _rates(blocks, baseline))
        better = cell.loc[cell["conditional_clobber_rate"].notna(), "strategy"]
        settings = {"cell": number, **{axis: one[axis] for axis in axes}}
        rows += [settings | row for row in compared(counted, {name: expected[name] for name in better})]
    columns = ["cell", *axes, "first", "second", "difference", "difference_low", "difference_high"]
    return told(pd.DataFrame(rows, columns=columns))


def compared(counted: Mapping[str, Rate], conditional: Mapping[str, Rate]) -> Iterator[dict[str, Any]]:
    """The paired difference of every two strategies over the same replicates, by one estimator for both, as `Result` has it.

    Args:
        counted: the rate of each strategy, as counted.
        conditional: by conditional Monte Carlo, of those that are known better so.

    Yields:
        `first`, `second`, `difference` with `_low` and `_high`.
    """
    for first, second in combinations(counted, 2):
        rates = conditional if {first, second} <= conditional.keys() else counted
        difference = estimate_columns("difference", Difference(rates[first], rates[second]))
        yield {"first": first, "second": second} | difference


def _rates(blocks: Sequence[Block], baseline: int) -> tuple[list[Rate], list[Rate]]:
    """Of each strategy, as counted and by conditional Monte Carlo; as `Result` makes them."""
    numbers = np.concatenate([block.totals.numbers for block in blocks], axis=1)
    events, exposures = (numbers[what].astype(float) for what in ("clobbered_units", "units"))
    clustering = Rate(events[baseline], exposures[baseline]).design_effect
    counted = [Rate(*pair, clustering) for pair in zip(events, exposures, strict=True)]
    return counted, [Rate(*table.T) for table in np.concatenate([block.conditional for block in blocks], axis=1)]


def baseline_of(frame: pd.DataFrame) -> str:
    """The strategy that differences refer to: it has none to itself."""
    names = strategies_of(frame)
    alone = frame["difference_from_baseline"].isna().groupby(frame["strategy"], sort=False).all()
    return next((name for name in names if alone[name]), names[0])


def told(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with `told`; where there is no interval they are not told apart."""
    more, fewer = pairs["difference_low"] > 0, pairs["difference_high"] < 0
    return pairs.assign(told=more.astype(int) * MORE + fewer.astype(int) * FEWER)


def pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per pair: `first`, `second`, and in how many cells `more`, `fewer` and `alike`."""
    counts = pairs.assign(**{word: (pairs["told"] == state).astype(int) for word, state in _STATES.items()})
    return counts.groupby(["first", "second"], sort=False)[[*_STATES]].sum().reset_index()


_STATES = {"more": MORE, "fewer": FEWER, "alike": ALIKE}


class Threshold(NamedTuple):
    """Where the comparison of two strategies changes along an axis.

    Attributes:
        axis, first, second: whose.
        below, above: the last value before the change, and the first one after it.
        before, after: what the comparison says there: MORE, FEWER or ALIKE.
        agree: cells that say so on each side, and how many there are.
    """

    axis: str
    first: str
    second: str
    below: float
    above: float
    before: int
    after: int
    agree: tuple[tuple[int, int], tuple[int, int]]


def threshold(pairs: pd.DataFrame, axis: str) -> Threshold | None:
    """The value of an axis of numbers at which the comparison of one pair changes; None if there is none.

    It is the cut with the most cells on their side. At least PURE of the cells on each side have to agree with what is said
    there, and each side has at least two cells.
    """
    if not is_number(pairs[axis]):
        return None
    values, places = np.unique(pairs[axis].to_numpy(float), return_inverse=True)
    counts = np.zeros((len(values), 3), dtype=int)  # FEWER, ALIKE, MORE
    np.add.at(counts, (places, pairs["told"].to_numpy() + 1), 1)
    before, after = counts.cumsum(axis=0)[:-1], counts[::-1].cumsum(axis=0)[::-1][1:]
    right = np.stack([before.max(axis=1), after.max(axis=1)], axis=1)
    sizes = np.stack([before.sum(axis=1), after.sum(axis=1)], axis=1)
    changes = before.argmax(axis=1) != after.argmax(axis=1)
    good = changes & (right >= PURE * sizes).all(axis=1) & (sizes > 1).all(axis=1)
    if not good.any():
        return None
    cut = int(np.argmax(np.where(good, right.sum(axis=1), -1)))
    one = pairs.iloc[0]
    sides: Any = tuple(zip(right[cut].tolist(), sizes[cut].tolist(), strict=True))
    states = (int(before[cut].argmax()) - 1, int(after[cut].argmax()) - 1)
    return Threshold(axis, one["first"], one["second"], float(values[cut]), float(values[cut + 1]), *states, sides)


def thresholds(pairs: pd.DataFrame, axes: Sequence[str]) -> list[Threshold]:
    """Of each pair and axis, in their order."""
    groups = [group for _, group in pairs.groupby(["first", "second"], sort=False)]
    return [found for group in groups for axis in axes if (found := threshold(group, axis))]


class Order(NamedTuple):
    """The order of the strategies over all cells.

    Attributes:
        names: the one with the highest rate on average first.
        cells: how many there are.
        broken: the rows of `pairs` in which two are told apart the other way round.
    """

    names: list[str]
    cells: int
    broken: pd.DataFrame

    @property
    def holds(self) -> int:
        """Cells in which no two are told apart the other way round."""
        return self.cells - int(self.broken["cell"].nunique())


def order(frame: pd.DataFrame, pairs: pd.DataFrame) -> Order:
    """In which order the strategies clobber on average, and in which cells that is not so."""
    rates = frame.groupby("strategy", sort=False)["best_rate"].mean().sort_values(ascending=False, kind="stable")
    names = [str(name) for name in rates.index]
    return Order(names, int(frame["cell"].nunique()), against_order(names, pairs))


def against_order(names: Sequence[str], pairs: pd.DataFrame) -> pd.DataFrame:
    """The rows of `pairs` in which two are told apart against an order, the one that clobbers most first."""
    place = {name: number for number, name in enumerate(names)}
    expected = np.where(pairs["first"].map(place) < pairs["second"].map(place), MORE, FEWER)
    return pairs.loc[pairs["told"] == -expected]
