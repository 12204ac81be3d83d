"""The judging of one field: against words, for every combination of three values, and against a table written by hand."""

from itertools import product

import numpy as np
import pytest
from schedules import CASE, FIELDS, REQUEST, SITES

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.replay.judging import KIND_MEANINGS, KINDS, NONE, classify, finding, needs_race

OLD, NEW, ASKED = 1, 2, 3
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


TABLE = [
    # stale, fresh, what was committed, whether it came from the request, kind
    (OLD, NEW, UNDEFINED, False, "erased"),
    (UNDEFINED, NEW, UNDEFINED, False, "erased"),
    (UNDEFINED, NEW, UNDEFINED, True, "erased"),
    (OLD, NEW, OLD, False, "reverted"),
    (OLD, UNDEFINED, ASKED, False, "reverted"),
    (OLD, UNDEFINED, OLD, False, "resurrected"),
    (OLD, UNDEFINED, OLD, True, "overtaken"),
    (UNDEFINED, NEW, ASKED, True, "overtaken"),
    (UNDEFINED, UNDEFINED, ASKED, True, "overtaken"),
    (OLD, NEW, NEW, False, "suppressed"),
    (OLD, NEW, NEW, True, "suppressed"),
    (OLD, UNDEFINED, UNDEFINED, False, "suppressed"),
]


@pytest.mark.parametrize(("stale", "fresh", "wrong", "asked", "kind"), TABLE)
def test_the_kind_of_a_clobber_against_the_table(stale: int, fresh: int, wrong: int, asked: bool, kind: str) -> None:
    assert KINDS[classify(stale, fresh, wrong, asked)] == kind


def test_the_table_has_every_kind_and_every_kind_has_a_meaning() -> None:
    assert {row[-1] for row in TABLE} == set(KINDS) == set(KIND_MEANINGS)


@pytest.mark.parametrize(
    ("right", "fresh", "serial", "race"),
    [
        (NEW, NEW, ABSENT, True),  # with an up-to-date snapshot the site would have left the field alone, rightly
        (ASKED, NEW, ASKED, True),
        (ASKED, NEW, ABSENT, False),
        (NEW, NEW, OLD, False),
        (NEW, NEW, UNDEFINED, False),
        (UNDEFINED, NEW, UNDEFINED, True),
    ],
)
def test_whether_it_takes_a_race_against_what_a_serial_run_would_leave(right: int, fresh: int, serial: int, race: bool) -> None:
    assert needs_race(right, fresh, serial) == race
