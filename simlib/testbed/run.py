"""The live testbed: real gateways, a real store, real time.

`run_testbed` draws the workload's traffic as the model does, starts one process a gateway, lets them work on a store in a
temporary folder, and returns the history of what happened. Arrivals, preparation and computing are real pauses of the drawn
lengths; the hold is not drawn: it is what reading, parsing, serialising, writing and renaming really take. At the end of each
run every committed entry, and the content the store was left with, must be what replaying the history gives.
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.common import bounds
from simlib.common.arrays import Codes, Ints
from simlib.common.errors import InputError, RunError, allowed
from simlib.common.files import validated
from simlib.model.history import History
from simlib.model.plan import make_history, make_plan, make_rows
from simlib.replay.replay import replay_strategy
from simlib.testbed.gateway import Ended, Job
from simlib.testbed.processes import run_gateways
from simlib.testbed.stores import INITIAL, STORES, Entry, encode
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload


@dataclass(frozen=True)
class TestbedRun:
    """A run of the testbed; n transactions ended.

    Attributes:
        store: `file` or `sqlite`.
        strategy: the strategy that really wrote.
        traffic: the draws.
        history: what happened, in commit order; times in seconds from the start of the run.
        step: (n,) each row's transaction in `traffic`.
        fresh: (n,) row whose commit the in-lock entry showed; -1: the initial entry.
        written: (n, fields) value codes of the entries committed.
        final: (sessions, fields) value codes that the store held at the end.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

    workload: Workload
    case: Case
    store: str
    strategy: str
    traffic: Traffic
    history: History
    step: Ints
    fresh: Ints
    written: Codes
    final: Codes


def run_testbed(
    workload: Workload,
    case: Case,
    strategy_name: str,
    store: str = "file",
    seconds: float = 10.0,
    seed: int = 1,
    entry_bytes: int = 0,
    folder: Path | None = None,
) -> TestbedRun:
    """Run the workload on a real store until every flow that arrived has ended.

    Args:
        workload: traffic, times and store settings; `store.gateways` processes are started.
        case: fields, write sites and rules.
        strategy_name: the strategy whose rules the gateways follow.
        store: `file` or `sqlite`.
        seconds: of arrivals; a flow that is still going then is seen to its end.
        seed: of the draws; the model's replicate 0 of the same seed and duration has the same traffic.
        entry_bytes: how much each entry holds besides the case's fields, about; a hold on `file` grows with it.
        folder: where the store's temporary folder is made; the system's place for such things if None.

    Raises:
        InputError: the workload is not of this case, the strategy or the store is unknown, a number is out of range, or the
            folder cannot be written.
        RunError: a gateway failed, or the store does not hold what replaying the history gives.
    """
    workload.check_case(case, workload.workload)
    strategy = case.strategy(strategy_name)
    if store not in STORES:
        raise InputError(f"store '{store}' is not known; {allowed(list(STORES))}")
    bounds.SEED.check("seed", seed)
    bounds.TESTBED_SECONDS.check("seconds", seconds)
    bounds.ENTRY_BYTES.check("entry_bytes", entry_bytes)
    bounds.STORE_BYTES.check(f"entry_bytes of {workload.sessions.count:,} sessions", entry_bytes * workload.sessions.count)
    bounds.TESTBED_PROCESSES.check("store.gateways", workload.store.gateways)
    timed = validated(Workload, workload.model_dump() | {"duration": seconds}, f"{workload.workload} for {seconds:g} s")
    traffic = draw(timed, case, seed, 0)
    with _temporary_folder(folder) as place:
        try:
            STORES[store].create(place, _initial(case, traffic, entry_bytes))
            ended = run_gateways(_job(store, place, workload, case, strategy, traffic), workload.store.gateways)
            final = _final(store, place, case, workload)
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"testbed: the {store} store in {place} failed: {error}") from None
    run = _assemble(workload, case, store, strategy_name, traffic, ended, final)
    check_final(run)
    return run


