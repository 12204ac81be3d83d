"""One row a session in an SQLite database in WAL mode, with a version column. No cache: readers see the last commit.

A version is the number of a commit in the whole store, so that versions stand in the order of the commits. Its own lock is
BEGIN IMMEDIATE. Without that, a write is one short transaction: an UPDATE whose WHERE says what the row must still be, or a
SELECT, a decision and an UPDATE.

Reader and writer are two connections, as one would show its own uncommitted rows. Calls that may wait run in a thread, so that
waiting for another process (SQLite tries again, up to the time-out) does not hold up the event loop.
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simlib.case.rules import UNDEFINED
from simlib.common.arrays import Codes
from simlib.common.errors import RunError
from simlib.testbed.entry import INITIAL, Decide, Entry, Expected, Written, clock, decode, encode
from simlib.workload.workload import Store

_SELECT = "SELECT entry, version, (SELECT max(version) FROM sessions) FROM sessions WHERE session = ?"
_UPDATE = (
    "UPDATE sessions SET entry = ?, version = (SELECT max(version) + 1 FROM sessions) WHERE session = ?{} RETURNING version"
)
_REVISION, _NEWEST = " AND version = ?", " AND (SELECT max(version) FROM sessions) = ?"
_FIELD = " AND json_extract(entry, ?) IS ?"
"""What can stand in its WHERE."""
_LONGEST = 1_000_000
"""Seconds; SQLite keeps a time-out as milliseconds in 32 bits."""


class SqliteStore:
    """One process's way to the database; `own_lock`: a writer begins with BEGIN IMMEDIATE, and holds that."""

    def __init__(self, folder: Path, fields: tuple[str, ...], settings: Store, own_lock: bool = False) -> None:
        self._fields, self._own_lock = fields, own_lock
        self._writing = threading.Lock()  # one connection has one transaction at a time
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
            database.execute(
                "CREATE TABLE sessions (session INTEGER PRIMARY KEY, version INTEGER NOT NULL, entry TEXT NOT NULL)"
            )
            database.execute("CREATE INDEX versions ON sessions (version)")
            rows = [(session, INITIAL, json.dumps(entry)) for session, entry in enumerate(entries)]
            database.executemany("INSERT INTO sessions VALUES (?, ?, ?)", rows)
        finally:
            database.close()

    def read(self, session: int) -> Entry:
        """A statement in autocommit."""
        return self._entry(self._reader, session)

    def direct(self, session: int) -> Entry:
        """A statement in autocommit."""
        return self.read(session)

    def fresh(self, session: int) -> Entry:
        """The row; read in the transaction that has begun with the store's own lock, if that is used."""
        return self._entry(self._writer if self._own_lock else self._reader, session)

    async def begin(self, timeout: float) -> bool:
        """BEGIN IMMEDIATE."""
        return await asyncio.to_thread(self._begin, timeout)

    def give_up(self) -> None:
        """ROLLBACK."""
        if self._own_lock and self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    async def commit(
        self, session: int, step: int, base: Entry, codes: Codes, expected: Expected | None = None
    ) -> Written | Entry:  # fmt: skip
        """UPDATE, with what is expected in its WHERE, and COMMIT."""
        content = json.dumps(encode(codes, step, self._fields, base.content["rest"]))
        return await asyncio.to_thread(self._publish, session, base, codes, content, *self._where(expected or Expected()))

    async def rework(self, session: int, step: int, decide: Decide) -> Written | Entry:
        """SELECT, decide, UPDATE and COMMIT, in one transaction."""
        return await asyncio.to_thread(self._rework, session, step, decide)

    def close(self) -> None:
        """Close both connections; a transaction that is still open is rolled back."""
        self._reader.close()
        self._writer.close()

    def _begin(self, timeout: float) -> bool:
        try:
            self._writer.execute(f"PRAGMA busy_timeout = {int(min(timeout, _LONGEST) * 1000)}")
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

    def _where(self, expected: Expected) -> tuple[str, list[Any]]:
        """What is expected, as conditions of an UPDATE and their parameters; an undefined field is NULL, as it is not there."""
        text, parameters = "", list[Any]()
        if expected.revision is not None:
            text, parameters = text + _REVISION, [*parameters, expected.revision]
        if expected.newest is not None:
            text, parameters = text + _NEWEST, [*parameters, expected.newest]
        for field, code in (expected.codes or {}).items():
            text += _FIELD
            parameters += [f'$.fields."{self._fields[field]}"', None if code == UNDEFINED else code]
        return text, parameters

    def _publish(
        self, session: int, base: Entry, codes: Codes, content: str, where: str, parameters: Sequence[Any]
    ) -> Written | Entry:  # fmt: skip
        with self._writing:
            if not self._own_lock:
                self._writer.execute("BEGIN IMMEDIATE")
            versions = self._writer.execute(_UPDATE.format(where), (content, session, *parameters)).fetchall()
            found = None if versions else self._entry(self._writer, session)  # what it lost against
            self._writer.execute("COMMIT")
            end = clock()
        if found:
            return found
        [(version,)] = versions
        return Written(version, version, end, codes, base)

    def _rework(self, session: int, step: int, decide: Decide) -> Written | Entry:
        with self._writing:
            if not self._own_lock:
                self._writer.execute("BEGIN IMMEDIATE")
            base = self._entry(self._writer, session)
            codes = decide(base)
            if codes is not None:
                content = json.dumps(encode(codes, step, self._fields, base.content["rest"]))
                [(version,)] = self._writer.execute(_UPDATE.format(""), (content, session)).fetchall()
            self._writer.execute("COMMIT")
            end = clock()
        return base if codes is None else Written(version, version, end, codes, base)

    def _entry(self, connection: sqlite3.Connection, session: int) -> Entry:
        entry, version, newest = connection.execute(_SELECT, (session,)).fetchone()
        content: dict[str, Any] = json.loads(entry)
        return Entry(decode(content, self._fields), version, newest, content)
