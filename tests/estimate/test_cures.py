"""What becomes of a bug with a cure, against rows written by hand."""

import pytest

from simlib.estimate.cures import judge


def share(estimate, low, high):
    return {"estimate": estimate, "low": low, "high": high}


def row(clobbered, against=(0, 0, 0), failed=(0, 0, 0)):
    """What `run --json` says of a strategy."""
    return {"clobber_rate": share(*clobbered), "failed_rate": share(*failed), "difference_from_baseline": share(*against)}


BUG = row((0.05, 0.04, 0.06))
GONE = (0, 0, 0.001), (-0.05, -0.06, -0.04)


@pytest.mark.parametrize(
    ("cure", "clean", "verdict"),
    [
        (row(*GONE), True, "ends"),
        (row(*GONE), False, "rarer"),  # something was lost at a site that is part of no unit
        (row((0.01, 0.009, 0.011), (-0.04, -0.05, -0.03)), False, "rarer"),
        (row((0.05, 0.04, 0.06), (0.0, -0.01, 0.01)), False, "cannot tell"),
        (row((0.09, 0.08, 0.1), (0.04, 0.03, 0.05)), False, "harms"),
        (row(*GONE, failed=(0.05, 0.04, 0.07)), True, "ends"),
        (row(*GONE, failed=(0.1, 0.09, 0.11)), True, "harms"),
    ],
)
def test_verdicts_against_rows_written_by_hand(cure, clean, verdict):
    assert judge(BUG, cure, clean) == verdict


def test_without_an_interval_nothing_can_be_told():
    nothing = {key: share(None, None, None) for key in BUG}
    assert judge(nothing, nothing, clean=True) == judge(BUG, nothing, clean=False) == "cannot tell"
