"""The rule notation and its evaluator, against values worked out by hand."""

from itertools import product

import numpy as np
import pytest
from schedules import CASE, patch_of

from simlib.case.case import Case, compile_case
from simlib.case.case_file import CaseModel
from simlib.case.evaluator import merge
from simlib.case.notation import Names
from simlib.case.rules import ABSENT, UNDEFINED, Rule, spread_keys
from simlib.common.files import validated

FIELDS = ("lastChannel", "lastTo", "lastAccountId", "lastThreadId", "channel", "label")


def case_of(rules, reference=None) -> Case:
    """A small case with one write site, `site`, and one strategy, `it`."""
    model = {
        "case": "small",
        "title": "a case for one test",
        "baseline": "it",
        "fields": {field: {"domain": "d"} for field in FIELDS},
        "request": {key: {"domain": "d"} for key in ("to", "accountId", "threadId")},
        "effective": {
            "values": {"channel": "entry.lastChannel ?? entry.channel ?? request.channel", "to": "entry.lastTo ?? request.to"},
            "conflict": {"entry": "entry.lastChannel ?? entry.channel", "request": "request.channel"},
        },
        "sites": {"site": {"role": "turn", "snapshot": "own"}},
        "reference": reference or {},
        "strategies": {"it": {"title": "it", "sites": {"site": rules}}},
    }
    return compile_case(validated(CaseModel, model, "small.yaml"), "small.yaml")


def patch(rules, stale=None, fresh=None, request=None):
    case = case_of(rules)
    return patch_of(case.strategy("it"), "site", stale or {}, fresh or {}, request or {}, case)


STALE = {"label": "old", "lastChannel": "old-channel", "lastTo": "old-to"}
FRESH = {"label": "new", "lastChannel": "new-channel", "lastTo": "new-to"}
REQUEST = {"label": "asked", "channel": "old-channel", "to": "asked-to"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("stale.label", "old"),
        ("fresh.label", "new"),
        ("request.label", "asked"),
        ("request.to", "asked-to"),
        ("effective(stale, request).to", "old-to"),
        ("effective(fresh, request).to", "new-to"),
        ("effective(stale).to", "old-to"),
        ("undefined", None),
        ("stale.channel", None),
        ("stale.channel ?? fresh.label", "new"),
        ("stale.label ?? fresh.label", "old"),
        ("stale.channel ?? fresh.channel ?? request.threadId ?? request.to", "asked-to"),
        ("request.threadId ?? undefined", None),
        ("stale.*", "old"),
        ("request.* ?? fresh.*", "asked"),
        ("  effective( stale ,request ) . to??stale.label ", "old-to"),
        ("overlay(stale, request).label", "asked"),
        ("overlay(stale, request).lastTo", "old-to"),
        ("overlay(fresh, request).lastTo", "new-to"),
        ("overlay(fresh, request).*", "asked"),
        ("overlay(stale, request).lastThreadId ?? stale.label", "old"),
        (" overlay( stale,request ).* ", "asked"),
        ("update(stale.label, request.threadId)", "old"),
        ("update( fresh.* , request.threadId )", "new"),
        ("update(stale.channel, request.threadId) ?? stale.label", "old"),
    ],
)
def test_a_source_is_what_it_says(value, expected):
    assert patch({"label": value}, STALE, FRESH, REQUEST) == {"label": expected}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [({}, "old"), ({"label": None}, None), ({"label": "asked"}, "asked")],
)
def test_an_overlay_tells_a_request_that_clears_from_one_that_names_nothing(request_, expected):
    assert patch({"label": "overlay(stale, request).*"}, STALE, FRESH, request_) == {"label": expected}


def test_effective_of_the_stale_entry_alone_ignores_the_request():
    request = {"channel": "telegram", "to": "me"}
    rules = {
        "lastTo": "effective(stale).to",
        "lastChannel": "effective(stale).channel",
        "label": "effective(stale, request).to",
    }
    assert patch(rules, {}, {}, request) == {"lastTo": None, "lastChannel": None, "label": "me"}


