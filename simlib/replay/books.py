"""The books of a replay: what a walk over a history has to keep in mind, and how the write of one field is entered.

An entry is known by its version, a row of `Books.versions`. Compiled by numba; nothing here allocates.
"""

from typing import Any, NamedTuple

import numpy as np

from simlib.case.evaluator import merged, written
from simlib.case.pairs import ALWAYS, EVERYTHING, Pairs
from simlib.case.rules import ABSENT, UNDEFINED, UPDATED
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import inlined
from simlib.model.history import History
from simlib.replay.judging import NONE, finding

NOBODY = -1
COLUMNS = CULPRIT, VICTIM, FIELD, KIND, RACING, WRONG, RIGHT, FRESH, STALE = range(9)
"""Those of Clobbers but the last, in their order."""


class Timeline(NamedTuple):
    """The columns of a history that replay reads."""

    site: Ints
    session: Ints
    ok: Bools
    snapshot: Ints
    end: Floats
    request: Codes
    named: Ints
    initial: Codes


class Books(NamedTuple):
    """What the walk fills in: the columns of `Outcomes` and `Clobbers`, and what it has to keep in mind.

    Attributes:
        newest: (sessions,) the version that stands.
        author: (sessions, fields) row of the write-role transaction whose value stands; NOBODY if it is not such a one's.
        standing: (sessions, fields) number of the clobber whose wrong value stands; NOBODY if the value is right.
        counts: how many VERSIONS and CLOBBERS there are; of clobbers it may be more than fit.
    """

    version: Ints
    versions: Codes
    found: Ints
    until: Floats
    writes: Ints
    lost: Ints
    false_conflict: Bools
    newest: Ints
    author: Ints
    standing: Ints
    counts: Ints


VERSIONS, CLOBBERS = range(2)


class Commit(NamedTuple):
    """One transaction of the walk.

    Attributes:
        row, owner, site: its row, session and write site.
        stale: the version that its snapshot shows.
        base: the one that its patch is merged over.
        fresh: the newest one; under one exclusive lock that is `base`.
        is_write: whether what it writes was asked for.
    """

    row: int
    owner: int
    site: int
    stale: int
    base: int
    fresh: int
    is_write: bool


def open_books(history: History, capacity: int) -> Books:
    """Room for everything, and for that many clobbers; `begin` puts the first numbers in."""
    size, entries = len(history), history.initial.shape
    return Books(
        version=np.empty(size, np.int64),
        versions=np.empty((entries[0] + size, entries[1]), np.int32),
        found=np.empty((len(COLUMNS), capacity), np.int64),
        until=np.empty(capacity),
        writes=np.empty(size, np.int64),
        lost=np.empty(size, np.int64),
        false_conflict=np.zeros(size, np.bool_),
        newest=np.empty(entries[0], np.int64),
        author=np.empty(entries, np.int64),
        standing=np.empty(entries, np.int64),
        counts=np.empty(2, np.int64),
    )


@inlined
def begin(initial: Any, books: Books) -> None:
    """Nothing has been written, and the initial entries are the first versions."""
    sessions, fields = initial.shape
    books.counts[VERSIONS], books.counts[CLOBBERS] = sessions, 0
    for owner in range(sessions):
        books.newest[owner] = owner
        for field in range(fields):
            books.versions[owner, field] = initial[owner, field]
            books.author[owner, field] = books.standing[owner, field] = NOBODY
    for row in range(books.writes.size):
        books.writes[row] = books.lost[row] = 0


@inlined
def commit(pairs: Pairs, at: Commit, timeline: Timeline, books: Books) -> None:
    """A commit over the newest entry.

    Most transactions change nothing, and most snapshots show what is still the newest version; then a faithful rule need not
    run, and a site without others is done at once.
    """
    differ = _differing(books.versions, at.stale, at.fresh)
    if pairs.watches[at.site] != EVERYTHING and not differ & pairs.watches[at.site]:
        return
    for pair in range(pairs.strategy.first[at.site], pairs.strategy.first[at.site + 1]):
        overtaken = differ & pairs.reads[pair]
        if overtaken | timeline.named[at.row] & pairs.wants[pair]:
            _write(pairs, pair, overtaken != 0 or not pairs.faithful[pair], at, timeline, books)


