"""Replay: what a strategy would have written on a history's timeline, and which of those writes clobber.

`replay_strategy` walks the history once per strategy, in commit order, and notes for each clobber (see `judging`) its
kind, whether it was a race, the culprit (the transaction that did it), the victim (the transaction whose write was
destroyed), and how long the wrong value stood.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import merged, written
from simlib.case.pairs import ALWAYS, EVERYTHING, Pairs
from simlib.case.rules import ABSENT, UNDEFINED, UPDATED, Program
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import inlined, lean
from simlib.model.history import History
from simlib.replay.judging import finding

NOBODY = -1


@dataclass(frozen=True)
class Clobbers:
    """The clobbers of one replay in commit order; n of them. Rows are rows of the history.

    Attributes:
        culprit: (n,) row of the transaction that wrote the wrong value.
        victim: (n,) row of the `write`-role transaction whose value was destroyed; NOBODY if it was no such write's.
        field: (n,) field number.
        kind: (n,) index into KINDS.
        racing: (n,) whether it needs concurrency: the same rules on an up-to-date snapshot would not have done it.
        wrong, right, fresh, stale: (n,) value codes: committed, reference, what the lock showed, what the snapshot showed.
        until: (n,) time at which the field was next written or changed; inf if the wrong value stood to the end.
    """

    culprit: Ints
    victim: Ints
    field: Ints
    kind: Ints
    racing: Bools
    wrong: Ints
    right: Ints
    fresh: Ints
    stale: Ints
    until: Floats

    def __len__(self) -> int:
        return int(self.culprit.size)


COLUMNS = CULPRIT, VICTIM, FIELD, KIND, RACING, WRONG, RIGHT, FRESH, STALE = range(9)
"""Those of Clobbers but the last, in their order."""


@dataclass(frozen=True)
class Outcomes:
    """What one strategy does on one history.

    Attributes:
        strategy: its name.
        version: (transactions,) row of `versions` that holds the session's entry after each transaction.
        versions: (versions, fields) value codes; the initial entries, then a row for each transaction that changed an entry.
        clobbers: all clobbers.
        writes, lost: (transactions,) how many fields each `write`-role transaction set, and how many of those were clobbered
            before anyone legitimately replaced them.
    """

    strategy: str
    history: History
    version: Ints
    versions: Codes
    clobbers: Clobbers
    writes: Ints
    lost: Ints

    @cached_property
    def entries(self) -> Codes:
        """(transactions, fields) value codes of the session's entry after each transaction."""
        return self.versions[self.version]


def replay_strategy(case: Case, strategy: Strategy, history: History) -> Outcomes:
    """Run `strategy` over the timeline of `history`: what it writes at each commit, and which of those writes clobber.

    Args:
        case: the case that the history and the strategy are of.
        strategy: the rules that write.
        history: n transactions in commit order, from any source. Its times are taken as they are.

    Raises:
        InputError: the history is not of this case.

    Examples:
        >>> from simlib import load_case, read_recording
        >>> from simlib.common.shipped import CASE
        >>> from simlib.replay.recording import find_recording
        >>> case = load_case(CASE)
        >>> recording = read_recording(find_recording("store-2026.4.22-after-19328"), case)
        >>> outcomes = replay_strategy(case, case.strategy("after-19328"), recording.history)
        >>> len(outcomes.history), len(outcomes.clobbers)  # transactions, clobbered fields
        (2500, 52)
        >>> outcomes.entries.shape == (len(outcomes.history), len(case.fields))
        True
    """
    history.check(case)
    columns = history.site, history.session, history.ok, history.snapshot, history.end
    timeline = _Timeline(*columns, history.request, history.named, history.initial)
    capacity = max(64, len(history))
    while True:
        books = _open_books(history, capacity)
        _walk(*strategy.pairs, case.is_write, timeline, books)
        versions, count = books.counts.tolist()
        if count <= capacity:
            break
        capacity = count
    clobbers: list[Any] = [*books.found[:, :count].copy(), books.until[:count].copy()]
    clobbers[RACING] = clobbers[RACING] != 0
    return Outcomes(
        strategy.name, history, books.version, books.versions[:versions], Clobbers(*clobbers), books.writes, books.lost
    )


class _Timeline(NamedTuple):
    """The columns of a history that replay reads."""

    site: Ints
    session: Ints
    ok: Bools
    snapshot: Ints
    end: Floats
    request: Codes
    named: Ints
    initial: Codes


