"""All entries in one JSON file, or each in one of its own; read through a cache, and replaced as a whole at each commit.

As in the real one, parsing and serialising hold up the event loop, and writing does not. In one file a commit carries all
entries as its transaction has read them: without an exclusive lock it takes other sessions' commits back.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from simlib.common.arrays import Codes
from simlib.testbed.entry import INITIAL, UNKNOWN, Decide, Entry, Expected, Written, clock, decode, encode
from simlib.workload.workload import Store


class FileStore:
    """One process's way to the one file, or to the files of entries that are kept `apart`."""

    def __init__(self, folder: Path, fields: tuple[str, ...], settings: Store, apart: bool = False) -> None:
        self._folder, self._fields, self._settings, self._apart = folder, fields, settings, apart
        self._cache: dict[Path, tuple[dict[str, Any], int, float]] = {}  # of each file: content, mtime, when it was loaded
        self._order = os.open(folder / "order", os.O_CREAT | os.O_RDWR)

    @staticmethod
    def create(folder: Path, entries: list[dict[str, Any]], apart: bool = False) -> None:
        """A new store with these entries."""
        for number, some in enumerate([[entry] for entry in entries] if apart else [entries]):
            path = folder / (f"session-{number}.json" if apart else "sessions.json")
            path.write_text(json.dumps({"newest": INITIAL, "entries": some}), encoding="utf-8")

    def read(self, session: int) -> Entry:
        """From the cache, while the file's mtime stands still and the cached copy is young."""
        path, _ = self._place(session)
        content, cached_mtime, loaded = self._cache.get(path, ({}, -1, -np.inf))
        mtime = self._tick(path.stat())
        if mtime != cached_mtime or clock() - loaded >= self._settings.cache_ttl:
            with path.open("rb") as file:
                # The mtime of the very file that is read: another process may put a new one in its place meanwhile.
                mtime = self._tick(os.fstat(file.fileno()))
                content = json.loads(file.read())
                self._keep(path, content, mtime)
        return self._entry(session, content)

    def direct(self, session: int) -> Entry:
        """From the file itself."""
        path, _ = self._place(session)
        return self._entry(session, json.loads(path.read_bytes()))

    def fresh(self, session: int) -> Entry:
        """From the file itself."""
        return self.direct(session)

    async def commit(self, session: int, step: int, base: Entry, codes: Codes, expected: Expected | None = None) -> Written:
        """Serialise, write a temporary file, rename it; the cache now holds what was written."""
        assert expected is None  # no file system compares and renames in one step
        path, number = self._place(session)
        content, temporary = base.content, self._folder / f"commit-{step}.tmp"
        content["newest"] = step
        content["entries"][number] = encode(codes, step, self._fields, content["entries"][number]["rest"])
        mtime = await asyncio.to_thread(self._write, temporary, json.dumps(content).encode())
        # Not in the thread: it would have to wait for the interpreter before it could read the clock, while readers see the
        # commit already.
        with self._one_at_a_time():
            temporary.replace(path)
            committed = clock()
        self._keep(path, content, mtime)
        return Written(step, committed, committed, codes, base)

    async def rework(self, session: int, step: int, decide: Decide) -> Written | Entry:
        """Read, decide and replace; the caller holds a lock."""
        base = self.fresh(session)
        codes = decide(base)
        return base if codes is None else await self.commit(session, step, base, codes)

    async def begin(self, timeout: float) -> bool:
        """It has no lock of its own."""
        raise NotImplementedError

    def give_up(self) -> None:
        """Nothing is begun."""

    def close(self) -> None:
        """Close what notes the order of the commits."""
        os.close(self._order)

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Renames and readings of the clock after them stand in one order. Held for microseconds: no writer waits for it."""
        fcntl.flock(self._order, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._order, fcntl.LOCK_UN)

    def _place(self, session: int) -> tuple[Path, int]:
        """The entry's file, and which one in it it is."""
        return (self._folder / f"session-{session}.json", 0) if self._apart else (self._folder / "sessions.json", session)

    def _entry(self, session: int, content: dict[str, Any]) -> Entry:
        stored = content["entries"][self._place(session)[1]]
        newest = UNKNOWN if self._apart else content["newest"]
        return Entry(decode(stored, self._fields), stored["revision"], newest, content)

    def _write(self, temporary: Path, content: bytes) -> int:
        """The temporary file; returns its mtime, which it keeps when it is renamed."""
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            return self._tick(os.fstat(file.fileno()))

    def _keep(self, path: Path, content: dict[str, Any], mtime: int) -> None:
        self._cache[path] = content, mtime, clock()

    def _tick(self, stat: os.stat_result) -> int:
        """The file's mtime, in ticks of the workload's `mtime_tick` or of the file system, whichever is coarser."""
        return stat.st_mtime_ns // max(1, round(self._settings.mtime_tick * 1e9))
