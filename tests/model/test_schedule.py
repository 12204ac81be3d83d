"""Schedules by hand: what they tell, against what is told of them here, and what is refused."""

import numpy as np
import pytest
from schedules import CASE

from simlib.model.schedule import commit, give_up, history_of, read


def test_a_schedule_tells_who_read_what_and_when():
    schedule = [
        read("handler"),
        commit("patch", label="B"),
        read("run_start 2"),
        commit("handler"),
        commit("run_start 2"),
        give_up("patch 2", label=None),
        commit("run_end 2"),
        commit("patch", 1, thinkingLevel="high"),
    ]
    history = history_of(CASE, schedule, {"label": "A"}, sessions=2)
    history.check(CASE)
    assert [CASE.sites[site] for site in history.site] == ["patch", "handler", "run_start", "patch", "run_end", "patch"]
    assert history.snapshot.tolist() == [-1, -1, 0, 2, 0, -1]  # the run's end has what its start has read
    assert history.read.tolist() == [1, 0, 2, 5, 6, 7]
    assert history.end.tolist() == [1, 3, 4, 5, 6, 7]
    assert history.ok.tolist() == [True, True, True, False, True, True]
    assert history.session.tolist() == [0, 0, 0, 0, 0, 1]
    label, level = (CASE.request.index(key) for key in ("label", "thinkingLevel"))
    assert history.request[[0, 3, 5], [label, label, level]].tolist() == [2, 0, 1]  # A is 1
    assert np.flatnonzero(history.initial[1]).tolist() == [CASE.fields.index("label")]


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ([read("handlr")], "schedule: write site 'handlr' is not in case openclaw-70575; did you mean 'handler'?"),
        ([commit("patch", lable="B")], "schedule: 'lable' is not in case openclaw-70575; did you mean 'label'?"),
        ([commit("patch", 2, label="B")], "no session 2; allowed: 0 to 0"),
    ],
)
def test_what_the_case_does_not_have_is_refused(refused, schedule, said):
    assert said in refused(history_of, CASE, schedule)


def test_a_field_that_no_entry_has_is_refused(refused):
    assert "'to' is not in case" in refused(history_of, CASE, [], {"to": "me"})