@pytest.mark.parametrize(
    ("when", "value", "request_", "expected"),
    [
        ("always", "request.label", {}, {"label": None}),
        ("always", "request.label", {"label": "x"}, {"label": "x"}),
        ("defined", "request.label", {}, {}),
        ("defined", "request.label", {"label": None}, {}),
        ("defined", "request.label", {"label": "x"}, {"label": "x"}),
        ("defined", "request.label ?? stale.channel", {}, {}),
        ("requested", "request.label", {}, {}),
        ("requested", "request.label", {"label": None}, {"label": None}),
        ("requested", "request.label", {"label": "x"}, {"label": "x"}),
        ("requested", "request.label ?? fresh.label", {"label": None}, {"label": "new"}),
        ("requested", "request.label ?? fresh.label", {}, {}),
    ],
)
def test_when_says_whether_the_key_is_in_the_patch_at_all(when, value, request_, expected):
    assert patch({"label": {"value": value, "when": when}}, {}, FRESH, request_) == expected


@pytest.mark.parametrize(
    ("unless", "stale", "fresh", "request_", "writes"),
    [
        ("stale.channel", {}, {"channel": "c"}, {}, True),
        ("stale.channel", {"channel": "c"}, {}, {}, False),
        ("fresh.channel", {"channel": "c"}, {}, {}, True),
        ("fresh.channel", {}, {"channel": "c"}, {}, False),
        ("request.to", {}, {}, {"to": None}, True),
        ("request.to", {}, {}, {"to": "me"}, False),
        ("effective(stale, request).to", {}, {"lastTo": "you"}, {}, True),
        ("effective(stale, request).to", {"lastTo": "you"}, {}, {}, False),
        ("stale.*", {"label": "x"}, {}, {}, False),
        ("undefined", {"channel": "c"}, {"channel": "c"}, {"channel": "c"}, True),
        ("stale", {}, {"channel": "c"}, {}, True),
        ("stale", {"channel": "c"}, {}, {}, False),
        (["stale.channel", "fresh.label"], {}, {}, {}, True),
        (["stale.channel", "fresh.label"], {}, {"label": "x"}, {}, False),
        ([], {"channel": "c"}, {}, {}, True),
        (None, {"channel": "c"}, {}, {}, True),
    ],
)
def test_unless_looks_at_its_source_only(unless, stale, fresh, request_, writes):
    assert patch({"label": {"value": "undefined", "unless": unless}}, stale, fresh, request_) == (
        {"label": None} if writes else {}
    )


@pytest.mark.parametrize(
    ("only_if", "stale", "fresh", "request_", "writes"),
    [
        ("stale.channel", {"channel": "c"}, {}, {}, True),
        ("stale.channel", {}, {"channel": "c"}, {}, False),
        ("fresh", {}, {"lastTo": "you"}, {}, True),
        ("fresh", {"lastTo": "you"}, {}, {"to": "me"}, False),
        ("effective(fresh, request).to", {}, {}, {"to": "me"}, True),
        ("overlay(fresh, request).channel", {}, {"channel": "c"}, {"channel": None}, False),
        (["fresh", "stale.channel"], {"channel": "c"}, {}, {}, False),
        (["fresh", "stale.channel"], {}, {"channel": "c"}, {}, False),
        (["fresh", "stale.channel"], {"channel": "c"}, {"channel": "c"}, {}, True),
        ("undefined", {"channel": "c"}, {"channel": "c"}, {}, False),
    ],
)
def test_only_if_needs_every_one_of_its_conditions(only_if, stale, fresh, request_, writes):
    assert patch({"label": {"value": "undefined", "only_if": only_if}}, stale, fresh, request_) == (
        {"label": None} if writes else {}
    )


def test_unless_only_if_and_when_are_looked_at_together():
    rule = {"value": "request.*", "when": "requested", "only_if": ["fresh", "stale.lastTo"], "unless": "fresh.channel"}
    there, asked = {"lastTo": "you"}, {"label": "x"}
    assert patch({"label": rule}, there, there, asked) == {"label": "x"}
    assert patch({"label": rule}, there, there, {}) == {}
    assert patch({"label": rule}, there, {}, asked) == {}
    assert patch({"label": rule}, there, there | {"channel": "c"}, asked) == {}


