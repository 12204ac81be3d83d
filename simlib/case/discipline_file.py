"""What a case file says of a strategy's locks, snapshots and guards, key by key; `discipline` says what it means."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Discriminator as ByKey
from pydantic import Field, Tag

from simlib.case.discipline import Again, Compared, Discipline, Guard, Late, Lock, Pause, Scope, Span, Stores, UsedUp, plain
from simlib.case.sections import Reference
from simlib.case.snapshots import WORDS
from simlib.common import bounds
from simlib.common.files import Strict

UNLIMITED: Literal["unlimited"] = "unlimited"
Word = Literal["version", "bytes", "read_set", "write_set", "owner", "reordered_bytes"]
Comparison = Annotated[
    Annotated[Word, Tag("word")] | Annotated[list[str], Tag("fields")],
    ByKey(lambda data: "fields" if isinstance(data, list) else "word"),
]
Attempts = Annotated[
    Annotated[int, Field(ge=bounds.ATTEMPTS.low, le=bounds.ATTEMPTS.high), Tag("number")]
    | Annotated[Literal["unlimited"], Tag("word")],
    ByKey(
        lambda data: "word" if data == UNLIMITED else None if isinstance(data, str) else "number",
        custom_error_type="attempts",
        custom_error_message="not a number of attempts; "
        f"allowed: {bounds.ATTEMPTS.low:g} to {bounds.ATTEMPTS.high:g}, {UNLIMITED}",
    ),
]
Seconds = Annotated[float, Field(ge=bounds.SECONDS.low, le=bounds.SECONDS.high)]


class LockModel(Strict):
    """A lock that a strategy takes."""

    scope: Scope = Field("store", description="store: one for the whole store file; entry: one for each entry")
    span: Span = Field(
        "merge",
        description="merge: from when the patch is ready to the commit; transaction: from before the snapshot to the commit; "
        "flow: from before the flow's first read until it ends",
    )
    sites: list[str] = Field([], description="the write sites that take it; none named: all")
    timeout: Seconds | None = Field(
        None,
        description="seconds of waiting, as the first of its process, after which it is given up; 0: refused "
        "at once; if not given, the workload's",
    )
    late: Late = Field("fail", description="what happens then: the write fails loudly, or goes on without the lock")

    def lock(self, sites: Collection[str]) -> Lock:
        """The lock, of a case with these sites."""
        return Lock(self.scope, self.span, frozenset(self.sites or sites), self.timeout, self.late)


class Touched(NamedTuple):
    """Fields: what the rules of a site look at in the snapshot, what they write, and what the reference writes."""

    read: Collection[str]
    written: Collection[str]
    owned: Collection[str]


class GuardModel(Strict):
    """The condition under which a site's write is accepted, and what becomes of one that is not."""

    compare: Comparison = Field(
        description="version: nobody has committed since the snapshot; bytes: no field differs from the snapshot; read_set, "
        "write_set: none that the rules read, or write, does; owner: the write changes no field that the site's reference "
        "leaves alone; reordered_bytes: the bytes of a stored entry never equal its copy's; or the fields, by name"
    )
    scope: Scope = Field("entry", description="what `version` is of")
    atomic: bool = Field(True, description="false: `times.SITE.gap` lies between the comparison and the write")
    attempts: Attempts = 1
    pause: Seconds = Field(0.0, description="seconds before the second attempt")
    factor: Annotated[float, Field(ge=1, le=bounds.PAUSE_FACTOR.high)] = Field(1.0, description="of each further pause")
    cap: Seconds = Field(bounds.SECONDS.high, description="the longest pause, seconds")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="the share by which a pause is moved, up or down")
    paused: Literal["outside", "inside"] = Field("outside", description="whether the lock is let go of meanwhile")
    again: Again = Field("all", description="what an attempt repeats: all of the preparation, or the patch alone")
    used_up: UsedUp = Field("fail", description="when the last attempt is rejected: fail loudly, skip silently, write anyway")

    def guard(self, fields: Collection[str], touched: Touched) -> Guard:
        """The guard of one site, in a case with these fields."""
        word: Compared = "fields"
        if self.compare == "version" or self.compare == "owner" or self.compare == "reordered_bytes":
            word = self.compare
        others = set(fields) - set(touched.owned)
        named = {"bytes": fields, "read_set": touched.read, "write_set": touched.written, "owner": others}
        compared = self.compare if isinstance(self.compare, list) else named.get(self.compare, ())
        return Guard(
            compared=word,
            fields=tuple(field for field in fields if field in compared),
            scope=self.scope,
            atomic=self.atomic,
            attempts=int(bounds.ATTEMPTS.high) if self.attempts == UNLIMITED else self.attempts,
            pause=Pause(self.pause, self.factor, self.cap, self.jitter, self.paused == "inside"),
            again=self.again,
            used_up=self.used_up,
        )


