"""Kinds of clobbers, against a table written by hand."""

import pytest

from simlib.case.rules import ABSENT, UNDEFINED
from simlib.replay.judging import KIND_MEANINGS, KINDS, classify, needs_race

OLD, NEW, ASKED = 1, 2, 3

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
