"""A guard with attempts, against the SimPy model: small workloads in which every assumption holds; then where one does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.case.discipline import Discipline, Guard, Lock, Pause
from simlib.case.snapshots import previous_commits
from simlib.common.errors import InputError
from simlib.common.files import validated
from simlib.model.conflict_theory import Windows, conflict, guarded, rejections, violations
from simlib.model.history import COMMITTED, FAILED, SKIPPED
from simlib.model.simpy_model import simulate
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

CASE = load_case("openclaw-70575")
HANDLER = CASE.sites.index("handler")
EXPONENTIAL = {"dist": "exponential", "mean": 0.1}
CONSTANT = {"handler": {"prepare": 0.1, "hold": 0.0}, "patch": {"hold": 0.0}}
REPLICATES = 12


def workload(turns: float = 0.0, patches: float = 0.0, **more: Any) -> Workload:
    """Guarded turns, and patches that commit without a guard; on one session if no more are said."""
    data = {
        "workload": "small", "about": "written for a test", "case": CASE.name, "duration": 200,
        "sessions": {"count": 1}, "values": {},
        "traffic": {
            "turn": {"rate": turns, "steps": {"handler": []}},
            "patch": {"rate": patches, "steps": {"patch": []}},
        },
        "times": {
            "handler": {"prepare": EXPONENTIAL, "compute": 0.02, "check": 0.01, "hold": 0.01, "gap": EXPONENTIAL},
            "patch": {"prepare": 0.01, "hold": EXPONENTIAL},
        },
    } | more  # fmt: skip
    return validated(Workload, data, "small workload")


def under(guard: Guard | None, snapshot: str = "direct") -> Discipline:
    """No lock, and the handler guarded."""
    snapshots = tuple(snapshot if site == "handler" else word for site, word in zip(CASE.sites, CASE.snapshots, strict=True))
    guards = tuple(guard if site == "handler" else None for site in CASE.sites)
    return replace(CASE.plain(), locks=(), guards=guards, snapshots=snapshots)


def seen(workload: Workload, discipline: Discipline) -> np.ndarray:
    """(replicates, 4): attempts rejected, transactions failed, retries a transaction, commits overtaken in the gap."""
    found = []
    for replicate in range(REPLICATES):
        history = simulate(workload, CASE, draw(workload, CASE, 3, replicate), discipline)
        assert history.attempts is not None
        rows = history.site == HANDLER
        outcome, first = history.attempts.outcome[rows], history.attempts.number[rows] == 1
        overtaken = history.snapshot != previous_commits(history.session, history.ok)
        found.append(
            (
                (outcome != COMMITTED).mean(),
                np.isin(outcome, (FAILED, SKIPPED)).sum() / first.sum(),
                (~first).sum() / first.sum(),
                overtaken[rows & history.ok].mean(),
            )
        )
    return np.array(found)


def in_errors(workload: Workload, guard: Guard) -> np.ndarray:
    """How many standard errors of the replicates each figure of the model is away from theory; where both are 0, 0."""
    theory, found = guarded(workload, CASE, under(guard), "handler"), seen(workload, under(guard))
    away = found.mean(axis=0) - np.array([theory.conflict, theory.failed, theory.retries, theory.missed])
    error = found.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
    return np.divide(away, error, out=np.zeros_like(away), where=away != 0)


RARE = {"turns": 5, "patches": 100, "sessions": {"count": 50}, "duration": 60}
"""Turns that are a twentieth of what commits."""
EXACT = {
    "one attempt against patches": (RARE, Guard("version")),
    "three attempts against patches": (RARE, Guard("version", attempts=3)),
    "attempts that repeat the patch alone": (RARE, Guard("version", attempts=2, again="patch")),
    "a version of the whole store": (RARE | {"patches": 8, "turns": 0.4, "duration": 400}, Guard("version", scope="store")),
    "comparison and write apart": (RARE, Guard("version", atomic=False)),
    "sessions of unequal traffic": (
        RARE | {"sessions": {"count": 50, "popularity": "zipf"}},
        Guard("version", attempts=3, pause=Pause(0.1)),
    ),
    "one attempt against each other": ({"turns": 8}, Guard("version")),
    "one attempt against each other and patches": ({"turns": 4, "patches": 4}, Guard("version", used_up="skip")),
    "one attempt against each other, windows all alike": ({"turns": 8, "times": CONSTANT}, Guard("version")),
}


@pytest.mark.parametrize("name", EXACT)
def test_conflicts_failures_retries_and_misses_against_the_simpy_model(name: str) -> None:
    settings, guard = EXACT[name]
    assert (abs(in_errors(workload(**settings), guard)) < 4).all()  # t of 11 degrees: once in 500 by chance


@pytest.mark.slow
@pytest.mark.parametrize(("turns", "attempts"), [(1, 4), (4, 3), (20, 4)])
def test_the_fixed_point_of_retries_after_pauses_against_the_simpy_model(turns: float, attempts: int) -> None:
    """An approximation; with pauses of several windows, drawn each anew, it is within the error of the model."""
    pause = Pause(0.6, jitter=0.5)
    away = in_errors(workload(turns), Guard("version", attempts=attempts, pause=pause))
    assert (abs(away[:3]) < 4).all()


@pytest.mark.parametrize(("turns", "attempts"), [(2, 4), (8, 3)])
def test_the_fixed_point_of_retries_at_once_is_some_percent_above_the_simpy_model(turns: float, attempts: int) -> None:
    """Retries at once begin in a gap between commits: fewer are rejected than theory says, by less than a tenth."""
    small, guard = workload(turns), Guard("version", attempts=attempts)
    theory, found = guarded(small, CASE, under(guard), "handler"), seen(small, under(guard))[:, 0]
    assert 0.9 * theory.conflict < found.mean() < theory.conflict


def test_rejections_of_constant_windows_by_hand() -> None:
    """Each other's one attempt: a w / (1 + a w). With patches: what is rejected of a gap that is exponential from w on."""
    one = Windows(np.array([0.5]), np.array([0.5]), 1)
    assert rejections(2.0, 0.0, one)[0] == pytest.approx(0.5)
    own, other = 2.0, 3.0
    survives = np.exp(-other * 0.5)
    mean = (1 - survives) / other + survives / (own + other)
    assert rejections(own, other, one)[0] == pytest.approx(1 - survives / (own + other) / mean)


