"""Replay: what a strategy would have written on a history's timeline, and which of those writes clobber.

A clobber is a field where the committed value differs from the reference, which is what the same transaction would have
written in a serial execution. `replay` walks the history once per strategy, in commit order, and notes for each clobber its
kind, whether it was a race, the culprit (the transaction that did it), the victim (the transaction whose write was
destroyed), and how long the wrong value stood.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from simlib.case import Case, Strategy
from simlib.distributions import Floats
from simlib.history import Bools, History
from simlib.rules import ABSENT, UNDEFINED, Program, evaluate, merge
from simlib.traffic import Codes, Ints

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
    wrong: Codes
    right: Codes
    fresh: Codes
    stale: Codes
    until: Floats

    def __len__(self) -> int:
        return int(self.culprit.size)


_CLOBBER = np.dtype(
    [(name, np.int64) for name in ("culprit", "victim", "field", "kind")]
    + [("racing", np.bool_)]
    + [(name, np.int32) for name in ("wrong", "right", "fresh", "stale")]
    + [("until", np.float64)]
)


@dataclass(frozen=True)
class Outcomes:
    """What one strategy does on one history.

    Attributes:
        strategy: its name.
        entries: (transactions, fields) value codes of the entry after each transaction; meaningful where `history.ok`.
        clobbers: all clobbers.
        writes, lost: (transactions,) how many fields each `write`-role transaction set, and how many of those were clobbered
            before anyone legitimately replaced them.
    """

    strategy: str
    history: History
    entries: Codes
    clobbers: Clobbers
    writes: Ints
    lost: Ints


def replay(case: Case, strategy: Strategy, history: History) -> Outcomes:
    """Run `strategy` over the timeline of `history`.

    Raises:
        InputError: the history is not of this case.
    """
    history.check(case)
    carries = np.array([role == "write" for role in case.roles])
    capacity = max(64, len(history))
    while True:
        entries = np.empty((len(history), len(case.fields)), dtype=np.int32)
        table = np.empty(capacity, dtype=_CLOBBER)
        writes, lost = np.zeros((2, len(history)), dtype=np.int64)
        count = _walk(
            strategy.program, case.reference.program, carries, history.site, history.session, history.ok, history.snapshot,
            history.end, history.request, history.initial, entries, table, writes, lost,
        )  # fmt: skip
        if count <= capacity:
            break
        capacity = count
    clobbers = Clobbers(**{name: table[name][:count].copy() for name in _CLOBBER.names or ()})
    return Outcomes(strategy.name, history, entries, clobbers, writes, lost)


@njit(cache=True)
def _walk(
    program: Program, reference: Program, carries: Any, site: Any, session: Any, ok: Any, snapshot: Any, end: Any,
    request: Any, initial: Any, entries: Any, table: Any, writes: Any, lost: Any,
) -> int:  # fmt: skip
    """Fill the output arrays; returns how many clobbers there are, which may be more than fit."""
    fields = initial.shape[1]
    newest = np.full(initial.shape[0], NOBODY)
    author = np.full(initial.shape, NOBODY)  # row of the write-role transaction whose value stands, if it is one's
    standing = np.full(initial.shape, NOBODY)  # number of the clobber whose wrong value stands
    patch, intended, serial = np.empty((3, fields), dtype=np.int32)
    asked, meant, unused = np.empty((3, fields), dtype=np.bool_)
    right = np.empty(fields, dtype=np.int32)
    count = 0
    for row in range(site.size):
        if not ok[row]:
            continue
        key, place, wants = session[row], site[row], request[row]
        fresh = initial[key] if newest[key] == NOBODY else entries[newest[key]]
        stale = initial[key] if snapshot[row] == NOBODY else entries[snapshot[row]]
        entry = entries[row]
        evaluate(program, place, stale, fresh, wants, patch, asked)
        merge(fresh, patch, entry)
        evaluate(reference, place, fresh, fresh, wants, intended, meant)
        merge(fresh, intended, right)
        newest[key] = row
        compared_serially = False
        for field in range(fields):
            sets = carries[place] and intended[field] != ABSENT and meant[field]
            clobbers = entry[field] != right[field]
            writes[row] += sets
            if standing[key, field] != NOBODY and (sets or clobbers or entry[field] != fresh[field]):
                if standing[key, field] < table.size:
                    table["until"][standing[key, field]] = end[row]
                standing[key, field] = NOBODY
            if not clobbers:
                if sets:
                    author[key, field] = row
                elif right[field] != fresh[field]:
                    author[key, field] = NOBODY
                continue
            if not compared_serially:
                evaluate(program, place, fresh, fresh, wants, serial, unused)
                compared_serially = True
            # What the reference would have replaced as well is nobody's loss.
            victim = row if sets else author[key, field] if right[field] == fresh[field] else NOBODY
            author[key, field] = NOBODY
            if victim != NOBODY:
                lost[victim] += 1
            if count < table.size:
                table["culprit"][count], table["victim"][count], table["field"][count] = row, victim, field
                table["kind"][count] = classify(stale[field], fresh[field], entry[field], asked[field])
                table["racing"][count] = needs_race(right[field], fresh[field], serial[field])
                table["wrong"][count], table["right"][count] = entry[field], right[field]
                table["fresh"][count], table["stale"][count] = fresh[field], stale[field]
                table["until"][count] = np.inf
            standing[key, field] = count
            count += 1
    return count


@njit(cache=True)
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


@njit(cache=True)
def needs_race(right: int, fresh: int, serial: int) -> bool:
    """Whether a clobber needs concurrency: the site's patch on an up-to-date snapshot, `serial`, would have been right."""
    return right == (fresh if serial == ABSENT else serial)
