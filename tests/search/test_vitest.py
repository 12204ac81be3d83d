"""The exported regression case, against TypeScript written by hand from the rules of the case file."""

from typing import Any

import pytest

from simlib.case.case import Case, compile_case, load_case
from simlib.case.case_file import CaseModel
from simlib.common.files import validated
from simlib.search.vitest import regression_case

CASE = load_case("openclaw-70575")

EFFECTIVE = """\
function effective(entry: Entry, request: Entry = {}): Entry {
  const stored = entry.lastChannel ?? entry.channel;
  const asked = request.channel;
  const usable = stored == null || asked == null || stored === asked ? request : {};
  return {
    channel: entry.lastChannel ?? entry.channel ?? usable.channel,
"""


def exported(strategy: str, site: str, field: str, case: Case = CASE, **shown: dict[str, str | None]) -> str:
    told: dict[str, Any] = {"strategy": strategy, "site": site, "field": field}
    told |= {key: {} for key in ("stale", "fresh", "request", "written", "expected")} | shown
    return regression_case(case, told, "first line\nsecond line")


@pytest.mark.parametrize(
    ("strategy", "site", "field", "line"),
    [
        ("after-19328", "handler", "label", "  patch.label = request.label ?? stale.label ?? undefined;"),
        ("after-19328", "patch", "label", '  if ("label" in request) patch.label = request.label ?? undefined;'),
        ("sketch-70575", "handler", "channel",
         "  if ((request.channel) != null && stale.channel == null) patch.channel = request.channel ?? undefined;"),
        ("sketch-70575", "handler", "lastTo",
         "  if ((effective(stale, request).to) != null) patch.lastTo = effective(stale, request).to ?? undefined;"),
    ],
)  # fmt: skip
def test_a_rule_as_a_statement_by_hand(strategy: str, site: str, field: str, line: str) -> None:
    lines = exported(strategy, site, field).splitlines()
    assert lines[:2] == ["// first line", "// second line"]
    assert [text for text in lines if "patch." in text] == [line]


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("overlay(stale, request).* ?? fresh.*",
         "  patch.label = ({ ...stale, ...request }).label ?? fresh.label ?? undefined;"),
        ({"value": "stale.*", "only_if": ["fresh", "stale.*"]},
         "  if (Object.keys(fresh).length > 0 && stale.label != null) patch.label = stale.label ?? undefined;"),
        ({"value": "request.*", "unless": ["stale", "fresh.*"]},
         "  if (Object.keys(stale).length === 0 && fresh.label == null) patch.label = request.label ?? undefined;"),
        ("update(fresh.*, request.*)",
         "  patch.label = updated(fresh.label, request.label) ?? undefined;"),
    ],
)  # fmt: skip
def test_an_overlay_an_update_and_conditions_as_a_statement_by_hand(rule: Any, line: str) -> None:
    data = {
        "case": "one", "title": "", "baseline": "it", "fields": {"label": {"domain": "d"}},
        "sites": {"save": {"role": "write", "snapshot": "own"}}, "reference": {},
        "strategies": {"it": {"title": "", "sites": {"save": {"label": rule}}}},
    }  # fmt: skip
    text = exported("it", "save", "label", compile_case(validated(CaseModel, data, "one"), "one"))
    assert [one for one in text.splitlines() if "patch." in one] == [line]
    assert ("const updated = " in text) == ("updated(" in line)


def test_the_delivery_context_is_there_when_any_rule_that_is_shown_uses_it_and_else_not() -> None:
    assert EFFECTIVE in exported("after-19328", "handler", "label", stale={"lastTo": "b"})
    assert "effective" not in exported("after-19328", "handler", "label", stale={"label": "b"})


def test_entries_and_a_request_that_clears_are_literals() -> None:
    text = exported("after-19328", "handler", "label", stale={"label": 'a "b"'}, request={"label": None})
    assert 'const staleEntry: Entry = { label: "a \\"b\\"" };' in text
    assert "const request: Entry = { label: null };" in text
    assert "const expectedEntry: Entry = {};" in text
