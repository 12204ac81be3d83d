"""The moves of the search against the model: what a snapshot of a run shows, the search must have shown as well."""

import numpy as np
import pytest
from generators import SEEDS
from hypothesis import given, settings
from hypothesis import strategies as st
from schedules import CASE

from simlib.case.case import Scope
from simlib.case.snapshots import NO_COMMIT, OWN, kinds
from simlib.common.files import validated
from simlib.model import compiled_model, simpy_model, simpy_store
from simlib.model.history import History
from simlib.search.dependencies import find_cone, tabulate
from simlib.search.statespace import CACHED, NEWEST, make_system, moves, room_for_moves
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

FLOWS = {
    "turn": ("handler", "run_start", "run_end"),
    "run": ("run_start", "run_end"),
    "patch": ("patch",),
    "inbound": ("inbound",),
}
MOST_FLOWS, MOST_COMMITS = 4, 8
"""What fits into the number of a state."""
EXAMPLES, REPLICATES = 15, 6
KINDS = kinds(CASE.snapshots)
STRATEGY = CASE.strategies["all-sites"]
CONE = find_cone(CASE, STRATEGY, CASE.fields.index("label"))
COMMITS = tabulate(CASE, STRATEGY, CONE)

Event = tuple[float, int, str]
"""Time, row of the history, and `read` or `commit`."""


@st.composite
def workloads(draw: st.DrawFn, least: int, most: int) -> Workload:
    """A few flows on one session within two seconds, on so many gateways; no two things happen at one time."""
    names = draw(st.lists(st.sampled_from(list(FLOWS)), min_size=2, max_size=3, unique=True))
    pause = st.builds(lambda mean: {"dist": "exponential", "mean": mean}, st.sampled_from([0.02, 0.3]))
    data = {
        "workload": "drawn", "about": "drawn by hypothesis", "case": CASE.name, "duration": 2, "sessions": {"count": 1},
        "store": {
            "gateways": draw(st.integers(least, most)),
            "cache_ttl": draw(st.sampled_from([0.1, 45.0])),
            "mtime_tick": draw(st.sampled_from([0.0, 10.0])),
            "lock_timeout": draw(st.sampled_from([0.1, 10.0])),
        },
        "values": dict.fromkeys(CASE.domains.values(), 2),
        "traffic": {name: {"rate": 1.5, "steps": {site: [] for site in FLOWS[name]}} for name in names},
        "times": {site: {"after": draw(pause), "prepare": draw(pause), "hold": draw(pause)} for site in CASE.sites},
    }  # fmt: skip
    return validated(Workload, data, "drawn workload")


def beginning(history: History) -> tuple[list[Event], list[int]]:
    """What happened, in order, for as long as it is of no more than MOST_FLOWS flows and MOST_COMMITS; and those flows."""
    own = np.flatnonzero(KINDS[history.site] == OWN)
    events = [(history.read[row], int(row), "read") for row in own]
    events += [(history.end[row], int(row), "commit") for row in np.flatnonzero(history.ok)]
    flows: list[int] = []
    commits = 0
    for number, (_, row, what) in enumerate(sorted(events)):
        flow, commits = int(history.flow[row]), commits + (what == "commit")
        if commits > MOST_COMMITS or (flow not in flows and len(flows) == MOST_FLOWS):
            return sorted(events)[:number], flows
        flows += [flow] * (flow not in flows)
    return sorted(events), flows


