"""The locks that the gateways of a run take: lock files, or the store's own.

In a process, writers queue for a lock in the order in which they ask. The first of them polls it while another process has it,
with a growing pause, and gives up after the time-out; with one of 0 it is refused at once unless it is free.
"""

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from simlib.testbed.entry import SessionStore, clock
from simlib.workload.workload import Store

THE_STORE = -1
"""What the lock of the whole store is of; the others are of a session."""


@dataclass
class Locks:
    """One process's way to the locks."""

    folder: Path
    settings: Store
    store: SessionStore
    own_lock: bool
    queues: defaultdict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def take(self, key: int, timeout: float) -> bool:
        """Take the lock of the store or of a session; returns whether it was granted in time."""
        queue = self.queues[key]
        if not timeout and queue.locked():
            return False
        await queue.acquire()
        taken = await (self.store.begin(timeout) if self._is_own(key) else self._create(self._path(key), timeout))
        if not taken:
            queue.release()
        return taken

    def let_go(self, key: int) -> None:
        """The lock is free."""
        if self._is_own(key):
            self.store.give_up()
        else:
            self._path(key).unlink()
        self.queues[key].release()

    def _is_own(self, key: int) -> bool:
        return self.own_lock and key == THE_STORE

    def _path(self, key: int) -> Path:
        return self.folder / ("sessions.lock" if key == THE_STORE else f"session-{key}.lock")

    async def _create(self, path: Path, timeout: float) -> bool:
        """Create the lock file, or poll with a growing pause while another process has it."""
        began, tries = clock(), 0
        while True:
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                return True
            except FileExistsError:
                if clock() - began >= timeout:
                    return False
            tries += 1
            await asyncio.sleep(min(self.settings.lock_poll_max, self.settings.lock_poll * tries))