class _Books(NamedTuple):
    """What the walk fills in: the columns of `Outcomes` and `Clobbers`, and what it has to keep in mind.

    An entry is known by its version, a row of `versions`.

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
    newest: Ints
    author: Ints
    standing: Ints
    counts: Ints


VERSIONS, CLOBBERS = range(2)


def _open_books(history: History, capacity: int) -> _Books:
    """Room for everything; `_begin` puts the first numbers in."""
    size, entries = len(history), history.initial.shape
    return _Books(
        version=np.empty(size, np.int64),
        versions=np.empty((entries[0] + size, entries[1]), np.int32),
        found=np.empty((len(COLUMNS), capacity), np.int64),
        until=np.empty(capacity),
        writes=np.empty(size, np.int64),
        lost=np.empty(size, np.int64),
        newest=np.empty(entries[0], np.int64),
        author=np.empty(entries, np.int64),
        standing=np.empty(entries, np.int64),
        counts=np.empty(2, np.int64),
    )


@inlined
def _begin(initial: Any, books: _Books) -> None:
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


class _Commit(NamedTuple):
    """One transaction of the walk: its row and session, the versions that its snapshot and the lock show, its role."""

    row: int
    owner: int
    stale: int
    fresh: int
    is_write: bool


@lean
def _walk(
    strategy: Program, reference: Program, faithful: Any, reads: Any, watches: Any, wants: Any, keeps: Any, is_write: Any,
    timeline: _Timeline, books: _Books,
) -> None:  # fmt: skip
    """Fill the books. The pairs come part by part: tuples within a tuple take numba microseconds to unpack.

    Most transactions change nothing, and most snapshots show what is still the newest version; then a faithful rule need not
    run, and a site without others is done at once.
    """
    pairs = Pairs(strategy, reference, faithful, reads, watches, wants, keeps)
    _begin(timeline.initial, books)
    for row in range(timeline.site.size):
        owner, site, snapshot = timeline.session[row], timeline.site[row], timeline.snapshot[row]
        fresh = books.newest[owner]
        books.version[row] = fresh
        if not timeline.ok[row]:
            continue
        stale = owner if snapshot == NOBODY else books.version[snapshot]
        differ = _differing(books.versions, stale, fresh)
        if pairs.watches[site] != EVERYTHING and not differ & pairs.watches[site]:
            continue
        at = _Commit(row, owner, stale, fresh, is_write[site])
        for pair in range(pairs.strategy.first[site], pairs.strategy.first[site + 1]):
            overtaken = differ & pairs.reads[pair]
            if overtaken | timeline.named[row] & pairs.wants[pair]:
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
def _write(pairs: Pairs, pair: int, runs: bool, at: _Commit, timeline: _Timeline, books: _Books) -> None:
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
        _change(books, at, field, value)
    books.writes[at.row] += sets
    _end_standing(books, at.owner, field, timeline.end[at.row])
    if value != right:
        # A value that the reference would have replaced too has not been lost: it has no victim. An update replaces nothing.
        kept = right == before or right >= UPDATED
        victim = at.row if sets else books.author[at.owner, field] if kept else NOBODY
        books.author[at.owner, field] = NOBODY
        if victim != NOBODY:
            books.lost[victim] += 1
        _note(pairs, pair, at, victim, right, value, asked, timeline, books)
    elif sets or right != before:
        books.author[at.owner, field] = at.row if sets else NOBODY


@inlined
def _change(books: _Books, at: _Commit, field: int, value: int) -> None:
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
def _end_standing(books: _Books, owner: int, field: int, time: float) -> None:
    """The field is written or changed: a wrong value that stood in it stands no longer."""
    number = books.standing[owner, field]
    if number != NOBODY:
        if number < books.until.size:
            books.until[number] = time
        books.standing[owner, field] = NOBODY


@inlined
def _note(
    pairs: Pairs, pair: int, at: _Commit, victim: int, right: int, value: int, asked: bool, timeline: _Timeline, books: _Books
) -> None:
    """Write a clobber down, if there is room."""
    number, field = books.counts[CLOBBERS], pairs.strategy.field[pair]
    books.counts[CLOBBERS] += 1
    books.standing[at.owner, field] = number
    if number >= books.until.size:
        return
    found = finding(
        pairs.strategy, pair, books.versions, at.stale, at.fresh, timeline.request, at.row, right, value, asked
    )  # fmt: skip
    columns = books.found
    columns[CULPRIT, number], columns[VICTIM, number], columns[FIELD, number] = at.row, victim, field
    columns[KIND, number], columns[RACING, number] = (found - 1) // 2, (found - 1) % 2
    columns[WRONG, number], columns[RIGHT, number] = value, right
    columns[FRESH, number], columns[STALE, number] = books.versions[at.fresh, field], books.versions[at.stale, field]
    books.until[number] = np.inf
