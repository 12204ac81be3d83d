"""Replay: what a strategy would have written on a history's timeline, and which of those writes clobber.

`replay_strategy` walks the history once per strategy, in commit order, and notes for each clobber (see `judging`) its
kind, whether it was a race, the culprit (the transaction that did it), the victim (the transaction whose write was
destroyed), and how long the wrong value stood. A history with attempts is walked by `attempts`, of the same parts.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from simlib.case.case import Case, Strategy
from simlib.case.discipline import STORES
from simlib.case.pairs import Pairs
from simlib.case.rules import Program
from simlib.common.arrays import Bools, Codes, Floats, Ints
from simlib.common.compilation import lean
from simlib.model.history import History
from simlib.replay.attempts import Tries, open_undo, walk_attempts
from simlib.replay.books import NOBODY, RACING, Books, Commit, Timeline, begin, commit, open_books
from simlib.replay.judging import KINDS


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
        false_conflict: (transactions,) whether a guard rejected the row although it would have left what the reference leaves.
    """

    strategy: str
    history: History
    version: Ints
    versions: Codes
    clobbers: Clobbers
    writes: Ints
    lost: Ints
    false_conflict: Bools

    @cached_property
    def entries(self) -> Codes:
        """(transactions, fields) value codes of the session's entry after each transaction."""
        return self.versions[self.version]

    def to_frame(self, case: Case) -> pd.DataFrame:
        """A row per clobber, with names in place of numbers; its index is the clobber's number.

        Columns: `session`, `site` (of the culprit), `field`, `kind`, `racing` (bool); the values `stale`, `fresh`, `right` and
        `wrong`, as of `Clobbers`; `at_s`, the time of the commit, and `stood_s`, how long the wrong value stood (inf: to the
        end); seconds.
        """
        history, found = self.history, self.clobbers
        culprit, domains = found.culprit, [case.domains[case.fields[field]] for field in found.field]

        def named(codes: Ints) -> list[str]:
            return [history.values.name(domain, int(code)) for domain, code in zip(domains, codes, strict=True)]

        return pd.DataFrame(
            {
                "session": [history.session_names[session] for session in history.session[culprit]],
                "site": [case.sites[site] for site in history.site[culprit]],
                "field": [case.fields[field] for field in found.field],
                "kind": [KINDS[kind] for kind in found.kind],
                "racing": found.racing,
                **{name: named(getattr(found, name)) for name in ("stale", "fresh", "right", "wrong")},
                "at_s": history.end[culprit],
                "stood_s": found.until - history.end[culprit],
            }
        )


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
    timeline = Timeline(*columns, history.request, history.named, history.initial)
    # What serial writes leave depends on nothing that they read, and on no entry but the newest.
    tried = None if strategy is case.reference else history.attempts
    tries = tried and Tries(tried.outcome, tried.base, tried.seen)
    capacity = max(64, len(history))
    while True:
        books, undo = open_books(history, capacity), open_undo(history, 4 * capacity if tries else 0)
        if tries:
            stores = STORES.index(strategy.discipline.stores)
            walk_attempts(*strategy.pairs, case.is_write, timeline, tries, stores, undo, books)
        else:
            _walk(*strategy.pairs, case.is_write, timeline, books)
        versions, count = books.counts.tolist()
        if count <= capacity and undo.made[0] <= undo.changes.shape[1]:
            break
        capacity = max(count, 2 * capacity) if tries else count
    clobbers: list[Any] = [*books.found[:, :count].copy(), books.until[:count].copy()]
    clobbers[RACING] = clobbers[RACING] != 0
    return Outcomes(
        strategy.name,
        history,
        books.version,
        books.versions[:versions],
        Clobbers(*clobbers),
        books.writes,
        books.lost,
        books.false_conflict,
    )


@lean
def _walk(
    strategy: Program, reference: Program, faithful: Any, reads: Any, watches: Any, wants: Any, keeps: Any, is_write: Any,
    timeline: Timeline, books: Books,
) -> None:  # fmt: skip
    """Fill the books. The pairs come part by part: tuples within a tuple take numba microseconds to unpack."""
    pairs = Pairs(strategy, reference, faithful, reads, watches, wants, keeps)
    begin(timeline.initial, books)
    for row in range(timeline.site.size):
        owner, site, snapshot = timeline.session[row], timeline.site[row], timeline.snapshot[row]
        fresh = books.newest[owner]
        books.version[row] = fresh
        if timeline.ok[row]:
            stale = owner if snapshot == NOBODY else books.version[snapshot]
            commit(pairs, Commit(row, owner, site, stale, fresh, fresh, is_write[site]), timeline, books)
