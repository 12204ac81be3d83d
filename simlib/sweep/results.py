"""The table of a sweep: a row per cell and strategy, in the order of the plan, and what its columns mean."""

import json
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simlib.common.errors import InputError, RunError
from simlib.common.files import replacing
from simlib.common.text import counted
from simlib.sweep.cell import cell_result
from simlib.sweep.folder import Entry, Folder
from simlib.sweep.plan import Plan, digest

CELLS_AT_ONCE = 500
"""Cells whose rows are made before they become a table: as Python objects they need twenty times the memory."""
_KEY = b"simlib"
_WHOLE = ("cell", "replicates")
OF_A_CELL = {
    "cell": "number of the cell in the plan, from 0",
    "address": "hash of all that the cell's numbers depend on",
    "state": "done: as precise as asked for; capped: as many replicates as allowed, and less precise; failed: no numbers",
    "reason": "why it failed",
    "replicates": "replicates that the numbers are from",
}
OF_A_STRATEGY = {
    "strategy": "whose patches",
    "units": "units of work",
    "clobbered_units": "units of work in which a write clobbers a field",
    "clobber_rate": "share of units of work that clobber, as counted",
    "conditional_clobber_rate": "the same share by conditional Monte Carlo, where counting knows less",
    "best_rate": "the same share, by the better of the two",
    "lost_write_rate": "share of asked-for field writes that are clobbered before anyone legitimately replaces them",
    "difference_from_baseline": "clobber rate minus the baseline's, paired",
    "racing_clobber_rate": "share of units of work with a clobber that needs concurrency",
    "noticed": "share of the occasions on which a person notices it",
    "variance_ratio": "how many times more replicates independent runs would need for the same difference",
    "clobbered_units_per_day": "clobbered units of work a day, at the workload's traffic",
    "racing": "clobbered fields that need concurrency",
    "not_racing": "clobbered fields that do not",
    "wait": "wait for the lock, seconds",
    "hold": "time that the lock is held, seconds",
    "utilisation": "share of the time that the lock is held",
    "timeouts": "writes that gave up waiting for the lock",
    "any_loss": "share of all transactions that clobber, at whatever site",
    "conflict_rate": "share of guarded attempts that are rejected",
    "false_conflict_rate": "share of guarded attempts that are rejected although they would have been right",
    "failed_rate": "share of units of work that fail: no lock in time, rejected for the last time, or waiting for ever",
    "retries_per_unit": "attempts after the first, for each unit of work",
    "skipped": "writes given up silently",
    "latency": "time from a transaction's begin to its commit in units of work, seconds",
    "stable": "1 where the traffic is no more than the strategy can serve, else 0",
}
_ENDS = {"_low": "low end of its 95 % interval", "_high": "high end of its 95 % interval"}


def meaning(column: str, axes: Container[str] = ()) -> str:
    """What a column of the results holds, with its unit."""
    if column in axes:
        return "axis: this key of the workload"
    for ending, end in _ENDS.items():
        if column.endswith(ending):
            return f"{meaning(column.removesuffix(ending))}: {end}"
    if column.endswith("_s"):
        what, which = column.removesuffix("_s").split("_")
        return f"{OF_A_STRATEGY[what]}: {which}"
    return (OF_A_CELL | OF_A_STRATEGY)[column.split(".")[0]]


def write_results(plan: Plan, folder: Folder, entries: Mapping[str, Entry]) -> list[str]:
    """Write results.parquet and columns.json, unless those that are there are of the same cells in the same state.

    Args:
        plan: the sweep.
        folder: where the blocks are, and where the results go.
        entries: address -> what came of the cell; a cell that is not among them has no rows.

    Returns:
        addresses of cells with a block that cannot be read; if there are any, nothing was written.
    """
    path = folder.path / "results.parquet"
    found = [(number, entries[address]) for number, address in enumerate(plan.addresses) if address in entries]
    about = digest(
        [
            list(plan.addresses),
            plan.precision,
            [[number, entry.state, entry.replicates, entry.reason] for number, entry in found],
        ]
    )
    if not found or _about(path) == about:
        return []
    frames: list[pd.DataFrame] = []
    damaged: list[str] = []
    for start in range(0, len(found), CELLS_AT_ONCE):
        rows: list[dict[str, Any]] = []
        for number, entry in found[start : start + CELLS_AT_ONCE]:
            try:
                rows.extend(_rows(plan, folder, number, entry))
            except InputError:
                damaged.append(entry.address)
        frames.append(pd.DataFrame(rows))
    if not damaged:
        _write(pd.concat(frames, ignore_index=True), plan, path, about)
        columns = {column: meaning(column, plan.sweep.axes) for column in pq.read_schema(path).names}
        folder.write_json("columns.json", columns)
    return damaged


def _rows(plan: Plan, folder: Folder, number: int, entry: Entry) -> Iterator[dict[str, Any]]:
    cell = {"cell": number} | {name: getattr(entry, name) for name in ("address", "state", "reason", "replicates")}
    settings = plan.settings[number]
    if entry.state == "failed":
        return iter([cell | settings | {"strategy": name} for name in plan.strategies])
    blocks = [folder.read_block(entry.address, first) for first in range(0, entry.replicates, plan.sweep.block)]
    return iter([cell | settings | row for row in cell_result(plan, number, blocks).rows()])


def _write(frame: pd.DataFrame, plan: Plan, path: Path, about: str) -> None:
    """Numbers as float64, as a failed cell has none of them; axes as they are written, if one is not a number."""
    frame = frame.assign(stable=frame["stable"].map({True: 1.0, False: 0.0})) if "stable" in frame else frame
    numeric = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name]) and name not in _WHOLE]
    frame = frame.astype(dict.fromkeys(numeric, "float64"))
    for axis in plan.sweep.axes:
        if axis not in numeric:
            frame[axis] = frame[axis].map(str)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata({_KEY: about.encode()}), temporary, compression="zstd")


def _about(path: Path) -> str | None:
    try:
        return str((pq.read_schema(path).metadata or {}).get(_KEY, b"").decode())
    except (OSError, pa.ArrowException):
        return None


def load_results(folder: Path, *, without_failed: bool = False) -> pd.DataFrame:
    """The results of a sweep.

    Args:
        folder: the folder of the sweep.
        without_failed: leave out cells that failed, which have no numbers.

    Returns:
        a row per cell and strategy; `attrs["columns"]` says what each column holds.

    Raises:
        InputError: there are none, or they cannot be read.
        RunError: a cell failed, and it was not said to leave it out.
    """
    path = folder / "results.parquet"
    try:
        frame = pd.read_parquet(path)
        columns = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: no results that can be read: {' '.join(str(error).split())[:120]}") from None
    failed = frame["state"] == "failed"
    if failed.any() and not without_failed:
        cells, of = frame.loc[failed, "cell"].nunique(), frame["cell"].nunique()
        first = frame.loc[failed].iloc[0]
        raise RunError(
            f"{path}: {cells:,} of {counted(of, 'cell')} failed (cell {first['cell']}: {first['reason']}); "
            "run the sweep again, or say that they are to be left out"
        )
    frame = frame.loc[~failed].reset_index(drop=True)
    frame.attrs["columns"] = columns
    return frame
