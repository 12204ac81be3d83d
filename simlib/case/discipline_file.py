"""What a case file says of a strategy's locks, snapshots and guards, key by key; `discipline` says what it means."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from simlib.case.discipline import Again, Compared, Guard, Late, Lock, Pause, Scope, Span, UsedUp
from simlib.common import bounds
from simlib.common.files import Strict

UNLIMITED: Literal["unlimited"] = "unlimited"
Word = Literal["version", "bytes", "read_set", "write_set", "owner", "reordered_bytes"]
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
        None, description="seconds of waiting after which it is given up; 0: refused at once; if not given, the workload's"
    )
    late: Late = Field("fail", description="what happens then: the write fails loudly, or goes on without the lock")

    def lock(self, sites: Collection[str]) -> Lock:
        """The lock, of a case with these sites."""
        return Lock(self.scope, self.span, frozenset(self.sites or sites), self.timeout, self.late)


class GuardModel(Strict):
    """The condition under which a site's write is accepted, and what becomes of one that is not."""

    compare: Word | list[str] = Field(
        description="version: nobody has committed since the snapshot; bytes: no field differs from the snapshot; read_set, "
        "write_set: none that the rules read, or write, does; owner: the write changes no field that the site's reference "
        "leaves alone; reordered_bytes: the bytes of a stored entry never equal its copy's; or the fields, by name"
    )
    scope: Scope = Field("entry", description="what `version` is of")
    atomic: bool = Field(True, description="false: `times.SITE.gap` lies between the comparison and the write")
    attempts: Annotated[int, Field(ge=bounds.ATTEMPTS.low, le=bounds.ATTEMPTS.high)] | Literal["unlimited"] = 1
    pause: Seconds = Field(0.0, description="seconds before the second attempt")
    factor: Annotated[float, Field(ge=1, le=bounds.PAUSE_FACTOR.high)] = Field(1.0, description="of each further pause")
    cap: Seconds = Field(bounds.SECONDS.high, description="the longest pause, seconds")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="the share by which a pause is moved, up or down")
    paused: Literal["outside", "inside"] = Field("outside", description="whether the lock is let go of meanwhile")
    again: Again = Field("all", description="what an attempt repeats: all of the preparation, or the patch alone")
    used_up: UsedUp = Field("fail", description="when the last attempt is rejected: fail loudly, skip silently, write anyway")

    def guard(self, fields: Collection[str], read: Collection[str], written: Collection[str], owned: Collection[str]) -> Guard:
        """The guard of one site.

        Args:
            fields: of the case.
            read: those that the strategy's rules at the site look at in the snapshot.
            written: those that they write.
            owned: those that the site's reference writes.
        """
        word: Compared = "fields"
        if self.compare == "version" or self.compare == "owner" or self.compare == "reordered_bytes":
            word = self.compare
        named = {"bytes": fields, "read_set": read, "write_set": written, "owner": set(fields) - set(owned)}
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


def problems(locks: list[LockModel] | None, guards: Mapping[str, GuardModel]) -> Iterator[str]:
    """What does not fit together in the locks and guards of one strategy: `KEY: what is wrong; what is allowed`."""
    for number, lock in enumerate(locks or []):
        for other in (locks or [])[:number]:
            if lock.span == other.span and (not lock.sites or not other.sites or set(lock.sites) & set(other.sites)):
                yield f"locks.{number}: a site takes two locks of span `{lock.span}`; allowed: one of each span"
    for site, guard in guards.items():
        if guard.scope == "store" and guard.compare != "version":
            yield f"guards.{site}.scope: `store` is of a version; allowed with another `compare`: entry"
        if guard.paused == "inside" and not any(site in lock.sites or not lock.sites for lock in _merge_locks(locks)):
            yield f"guards.{site}.paused: `inside` a lock that the site does not take; allowed: outside"


def _merge_locks(locks: list[LockModel] | None) -> list[LockModel]:
    return [LockModel()] if locks is None else [lock for lock in locks if lock.span == "merge"]
