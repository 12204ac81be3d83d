"""Locks, snapshots and guards as case files say them, against what they stand for; and what does not fit together."""

import copy

import pytest
import yaml

from simlib.case.case import load_case
from simlib.case.discipline import Guard, Lock, Pause
from simlib.common.errors import InputError

TINY = yaml.safe_load("""
case: tiny
title: a counter and a note
baseline: whole
fields: {count: {domain: n}, note: {domain: n}, owner: {domain: n}}
sites:
  save: {role: unit, snapshot: own}
  touch: {role: write, snapshot: none}
reference:
  save: {count: "request.* ?? fresh.*"}
  touch: {note: {value: request.*, when: requested}}
strategies:
  whole: {title: all of it, sites: {save: {count: "request.* ?? stale.*", note: stale.owner}, touch: reference}}
""")


@pytest.fixture
def make(tmp_path):
    def made(**keys):
        data = copy.deepcopy(TINY)
        data["strategies"]["whole"] |= keys
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(data))
        return load_case(str(path))

    return made


def test_a_strategy_that_says_nothing_has_one_lock_on_the_store_around_each_merge(make):
    case = make()
    discipline = case.strategy("whole").discipline
    assert discipline.locks == (Lock("store", "merge", frozenset({"save", "touch"})),)
    assert discipline.guards == (None, None)
    assert case.is_plain(discipline)
    assert case.is_plain(make(in_lock=["save"]).strategy("whole").discipline)


def test_equal_disciplines_are_equal_and_a_guard_on_values_belongs_to_its_strategy(make):
    assert make().strategy("whole").discipline == make().plain()
    by_version, by_values = (
        make(guards={"save": {"compare": word}}).strategy("whole").discipline for word in ("version", "bytes")
    )
    assert (by_version.rules_of, by_values.rules_of) == ("", "whole")


@pytest.mark.parametrize(
    ("compare", "expected"),
    [
        ("version", Guard("version")),
        ("bytes", Guard("fields", ("count", "note", "owner"))),
        ("read_set", Guard("fields", ("count", "owner"))),  # what the rules look at in the snapshot
        ("write_set", Guard("fields", ("count", "note"))),  # what they write
        ("owner", Guard("owner", ("note", "owner"))),  # what the reference of `save` leaves alone
        ("reordered_bytes", Guard("reordered_bytes")),
        (["owner"], Guard("fields", ("owner",))),
        ([], Guard("fields", ())),
    ],
)
def test_what_a_guard_compares_against_the_rules_written_by_hand(make, compare, expected):
    assert make(guards={"save": {"compare": compare}}).strategy("whole").discipline.guards == (expected, None)


def test_every_key_of_a_guard_and_a_lock_arrives(make):
    discipline = (
        make(
            guards={
                "save": {
                    "compare": "version", "scope": "store", "atomic": False, "attempts": "unlimited", "pause": 0.2, "factor": 2,
                    "cap": 5, "jitter": 0.05, "paused": "inside", "again": "patch", "used_up": "skip",
                }
            },
            locks=[{"scope": "entry", "timeout": 0}, {"span": "flow", "sites": ["save"], "late": "go_on"}],
            snapshots={"save": "memory"},
            stores="store",
        )
        .strategy("whole")
        .discipline
    )  # fmt: skip
    pause = Pause(0.2, 2, 5, 0.05, in_lock=True)
    assert discipline.guards[0] == Guard("version", (), "store", False, 1000, pause, "patch", "skip")
    assert discipline.locks == (
        Lock("entry", "merge", frozenset({"save", "touch"}), 0),
        Lock("store", "flow", frozenset({"save"}), None, "go_on"),
    )
    assert (discipline.snapshots, discipline.stores) == (("memory", "none"), "store")


def test_pauses_against_the_sum_by_hand():
    pause = Pause(first=0.2, factor=3, cap=1, jitter=0.5)
    assert [pause.seconds(attempt, 0.5) for attempt in (2, 3, 4)] == pytest.approx([0.2, 0.6, 1.0])
    assert [pause.seconds(2, uniform) for uniform in (0.0, 1.0)] == pytest.approx([0.1, 0.3])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"guards": {"save": {"compare": "versions"}}}, "guards.save.compare: Input should be 'version', 'bytes', "),
        (
            {"guards": {"save": {"compare": "version", "attempts": "unlimted"}}},
            "guards.save.attempts: not a number of attempts; allowed: 1 to 1000, unlimited (got 'unlimted')",
        ),
        ({"guards": {"safe": {"compare": "version"}}}, "guards: 'safe' is not known; did you mean 'save'?"),
        ({"guards": {"save": {"compare": ["cont"]}}}, "compare: 'cont' is not known; did you mean 'count'?"),
        ({"guards": {"save": {"compare": "bytes", "scope": "store"}}}, "guards.save.scope: `store` is of a version"),
        ({"guards": {"save": {"compare": "version", "attempts": 0}}}, "attempts"),
        ({"guards": {"save": {"compare": "version", "pause": -1}}}, "pause"),
        ({"guards": {"save": {"compare": "version", "paused": "inside"}}, "locks": []}, "a lock that the site does not take"),
        ({"locks": [{"scope": "row"}]}, "scope"),
        ({"locks": [{"sites": ["sav"]}]}, "locks.0.sites: 'sav' is not known; did you mean 'save'?"),
        ({"locks": [{}, {"scope": "entry"}]}, "locks.1: a site takes two locks of span `merge`"),
        ({"snapshots": {"save": "cached"}}, "snapshots.save: 'cached' is not known"),
        ({"stores": "row"}, "stores"),
    ],
)
def test_what_does_not_fit_is_refused_and_named(make, keys, message):
    with pytest.raises(InputError) as caught:
        make(**keys)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
