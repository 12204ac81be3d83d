"""A crew of worker processes under supervision: one that dies is replaced, and what it was doing comes back as an error.

Results come as they are ready, in no order. Who hands out the work decides what to do again.
"""

import signal
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from simlib.common.errors import RunError
from simlib.common.workers import Workers, serve

T = TypeVar("T")
R = TypeVar("R")


class WorkerDied(RunError):
    """The process that worked on an item is gone: killed, out of memory, or crashed."""


class Crew(Generic[T, R]):
    """So many processes that work out `task` of each item given to them: `with Crew(task, jobs) as crew: ...`.

    Attributes:
        free: how many more items can be given out now.
    """

    def __init__(self, task: Callable[[T], R], jobs: int) -> None:
        self._task, self._workers = task, Workers()
        self._at_work: dict[Connection, T] = {}
        self._idle: list[Connection] = []
        self._jobs = jobs

    def __enter__(self) -> "Crew[T, R]":
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.__exit__()

    @property
    def free(self) -> int:
        """How many more items can be given out now."""
        return self._jobs - len(self._at_work)

    def give(self, item: T) -> None:
        """Let a process that has nothing to do work on the item; there must be one `free`."""
        while True:  # one that died while it was idle is noticed here
            pipe = self._idle.pop() if self._idle else self._workers.start(serve, self._task)
            try:
                pipe.send(item)
            except (BrokenPipeError, ConnectionResetError):
                self._workers.bury(pipe)
            else:
                self._at_work[pipe] = item
                return

    def collect(self) -> list[tuple[T, R | Exception]]:
        """Wait until something is done; each item with its result, or with the error that it ended in."""
        collected: list[tuple[T, R | Exception]] = []
        for pipe in connection.wait(list(self._at_work)):
            assert isinstance(pipe, Connection)
            item = self._at_work.pop(pipe)
            try:
                collected.append((item, pipe.recv()))
                self._idle.append(pipe)
            except (EOFError, ConnectionResetError):
                collected.append((item, WorkerDied(f"a worker process {_ended(self._workers.bury(pipe))}")))
        return collected


def _ended(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    return f"was killed ({name}{': out of memory?' if name == 'SIGKILL' else ''})"
