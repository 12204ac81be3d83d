"""How long it takes to know a clobber rate of about one in a million turns to 20 %, at 95 %."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np

from simlib import kernel
from simlib.case import Case, load_case
from simlib.replay import replay
from simlib.traffic import draw
from simlib.workload import Workload, load_workload

CLOBBERS = (1.96 / 0.2) ** 2
"""So many independent clobbers have a relative half-width of 20 %."""
# handler-only, so thinly spread that a turn meets another write of its session about once in 10^5, and one that it
# clobbers about once in 10^6.
RARE = ("duration=8000", "sessions.count=30000", "traffic.patch.rate=5", "traffic.inbound.rate=1")


@cache
def _set() -> tuple[Workload, Case]:
    workload = load_workload("handler-only", RARE)
    return workload, load_case(workload.case)


def replicate(number: int) -> tuple[int, int]:
    """Turns, and clobbered turns with the baseline."""
    workload, case = _set()
    history = kernel.simulate(workload, case, draw(workload, case, 1, number))
    outcomes = replay(case, case.strategy(case.baseline), history)
    turns = history.site == case.sites.index("handler")
    culprits = outcomes.clobbers.culprit
    return int(turns.sum()), np.unique(culprits[turns[culprits]]).size


def measure(wait: bool) -> dict[str, float]:
    """Seconds on all cores: done to the end if `wait`, else scaled up from the turns a second and a rate of 10^-6."""
    jobs = os.cpu_count() or 1
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        list(pool.map(replicate, range(jobs)))  # start and compile
        began, turns, clobbered, number = time.perf_counter(), 0, 0, 0
        while number == 0 or (wait and clobbered < CLOBBERS):
            for done, found in pool.map(replicate, range(number, number + 4 * jobs)):
                turns, clobbered = turns + done, clobbered + found
            number += 4 * jobs
        seconds = time.perf_counter() - began
    needed = seconds if wait else CLOBBERS / 1e-6 / turns * seconds
    return {"seconds_to_1e-6": needed, "turns": turns / seconds, "rate_found": clobbered / turns}
