"""The testbed's two stores, against hand-written schedules of two processes (two of their stores on one folder)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.errors import RunError
from simlib.model.plan import make_plan
from simlib.testbed.gateway import Job
from simlib.testbed.processes import run_gateways
from simlib.testbed.stores import INITIAL, STORES, Entry, SessionStore, encode
from simlib.workload.traffic import draw
from simlib.workload.workload import Store, load_workload

FIELDS = ("label", "channel")
IMPATIENT = Store(lock_poll=0.001, lock_timeout=0.02, mtime_tick=0)


def entry(revision: int, *codes: int) -> Entry:
    return Entry(np.array(codes, dtype=np.int32), revision)


def show(one: Entry) -> tuple[int, list[int]]:
    return one.revision, one.codes.tolist()


def two_processes(store: str, folder: Path) -> tuple[SessionStore, SessionStore]:
    STORES[store].create(folder, [encode(entry(INITIAL, 0, 4), FIELDS, ["more"]) for _ in range(2)])
    return STORES[store](folder, FIELDS, IMPATIENT), STORES[store](folder, FIELDS, IMPATIENT)


@pytest.mark.parametrize("store", STORES)
def test_a_commit_is_seen_by_everybody_and_an_undefined_field_is_gone(store: str, tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = two_processes(store, tmp_path)
        assert show(theirs.read(1)) == (INITIAL, [0, 4])
        assert await ours.lock() is not None
        assert show(ours.fresh(1)) == (INITIAL, [0, 4])
        assert show(theirs.read(1)) == (INITIAL, [0, 4])
        await ours.commit(1, entry(7, 3, 0))
        assert show(ours.read(1)) == show(theirs.read(1)) == (7, [3, 0])
        assert show(theirs.read(0)) == (INITIAL, [0, 4])
        ours.close()
        theirs.close()

    asyncio.run(schedule())


@pytest.mark.parametrize("store", STORES)
def test_the_lock_is_exclusive_gives_up_in_time_and_can_be_had_again(store: str, tmp_path: Path) -> None:
    async def schedule() -> None:
        ours, theirs = two_processes(store, tmp_path)
        assert await ours.lock() is not None
        assert await theirs.lock() is None
        ours.fresh(0)
        await ours.commit(0, entry(1, 1, 1))
        assert await theirs.lock() is not None
        assert show(theirs.fresh(0)) == (1, [1, 1])
        await theirs.commit(0, entry(2, 2, 2))
        ours.close()
        theirs.close()

    asyncio.run(schedule())


def test_a_cached_read_is_stale_within_one_tick_of_the_mtime(tmp_path: Path) -> None:
    async def schedule() -> None:
        two_processes("file", tmp_path)
        coarse = Store(mtime_tick=1e6)
        ours, theirs = (STORES["file"](tmp_path, FIELDS, coarse) for _ in range(2))
        theirs.read(0)
        await ours.lock()
        ours.fresh(0)
        await ours.commit(0, entry(1, 1, 1))
        assert show(ours.read(0)) == (1, [1, 1])  # a process's own write refreshes its cache
        assert show(theirs.read(0)) == (INITIAL, [0, 4])
        assert await theirs.lock() is not None
        assert show(theirs.fresh(0)) == (1, [1, 1])  # the holder of the lock reads the file

    asyncio.run(schedule())


def job(folder: Path, store: str = "file") -> Job:
    case, workload = load_case("openclaw-70575"), load_workload("handler-only", ["duration=0.2", "sessions.count=2"])
    traffic = draw(workload, case, 1, 0)
    plan = make_plan(case, replace(traffic, hold=np.zeros_like(traffic.hold)), case.plain()).plain()
    settings = Store(lock_poll=0.001, lock_timeout=0.002)
    return Job(store, folder, settings, case, case.strategy("after-19328"), plan, traffic.arrive, traffic.site, traffic.request)


def test_writes_that_cannot_get_the_lock_fail_loudly_and_write_nothing(tmp_path: Path) -> None:
    work = job(tmp_path)
    STORES["file"].create(
        tmp_path, [encode(entry(INITIAL, *[0] * len(work.case.fields)), work.case.fields, []) for _ in range(2)]
    )
    before = (tmp_path / "sessions.json").read_bytes()
    (tmp_path / "sessions.json.lock").touch()
    ended = run_gateways(work, 1)
    assert ended
    assert not any(row.ok for row in ended)
    assert (tmp_path / "sessions.json").read_bytes() == before


def test_a_gateway_that_fails_or_dies_ends_the_run_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gateway 0 failed: .*No such file or directory"):
        run_gateways(job(tmp_path), 1)
    with pytest.raises(RunError, match="gateway 0 died before it was done"):
        run_gateways(job(tmp_path, store="none"), 1)
