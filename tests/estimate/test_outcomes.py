"""Outcomes, against sums by hand over the records of a run."""

from collections.abc import Callable

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.common.shipped import CASE
from simlib.estimate.intervals import Rate
from simlib.estimate.outcomes import OUTCOMES, counts_of, rate_of

FORM = [(name, "i8") for name in ("clobbered_units", "racing_units", "units", "lost", "writes")]
EFFORT = [(name, "i8") for name in ("conflicts", "false_conflicts", "guarded", "units_failed", "units_begun")]
TABLES = [("noticed", "i8", (2, 2)), ("clobbering", "i8", (2,)), ("transactions", "i8", (2,))]
RECORDS = np.array(
    [
        (3, 2, 10, 1, 4, 2, 1, 10, 1, 11, [[0, 5], [2, 8]], [3, 0], [10, 8]),
        (1, 0, 10, 2, 8, 1, 0, 10, 2, 12, [[1, 5], [0, 2]], [1, 2], [10, 8]),
    ],
    [*FORM, *EFFORT, *TABLES],
)
CASE_OF_TWO = load_case(CASE)


@pytest.mark.parametrize(
    ("outcome", "share"),
    [
        ("clobber_rate", 4 / 20),
        ("racing_clobber_rate", 2 / 20),
        ("lost_write_rate", 3 / 12),
        ("any_loss", 6 / 36),
        ("conflict_rate", 3 / 20),
        ("false_conflict_rate", 1 / 20),
        ("failed_rate", 3 / 23),
        ("noticed.wrong_model", 1 / 10),
        ("noticed.misrouted_reply", 2 / 10),
    ],
)
def test_an_outcome_is_the_sum_of_its_events_over_the_sum_of_its_chances(outcome: str, share: float) -> None:
    assert rate_of(counts_of(CASE_OF_TWO, outcome), RECORDS, RECORDS).estimate == pytest.approx(share)


def test_a_bound_for_nothing_seen_reckons_with_the_clustering_of_the_baseline() -> None:
    none = RECORDS.copy()
    none["clobbered_units"] = 0
    baseline = Rate(np.array([3.0, 1.0]), np.array([10.0, 10.0]))
    assert rate_of(OUTCOMES["clobber_rate"], none, RECORDS).clustering == baseline.design_effect


def test_an_outcome_that_the_case_does_not_have_is_refused_with_those_it_has(refused: Callable[..., str]) -> None:
    assert refused(counts_of, CASE_OF_TWO, "noticed.wrong_modle") == (
        "'wrong_modle' is nothing that a person notices in case openclaw-70575; did you mean 'wrong_model'? "
        "allowed: wrong_model, misrouted_reply"
    )
    assert "outcome 'x' is not known; allowed: clobber_rate, " in refused(counts_of, CASE_OF_TWO, "x")
