"""The testbed's two stores, against hand-written schedules of two processes (two of their stores on one folder)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cures import BARE, EVERYWHERE, cured, guarded, lock
from schedules import CASE

from simlib.case.discipline import Guard, Lock
from simlib.common.arrays import Codes
from simlib.common.errors import InputError, RunError
from simlib.model.history import TIMED_OUT
from simlib.testbed.entry import INITIAL, Entry, Expected, SessionStore, Written, encode
from simlib.testbed.job import Job
from simlib.testbed.locks import THE_STORE, Locks
from simlib.testbed.processes import run_gateways
from simlib.testbed.run import make_job
from simlib.testbed.stores import Manner, manner_of
from simlib.workload.traffic import draw
from simlib.workload.workload import Store, load_workload

FIELDS = ("label", "channel")
ENTRY_MERGE = Lock("entry", "merge", EVERYWHERE)
IMPATIENT = Store(lock_poll=0.001, mtime_tick=0)
ONE_FILE, FILES = Manner("file"), Manner("file", apart=True)
LOCKING, PLAIN = Manner("sqlite", own_lock=True), Manner("sqlite")
MANNERS = (ONE_FILE, FILES, LOCKING, PLAIN)


def codes(*values: int) -> Codes:
    return np.array(values, dtype=np.int32)


def show(one: Entry) -> tuple[int, list[int]]:
    return one.revision, one.codes.tolist()


def two_processes(manner: Manner, folder: Path, settings: Store = IMPATIENT) -> tuple[SessionStore, SessionStore]:
    manner.create(folder, [encode(codes(0, 4), INITIAL, FIELDS, ["more"]) for _ in range(2)])
    return manner.open(folder, FIELDS, settings), manner.open(folder, FIELDS, settings)


async def write(store: SessionStore, session: int, step: int, *values: int) -> Written:
    written = await store.commit(session, step, store.fresh(session), codes(*values))
    assert isinstance(written, Written)
    return written


@pytest.mark.parametrize("manner", MANNERS)
def test_a_commit_is_seen_by_everybody_and_an_undefined_field_is_gone(manner: Manner, tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = two_processes(manner, tmp_path)
        assert show(theirs.read(1)) == (INITIAL, [0, 4])
        assert not manner.own_lock or await ours.begin(0.02)
        assert show(ours.fresh(1)) == show(theirs.read(1)) == (INITIAL, [0, 4])
        written = await write(ours, 1, 7, 3, 0)
        assert show(ours.read(1)) == show(theirs.read(1)) == (written.revision, [3, 0])
        assert show(theirs.direct(0)) == (INITIAL, [0, 4])
        ours.close()
        theirs.close()

    asyncio.run(schedule())


@pytest.mark.parametrize("manner", [ONE_FILE, LOCKING])
def test_a_lock_is_exclusive_gives_up_in_time_and_can_be_had_again(manner: Manner, tmp_path: Path) -> None:
    async def schedule() -> None:
        stores = two_processes(manner, tmp_path)
        ours, theirs = (Locks(tmp_path, IMPATIENT, store, manner.own_lock) for store in stores)
        assert await ours.take(THE_STORE, 0.02)
        assert not await ours.take(THE_STORE, 0)  # refused at once, in the same process too
        assert not await theirs.take(THE_STORE, 0)
        assert not await theirs.take(THE_STORE, 0.02)
        written = await write(stores[0], 0, 1, 1, 1)
        ours.let_go(THE_STORE)
        assert await theirs.take(THE_STORE, 0.02)
        assert show(stores[1].fresh(0)) == (written.revision, [1, 1])
        theirs.let_go(THE_STORE)  # without having written
        assert await ours.take(THE_STORE, 0.02)
        for store in stores:
            store.close()

    asyncio.run(schedule())


def test_locks_of_two_entries_do_not_exclude_each_other(tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = (Locks(tmp_path, IMPATIENT, store, own_lock=False) for store in two_processes(FILES, tmp_path))
        assert await ours.take(0, 0)
        assert await theirs.take(1, 0)
        assert not await theirs.take(0, 0)
        ours.let_go(0)
        assert await theirs.take(0, 0)

    asyncio.run(schedule())


def test_without_a_lock_one_file_takes_other_commits_back_and_files_apart_do_not(tmp_path: Path) -> None:
    async def left(manner: Manner, folder: Path) -> list[list[int]]:
        folder.mkdir()
        ours, theirs = two_processes(manner, folder)
        base = ours.fresh(0)
        await write(theirs, 1, 1, 1, 1)
        await ours.commit(0, 2, base, codes(2, 2))
        return [theirs.direct(session).codes.tolist() for session in (0, 1)]

    assert asyncio.run(left(ONE_FILE, tmp_path / "one")) == [[2, 2], [0, 4]]
    assert asyncio.run(left(FILES, tmp_path / "apart")) == [[2, 2], [1, 1]]


@pytest.mark.parametrize(
    ("expected", "lets_through"),
    [
        (Expected(), True),
        (Expected(revision=INITIAL), False),
        (Expected(newest=INITIAL), False),
        (Expected(codes={0: 0}), True),
        (Expected(codes={0: 0, 1: 4}), False),
        (Expected(codes={1: 5}), True),
    ],
)
def test_an_update_is_made_only_where_the_row_is_as_expected(expected: Expected, lets_through: bool, tmp_path: Path) -> None:
    """After somebody's commit has changed the second field from 4 to 5."""

    async def schedule() -> None:
        ours, theirs = two_processes(PLAIN, tmp_path)
        base = ours.fresh(0)
        between = await write(theirs, 0, 1, 0, 5)
        found = await ours.commit(0, 2, base, codes(9, 9), expected)
        assert isinstance(found, Written) == lets_through
        if isinstance(found, Entry):
            assert show(found) == (between.revision, [0, 5])  # what it lost against
        assert theirs.read(0).codes.tolist() == ([9, 9] if lets_through else [0, 5])

    asyncio.run(schedule())