def test_a_star_key_stands_for_every_field_without_a_rule_of_its_own():
    written = patch({"label, channel": "request.*", "*": "stale.*"}, {field: field for field in FIELDS}, {}, {"label": "x"})
    own = ("lastChannel", "lastTo", "lastAccountId", "lastThreadId")
    assert written == {field: field for field in own} | {"channel": None, "label": "x"}


def test_a_star_counts_among_comma_keys_too():
    rule, other = Rule("stale.*"), Rule("undefined")
    assert spread_keys({"a, *": rule, "b": other}, ("a", "b", "c")) == {"a": rule, "b": other, "c": rule}


def test_a_rule_prints_as_it_was_written():
    assert str(Rule("request.a", "defined", ("stale.a",))) == "request.a, when defined, unless stale.a"
    assert str(Rule("stale.a ?? request.a")) == "stale.a ?? request.a"
    many = Rule("update(stale.a, request.a)", "requested", ("stale.b", "stale.c"), ("fresh", "stale.a"))
    assert str(many) == "update(stale.a, request.a), when requested, only if fresh and stale.a, unless stale.b or stale.c"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"label": "stale"}, "small.yaml: it.site.label: 'stale' is not a source; allowed: stale.X"),
        ({"label": "stale.label || fresh.label"}, "is not a source"),
        ({"label": ""}, "'' is not a source"),
        ({"label": "stale.label ??"}, "'' is not a source"),
        (
            {"label": "entry.label"},
            "'entry.label' is not a source; allowed: stale.X, fresh.X, request.X, effective(stale, request).X",
        ),
        ({"label": "effective(request, stale).to"}, "is not a source; allowed: stale"),
        ({"label": "stale(fresh).label"}, "is not a source; allowed: stale"),
        (
            {"label": "stale.lable"},
            "'stale.lable' names 'lable', which is not there; did you mean 'label'? allowed: lastChannel",
        ),
        ({"label": "stale.to"}, "names 'to'"),
        ({"label": "effective(stale, request).label"}, "names 'label', which is not there; allowed: channel, to"),
        ({"channel": "effective(stale, request).*", "label": "effective(stale, request).*"}, "it.site.label"),
        ({"label": {"value": "stale.label", "unless": "stale.lable"}}, "names 'lable'"),
        ({"label": "overlay(request, stale).label"}, "is not a source; allowed: stale.X"),
        ({"label": "overlay(stale, request).to"}, "names 'to', which is not there"),
        ({"label": "update(request.label, stale.label)"}, "is not a source; allowed: stale.X"),
        ({"label": "update(stale.label, request.lable)"}, "names 'lable', which is not there; did you mean 'label'?"),
        ({"label": "update(stale.lable, request.label)"}, "names 'lable', which is not there; did you mean 'label'?"),
        (
            {"label": {"value": "stale.*", "only_if": ["fresh", "fersh"]}},
            "'fersh' is not a source; allowed: stale, fresh, stale.X",
        ),
        (
            {"label": {"value": "stale.*", "only_if": 3}},
            "it.sites.site.label.only_if: expected a list (got 3)",
        ),
        ({"label": {"value": "stale.label", "when": "requested"}}, "'when: requested' needs a request source first"),
        ({"lable": "stale.label"}, "small.yaml: it.site: 'lable' is not a field; did you mean 'label'? allowed: lastChannel"),
        ({"label": "stale.label", "label, channel": "stale.*"}, "small.yaml: it.site: 'label' has two rules"),
        ({"*": "stale.*", "label, *": "fresh.*"}, "small.yaml: it.site: '*' has two rules"),
    ],
)
def test_a_rule_that_is_wrong_is_refused_with_its_place(rules, message, refused):
    assert message in refused(case_of, rules)


