"""What snapshots are, against schedules written by hand, and what every engine shows against `simlib.case.snapshots`."""

from dataclasses import replace

import numpy as np
import pytest
from generators import SEEDS, workloads
from hypothesis import given
from hypothesis import strategies as st
from schedules import CASE

from simlib.case.snapshots import (
    IN_LOCK,
    INHERITED,
    NO_COMMIT,
    NONE,
    OWN,
    cache_holds,
    committed_by,
    ended_by,
    kinds,
    mtime_at,
    previous_commits,
    readers,
    sources,
    steps_back,
    visible,
)
from simlib.estimate.conditional_monte_carlo import _stage
from simlib.model import compiled_model, simpy_model
from simlib.model.history import History
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

ENGINES = [simpy_model.simulate, compiled_model.simulate]
KINDS, SOURCES = kinds(CASE.snapshots), sources(CASE.snapshots, CASE.sites)


def expected(workload: Workload, history: History) -> np.ndarray:
    """(n,) what each snapshot shows, worked out from the times and the settings, with the meanings of the module alone.

    A gateway's cache is loaded when a read finds it out of date, and by its own commits; reads, locks and commits are taken in
    the order of their times, which the caller has made distinct.
    """
    store, reader = workload.store, readers(history.site, history.flow, SOURCES)
    previous, kind = previous_commits(history.session, history.ok), KINDS[history.site]
    moments = [(history.end[row], row, "end") for row in range(len(history))]
    moments += [(history.read[row], row, "look") for row in np.flatnonzero(kind == OWN)]
    moments += [(history.lock[row], row, "look") for row in np.flatnonzero((kind == IN_LOCK) & history.ok)]
    newest, seen, loaded = [NO_COMMIT] * workload.sessions.count, [0] * store.gateways, [-np.inf] * store.gateways
    cached, mtime, shown = [-np.inf] * store.gateways, 0.0, np.full(len(history), NO_COMMIT)
    ended = 0

    def refresh(gateway: int, now: float) -> None:
        seen[gateway], loaded[gateway], cached[gateway] = ended, now, mtime

    for now, row, what in sorted(moments):
        gateway, session = history.gateway[row], history.session[row]
        if what == "look":
            if not cache_holds(loaded[gateway], cached[gateway], now, mtime, store.cache_ttl):
                refresh(gateway, now)
            shown[row] = visible(newest[session], seen[gateway], previous)
        else:
            ended += 1
            if history.ok[row]:
                newest[session], mtime = row, mtime_at(now, store.mtime_tick)
                refresh(gateway, now)
    shown = np.where((kind == NONE) & history.ok, previous, shown)
    return np.where(reader < 0, NO_COMMIT, shown[reader])


@pytest.mark.parametrize("simulate", ENGINES, ids=["simpy", "compiled"])
@given(workload=workloads(), seed=SEEDS)
def test_what_an_engine_shows_against_the_meaning(simulate, workload, seed):
    history = simulate(workload, CASE, draw(workload, CASE, seed, 0))
    looks = np.where(KINDS[history.site] == IN_LOCK, history.lock, history.read)
    moments = np.concatenate([history.end, looks[np.isin(KINDS[history.site], [OWN, IN_LOCK])]])
    if np.unique(moments).size == moments.size:  # else the times do not tell what came first
        assert history.snapshot.tolist() == expected(workload, history).tolist()


@given(workload=workloads(), seed=SEEDS)
def test_what_the_conditional_estimate_stages_against_the_engine(workload, seed):
    """Each session of one gateway, staged as it was drawn, shows each transaction what the engine showed it."""
    workload = workload.model_copy(update={"store": workload.store.model_copy(update={"gateways": 1})})
    traffic = draw(workload, CASE, seed, 0)
    history = compiled_model.simulate(workload, CASE, replace(traffic, gateway=np.zeros_like(traffic.gateway)))
    if np.isin(history.read, history.end).any() or not len(history):
        return
    row = np.argsort(history.session, kind="stable")
    names, scene = np.unique(history.session[row], return_inverse=True)
    last = np.array([row[scene == number][-1] for number in range(names.size)])
    staged = _stage(CASE, history, scene, row, names.size, last)
    shown = np.where(staged.snapshot < 0, NO_COMMIT, row[staged.snapshot])
    assert shown.tolist() == history.snapshot[row].tolist()


