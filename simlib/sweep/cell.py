"""What the blocks of a cell say together: its result, and whether that is precise enough."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simlib.estimate.experiment import is_better, is_rare
from simlib.estimate.intervals import Rate
from simlib.estimate.result import Result
from simlib.estimate.totals import SUMMED, Totals
from simlib.sweep.block import Block
from simlib.sweep.plan import Plan


def cell_result(plan: Plan, number: int, blocks: Sequence[Block]) -> Result:
    """The result of a cell: what `simlib run` gives with the cell's settings and so many replicates."""
    numbers = np.concatenate([block.totals.numbers for block in blocks], axis=1)
    sums = {name: np.sum([block.totals.sums[name] for block in blocks], axis=0) for name in SUMMED}
    result = Result(
        workload=plan.workload(number),
        case=plan.case,
        seed=plan.sweep.seed,
        engine="compiled",
        checked=0,
        strategies=plan.strategies,
        baseline=plan.baseline,
        totals=Totals(numbers, sums),
    )
    conditional = np.concatenate([block.conditional for block in blocks], axis=1)
    chosen = {}
    for name, table in zip(plan.strategies, conditional, strict=True):
        found, counted = Rate(*table.T), result.clobber_rate(name)
        if not np.isnan(table).any() and is_rare(counted) and is_better(found, counted):
            chosen[name] = found
    return replace(result, conditional=chosen)


def shortfall(plan: Plan, result: Result) -> float:
    """How many times as many replicates the strategy that is known worst needs; at most 1 if all are as precise as asked for.

    inf where more of them may never do: no clobber was seen, and only a relative precision is asked for.
    """
    return max(_shortfall(plan, result.best_rate(name)) for name in plan.strategies)


def _shortfall(plan: Plan, rate: Rate) -> float:
    interval, asked = rate.interval(), plan.sweep.precision
    if interval is None:
        return np.inf
    wanted = max(asked.absolute or 0.0, (asked.relative or 0.0) * rate.estimate)
    if asked.absolute is None and asked.relative is None:
        return 0.0 if rate.totals.size >= asked.most else np.inf
    return float(((interval.high - interval.low) / 2 / wanted) ** 2) if wanted else np.inf
