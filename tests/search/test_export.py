"""Counterexamples as text, JSON, Mermaid and vitest, and the gate, against hand-written schedules."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simlib.case.case import Case, load_case
from simlib.common.errors import InputError, RunError
from simlib.search.counterexample import Counterexample, Step
from simlib.search.export import FORMS, show
from simlib.search.proofs import Proofs, require_safe
from simlib.search.prove import prove

CASE = load_case("openclaw-70575")

TEXT = """\
sketch-70575: lastTo reverted at handler (race), 3 steps in scope handler+patch
  0. the entry has lastTo = peer-1
  1. handler 1: handler reads lastTo = peer-1
  2. patch 2: patch asks for lastTo = peer-2, commits; the entry has lastTo = peer-2
  3. handler 1: handler asks for nothing, commits; the entry has lastTo = peer-1
  reverted: lastTo is peer-1; a serial execution leaves peer-2
"""

MERMAID = """\
sequenceDiagram
    participant F0 as handler 1
    participant S as store
    participant F1 as patch 2
    Note over S: lastTo = peer-1
    F0->>S: handler reads
    S-->>F0: lastTo = peer-1
    F1->>S: patch commits, asked for lastTo = peer-2
    Note over S: lastTo = peer-2
    F0->>S: handler commits, asked for nothing
    Note over S: lastTo = peer-1
    Note over S: reverted: lastTo is peer-1, a serial execution leaves peer-2
"""

SEEN_LATE = """\
after-19328: lastTo reverted at handler (race), 4 steps in scope handler+patch+patch
  0. the entry has lastTo = peer-1
  1. patch 1: patch asks for lastTo = peer-2, sendPolicy = undefined, commits; the entry has lastTo = peer-2
  2. patch 2: patch asks for lastTo = peer-3, commits; the entry has lastTo = peer-3
  3. handler 3: handler reads lastTo = peer-2 (from the cache, as after step 1)
  4. handler 3: handler asks for nothing, commits; the entry has lastTo = peer-2
  reverted: lastTo is peer-2; a serial execution leaves peer-3
