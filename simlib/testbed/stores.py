"""The two real stores of the testbed: a JSON file behind a lock file, and an SQLite database in WAL mode.

Both keep, for each session, the value codes of its entry and the number of the transaction that wrote it (its revision), so
that a run knows exactly which commit each snapshot showed. An undefined field is not there at all, as in JSON. `rest` stands
for everything else an entry holds and no write site touches; it makes the file as long as a real one.

In both stores the merge over the fresh entry happens under the lock: that much every build got right. What the buggy
strategies do wrong is to compute the patch from an entry that was read earlier, outside the lock. In SQLite that earlier read
is a statement of its own in autocommit; a strategy that computes in the lock reads again after BEGIN IMMEDIATE. A literal
SELECT and UPDATE in autocommit, with no transaction around the merge, would lose whole entries: another bug, not this one.
"""

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from simlib.case.rules import UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import RunError
from simlib.workload.workload import Store

INITIAL = -1
"""The revision of an entry that no transaction has written yet."""

clock = time.monotonic
"""Seconds, the same in every process of the machine."""


@dataclass(frozen=True)
class Entry:
    """An entry as a store shows it: (fields,) value codes, and the transaction that wrote it."""

    codes: Codes
    revision: int


def encode(entry: Entry, fields: Sequence[str], rest: Sequence[str]) -> dict[str, Any]:
    """The entry as it is stored."""
    values = {name: int(code) for name, code in zip(fields, entry.codes, strict=True) if code != UNDEFINED}
    return {"revision": entry.revision, "fields": values, "rest": rest}


def decode(stored: Mapping[str, Any], fields: Sequence[str]) -> Entry:
    """The stored entry."""
    values = stored["fields"]
    return Entry(np.array([values.get(name, UNDEFINED) for name in fields], dtype=np.int32), stored["revision"])


class SessionStore(Protocol):
    """One process's way to the store. A writer takes `queue` (first come, first served), then the lock, and then commits.

    Sessions are known by their number; times are seconds of `clock`.
    """

    queue: asyncio.Lock

    def read(self, session: int) -> Entry:
        """The entry as a reader without the lock sees it, through the cache if there is one."""

    async def lock(self) -> float | None:
        """Take the lock; returns when it was granted, or None if that took longer than the time-out."""

    def fresh(self, session: int) -> Entry:
        """The entry as the store holds it; the lock must be held."""

    async def commit(self, session: int, entry: Entry) -> float:
        """Store the entry and let go of the lock; returns when it was committed."""

    def close(self) -> None:
        """Close what is open."""