@pytest.mark.parametrize(
    "rule",
    ["stale.label", "effective(stale, request).to", "effective(stale).to", {"value": "fresh.label", "unless": "stale.label"}],
)
def test_the_reference_cannot_look_at_a_stale_entry(rule, refused):
    assert "small.yaml: reference: a serial execution has no stale entry" in refused(case_of, {}, {"site": {"label": rule}})


def test_names_are_looked_up_as_the_request_or_the_entry_has_them():
    names = Names(fields=("a", "b"), request=("x", "a", "b"), effective=("x",))
    assert names.source("stale.a", "") % 1024 == 0
    assert names.source("request.a", "") % 1024 == 1


# ---- the delivery context --------------------------------------------------------------------------------------------------

DELIVERY = {"lastChannel": "channel", "lastTo": "to", "lastAccountId": "accountId", "lastThreadId": "threadId"}


@pytest.mark.parametrize(
    ("entry", "request_", "context"),
    [
        # the stored value wins
        ({"lastChannel": "A", "lastTo": "s"}, {"channel": "A", "to": "r"}, ("A", "s", None, None)),
        # gaps come from the request
        ({"lastChannel": "A"}, {"channel": "A", "to": "r", "threadId": "t"}, ("A", "r", None, "t")),
        ({"lastTo": "s"}, {"channel": "A", "to": "r", "accountId": "x"}, ("A", "s", "x", None)),
        ({"lastChannel": "A"}, {"to": "r"}, ("A", "r", None, None)),
        # unless the channels conflict
        ({"lastChannel": "A"}, {"channel": "B", "to": "r", "accountId": "x", "threadId": "t"}, ("A", None, None, None)),
        ({"lastChannel": "A", "lastTo": "s"}, {"channel": "B", "to": "r", "threadId": "t"}, ("A", "s", None, None)),
        # lastChannel falls back to the entry's channel, in the value and in the conflict
        ({"channel": "A"}, {"channel": "A", "to": "r"}, ("A", "r", None, None)),
        ({"channel": "A"}, {"channel": "B", "to": "r"}, ("A", None, None, None)),
        ({"lastChannel": "A", "channel": "B"}, {"channel": "A", "to": "r"}, ("A", "r", None, None)),
        ({"lastChannel": "A", "channel": "B"}, {"channel": "B", "to": "r"}, ("A", None, None, None)),
        # a cleared key of a request is none
        ({"lastChannel": "A"}, {"channel": None, "to": "r"}, ("A", "r", None, None)),
        ({}, {}, (None, None, None, None)),
    ],
)
def test_the_delivery_context_of_the_shipped_case_against_rows_by_hand(entry, request_, context):
    written = patch_of(CASE.strategy("after-19328"), "handler", entry, {}, request_)
    assert tuple(written[field] for field in DELIVERY) == context


def test_the_delivery_context_of_the_shipped_case_against_brute_force():
    values = {"stored": (None, "A", "B"), "key": (None, "s"), "asked": (None, "r")}
    for last, channel, asked, stored_to, asked_to in product(*[values["stored"]] * 3, values["key"], values["asked"]):
        entry = {"lastChannel": last, "channel": channel, "lastTo": stored_to, "lastThreadId": stored_to}
        request = {"channel": asked, "to": asked_to, "threadId": asked_to}
        stored = last or channel
        gap = None if stored and asked and stored != asked else asked_to
        for strategy, stale, fresh in [("after-19328", entry, {}), ("in-mutator", {}, entry), ("before-19328", entry, {})]:
            written = patch_of(CASE.strategy(strategy), "handler", stale, fresh, request)
            assert written["lastChannel"] == (stored or asked)
            assert written["lastTo"] == written["lastThreadId"] == (stored_to or gap)


def test_merge_is_javascripts_spread():
    fresh = np.array([1, 1, 1, UNDEFINED, UNDEFINED], dtype=np.int32)
    written = np.array([ABSENT, UNDEFINED, 2, 3, ABSENT], dtype=np.int32)
    entry = np.empty_like(fresh)
    merge(fresh, written, entry)
    assert entry.tolist() == [1, UNDEFINED, 2, 3, UNDEFINED]