@pytest.mark.parametrize("manner", [ONE_FILE, PLAIN])
def test_a_write_that_is_worked_out_in_its_moment_sees_what_others_committed(manner: Manner, tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = two_processes(manner, tmp_path)
        await write(theirs, 0, 1, 8, 0)
        written = await ours.rework(0, 2, lambda fresh: fresh.codes + codes(0, 3))
        assert isinstance(written, Written)
        assert show(ours.read(0)) == (written.revision, [8, 3])
        stands = await theirs.rework(0, 3, lambda _: None)
        assert isinstance(stands, Entry)
        assert show(stands) == show(ours.direct(0))

    asyncio.run(schedule())


def test_a_cached_read_is_stale_within_one_tick_of_the_mtime(tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = two_processes(ONE_FILE, tmp_path, Store(mtime_tick=1e6))
        theirs.read(0)
        await write(ours, 0, 1, 1, 1)
        assert show(ours.read(0)) == (1, [1, 1])  # a process's own write refreshes its cache
        assert show(theirs.read(0)) == (INITIAL, [0, 4])
        assert show(theirs.fresh(0)) == show(theirs.direct(0)) == (1, [1, 1])  # a writer reads the file

    asyncio.run(schedule())


def test_what_a_store_cannot_do_is_refused_in_one_line() -> None:
    atomic = guarded(Guard("version"))
    for store, parts, says in [
        ("file", {"snapshots": ("lagged",) * len(CASE.sites)}, "has no replica that lags behind"),
        (
            "sqlite",
            {"locks": (Lock("store", "flow", EVERYWHERE), Lock("entry", "merge", EVERYWHERE))},
            "no such locks of two scopes",
        ),
        ("sqlite", {"stores": "store"}, "never writes the whole store"),
        ("file", {**BARE, "stores": "fields"}, "merges no fields without a lock"),
        ("file", {**BARE, **atomic}, "cannot compare and write in one step without a lock"),
        ("file", {**lock("entry", "merge"), **guarded(Guard("version", scope="store"))}, "keeps no version of the whole"),
    ]:
        case = cured(**parts)
        with pytest.raises(InputError, match=f"strategy cured: the {store} store of the testbed .*{says}") as caught:
            manner_of(store, case, case.strategy("cured"))
        assert "allowed: " in str(caught.value)


def test_the_plain_discipline_is_one_file_or_the_database_s_own_lock() -> None:
    for name in CASE.strategies:
        assert manner_of("file", CASE, CASE.strategy(name)) == ONE_FILE
        assert manner_of("sqlite", CASE, CASE.strategy(name)) == LOCKING


def job(folder: Path, manner: Manner = ONE_FILE) -> Job:
    workload = load_workload("handler-only", ["duration=0.2", "sessions.count=2", "store.lock_timeout=0.002"])
    strategy = CASE.strategy("after-19328")
    return make_job(manner, folder, workload, CASE, strategy, draw(workload, CASE, 1, 0))


def test_writes_that_cannot_get_the_lock_fail_loudly_and_write_nothing(tmp_path: Path) -> None:
    work = job(tmp_path)
    ONE_FILE.create(tmp_path, [encode(codes(*[0] * len(CASE.fields)), INITIAL, CASE.fields, []) for _ in range(2)])
    before = (tmp_path / "sessions.json").read_bytes()
    (tmp_path / "sessions.lock").touch()
    ended = run_gateways(work, 1)
    assert ended
    assert {row.outcome for row in ended} == {TIMED_OUT}
    assert (tmp_path / "sessions.json").read_bytes() == before


def test_a_gateway_that_fails_or_dies_ends_the_run_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gateway 0 failed: .*No such file or directory"):
        run_gateways(job(tmp_path), 1)
    with pytest.raises(RunError, match="gateway 0 died before it was done"):
        run_gateways(replace(job(tmp_path), manner=None), 1)  # type: ignore[arg-type]
