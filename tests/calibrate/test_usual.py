"""What a calibration takes from the usual workload, against workloads and cases written by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from schedules import CASE

from simlib.calibrate.usual import like, usual_workload
from simlib.common.errors import InputError
from simlib.workload.workload import load_workload

USUAL = load_workload(str(CASE.sections.usual))


def test_the_usual_workload_is_the_one_that_the_case_names() -> None:
    assert usual_workload(CASE, Path("t.csv")) == USUAL
    nameless = replace(CASE, sections=CASE.sections.model_copy(update={"usual": None}))
    with pytest.raises(InputError, match=r"^t\.csv: without times of preparation, and case openclaw-70575 names no workload"):
        usual_workload(nameless, Path("t.csv"))


@pytest.mark.parametrize(
    ("site", "known", "expected"),
    [
        ("patch", ("inbound", "handler", "patch"), "patch"),  # itself
        ("patch", ("handler", "run_end", "inbound"), "inbound"),  # one that writes what was asked for, too
        ("run_end", ("patch", "run_start", "handler"), "run_start"),  # one of a unit of work, too
        ("inbound", ("run_end", "handler"), "run_end"),  # whatever there is
    ],
)
def test_the_site_whose_times_stand_for_another_ones(site: str, known: tuple[str, ...], expected: str) -> None:
    workload = USUAL.model_copy(update={"times": {name: USUAL.times[name] for name in known}})
    assert like(site, workload, CASE) == expected
