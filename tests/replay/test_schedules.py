"""Hand-written schedules: what each strategy does to a transaction that commits between a read and its write."""

import pytest
from schedules import CASE, STRATEGIES, Clobber, clobbers_of, commit, final_entry, give_up, read, run

RACE = [read("handler"), commit("patch", label="B"), commit("handler")]
STALE_LABEL = ["replace", "before-19328", "after-19328", "sketch-70575"]
FIXED = ["in-mutator", "all-sites"]


@pytest.mark.parametrize("strategy", STALE_LABEL)
def test_erased_the_handler_carries_an_undefined_over_a_value_set_meanwhile(strategy):
    assert clobbers_of(strategy, RACE) == [Clobber("label", "erased", True, "handler", "patch", wrong=None, right="B")]
    assert "label" not in final_entry(strategy, RACE)


@pytest.mark.parametrize("strategy", STALE_LABEL)
def test_reverted_the_handler_carries_an_old_value_over_a_newer_one(strategy):
    assert clobbers_of(strategy, RACE, {"label": "A"}) == [Clobber("label", "reverted", True, "handler", "patch", "A", "B")]
    assert final_entry(strategy, RACE, {"label": "A"})["label"] == "A"


@pytest.mark.parametrize("strategy", STALE_LABEL)
def test_resurrected_a_cleared_value_comes_back(strategy):
    schedule = [read("handler"), commit("patch", label=None), commit("handler")]
    assert clobbers_of(strategy, schedule, {"label": "A"}) == [
        Clobber("label", "resurrected", True, "handler", "patch", "A", None)
    ]


def test_reverted_not_resurrected_when_the_old_value_was_never_in_that_field():
    # lastChannel falls back to the entry's channel, here to the stale one.
    schedule = [read("handler"), commit("patch", channel="discord"), commit("handler")]
    assert clobbers_of("after-19328", schedule, {"channel": "telegram"}) == [
        Clobber("lastChannel", "reverted", True, "handler", None, "telegram", "discord"),
        Clobber("channel", "reverted", True, "handler", "patch", "telegram", "discord"),
    ]


@pytest.mark.parametrize("strategy", STALE_LABEL)
def test_overtaken_the_requests_channel_lands_on_one_that_appeared_meanwhile(strategy):
    schedule = [read("handler"), commit("patch", channel="discord"), commit("handler", channel="telegram")]
    found = [clobber for clobber in clobbers_of(strategy, schedule) if clobber.field == "channel"]
    assert found == [Clobber("channel", "overtaken", True, "handler", "patch", wrong="telegram", right="discord")]


def test_suppressed_the_sketch_does_not_write_the_requests_channel_because_the_stale_entry_had_one():
    schedule = [read("handler"), commit("patch", channel=None), commit("handler", channel="telegram")]
    found = [clobber for clobber in clobbers_of("sketch-70575", schedule, {"channel": "old"}) if clobber.field == "channel"]
    assert found == [Clobber("channel", "suppressed", True, "handler", None, wrong=None, right="telegram")]


def test_suppressed_the_sketch_keeps_back_the_threads_of_a_request_that_no_longer_conflicts():
    schedule = [read("handler"), commit("patch", lastChannel="telegram"), commit("handler", channel="telegram", threadId="t")]
    found = [c for c in clobbers_of("sketch-70575", schedule, {"lastChannel": "discord"}) if c.field == "lastThreadId"]
    assert found == [Clobber("lastThreadId", "suppressed", True, "handler", None, wrong=None, right="t")]


