"""Tallies and costs against counting by hand, row by row in plain Python."""

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from generators import entries, schedules
from hypothesis import given
from hypothesis import strategies as st
from schedules import CASE, FIELDS, SITES, commit, give_up, history_of, read

from simlib.case.case import load_case
from simlib.model.compiled_model import simulate
from simlib.model.history import History
from simlib.replay.counts import Tally, cost, count_json, tally, unit_rows
from simlib.replay.histograms import EDGES
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes, replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

FLOW_KINDS = ("turn", "patch", "inbound", "spawn")


def with_flows(history: History, flow: list[int], kinds: list[str]) -> History:
    """The rows as parts of these flows; `kinds` names the kind of each flow."""
    kind = np.array([FLOW_KINDS.index(kinds[one]) for one in flow], dtype=np.int64)
    return dataclasses.replace(history, kinds=FLOW_KINDS, kind=kind, flow=np.array(flow, dtype=np.int64))


def counted(strategy: str, history: History) -> tuple[Tally, Outcomes, Outcomes]:
    outcomes, serial = (replay_strategy(CASE, rules, history) for rules in (CASE.strategy(strategy), CASE.reference))
    return tally(CASE, outcomes, serial), outcomes, serial


def bins(times: list[float]) -> list[int]:
    """How many times lie in each bin, counted one by one; those beyond the last edge are in the last bin."""
    found = [0] * (len(EDGES) - 1)
    for time in times:
        found[max((number for number in range(len(found)) if EDGES[number] <= time), default=0)] += 1
    return found


@pytest.mark.parametrize("strategy", ["replace", "before-19328", "sketch-70575", "all-sites"])
@given(data=st.data(), schedule=schedules(), initial=entries())
def test_a_tally_against_counting_row_by_row(strategy: str, data: st.DataObject, schedule: list[Any], initial: Any) -> None:
    plain = history_of(schedule, initial, sessions=2)
    size = len(plain)
    flow = data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size))
    kinds = data.draw(st.lists(st.sampled_from(FLOW_KINDS), min_size=5, max_size=5))
    history = with_flows(plain, flow, kinds)
    found, outcomes, serial = counted(strategy, history)
    site, ok = [SITES[number] for number in history.site], history.ok.tolist()
    unit = [is_ok and where not in ("patch", "inbound") for where, is_ok in zip(site, ok, strict=True)]
    clobbers = outcomes.clobbers
    culprits, racing = clobbers.culprit.tolist(), clobbers.racing.tolist()
    assert unit_rows(CASE, history).tolist() == unit
    assert found.units == len({flow[row] for row in range(size) if unit[row]})
    assert found.clobbered_units == len({flow[row] for row in culprits if unit[row]})
    assert found.racing_units == len({flow[row] for row, races in zip(culprits, racing, strict=True) if races and unit[row]})
    assert (found.writes, found.lost) == (sum(outcomes.writes.tolist()), sum(outcomes.lost.tolist()))
    table = Counter(
        zip((SITES.index(site[row]) for row in culprits), clobbers.field.tolist(), clobbers.kind.tolist(), racing, strict=True)
    )
    assert {tuple(place): found.clobbers[tuple(place)] for place in np.argwhere(found.clobbers)} == dict(table)
    assert found.clobbers.shape == (len(SITES), len(FIELDS), len(KINDS), 2)
    assert found.transactions.tolist() == [sum(w == s and k for w, k in zip(site, ok, strict=True)) for s in SITES]
    assert found.clobbering.tolist() == [len({row for row in culprits if site[row] == s}) for s in SITES]
    stood = [until - history.end[row] for until, row in zip(clobbers.until.tolist(), culprits, strict=True)]
    assert found.stood.tolist() == bins([time for time in stood if np.isfinite(time)])
    assert found.standing == sum(not np.isfinite(time) for time in stood)
    for noticed, (happened, possible) in zip(CASE.noticed, found.noticed.tolist(), strict=True):
        rows = [row for row in range(size) if ok[row] and kinds[flow[row]] in noticed.flows]
        if noticed.after >= 0:
            rows = [row for row in rows if history.site[row] == noticed.after]
        else:
            rows = list({flow[row]: row for row in rows}.values())
        differ = [any(outcomes.entries[row, f] != serial.entries[row, f] for f in noticed.fields) for row in rows]
        assert (happened, possible) == (sum(differ), len(rows))


def test_a_spawn_that_loses_its_model_is_noticed_at_its_handler_and_a_turn_at_its_end() -> None:
    """A spawn sets the model while a turn is under way, and the turn's handler writes the model it had read back."""
    schedule = [
        read("handler 1"),
        commit("patch 2", modelOverride="m2", lastTo="u2"),
        commit("handler 1"),  # reverts the model and lastTo
        read("handler 2"),
        commit("handler 2"),
        commit("patch 2b", lastTo="u2"),  # the spawn's last row: the delivery target is right again
    ]
    initial: dict[str, str | None] = {"modelOverride": "m1", "lastTo": "u1"}
    history = with_flows(history_of(schedule, initial), [1, 0, 1, 1], ["turn", "spawn"])
    found, *_ = counted("before-19328", history)
    assert [noticed.name for noticed in CASE.noticed] == ["wrong_model", "misrouted_reply"]
    assert found.noticed.tolist() == [[1, 1], [1, 2]]
    assert (found.units, found.clobbered_units, found.racing_units) == (2, 1, 1)
    assert (found.writes, found.lost) == (3, 2)
    assert found.standing == 1  # the model
    assert found.stood.tolist() == bins([3.0])  # lastTo, from the first handler at 2 to the last patch at 5