class FileStore:
    """All entries in one JSON file, rewritten as a whole under a lock file, and read through a cache.

    As in the real one, parsing and serialising hold up the event loop, and writing does not.
    """

    def __init__(self, folder: Path, fields: tuple[str, ...], settings: Store) -> None:
        self.queue = asyncio.Lock()
        self._path, self._lock_path = folder / "sessions.json", folder / "sessions.json.lock"
        self._temporary = folder / f"sessions.json.{os.getpid()}.tmp"
        self._fields, self._settings = fields, settings
        self._cache: list[dict[str, Any]] = []
        self._cached_mtime, self._loaded = -1, -np.inf
        self._parsed: list[dict[str, Any]] = []  # the file as the holder of the lock has read it

    @staticmethod
    def create(folder: Path, entries: list[dict[str, Any]]) -> None:
        """A new store with these entries."""
        (folder / "sessions.json").write_text(json.dumps(entries), encoding="utf-8")

    def read(self, session: int) -> Entry:
        """From the cache, while the file's mtime stands still and the cached copy is young."""
        mtime = self._tick(self._path.stat())
        if mtime != self._cached_mtime or clock() - self._loaded >= self._settings.cache_ttl:
            with self._path.open("rb") as file:
                # The mtime of the very file that is read: another process may put a new one in its place meanwhile.
                mtime = self._tick(os.fstat(file.fileno()))
                self._keep(json.loads(file.read()), mtime)
        return decode(self._cache[session], self._fields)

    async def lock(self) -> float | None:
        """Create the lock file, or poll with a growing pause while another process has it."""
        began, attempt, settings = clock(), 0, self._settings
        while True:
            try:
                os.close(os.open(self._lock_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return clock()
            except FileExistsError:
                if clock() - began >= settings.lock_timeout:
                    return None
            attempt += 1
            await asyncio.sleep(min(settings.lock_poll_max, settings.lock_poll * attempt))

    def fresh(self, session: int) -> Entry:
        """From the file itself."""
        self._parsed = json.loads(self._path.read_bytes())
        return decode(self._parsed[session], self._fields)

    async def commit(self, session: int, entry: Entry) -> float:
        """Serialise, write a temporary file, rename it, remove the lock file; the cache now holds what was written."""
        self._parsed[session] = encode(entry, self._fields, self._parsed[session]["rest"])
        mtime = await asyncio.to_thread(self._write, json.dumps(self._parsed).encode())
        # Not in the thread: it would have to wait for the interpreter before it could read the clock, while readers see the
        # commit already.
        self._temporary.replace(self._path)
        committed = clock()
        self._lock_path.unlink()
        self._keep(self._parsed, mtime)
        return committed

    def close(self) -> None:
        """Nothing is open between calls."""

    def _write(self, content: bytes) -> int:
        """The temporary file; returns its mtime, which it keeps when it is renamed."""
        with self._temporary.open("wb") as file:
            file.write(content)
            file.flush()
            return self._tick(os.fstat(file.fileno()))

    def _keep(self, entries: list[dict[str, Any]], mtime: int) -> None:
        self._cache, self._cached_mtime, self._loaded = entries, mtime, clock()

    def _tick(self, stat: os.stat_result) -> int:
        """The file's mtime, in ticks of the workload's `mtime_tick` or of the file system, whichever is coarser."""
        return stat.st_mtime_ns // max(1, round(self._settings.mtime_tick * 1e9))


class SqliteStore:
    """One row a session, in WAL mode. No cache and no lock file: readers see the last commit, writers wait as SQLite waits.

    Reader and writer are two connections, as one would show its own uncommitted rows. Calls that may wait run in a thread, so
    that waiting for another process (SQLite tries again, up to `lock_timeout`) does not hold up the event loop.
    """

    def __init__(self, folder: Path, fields: tuple[str, ...], settings: Store) -> None:
        self.queue = asyncio.Lock()
        self._fields = fields
        self._stored: dict[str, Any] = {}  # the row as the holder of the lock has read it
        self._reader, self._writer = (
            sqlite3.connect(folder / "sessions.db", settings.lock_timeout, isolation_level=None, check_same_thread=False)
            for _ in range(2)
        )
        # The usual setting with WAL: a commit survives a crash of the process, if not of the machine. Nothing here crashes.
        self._writer.execute("PRAGMA synchronous=NORMAL")

    @staticmethod
    def create(folder: Path, entries: list[dict[str, Any]]) -> None:
        """A new store with these entries.

        Raises:
            RunError: the file system cannot do WAL.
        """
        database = sqlite3.connect(folder / "sessions.db", isolation_level=None)
        try:
            if (mode := database.execute("PRAGMA journal_mode=WAL").fetchone()[0]) != "wal":
                raise RunError(f"{folder}: SQLite has no WAL mode there (journal_mode is {mode}); choose another folder")
            database.execute("CREATE TABLE sessions (session INTEGER PRIMARY KEY, entry TEXT NOT NULL)")
            rows = [(session, json.dumps(entry)) for session, entry in enumerate(entries)]
            database.executemany("INSERT INTO sessions VALUES (?, ?)", rows)
        finally:
            database.close()

    def read(self, session: int) -> Entry:
        """A statement in autocommit."""
        return decode(self._row(self._reader, session), self._fields)

    async def lock(self) -> float | None:
        """BEGIN IMMEDIATE."""
        return await asyncio.to_thread(self._begin)

    def fresh(self, session: int) -> Entry:
        """The row, read in the transaction."""
        self._stored = self._row(self._writer, session)
        return decode(self._stored, self._fields)

    async def commit(self, session: int, entry: Entry) -> float:
        """UPDATE and COMMIT."""
        return await asyncio.to_thread(self._publish, session, json.dumps(encode(entry, self._fields, self._stored["rest"])))

    def close(self) -> None:
        """Close both connections; a transaction that is still open is rolled back."""
        self._reader.close()
        self._writer.close()

    def _begin(self) -> float | None:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return None
            raise
        return clock()

    def _publish(self, session: int, content: str) -> float:
        self._writer.execute("UPDATE sessions SET entry = ? WHERE session = ?", (content, session))
        self._writer.execute("COMMIT")
        return clock()

    @staticmethod
    def _row(connection: sqlite3.Connection, session: int) -> dict[str, Any]:
        found = connection.execute("SELECT entry FROM sessions WHERE session = ?", (session,)).fetchone()
        entry: dict[str, Any] = json.loads(found[0])
        return entry


STORES: dict[str, type[FileStore] | type[SqliteStore]] = {"file": FileStore, "sqlite": SqliteStore}
