"""What an experiment keeps of its replicates: a few numbers of each, and the sums of everything else.

The replicate is the unit of every interval, so what intervals are made of is kept for each, some 200 bytes a strategy.
Tables and histograms are only ever added up. So memory does not grow with the transactions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simlib.tally import Cost, Tally
from simlib.traffic import Ints

Records = NDArray[np.void]
SUMMED = ("clobbers", "stood", "standing", "waits", "holds")
"""What of a Tally and a Cost is only added up."""


@dataclass(frozen=True)
class Totals:
    """Tallies and costs of successive replicates.

    Attributes:
        numbers: (strategies, replicates) records of all that a Tally and a Cost have, but for what is in SUMMED.
        sums: name in SUMMED -> (strategies, ...) its sum over the replicates.
    """

    numbers: Records
    sums: dict[str, Ints]


def total(tallies: Sequence[Tally], costs: Sequence[Cost]) -> Totals:
    """The totals of one replicate, from the tally and the cost of each strategy."""
    counted = [vars(tally) | vars(cost) for tally, cost in zip(tallies, costs, strict=True)]
    columns = {name: np.array([one[name] for one in counted]) for name in counted[0]}
    sums = {name: columns.pop(name) for name in SUMMED}
    numbers = np.empty((len(counted), 1), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        numbers[name][:, 0] = column
    return Totals(numbers, sums)


def fold(parts: Iterable[Totals], progress: Callable[[], None] = lambda: None) -> Totals:
    """The totals of all the parts, each added as it comes; `progress` is called for each replicate."""
    numbers: list[Records] = []
    sums: dict[str, Ints] = {}
    for part in parts:
        numbers.append(part.numbers)
        sums = {name: sums.get(name, 0) + part.sums[name] for name in SUMMED}
        for _ in range(part.numbers.shape[1]):
            progress()
    return Totals(np.concatenate(numbers, axis=1), sums)
