"""The general event loop against SimPy and against the loop of plain disciplines; and laws of what both do."""

from dataclasses import replace

import numpy as np
import pytest
from by_hand import guarded
from disciplines import disciplines, guarded_workloads, unlimited
from generators import SEEDS, workloads
from hypothesis import given, settings
from hypothesis import strategies as st
from schedules import CASE

from simlib.case.discipline import Discipline, Guard, Pause
from simlib.common.errors import InputError
from simlib.model import compiled_model, simpy_model
from simlib.model.history import COMMITTED, CONFLICT, FAILED, TIMED_OUT, History, same
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload, load_workload

VERSION = Guard("version", attempts=3)
EVERYWHERE = (VERSION,) * len(CASE.sites)


def both(workload: Workload, traffic: Traffic, discipline: Discipline) -> History:
    """The history, equal from both engines."""
    history = simpy_model.simulate(workload, CASE, traffic, discipline)
    assert same(history, compiled_model.simulate(workload, CASE, traffic, discipline))
    return history


@settings(max_examples=150)
@given(workload=guarded_workloads(), discipline=disciplines(), seed=SEEDS)
def test_any_discipline_against_simpy_and_each_transaction_ends_once(workload, discipline, seed):
    traffic = draw(workload, CASE, seed, 0)
    history = both(workload, traffic, discipline)
    attempts = history.attempts
    assert np.array_equal(history.ok, attempts.outcome == COMMITTED)
    assert (np.diff(history.end) >= 0).all()
    ends: dict[int, tuple[int, int]] = {}
    for transaction, number, outcome in zip(attempts.transaction, attempts.number, attempts.outcome, strict=True):
        # The attempts of a transaction are numbered, and nothing comes after one that is no conflict.
        assert (number - 1, CONFLICT) == ends.get(transaction, (0, CONFLICT))
        ends[transaction] = number, outcome
    for flow in range(traffic.kind.size):
        made = [ends.get(step, (0, None))[1] for step in range(traffic.first[flow], traffic.first[flow + 1])]
        # A flow is over, has failed loudly, or waits for a lock for ever; what it never came to is at its end.
        over = next((place for place, outcome in enumerate(made) if outcome in (None, TIMED_OUT, FAILED)), len(made) - 1)
        assert set(made[over + 1 :]) <= {None}


@given(workload=workloads(), seed=SEEDS, in_lock=st.frozensets(st.sampled_from(CASE.sites)))
def test_a_plain_discipline_in_the_general_loop_against_its_own(workload, seed, in_lock):
    traffic, discipline = draw(workload, CASE, seed, 0), CASE.plain(in_lock)
    general = compiled_model._guarded(workload, CASE, traffic, discipline)
    assert same(replace(general, attempts=None), compiled_model.simulate(workload, CASE, traffic, discipline))
    attempts = general.attempts
    assert (attempts.number == 1).all()
    assert np.array_equal(attempts.outcome, np.where(general.ok, COMMITTED, TIMED_OUT))


@given(workload=guarded_workloads(), seed=SEEDS, guard=st.sampled_from([VERSION, unlimited(VERSION)]))
def test_a_version_guard_in_an_exclusive_lock_never_merges_over_what_was_not_seen(workload, seed, guard):
    history = both(workload, draw(workload, CASE, seed, 0), replace(CASE.plain(), guards=(guard,) * len(CASE.sites)))
    assert (history.attempts.base[history.ok] == history.snapshot[history.ok]).all()


@given(workload=guarded_workloads(), seed=SEEDS, scope=st.sampled_from(["entry", "store"]), atomic=st.booleans())
def test_alone_every_write_is_committed_at_its_first_attempt(workload, seed, scope, atomic):
    traffic = draw(workload, CASE, seed, 0)
    alone = replace(traffic, arrive=np.arange(traffic.arrive.size) * 1000.0)  # each flow has ended when the next one comes
    guards = (unlimited(replace(VERSION, scope=scope, atomic=atomic)),) * len(CASE.sites)
    history = both(workload, alone, replace(CASE.plain(), guards=guards, snapshots=("direct",) * len(CASE.sites)))
    assert history.ok.all()
    assert np.array_equal(np.sort(history.attempts.transaction), np.arange(traffic.site.size))


def test_more_attempts_are_drawn_until_they_are_enough_against_simpy(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two attempts are not enough, nor is room for two rows a transaction: no write is ever accepted after the first.
    workload = load_workload("handler-only", ["duration=200", "sessions.count=1"])
    traffic = draw(workload, CASE, 1, 0)
    guard = Guard("reordered_bytes", attempts=40, pause=Pause(0.01, 2.0, 0.02, 0.5))
    discipline = replace(CASE.plain(), guards=guarded(guard, "handler"))
    history = both(workload, traffic, discipline)
    assert history.attempts.number.max() == 40
    assert len(history) > 2 * traffic.site.size
    monkeypatch.setattr(compiled_model, "MOST_ROWS", 2 * traffic.site.size)
    with pytest.raises(InputError, match=f"handler-only: more than {2 * traffic.site.size:,} attempts"):
        compiled_model.simulate(workload, CASE, traffic, discipline)


def test_no_traffic_against_simpy() -> None:
    workload = load_workload("busy-team", [f"traffic.{kind}.rate=0" for kind in ("turn", "spawn", "patch", "inbound")])
    assert len(both(workload, draw(workload, CASE, 1, 0), replace(CASE.plain(), guards=EVERYWHERE))) == 0
