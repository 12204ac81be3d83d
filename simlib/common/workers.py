"""Worker processes: started, given work, and stopped however it ends.

A worker never sees Ctrl-C (it is for the parent, which stops its workers), and does not go on when its parent is gone.
Processes are spawned, not forked: a fork would copy the state of threads that it does not copy.
"""

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, TypeVar

from simlib.common import interrupts
from simlib.common.errors import RunError

T = TypeVar("T")
R = TypeVar("R")


class Workers:
    """Processes that end when the block does, whatever they are doing then: `with Workers() as workers: ...`."""

    def __init__(self) -> None:
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.join()
            process.close()
        for pipe in self.pipes:
            pipe.close()

    def start(self, function: Callable[..., None], *arguments: Any) -> Connection:
        """Start `function(pipe, *arguments)` in a process of its own; returns our end of the pipe."""
        ours, theirs = mp.Pipe()
        with _interrupts_held(), theirs:
            process = mp.get_context("spawn").Process(target=_work, args=(function, theirs, *arguments), daemon=True)
            process.start()
            self.processes.append(process)  # before an interrupt can come: from now on it is ours to end
            self.pipes.append(ours)
        return ours

    def bury(self, pipe: Connection) -> int:
        """See to the end of the process at the other side of the pipe, which has closed it; returns its exit status."""
        position = self.pipes.index(pipe)
        process = self.processes.pop(position)
        self.pipes.pop(position).close()
        process.join(1.0)
        process.kill()
        process.join()
        status = process.exitcode
        process.close()
        return int(status or 0)

    def join(self) -> None:
        """Wait until all of them have ended by themselves."""
        for process in self.processes:
            process.join()


class WorkerDied(RunError):
    """The process that worked on an item is gone: killed, out of memory, or crashed."""


class Crew(Generic[T, R]):
    """So many processes that work out `task` of each item given to them: `with Crew(task, jobs) as crew: ...`.

    One that dies is replaced, and what it was doing comes back as an error: who hands out the work decides what to do again.

    Args:
        task: what can be pickled: a function of a module, or a `partial` of one. So can the items.
        jobs: how many processes at most.
    """

    def __init__(self, task: Callable[[T], R], jobs: int) -> None:
        self._task, self._jobs, self._workers = task, jobs, Workers()
        self._idle: list[Connection] = []
        self._at_work: dict[Connection, T] = {}

    def __enter__(self) -> "Crew[T, R]":
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.__exit__()

    @property
    def free(self) -> int:
        """How many more items can be given out now."""
        return self._jobs - len(self._at_work)

    def give(self, item: T) -> None:
        """Have an item worked out; there must be a process `free`."""
        pipe = self._idle.pop() if self._idle else self._workers.start(_serve, self._task)
        with suppress(BrokenPipeError, ConnectionResetError):  # that it is dead will be noticed when it does not answer
            pipe.send(item)
        self._at_work[pipe] = item

    def collect(self) -> list[tuple[T, R | Exception]]:
        """Wait until something is done; each item with its result, or with the error that it ended in. In no order."""
        return [(self._at_work.pop(pipe), self._receive(pipe)) for pipe in _ready(self._at_work)]

    def _receive(self, pipe: Connection) -> R | Exception:
        try:
            result: R | Exception = pipe.recv()
        except (EOFError, ConnectionResetError):
            return WorkerDied(f"a worker process died: it {_ended(self._workers.bury(pipe))}")
        self._idle.append(pipe)
        return result


def _ready(pipes: Iterable[Connection]) -> list[Connection]:
    waiting = list(pipes)
    ready = connection.wait(waiting)
    return [pipe for pipe in waiting if pipe in ready]


def _ended(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    return f"was ended by {name}{' (out of memory?)' * (name == 'SIGKILL')}"


def spread(task: Callable[[T], R], items: Sequence[T], jobs: int) -> Generator[R, None, None]:
    """`task` of each item, worked out by so many processes; results come in the order of the items.

    Args:
        task: what can be pickled: a function of a module, or a `partial` of one.
        items: likewise.
        jobs: how many processes; at most one for each item is started.

    Raises:
        RunError: a worker died.
        Exception: what the task raised, of the first item that failed.
    """
    work, done, following = enumerate(items), {}, 0
    with Crew(partial(_numbered, task), min(jobs, len(items))) as crew:
        while following < len(items):
            for numbered in islice(work, crew.free):
                crew.give(numbered)
            done.update({number: result for (number, _), result in crew.collect()})
            while following in done:
                result = done.pop(following)
                if isinstance(result, Exception):
                    raise result
                yield result
                following += 1


def _numbered(task: Callable[[T], R], numbered: tuple[int, T]) -> R:
    return task(numbered[1])


def _serve(pipe: Connection, task: Callable[[Any], Any]) -> None:
    """The worker: answer each item with its result, or with what the task raised."""
    with suppress(EOFError, BrokenPipeError):
        while True:
            item = pipe.recv()
            try:
                pipe.send(task(item))
            except Exception as error:
                pipe.send(error)


def _work(function: Callable[..., None], *arguments: Any) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function(*arguments)


def _end_with_parent() -> None:
    if (parent := mp.parent_process()) is not None:
        parent.join()
    os._exit(1)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Interrupts wait while a process is being started: half of what it is told would never arrive.

    They are blocked, which the new process inherits (it lets itself be terminated again as soon as it works, see `_work`); and
    noted, as another thread of ours may be given them all the same.
    """
    resource_tracker.ensure_running()  # starting it later would let interrupts through again
    if threading.current_thread() is not threading.main_thread():  # Python interrupts the main thread only
        yield
        return
    noted: list[int] = []
    answers = {number: signal.signal(number, lambda caught, _: noted.append(caught)) for number in interrupts.HELD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts.HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, answer in answers.items():
            signal.signal(number, answer)
        if noted:
            signal.raise_signal(noted[0])
