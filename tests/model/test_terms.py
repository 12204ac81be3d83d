"""Guards, attempts and pauses in schedules worked out by hand, in both engines; and the draws of later attempts."""

from dataclasses import replace

import numpy as np
import pytest
from by_hand import guarded, told, workload_of
from schedules import CASE

from simlib.case.discipline import Guard, Lock, Pause
from simlib.model.plan import make_plan
from simlib.model.terms import Timetable
from simlib.workload.traffic import Streams, draw

TIMES = {
    "handler": {"prepare": 1, "compute": 0.25, "hold": 1},
    "run_start": {"after": 2, "hold": 1},
    "patch": {"hold": 0.5},
    "inbound": {"hold": 0.5},
}
RACE = {"turn": (["handler"], [0.0]), "patch": (["patch"], [0.5])}
"""A handler reads at 0 and queues at 1.25; meanwhile a patch commits, at 1."""


def attempts(rows, flow="turn"):
    """Number, outcome, read, lock, end and snapshot of each attempt of a flow."""
    return [row[2:8] for row in rows if row.flow == flow]


def handler(**more):
    """The guards of a discipline: one at the handler."""
    return guarded(Guard(**{"compared": "version", "attempts": 2} | more), "handler")


def test_a_conflict_lets_go_of_the_lock_and_the_next_attempt_commits():
    rows = told(RACE, TIMES, guards=handler())
    assert attempts(rows) == [(1, "conflict", 0, 1.25, 1.25, None), (2, "committed", 1.25, 2.5, 3.5, "patch")]
    assert rows[1].base == "patch"


@pytest.mark.parametrize(
    ("used_up", "ends"),
    [
        ("fail", [("handler", "failed")]),
        ("skip", [("handler", "skipped"), ("run_start", "committed")]),
        ("write", [("handler", "committed"), ("run_start", "committed")]),
    ],
)
def test_when_attempts_are_used_up(used_up, ends):
    traffic = {"turn": (["handler", "run_start"], [0.0]), "patch": (["patch"], [0.5])}
    rows = told(traffic, TIMES, guards=handler(attempts=1, used_up=used_up))
    assert [(row.site, row.outcome) for row in rows if row.flow == "turn"] == ends


def test_only_the_patch_is_made_again_and_before_the_lock_unless_it_is_computed_there():
    assert attempts(told(RACE, TIMES, guards=handler(again="patch")))[1] == (2, "committed", 1.25, 1.5, 2.5, "patch")
    inside = told(RACE, TIMES, guards=handler(again="patch"), in_lock=frozenset({"handler"}))
    assert attempts(inside) == [(1, "conflict", 0, 1, 1, None), (2, "committed", 1, 1, 2.25, "patch")]


def test_a_pause_outside_the_lock_lets_others_in_and_one_inside_does_not():
    traffic = RACE | {"late": (["inbound"], [1.5])}
    pause = Pause(first=1)
    rows = told(traffic, TIMES, guards=handler(again="patch", pause=pause))
    assert [(row.flow, row.lock) for row in rows] == [("patch", 0.5), ("turn", 1.25), ("late", 1.5), ("turn", 2.5)]
    rows = told(traffic, TIMES, guards=handler(again="patch", pause=pause._replace(in_lock=True)))
    assert [(row.flow, row.lock) for row in rows] == [("patch", 0.5), ("turn", 1.25), ("turn", 2.5), ("late", 3.5)]


def test_pauses_grow_by_the_factor_up_to_the_cap():
    pause = Pause(first=1, factor=3, cap=5)
    rows = told(RACE, TIMES, guards=handler(compared="reordered_bytes", again="patch", attempts=4, pause=pause))
    reads = [row[2] for row in attempts(rows)]
    assert np.diff(reads).tolist() == [1.25 + 1, 0.25 + 3, 0.25 + 5]


def test_checking_takes_its_time_in_the_lock_whatever_it_finds():
    times = TIMES | {"handler": {"prepare": 1, "hold": 1, "check": 0.25}}
    assert attempts(told(RACE, times, guards=handler())) == [
        (1, "conflict", 0, 1, 1.25, None),
        (2, "committed", 1.25, 2.25, 3.5, "patch"),
    ]


def test_without_a_lock_it_is_compared_in_the_moment_of_the_write_or_a_gap_before():
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [1.9])}  # the patch commits at 2.4
    times = TIMES | {"handler": {"prepare": 1, "hold": 1, "gap": 0.5}}
    early = told(traffic, times, locks=(), guards=handler(attempts=1))
    assert [(row.flow, row.outcome, row.end) for row in early] == [("turn", "committed", 2), ("patch", "committed", 2.4)]
    gap = told(traffic, times, locks=(), guards=handler(attempts=1, atomic=False))
    assert [(row.flow, row.outcome, row.end, row.base) for row in gap] == [
        ("patch", "committed", 2.4, None),
        ("turn", "committed", 2.5, None),  # over the entry that it had read, although the patch is there
    ]
    late = told(traffic | {"patch": (["patch"], [1.4])}, times, locks=(), guards=handler(attempts=1))
    assert [(row.flow, row.outcome, row.end) for row in late] == [("patch", "committed", 1.9), ("turn", "failed", 2)]


