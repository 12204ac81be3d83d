"""Worker processes, against the plain loop they stand for, and against every way to end them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from places import ROOT
from processes import group_is_gone, wait_until
from tasks import die_at_one, kill_itself_at, power, refuse_two

from simlib.common.errors import InputError, RunError
from simlib.common.workers import Crew, WorkerDied, spread


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_are_those_of_a_plain_loop_in_its_order(jobs: int) -> None:
    assert list(spread(partial(power, 3), range(7), jobs)) == [number**3 for number in range(7)]


def test_what_a_task_raises_is_raised_here_after_the_results_before_it() -> None:
    results = spread(refuse_two, range(5), 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match="two is refused"):
        next(results)


def test_a_worker_that_dies_fails_the_run_in_one_line() -> None:
    with pytest.raises(RunError, match="a worker process died"):
        list(spread(die_at_one, range(3), 2))


def test_a_crew_replaces_a_worker_that_is_killed_and_returns_what_it_was_doing_as_an_error() -> None:
    found: dict[int, int | Exception] = {}
    with Crew(partial(kill_itself_at, 3), 2) as crew:
        for item in range(8):
            if not crew.free:
                found.update(crew.collect())
            crew.give(item)
        while len(found) < 8:
            found.update(crew.collect())
    died = found.pop(3)
    assert isinstance(died, WorkerDied)
    assert str(died) == "a worker process died: it was ended by SIGKILL (out of memory?)"
    assert found == {item: item for item in range(8) if item != 3}


SIGNALS = pytest.mark.parametrize(
    ("number", "status", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
RUN = ("run", "busy-team", "--jobs", "2", "--engine", "simpy", "--replicates", "5000", "--set", "duration=3000")
BEFOREHAND = "simlib: this may take some 6 min\n"


def begin() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "simlib", *RUN],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@SIGNALS
def test_a_run_on_two_processes_ends_in_one_line_and_leaves_no_process(number: int, status: int, says: str) -> None:
    command = begin()
    wait_until(lambda: len(children(command.pid)) >= 3, "two workers (and the resource tracker)")
    os.killpg(command.pid, number) if number == signal.SIGINT else command.send_signal(number)  # a terminal tells them all
    _, errors = command.communicate(timeout=60)
    assert (command.returncode, errors) == (status, f"{BEFOREHAND}simlib: {says}\n")
    wait_until(lambda: group_is_gone(command.pid), "the end of all processes")


def test_workers_end_when_their_parent_is_gone() -> None:
    command = begin()
    wait_until(lambda: len(children(command.pid)) >= 3, "two workers (and the resource tracker)")
    command.kill()
    command.communicate(timeout=60)
    wait_until(lambda: group_is_gone(command.pid), "the end of all processes")


def end_at(moment: float) -> tuple[int, str]:
    """Exit status and stderr of a run that is interrupted so many seconds after its start."""
    command = begin()
    time.sleep(moment)
    os.killpg(command.pid, signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    wait_until(lambda: group_is_gone(command.pid), "the end of all processes")
    return command.returncode, errors.removeprefix(BEFOREHAND)  # which is said or not by then


@pytest.mark.slow
def test_an_interrupt_at_any_of_a_hundred_moments_ends_in_one_line_and_leaves_no_process() -> None:
    # Before Python runs our first line nothing of ours can answer; that takes some tenths of a second here.
    ended = [end_at(0.4 + 0.01 * number) for number in range(100)]
    assert set(ended) == {(130, "simlib: interrupted\n")}
