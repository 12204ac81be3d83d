"""Replay of a history with attempts: entries merged over an older one than the newest, whole files put back, conflicts judged.

The walk is that of `replay`, of the same parts; it is a function of its own so that histories without attempts pay nothing.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case.discipline import FIELDS_STORED, STORE_STORED
from simlib.case.evaluator import merged, written
from simlib.case.pairs import Pairs
from simlib.case.rules import ABSENT, Program
from simlib.common.arrays import Ints
from simlib.common.compilation import inlined, lean
from simlib.model.history import TIMED_OUT, History
from simlib.replay.books import NOBODY, Books, Commit, Timeline, begin, change, commit, enter
from simlib.replay.judging import NONE, found_in

_NO_PAIR = -1


class Tries(NamedTuple):
    """The columns of `Attempts` that replay reads."""

    outcome: Ints
    base: Ints
    seen: Ints


class Undo(NamedTuple):
    """Which entries changed when, so that a whole file can be put back to what stood earlier.

    Attributes:
        changes: (3, capacity) of each change, in order: the row, the session, the version that stood before.
        target: (sessions,) the version that a session is put back to.
        made: (1,) how many changes there are.
    """

    changes: Ints
    target: Ints
    made: Ints


ROW, SESSION, BEFORE = range(3)


def open_undo(history: History, capacity: int) -> Undo:
    """Room for that many changes."""
    return Undo(np.empty((3, capacity), np.int64), np.empty(len(history.initial), np.int64), np.zeros(1, np.int64))


@lean
def walk_attempts(
    strategy: Program, reference: Program, faithful: Any, reads: Any, watches: Any, wants: Any, keeps: Any, is_write: Any,
    timeline: Timeline, tries: Tries, stores: int, undo: Undo, books: Books,
) -> None:  # fmt: skip
    """Fill the books; it stops where there is no more room for changes."""
    pairs = Pairs(strategy, reference, faithful, reads, watches, wants, keeps)
    begin(timeline.initial, books)
    for row in range(timeline.site.size):
        owner, site = timeline.session[row], timeline.site[row]
        fresh = books.newest[owner]
        books.version[row] = fresh
        if tries.outcome[row] == TIMED_OUT:
            continue
        stale = _version(books, owner, timeline.snapshot[row])
        base = fresh if stores == FIELDS_STORED else _version(books, owner, tries.base[row])
        at = Commit(row, owner, site, stale, base, fresh, is_write[site])
        if not timeline.ok[row]:
            books.false_conflict[row] = _is_right(pairs, at, timeline, books)
            if stores == STORE_STORED and books.false_conflict[row]:
                books.false_conflict[row] = not _puts_back(tries.seen[row], owner, undo, books)
            continue
        if base == fresh:
            commit(pairs, at, timeline, books)
        else:
            _commit_over(pairs, at, timeline, books)
        if stores == STORE_STORED:
            _put_back(row, tries.seen[row], owner, timeline.end[row], undo, books)
            if books.newest[owner] != fresh:
                _remember(undo, row, owner, fresh)
            if undo.made[0] > undo.changes.shape[1]:
                break


@inlined
def _version(books: Books, owner: int, row: int) -> int:
    """The version that the commit of a row left, or the initial one."""
    return owner if row == NOBODY else books.version[row]


# ---- over an older entry ---------------------------------------------------------------------------------------------------


@inlined
def _commit_over(pairs: Pairs, at: Commit, timeline: Timeline, books: Books) -> None:
    """A commit over an entry that is no longer the newest: every field in which the two differ is written too."""
    pair, last = pairs.strategy.first[at.site], pairs.strategy.first[at.site + 1]
    for field in range(books.versions.shape[1]):
        ruled = pair < last and pairs.strategy.field[pair] == field  # pairs stand in the order of their fields
        _write_over(pairs, pair if ruled else _NO_PAIR, field, at, timeline, books)
        pair += ruled


@inlined
def _write_over(pairs: Pairs, pair: int, field: int, at: Commit, timeline: Timeline, books: Books) -> None:
    """One field of it."""
    before = books.versions[at.fresh, field]
    value, asked, patched = _left(pairs, pair, field, at, timeline, books)
    right, sets = _meant(pairs, pair, before, at, timeline, books)
    if value == before and right == before and not sets:
        return
    stale, alone, found = books.versions[at.stale, field], ABSENT, NONE
    if value != before and not patched:
        stale = value  # nothing was written here but the older entry
    if value != right:
        if pair != _NO_PAIR:
            alone, _ = written(pairs.strategy, pair, books.versions, at.fresh, at.fresh, timeline.request, at.row)
        found = found_in(stale, before, right, value, asked, alone)
    if value != before:
        change(books, at, field, value)
    enter(books, at.row, at.owner, field, timeline.end[at.row], sets, found, before, right, value, stale)


@lean
def _left(pairs: Pairs, pair: int, field: int, at: Commit, timeline: Timeline, books: Books) -> tuple[int, bool, bool]:
    """What the strategy leaves in a field; whether that is the request's value, and whether it is the patch's at all."""
    below = books.versions[at.base, field]
    if pair == _NO_PAIR:
        return below, False, False
    patch, asked = written(pairs.strategy, pair, books.versions, at.stale, at.base, timeline.request, at.row)
    return merged(below, patch), asked, patch != ABSENT


@lean
def _meant(pairs: Pairs, pair: int, before: int, at: Commit, timeline: Timeline, books: Books) -> tuple[int, bool]:
    """What the reference leaves in a field, and whether the caller asked for it."""
    if pair == _NO_PAIR:
        return before, False
    patch, meant = written(pairs.reference, pair, books.versions, at.fresh, at.fresh, timeline.request, at.row)
    return merged(before, patch), at.is_write and patch != ABSENT and meant


@inlined
def _is_right(pairs: Pairs, at: Commit, timeline: Timeline, books: Books) -> bool:
    """Whether a commit would leave the entry as the reference would."""
    pair, last = pairs.strategy.first[at.site], pairs.strategy.first[at.site + 1]
    for field in range(books.versions.shape[1]):
        ruled = pair < last and pairs.strategy.field[pair] == field
        number = pair if ruled else _NO_PAIR
        value, _, _ = _left(pairs, number, field, at, timeline, books)
        right, _ = _meant(pairs, number, books.versions[at.fresh, field], at, timeline, books)
        if value != right:
            return False
        pair += ruled
    return True


# ---- over the whole file ---------------------------------------------------------------------------------------------------


@inlined
def _remember(undo: Undo, row: int, owner: int, before: int) -> None:
    """Write down that a session's entry has changed, if there is room."""
    number = undo.made[0]
    undo.made[0] += 1
    if number < undo.changes.shape[1]:
        undo.changes[ROW, number], undo.changes[SESSION, number], undo.changes[BEFORE, number] = row, owner, before


