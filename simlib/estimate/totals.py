"""What an experiment keeps of its replicates: a few numbers of each, and the sums of everything else.

The replicate is the unit of every interval, so what intervals are made of is kept for each, some 300 bytes a strategy.
Tables and histograms are only ever added up. So memory does not grow with the transactions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from simlib.common.arrays import Ints
from simlib.replay.counts import Cost, Tally
from simlib.replay.efforts import Effort

Records = NDArray[np.void]
SUMMED = ("clobbers", "stood", "standing", "waits", "holds", "latencies")
"""The parts of a Tally, a Cost and an Effort of which only the sum over all replicates is kept."""


@dataclass(frozen=True)
class Totals:
    """Tallies, costs and efforts of successive replicates.

    Attributes:
        numbers: (strategies, replicates) records of the other parts, one for each replicate.
        sums: name in SUMMED -> (strategies, ...) its sum over the replicates.
    """

    numbers: Records
    sums: dict[str, Ints]


def total(tallies: Sequence[Tally], costs: Sequence[Cost], efforts: Sequence[Effort]) -> Totals:
    """The totals of one replicate, from the tally, the cost and the effort of each strategy."""
    parts = zip(tallies, costs, efforts, strict=True)
    counted = [vars(tally) | vars(cost) | vars(effort) for tally, cost, effort in parts]
    columns = {name: np.array([one[name] for one in counted]) for name in counted[0]}
    sums = {name: columns.pop(name) for name in SUMMED}
    columns["clobbered_fields"] = sums["clobbers"].sum(axis=(1, 3, 4))
    numbers = np.empty((len(counted), 1), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        numbers[name][:, 0] = column
    return Totals(numbers, sums)


def fold(parts: Iterable[Totals], replicates: int, progress: Callable[[], None] = lambda: None) -> Totals:
    """The totals of all parts together. Each part is added as it comes and then dropped.

    Args:
        parts: totals of one replicate or several, in order; at least one part.
        replicates: how many they have together.
        progress: called for each replicate.
    """
    parts = iter(parts)
    first = next(parts)
    numbers, done = np.empty((len(first.numbers), replicates), first.numbers.dtype), 0
    sums = {name: np.zeros_like(table) for name, table in first.sums.items()}
    for part in chain([first], parts):
        for replicate in part.numbers.T:
            numbers[:, done] = replicate
            done += 1
            progress()
        for name, table in part.sums.items():
            sums[name] += table
    return Totals(numbers, sums)
