"""Totals as a Parquet file: all that intervals and differences are made of, so that two results can be compared later.

A row per strategy; every table of a Totals is a list in one column, whose shape the file's metadata has. Equal totals, equal
bytes.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simlib.common.arrays import Floats
from simlib.common.errors import InputError
from simlib.estimate.totals import SUMMED, Totals

MODEL_VERSION = 1
"""Raised whenever equal settings would give other numbers: the draws, the model, the replay or what is counted changed."""
STORED_VERSION = 2
"""Raised whenever totals are stored in another form."""
_KEY = b"simlib"


@dataclass(frozen=True)
class Stored:
    """What a file holds.

    Attributes:
        totals: of successive replicates.
        conditional: (strategies, replicates, 2) by conditional Monte Carlo: the expected number of clobbered units, and the
            units; NaN where that was not estimated.
        about: what it is of, as JSON.
    """

    totals: Totals
    conditional: Floats
    about: Mapping[str, Any]


def pack(stored: Stored) -> bytes:
    """The Parquet file."""
    numbers = stored.totals.numbers
    tables = (
        {name: numbers[name] for name in numbers.dtype.names or ()} | stored.totals.sums | {"conditional": stored.conditional}
    )
    about = {
        "about": stored.about,
        "replicates": int(numbers.shape[1]),
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


def unpack(data: bytes) -> Stored:
    """What `pack` made the file of.

    Raises:
        InputError: it is no such file, or is incomplete or damaged.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(use_threads=False)
        head: dict[str, Any] = json.loads(table.schema.metadata[_KEY])
        columns = {name: _table(table.column(name), *form) for name, form in head["columns"].items()}
        conditional, sums = columns.pop("conditional"), {name: columns.pop(name) for name in SUMMED}
        dtype = [(name, column.dtype, column.shape[2:]) for name, column in columns.items()]
        numbers = np.empty((len(conditional), head["replicates"]), dtype)
        for name, column in columns.items():
            numbers[name] = column
        return Stored(Totals(numbers, sums), conditional, head["about"])
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        raise InputError(f"cannot be read as stored totals: {' '.join(str(error).split())[:120]}") from None


def _table(column: Any, dtype: str, shape: list[int]) -> Any:
    lists = column.combine_chunks()
    return np.asarray(lists.flatten().to_numpy(), dtype=dtype).reshape(len(lists), *shape)
