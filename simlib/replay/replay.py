"""Replay: what a strategy would have written on a history's timeline, and which of those writes clobber.

A clobber is a field where the committed value differs from the reference, which is what the same transaction would have
written in a serial execution. `replay` walks the history once per strategy, in commit order, and notes for each clobber its
kind, whether it was a race, the culprit (the transaction that did it), the victim (the transaction whose write was
destroyed), and how long the wrong value stood.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from simlib.case.case import Case, Strategy
from simlib.case.evaluator import written
from simlib.case.pairs import EVERYTHING, REFERENCE, SET_BITS, STRATEGY, Pairs
from simlib.case.rules import ABSENT, UNDEFINED
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import compiled
from simlib.model.history import History

KINDS = ("erased", "reverted", "resurrected", "overtaken", "suppressed")
ERASED, REVERTED, RESURRECTED, OVERTAKEN, SUPPRESSED = range(5)
KIND_MEANINGS = {
    "erased": "a defined value is gone",
    "reverted": "an older value came back over a newer one",
    "resurrected": "a field had been cleared, and the old value is back",
    "overtaken": "the request's value, written on a stale check, landed where it should not",
    "suppressed": "a value that the request asked for was not written",
}
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
    """Run `strategy` over the timeline of `history`.

    Raises:
        InputError: the history is not of this case.
    """
    history.check(case)
    capacity = max(64, len(history))
    while True:
        version, (writes, lost) = np.empty(len(history), dtype=np.int64), np.zeros((2, len(history)), dtype=np.int64)
        versions = np.empty((len(history.initial) + len(history), len(case.fields)), dtype=np.int32)
        found, until = np.empty((len(COLUMNS), capacity), dtype=np.int64), np.empty(capacity)
        changes, count = _walk(
            strategy.pairs, case.is_write, history.site, history.session, history.ok, history.snapshot, history.end,
            history.request, history.named, history.initial, version, versions, found, until, writes, lost,
        )  # fmt: skip
        if count <= capacity:
            break
        capacity = count
    columns: list[Any] = [*found[:, :count].copy(), until[:count].copy()]
    columns[RACING] = columns[RACING].astype(np.bool_)
    clobbers = Clobbers(*columns)
    return Outcomes(strategy.name, history, version, versions[:changes], clobbers, writes, lost)


@compiled
def _walk(
    pairs: Pairs, carries: Any, site: Any, session: Any, ok: Any, snapshot: Any, end: Any, request: Any, named: Any,
    initial: Any, version: Any, versions: Any, found: Any, until: Any, writes: Any, lost: Any,
) -> tuple[int, int]:  # fmt: skip
    """Fill the output arrays; returns how many versions and clobbers there are; of clobbers it may be more than fit.

    An entry is known by its version. Most transactions change nothing, and most snapshots show what is still the newest
    version; then a faithful rule need not run, and a site without others is done at once.
    """
    # Numba counts a reference each time an array is taken out of a tuple, so all are taken out once.
    first, field_of, when, value, unless, faithful, reads, watches, wants, keeps, conflict_entry, conflict_request = pairs
    fields, changes, count = initial.shape[1], len(initial), 0
    versions[:changes] = initial
    bit = 1 << np.arange(fields) % SET_BITS
    newest = np.arange(changes)
    author = np.full(initial.shape, NOBODY)  # row of the write-role transaction whose value stands, if it is one's
    standing = np.full(initial.shape, NOBODY)  # number of the clobber whose wrong value stands
    for row in range(site.size):
        owner, place = session[row], site[row]
        fresh = newest[owner]
        version[row] = fresh
        if not ok[row]:
            continue
        stale = owner if snapshot[row] == NOBODY else version[snapshot[row]]
        differ = 0
        if stale != fresh:
            for field in range(fields):
                differ |= (versions[stale, field] != versions[fresh, field]) * bit[field]
        if watches[place] != EVERYTHING and not differ & watches[place]:
            continue
        for pair in range(first[place], first[place + 1]):
            overtaken = differ & reads[pair]
            if not overtaken | named[row] & wants[pair]:
                continue
            runs = overtaken != 0 or not faithful[pair]
            field = field_of[pair]
            before = versions[fresh, field]
            if not runs and keeps[pair] and before != UNDEFINED:
                continue
            patch, meant = written(
                when, value, unless, pair, REFERENCE, versions, fresh, fresh, request, row, conflict_entry, conflict_request
            )
            right = before if patch == ABSENT else patch
            sets = carries[place] and patch != ABSENT and meant
            wrong, asked = right, False
            if runs:
                patch, asked = written(
                    when, value, unless, pair, STRATEGY, versions, stale, fresh, request, row, conflict_entry, conflict_request
                )
                wrong = before if patch == ABSENT else patch
            if wrong == before and right == before and not sets:
                continue
            if wrong != before:
                if newest[owner] == fresh:
                    for column in range(fields):
                        versions[changes, column] = versions[fresh, column]
                    newest[owner] = version[row] = changes
                    changes += 1
                versions[newest[owner], field] = wrong
            writes[row] += sets
            if standing[owner, field] != NOBODY:
                if standing[owner, field] < until.size:
                    until[standing[owner, field]] = end[row]
                standing[owner, field] = NOBODY
            if wrong == right:
                if sets or right != before:
                    author[owner, field] = row if sets else NOBODY
                continue
            # What the reference would have replaced as well is nobody's loss.
            victim = row if sets else author[owner, field] if right == before else NOBODY
            author[owner, field] = NOBODY
            if victim != NOBODY:
                lost[victim] += 1
            if count < until.size:
                serial, _ = written(
                    when, value, unless, pair, STRATEGY, versions, fresh, fresh, request, row, conflict_entry, conflict_request
                )
                found[CULPRIT, count], found[VICTIM, count], found[FIELD, count] = row, victim, field
                found[KIND, count] = classify(versions[stale, field], before, wrong, asked)
                found[RACING, count] = needs_race(right, before, serial)
                found[WRONG, count], found[RIGHT, count] = wrong, right
                found[FRESH, count], found[STALE, count], until[count] = before, versions[stale, field], np.inf
            standing[owner, field] = count
            count += 1
    return changes, count


@compiled
def classify(stale: int, fresh: int, wrong: int, from_request: bool) -> int:
    """The kind of a clobber, given that `wrong` was committed and is not what the reference says."""
    if wrong == fresh:
        return SUPPRESSED
    if wrong == UNDEFINED:
        return ERASED
    if from_request:
        return OVERTAKEN
    if fresh == UNDEFINED and stale == wrong:
        return RESURRECTED
    return REVERTED


@compiled
def needs_race(right: int, fresh: int, serial: int) -> bool:
    """Whether a clobber needs concurrency: the site's patch on an up-to-date snapshot, `serial`, would have been right."""
    return right == (fresh if serial == ABSENT else serial)
