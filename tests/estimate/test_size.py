"""What a run is expected to take, against what a run of that size really took, and what is promised of one that cannot fit."""

import resource
import subprocess
import sys

import pytest

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.size import PROCESS, check_size, expected_size, fitting_jobs
from simlib.workload.workload import load_workload

MEASURE = """
from pathlib import Path
from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.size import PROCESS, expected_size
from simlib.workload.workload import load_workload
workload = load_workload("busy-team", ["duration=5"])
case = load_case(workload.case)
run(workload, case, replicates=1, jobs=1)
def peak():  # not that of getrusage, which counts what the parent had before this program was begun
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before, workload = peak(), load_workload("busy-team", ["duration=20000"])
run(workload, case, replicates=1, jobs=1)
print(peak() - before, expected_size(workload, case, list(case.strategies), 1, "compiled").process - PROCESS)
"""


@pytest.mark.slow
def test_the_memory_expected_against_the_peak_of_a_run():
    for _ in range(2):  # the first time the engine may have to be compiled, which takes more memory than the run
        done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    took, expected = map(float, done.stdout.split())
    assert expected / 3 < took < 2 * expected


def test_size_grows_in_proportion_to_the_traffic_and_the_replicates():
    case = load_case("openclaw-70575")
    one, longer = (
        expected_size(load_workload("quiet", [f"duration={seconds}"]), case, ["replace"], 10, "compiled")
        for seconds in (2_000, 4_000)  # of a longer replicate, SimPy checks only the beginning
    )
    many = expected_size(load_workload("quiet", ["duration=2000"]), case, ["replace"], 100, "compiled")
    assert longer.transactions == pytest.approx(2 * one.transactions)
    assert longer.seconds == pytest.approx(2 * one.seconds)
    assert many.kept == 10 * one.kept
    assert (many.process, many.transactions) == (one.process, one.transactions)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["duration=8e6", "replicates=1000000"], "days; allowed: 7"),
        (["store.gateways=1000", "times.patch.hold=1e9", "store.lock_poll_max=0.001"], "days; allowed: 7"),
    ],
)
def test_a_run_of_more_than_a_week_is_refused_with_the_estimate(overrides, says, refused):
    workload = load_workload("quiet", overrides)
    message = refused(lambda: run(workload, load_case(workload.case)))
    assert message.startswith("quiet: some ")
    assert says in message


def test_a_run_that_does_not_fit_into_memory_is_refused_and_fewer_processes_are_taken_where_that_helps(refused, monkeypatch):
    workload = load_workload("quiet", ["duration=2e7"])
    size = expected_size(workload, load_case(workload.case), ["replace"], 1, "compiled")
    monkeypatch.setattr("simlib.common.machine.memory", lambda: int(2.5 * size.process))
    assert fitting_jobs(size, 8) == 2
    check_size(size, 2, "quiet")
    assert "of memory in 3 processes; this machine has" in refused(check_size, size, 3, "quiet")


def test_ulimit_counts_as_the_machines_memory():
    half = int(PROCESS)
    code = "from simlib.common.machine import memory; print(memory())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (half, half)),
    )
    assert int(done.stdout) == half
