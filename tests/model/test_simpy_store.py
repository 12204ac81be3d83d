"""Locks of every scope and span, every kind of snapshot and every way to store, in schedules worked out by hand.

Both engines are asked, see `by_hand`. A handler prepares for 1 s and holds for 1 s unless it says otherwise.
"""

import pytest
from by_hand import guarded, told
from schedules import CASE

from simlib.case.discipline import Guard, Lock

EVERY = frozenset(CASE.sites)
TIMES = {
    "handler": {"prepare": 1, "hold": 1},
    "run_start": {"after": 2, "hold": 1},
    "patch": {"hold": 0.5},
    "inbound": {"hold": 0.5},
}
TWO = {"gateways": 2, "mtime_tick": 0}


def locks(*spans, scope="store", sites=EVERY, **more):
    """A lock of each of these spans."""
    return tuple(Lock(scope, span, frozenset(sites), **more) for span in spans)


def ends(rows):
    """Flow, outcome, grant and end of each attempt."""
    return [(row.flow, row.outcome, row.lock, row.end) for row in rows]


def snapshots(*words):
    """A discipline's snapshots, given those of some sites as SITE=WORD."""
    asked = dict(word.split("=") for word in words)
    return tuple(asked.get(site, usual) for site, usual in zip(CASE.sites, CASE.snapshots, strict=True))


# ---- locks -----------------------------------------------------------------------------------------------------------------


def test_a_lock_of_an_entry_lets_two_sessions_overlap_and_one_session_wait():
    traffic = {"one": (["patch"], [0.0]), "other": (["patch"], [0.1]), "same": (["patch"], [0.2])}
    sessions = [0, 1, 0]
    expected = [("one", "committed", 0, 0.5), ("other", "committed", 0.1, 0.6), ("same", "committed", 0.5, 1.0)]
    assert ends(told(traffic, TIMES, sessions=sessions, locks=locks("merge", scope="entry"))) == expected


def test_a_lock_for_the_transaction_is_taken_before_the_read_and_kept_to_the_commit():
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [0.5]), "late": (["handler"], [0.6])}
    rows = told(traffic, TIMES, locks=locks("transaction"))
    assert ends(rows) == [("turn", "committed", 1, 2), ("patch", "committed", 2, 2.5), ("late", "committed", 3.5, 4.5)]
    assert [(row.read, row.snapshot) for row in rows] == [(0, None), (2, "turn"), (2.5, "patch")]


def test_a_lock_for_the_flow_is_kept_until_the_flow_ends():
    traffic = {"turn": (["handler", "run_start"], [0.0]), "patch": (["patch"], [0.5])}
    rows = told(traffic, TIMES, locks=locks("flow"))
    assert ends(rows) == [("turn", "committed", 1, 2), ("turn", "committed", 4, 5), ("patch", "committed", 5, 5.5)]


def test_a_lock_for_the_flow_is_taken_by_the_first_transaction_that_asks_for_it():
    traffic = {"turn": (["handler", "run_start"], [0.0]), "patch": (["patch"], [0.5])}
    rows = told(traffic, TIMES, locks=locks("flow", sites=["run_start", "patch"]) + locks("merge"))
    # The patch has both locks from 0.5 to 1; the handler's merge does not wait for the flow's lock, which is the same lock.
    assert ends(rows) == [("patch", "committed", 0.5, 1), ("turn", "committed", 1, 2), ("turn", "committed", 4, 5)]


def test_the_locks_of_the_store_and_of_an_entry_do_not_exclude_each_other():
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [1.2])}
    mixed = locks("merge", sites=["handler"]) + locks("merge", scope="entry", sites=["patch"])
    assert ends(told(traffic, TIMES, locks=mixed)) == [("patch", "committed", 1.2, 1.7), ("turn", "committed", 1, 2)]


def test_a_lock_with_a_time_out_of_zero_is_refused_at_once():
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [1.5]), "free": (["patch"], [2.0])}
    expected = [("patch", "timed_out", 1.5, 1.5), ("turn", "committed", 1, 2), ("free", "committed", 2, 2.5)]
    assert ends(told(traffic, TIMES, locks=locks("merge", timeout=0.0))) == expected
    apart = {name: (*flow, [number]) for number, (name, flow) in enumerate(traffic.items())}
    assert ends(told(apart, TIMES, TWO | {"gateways": 3}, locks=locks("merge", timeout=0.0))) == expected


def test_the_time_out_of_a_lock_runs_from_when_a_writer_is_the_first_of_its_process_to_wait():
    traffic = {"there": (["inbound"], [0.0], [1]), "first": (["patch"], [0.5], [0]), "second": (["patch"], [0.6], [0])}
    rows = told(traffic, TIMES | {"inbound": {"hold": 1}}, TWO, locks=locks("merge", timeout=0.3))
    # The first polls up to 0.8; only then does the second, at 0.85, 0.95 and 1.1, when it has waited for 0.5 s in all.
    assert ends(rows) == [("first", "timed_out", 0.8, 0.8), ("there", "committed", 0, 1), ("second", "committed", 1.1, 1.6)]


