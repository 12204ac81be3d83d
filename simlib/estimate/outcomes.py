"""What a rate is a share of: each outcome, counted in the records of replicates."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simlib.case.case import Case
from simlib.common.errors import InputError, choose, shown
from simlib.estimate.intervals import Rate
from simlib.estimate.totals import Records

Counts = Callable[[Records], tuple[Any, Any]]
"""Of (replicates,) records: how often it happened in each, and how often it could have."""
OUTCOMES: Mapping[str, Counts] = {
    "clobber_rate": lambda each: (each["clobbered_units"], each["units"]),
    "racing_clobber_rate": lambda each: (each["racing_units"], each["units"]),
    "lost_write_rate": lambda each: (each["lost"], each["writes"]),
    "any_loss": lambda each: (each["clobbering"].sum(axis=-1), each["transactions"].sum(axis=-1)),
    "conflict_rate": lambda each: (each["conflicts"], each["guarded"]),
    "false_conflict_rate": lambda each: (each["false_conflicts"], each["guarded"]),
    "failed_rate": lambda each: (each["units_failed"], each["units_begun"]),
}
"""Those that every case has, by the names of a result's columns."""
NOTICED = "noticed."
"""Before the name of what a person notices, which is the case's."""


def counts_of(case: Case, outcome: str) -> Counts:
    """How an outcome is counted: one of OUTCOMES, or `noticed.NAME`.

    Raises:
        InputError: the case has no such outcome.
    """
    if outcome in OUTCOMES:
        return OUTCOMES[outcome]
    name, names = outcome.removeprefix(NOTICED), [noticed.name for noticed in case.noticed]
    if name == outcome:
        raise InputError(f"outcome {shown(outcome)} is not known; {choose(outcome, [*OUTCOMES, f'{NOTICED}NAME'])}")
    if name not in names:
        raise InputError(f"{shown(name)} is nothing that a person notices in case {case.name}; {choose(name, names)}")
    number = names.index(name)
    return lambda each: (each["noticed"][:, number, 0], each["noticed"][:, number, 1])


def rate_of(counts: Counts, numbers: Records, baseline: Records) -> Rate:
    """The share, over (replicates,) records; a bound for nothing seen is widened by the clustering that the baseline shows."""

    def counted(of: Records, clustering: float = 1.0) -> Rate:
        events, exposures = np.array(counts(of), dtype=np.float64)
        return Rate(events, exposures, clustering)

    return counted(numbers, counted(baseline).design_effect)
