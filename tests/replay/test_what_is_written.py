"""Clears, deleted entries and updates: hand-written schedules, what replay finds in them, and one simulated counter."""

import numpy as np
import pytest
from schedules import Step, commit, history_of, read

from simlib.case.case import Case, compile_case
from simlib.case.case_file import CaseModel
from simlib.case.evaluator import updated
from simlib.case.rules import UNDEFINED
from simlib.common.files import validated
from simlib.model import compiled_model
from simlib.model.history import Values
from simlib.replay.judging import KINDS
from simlib.replay.replay import NOBODY, Outcomes, replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload


def case_of(fields: dict[str, str], sites: dict[str, str], reference: dict[str, object], **strategies: object) -> Case:
    """A case whose sites have a read of their own; `fields` says which updates commute, `sites` each one's role."""
    data = {
        "case": "small",
        "title": "a case for one test",
        "baseline": next(iter(strategies)),
        "fields": {field: {"domain": field, "update": update} for field, update in fields.items()},
        "sites": {site: {"role": role, "snapshot": "own"} for site, role in sites.items()},
        "reference": reference,
        "strategies": {name: {"title": name, "sites": rules} for name, rules in strategies.items()},
    }
    return compile_case(validated(CaseModel, data, "small"), "small")


def on(case: Case, strategy: str, schedule: list[Step], **initial: str) -> Outcomes:
    return replay_strategy(case, case.strategy(strategy), history_of(schedule, dict(initial), case=case))


def told(case: Case, outcomes: Outcomes) -> list[tuple[int, str, str]]:
    """Row, field and kind of each clobber."""
    found = outcomes.clobbers
    return [
        (int(row), case.fields[field], KINDS[kind])
        for row, field, kind in zip(found.culprit, found.field, found.kind, strict=True)
    ]


# ---- a save of {...stale, ...request} --------------------------------------------------------------------------------------

SAVE = {"save": {"*": {"value": "request.*", "when": "requested"}}}
SAVES = case_of(
    {"user": "ordered", "theme": "ordered"},
    {"save": "write"},
    SAVE,
    whole={"save": {"*": "overlay(stale, request).*"}},
    filled={"save": {"*": "request.* ?? stale.*"}},
    fresh={"save": {"*": "overlay(fresh, request).*"}},
)
CLEARS_MEANWHILE = [read("save 1"), commit("save 2", user=None), commit("save 1", theme=None)]


def test_a_whole_save_that_clears_a_field_leaves_it_cleared_and_brings_back_what_another_cleared() -> None:
    outcomes = on(SAVES, "whole", CLEARS_MEANWHILE, user="ann", theme="dark")
    assert told(SAVES, outcomes) == [(1, "user", "resurrected")]
    assert outcomes.entries[-1].tolist() == [1, UNDEFINED]
    assert outcomes.clobbers.victim.tolist() == [0]


def test_the_next_defined_value_is_no_overlay_it_turns_a_clear_into_the_old_value() -> None:
    assert told(SAVES, on(SAVES, "filled", [commit("save", theme=None)], theme="dark")) == [(0, "theme", "suppressed")]


def test_an_overlay_of_the_fresh_entry_is_what_a_serial_execution_writes() -> None:
    outcomes = on(SAVES, "fresh", CLEARS_MEANWHILE, user="ann", theme="dark")
    assert len(outcomes.clobbers) == 0
    assert outcomes.writes.tolist() == on(SAVES, "whole", CLEARS_MEANWHILE).writes.tolist() == [1, 1]
    assert SAVES.strategies["fresh"].pairs.faithful.all()


# ---- deletion: an entry without a field does not exist ---------------------------------------------------------------------

TOUCH = {"expires": {"value": "request.expires", "only_if": "fresh"}}
SESSIONS = case_of(
    {"user": "ordered", "expires": "ordered"},
    {"logout": "write", "touch": "unit"},
    {"logout": {"*": "undefined"}, "touch": TOUCH},
    whole={"logout": "reference", "touch": {"expires": "request.expires", "*": "stale.*"}},
    exists={"logout": "reference", "touch": {"*": {"value": "overlay(stale, request).*", "only_if": "fresh"}}},
    seen={"logout": "reference", "touch": {"*": {"value": "overlay(stale, request).*", "only_if": ["stale", "stale.user"]}}},
)
LOGOUT_MEANWHILE = [read("touch"), commit("logout"), commit("touch", expires="later")]


@pytest.mark.parametrize("strategy", ["whole", "seen"])
def test_a_touch_over_a_logout_resurrects_the_session_as_in_session_file_store_55(strategy: str) -> None:
    outcomes = on(SESSIONS, strategy, LOGOUT_MEANWHILE, user="ann", expires="soon")
    assert told(SESSIONS, outcomes) == [(1, "user", "resurrected"), (1, "expires", "overtaken")]
    assert outcomes.clobbers.racing.tolist() == [True, strategy == "seen"]  # `whole` makes an entry even with no race


def test_a_touch_only_if_the_entry_still_exists_resurrects_nothing() -> None:
    outcomes = on(SESSIONS, "exists", LOGOUT_MEANWHILE, user="ann", expires="soon")
    assert len(outcomes.clobbers) == 0
    assert not outcomes.entries[-1].any()


