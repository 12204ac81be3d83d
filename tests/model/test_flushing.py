"""A timer that flushes every record of a process's memory, against a schedule written by hand, on both engines."""

from typing import Any

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.files import validated
from simlib.estimate.experiment import ENGINES, run
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

CASE = load_case("atlas-codex")
WINDOW, OTHER = 0, 1
"""Two processes: a window that holds three records in memory, and another program that holds them, too."""


def flow(gateway: int, site: str, times: list[float], sessions: str, *keys: str) -> dict[str, Any]:
    arrivals = {"kind": "recorded", "times": times}
    return {
        "rate": 0, "arrivals": arrivals, "gateways": [gateway], "sessions": sessions, "steps": {site: [{"ask": list(keys)}]},
    }  # fmt: skip


def workload(**traffic: dict[str, Any]) -> Workload:
    data = {
        "workload": "flush", "about": "written for a test", "case": CASE.name, "duration": 100, "replicates": 2,
        # A session of such an exponent gets what is for one session: the first.
        "sessions": {"count": 3, "popularity": "zipf", "exponent": 20, "initial": ["model", "approval", "servers"]},
        "store": {"gateways": 2},
        "values": {"name": "many", "level": "many", "list": "many"},
        "traffic": traffic,
        "times": {site: {"prepare": 0.01, "hold": 0.005} for site in CASE.sites},
    }  # fmt: skip
    return validated(Workload, data, "flush")


def clobbered(model: Workload, strategy: str, engine: str) -> list[tuple[float, int, str]]:
    """(time of the culprit's arrival, session, field) of each clobber, in order."""
    traffic = draw(model, CASE, 1, 0)
    history = ENGINES[engine](model, CASE, traffic, CASE.strategy(strategy).discipline)
    clobbers = replay_strategy(CASE, CASE.strategy(strategy), history).clobbers
    return sorted(
        (float(traffic.arrive[history.flow[row]]), int(history.session[row]), CASE.fields[field])
        for row, field in zip(clobbers.culprit, clobbers.field, strict=True)
    )


HISTORY = {
    "loads": flow(WINDOW, "settings", [0.0], "all"),
    "adds": flow(OTHER, "tool", [10.0], "one", "servers"),  # record 0 alone
    "flushes": flow(WINDOW, "settings", [20.0, 30.0, 60.0], "all"),
    "another": flow(OTHER, "settings", [40.0], "one", "model"),  # record 0, as it holds it
    "adds_to_all": flow(OTHER, "tool", [50.0], "all", "plugins"),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_flush_of_all_records_clobbers_is_what_another_process_wrote_since(engine: str) -> None:
    """A process holds what it last read or committed itself.

    The flush at 20 takes back the servers that the other process added to record 0 at 10; the one at 30 finds its own. At 40
    the other process changes the model of record 0, and writes the rest as it left it at 10: its servers come back. At 50 it
    adds a section to all three. The flush at 60 takes back all of that.
    """
    found = clobbered(workload(**HISTORY), "write-whole", engine)
    assert found == [
        (20.0, 0, "servers"), (40.0, 0, "servers"),
        (60.0, 0, "model"), (60.0, 0, "plugins"), (60.0, 0, "servers"), (60.0, 1, "plugins"), (60.0, 2, "plugins"),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flush_of_one_record_leaves_the_others_as_they_are(engine: str) -> None:
    history = {**HISTORY, "flushes": {**HISTORY["flushes"], "sessions": "one"}}
    assert {session for _, session, _ in clobbered(workload(**history), "write-whole", engine)} == {0}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flush_of_all_records_under_a_version_check_fails_where_it_would_clobber(engine: str) -> None:
    """The window's record 0 stays as it was at 0, so that every flush of it is rejected; of the others the one at 60 is.

    What the other process last committed to record 0 at 10 is still there at 40, as no flush of it got through.
    """
    model = workload(**HISTORY)
    assert clobbered(model, "version-check", engine) == []
    traffic = draw(model, CASE, 1, 0)
    history = ENGINES[engine](model, CASE, traffic, CASE.strategy("version-check").discipline)
    rejected = [(float(traffic.arrive[history.flow[row]]), int(history.session[row])) for row in np.flatnonzero(~history.ok)]
    assert rejected == [(20.0, 0), (30.0, 0), (60.0, 0), (60.0, 1), (60.0, 2)]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_flush_commits_record_by_record_in_order(engine: str) -> None:
    model = workload(loads=HISTORY["loads"])
    history = ENGINES[engine](model, CASE, draw(model, CASE, 1, 0), CASE.strategy("write-whole").discipline)
    assert history.session.tolist() == [0, 1, 2]
    assert history.ok.all()


def test_each_record_of_a_flush_is_a_unit_of_work() -> None:
    result = run(workload(**HISTORY), CASE, ["write-whole"])
    assert result.clobber_rate("write-whole").exposures.tolist() == [3 * 4 + 1] * 2
    assert result.clobber_rate("write-whole").totals.tolist() == [1 + 1 + 3] * 2