def first_not_allowed(history: History, stale_reads: int) -> Event | None:
    """The first event of the beginning that is no move of the search, in whose scope each flow is a process of its own."""
    events, flows = beginning(history)
    if not events:
        return None
    names = [history.kinds[history.kind[np.flatnonzero(history.flow == flow)[0]]] for flow in flows]
    system = make_system(CASE, Scope("drawn", tuple((name, FLOWS[name]) for name in names)), stale_reads, CONE, COMMITS)
    after, move = room_for_moves(system)
    state = np.zeros(system.radix.size, dtype=np.int64)
    commits: list[int] = []
    held: dict[int, int] = {}  # slot -> how many commits what it holds has seen
    for event in events:
        _, row, what = event
        flow, shown = flows.index(history.flow[row]), 0
        if history.snapshot[row] >= 0:
            shown = commits.index(history.snapshot[row]) + 1
        slot, age = system.slot[flow, state[flow]], len(commits) - shown
        if what == "commit" and slot >= 0:
            if held[slot] != shown:
                return event
            age = 0  # what is held was as old as it was when it was read
        wanted = [flow, history.site[row], what == "read", age]
        made = [number for number in range(moves(system, state, after, move)) if move[number, :4].tolist() == wanted]
        if not made:
            return event
        state = after[made[0]].copy()
        if what == "commit":
            commits.append(row)
        else:
            held[slot] = shown
    return None


def refused(simulate, workload: Workload, seed: int, stale_reads: int) -> list[Event]:
    """The first event that is not allowed in each replicate that has one."""
    histories = [simulate(workload, CASE, draw(workload, CASE, seed, replicate)) for replicate in range(REPLICATES)]
    return [event for history in histories if (event := first_not_allowed(history, stale_reads))]


def noticed(least: int, most: int, stale_reads: int) -> bool:
    """Whether any run on so many gateways is not allowed."""
    events: list[Event] = []

    @settings(max_examples=EXAMPLES)
    @given(workload=workloads(least, most), seed=SEEDS)
    def try_one(workload, seed):
        events.extend(refused(simpy_model.simulate, workload, seed, stale_reads))

    try_one()
    return bool(events)


@pytest.mark.parametrize("simulate", [simpy_model.simulate, compiled_model.simulate], ids=["simpy", "compiled"])
@settings(max_examples=EXAMPLES)
@given(workload=workloads(2, 3), seed=SEEDS)
def test_what_runs_on_several_processes_show_is_allowed_with_enough_stale_reads(simulate, workload, seed):
    assert refused(simulate, workload, seed, MOST_COMMITS) == []


def test_several_processes_do_need_stale_reads_and_one_does_not():
    assert noticed(2, 3, 0)
    assert not noticed(1, 1, 0)


@pytest.mark.parametrize(("least", "most", "stale_reads"), [(1, 1, 0), (2, 3, MOST_COMMITS)])
def test_a_model_that_shows_one_commit_too_few_is_noticed(monkeypatch, least, most, stale_reads):
    shows = simpy_store.StoreFile.shows

    def too_old(file, session, seen):
        commit = shows(file, session, seen)
        return commit if commit == NO_COMMIT else file.previous[commit]

    monkeypatch.setattr(simpy_store.StoreFile, "shows", too_old)
    assert noticed(least, most, stale_reads)


def test_the_tables_of_a_scope_against_its_flows_by_hand():
    # spawn: patch commits; handler reads, commits; run_start reads, commits; run_end commits with the same snapshot.
    flows = (("spawn", ("patch", "handler", "run_start", "run_end")), ("inbound", ("inbound",)))
    system = make_system(CASE, Scope("by hand", flows), 2, CONE, COMMITS)
    patch, handler, run_start, run_end, inbound = (CASE.sites.index(site) for site in (*flows[0][1], "inbound"))
    assert system.length.tolist() == [6, 1]
    assert system.site[0].tolist() == [patch, handler, handler, run_start, run_start, run_end]
    assert system.reads[0].tolist() == [0, 1, 0, 1, 0, 0]
    assert system.slot[0].tolist() == [NEWEST, 0, 0, 1, 1, 1]
    assert system.frees[0].tolist() == [0, 0, 1, 0, 0, 1]
    assert system.asks_cache[0].tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert [column[1, 0] for column in (system.site, system.reads, system.slot, system.frees)] == [inbound, 0, CACHED, 0]
    assert system.asks_cache[1, :2].tolist() == [1, 0]
    # Steps made; how old an entry may be shown; the newest entry and two older ones, and two slots, of three values each.
    assert system.radix.tolist() == [7, 2, 3, 3, 3, 3, 3, 3, 3]
    assert not system.alike.any()  # this strategy looks at no snapshot, so all are alike
