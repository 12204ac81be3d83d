"""What a rule writes: the compiled evaluator against the same rules over plain dictionaries, on drawn entries and requests."""

import numpy as np
import pytest
from dictionary_replay import Entry, Request, Writer
from hypothesis import given
from hypothesis import strategies as st

from simlib.case.case import load_case
from simlib.case.evaluator import evaluate, named_keys, updated
from simlib.case.pairs import ALWAYS, SET_BITS
from simlib.case.rules import ABSENT, UNDEFINED, UPDATED
from simlib.common.files import load_yaml
from simlib.common.shipped import find

CASE = load_case("openclaw-70575")
CONTEXT = load_yaml(find("cases", CASE.name))["effective"]
STRATEGIES = [*CASE.strategies.values(), CASE.reference]


def codes(width: int, least: int) -> st.SearchStrategy[list[int]]:
    """A row of value codes; few values, so that they meet."""
    return st.lists(st.integers(least, 2), min_size=width, max_size=width)


@given(st.data(), codes(len(CASE.fields), UNDEFINED), codes(len(CASE.fields), UNDEFINED), codes(len(CASE.request), ABSENT))
def test_every_rule_of_every_strategy_against_dictionaries(
    data: st.DataObject, stale: list[int], fresh: list[int], request: list[int]
) -> None:
    strategy = data.draw(st.sampled_from(STRATEGIES))
    number = data.draw(st.integers(0, len(CASE.sites) - 1))
    entries, requests = np.array([stale, fresh], dtype=np.int32), np.array([request], dtype=np.int32)
    patch = np.empty(len(CASE.fields), dtype=np.int32)
    evaluate(strategy.pairs.strategy, number, entries, 0, 1, requests, 0, patch)

    old: Entry = {name: code for name, code in zip(CASE.fields, stale, strict=True) if code != UNDEFINED}
    new: Entry = {name: code for name, code in zip(CASE.fields, fresh, strict=True) if code != UNDEFINED}
    asked: Request = {name: code or None for name, code in zip(CASE.request, request, strict=True) if code != ABSENT}
    expected = dict.fromkeys(CASE.fields, ABSENT)
    for field, rule in strategy.rules[CASE.sites[number]].items():
        written = Writer(field, rule, CONTEXT)(old, new, asked)
        if written is not None:
            expected[field] = written[0] or UNDEFINED
    assert dict(zip(CASE.fields, patch.tolist(), strict=True)) == expected


UPDATES = st.tuples(st.integers(UNDEFINED, 3), st.lists(st.integers(UNDEFINED, 3), max_size=4))


def after(old: int, requests: list[int], commutative: bool) -> int:
    for asked in requests:
        old = int(updated(np.int32(old), np.int32(asked), commutative))
    return old


@given(UPDATES, UPDATES)
def test_updates_give_the_same_code_if_and_only_if_they_are_the_same_ones_in_any_order_where_they_commute(
    one: tuple[int, list[int]], other: tuple[int, list[int]]
) -> None:
    for commutative in (False, True):
        same = one[0] == other[0] and (sorted(one[1]) == sorted(other[1]) if commutative else one[1] == other[1])
        assert (after(*one, commutative) == after(*other, commutative)) == same
        assert not one[1] or UPDATED <= after(*one, commutative) < 2 * UPDATED  # which an entry's 32 bits hold


@pytest.mark.parametrize("keys", [1, 5, SET_BITS + 2])
def test_the_named_keys_of_a_request_against_a_set_written_out(keys: int) -> None:
    for named in range(keys):
        row = np.full((1, keys), ABSENT, dtype=np.int32)
        row[0, named] = UNDEFINED  # to clear a field is to name it
        assert named_keys(row).tolist() == [ALWAYS | 1 << named % SET_BITS]
