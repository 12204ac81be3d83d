"""The processes of a testbed run: started together, listened to, and stopped however the run ends."""

from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from simlib.common.errors import RunError
from simlib.common.workers import Workers
from simlib.testbed.entry import clock
from simlib.testbed.gateway import run_gateway
from simlib.testbed.job import TIMES, Ended, Job

LEAD = 0.05
"""Seconds between the word to start and the start."""


def run_gateways(job: Job, count: int) -> list[Ended]:
    """Start `count` gateways together and collect what they did; times in seconds from the start. All have ended afterwards.

    Raises:
        RunError: one of them failed.
    """
    with Workers() as workers:
        pipes = [workers.start(run_gateway, number, job) for number in range(count)]
        _answers(pipes)  # each says that it is ready
        start = clock() + LEAD
        for pipe in pipes:
            pipe.send(start)
        ended = [row for rows in _answers(pipes) for row in rows]
        workers.join()
        return [row._replace(**{name: getattr(row, name) - start for name in TIMES}) for row in ended]


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