@inlined
def _differing(versions: Any, stale: int, fresh: int) -> int:
    """The fields in which two versions differ, as a set."""
    differ, bit = 0, 1
    if stale != fresh:
        for field in range(versions.shape[1]):
            differ |= (versions[stale, field] != versions[fresh, field]) * bit
            bit = 1 if bit == ALWAYS >> 1 else bit << 1  # as in `pairs`, the bits are used again
    return differ


@inlined
def _write(pairs: Pairs, pair: int, runs: bool, at: Commit, timeline: Timeline, books: Books) -> None:
    """One field of a commit; unless it `runs`, the strategy's rule is known to write what the reference writes."""
    field, versions = pairs.strategy.field[pair], books.versions
    before = versions[at.fresh, field]
    if not runs and pairs.keeps[pair] and before != UNDEFINED:
        return
    patch, meant = written(pairs.reference, pair, versions, at.fresh, at.fresh, timeline.request, at.row)
    right, sets = merged(before, patch), at.is_write and patch != ABSENT and meant
    value, asked = right, False
    if runs:
        patch, asked = written(pairs.strategy, pair, versions, at.stale, at.fresh, timeline.request, at.row)
        value = merged(before, patch)
    if value == before and right == before and not sets:
        return
    if value != before:
        change(books, at, field, value)
    found = NONE
    if value != right:
        found = finding(pairs.strategy, pair, versions, at.stale, at.fresh, timeline.request, at.row, right, value, asked)
    enter(books, at.row, at.owner, field, timeline.end[at.row], sets, found, before, right, value, versions[at.stale, field])


@inlined
def change(books: Books, at: Commit, field: int, value: int) -> None:
    """Put a value into the entry that the commit leaves; its first change makes a new version."""
    versions, version = books.versions, books.newest[at.owner]
    if version == at.fresh:
        version = books.counts[VERSIONS]
        for column in range(versions.shape[1]):
            versions[version, column] = versions[at.fresh, column]
        books.newest[at.owner] = books.version[at.row] = version
        books.counts[VERSIONS] += 1
    versions[version, field] = value


@inlined
def enter(
    books: Books, row: int, owner: int, field: int, time: float, sets: bool,
    found: int, before: int, right: int, value: int, stale: int,
) -> None:  # fmt: skip
    """Enter that a field was written or changed: whose value stands in it now, and whether that clobbers.

    Args:
        books: where to.
        row: the transaction's row.
        owner: the session.
        field: its number.
        time: when; a wrong value that stood in the field stands no longer.
        sets: whether the caller asked for what the reference leaves here.
        found: as from `finding`.
        before: value code of what stood.
        right: what the reference leaves.
        value: what was written.
        stale: what had been read.
    """
    books.writes[row] += sets
    _end_standing(books, owner, field, time)
    if found != NONE:
        # A value that the reference would have replaced too has not been lost: it has no victim. An update replaces nothing.
        kept = right == before or right >= UPDATED
        victim = row if sets else books.author[owner, field] if kept else NOBODY
        books.author[owner, field] = NOBODY
        if victim != NOBODY:
            books.lost[victim] += 1
        _note(books, row, owner, victim, field, found, before, right, value, stale)
    elif sets or right != before:
        books.author[owner, field] = row if sets else NOBODY


@inlined
def _end_standing(books: Books, owner: int, field: int, time: float) -> None:
    number = books.standing[owner, field]
    if number != NOBODY:
        if number < books.until.size:
            books.until[number] = time
        books.standing[owner, field] = NOBODY


@inlined
def _note(
    books: Books, row: int, owner: int, victim: int, field: int, found: int, before: int, right: int, value: int, stale: int
) -> None:
    """Write a clobber down, if there is room."""
    number, columns = books.counts[CLOBBERS], books.found
    books.counts[CLOBBERS] += 1
    books.standing[owner, field] = number
    if number >= books.until.size:
        return
    columns[CULPRIT, number], columns[VICTIM, number], columns[FIELD, number] = row, victim, field
    columns[KIND, number], columns[RACING, number] = (found - 1) // 2, (found - 1) % 2
    columns[WRONG, number], columns[RIGHT, number] = value, right
    columns[FRESH, number], columns[STALE, number] = before, stale
    books.until[number] = np.inf
