"""Disciplines that a real store can carry out, as strategies of the shipped case: for tests of the testbed."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from schedules import CASE

from simlib.case.case import Case
from simlib.case.discipline import Guard, Lock, Pause, plain
from simlib.testbed.entry import clock
from simlib.testbed.gateway import arrivals, make_process
from simlib.testbed.job import TIMES, Ended, Job
from simlib.testbed.run import TestbedRun, assemble, check_final, final_entries, initial_entries, make_job
from simlib.testbed.stores import manner_of
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

EVERYWHERE = frozenset(CASE.sites)
FIELDS = ("lastChannel", "lastTo", "lastAccountId", "lastThreadId", "channel", "label")
BARE: Mapping[str, Any] = {"locks": ()}
RETRIES = Pause(first=0.01, factor=2.0, cap=0.05, jitter=0.5)


def lock(scope: Any, span: Any, **more: Any) -> dict[str, Any]:
    """One lock, which every site takes."""
    return {"locks": (Lock(scope, span, EVERYWHERE, **more),)}


def guarded(guard: Guard) -> dict[str, Any]:
    """The guard at every site."""
    return {"guards": (guard,) * len(CASE.sites)}


def cured(rules: str = "after-19328", **parts: Any) -> Case:
    """The shipped case with a strategy `cured` more: those rules, under the usual discipline but for these parts of it."""
    discipline = replace(plain(CASE.sites, CASE.snapshots), rules_of="cured", **parts)
    return replace(
        CASE, strategies={**CASE.strategies, "cured": replace(CASE.strategy(rules), name="cured", discipline=discipline)}
    )


HOT = (
    "sessions.count=2",
    "sessions.initial=[label]",
    "traffic.turn.rate=80",
    "traffic.patch.rate=80",
    "traffic.inbound.rate=0",
    "store.gateways=2",
    "store.lock_poll=0.001",
    "times.handler.prepare=0.02",
    "times.handler.gap=0.004",
)
"""Overrides of `handler-only` under which everybody meets everybody."""
HERE = 3
"""The seed of such runs."""


def run_here(case: Case, store: str, folder: Path, seconds: float = 0.5, overrides: tuple[str, ...] = ()) -> TestbedRun:
    """A run of `cured` as `run_testbed` makes it, but its gateways live in this process: each has a store of its own, and all
    that they share is the folder. Its content has been checked."""
    workload = load_workload("handler-only", [*HOT, *overrides, f"duration={seconds}"])
    traffic, strategy = draw(workload, case, HERE, 0), case.strategy("cured")
    manner = manner_of(store, case, strategy)
    manner.create(folder, initial_entries(case, traffic, 100))
    ended = asyncio.run(_live(make_job(manner, folder, workload, case, strategy, traffic), workload.store.gateways))
    run = assemble(workload, case, store, strategy, traffic, ended, final_entries(manner, folder, case, workload))
    check_final(run)
    return run


async def _live(job: Job, gateways: int) -> list[Ended]:
    stores = [job.manner.open(job.folder, job.case.fields, job.workload.store) for _ in range(gateways)]
    processes = [make_process(job, store) for store in stores]
    start = clock() + 0.02
    await asyncio.gather(*(arrivals(process, number, start) for number, process in enumerate(processes)))
    for store in stores:
        store.close()
    ended = [row for process in processes for row in process.ended]
    return [row._replace(**{name: getattr(row, name) - start for name in TIMES}) for row in ended]
