"""Worker processes: started, given work, and stopped however it ends.

A worker never sees Ctrl-C (it is for the parent, which stops its workers), and does not go on when its parent is gone.
Processes are spawned, not forked: a fork would copy the state of threads that it does not copy.
"""

import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

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
    with Workers() as workers:
        yield from _in_order(items, [workers.start(serve, task) for _ in range(min(jobs, len(items)))])


def _in_order(items: Sequence[T], idle: Sequence[Connection]) -> Iterator[Any]:
    """Hand out the items, collect the results, and give them out in order; a worker that is done gets the next item."""
    work, given, done, following = iter(enumerate(items)), {}, {}, 0
    for pipe, (number, item) in zip(idle, work, strict=False):
        given[pipe] = number
        _send(pipe, item)
    while given:
        ready = connection.wait(list(given))
        for pipe in [pipe for pipe in given if pipe in ready]:
            done[given.pop(pipe)] = _receive(pipe)
            for number, item in work:
                given[pipe] = number
                _send(pipe, item)
                break
        while following in done:
            result = done.pop(following)
            if isinstance(result, BaseException):
                raise result
            yield result
            following += 1


def _send(pipe: Connection, item: object) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # that it is dead will be noticed when it does not answer
        pipe.send(item)


def _receive(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, ConnectionResetError):
        raise RunError("a worker process died before it was done (out of memory?)") from None


def serve(pipe: Connection, task: Callable[[Any], Any]) -> None:
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
