"""The processes of a testbed run: started together, listened to, and stopped however the run ends."""

import multiprocessing as mp
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from simlib.common.errors import RunError
from simlib.testbed.gateway import Ended, Job, run_gateway
from simlib.testbed.stores import clock

LEAD = 0.05
"""Seconds between the word to start and the start."""


def run_gateways(job: Job, count: int) -> list[Ended]:
    """Start `count` gateways together and collect what they did, in seconds from the start. None of them is left behind.

    Raises:
        RunError: one of them failed.
    """
    with ExitStack() as stack:
        processes: list[SpawnProcess] = []
        stack.callback(_stop, processes)
        pipes = []
        with _interrupts_held():
            for number in range(count):
                ours, theirs = mp.Pipe()
                pipes.append(stack.enter_context(ours))
                with theirs:
                    process = mp.get_context("spawn").Process(target=run_gateway, args=(number, job, theirs))
                    process.start()
                    processes.append(process)
        _answers(pipes)  # each says that it is ready
        start = clock() + LEAD
        for pipe in pipes:
            pipe.send(start)
        ended = [row for rows in _answers(pipes) for row in rows]
        for process in processes:
            process.join()
        times = ("read", "queued", "lock", "end")
        return [row._replace(**{name: getattr(row, name) - start for name in times}) for row in ended]


def _answers(pipes: list[Connection]) -> list[Any]:
    """One message from every gateway, in whatever order they come; the first failure ends the waiting."""
    answers, waiting = [], list(pipes)
    while waiting:
        spoken = connection.wait(waiting)
        for pipe in [pipe for pipe in waiting if pipe in spoken]:
            waiting.remove(pipe)
            try:
                answer = pipe.recv()
            except (EOFError, ConnectionResetError):
                raise RunError(f"testbed: gateway {pipes.index(pipe)} died before it was done") from None
            if isinstance(answer, str) and answer != "ready":
                raise RunError(f"testbed: gateway {pipes.index(pipe)} failed: {answer}")
            answers.append(answer)
    return answers


def _stop(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
        process.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started here never see Ctrl-C: it is for the parent, which stops them."""
    resource_tracker.ensure_running()  # starting it later would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
