"""How much memory and time a run will take, before it starts; one that cannot fit the machine is refused.

The constants were measured on the shipped workloads (processor time and peak memory; see `tests/estimate/test_size.py`). They
are right within a factor of two or so, which is enough to tell a slip of the pen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simlib.case.case import Case
from simlib.common import machine
from simlib.common.errors import InputError
from simlib.workload.workload import Workload

PROCESS = 300e6
"""Bytes of a process that has the engine and has done nothing yet."""
KEPT = 350
"""Bytes of the totals that are kept of each replicate and strategy."""
MICROSECONDS = {"compiled": 0.2, "simpy": 6.0}
"""A transaction, and a try for the lock, on one timeline of each engine; replaying one with one strategy is like compiled."""
CHECKED = 5_000
"""Transactions of the first replicate that are simulated with SimPy as well: a second at most, however long replicates are."""
LONGEST_RUN = 7 * 86400.0
"""Seconds: a run that takes more than a week is a slip of the pen, or can be split by its seeds."""


class Size(NamedTuple):
    """What a run takes: transactions of a replicate, bytes of one process and of all results, seconds on one processor."""

    transactions: float
    process: float
    kept: float
    seconds: float


def expected_size(workload: Workload, case: Case, strategies: Sequence[str], replicates: int, engine: str) -> Size:
    """What a run will take, about; arguments as of `experiment.run`, with at least one strategy."""
    rows, timelines = workload.expected_transactions(), len({case.strategy(name).discipline for name in strategies})
    fields, keys = len(case.fields), len(case.request)
    # The draws, Python's objects of the SimPy model that checks the first replicate, and on each timeline the history, the
    # entries that a strategy and the reference write, and what replay notes of them.
    row = 600 + 4 * keys + timelines * (130 + 4 * keys + 8 * fields)
    events = rows + _tries(workload, rows)
    each = 1e-6 * (MICROSECONDS[engine] * timelines * events + MICROSECONDS["compiled"] * len(strategies) * rows)
    checked = 1e-6 * MICROSECONDS["simpy"] * timelines * events * min(1.0, CHECKED / max(1.0, rows))
    return Size(
        transactions=rows,
        process=PROCESS + row * rows + 40 * fields * workload.sessions.count,
        kept=KEPT * len(strategies) * replicates,
        seconds=each * replicates + checked,
    )


def _tries(workload: Workload, rows: float) -> float:
    """How often processes try for the lock in vain while another one holds it, if somebody always waits."""
    others = min(workload.store.gateways - 1, rows)
    sites = {site for flow in workload.traffic.values() for site in flow.steps}
    middles = (np.arange(1000) + 0.5) / 1000
    hold = max((float(workload.times[site].hold.quantile(middles).mean()) for site in sites), default=0.0)
    return others * rows * hold / workload.store.lock_poll_max


def fitting_jobs(size: Size, wanted: int) -> int:
    """As many processes as are wanted and fit into memory; at least one."""
    return max(1, min(wanted, int((machine.memory() - size.kept) / size.process)))


def check_size(size: Size, jobs: int, what: str) -> None:
    """Refuse a run that cannot fit this machine.

    Raises:
        InputError: names `what`, how much memory or time the run would take, and how much is allowed.
    """
    needed, there = jobs * size.process + size.kept, machine.memory()
    each = f"some {size.transactions:.3g} transactions a replicate"
    if needed > there:
        processes = f" in {jobs} processes" if jobs > 1 else ""
        raise InputError(
            f"{what}: {each} would take {_gigabytes(needed)} of memory{processes}; this machine has {_gigabytes(there)}"
        )
    if (seconds := size.seconds / jobs) > LONGEST_RUN:
        raise InputError(
            f"{what}: {each} would take some {seconds / 86400:,.0f} days; allowed: {LONGEST_RUN / 86400:.0f}. Shorten the "
            "duration, or ask for fewer replicates"
        )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
