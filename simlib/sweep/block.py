"""A block: some successive replicates of one cell, simulated, counted, and kept as one Parquet file.

Its bytes depend on the cell and the block only, and not on who simulated it. A row per strategy; every table of a Totals is
a list in one column, whose shape the file's metadata has.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simlib.case.case import Case
from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.estimate.conditional_monte_carlo import conditional_replicate
from simlib.estimate.experiment import ENGINES, RARE, run_replicate
from simlib.estimate.totals import SUMMED, Totals, fold
from simlib.workload.workload import Workload

_KEY = b"simlib"


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
    each = partial(run_replicate, job.workload, case, strategies, seed, engine)
    totals = fold(map(each, replicates), job.replicates)
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
    numbers, sums = block.totals.numbers, block.totals.sums
    tables = {name: numbers[name] for name in numbers.dtype.names or ()} | sums | {"conditional": block.conditional}
    about = {
        "address": address,
        "first": first,
        "count": int(numbers.shape[1]),
        "columns": {name: [table.dtype.str, list(table.shape[1:])] for name, table in tables.items()},
    }
    columns = {
        name: pa.array(list(table.reshape(len(table), -1)), pa.list_(pa.from_numpy_dtype(table.dtype)))
        for name, table in tables.items()
    }
    buffer = io.BytesIO()
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(about).encode()})
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def from_bytes(data: bytes, address: str, first: int) -> Block:
    """The block that `to_bytes` made the file of.

    Raises:
        InputError: it is no such file, is incomplete, or is of another cell or another block.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
        about: dict[str, Any] = json.loads(table.schema.metadata[_KEY])
        if (about["address"], about["first"]) != (address, first):
            raise InputError(f"is block {about['first']} of the cell {about['address'][:8]}")
        columns = {name: _table(table.column(name), *about["columns"][name]) for name in about["columns"]}
        return _block(columns, about["count"])
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"cannot be read: {' '.join(str(error).split())[:120]}") from None


def _table(column: Any, dtype: str, shape: Sequence[int]) -> Any:
    lists = column.combine_chunks()
    return np.asarray(lists.flatten().to_numpy(), dtype=dtype).reshape(len(lists), *shape)


def _block(columns: dict[str, Any], count: int) -> Block:
    conditional, sums = columns.pop("conditional"), {name: columns.pop(name) for name in SUMMED}
    numbers = np.empty((len(conditional), count), [(name, table.dtype, table.shape[2:]) for name, table in columns.items()])
    for name, table in columns.items():
        numbers[name] = table
    return Block(Totals(numbers, sums), conditional)
