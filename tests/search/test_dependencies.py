"""What the search takes a rule to depend on: cases of which the answer is known by hand."""

from typing import Any

import pytest

from simlib.case.case import Case, compile_case
from simlib.case.case_file import CaseModel
from simlib.common.errors import RunError
from simlib.common.files import validated
from simlib.search.dependencies import find_cone, tabulate
from simlib.search.proofs import require_safe
from simlib.search.prove import prove


def case_of(reference: Any, rule: Any, **more: Any) -> Case:
    """Two fields; one site, which reads before it is locked; two transactions at a time."""
    data = {
        "case": "small", "title": "", "baseline": "it",
        "fields": {"user": {"domain": "d"}, "theme": {"domain": "d"}},
        "sites": {"save": {"role": "write", "snapshot": "own"}},
        "reference": {"save": {"*": reference}},
        "strategies": {"it": {"title": "", "sites": {"save": {"*": rule}}}},
        "flows": {"save": ["save"]}, "scopes": {"two": ["save", "save"]},
    }  # fmt: skip
    return compile_case(validated(CaseModel, data | more, "small"), "small")


ASKED = {"value": "request.*", "when": "requested"}


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("overlay(fresh, request).*", set()),
        # A clear that the other transaction made is undone; one of its own stays.
        ("overlay(stale, request).*", {("erased", True), ("resurrected", True), ("reverted", True)}),
        # Here no clear is ever made, with no race: the field keeps its value, or in a race an older one.
        ("request.* ?? stale.*", {("erased", True), ("reverted", True), ("suppressed", False), ("reverted", False)}),
        (ASKED | {"only_if": "fresh"}, {("suppressed", False)}),
    ],
)
def test_a_clear_is_told_from_a_key_that_is_not_named(rule: Any, found: set[tuple[str, bool]]) -> None:
    proof = prove(case_of(ASKED, rule), stale_reads=0).strategies["it"]
    assert {(one.kind, one.racing) for one in proof.counterexamples} == found


def test_whether_the_entry_exists_depends_on_every_field() -> None:
    case = case_of(ASKED | {"only_if": "fresh"}, ASKED | {"only_if": "stale"})
    assert sorted(find_cone(case, case.strategies["it"], 0).fields) == [0, 1]
    # The other transaction cleared what was there. (An entry that never was gets no first field under this rule.)
    found = prove(case, stale_reads=0).strategies["it"].counterexamples
    assert {(one.kind, one.racing) for one in found} == {("overtaken", True)}


def test_a_field_that_grows_from_its_old_value_is_not_searched() -> None:
    case = case_of("update(fresh.*, request.*)", "update(stale.*, request.*)")
    with pytest.raises(RunError, match=r"user is not searched: it depends on update\(\.\.\.\)"):
        tabulate(case, case.strategies["it"], find_cone(case, case.strategies["it"], 0))
    proofs = prove(case)
    assert proofs.verdict("it") == "not searched: user depends on update(...), which makes values without end"
    assert (proofs.absence("it"), proofs.safe("it")) == ("not searched", False)
    assert {cell["reachable"] for cell in proofs.to_json()["strategies"]["it"].values()} == {None}
    with pytest.raises(RunError, match="strategy it is not proved safe: not searched: user depends on"):
        require_safe(proofs, ["it"])


def test_an_update_in_the_lock_is_certified_and_needs_no_search() -> None:
    proofs = prove(case_of("update(fresh.*, request.*)", "update(fresh.*, request.*)"))
    assert (proofs.absence("it"), proofs.safe("it")) == ("cannot", True)
    assert all(one.certified for one in proofs.certificates["it"].values())