def test_a_touch_of_a_session_that_is_there_writes_under_either_condition() -> None:
    for strategy in ("exists", "seen"):
        outcomes = on(SESSIONS, strategy, [read("touch"), commit("touch", expires="later")], user="ann", expires="soon")
        assert outcomes.entries[-1].tolist() == [1, 2]


# ---- update(old, request) --------------------------------------------------------------------------------------------------


SERIAL_ADD = {"*": {"value": "update(fresh.*, request.*)", "when": "requested"}}
STALE_ADD = {"*": {"value": "update(stale.*, request.*)", "when": "requested"}}
COUNTERS = case_of(
    {"count": "commutative", "items": "ordered"},
    {"add": "write", "save": "unit"},
    {"add": SERIAL_ADD},
    stale={"add": STALE_ADD, "save": {"*": "stale.*"}},
    lock={"add": "reference", "save": "reference"},
)


def sum_of(*steps: int, old: int = UNDEFINED, commutative: bool = True) -> int:
    for step in steps:
        old = updated(old, step, commutative)
    return old


def test_of_two_equal_increments_from_one_snapshot_one_is_lost() -> None:
    schedule = [read("add 1"), read("add 2"), commit("add 1", count="one"), commit("add 2", count="one")]
    outcomes = on(COUNTERS, "stale", schedule)
    assert told(COUNTERS, outcomes) == [(1, "count", "suppressed")]
    assert outcomes.entries[:, 0].tolist() == [sum_of(1), sum_of(1)]
    assert outcomes.clobbers.right.tolist() == [sum_of(1, 1)]
    assert outcomes.lost.sum() == 1


def test_an_increment_on_an_old_count_takes_over_anothers_increment() -> None:
    schedule = [read("add 1"), commit("add 2", count="two"), commit("add 1", count="one")]
    outcomes = on(COUNTERS, "stale", schedule, count="seven")
    assert told(COUNTERS, outcomes) == [(1, "count", "overtaken")]
    seven, two, one = 1, 2, 3
    assert outcomes.clobbers.right.tolist() == [sum_of(two, one, old=seven)]
    assert outcomes.clobbers.wrong.tolist() == [sum_of(one, old=seven)]
    assert outcomes.lost.sum() == 1


def test_a_save_of_the_old_count_reverts_an_increment_which_is_lost() -> None:
    schedule = [read("save"), commit("add", count="one"), commit("save")]
    outcomes = on(COUNTERS, "stale", schedule, count="seven")
    assert told(COUNTERS, outcomes) == [(1, "count", "reverted")]
    assert (outcomes.clobbers.victim.tolist(), outcomes.lost.tolist()) == ([0], [1, 0])


def test_increments_in_the_lock_are_all_there_in_any_order_and_appended_items_keep_theirs() -> None:
    adds = {name: commit(f"add {name}", count=name, items=name) for name in ("a", "b")}
    one, other = ([read("add a"), read("add b"), *(adds[name] for name in order)] for order in ("ab", "ba"))
    first, second = (on(COUNTERS, "lock", schedule) for schedule in (one, other))
    assert len(first.clobbers) == len(second.clobbers) == 0
    # `a` is the value 1 of the first schedule and 2 of the second.
    assert first.entries[-1].tolist() == [sum_of(1, 2), sum_of(1, 2, commutative=False)]
    assert second.entries[-1].tolist() == [sum_of(2, 1), sum_of(1, 2, commutative=False)]
    assert first.entries[-1, 0] == second.entries[-1, 0]


def test_a_request_that_names_nothing_updates_nothing() -> None:
    assert on(COUNTERS, "lock", [commit("add")], count="seven").entries[-1].tolist() == [1, UNDEFINED]


def test_what_updates_left_has_a_name_of_its_own() -> None:
    names = Values({"count": ("seven",)})
    assert names.name("count", 1) == "seven"
    assert names.name("count", sum_of(1)) != names.name("count", sum_of(1, 1))
    assert names.name("count", sum_of(1)).startswith("count-updated-")


def test_a_simulated_counter_misses_exactly_the_increments_that_were_lost() -> None:
    workload = validated(
        Workload,
        {
            "workload": "counter",
            "about": "eight people press one button",
            "case": "small",
            "duration": 200,
            "sessions": {"count": 1},
            "values": {"count": 1, "items": 1},
            "traffic": {"add": {"rate": 2, "steps": {"add": [{"ask": ["count"]}]}}},
            "times": {"add": {"prepare": {"dist": "exponential", "mean": 0.3}, "hold": 0.02}},
        },
        "counter",
    )
    history = compiled_model.simulate(workload, COUNTERS, draw(workload, COUNTERS, 1, 0))
    counts = {sum_of(*[1] * number): number for number in range(len(history) + 1)} | {UNDEFINED: 0}
    stale, lock = (replay_strategy(COUNTERS, COUNTERS.strategy(name), history) for name in ("stale", "lock"))
    made = int(np.count_nonzero(history.ok))
    assert counts[lock.entries[-1, 0]] == made > 200
    # Each racing increment puts back what others added since its snapshot.
    found = stale.clobbers
    put_back = [counts[fresh] - counts[old] for fresh, old in zip(found.fresh.tolist(), found.stale.tolist(), strict=True)]
    assert counts[stale.entries[-1, 0]] == made - sum(put_back)
    assert len(found) > 10
    assert (found.victim != NOBODY).all()
