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
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.discipline import Stores
from simlib.common import bounds
from simlib.common.arrays import Codes, Floats, Ints
from simlib.common.errors import InputError, RunError, allowed
from simlib.common.files import validated
from simlib.model.history import History
from simlib.model.plan import make_attempts, make_history, make_rows
from simlib.replay.replay import replay_strategy
from simlib.testbed.entry import INITIAL, encode
from simlib.testbed.job import Ended, Job
from simlib.testbed.order import in_order, rows_by_revision, seen_by
from simlib.testbed.processes import run_gateways
from simlib.testbed.stores import STORES, Manner, exclusive, manner_of
from simlib.workload.distributions import Constant
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload

NOTHING = Constant(value=0.0)


@dataclass(frozen=True)
class TestbedRun:
    """A run of the testbed; n attempts ended.

    Attributes:
        store: `file` or `sqlite`.
        strategy: the strategy that really wrote.
        traffic: the draws.
        history: what happened, in the order in which it ended; times in seconds from the start of the run.
        step: (n,) each attempt's transaction in `traffic`.
        base: (n,) row whose commit the entry showed that was merged over, or compared with; -1: the initial entry.
        compared: (n,) when its guard was asked, seconds; where nothing is compared, when it had the lock.
        released: (n,) when a lock was let go of that was held until then; else when the attempt ended; seconds.
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
    base: Ints
    compared: Floats
    released: Floats
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
    manner = manner_of(store, case, strategy)
    bounds.SEED.check("seed", seed)
    bounds.TESTBED_SECONDS.check("seconds", seconds)
    bounds.ENTRY_BYTES.check("entry_bytes", entry_bytes)
    bounds.STORE_BYTES.check(f"entry_bytes of {workload.sessions.count:,} sessions", entry_bytes * workload.sessions.count)
    bounds.TESTBED_PROCESSES.check("store.gateways", workload.store.gateways)
    timed = validated(Workload, workload.model_dump() | {"duration": seconds}, f"{workload.workload} for {seconds:g} s")
    traffic = draw(timed, case, seed, 0)
    with _temporary_folder(folder) as place:
        try:
            manner.create(place, initial_entries(case, traffic, entry_bytes))
            ended = run_gateways(make_job(manner, place, workload, case, strategy, traffic), workload.store.gateways)
            final = final_entries(manner, place, case, workload)
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"testbed: the {store} store in {place} failed: {error}") from None
    run = assemble(timed, case, store, strategy, traffic, ended, final)
    check_final(run)
    return run


def check_final(run: TestbedRun) -> None:
    """Demand that replaying the history with the strategy that ran gives every entry committed and the store's final content.

    Raises:
        RunError: it does not; the first differences are named.
    """
    history, case, discipline = run.history, run.case, run.case.strategy(run.strategy).discipline
    entries = replay_strategy(case, case.strategy(run.strategy), history).entries
    if exclusive(case, discipline) and (discipline.stores != "store" or exclusive(case, discipline) == "store"):
        _check_locks(run)
    standing = standing_rows(history, discipline.stores)
    left = np.where(standing[:, None] == INITIAL, history.initial, entries[standing] if len(entries) else history.initial)
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


def _check_locks(run: TestbedRun) -> None:
    """Demand that each commit was merged over the newest entry."""
    history = run.history
    newest = [INITIAL] * len(history.initial)
    for row in np.flatnonzero(history.ok).tolist():
        session = history.session[row]
        if newest[session] != run.base[row]:
            raise RunError(
                f"testbed: transaction {run.step[row]} found row {run.base[row]} in the {run.store} store, and the history "
                f"says row {newest[session]}: two transactions held the lock at once"
            )
        newest[session] = row


def standing_rows(history: History, stores: Stores) -> Ints:
    """(sessions,) the row whose commit each entry shows at the end; INITIAL: nobody's."""
    attempts, newest = history.attempts, [INITIAL] * len(history.initial)
    after = [newest]  # `after[n]`: after n rows
    for row in range(len(history)):
        if history.ok[row]:
            if attempts is not None and stores == "store":
                newest = list(after[attempts.seen[row]])
            newest[history.session[row]] = row
        after.append(newest)
    return np.array(newest, dtype=np.int64)


def _difference(run: TestbedRun, stored: Codes, replayed: Codes) -> str:
    def name(field: int, codes: Codes) -> str:
        return run.history.values.name(run.case.domains[run.case.fields[field]], int(codes[field]))

    return ", ".join(
        f"{run.case.fields[field]} is {name(field, stored)}, replay says {name(field, replayed)}"
        for field in np.flatnonzero(stored != replayed).tolist()
    )


def make_job(manner: Manner, folder: Path, workload: Workload, case: Case, strategy: Strategy, traffic: Traffic) -> Job:
    """What the gateways are told: holds and checks are not drawn."""
    times = {site: times.model_copy(update={"hold": NOTHING, "check": NOTHING}) for site, times in workload.times.items()}
    return Job(
        manner=manner,
        folder=folder,
        workload=workload.model_copy(update={"times": times}),
        case=case,
        strategy=strategy,
        traffic=replace(traffic, hold=np.zeros_like(traffic.hold)),
    )


def initial_entries(case: Case, traffic: Traffic, entry_bytes: int) -> list[dict[str, Any]]:
    """The entries before the first transaction. Short strings in a list take about as long to parse as a real entry does."""
    rest = ["something else"] * (entry_bytes // 18)
    return [encode(codes, INITIAL, case.fields, rest) for codes in traffic.initial]


def final_entries(manner: Manner, folder: Path, case: Case, workload: Workload) -> Codes:
    """(sessions, fields) what a newcomer finds in the store."""
    opened = manner.open(folder, case.fields, workload.store)
    try:
        return np.array([opened.direct(session).codes for session in range(workload.sessions.count)], dtype=np.int32)
    finally:
        opened.close()


def assemble(
    workload: Workload, case: Case, store: str, strategy: Strategy, traffic: Traffic, ended: list[Ended], final: Codes
) -> TestbedRun:
    """The run, given what its gateways told in any order, and what the store held at the end."""
    discipline = strategy.discipline
    session = np.repeat(traffic.session, np.diff(traffic.first))
    rows = in_order(ended, session, exclusive(case, discipline))
    row_of = rows_by_revision(rows)
    base = [row_of.get(row.base, INITIAL) for row in rows]
    columns, step = make_rows(
        traffic, [(row.step, row.read, row.queued, row.lock, row.end, not row.outcome, row_of[row.snapshot]) for row in rows]
    )
    tried = [
        (row.number, row.outcome, over, seen, row.began)
        for row, over, seen in zip(rows, base, seen_by(rows, row_of), strict=True)
    ]
    attempts = None if case.is_plain(discipline) else make_attempts(step, tried)
    return TestbedRun(
        workload=workload,
        case=case,
        store=store,
        strategy=strategy.name,
        traffic=traffic,
        history=make_history(workload, case, traffic, columns, step, attempts),
        step=step,
        base=np.array(base, dtype=np.int64),
        compared=np.array([row.compared for row in rows]),
        released=np.array([row.released for row in rows]),
        written=np.array([row.written for row in rows], dtype=np.int32).reshape(-1, len(case.fields)),
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
