"""How long it takes to know a clobber rate of about one in a million turns to 20 %, at 95 %: integrated out, and counted."""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import numpy as np

from simlib.case.case import Case, load_case
from simlib.estimate.conditional_monte_carlo import conditional_replicate
from simlib.estimate.intervals import Rate
from simlib.model import compiled_model
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload, load_workload

PRECISION = 0.2
CLOBBERS = (1.96 / PRECISION) ** 2
"""So many independent clobbers have that relative half-width."""
# handler-only, so thinly spread that a turn meets another write of its session about once in 10^5, and one that it
# clobbers about once in 10^6.
RARE = ("duration=8000", "sessions.count=150000", "traffic.patch.rate=5", "traffic.inbound.rate=1")
FEWEST = 8
"""Replicates; with less an interval says little."""


@cache
def _set() -> tuple[Workload, Case]:
    workload = load_workload("handler-only", RARE)
    return workload, load_case(workload.case)


def integrated(number: int) -> tuple[float, int]:
    """The expected number of clobbered turns with the baseline, and the turns, of one replicate."""
    workload, case = _set()
    baseline = case.strategy(case.baseline)
    return conditional_replicate(workload, case, [baseline], 1, number, compiled_model.simulate)[baseline.name]


def counted(number: int) -> tuple[int, int]:
    """The clobbered turns and the turns of one replicate."""
    workload, case = _set()
    history = compiled_model.simulate(workload, case, draw(workload, case, 1, number))
    outcomes = replay_strategy(case, case.strategy(case.baseline), history)
    turns = history.site == case.sites.index("handler")
    culprits = outcomes.clobbers.culprit
    return np.unique(culprits[turns[culprits]]).size, int(turns.sum())


def measure() -> dict[str, float]:
    """Seconds on all cores; what counting would take is scaled up from the turns a second and the rate that was found."""
    jobs = os.cpu_count() or 1
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        list(pool.map(integrated, range(jobs)))  # start and compile
        began, done, exact = time.perf_counter(), [], False
        while not exact:
            done += pool.map(integrated, range(len(done), len(done) + max(FEWEST, jobs)))
            rate = Rate(*np.array(done, dtype=np.float64).T)
            interval = rate.interval()
            exact = interval is not None and interval.high - interval.low <= 2 * PRECISION * rate.estimate
        seconds = time.perf_counter() - began
        list(pool.map(counted, range(jobs)))
        began = time.perf_counter()
        turns = sum(turns for _, turns in pool.map(counted, range(4 * jobs)))
        per_second = turns / (time.perf_counter() - began)
    return {
        "seconds_to_1e-6": seconds,
        "seconds_to_1e-6_counted": CLOBBERS / rate.estimate / per_second,
        "rate_found": rate.estimate,
        "turns": per_second,
    }
