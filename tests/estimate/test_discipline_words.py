"""A discipline in words, against sentences written by hand for disciplines of the shipped case."""

from dataclasses import replace

import pytest

from simlib.case.case import load_case
from simlib.case.discipline import Discipline, Guard, Lock, Pause
from simlib.common import bounds
from simlib.common.shipped import CASE, shipped_names
from simlib.estimate.discipline_words import USUAL, discipline_words

C = load_case(CASE)
PLAIN = C.plain()
ALL = frozenset(C.sites)
NO_GUARDS = (None,) * len(C.sites)


def guarded(**of: Guard) -> Discipline:
    return replace(PLAIN, guards=tuple(of.get(site) for site in C.sites))


@pytest.mark.parametrize(
    ("discipline", "words"),
    [
        (PLAIN, "The store's lock around each merge; nothing is compared."),
        (replace(PLAIN, locks=(), stores="store"), "No lock. A commit stores the whole file as it was read."),
        (
            replace(PLAIN, locks=(Lock("store", "transaction", frozenset({"patch"}), 0.06, "go_on"),)),
            "The store's lock from before the snapshot to the commit at patch, given up after 60.0 ms; "
            "then it goes on without it.",
        ),
        (
            replace(PLAIN, locks=(Lock("entry", "flow", ALL, 0.0),)),
            "A lock for each session entry over all of the work, refused at once if it is not free.",
        ),
        (
            replace(PLAIN, snapshots=("memory", "memory", *PLAIN.snapshots[2:])),
            "handler and run_start start from the copy that its process keeps.",
        ),
        (
            guarded(handler=Guard("fields", ("label",), used_up="skip")),
            "handler writes only if label is as in its snapshot: if not, it leaves the write out.",
        ),
        (
            guarded(handler=Guard("version", scope="store", atomic=False), patch=Guard("version", scope="store", atomic=False)),
            "handler and patch write only if nobody has committed to the store since its snapshot "
            "(compared first and written later, not in one step): if not, it fails.",
        ),
        (
            guarded(patch=Guard("owner", ("label", "space"), attempts=3, pause=Pause(1.0, jitter=0.5, in_lock=True))),
            "patch writes only if it leaves label and space as they are: 3 attempts, after 1.0 s and 1.0 s (up to 50.0 % "
            "more or less), keeping the lock, then it fails.",
        ),
        (
            guarded(patch=Guard("fields", C.fields, attempts=int(bounds.ATTEMPTS.high))),
            "patch writes only if no field differs from its snapshot: as many attempts as it takes at once.",
        ),
    ],
)
def test_a_discipline_is_told_in_sentences(discipline: Discipline, words: str) -> None:
    assert discipline_words(C, discipline) == words


@pytest.mark.parametrize("name", shipped_names("cases"))
def test_strategies_with_different_disciplines_read_differently_within_a_case(name: str) -> None:
    case = load_case(name)
    told = {replace(s.discipline, rules_of=""): discipline_words(case, s.discipline) for s in case.strategies.values()}
    assert len(set(told.values())) == len(told)
    assert (USUAL in told.values()) == (case.plain() in told)