@pytest.mark.parametrize("strategy", FIXED)
@pytest.mark.parametrize("initial", [{}, {"label": "A", "channel": "old", "lastChannel": "discord"}])
def test_a_handler_that_computes_in_the_lock_clobbers_nothing_in_all_of_these(strategy, initial):
    for meanwhile in ({"label": "B"}, {"label": None}, {"channel": "discord"}, {"channel": None}, {"lastChannel": "telegram"}):
        schedule = [read("handler"), commit("patch", 0, **meanwhile), commit("handler", channel="telegram", threadId="t")]
        assert clobbers_of(strategy, schedule, initial) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_clobbered_when_the_patch_comes_before_the_read_or_after_the_commit(strategy):
    before = [commit("patch", label="B"), read("handler"), commit("handler")]
    after = [read("handler"), commit("handler"), commit("patch", label="B")]
    for schedule in (before, after):
        assert clobbers_of(strategy, schedule, {"label": "A"}) == []
        assert final_entry(strategy, schedule, {"label": "A"})["label"] == "B"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_sessions_commit_is_no_race(strategy):
    schedule = [read("handler", 0), commit("patch", 1, label="B"), commit("handler", 0)]
    assert clobbers_of(strategy, schedule, {"label": "A"}) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_write_that_was_given_up_is_no_write(strategy):
    given_up = [read("handler"), give_up("patch", label="B"), commit("handler")]
    assert clobbers_of(strategy, given_up, {"label": "A"}) == []
    assert final_entry(strategy, given_up, {"label": "A"})["label"] == "A"
    assert clobbers_of(strategy, [read("handler"), commit("patch", label="B"), give_up("handler")]) == []


# The regression pattern of the upstream tests: the cached entry is stale, the store is fresh, a request comes, and the store
# must hold the expected entry afterwards. What each strategy makes of it instead is beside it.
STORE = "fresh"
PATTERN = [
    # field, stale, fresh, request, expected, then what after-19328 and sketch-70575 leave there
    ("lastChannel", "telegram", "discord", {}, "discord", "telegram", "telegram"),
    ("lastChannel", None, "discord", {}, "discord", None, "discord"),
    ("lastChannel", None, "discord", {"channel": "slack"}, "discord", "slack", "slack"),
    ("lastChannel", "telegram", None, {}, None, "telegram", "telegram"),
    ("lastTo", "u1", "u2", {}, "u2", "u1", "u1"),
    ("lastTo", None, "u2", {}, "u2", None, "u2"),
    ("lastTo", None, "u2", {"to": "u3"}, "u2", "u3", "u3"),
    ("lastAccountId", "a1", "a2", {}, "a2", "a1", "a1"),
    ("lastAccountId", None, "a2", {}, "a2", None, "a2"),
    ("lastAccountId", None, "a2", {"accountId": "a3"}, "a2", "a3", "a3"),
    ("lastThreadId", "t1", "t2", {}, "t2", "t1", "t1"),
    ("lastThreadId", None, "t2", {}, "t2", None, "t2"),
    ("lastThreadId", "t1", None, {}, None, "t1", "t1"),
    ("lastThreadId", None, "t2", {"threadId": "t3"}, "t2", "t3", "t3"),
    ("channel", "telegram", "discord", {}, "discord", "telegram", "discord"),
    ("channel", None, "discord", {}, "discord", None, "discord"),
    ("channel", None, "discord", {"channel": "slack"}, "discord", "slack", "slack"),
    ("channel", "telegram", None, {}, None, "telegram", None),
    ("channel", "telegram", None, {"channel": "slack"}, "slack", "telegram", None),
]


@pytest.mark.parametrize(("field", "stale", "fresh", "request_", "expected", "after", "sketch"), PATTERN)
def test_the_upstream_regression_pattern_for_every_field_of_70575(field, stale, fresh, request_, expected, after, sketch):
    initial = {field: stale} if stale else {}
    schedule = [read("handler"), commit("patch", 0, **{field: fresh}), commit("handler", 0, **request_)]
    left = {strategy: final_entry(strategy, schedule, initial).get(field) for strategy in STRATEGIES}
    assert left["in-mutator"] == left["all-sites"] == expected
    assert left["after-19328"] == left["before-19328"] == after
    assert left["sketch-70575"] == sketch
    for strategy in STRATEGIES:
        clobbered = [clobber.field for clobber in clobbers_of(strategy, schedule, initial)]
        assert (field in clobbered) == (left[strategy] != expected)


