"""Run a sweep: simulate what is missing, keep what is finished, put the results together."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from simlib.common.differences import changes
from simlib.common.workers import Crew
from simlib.estimate.experiment import check_engines
from simlib.estimate.size import expected_size
from simlib.sweep.block import Job, simulate_jobs
from simlib.sweep.folder import Entry, Folder
from simlib.sweep.plan import Plan, asked, remembered
from simlib.sweep.results import write_results
from simlib.sweep.work import Work, finished

ENGINE = "compiled"
SAMPLE = 500
"""Cells from which it is estimated how long all take."""
Task = Callable[[Sequence[Job]], list[bytes | str]]
Outcome = tuple[Sequence[Job], "list[bytes | str] | Exception"]


class Engine(Protocol):
    """Who works: processes of this machine, or of a cluster. `Crew` is one."""

    @property
    def free(self) -> int:
        """How many more items can be given out now."""

    def give(self, item: Sequence[Job]) -> None:
        """Have an item worked out."""

    def collect(self) -> list[Outcome]:
        """Wait until something is done; each item with its result, or with the error that it ended in."""


@dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Attributes:
        cells: how many there are.
        done: those with a result; of these, `capped` are less precise than asked for.
        missing: those without one that were not tried to the end.
        failed: those that were.
        seconds_left: how long the missing ones may take, by what the others took; None if that is not known.
        changed: what is another setting than in the last run, a line each.
    """

    cells: int
    done: int
    capped: int
    missing: int
    failed: int
    seconds_left: float | None
    changed: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As `simlib sweep --status --json` prints it."""
        return {
            "cells": self.cells,
            "done": self.done,
            "capped": self.capped,
            "missing": self.missing,
            "failed": self.failed,
            "seconds_left": self.seconds_left,
            "changed": list(self.changed),
        }


def read_status(plan: Plan, folder: Folder, jobs: int | None = None) -> Status:
    """How far the sweep in the folder is, from the names of the blocks and the journal alone."""
    before = folder.read_plan()
    changed = changes(before["asked"], asked(plan)) if before else []
    journal = folder.journal()
    return _status(plan, journal, finished(plan, folder.stored(), journal), jobs, changed)


def expected_seconds(plan: Plan, folder: Folder, jobs: int | None = None, *, again: bool = False) -> tuple[float, float]:
    """How long the missing cells take, or all `again`: if one block of each is enough, and if all need the most; about."""
    done = {} if again else finished(plan, folder.stored(), folder.journal())
    missing = [number for number, address in enumerate(plan.addresses) if address not in done]
    some = missing[:: max(1, len(missing) // SAMPLE)]  # spread over all
    sizes = (expected_size(plan.workload(number), plan.case, plan.strategies, 1, ENGINE) for number in some)
    each = sum(size.seconds for size in sizes) * len(missing) / max(1, len(some)) / (jobs or os.cpu_count() or 1)
    return each * plan.sweep.block, each * max(plan.sweep.precision.most, plan.sweep.block)


def run_sweep(
    plan: Plan,
    folder: Folder,
    *,
    jobs: int | None = None,
    engine: Callable[[Task], AbstractContextManager[Engine]] | None = None,
    again: bool = False,
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[], None] = lambda: None,
) -> Status:
    """Simulate what is missing, and write the results.

    Args:
        plan: the sweep.
        folder: where everything is kept.
        jobs: processes; as many as there are cores if not given.
        engine: who works; if not given, processes of this machine.
        again: forget what is stored of these cells.
        say: told what a person should know, a line at a time.
        progress: called for each cell that is finished.

    Returns:
        how far it is: all cells are done, capped or failed.

    Raises:
        InputError: the folder cannot be used.
        RunError: another sweep is at work in it, or the two engines of the model disagree.
    """
    jobs = jobs or os.cpu_count() or 1
    with folder.locked(), ExitStack() as stack:
        folder.tidy()
        before = folder.read_plan()
        folder.write_json("plan.json", remembered(plan))
        workers: Engine | None = None
        stored, journal = ({}, {}) if again else (folder.stored(), folder.journal())
        while True:
            work = Work(plan, folder, stored, journal)
            if work.left and workers is None:
                check_engines(plan.workload(0), plan.case, plan.strategies, plan.sweep.seed)
                task = partial(simulate_jobs, plan.case, plan.strategies, plan.sweep.seed, ENGINE)
                workers = stack.enter_context(engine(task) if engine else Crew(task, jobs))
            if workers:
                _simulate(work, workers, progress)
            damaged = write_results(plan, folder, work.entries)
            if not damaged:
                break
            for address in damaged:
                say(f"{folder.path}: a block of the cell {address[:8]} is damaged; it is simulated again")
                folder.drop_damaged(address)
            stored, journal = folder.stored(), folder.journal()
        return _status(plan, folder.journal(), work.entries, jobs, changes(before["asked"], asked(plan)) if before else [])


def _simulate(work: Work, workers: Engine, progress: Callable[[], None]) -> None:
    """Until no cell is left."""
    began: dict[tuple[str, int], float] = {}
    left = work.left
    while True:
        while workers.free and (chunk := work.next()):
            began[chunk[0].address, chunk[0].first] = time.monotonic()
            workers.give(chunk)
        for _ in range(left - work.left):
            progress()
        left = work.left
        if not began:
            return
        for done, result in workers.collect():
            seconds = time.monotonic() - began.pop((done[0].address, done[0].first))
            if isinstance(result, Exception):
                work.died(done, str(result))
                continue
            work.took(done, seconds)
            for job, one in zip(done, result, strict=True):
                work.receive(job, one)


def _status(
    plan: Plan, journal: Mapping[str, Entry], entries: Mapping[str, Entry], jobs: int | None, changed: Sequence[str]
) -> Status:
    states = Counter(entry.state for address in plan.addresses if (entry := entries.get(address)))
    failed = sum(journal[a].state == "failed" for a in plan.addresses if a in journal and a not in entries) + states["failed"]
    missing = len(plan.addresses) - states.total() - (failed - states["failed"])
    known = [entry.seconds for address in plan.addresses if (entry := journal.get(address)) and entry.seconds]
    each = sum(known) / len(known) / (jobs or os.cpu_count() or 1) if known else None
    return Status(
        cells=len(plan.addresses),
        done=states["done"] + states["capped"],
        capped=states["capped"],
        missing=missing,
        failed=failed,
        seconds_left=0.0 if not missing else None if each is None else missing * each,
        changed=changed,
    )