def test_rejections_where_the_guarded_site_hardly_commits_are_those_of_a_poisson_process() -> None:
    windows = np.sort(np.random.default_rng(1).exponential(0.2, 1000))
    nearly = rejections(1e-9, 3.0, Windows(windows, windows, 3))
    assert nearly == pytest.approx([conflict(3.0, windows)] * 2)


def test_commits_and_failures_are_all_transactions() -> None:
    """At the fixed point: the rate of commits that follows from attempts is that of transactions that do not fail."""
    windows = np.sort(np.random.default_rng(1).exponential(0.2, 1000))
    for attempts in (1, 2, 5, 1000):
        given = Windows(windows, windows / 3, attempts)
        rejected = rejections(10.0, 1.0, given)
        accepted = np.dot(given.made(rejected), 1 - np.array(rejected))
        assert accepted == pytest.approx(1 - given.used_up(rejected))


@pytest.mark.parametrize(
    ("settings", "discipline", "says"),
    [
        ({}, under(None), "not guarded"),
        ({}, under(Guard("fields", ("label",))), "compares fields"),
        ({}, under(Guard("version", used_up="write")), "writes although"),
        ({}, under(Guard("version"), "memory"), "older than the store"),
        ({"store": {"gateways": 2}}, under(Guard("version"), "own"), "older than the store"),
        ({}, replace(under(Guard("version")), locks=(Lock("entry", "merge", frozenset(CASE.sites)),)), "a lock"),
        ({}, replace(under(Guard("version")), stores="store"), "whole store"),
        ({}, replace(under(Guard("version")), guards=(Guard("version"),) * len(CASE.sites)), "patch is guarded as well"),
    ],
)
def test_what_theory_does_not_cover_is_refused_with_the_reason(settings: Any, discipline: Discipline, says: str) -> None:
    small = workload(1, 1, **settings)
    assert [says in sentence for sentence in violations(small, CASE, discipline, "handler")] == [True]
    with pytest.raises(InputError, match=says):
        guarded(small, CASE, discipline, "handler")