OVERRIDES = ["modelOverride", "providerOverride", "thinkingLevel", "verboseLevel", "reasoningLevel", "sendPolicy"]


@pytest.mark.parametrize("field", OVERRIDES)
def test_an_override_set_meanwhile_is_lost_up_to_pr_19328_and_not_since(field):
    schedule = [read("handler"), commit("patch", 0, **{field: "new"}), commit("handler")]
    for initial, kind, wrong in [({}, "erased", None), ({field: "old"}, "reverted", "old")]:
        for strategy in ("replace", "before-19328"):
            assert clobbers_of(strategy, schedule, initial) == [Clobber(field, kind, True, "handler", "patch", wrong, "new")]
        for strategy in ("after-19328", "sketch-70575", *FIXED):
            assert clobbers_of(strategy, schedule, initial) == []


@pytest.mark.parametrize("field", ["elevatedLevel", "responseUsage", "queueMode", "lastThreadId"])
def test_replace_drops_what_it_does_not_list_with_no_race_at_all(field):
    schedule = [commit("patch", 0, **{field: "x"}), read("handler"), commit("handler")]
    assert clobbers_of("replace", schedule) == [Clobber(field, "erased", False, "handler", "patch", None, "x")]
    assert all(clobbers_of(strategy, schedule) == [] for strategy in STRATEGIES if strategy != "replace")


def test_the_sketchs_literal_group_fields_erase_with_no_race_at_all():
    group = {"groupId": "g", "groupChannel": "c", "space": "s"}
    schedule = [commit("handler", 0, **group), commit("handler 2")]
    assert clobbers_of("sketch-70575", schedule) == [
        Clobber(field, "erased", False, "handler 2", None, None, value) for field, value in group.items()
    ]
    assert all(clobbers_of(strategy, schedule) == [] for strategy in STRATEGIES if strategy != "sketch-70575")


def test_the_sketch_reverts_what_it_writes_only_when_defined():
    schedule = [read("handler"), commit("inbound", channel="discord", to="u2"), commit("handler")]
    assert clobbers_of("sketch-70575", schedule, {"lastChannel": "telegram", "lastTo": "u1"}) == [
        Clobber("lastChannel", "reverted", True, "handler", "inbound", "telegram", "discord"),
        Clobber("lastTo", "reverted", True, "handler", "inbound", "u1", "u2"),
    ]


# ---- runs ------------------------------------------------------------------------------------------------------------------

RUN_2026_4 = ["replace", "before-19328", "after-19328", "sketch-70575"]


def test_run_end_writes_the_snapshot_of_run_start_a_second_time():
    schedule = [read("run_start"), commit("run_start"), commit("patch", label="B"), commit("run_end")]
    for strategy in (*RUN_2026_4, "in-mutator"):
        assert clobbers_of(strategy, schedule, {"label": "A"}) == [
            Clobber("label", "reverted", True, "run_end", "patch", "A", "B")
        ]
    assert clobbers_of("all-sites", schedule, {"label": "A"}) == []


def test_a_run_that_reads_after_the_patch_brings_nothing_back():
    schedule = [commit("patch", label="B"), read("run_start"), commit("run_start"), commit("run_end")]
    assert all(clobbers_of(strategy, schedule, {"label": "A"}) == [] for strategy in STRATEGIES)


def test_a_value_lost_to_run_start_and_set_again_is_lost_to_run_end_once_more():
    schedule = [
        read("run_start"),
        commit("patch", label="B"),
        commit("run_start"),
        commit("patch 2", label="C"),
        commit("run_end"),
    ]
    assert clobbers_of("in-mutator", schedule, {"label": "A"}) == [
        Clobber("label", "reverted", True, "run_start", "patch", "A", "B", until=3),
        Clobber("label", "reverted", True, "run_end", "patch 2", "A", "C"),
    ]


