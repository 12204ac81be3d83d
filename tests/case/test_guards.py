"""What each comparison comes to, against entries written by hand."""

import numpy as np
import pytest
import yaml

from simlib.case.case import load_case
from simlib.case.guards import lets_through, tabulate_guards

CASE = """
case: pairs
title: two fields, of which the site owns one
baseline: plain
fields: {own: {domain: n}, other: {domain: n}}
sites: {save: {role: unit, snapshot: own}}
reference: {save: {own: "request.* ?? fresh.*"}}
strategies:
  plain: {title: no guard, sites: {save: &rules {own: "request.* ?? stale.*", other: stale.other}}}
"""
GUARDS = ("version", "bytes", "owner", "reordered_bytes", ["own"], [])
SAME, OWN_MOVED, OTHER_MOVED = 0, 1, 2
ENTRIES = np.array([[1, 1], [2, 1], [1, 2]], dtype=np.int32)  # rows: as the snapshot; own, or other, changed since


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    data = yaml.safe_load(CASE)
    rules = data["strategies"]["plain"]["sites"]
    for number, compare in enumerate(GUARDS):
        data["strategies"][f"guard-{number}"] = {"title": "", "guards": {"save": {"compare": compare}}, "sites": rules}
    path = tmp_path_factory.mktemp("case") / "pairs.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load_case(str(path))


def accepted(case, name, fresh, committed=True, ever=True):
    strategy = case.strategy(name)
    request = np.array([[-1, -1]], dtype=np.int32)
    guards = tabulate_guards(case, strategy.discipline)
    return bool(lets_through(guards, strategy.program, 0, committed, ever, ENTRIES, SAME, fresh, request, 0))


# Of each guard whether the write passes where: nothing has changed in value, the own field has, the other one has.
EXPECTED = {
    "version": (False, False, False),  # somebody has committed, be it the same values
    "bytes": (True, False, False),
    "owner": (True, True, False),  # writes back `other` as the snapshot has it, which is another value in the third case only
    "reordered_bytes": (False, False, False),
    "['own']": (True, False, True),
    "[]": (True, True, True),
}


@pytest.mark.parametrize("number", range(len(GUARDS)), ids=[str(guard) for guard in GUARDS])
def test_each_comparison_by_hand(case, number):
    rows = (SAME, OWN_MOVED, OTHER_MOVED)
    assert tuple(accepted(case, f"guard-{number}", row) for row in rows) == EXPECTED[str(GUARDS[number])]


def test_without_a_commit_version_and_bytes_pass_and_without_a_guard_all_does(case):
    assert accepted(case, "guard-0", SAME, committed=False)
    assert accepted(case, "guard-3", SAME, ever=False)
    assert accepted(case, "plain", OTHER_MOVED)