def test_a_clobber_without_concurrency_is_no_racing_unit() -> None:
    """The sketch erases a group field that neither request nor parent names."""
    history = history_of([read("handler"), commit("handler")], {"groupId": "g"})
    found, *_ = counted("sketch-70575", history)
    assert (found.units, found.clobbered_units, found.racing_units) == (1, 1, 0)
    assert found.clobbers[0, FIELDS.index("groupId"), KINDS.index("erased")].tolist() == [1, 0]


def test_a_case_in_which_nobody_notices_anything_has_an_empty_table() -> None:
    history = history_of([commit("patch", label="B")])
    silent = dataclasses.replace(CASE, noticed=())
    serial = replay_strategy(silent, silent.reference, history)
    assert tally(silent, serial, serial).noticed.shape == (0, 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1e-7, 0.3, 50.0, 3e6]),
            st.sampled_from([0.0, 1e-6, 0.02, 2e6]),
            st.booleans(),
            st.floats(0, 9),
        ),
        max_size=8,
    )
)
def test_a_cost_against_counting_row_by_row(rows: list[tuple[float, float, bool, float]]) -> None:
    """A row waits, then holds the lock (or gives up), and began to queue at some time."""
    schedule = [commit("patch", label="B") if ok else give_up("patch") for _, _, ok, _ in rows]
    columns = np.array([(at, at + wait, at + wait + hold) for wait, hold, _, at in rows]).reshape(-1, 3).T
    history = history_of(schedule) if rows else empty()
    history = dataclasses.replace(history, **dict(zip(("queued", "lock", "end"), columns, strict=True)))
    found = cost(history)
    waits = [lock - queued for queued, lock in zip(history.queued.tolist(), history.lock.tolist(), strict=True)]
    holds = [e - lo for lo, e, ok in zip(history.lock.tolist(), history.end.tolist(), history.ok.tolist(), strict=True) if ok]
    assert (found.ended, found.timeouts) == (len(rows), sum(not ok for _, _, ok, _ in rows))
    assert found.waited == pytest.approx(sum(waits))
    assert found.held == pytest.approx(sum(holds))
    assert found.waits.tolist() == bins(waits)
    assert found.holds.tolist() == bins(holds)
    assert found.span == max(history.end.tolist(), default=0.0)


@given(schedule=schedules(), initial=entries())
def test_a_history_whose_flows_have_very_large_numbers_counts_as_the_same_one_with_small_numbers(schedule, initial) -> None:
    """Such numbers come from files; nothing as large as they are is made."""
    history = history_of(schedule, initial, sessions=2)
    large = dataclasses.replace(history, flow=history.flow * 1_000_003 + 2**30)
    for one, other in zip(*(vars(counted("before-19328", rows)[0]).values() for rows in (history, large)), strict=True):
        assert np.array_equal(one, other)


def empty() -> History:
    """A history without transactions."""
    one = history_of([commit("patch", label="B")])
    none = np.empty(0, dtype=np.int64)
    columns = dict.fromkeys(("flow", "kind", "site", "session", "gateway", "snapshot"), none)
    return dataclasses.replace(one, **columns, ok=none.astype(bool), read=none.astype(float), request=one.request[:0])


def test_nothing_happened_counts_nothing() -> None:
    history = dataclasses.replace(empty(), **dict.fromkeys(("queued", "lock", "end"), np.empty(0)))
    found, *_ = counted("replace", history)
    assert (found.units, found.clobbered_units, found.racing_units, found.writes, found.lost, found.standing) == (0,) * 6
    assert not any(table.any() for table in (found.clobbers, found.transactions, found.clobbering, found.noticed, found.stood))


def test_a_table_of_clobbers_is_printed_without_its_zeros() -> None:
    table = np.zeros((len(FIELDS), len(KINDS)), dtype=np.int64)
    table[FIELDS.index("label"), [KINDS.index("erased"), KINDS.index("overtaken")]] = 2, 5
    table[FIELDS.index("channel"), KINDS.index("reverted")] = 1
    found = count_json(CASE, table)
    assert found == {"label": {"erased": 2, "overtaken": 5}, "channel": {"reverted": 1}}
    assert all(type(count) is int for kinds in found.values() for count in kinds.values())


@pytest.mark.parametrize("strategy", ["store-all", "store-changed"])
def test_a_case_whose_sites_all_write_counts_each_write_as_a_unit_against_the_same_case_with_units(strategy, tmp_path):
    text = """
case: tabs
title: t
baseline: store-all
fields: {a: {domain: d}, b: {domain: d}}
sites: {save: {role: ROLE, snapshot: own}}
reference: {save: {"*": {value: request.*, when: requested}}}
strategies:
  store-all: {title: t, sites: {save: {"*": "request.* ?? stale.*"}}}
  store-changed: {title: t, sites: {save: reference}}
"""
    flow = {"rate": 5, "steps": {"save": [{"ask": ["a"]}, {"ask": ["b"]}]}}
    times = {"save": {"prepare": 0.1, "hold": 0.01}}
    keys = {"workload": "w", "about": "a", "case": "c", "duration": 60, "sessions": {"count": 2}, "values": {"d": "many"}}
    workload = Workload.model_validate({**keys, "traffic": {"save": flow}, "times": times})
    counted = []
    for role in ("unit", "write"):
        (tmp_path / f"{role}.yaml").write_text(text.replace("ROLE", role))
        case = load_case(str(tmp_path / f"{role}.yaml"))
        history = simulate(workload, case, draw(workload, case, 1, 0))
        outcomes = replay_strategy(case, case.strategy(strategy), history)
        counted.append(tally(case, outcomes, outcomes))
    unit, write = counted
    assert write.units == unit.units == len(history)
    assert write.clobbered_units == unit.clobbered_units
    assert (write.clobbered_units > 0) == (strategy == "store-all")
