"""Efforts against counting by hand, row by row in plain Python; latencies and open transactions of a timeline told by hand."""

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from attempted import attempted, tried
from hypothesis import given
from hypothesis import strategies as st
from schedules import CASE, SITES
from timelines import Row, timeline

from simlib.case.discipline import Discipline, Guard, Lock
from simlib.common.files import validated
from simlib.model import compiled_model, simpy_model
from simlib.model.history import COMMITTED, CONFLICT, FAILED, SKIPPED, TIMED_OUT, History
from simlib.replay.counts import cost
from simlib.replay.efforts import effort, stuck, wide_sites
from simlib.replay.histograms import EDGES
from simlib.workload.traffic import Traffic, draw
from simlib.workload.workload import Workload

GUARDED = replace(CASE.plain(), guards=tuple(Guard("version") if site in ("handler", "patch") else None for site in SITES))


@pytest.mark.parametrize("plain", [False, True])
@given(history=attempted(), data=st.data())
def test_an_effort_against_counting_row_by_row(plain: bool, history: History, data: st.DataObject) -> None:
    size = len(history)
    flow = data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    history = replace(history, flow=np.array(flow, dtype=np.int64), attempts=None if plain else history.attempts)
    duration = data.draw(st.sampled_from([4.0, 9.0, 20.0]))
    found = effort(CASE, history, CASE.plain() if plain else GUARDED, duration)
    attempts = history.attempts
    outcome = [COMMITTED if ok else TIMED_OUT for ok in history.ok] if attempts is None else attempts.outcome.tolist()
    number = [1] * size if attempts is None else attempts.number.tolist()
    began = (history.read if attempts is None else attempts.began).tolist()
    site = [SITES[number] for number in history.site]
    unit = [where not in ("patch", "inbound") for where in site]
    of_flow = defaultdict(set)
    for row in range(size):
        if unit[row]:
            of_flow[flow[row]].add(outcome[row])
    guarded = [o for o, s in zip(outcome, site, strict=True) if s in ("handler", "patch") and o != TIMED_OUT and not plain]
    last = [row for row in range(size) if outcome[row] != CONFLICT]
    opened = [sum(began[row] <= time < history.end[row] for row in last) for time in (duration / 2, duration)]
    times = [history.end[row] - began[row] for row in range(size) if unit[row] and outcome[row] == COMMITTED]
    assert found.units_begun == len(of_flow)
    assert found.units_failed == sum(bool(ends & {TIMED_OUT, FAILED}) for ends in of_flow.values())
    assert (found.guarded, found.conflicts) == (len(guarded), sum(o != COMMITTED for o in guarded))
    assert found.retries == sum(number[row] > 1 and unit[row] for row in range(size))
    assert found.skipped == outcome.count(SKIPPED)
    assert (found.open_middle, found.open_end) == tuple(opened)
    assert found.began_late == sum(duration / 2 < began[row] <= duration for row in last)
    assert found.latencies.tolist() == np.histogram(times, EDGES)[0].tolist()


def test_a_transaction_lasts_from_when_it_began_to_wait_to_the_commit_of_its_last_attempt() -> None:
    """It waits 1 s for a lock over the whole transaction, reads at 2, is rejected at 3, and commits at 7."""
    rows = timeline(Row("handler", 2, 2.5, 3, ok=False, flow=0), Row("handler", 5, 6, 7, queued=5.5, flow=0))
    history = tried(rows, [0, 0], [1, 2], [CONFLICT, COMMITTED], base=[-1, -1], seen=[0, 1], began=[1, 1])
    found = effort(CASE, history, GUARDED, 12.0)
    assert found.latencies.tolist() == np.histogram([6.0], EDGES)[0].tolist()
    assert (found.open_middle, found.open_end, found.units_begun, found.units_failed, found.retries) == (1, 0, 1, 0, 1)
    price = cost(history)
    assert price.waited == pytest.approx(1 + 0.5 + 0.5)  # for the wide lock once, and at each merge
    assert (price.ended, price.timeouts, price.held) == (2, 0, pytest.approx(0.5 + 1))
    handler = np.array([site == "handler" for site in SITES])
    assert cost(history, handler).held == pytest.approx(1 + 2)


def test_a_lock_is_wide_where_it_is_taken_before_the_snapshot() -> None:
    assert not wide_sites(CASE, CASE.plain()).any()
    lock = replace(CASE.plain().locks[0], span="flow", sites=frozenset(["run_start"]))
    wide = wide_sites(CASE, replace(CASE.plain(), locks=(*CASE.plain().locks, lock)))
    assert [SITES[number] for number in np.flatnonzero(wide)] == ["run_start"]


def test_flows_that_wait_for_each_other_stay_open_and_their_units_fail() -> None:
    """One takes the entry's lock and then the store's, the other the store's and then the entry's; a third comes to wait."""
    case = replace(CASE, sites=("handler", "patch"), roles=("unit", "write"), snapshots=("direct", "direct"))
    either = frozenset(["handler"]), frozenset(["patch"])
    crossed = (
        *(Lock("entry", "transaction", either[0]), Lock("store", "merge", either[0])),
        *(Lock("store", "transaction", either[1]), Lock("entry", "merge", either[1])),
    )
    discipline = Discipline(frozenset(), case.snapshots, crossed, (None, None))
    step = {"prepare": 1.0, "hold": 0.125}
    workload = validated(
        Workload,
        {
            "workload": "crossed", "about": "", "case": "", "duration": 8, "sessions": {"count": 1}, "values": {},
            "times": {"handler": step, "patch": step},
            "traffic": {
                "turn": {"rate": 1, "arrivals": {"kind": "recorded", "times": [0.0, 2.0, 6.0]}, "steps": {"handler": []}},
                "write": {"rate": 1, "arrivals": {"kind": "recorded", "times": [2.5]}, "steps": {"patch": []}},
            },
        },
        "crossed",
    )  # fmt: skip
    traffic = draw(workload, case, 1, 0)
    for simulate in (compiled_model.simulate, simpy_model.simulate):
        history = simulate(workload, case, traffic, discipline)
        assert history.end.tolist() == [1.125]
        waiting = stuck(traffic, history)
        assert (waiting.flow.tolist(), waiting.site.tolist(), waiting.began.tolist()) == ([1, 2, 3], [0, 1, 0], [2, 2.5, 6])
        found = effort(case, history, discipline, 8.0, waiting)
        assert (found.units_begun, found.units_failed) == (3, 2)
        assert (found.open_middle, found.open_end, found.began_late) == (2, 3, 1)


def test_of_a_flow_that_waits_for_ever_the_step_that_it_has_come_to_is_open() -> None:
    rows = timeline(Row("handler", 0, 1, 2, flow=0), Row("handler", 5, 6, 7, ok=False, flow=1))
    history = tried(rows, [0, 3], [1, 1], [COMMITTED, FAILED], base=[-1, -1], seen=[0, 1], began=[0, 5])
    first, site = np.array([0, 2, 4]), np.array([SITES.index(name) for name in ("handler", "run_start") * 2])
    names = {"arrive": np.array([0.0, 5.0]), "kind": np.zeros(2, np.int64), "first": first, "site": site}
    traffic = cast(Traffic, SimpleNamespace(**names))
    waiting = stuck(traffic, history)
    assert [column.tolist() for column in waiting] == [[0], [SITES.index("run_start")], [2.0]]
    found = effort(CASE, history, GUARDED, 4.0, waiting)
    assert (found.units_begun, found.units_failed, found.open_end) == (2, 2, 1)
    assert not stuck(traffic, replace(history, attempts=None)).flow.size
