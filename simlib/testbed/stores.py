"""The two real stores of the testbed, and how each carries out a discipline: with its own lock, with lock files, or without.

Of a discipline that a store cannot carry out as it is meant, a run is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simlib.case.case import Case, Strategy
from simlib.case.discipline import Discipline, Scope
from simlib.case.snapshots import LAGGED, kinds
from simlib.common.errors import InputError
from simlib.testbed.entry import SessionStore
from simlib.testbed.file_store import FileStore
from simlib.testbed.sqlite_store import SqliteStore
from simlib.workload.workload import Store

STORES = ("file", "sqlite")


@dataclass(frozen=True)
class Manner:
    """How a store carries out a discipline.

    Attributes:
        store: `file` or `sqlite`.
        apart: whether each entry has a file of its own, so that a commit takes no other entry with it.
        own_lock: whether the store's lock is SQLite's own; else locks are lock files.
    """

    store: str
    apart: bool = False
    own_lock: bool = False

    def create(self, folder: Path, entries: list[dict[str, Any]]) -> None:
        """A new store with these entries.

        Raises:
            RunError: the folder is no place for it.
        """
        if self.store == "file":
            FileStore.create(folder, entries, self.apart)
        else:
            SqliteStore.create(folder, entries)

    def open(self, folder: Path, fields: tuple[str, ...], settings: Store) -> SessionStore:
        """One process's way to the store in that folder."""
        if self.store == "file":
            return FileStore(folder, fields, settings, self.apart)
        return SqliteStore(folder, fields, settings, self.own_lock)


def manner_of(store: str, case: Case, strategy: Strategy) -> Manner:
    """How that store carries out the strategy's discipline.

    Raises:
        InputError: it cannot; says which part of it.
    """
    discipline = strategy.discipline
    if reason := next(_problems(store, case, discipline), None):
        raise InputError(f"strategy {strategy.name}: the {store} store of the testbed {reason}")
    # SQLite's own lock shuts out every writer, so that it stands for a lock that every writer takes.
    scope = exclusive(case, discipline)
    merges = all(lock.span == "merge" for lock in discipline.locks if lock.scope == "store")
    apart = discipline.stores != "store" and scope != "store"
    return Manner(store, apart=store == "file" and apart, own_lock=store == "sqlite" and scope == "store" and merges)


def exclusive(case: Case, discipline: Discipline) -> Scope | None:
    """What nobody writes to without an exclusive lock of it, if there is such a lock."""
    scopes = [lock.scope for lock in discipline.locks if lock.sites == frozenset(case.sites) and lock.late == "fail"]
    return min(scopes, key=["store", "entry"].index, default=None)


def _problems(store: str, case: Case, discipline: Discipline) -> Iterator[str]:
    """What that store cannot do, and what is allowed."""
    covered = frozenset[str]().union(*(lock.sites for lock in discipline.locks if lock.late == "fail"))
    bare = [guard for guard, site in zip(discipline.guards, case.sites, strict=True) if guard and site not in covered]
    if LAGGED in kinds(discipline.snapshots):
        yield "has no replica that lags behind (snapshots: lagged); allowed: own, direct, memory, in_lock, none"
    # An entry's lock is taken first, and kept; nobody who has the store's asks for an entry's.
    ordered = all((lock.scope == "store") == (lock.span == "merge") for lock in discipline.locks)
    if len({lock.scope for lock in discipline.locks}) > 1 and not ordered:
        yield (
            "takes no such locks of two scopes, as flows could wait for each other for ever; allowed: those of entries for "
            "transactions or flows, that of the store for merges"
        )
    if store == "sqlite" and discipline.stores == "store":
        yield "never writes the whole store (stores: store); allowed: entry, fields"
    if store == "file" and discipline.stores == "fields" and covered != frozenset(case.sites):
        yield "merges no fields without a lock (stores: fields); allowed: entry, store, or a lock at every site"
    if store == "file" and any(guard.atomic for guard in bare):
        yield "cannot compare and write in one step without a lock; allowed: a lock, atomic: false, or sqlite"
    apart = store == "file" and discipline.stores != "store" and exclusive(case, discipline) != "store"
    if apart and any(guard.scope == "store" for guard in discipline.guards if guard):
        yield "keeps no version of the whole (scope: store) where each entry has a file of its own; allowed: scope: entry"