def check_final(run: TestbedRun) -> None:
    """Demand that replaying the history with the strategy that ran gives every entry committed and the store's final content.

    Raises:
        RunError: it does not; the first differences are named.
    """
    history, case = run.history, run.case
    entries = replay_strategy(case, case.strategy(run.strategy), history).entries
    left = history.initial.copy()
    newest = np.full(len(left), INITIAL)
    for row in np.flatnonzero(history.ok):
        session = history.session[row]
        if newest[session] != run.fresh[row]:
            raise RunError(
                f"testbed: transaction {run.step[row]} found row {run.fresh[row]} in the {run.store} store, and the history "
                f"says row {newest[session]}: two transactions held the lock at once"
            )
        newest[session], left[session] = row, entries[row]
    differs = [
        f"transaction {run.step[row]}: {_difference(run, run.written[row], entries[row])}"
        for row in np.flatnonzero(history.ok & (run.written != entries).any(axis=1))
    ]
    differs += [
        f"{history.session_names[session]} at the end: {_difference(run, run.final[session], left[session])}"
        for session in np.flatnonzero((run.final != left).any(axis=1))
    ]
    if differs:
        few = "; ".join(differs[:3])
        raise RunError(
            f"testbed: the {run.store} store is not what replay with {run.strategy} gives ({len(differs)} times): {few}"
        )


def _difference(run: TestbedRun, stored: Codes, replayed: Codes) -> str:
    def name(field: int, codes: Codes) -> str:
        return run.history.values.name(run.case.domains[run.case.fields[field]], int(codes[field]))

    return ", ".join(
        f"{run.case.fields[field]} is {name(field, stored)}, replay says {name(field, replayed)}"
        for field in np.flatnonzero(stored != replayed).tolist()
    )


def _job(store: str, folder: Path, workload: Workload, case: Case, strategy: Strategy, traffic: Traffic) -> Job:
    return Job(
        store=store,
        folder=folder,
        settings=workload.store,
        case=case,
        strategy=strategy,
        plan=make_plan(case, replace(traffic, hold=np.zeros_like(traffic.hold)), strategy.discipline).plain(),
        arrive=traffic.arrive,
        site=traffic.site,
        request=traffic.request,
    )


def _initial(case: Case, traffic: Traffic, entry_bytes: int) -> list[dict[str, Any]]:
    """The entries before the first transaction. Short strings in a list take about as long to parse as a real entry does."""
    rest = ["something else"] * (entry_bytes // 18)
    return [encode(Entry(codes, INITIAL), case.fields, rest) for codes in traffic.initial]


def _final(store: str, folder: Path, case: Case, workload: Workload) -> Codes:
    """(sessions, fields) what a newcomer finds in the store."""
    opened = STORES[store](folder, case.fields, workload.store)
    try:
        return np.array([opened.read(session).codes for session in range(workload.sessions.count)], dtype=np.int32)
    finally:
        opened.close()


def _assemble(
    workload: Workload, case: Case, store: str, strategy: str, traffic: Traffic, ended: list[Ended], final: Codes
) -> TestbedRun:
    # Clocks are read while the lock is held, so lock times are in commit order. SQLite's end of a commit is read just after
    # it, when the next one may have the lock already; it was over by then.
    ended = sorted(ended, key=lambda row: row.lock)
    committed = pairwise(row for row in ended if row.ok)
    ends = {row.step: min(row.end, following.lock) for row, following in committed}
    ended = sorted((row._replace(end=ends.get(row.step, row.end)) for row in ended), key=lambda row: row.end)
    row_of = {row.step: number for number, row in enumerate(ended)} | {INITIAL: INITIAL}
    rows = [(row.step, row.read, row.queued, row.lock, row.end, row.ok, row_of[row.snapshot]) for row in ended]
    return TestbedRun(
        workload=workload,
        case=case,
        store=store,
        strategy=strategy,
        traffic=traffic,
        history=make_history(workload, case, traffic, *make_rows(traffic, rows)),
        step=np.array([row.step for row in ended], dtype=np.int64),
        fresh=np.array([row_of[row.fresh] for row in ended], dtype=np.int64),
        written=np.array([row.written for row in ended], dtype=np.int32).reshape(-1, len(case.fields)),
        final=final,
    )


@contextmanager
def _temporary_folder(parent: Path | None) -> Iterator[Path]:
    """A new folder, gone with all it holds when the block ends."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="simlib-testbed-", dir=parent)
    except OSError as error:
        place = parent or tempfile.gettempdir()
        raise InputError(
            f"{place}: cannot make a folder there: {error.strerror}; allowed: a folder that can be written"
        ) from None
    with folder as name:
        yield Path(name)
