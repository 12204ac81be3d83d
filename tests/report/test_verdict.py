"""The verdict, by what it says first."""

from schedules import CASE

from simlib.estimate.experiment import run
from simlib.report.verdict import verdict
from simlib.workload.workload import load_workload


def test_an_overloaded_lock_is_said_before_anything_else():
    workload = load_workload("handler-only", ["duration=10", "times.patch.hold=0.2"])
    page = verdict(run(workload, CASE, ["after-19328"], replicates=2, jobs=1), None).text
    assert page.startswith('<div class="verdict"><p><strong>The lock is asked for more than it can give with after-19328 (')