@pytest.mark.parametrize("step", ["run_start", "run_end"])
def test_thinking_level_is_erased_under_2026_4_22_and_not_under_2026_6_11(step):
    whole = {
        "run_start": [read("run_start"), commit("patch", thinkingLevel="high"), commit("run_start")],
        "run_end": [read("run_start"), commit("run_start"), commit("patch", thinkingLevel="high"), commit("run_end")],
    }
    for strategy in RUN_2026_4:
        assert clobbers_of(strategy, whole[step]) == [Clobber("thinkingLevel", "erased", True, step, "patch", None, "high")]
    assert clobbers_of("in-mutator", whole[step]) == clobbers_of("all-sites", whole[step]) == []


def test_a_defined_older_thinking_level_comes_back_under_2026_6_11_too():
    schedule = [read("run_start"), commit("patch", thinkingLevel="high"), commit("run_start")]
    assert clobbers_of("in-mutator", schedule, {"thinkingLevel": "low"}) == [
        Clobber("thinkingLevel", "reverted", True, "run_start", "patch", "low", "high")
    ]


def test_a_fixed_handler_does_not_save_the_turn_from_its_own_run():
    turn = [
        read("handler"),
        commit("handler"),
        read("run_start"),
        commit("patch", label="B"),
        commit("run_start"),
        commit("run_end"),
    ]
    assert [clobber.culprit for clobber in clobbers_of("in-mutator", turn, {"label": "A"})] == ["run_start"]
    assert clobbers_of("all-sites", turn, {"label": "A"}) == []


def test_an_inbound_message_that_reads_a_stale_cache_in_the_lock_brings_old_delivery_fields_back():
    schedule = [read("inbound"), commit("patch", lastThreadId="t2"), commit("inbound", channel="telegram")]
    for strategy in (*RUN_2026_4, "in-mutator"):
        assert clobbers_of(strategy, schedule, {"lastThreadId": "t1"}) == [
            Clobber("lastThreadId", "reverted", True, "inbound", "patch", "t1", "t2")
        ]
    assert clobbers_of("all-sites", schedule, {"lastThreadId": "t1"}) == []


# ---- culprits, victims, until, lost writes ---------------------------------------------------------------------------------


def lost(strategy, schedule, initial=None):
    """Step -> (fields it set, how many of them were lost), for the steps that set any."""
    outcomes = run(strategy, schedule, initial)
    steps = [step.who for step in schedule if step.what != "read"]
    return {who: (int(w), int(n)) for who, w, n in zip(steps, outcomes.writes, outcomes.lost, strict=True) if w}


def test_the_victim_is_the_last_write_of_a_person_or_a_channel():
    schedule = [
        commit("patch 1", label="A"),
        read("handler"),
        commit("patch 2", label="B"),
        commit("patch 3", label="C"),
        commit("handler"),
    ]
    assert clobbers_of("after-19328", schedule) == [Clobber("label", "reverted", True, "handler", "patch 3", "A", "C")]
    assert lost("after-19328", schedule) == {"patch 1": (1, 0), "patch 2": (1, 0), "patch 3": (1, 1)}


def test_a_turns_own_value_has_no_victim():
    schedule = [read("handler 1"), commit("handler 2", label="B"), commit("handler 1")]
    assert clobbers_of("after-19328", schedule, {"label": "A"}) == [
        Clobber("label", "reverted", True, "handler 1", None, "A", "B")
    ]


def test_a_value_that_a_turn_replaced_legitimately_is_no_longer_the_patchs():
    schedule = [commit("patch", label="A"), read("handler 1"), commit("handler 2", label="B"), commit("handler 1")]
    assert clobbers_of("after-19328", schedule) == [Clobber("label", "reverted", True, "handler 1", None, "A", "B")]
    assert lost("after-19328", schedule) == {"patch": (1, 0)}


def test_a_write_is_lost_once_however_often_it_is_written_over():
    schedule = [
        read("run_start"),
        commit("run_start"),
        read("handler"),
        commit("patch", label="B"),
        commit("handler"),
        commit("run_end"),
    ]
    assert clobbers_of("after-19328", schedule, {"label": "A"}) == [
        Clobber("label", "reverted", True, "handler", "patch", "A", "B"),
    ]
    assert lost("after-19328", schedule, {"label": "A"}) == {"patch": (1, 1)}