@inlined
def _aim(seen: int, undo: Undo, books: Books) -> int:
    """Set the targets of all sessions that have changed since `seen` rows had ended; returns the first of those changes."""
    number: int = undo.made[0]
    while number > 0 and undo.changes[ROW, number - 1] >= seen:
        number -= 1
        undo.target[undo.changes[SESSION, number]] = undo.changes[BEFORE, number]
    return number


@inlined
def _puts_back(seen: int, owner: int, undo: Undo, books: Books) -> bool:
    """Whether storing the file as it stood then changes another session's entry."""
    for number in range(_aim(seen, undo, books), undo.made[0]):
        session = undo.changes[SESSION, number]
        for field in range(books.versions.shape[1]):
            if session != owner and books.versions[undo.target[session], field] != books.versions[books.newest[session], field]:
                return True
    return False


@inlined
def _put_back(row: int, seen: int, owner: int, time: float, undo: Undo, books: Books) -> None:
    """Put the other sessions' entries back to what stood then; each field that this changes is clobbered."""
    for number in range(_aim(seen, undo, books), undo.made[0]):
        session = undo.changes[SESSION, number]
        old, new = undo.target[session], books.newest[session]
        if session == owner or old == new:
            continue
        for field in range(books.versions.shape[1]):
            value, right = books.versions[old, field], books.versions[new, field]
            if value != right:
                found = found_in(value, right, right, value, False, ABSENT)
                enter(books, row, session, field, time, False, found, right, right, value, value)
        books.newest[session] = old
        _remember(undo, row, session, new)
