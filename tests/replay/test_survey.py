"""The survey of a history against looking through it by hand."""

import dataclasses

import numpy as np
from schedules import CASE, SITES, commit, give_up, history_of

from simlib.replay.replay import replay_strategy
from simlib.replay.survey import survey


def test_units_transactions_and_where_to_look_by_hand() -> None:
    """Rows 0 to 6: a turn of two steps, whose last one gives up; a patch; a spawn of three; one more turn."""
    schedule = [
        commit("handler"), give_up("run_start"), commit("patch", label="B"), commit("patch", modelOverride="opus"),
        commit("handler"), commit("run_start"), commit("handler"),
    ]  # fmt: skip
    history = history_of(schedule)
    history = dataclasses.replace(
        history, kinds=("turn", "patch", "spawn"), kind=np.array([0, 0, 1, 2, 2, 2, 0]), flow=np.array([0, 0, 1, 2, 2, 2, 3])
    )
    found = survey(CASE, replay_strategy(CASE, CASE.reference, history))
    assert found.units == 3
    assert dict(zip(SITES, found.transactions.tolist(), strict=True)) == {
        "handler": 3, "run_start": 1, "run_end": 0, "patch": 2, "inbound": 0,
    }  # fmt: skip
    assert [noticed.name for noticed in CASE.noticed] == ["wrong_model", "misrouted_reply"]
    wrong_model, misrouted_reply = np.split(found.looks.rows[: found.looks.ends[-1]], found.looks.ends[:1])
    assert wrong_model.tolist() == [4]  # a spawn's handler
    assert sorted(misrouted_reply) == [0, 5, 6]  # the last commit of each turn and spawn
    assert found.flows == 4