"""

VITEST = [
    'const staleEntry: Entry = { lastTo: "peer-1" };',
    'const freshStore = (): Store => ({ [sessionKey]: { lastTo: "peer-2" } });',
    "const request: Entry = {};",
    'const expectedEntry: Entry = { lastTo: "peer-2" };',
    "  if ((effective(stale, request).to) != null) patch.lastTo = effective(stale, request).to ?? undefined;",
    "    to: entry.lastTo ?? usable.to,",
    "    expect(store[sessionKey]).toEqual(expectedEntry);",
]


@pytest.fixture(scope="module")
def proofs() -> Proofs:
    return prove(CASE, ["sketch-70575", "all-sites"], ["handler+patch", "turn+inbound"], stale_reads=1)


@pytest.fixture(scope="module")
def reverted(proofs: Proofs) -> Counterexample:
    return proofs.strategies["sketch-70575"].shortest("reverted", field="lastTo")


def test_text_tells_the_hand_written_schedule(reverted: Counterexample) -> None:
    assert show(CASE, reverted, "text") == TEXT


def test_mermaid_draws_the_hand_written_schedule(reverted: Counterexample) -> None:
    assert show(CASE, reverted, "mermaid") == MERMAID


def test_vitest_has_stale_entry_fresh_store_request_and_expected_entry(reverted: Counterexample) -> None:
    lines = show(CASE, reverted, "vitest").splitlines()
    assert [line for line in VITEST if line not in lines] == []


def test_a_stale_read_says_what_it_shows(proofs: Proofs) -> None:
    cached = proofs.strategies["sketch-70575"].shortest("erased", site="inbound")
    assert "(from the cache, as after step 0)" in show(CASE, cached, "text")


def test_a_read_from_the_cache_says_after_which_of_several_commits_by_hand() -> None:
    steps = (
        Step(1, "patch", commits=True, shows=-1, request={"lastTo": 2, "sendPolicy": 0}),
        Step(2, "patch", commits=True, shows=0, request={"lastTo": 3}),
        Step(0, "handler", commits=False, shows=0, request={}),
        Step(0, "handler", commits=True, shows=0, request={}),
    )
    scope = next(scope for scope in CASE.scopes if scope.name == "handler+patch+patch")
    one = Counterexample("after-19328", scope, "handler", "lastTo", "reverted", True, {"lastTo": 1}, steps, price=0)
    assert show(CASE, one, "text") == SEEN_LATE
    assert "    F2->>S: handler reads (from the cache, as after step 1)\n" in show(CASE, one, "mermaid")


def test_every_form_shows_every_counterexample(proofs: Proofs) -> None:
    for one in proofs.strategies["sketch-70575"].counterexamples:
        told = json.loads(show(CASE, one, "json"))
        assert told["written"].get(one.field) != told["expected"].get(one.field)
        assert len(told["steps"]) == len(one.steps)
        for form in FORMS:
            assert one.field in show(CASE, one, form)


def test_an_unknown_form_is_refused(reverted: Counterexample) -> None:
    with pytest.raises(InputError, match="allowed: text, json, mermaid, vitest"):
        show(CASE, reverted, "pdf")


def test_the_gate_lets_the_safe_strategy_through_and_names_what_the_other_does(proofs: Proofs) -> None:
    require_safe(proofs, ["all-sites"])
    with pytest.raises(RunError, match=r"sketch-70575 is not safe: .* erased at handler in 2 steps .* with no concurrency"):
        require_safe(proofs, ["all-sites", "sketch-70575"])
    with pytest.raises(InputError, match="not searched"):
        require_safe(proofs, ["replace"])


def test_a_verdict_of_what_is_unreachable_names_the_scopes_and_the_states(proofs: Proofs) -> None:
    one = prove(CASE, ["in-mutator"], list(proofs.schedules), stale_reads=1)
    states = sum(one.strategies["in-mutator"].states.values())
    assert (
        one.verdict("in-mutator", "overtaken")
        == f"unreachable in handler+patch, turn+inbound ({states:,} states, 17 orders of steps)"
    )


def hostile(tmp_path: Path) -> tuple[Case, Counterexample]:
    """What a strategy does that never writes, in a case whose names have a meaning in Mermaid, TypeScript and terminals."""
    text = """
        {case: mini, title: t, baseline: never, fields: {"a-\\u202e`\\n$;#<b>": {domain: d}},
         sites: {"s\\"+evil()": {role: unit, snapshot: own}}, reference: {"s\\"+evil()": {"*": request.*}},
         strategies: {never: {title: t, sites: {"s\\"+evil()": {"*": stale.*}}}},
         flows: {f: ["s\\"+evil()"]}, scopes: {one: [f, f]}}"""
    path = tmp_path / "mini.yaml"
    path.write_text(text)
    case = load_case(str(path))
    return case, prove(case).strategies["never"].counterexamples[0]


def test_hostile_names_stay_text_in_every_form(tmp_path: Path) -> None:
    case, one = hostile(tmp_path)
    text, mermaid, vitest = (show(case, one, form) for form in ("text", "mermaid", "vitest"))
    assert all(line.isprintable() for form in (text, mermaid, vitest) for line in form.split("\n"))
    assert "a-[U+202E]`[U+000A]$;#<b>" in text
    assert "a-[U+202E]#96;[U+000A]#36;#59;#35;#60;b>" in mermaid
    assert 'describe("s\\"+evil() write-back"' in vitest
    assert 'patch["a-\\u202e`\\n$;#<b>"] = stale["a-\\u202e`\\n$;#<b>"] ?? undefined;' in vitest


def test_a_name_that_typescript_does_not_have_is_refused(tmp_path: Path) -> None:
    case, one = hostile(tmp_path)
    names = case.sections.regression_test.model_copy(update={"update": "evil();//"})
    evil = replace(case, sections=case.sections.model_copy(update={"regression_test": names}))
    with pytest.raises(InputError, match=r"regression_test.update: 'evil\(\);//'; allowed: letters"):
        show(evil, one, "vitest")
