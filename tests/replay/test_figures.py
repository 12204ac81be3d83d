"""The figures of a prediction against counting by hand, and against counting row by row in plain Python."""

import dataclasses
from typing import Any

import numpy as np
from generators import entries, schedules
from hypothesis import given
from hypothesis import strategies as st
from schedules import CASE, FIELDS, SITES, commit, give_up, history_of, read

from simlib.model.history import History
from simlib.replay.figures import tally
from simlib.replay.replay import Outcomes, replay_strategy

STRATEGIES = ("replace", "after-19328", "all-sites")
SCHEDULE = [
    commit("patch 0", label="A", lastTo="u0"),
    read("handler 1"),
    read("handler 2"),
    read("handler 3"),
    commit("patch 4", label="B"),
    commit("handler 1"),  # stale: label back to A; the victim is patch 4
    commit("patch 5", label="C", lastTo="u5"),
    commit("handler 2"),  # stale: label back to A, lastTo back to u0; twice patch 5 is the victim
    give_up("handler 3"),
    read("handler 6"),
    commit("handler 6"),  # up to date
]


def outcomes_of(history: History) -> list[Outcomes]:
    return [replay_strategy(CASE, CASE.strategy(name), history) for name in STRATEGIES]


def test_figures_by_hand() -> None:
    history = history_of(SCHEDULE)
    found = tally(CASE, outcomes_of(history), np.ones(len(history), dtype=bool))
    assert len(found) == 1 + len(STRATEGIES) * 2 * (1 + len(FIELDS))
    assert found["", "stale_snapshots"] == (2, 3)  # the handlers that committed
    assert found["after-19328", "clobber_rate"] == (2, 3)
    assert found["after-19328", "clobber_rate.label"] == (2, 3)
    assert found["after-19328", "clobber_rate.lastTo"] == (1, 3)
    assert found["after-19328", "clobber_rate.channel"] == (0, 3)
    assert found["after-19328", "lost_write_rate"] == (3, 5)
    assert found["after-19328", "lost_write_rate.label"] == (2, 5)
    assert found["after-19328", "lost_write_rate.lastTo"] == (1, 5)
    assert {count for (name, _), (count, _) in found.items() if name == "all-sites"} == {0}
    alone = tally(CASE, outcomes_of(history)[1:2], np.ones(len(history), dtype=bool))
    assert alone == {key: count for key, count in found.items() if key[0] in ("", "after-19328")}


def test_only_what_is_counted_counts_as_unit_as_victim_and_as_write() -> None:
    history = history_of(SCHEDULE)
    counted = np.ones(len(history), dtype=bool)
    counted[[1, 4]] = False  # patch 4 and handler 2
    found = tally(CASE, outcomes_of(history), counted)
    assert found["", "stale_snapshots"] == (1, 2)
    assert found["after-19328", "clobber_rate"] == (1, 2)
    assert found["after-19328", "clobber_rate.lastTo"] == (0, 2)
    assert found["after-19328", "lost_write_rate"] == (2, 4)  # of patch 0 and patch 5: what handler 2 did to it counts
    assert found["after-19328", "lost_write_rate.label"] == (1, 4)


def test_a_clobber_without_a_victim_is_no_lost_write_even_if_the_last_row_is_counted() -> None:
    schedule = [read("handler 1"), commit("handler 2", label="B"), commit("handler 1"), commit("patch", queueMode="q")]
    history = history_of(schedule, {"label": "A"})
    found = tally(CASE, outcomes_of(history), np.ones(len(history), dtype=bool))
    assert found["after-19328", "clobber_rate"] == (1, 2)
    assert found["after-19328", "lost_write_rate"] == (0, 1)


@given(data=st.data(), schedule=schedules(), initial=entries())
def test_figures_against_counting_row_by_row(data: st.DataObject, schedule: list[Any], initial: Any) -> None:
    history = history_of(schedule, initial, sessions=2)
    size = len(history)
    flow = data.draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))
    counted = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    history = dataclasses.replace(history, flow=np.array(flow))
    outcomes = outcomes_of(history)
    found = tally(CASE, outcomes, np.array(counted))
    site, ok, session = [SITES[number] for number in history.site], history.ok.tolist(), history.session.tolist()
    unit = [counted[row] and ok[row] and site[row] in ("handler", "run_start", "run_end") for row in range(size)]
    own = [row for row in range(size) if counted[row] and ok[row] and site[row] in ("handler", "run_start")]
    stale = [
        row
        for row in own
        if any(ok[other] and session[other] == session[row] for other in range(history.snapshot[row] + 1, row))
    ]
    assert found.pop(("", "stale_snapshots")) == (len(stale), len(own))
    units = len({flow[row] for row in range(size) if unit[row]})
    expected = {}
    for one in outcomes:
        clobbers = list(
            zip(one.clobbers.culprit.tolist(), one.clobbers.victim.tolist(), one.clobbers.field.tolist(), strict=True)
        )
        writes = sum(count for row, count in enumerate(one.writes.tolist()) if counted[row])
        for name, those in [("", clobbers), *((f".{f}", [c for c in clobbers if FIELDS[c[2]] == f]) for f in FIELDS)]:
            expected[one.strategy, f"clobber_rate{name}"] = len({flow[row] for row, _, _ in those if unit[row]}), units
            lost = sum(victim >= 0 and counted[victim] for _, victim, _ in those)
            expected[one.strategy, f"lost_write_rate{name}"] = lost, writes
    assert found == expected
