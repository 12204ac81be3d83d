"""The judging of one field against what the design page says in words, for every combination of three values."""

from itertools import product

import numpy as np
import pytest
from schedules import CASE, FIELDS, REQUEST, SITES

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.replay.judging import KIND_MEANINGS, KINDS, NONE, finding

CODES = (UNDEFINED, 1, 2)


def words(stale: int, fresh: int, wrong: int, asked: bool) -> str:
    """The kind of a clobber, as the design page says it."""
    if wrong == fresh:
        return "suppressed"  # nothing changed, and something should have
    if wrong == UNDEFINED:
        return "erased"
    if asked:
        return "overtaken"
    return "resurrected" if fresh == UNDEFINED and wrong == stale else "reverted"


@pytest.mark.parametrize("named", [ABSENT, 1, 2])
def test_what_is_found_of_one_field_against_words(named: int) -> None:
    """The handler's label is the request's, else the stale one: alone, it leaves the request's or what stands."""
    program = CASE.strategy("after-19328").program
    label = FIELDS.index("label")
    handler = range(program.first[SITES.index("handler")], program.first[SITES.index("handler") + 1])
    rule = next(rule for rule in handler if program.field[rule] == label)
    requests = np.full((1, len(REQUEST)), ABSENT, dtype=np.int32)
    requests[0, REQUEST.index("label")] = named
    for stale, fresh, right, wrong in product(CODES, repeat=4):
        entries = np.zeros((2, len(FIELDS)), dtype=np.int32)
        entries[:, label] = stale, fresh
        for asked in (False, True):
            found = finding(program, rule, entries, 0, 1, requests, 0, right, wrong, asked)
            if wrong == right:
                assert found == NONE
                continue
            alone = fresh if named == ABSENT else named
            assert found == 1 + 2 * KINDS.index(words(stale, fresh, wrong, asked)) + (right == alone)
            assert found != NONE


def test_every_kind_has_its_meaning() -> None:
    assert tuple(KIND_MEANINGS) == KINDS
