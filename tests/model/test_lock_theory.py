"""Other locks than the usual one, against the SimPy model: small workloads in which every assumption holds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.case.discipline import Discipline, Guard, Lock
from simlib.common.errors import InputError
from simlib.common.files import validated
from simlib.model.lock_theory import locked, violations
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

CASE = load_case("openclaw-70575")
EXPONENTIAL = {"dist": "exponential", "mean": 0.02}
LOGNORMAL = {"dist": "lognormal", "median": 0.02, "sigma": 0.5}
REPLICATES = 12


def workload(turns: float = 20.0, patches: float = 15.0, steps: tuple[str, ...] = ("handler",), **more: Any) -> Workload:
    """Turns and patches on four sessions, one of them much busier than the others."""
    data = {
        "workload": "small", "about": "written for a test", "case": CASE.name, "duration": 100,
        "sessions": {"count": 4, "popularity": "zipf"}, "values": {},
        "traffic": {
            "turn": {"rate": turns, "steps": {step: [] for step in steps}},
            "patch": {"rate": patches, "steps": {"patch": []}},
        },
        "times": {
            "handler": {"prepare": EXPONENTIAL, "compute": 0.005, "hold": LOGNORMAL},
            "run_start": {"after": 0.01, "prepare": EXPONENTIAL, "hold": 0.002},
            "run_end": {"after": EXPONENTIAL, "hold": 0.002},
            "patch": {"hold": EXPONENTIAL},
        },
    } | more  # fmt: skip
    return validated(Workload, data, "small workload")


def under(*locks: Lock) -> Discipline:
    return replace(CASE.plain(), locks=locks)


def lock(scope: Any, span: Any, *sites: str) -> Lock:
    return Lock(scope, span, frozenset(sites or CASE.sites))


def mean_waits(workload: Workload, discipline: Discipline) -> np.ndarray:
    """Of each replicate: the wait of a flow for its lock, in the mean over the flows."""
    waits = []
    for replicate in range(REPLICATES):
        history = simulate(workload, CASE, draw(workload, CASE, 3, replicate), discipline)
        assert history.attempts is not None
        wide = np.where(history.attempts.number == 1, history.read - history.attempts.began, 0)
        waits.append((history.lock - history.queued + wide).sum() / np.unique(history.flow).size)
    return np.array(waits)


DISCIPLINES = {
    "a lock for each entry, to merge": ({}, under(lock("entry", "merge"))),
    "the same, held after the commit": ({"store": {"release": 0.01}}, under(lock("entry", "merge"))),
    "the same, computed in it": ({}, replace(under(lock("entry", "merge")), in_lock=frozenset({"handler"}))),
    "a lock for each entry, over a transaction": ({}, under(lock("entry", "transaction"))),
    "a lock on the store, over a transaction": ({"turns": 10, "patches": 8}, under(lock("store", "transaction"))),
    "a lock over the turn's transaction, the same to merge the patch": (
        {"turns": 10, "patches": 8},
        under(lock("store", "transaction", "handler"), lock("store", "merge", "patch")),
    ),
    "a lock for each entry, over a whole turn": (
        {"turns": 7, "steps": ("handler", "run_start", "run_end"), "store": {"release": 0.002}},
        under(lock("entry", "flow")),
    ),
    "a lock on the store, over a whole turn": (
        {"turns": 4, "patches": 5, "steps": ("handler", "run_start", "run_end")},
        under(lock("store", "flow")),
    ),
}


@pytest.mark.parametrize("name", DISCIPLINES)
def test_mean_wait_against_the_simpy_model(name: str) -> None:
    settings, discipline = DISCIPLINES[name]
    small = workload(**settings)
    waits, theory = mean_waits(small, discipline), locked(small, discipline)
    error = waits.std(ddof=1) / np.sqrt(REPLICATES)
    assert 0.2 < theory.utilisation < 0.9
    assert abs(waits.mean() - theory.mean_wait) < 4 * error  # t of 11 degrees: once in 500 by chance
    assert error < 0.06 * theory.mean_wait  # so that it is a test at all


def test_a_lock_over_the_whole_work_is_held_for_rate_times_work() -> None:
    small = workload(turns=4, patches=5, steps=("handler", "run_start", "run_end"))
    turn = (0.02 + 0.005 + 0.02 * np.exp(0.125)) + (0.01 + 0.02 + 0.002) + (0.02 + 0.002)
    expected = 4 * turn + 5 * 0.02
    assert locked(small, under(lock("store", "flow"))).utilisation == pytest.approx(expected, rel=1e-3)


def test_constant_service_for_each_entry_against_the_formula_by_hand() -> None:
    """M/D/1: rho S / (2 (1 - rho)), one queue for each of four equal sessions."""
    small = workload(sessions={"count": 4}, times={site: {"hold": 0.05} for site in CASE.sites})
    rho = 35 / 4 * 0.05
    theory = locked(small, under(lock("entry", "merge")))
    assert theory.utilisation == pytest.approx(rho)
    assert theory.mean_wait == pytest.approx(rho * 0.05 / (2 * (1 - rho)))


CHAIN = ("handler", "run_start", "run_end")


@pytest.mark.parametrize(
    ("settings", "discipline", "says"),
    [
        ({"store": {"gateways": 2}}, under(lock("entry", "merge")), "2 gateways"),
        ({}, under(lock("entry", "transaction"), lock("store", "merge")), "one scope"),
        ({}, under(Lock("store", "merge", frozenset(CASE.sites), timeout=0)), "refused"),
        ({}, replace(CASE.plain(), guards=(Guard("version"),) * len(CASE.sites)), "guard"),
        ({"steps": CHAIN}, CASE.plain(), "turn takes the lock 3 times"),
        ({"turns": 200}, under(lock("store", "transaction")), "less than 1"),
        ({}, under(), "nobody takes a lock"),
    ],
)
def test_what_theory_does_not_cover_is_refused_with_the_reason(settings: Any, discipline: Discipline, says: str) -> None:
    small = workload(**settings)
    assert [says in sentence for sentence in violations(small, discipline)] == [True]
    with pytest.raises(InputError, match=says):
        locked(small, discipline)
