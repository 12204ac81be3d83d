"""How a strategy gets at the store: the locks that it takes, what its snapshots are, and which of its writes are let through.

Its rules say *what* is written (`rules`); its discipline says *when*, and decides the timeline. Strategies with equal
disciplines share one, so that they are compared on the same reads and commits. The usual case is `plain`: one
exclusive lock on the store file around each merge, nothing compared, the snapshots of the case.

All here is data; the models carry it out, and `guards` says what a comparison comes to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from simlib.common.bounds import LONGEST

Scope = Literal["store", "entry"]
Span = Literal["merge", "transaction", "flow"]
Late = Literal["fail", "go_on"]
UsedUp = Literal["fail", "skip", "write"]
Again = Literal["all", "patch"]
Stores = Literal["fields", "entry", "store"]
STORES: tuple[Stores, ...] = ("fields", "entry", "store")
FIELDS_STORED, ENTRY_STORED, STORE_STORED = range(3)
"""What a commit puts in the store, by number in STORES."""
Compared = Literal["version", "fields", "owner", "reordered_bytes"]


class Pause(NamedTuple):
    """How long a rejected transaction waits before attempt k: `min(cap, first * factor ** (k - 2))` seconds, k from 2.

    `jitter` moves it by up to that share of itself, up or down, uniformly. `in_lock`: the lock is kept meanwhile.

    Attributes:
        first, cap: seconds.
    """

    first: float = 0.0
    factor: float = 1.0
    cap: float = LONGEST
    jitter: float = 0.0
    in_lock: bool = False

    def seconds(self, attempt: int, uniform: Any) -> Any:
        """The pause before that attempt (2 or later), given a uniform of (0, 1) for the jitter, or an array of them.

        >>> [Pause(first=0.2, factor=2.0, cap=0.6).seconds(attempt, 0.5) for attempt in (2, 3, 4)]
        [0.2, 0.4, 0.6]
        """
        try:
            pause = min(self.cap, self.first * self.factor ** (attempt - 2))
        except OverflowError:  # of the factor's power
            pause = self.cap if self.first else 0.0
        return pause * (1.0 + self.jitter * (2.0 * uniform - 1.0))


AT_ONCE = Pause()
"""No pause at all."""


@dataclass(frozen=True)
class Guard:
    """The condition under which the writes of one site are accepted, and what becomes of one that is not (a *conflict*).

    Attributes:
        compared: `version`: nobody has committed since the snapshot; `fields`: these are in the store as the snapshot has
            them; `owner`: the write changes none of these fields; `reordered_bytes`: nobody has ever committed to this entry,
            as the bytes of a stored entry never equal those of its copy.
        fields: the fields that are compared, in the order of the case; of `version` and `reordered_bytes` none.
        scope: what a version is of, the entry or the whole store file.
        atomic: whether the comparison and the write are one step; if not, `Times.gap` lies between them.
        attempts: how often a transaction is tried, at least once.
        pause: before each attempt but the first.
        again: what a new attempt repeats: `all` of the preparation, or the `patch` alone, from a new snapshot.
        used_up: what happens when the last attempt is rejected: `fail` loudly (the rest of the flow does not happen), `skip`
            the write silently, or `write` it anyway.
    """

    compared: Compared
    fields: tuple[str, ...] = ()
    scope: Scope = "entry"
    atomic: bool = True
    attempts: int = 1
    pause: Pause = AT_ONCE
    again: Again = "all"
    used_up: UsedUp = "fail"


@dataclass(frozen=True)
class Lock:
    """An exclusive lock, which the named sites take.

    Attributes:
        scope: one for the whole store file, or one for each entry.
        span: `merge`: from when the patch is ready to the commit; `transaction`: from before the snapshot, over all attempts;
            `flow`: from before the flow's first read until it ends.
        sites: names; a site that is not named does not take it.
        timeout: seconds after which waiting for it is given up, from when the transaction is the first of its process to wait;
            0: refused at once, also behind others of its process. None: the workload's `store.lock_timeout`.
        late: what a transaction does then: `fail` loudly, or `go_on` without the lock.
    """

    scope: Scope
    span: Span
    sites: frozenset[str]
    timeout: float | None = None
    late: Late = "fail"


@dataclass(frozen=True)
class Discipline:
    """Everything about a strategy that decides who reads and commits when.

    Attributes:
        in_lock: the sites whose computation is done while the merge's lock is held.
        snapshots: (sites,) what each site's snapshot is; words of `snapshots.WORDS`, or the site whose snapshot it inherits.
        locks: in the order in which they are taken; of each span at most one names a site.
        guards: (sites,) of each site its guard, if it has one.
        stores: what a commit puts in the store: the patch's `fields`, the merged `entry`, or the whole `store` file as the
            transaction found it, with its entry changed. Under one exclusive lock these are the same.
        rules_of: the strategy whose rules decide which writes are let through; empty where that depends on no value.
    """

    in_lock: frozenset[str]
    snapshots: tuple[str, ...]
    locks: tuple[Lock, ...]
    guards: tuple[Guard | None, ...]
    stores: Stores = "entry"
    rules_of: str = ""


def plain(sites: Sequence[str], snapshots: Sequence[str], in_lock: frozenset[str] = frozenset()) -> Discipline:
    """The usual discipline: a lock on the store file around each merge, and nothing compared."""
    lock = Lock("store", "merge", frozenset(sites))
    return Discipline(in_lock, tuple(snapshots), (lock,), (None,) * len(sites))