@pytest.mark.parametrize(
    ("request_of_patch", "fields", "outcome"),
    [
        ({"ask": ["label"]}, ("label",), "failed"),
        ({"ask": ["label"]}, ("channel",), "committed"),
        ({"clear": ["label"]}, ("label",), "committed"),  # it was not there before either
    ],
)
def test_fields_are_compared_by_value_not_by_who_wrote_them(request_of_patch, fields, outcome):
    traffic = {"turn": (["handler"], [0.0]), "patch": ({"patch": [request_of_patch]}, [0.5])}
    rows = told(traffic, TIMES, guards=handler(compared="fields", fields=fields, attempts=1), rules_of=CASE.baseline)
    assert attempts(rows)[0][1] == outcome


def test_an_owned_field_is_a_conflict_only_where_its_value_would_change():
    # The handler of 2026.4.22 writes back the label of its snapshot; nothing was there, and the patch has put one.
    rules = {"rules_of": "before-19328"}
    guards = handler(compared="owner", fields=("label",), attempts=1)
    for asked, outcome in (("label", "failed"), ("modelOverride", "committed")):
        traffic = {"turn": (["handler"], [0.0]), "patch": ({"patch": [{"ask": [asked]}]}, [0.5])}
        assert attempts(told(traffic, TIMES, guards=guards, **rules))[0][1] == outcome


def test_a_version_of_the_store_counts_other_sessions_too():
    for scope, outcome in (("entry", "committed"), ("store", "failed")):
        rows = told(RACE, TIMES, sessions=[0, 1], guards=handler(attempts=1, scope=scope))
        assert attempts(rows)[0][1] == outcome


def test_reordered_bytes_conflict_with_every_entry_that_was_ever_committed():
    traffic = {"turn": (["handler"], [0.0]), "again": (["handler"], [5.0])}
    rows = told(traffic, TIMES, guards=handler(compared="reordered_bytes", attempts=1))
    assert [row.outcome for row in rows] == ["committed", "failed"]


def test_attempts_are_made_within_a_lock_for_the_transaction():
    # The patch takes no lock, so that the handler's is of no use: its attempts follow each other all the same.
    lock = (Lock("store", "transaction", frozenset({"handler"})),)
    rows = told(RACE | {"other": (["handler"], [0.1])}, TIMES, guards=handler(), locks=lock)
    assert attempts(rows) == [(1, "conflict", 0, 1.25, 1.25, None), (2, "committed", 1.25, 2.5, 3.5, "patch")]
    assert attempts(rows, "other") == [(1, "committed", 3.5, 4.75, 5.75, "turn")]


def test_attempt_k_takes_the_element_of_its_own_stream_that_attempt_1_takes_of_its():
    exponential = {"dist": "exponential", "mean": 1.0}
    times = {"handler": {"prepare": exponential, "compute": 0.5, "hold": exponential}, "patch": {"hold": 1}}
    workload = workload_of({"turn": ({"handler": []}, 1.0), "patch": ({"patch": []}, 1.0)}, times, duration=50)
    traffic, pause = draw(workload, CASE, 3, 4), Pause(first=2, factor=2, jitter=0.5)
    discipline = replace(CASE.plain(), guards=guarded(Guard("version", attempts=3, pause=pause), "handler"))
    timetable = Timetable(workload, CASE, traffic, discipline, make_plan(CASE, traffic, discipline))
    handlers, streams = traffic.site == CASE.sites.index("handler"), Streams(3, 4)

    def stream(name):
        return streams.uniform(f"turn.handler.{name}", int(handlers.sum()))

    first, second, third = (timetable.attempt(number) for number in (1, 2, 3))
    assert np.array_equal(first.prepare[handlers], 0.5 - np.log1p(-stream("prepare")))
    assert np.array_equal(second.prepare[handlers], 0.5 - np.log1p(-stream("prepare#2")))
    assert np.array_equal(third.hold[handlers], -np.log1p(-stream("hold#3")))
    assert np.allclose(first.pause[handlers], 2 * (0.5 + stream("pause")))
    assert np.allclose(second.pause[handlers], 4 * (0.5 + stream("pause#2")))
    assert not third.pause.any()
    assert not second.hold[~handlers].any()
    table = timetable.attempts(3)
    assert np.array_equal(table.prepare[1], second.prepare)
