"""A block: some successive replicates of one cell, simulated, counted, and kept as one Parquet file.

Its bytes depend on the cell and the block only, and not on who simulated it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.estimate.conditional_monte_carlo import conditional_replicate
from simlib.estimate.experiment import ENGINES, RARE, run_replicates
from simlib.estimate.stored import Stored, pack, unpack
from simlib.estimate.totals import Totals, fold
from simlib.workload.workload import Workload


class Job(NamedTuple):
    """A block to simulate: replicates `first` to `first + replicates - 1` of the cell at `address`."""

    address: str
    workload: Workload
    first: int
    replicates: int


@dataclass(frozen=True)
class Block:
    """What the replicates of a block gave.

    Attributes:
        totals: as an experiment keeps them.
        conditional: (strategies, replicates, 2) by conditional Monte Carlo, of strategies that clobber rarely in this block:
            the expected number of clobbered units, and the units; else NaN.
    """

    totals: Totals
    conditional: Floats


def simulate_block(case: Case, strategies: Sequence[str], seed: int, engine: str, job: Job) -> Block:
    """Simulate, replay and count the replicates of a block."""
    replicates = range(job.first, job.first + job.replicates)
    totals = fold(run_replicates(job.workload, case, strategies, seed, engine, replicates), job.replicates)
    units, clobbered = (totals.numbers[name].sum(axis=1) for name in ("units", "clobbered_units"))
    conditional = np.full((len(strategies), job.replicates, 2), np.nan)
    rare = [name for name, of, all_of in zip(strategies, clobbered, units, strict=True) if of < RARE * all_of]
    chosen = [case.strategy(name) for name in rare]
    for column, replicate in enumerate(replicates if chosen else ()):
        found = conditional_replicate(job.workload, case, chosen, seed, replicate, ENGINES[engine])
        for name, numbers in found.items():
            conditional[strategies.index(name), column] = numbers
    return Block(totals, conditional)


def simulate_jobs(case: Case, strategies: Sequence[str], seed: int, engine: str, jobs: Sequence[Job]) -> list[bytes | str]:
    """The stored form of each block; where it could not be simulated, why.

    This is the function that every engine runs, wherever it runs it.
    """
    return [_stored_or_reason(case, strategies, seed, engine, job) for job in jobs]


def _stored_or_reason(case: Case, strategies: Sequence[str], seed: int, engine: str, job: Job) -> bytes | str:
    try:
        return to_bytes(simulate_block(case, strategies, seed, engine, job), job.address, job.first)
    except Exception as error:  # whatever it is: this cell has failed, and the others go on
        return f"{type(error).__name__}: {error}"


def to_bytes(block: Block, address: str, first: int) -> bytes:
    """The Parquet file of a block."""
    return pack(Stored(block.totals, block.conditional, {"address": address, "first": first}))


def from_bytes(data: bytes, address: str, first: int) -> Block:
    """The block that `to_bytes` made the file of.

    Raises:
        InputError: it is no such file, is incomplete, or is of another cell or another block.
    """
    stored = unpack(data)
    if stored.about != {"address": address, "first": first}:
        raise InputError(f"is block {stored.about.get('first')} of the cell {str(stored.about.get('address'))[:8]}")
    return Block(stored.totals, stored.conditional)