def test_who_goes_on_without_the_lock_overwrites_what_is_committed_meanwhile():
    traffic = {"turn": (["handler"], [0.0], [0]), "patch": (["patch"], [1.9], [1])}
    times = TIMES | {"handler": {"prepare": 1, "hold": 3}, "patch": {"hold": 2}}
    rows = told(traffic, times, TWO, locks=locks("merge", timeout=0.1, late="go_on"))
    # The patch polls at 1.95 and at 2.05, and goes on; it has read the base at 2.05, before the handler's commit.
    assert ends(rows) == [("turn", "committed", 1, 4), ("patch", "committed", 2.05, 4.05)]
    assert [row.base for row in rows] == [None, None]


def test_a_wider_lock_that_comes_too_late_ends_the_flow_before_its_read():
    traffic = {"turn": (["handler"], [0.0], [0]), "other": (["handler", "run_start"], [0.5], [1])}
    rows = told(traffic, TIMES | {"handler": {"prepare": 9, "hold": 1}}, TWO, locks=locks("flow", timeout=0.3))
    # It polls at 0.5, 0.55, 0.65 and 0.8, which is the first time after 0.3 s.
    assert ends(rows) == [("other", "timed_out", 0.8, 0.8), ("turn", "committed", 9, 10)]
    assert rows[0].read == 0.5


# ---- snapshots -------------------------------------------------------------------------------------------------------------


def test_a_direct_read_goes_past_the_cache_and_own_through_it():
    traffic = {
        "early": (["handler"], [0.0], [1]),
        "patch": (["patch"], [0.5], [0]),
        "late": (["handler"], [1.5], [1]),
    }
    times = TIMES | {"handler": {"prepare": 100, "hold": 1}}
    tick = TWO | {"mtime_tick": 10}
    for word, seen in (("own", None), ("direct", "patch")):
        rows = told(traffic, times, tick, snapshots=snapshots(f"handler={word}"), guards=guarded(Guard("version"), "inbound"))
        assert [row.snapshot for row in rows if row.flow == "late"] == [seen]


def test_a_lagged_read_shows_what_had_ended_so_long_before():
    traffic = {"first": (["patch"], [0.0]), "second": (["patch"], [2.0]), "turn": (["handler"], [3.0])}
    for lag, seen in ((0, "second"), (0.5, "second"), (0.6, "first"), (2.6, None)):
        rows = told(traffic, TIMES | {"handler": {"hold": 1, "lag": lag}}, snapshots=snapshots("handler=lagged"))
        assert rows[-1].snapshot == seen


def test_a_memory_holds_what_the_process_last_read_or_committed_itself():
    traffic = {
        "loads": (["handler"], [0.0], [1]),
        "other": (["patch"], [5.0], [0]),
        "remembers": (["handler"], [6.0], [1]),
        "again": (["handler"], [10.0], [1]),
        "there": (["handler"], [14.0], [0]),
    }
    rows = told(traffic, TIMES, TWO, snapshots=snapshots("handler=memory"))
    seen = {row.flow: (row.snapshot, row.base) for row in rows if row.site == "handler"}
    assert seen == {
        "loads": (None, None),
        "remembers": ("loads", "other"),
        "again": ("remembers", "remembers"),
        "there": ("other", "again"),
    }


# ---- what is stored --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stores", "base"), [("entry", None), ("fields", "patch")])
def test_without_a_lock_an_entry_is_merged_over_what_was_read_and_fields_over_what_is_there(stores, base):
    traffic = {"turn": (["handler"], [0.0]), "patch": (["patch"], [1.2])}
    rows = told(traffic, TIMES, locks=(), stores=stores)
    assert ends(rows) == [("patch", "committed", 1.2, 1.7), ("turn", "committed", 1, 2)]
    assert rows[1].base == base


def test_who_stores_the_whole_store_puts_other_sessions_back():
    traffic = {
        "old": (["patch"], [0.0]),
        "turn": (["handler"], [1.0]),
        "new": (["patch"], [2.2]),
        "next": (["patch"], [4.0]),
    }
    rows = told(traffic, TIMES, sessions=[1, 0, 1, 1], locks=(), stores="store")
    assert [row.flow for row in rows] == ["old", "new", "turn", "next"]
    assert rows[1].base == "old"
    assert rows[3].snapshot == "old"  # the handler of session 0 has read the store at 2, before `new` was there


def test_a_copy_of_a_store_is_put_back_to_what_an_older_copy_had():
    # `slow` and `slower` read the store before `new` and after it: the last one to write brings `new` back.
    traffic = {
        "slow": (["handler"], [0.0]),
        "new": (["patch"], [1.1]),
        "slower": (["inbound"], [1.7]),
        "last": (["patch"], [9.0]),
    }
    times = TIMES | {"handler": {"prepare": 1, "hold": 1}, "inbound": {"hold": 3}}
    rows = told(traffic, times, sessions=[0, 1, 2, 1], locks=(), stores="store")
    assert [(row.flow, row.end) for row in rows] == [("new", 1.6), ("slow", 2), ("slower", 4.7), ("last", 9.5)]
    assert rows[3].snapshot == "new"