def test_which_commit_of_a_session_is_visible_against_a_schedule_by_hand():
    # Rows 0, 2 and 3 are commits of one session, at 1, 3 and 4 seconds; row 1 is another session's.
    end, previous = np.array([1.0, 2.0, 3.0, 4.0]), [NO_COMMIT, NO_COMMIT, 0, 2]
    assert [visible(3, seen, previous) for seen in range(5)] == [NO_COMMIT, 0, 0, 2, 3]
    assert [committed_by(3, time, end, previous) for time in (0.5, 1.0, 2.5, 3.0, 9.0)] == [NO_COMMIT, 0, 0, 2, 3]
    assert previous_commits(np.array([0, 1, 0, 0]), np.array([True] * 4)).tolist() == previous
    assert previous_commits(np.array([0, 0, 0]), np.array([True, False, True])).tolist() == [NO_COMMIT, 0, 0]


@given(end=st.lists(st.integers(0, 9), min_size=1), session=st.data(), time=st.integers(-1, 10))
def test_a_read_alone_sees_all_that_ended_by_then(end, session, time):
    end = np.sort(np.array(end, dtype=np.float64))
    number = np.array(session.draw(st.lists(st.integers(0, 2), min_size=end.size, max_size=end.size)))
    previous = previous_commits(number, np.ones(end.size, dtype=bool))
    newest = int(np.flatnonzero(number == number[-1])[-1])
    assert visible(newest, int(ended_by(end, np.array([time]))[0]), previous) == committed_by(newest, time, end, previous)


def test_when_a_cached_copy_is_still_used_against_cases_by_hand():
    assert cache_holds(loaded=1.0, mtime=0.5, now=45.9, file_mtime=0.5, ttl=45.0)
    assert not cache_holds(loaded=1.0, mtime=0.5, now=46.0, file_mtime=0.5, ttl=45.0)
    assert not cache_holds(loaded=1.0, mtime=0.5, now=1.1, file_mtime=0.75, ttl=45.0)
    assert [mtime_at(now, 0.5) for now in (0.4, 0.5, 1.2)] == [0.0, 0.5, 1.0]
    assert mtime_at(1.2, 0.0) == 1.2


def test_inheritance_through_two_steps_against_flows_by_hand():
    words, sites = ("own", "a", "b", "none"), ("a", "b", "c", "d")
    assert kinds(words).tolist() == [OWN, INHERITED, INHERITED, NONE]
    source = sources(words, sites)
    assert source.tolist() == [-1, 0, 1, -1]
    # Two flows, a d b c, and c alone: what it inherits is not there, although the flow before had it.
    site, first = np.array([0, 3, 1, 2, 2]), np.array([0, 4, 5])
    assert steps_back(site, first, source).tolist() == [0, 0, 2, 1, 0]
    # The same in a history, where the second flow's row ended between those of the first.
    assert readers(np.array([0, 3, 2, 1, 2]), np.array([0, 0, 1, 0, 0]), source).tolist() == [0, 1, -1, 0, 0]
    nothing = np.array([], dtype=np.int64)
    assert readers(nothing, nothing, source).size == 0


@given(workload=workloads(), seed=SEEDS)
def test_inheritance_in_a_history_against_that_of_its_draws(workload, seed):
    traffic = draw(workload, CASE, seed, 0)
    history = compiled_model.simulate(workload, CASE, traffic)
    step = np.empty(len(history), dtype=np.int64)
    for flow in range(traffic.kind.size):
        rows = np.flatnonzero(history.flow == flow)
        step[rows] = traffic.first[flow] + np.arange(rows.size)
    reader = readers(history.site, history.flow, SOURCES)
    inherits = traffic.inherits[step] > 0
    assert (step - step[reader])[inherits].tolist() == traffic.inherits[step][inherits].tolist()
    assert (reader[SOURCES[history.site] < 0] == np.flatnonzero(SOURCES[history.site] < 0)).all()
