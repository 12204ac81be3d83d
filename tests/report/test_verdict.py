"""The verdict, by what it says first."""

from dataclasses import replace

import pytest
from schedules import CASE, SITES

from simlib.case.case import load_case
from simlib.estimate.experiment import run
from simlib.estimate.result import Result
from simlib.estimate.totals import Totals
from simlib.estimate.wording import rate_text
from simlib.report.charts import clobber_rates
from simlib.report.verdict import verdict
from simlib.workload.workload import load_workload


def test_an_overloaded_lock_is_said_before_anything_else():
    workload = load_workload("handler-only", ["duration=10", "times.patch.hold=0.2"])
    page = verdict(run(workload, CASE, ["after-19328"], replicates=2, jobs=1), None).text
    assert page.startswith('<div class="verdict"><p><strong>The lock is asked for more than it can give with after-19328 (')


@pytest.fixture(scope="module")
def safe() -> Result:
    return run(load_workload("handler-only", ["duration=30"]), CASE, ["all-sites", "in-mutator"], replicates=2, jobs=1)


def losing(result: Result, name: str, transactions: int) -> Result:
    """The result, but so many transactions of the site `patch` of each replicate clobber, and as many writes are lost."""
    row, patch = result.strategies.index(name), SITES.index("patch")
    numbers = result.totals.numbers.copy()
    numbers["clobbering"][row, :, patch] = numbers["lost"][row] = transactions
    sums = {what: table.copy() for what, table in result.totals.sums.items()}
    sums["clobbers"][row, patch, 0, 0, 0] = 2 * transactions
    return replace(result, totals=Totals(numbers, sums))


def test_no_clobber_was_seen_only_where_no_figure_of_loss_is_above_zero(safe: Result) -> None:
    """Also not where all that is lost lies between writes that are part of no unit of work."""
    assert "No clobber was seen with any strategy." in verdict(safe, None).text
    assert clobber_rates(safe).caption == "No clobber was seen with any strategy."
    one, both = losing(safe, "all-sites", 3), losing(losing(safe, "all-sites", 3), "in-mutator", 1)
    page = verdict(one, None).text
    assert "No clobber was seen with <code>in-mutator</code>; every other strategy clobbers." in page
    assert "<code>all-sites</code>: no clobber" not in page
    assert "and yet it loses writes: " in page
    assert "of all transactions clobber, at <code>patch</code>, and " in page
    assert clobber_rates(one).caption == (
        "No clobber was seen with in-mutator. With all-sites no agent turn is clobbered, but other writes are."
    )
    page = verdict(both, None).text
    assert "o clobber" not in page
    assert "Every strategy here clobbers." in page
    assert clobber_rates(both).caption == "With all-sites and in-mutator no agent turn is clobbered, but other writes are."


def test_units_of_work_that_fail_are_said_beside_the_clobbers_and_found_in_the_list() -> None:
    result = run(
        load_workload("busy-team", ["duration=60"]),
        load_case("openclaw-cures"),
        ["after-19328", "reordered-bytes"],
        replicates=4,
    )
    found = verdict(result, None)
    assert f"<strong>{rate_text(result.failed_rate('reordered-bytes'))}</strong> of agent turns fail." in found.text
    assert found.finding is not None
    assert list(found.finding.failed_units) == ["reordered-bytes"]