class DisciplineModel(Strict):
    """What a strategy says of its locks, its snapshots and its guards."""

    in_lock: list[str] = []
    snapshots: dict[str, str] = Field(default={}, description="write site -> what its snapshot is, if not the site's own word")
    locks: list[LockModel] | None = Field(None, description="the locks it takes; none given: one on the store, for each merge")
    guards: dict[str, GuardModel] = Field(default={}, description="write site -> when its writes are accepted")
    stores: Stores = Field(
        "entry", description="what a commit puts in the store: the patch's fields, the merged entry, or the whole store"
    )

    def discipline(
        self, name: str, fields: Collection[str], snapshots: Mapping[str, str], touched: Mapping[str, Touched]
    ) -> Discipline:
        """The discipline of the strategy of that name: what it says of itself, and the usual for the rest.

        Args:
            name: of the strategy.
            fields: of the case.
            snapshots: write site -> the word of the case for its snapshot.
            touched: what the rules do at each site that has a guard.
        """
        guards = {site: guard.guard(fields, touched[site]) for site, guard in self.guards.items()}
        usual = plain(list(snapshots), list(snapshots.values()))
        return Discipline(
            in_lock=frozenset(self.in_lock),
            snapshots=tuple(self.snapshots.get(site, word) for site, word in snapshots.items()),
            locks=usual.locks if self.locks is None else tuple(lock.lock(snapshots) for lock in self.locks),
            guards=tuple(guards.get(site) for site in snapshots),
            stores=self.stores,
            rules_of=name if any(guard.compared in ("fields", "owner") for guard in guards.values()) else "",
        )

    def references(self, place: str, sites: list[str], fields: list[str]) -> Iterator[Reference]:
        """The names used, in a case with these sites and fields."""
        for name in self.in_lock:
            yield Reference(f"{place}.in_lock", name, sites)
        for site, word in self.snapshots.items():
            yield Reference(f"{place}.snapshots", site, sites)
            yield Reference(f"{place}.snapshots.{site}", word, [*WORDS, *(other for other in sites if other != site)])
        for number, lock in enumerate(self.locks or []):
            for site in lock.sites:
                yield Reference(f"{place}.locks.{number}.sites", site, sites)
        for site, guard in self.guards.items():
            yield Reference(f"{place}.guards", site, sites)
            for field in guard.compare if isinstance(guard.compare, list) else []:
                yield Reference(f"{place}.guards.{site}.compare", field, fields)

    def problems(self) -> Iterator[str]:
        """What does not fit together: `KEY: what is wrong; what is allowed`."""
        locks = self.locks or []
        for number, lock in enumerate(locks):
            for other in locks[:number]:
                if lock.span == other.span and (not lock.sites or not other.sites or set(lock.sites) & set(other.sites)):
                    yield f"locks.{number}: a site takes two locks of span `{lock.span}`; allowed: one of each span"
        merges = [LockModel()] if self.locks is None else [lock for lock in locks if lock.span == "merge"]
        for site, guard in self.guards.items():
            if guard.scope == "store" and guard.compare != "version":
                yield f"guards.{site}.scope: `store` is of a version; allowed with another `compare`: entry"
            if guard.paused == "inside" and not any(site in lock.sites or not lock.sites for lock in merges):
                yield f"guards.{site}.paused: `inside` a lock that the site does not take; allowed: outside"