def test_what_a_serial_execution_would_have_replaced_too_is_no_lost_write():
    schedule = [read("handler"), commit("patch", lastTo=None), commit("handler", to="u3")]
    found = clobbers_of("after-19328", schedule, {"lastTo": "u1"})
    assert found == [Clobber("lastTo", "resurrected", True, "handler", None, wrong="u1", right="u3")]
    assert lost("after-19328", schedule, {"lastTo": "u1"}) == {"patch": (1, 0)}


def test_a_clear_is_a_write_that_can_be_lost():
    schedule = [read("handler"), commit("patch", label=None, modelOverride=None), commit("handler")]
    assert lost("after-19328", schedule, {"label": "A", "modelOverride": "m"}) == {"patch": (2, 1)}
    assert lost("before-19328", schedule, {"label": "A", "modelOverride": "m"}) == {"patch": (2, 2)}
    assert lost("all-sites", schedule, {"label": "A", "modelOverride": "m"}) == {"patch": (2, 0)}


def test_setting_what_is_there_already_is_a_write_that_can_be_lost():
    schedule = [commit("patch 1", label="A"), commit("patch 2", label="B"), read("handler"), commit("patch 3", label="B")]
    schedule += [commit("patch 4", label="C"), commit("handler")]
    assert lost("after-19328", schedule) == {"patch 1": (1, 0), "patch 2": (1, 0), "patch 3": (1, 0), "patch 4": (1, 1)}


def test_several_fields_of_one_patch_are_lost_one_by_one():
    schedule = [read("handler"), commit("patch", label="B", lastTo="u2", queueMode="q"), commit("handler")]
    assert lost("replace", schedule) == {"patch": (3, 3)}
    assert lost("after-19328", schedule) == {"patch": (3, 2)}
    assert lost("in-mutator", schedule) == {"patch": (3, 0)}


def test_an_inbound_messages_delivery_fields_are_writes_and_its_gaps_are_not():
    schedule = [read("handler"), commit("inbound", channel="discord", to="u2"), commit("handler")]
    assert lost("after-19328", schedule, {"lastThreadId": "t"}) == {"inbound": (2, 2)}


def test_until_is_when_the_field_was_next_set_or_changed():
    schedule = [read("handler"), commit("patch", label="B"), commit("handler"), commit("patch 2", queueMode="q")]
    assert clobbers_of("after-19328", schedule)[0].until == float("inf")
    for end in (commit("patch 3", label="B"), commit("patch 3", label=None), commit("handler 3", label="C")):
        assert clobbers_of("after-19328", [*schedule, end])[0].until == 4
    assert clobbers_of("after-19328", [*schedule, commit("patch 3", 1, label="B")])[0].until == float("inf")


def test_until_ends_where_another_clobber_of_the_same_field_takes_over():
    schedule = [commit("patch 1", label="A"), read("handler 1"), commit("patch 2", label="B"), read("handler 2")]
    schedule += [commit("handler 1"), commit("handler 2")]
    assert clobbers_of("after-19328", schedule) == [
        Clobber("label", "reverted", True, "handler 1", "patch 2", "A", "B", until=5),
        Clobber("label", "reverted", True, "handler 2", None, "B", "A"),
    ]


def test_the_case_under_test_is_the_shipped_one():
    assert CASE.name == "openclaw-70575"


def test_the_frame_of_a_replay_has_the_names_of_the_schedule():
    schedule = [read("handler"), commit("patch", label="B"), commit("handler"), commit("patch", label=None)]
    assert run("after-19328", schedule, {"label": "A"}).to_frame(CASE).to_dict("records") == [
        {
            "session": "session-1", "site": "handler", "field": "label", "kind": "reverted", "racing": True,
            "stale": "A", "fresh": "B", "right": "B", "wrong": "A", "at_s": 2.0, "stood_s": 1.0,
        }
    ]  # fmt: skip
    assert run("all-sites", schedule, {"label": "A"}).to_frame(CASE).empty
