"""A real gateway: one process that makes its flows' transactions against a real store."""

import asyncio
import selectors
import sqlite3
from multiprocessing.connection import Connection

import numpy as np

from simlib.model.plan import make_plan
from simlib.model.terms import Timetable, make_terms
from simlib.testbed.entry import INITIAL, Entry, SessionStore, clock
from simlib.testbed.flow import Flow, Process, Tried
from simlib.testbed.job import Ended, Job
from simlib.testbed.locks import Locks

_DRAWN_BEFORE = 4
"""Attempts whose times are drawn before the clock starts; those of later ones are when the first transaction needs them."""


def run_gateway(pipe: Connection, number: int, job: Job) -> None:
    """What the process does: say "ready", receive the start time, run, and send what ended, or one line on what went wrong."""
    try:
        # asyncio's default selector rounds every pause up to whole milliseconds, which is as long as many of ours.
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
            pipe.send(runner.run(_run(number, job, pipe)))
    except* (OSError, sqlite3.Error) as group:
        pipe.send(str(_first(group)))


async def _run(number: int, job: Job, pipe: Connection) -> list[Ended]:
    store = job.manner.open(job.folder, job.case.fields, job.workload.store)
    try:
        process = make_process(job, store)
        _warm_up(process)
        pipe.send("ready")
        await arrivals(process, number, start=pipe.recv())
        return process.ended
    finally:
        store.close()


def make_process(job: Job, store: SessionStore) -> Process:
    """What the flows of one process share, in a process that has opened the store."""
    given, discipline = (job.workload, job.case, job.traffic), job.strategy.discipline
    plan = make_plan(job.case, job.traffic, discipline)
    return Process(
        job=job,
        store=store,
        locks=Locks(job.folder, job.workload.store, store, job.manner.own_lock),
        plan=plan.plain(),
        terms=make_terms(*given, discipline).plain(),
        timetable=Timetable(*given, discipline, plan),
        nothing=Entry(np.zeros(len(job.case.fields), dtype=np.int32), INITIAL),
    )


def _warm_up(process: Process) -> None:
    """Compile, draw and open what would else take its time when the clock runs."""
    times = [process.times_of(attempt + 1) for attempt in range(min(_DRAWN_BEFORE, process.timetable.most))]
    if process.plan.site:
        process.patched(0, process.nothing, process.nothing)
        process.judge(Tried(0, process.plan.site[0], 1, 0.0, times[0]), process.nothing, process.nothing)
    process.store.read(0)


async def arrivals(process: Process, number: int, start: float) -> None:
    """Start every flow of this gateway at its time of arrival, and see them all to their end."""
    plan = process.plan
    async with asyncio.TaskGroup() as flows:
        for flow in np.flatnonzero(np.array(plan.gateway) == number).tolist():
            await asyncio.sleep(max(0.0, start + plan.arrive[flow] - clock()))
            flows.create_task(Flow(process, flow, plan.session[flow]).live())


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
